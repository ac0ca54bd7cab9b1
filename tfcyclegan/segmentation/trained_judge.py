"""A judge: a segmenter that is trained once on real photos and their labels, and kept."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tfcyclegan.config import SegmenterOptions
from tfcyclegan.data.domains import Split
from tfcyclegan.errors import UserError
from tfcyclegan.segmentation.labelled_pictures import open_labelled
from tfcyclegan.segmentation.runs import SETTINGS
from tfcyclegan.segmentation.segmenter import Segmenter, load_segmenter
from tfcyclegan.segmentation.training import train_segmenter
from tfcyclegan.system import files
from tfcyclegan.system.progress import log

_FORMAT = 1  # increase it if the same settings would train another judge
# options that determine a judge's training, as opposed to its location and logging
_DECIDING = [
    field.name
    for field in dataclasses.fields(SegmenterOptions)
    if field.metadata["on_resume"] == "fixed"
]


@dataclass(frozen=True)
class Judge:
    """A segmenter of real photos.

    Attributes:
        name: network, and what it was trained on, to be printed beside every number.
        segmenter: to label translated photos with.
        directory: its run directory.
    """

    name: str
    segmenter: Segmenter
    directory: Path

    def predict(self, pictures: Sequence[np.ndarray], /) -> list[np.ndarray]:
        """Train ids, uint8 [H, W] each, of pictures uint8 [H, W, 3] of any size, in their sizes."""
        return [self.segmenter.label(Image.fromarray(picture)) for picture in pictures]

    def __reduce__(self) -> Any:
        """Another process opens the segmenter again."""
        return _reopened, (self.name, self.directory.absolute())


def judge(train: Split, cache_dir: Path, options: SegmenterOptions | None = None) -> Judge:
    """The judge of a data set, trained if `cache_dir` lacks it.

    Args:
        train: real photos with labels to train on; never the pictures that are to be judged.
        cache_dir: keeps judges, each under a hash of its data and settings; an interrupted training
            is continued.
        options: options of its training; default: those of `SegmenterOptions`.

    Raises:
        UserError: there are no labels, or labels of another class table.
    """
    options = options or SegmenterOptions()
    settings = {name: str(getattr(options, name)) for name in _DECIDING}
    interpolation = train.source.interpolation if options.load_size else "bicubic"
    if interpolation != "bicubic":
        settings["interpolation"] = interpolation
    key = files.sha256_of_json([_FORMAT, train.source.fingerprint, train.name, settings])
    directory = cache_dir / f"judge-{key[:16]}"
    if (directory / SETTINGS).exists() and (finished := _finished(directory)) is not None:
        segmenter = finished
    else:
        log(f"judge: training a segmenter on {train}, once; it is kept in {directory}")
        cache = Path(options.cache_dir) if options.cache_dir else None
        part = open_labelled(
            train.source, train.name, cache, size=options.load_size, interpolation=interpolation
        )
        segmenter = train_segmenter(options, [part], directory, interpolation=interpolation)
    name = (
        f"U-Net of width {options.width}, {options.steps} steps on {train.source.name}, split "
        f"{train.name}"
    )
    return Judge(name, segmenter, directory)


def _reopened(name: str, directory: Path) -> Judge:
    return Judge(name, load_segmenter(directory), directory)


def _finished(directory: Path) -> Segmenter | None:
    try:
        return load_segmenter(directory)
    except UserError:
        return None
