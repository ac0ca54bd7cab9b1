"""Labels pictures: PNGs of class ids, as `cityscapesscripts` and other programs read them, and
colour overlays.

OUTPUT/labelIds/NAME.png    8-bit grayscale, the ids of the segmenter's classes, in the input's own
                            size
OUTPUT/overlays/NAME.png    the colours of the classes over the picture
OUTPUT/segmentation.json    the segmenter; written first
OUTPUT/classes.csv          meaning of the ids, as `data_prep.folders --classes` reads it
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tfcyclegan.data import images, intake
from tfcyclegan.data.class_files import write_classes
from tfcyclegan.data.domains import Split
from tfcyclegan.data.picture_folders import (
    USUAL,
    Reading,
    in_memory,
    picture_name,
    pictures_of_path,
    with_notes,
    write_pictures,
)
from tfcyclegan.measures.confusion import Confusion
from tfcyclegan.segmentation.segmenter import Segmenter
from tfcyclegan.system.parallel import Stages

RECORD = "segmentation.json"
IDS, OVERLAYS = "labelIds", "overlays"
CLASSES = "classes.csv"
_OPACITY = 0.5


def label_path(
    segmenter: Segmenter,
    path: Path,
    output: Path,
    *,
    overlays: bool = True,
    reading: Reading = USUAL,
) -> None:
    """Labels a picture or all pictures in a folder tree; existing results of the same segmenter are
    kept.

    Raises:
        UserError: `output` holds another segmenter's results, or pictures cannot be read (after all
            others were labelled).
    """
    found = pictures_of_path(path, reading, output=output)
    found.log()
    pictures, settings = found.pictures, reading.settings()
    _label_all(
        segmenter,
        pictures.items(),
        output,
        total=len(pictures),
        overlays=overlays,
        settings=settings,
        left_out=found.left_out,
        hints=intake.hints(reading.rules.max_value),
    )


def label_split(
    segmenter: Segmenter,
    split: Split,
    output: Path,
    *,
    overlays: bool = True,
    reading: Reading = USUAL,
) -> Confusion | None:
    """Labels a split of a data set like `label_path`; if it has labels, scores the PNGs against
    them.
    """
    split.source.require(split.name)
    if split.labelled:
        segmenter.require_classes(split)
    pictures = ((picture_name(name, split.name), encoded) for name, encoded in split.pictures())
    decoded, settings, unread = (
        in_memory(pictures, reading.rules),
        reading.settings() | split.source.identity_of(split.name),
        split.source.left_out,
    )
    _label_all(
        segmenter,
        decoded,
        output,
        total=split.count,
        overlays=overlays,
        settings=settings,
        left_out=unread,
    )
    if not split.labelled:
        return None
    classes = segmenter.classes
    confusion = Confusion(classes=classes.count)
    for name, _, truth in split.source.labelled_pictures(split.name):
        drawn = images.decode_ids(
            (output / IDS / f"{picture_name(name, split.name)}.png").read_bytes()
        )
        confusion.add(classes.to_train_ids(drawn), classes.to_train_ids(images.decode_ids(truth)))
    return confusion


def _label_all(
    segmenter: Segmenter,
    pictures: Iterable[tuple[str, Callable[[], intake.Decoded]]],
    output: Path,
    *,
    total: int,
    overlays: bool,
    settings: Mapping[str, Any],
    left_out: Mapping[str, int] | None = None,
    hints: Mapping[str, str] | None = None,
) -> None:
    kinds = (OVERLAYS, IDS) if overlays else (IDS,)
    classes = segmenter.classes

    def in_colour(decoded: intake.Decoded) -> Image.Image:
        return decoded.image.convert("RGB")

    def label(picture: Image.Image) -> tuple[Image.Image, np.ndarray]:
        return picture, classes.to_ids(segmenter.label(picture))

    def draw(labelled: tuple[Image.Image, np.ndarray]) -> list[bytes]:
        picture, ids = labelled
        drawn = {
            OVERLAYS: overlay(np.asarray(picture), classes.colorize(ids)),
            IDS: ids[..., np.newaxis],
        }
        return [images.encode_png(drawn[kind]) for kind in kinds]

    write_pictures(
        with_notes(pictures, lambda image: images.colour_notes(image.mode, 3)),
        output,
        lambda name: [output / kind / f"{name}.png" for kind in kinds],
        Stages(in_colour, [label], draw),
        total=total,
        record=RECORD,
        identity={
            **segmenter.identity,
            "load_size": segmenter.scale,
            **settings,
        },
        told=(
            "labelling",
            "labelled",
            "results of another segmenter, of other pictures or with other settings",
        ),
        left_out=left_out,
        hints=hints,
    )
    write_classes(output / CLASSES, classes)


def overlay(picture: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """The classes' colours over a picture, both uint8 [H, W, 3]."""
    return np.rint((1 - _OPACITY) * picture + _OPACITY * colors).astype(np.uint8)
