"""Labelled pictures for training a segmenter, by index, from a data set or from arrays, with an
optional transform.
"""

import dataclasses
import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.data.images import ENLARGED, GRAY_IN_COLOUR, RESHAPED
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.data.pixels import Pixels, open_labels, open_pixels
from tfcyclegan.data.source import DataSource, say_once
from tfcyclegan.errors import UserError
from tfcyclegan.system import files

Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""uint8 [H, W, 3] to the same size; draws only from the generator, which is determined by (seed,
sample).
"""

_COUNTS = "class_counts.npy"


class Arrays(Protocol):
    """Pictures or label maps by index: a `Pixels`, an array, a list, or anything that reads them
    on demand.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> np.ndarray: ...


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures and their labels, one part of a segmenter's training data.

    Attributes:
        pictures: uint8 [H, W, 3] each.
        labels: train ids, uint8 [H, W] or [H, W, 1] each, in the pictures' sizes; IGNORED (255) is
            not learned.
        identity: identifies the content; a run resumes only with equal ones.
        classes: the table of the labels.
        transform: changes a picture each time it is drawn, before the augmentation.
        share: share of the samples, relative to the other parts.
    """

    pictures: Arrays
    labels: Arrays
    identity: str
    classes: ClassTable
    transform: Transform | None = None
    share: float = 1.0

    def __post_init__(self) -> None:
        if len(self.pictures) != len(self.labels) or not len(self.labels):
            raise UserError(
                f"{self.identity}: {len(self.pictures)} pictures and {len(self.labels)} label "
                "maps; each picture needs one"
            )

    def __len__(self) -> int:
        return len(self.pictures)

    def transformed(self, transform: Transform, identity: str) -> "LabelledPictures":
        """The same pictures with a `transform`, which `identity` identifies."""
        return dataclasses.replace(
            self, transform=transform, identity=f"{self.identity} | {identity}"
        )

    def relabelled(self, label_maps: Arrays, identity: str) -> "LabelledPictures":
        """The same pictures with other labels."""
        return dataclasses.replace(
            self, labels=label_maps, identity=f"{self.identity} | labels {identity}"
        )

    def label(self, index: int) -> np.ndarray:
        """Train ids, uint8 [H, W]."""
        label = self.labels[index]
        return label[..., 0] if label.ndim == 3 else label

    def draw(self, index: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A picture, transformed, and its label."""
        picture, label = self.pictures[index], self.label(index)
        if picture.shape[:2] != label.shape:
            raise UserError(
                f"{self.identity}: picture {index} is {picture.shape[:2]} and its label "
                f"{label.shape}; they must have the same size"
            )
        return (self.transform(picture, generator) if self.transform else picture), label

    @functools.cached_property
    def class_counts(self) -> np.ndarray:
        """Pixels of each class in each label map, int64 [N, C]; stored beside the labels if these
        are a `Pixels`.
        """
        path = self.labels.directory / _COUNTS if isinstance(self.labels, Pixels) else None
        if path is not None and path.exists():
            return np.load(path)
        counts = np.stack(
            [
                np.bincount(self.label(index).reshape(-1), minlength=256)[: self.classes.count]
                for index in range(len(self))
            ]
        )
        if path is not None:
            stream = io.BytesIO()
            np.save(stream, counts)
            files.write_bytes(path, stream.getvalue())
        return counts

    @property
    def common_size(self) -> Size | None:
        """The size of all pictures, or None if they differ."""
        if isinstance(self.pictures, Pixels):
            return self.pictures.common_size
        sizes = {self.pictures[index].shape[:2] for index in range(len(self))}
        return Size(*sizes.pop()) if len(sizes) == 1 else None


def open_pictures(
    source: DataSource,
    split: str,
    cache_dir: Path | None,
    *,
    size: Size | None = None,
    interpolation: str = "bicubic",
) -> Pixels:
    """The pictures of a split without their labels, which are not read.

    Args:
        source: an opened data set.
        split: its name.
        cache_dir: where resized pixels are kept; default: `.cache` in the data set.
        size: size to which pictures are resized; None keeps theirs.
        interpolation: the filter that resizes them.
    """
    kept = size or Size(1, 1)
    # "crop" keeps sizes, and a crop of 1x1 is never too large
    mode = "crop" if size is None else "resize_and_crop"
    opened = open_pixels(
        source,
        split,
        _cache(source, cache_dir),
        mode=mode,
        load_size=kept,
        crop_size=kept,
        channels=3,
        interpolation=interpolation,
    )
    for what in (ENLARGED, RESHAPED, GRAY_IN_COLOUR):
        if count := opened.notes.get(what):
            say_once(f"{source.directory}: split {split}: {what}: {count} of {len(opened)}")
    return opened


def open_labelled(
    source: DataSource,
    split: str,
    cache_dir: Path | None = None,
    *,
    size: Size | None = None,
    interpolation: str = "bicubic",
) -> LabelledPictures:
    """A split of a data set with labels; arguments as of `open_pictures`.

    Raises:
        UserError: the split has no labels, or none of a scored class.
    """
    source.require(split)
    classes = source.require_labels(split)
    filtered = f" {interpolation}" if size and interpolation != "bicubic" else ""
    opened = LabelledPictures(
        open_pictures(source, split, cache_dir, size=size, interpolation=interpolation),
        open_labels(source, split, _cache(source, cache_dir), size=size),
        f"{source.fingerprint} {split} {size or 'own size'}{filtered}",
        classes,
    )
    if not opened.class_counts.any():
        raise UserError(
            f"{source.directory}: the labels of split {split} have no pixel of the {classes.count} "
            "classes; check that they are label ids"
        )
    return opened


def _cache(source: DataSource, cache_dir: Path | None) -> Path:
    return cache_dir or source.cache
