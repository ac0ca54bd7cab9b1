"""Tables of classes: ids as stored on disk, train ids as learned and scored, colours as drawn.

A label picture is a map of ids, uint8 `[H, W]`. The train ids 0..C-1 are the classes that are
learned and scored; everything else is IGNORED. A data set's manifest holds its table, which its
scores, segmenters and pictures of classes use. CITYSCAPES is the table of `cityscapesscripts`
(Cordts et al. 2016), as a test verifies; GTA5 uses the same ids.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.system import files

IGNORED = 255
"""Train id of a pixel that is neither learned nor scored."""

LICENSE_PLATE = 255
"""The value of id -1 in an 8-bit picture."""


@dataclass(frozen=True)
class LabelClass:
    """One class of a table; `train_id` is IGNORED if it is neither learned nor scored, `id` is
    0..255, or -1 for license plates.
    """

    name: str
    id: int
    train_id: int
    color: tuple[int, int, int]


class _NearestColor:
    """The index of the nearest of some colours, searched once for each of the 2^24 that occurs.

    Noisy pictures at the size of their labels have millions of pixels, and each of them is asked
    for by several controls; a search compares it with every colour.
    """

    def __init__(self, palette: np.ndarray):
        self._palette = palette.astype(np.int32)
        self._known = np.full(1 << 24, IGNORED, np.uint8)  # which is no class

    def __call__(self, colors: np.ndarray) -> np.ndarray:
        """uint8 `[..., 1 or 3]` to uint8 `[...]`; of two equally near ones, the first."""
        codes = _codes(colors)
        found = self._of(codes)
        if (found == IGNORED).any():
            occurs = np.zeros(len(self._known), bool)
            occurs[codes] = True
            new = np.flatnonzero(occurs & (self._known == IGNORED))
            self._known[new] = self._search(new.astype(np.int32))
            found = self._of(codes)
        return found

    def _of(self, codes: np.ndarray) -> np.ndarray:
        # All codes are within the table, and without bounds to check this takes half the time.
        return np.take(self._known, codes, mode="clip")

    def _search(self, codes: np.ndarray) -> np.ndarray:
        red, green, blue = codes & 255, codes >> 8 & 255, codes >> 16
        best = np.zeros(len(codes), np.uint8)
        distance = np.full(len(codes), np.iinfo(np.int32).max, np.int32)
        for index, (r, g, b) in enumerate(self._palette):
            squared = (red - r) ** 2 + (green - g) ** 2 + (blue - b) ** 2
            best[squared < distance] = index
            np.minimum(distance, squared, out=distance)
        return best


def _codes(colors: np.ndarray) -> np.ndarray:
    """uint8 `[..., 1 or 3]` to the 2^24 codes of colours, `[...]`."""
    levels = np.broadcast_to(colors, (*colors.shape[:-1], 3))
    packed = np.zeros((*colors.shape[:-1], 4), np.uint8)
    for channel in range(3):  # one after the other, which is several times faster than together
        packed[..., channel] = levels[..., channel]
    codes: np.ndarray = packed.view("<u4")[..., 0]
    return codes


@functools.lru_cache(maxsize=4)
def _nearest(palette: bytes) -> _NearestColor:
    """Kept outside the tables, which are sent to the workers of an engine."""
    return _NearestColor(np.frombuffer(palette, np.uint8).reshape(-1, 3))


@dataclass(frozen=True)
class ClassTable:
    """The classes of a data set.

    Attributes:
        classes: all classes, including ignored ones.
    """

    classes: tuple[LabelClass, ...]

    def __post_init__(self) -> None:
        for what, values in (
            ("name", [entry.name for entry in self.classes]),
            ("id", [str(entry.id % 256) for entry in self.classes]),
        ):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise UserError(f"table of classes: the {what} {twice[0]} occurs twice")
        counted = sorted(entry.train_id for entry in self.classes if entry.train_id != IGNORED)
        if not counted or counted != list(range(len(counted))):
            raise UserError(
                "table of classes: the train ids of classes that are not ignored must be 0, 1, 2, "
                f"..., not {counted or 'none'}"
            )
        for entry in self.classes:
            if not -1 <= entry.id <= 255 or not all(0 <= level <= 255 for level in entry.color):
                raise UserError(
                    f"table of classes: {entry.name!r} needs an id of 0..255 and a colour of "
                    "levels 0..255"
                )

    @functools.cached_property
    def train_classes(self) -> tuple[LabelClass, ...]:
        """The classes that are not ignored, in the order of train ids."""
        return tuple(
            sorted(
                (entry for entry in self.classes if entry.train_id != IGNORED),
                key=lambda entry: entry.train_id,
            )
        )

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, by train id."""
        return tuple(entry.name for entry in self.train_classes)

    @property
    def count(self) -> int:
        """Number of classes that are not ignored, C."""
        return len(self.train_classes)

    @functools.cached_property
    def palette(self) -> np.ndarray:
        """Colours of the train ids, uint8 `[C, 3]`."""
        return np.array([entry.color for entry in self.train_classes], np.uint8)

    @functools.cached_property
    def void_id(self) -> int:
        """The id written for ignored pixels: that of the first ignored class, otherwise an unused
        one.

        Raises:
            UserError: all 256 ids belong to classes that are not ignored.
        """
        ignored = [entry.id % 256 for entry in self.classes if entry.train_id == IGNORED]
        free = sorted(set(range(256)) - {entry.id % 256 for entry in self.classes}, reverse=True)
        if not ignored and not free:
            raise UserError(
                "table of classes: needs an id for ignored pixels, but its 256 classes leave none"
            )
        return (ignored or free)[0]

    @functools.cached_property
    def _by_id(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Train id, colour, and whether it is in the table, of each of 256 ids."""
        train_ids, colors, known = (
            np.full(256, IGNORED, np.uint8),
            np.zeros((256, 3), np.uint8),
            np.zeros(256, bool),
        )
        for entry in self.classes:  # the index -1 is the last entry, LICENSE_PLATE
            train_ids[entry.id], colors[entry.id], known[entry.id] = (
                entry.train_id,
                entry.color,
                True,
            )
        return train_ids, colors, known

    @functools.cached_property
    def _id_of(self) -> np.ndarray:
        ids = np.full(256, self.void_id, np.uint8)
        for entry in self.train_classes:
            ids[entry.train_id] = entry.id
        return ids

    def to_train_ids(self, ids: np.ndarray) -> np.ndarray:
        """Ids, uint8 of any shape, to train ids 0..C-1 or IGNORED, uint8. Ids outside the table
        become IGNORED too.
        """
        return self._by_id[0][ids]

    def unknown_ids(self, ids: np.ndarray) -> set[int]:
        """Those ids, uint8 of any shape, that are not in the table."""
        there = np.bincount(ids.reshape(-1), minlength=256) > 0
        return {int(value) for value in np.flatnonzero(there & ~self._by_id[2])}

    def to_ids(self, train_ids: np.ndarray) -> np.ndarray:
        """Train ids to ids, uint8; IGNORED becomes `void_id`."""
        return self._id_of[train_ids]

    def colorize(self, ids: np.ndarray) -> np.ndarray:
        """Ids, uint8 `[...]`, to the colours of the table, uint8 `[..., 3]`; ids outside the table
        are black.
        """
        return self._by_id[1][ids]

    def nearest_class(self, colors: np.ndarray) -> np.ndarray:
        """The train id whose colour is nearest (L2 in RGB) to each of `colors`, uint8 `[..., 1 or
        3]` to uint8 `[...]`.

        The CycleGAN authors' way from a translated label map to classes ("nearest neighbor search
        in color space"); of two equally near classes, the one with the lower train id.
        """
        return _nearest(self.palette.tobytes())(colors)

    def difference(self, other: "ClassTable") -> str:
        """Describes how the meaning of ids differs in `other`; empty if it agrees. Colours are not
        compared.
        """
        here, there = (
            {entry.id: (entry.name, entry.train_id) for entry in table.classes}
            for table in (self, other)
        )
        if here == there:
            return ""
        odd = min(here.items() ^ there.items(), key=lambda entry: (entry[0] < 0, entry[0]))[0]
        if odd in here and odd in there and here[odd][0] == there[odd][0]:
            return f"id {odd}, {here[odd][0]}, has train id {there[odd][1]}, not {here[odd][1]}"
        return (
            f"id {odd} is {there[odd][0] if odd in there else 'nothing'}, not "
            f"{here[odd][0] if odd in here else 'nothing'}"
        )

    def to_json(self) -> list[dict[str, Any]]:
        """The classes as JSON, as in the metadata of data sets, segmenters and exports."""
        return [
            {
                "name": entry.name,
                "id": entry.id,
                "train_id": entry.train_id,
                "color": list(entry.color),
            }
            for entry in self.classes
        ]

    @classmethod
    def from_json(cls, stored: Any, path: Path) -> "ClassTable":
        """The inverse of `to_json`.

        Args:
            stored: the JSON that was read.
            path: the file that it was read from, for messages.

        Raises:
            UserError: the classes are malformed or contradict each other.
        """
        try:
            entries = [
                (entry["name"], entry["id"], entry["train_id"], entry["color"]) for entry in stored
            ]
            return cls(
                tuple(
                    LabelClass(str(name), int(id_), int(train_id), _color(color))
                    for name, id_, train_id, color in entries
                )
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"{path}: its table of classes is damaged ({type(error).__name__}: {error}); "
                "restore the file"
            ) from error
        except UserError as error:
            raise UserError(f"{path}: {error}; restore the file") from error

    @property
    def digest(self) -> str:
        """A short hash, equal for equal tables."""
        return files.sha256_of_json(self.to_json())[:16]


def _color(levels: Sequence[int]) -> tuple[int, int, int]:
    red, green, blue = (int(level) for level in levels)
    return red, green, blue


@dataclass(frozen=True)
class Labelling:
    """Describes the labels of a data set.

    Attributes:
        classes: the table of its ids; None if no picture has labels.
        unlabelled: splits whose pictures have no labels although others have.
        label_maps: splits whose pictures are label maps in the colours of their classes, which are
            only resized by nearest pixels.
    """

    classes: ClassTable | None = None
    unlabelled: tuple[str, ...] = ()
    label_maps: tuple[str, ...] = ()


CITYSCAPES = ClassTable(
    (
        LabelClass("unlabeled", 0, IGNORED, (0, 0, 0)),
        LabelClass("ego vehicle", 1, IGNORED, (0, 0, 0)),
        LabelClass("rectification border", 2, IGNORED, (0, 0, 0)),
        LabelClass("out of roi", 3, IGNORED, (0, 0, 0)),
        LabelClass("static", 4, IGNORED, (0, 0, 0)),
        LabelClass("dynamic", 5, IGNORED, (111, 74, 0)),
        LabelClass("ground", 6, IGNORED, (81, 0, 81)),
        LabelClass("road", 7, 0, (128, 64, 128)),
        LabelClass("sidewalk", 8, 1, (244, 35, 232)),
        LabelClass("parking", 9, IGNORED, (250, 170, 160)),
        LabelClass("rail track", 10, IGNORED, (230, 150, 140)),
        LabelClass("building", 11, 2, (70, 70, 70)),
        LabelClass("wall", 12, 3, (102, 102, 156)),
        LabelClass("fence", 13, 4, (190, 153, 153)),
        LabelClass("guard rail", 14, IGNORED, (180, 165, 180)),
        LabelClass("bridge", 15, IGNORED, (150, 100, 100)),
        LabelClass("tunnel", 16, IGNORED, (150, 120, 90)),
        LabelClass("pole", 17, 5, (153, 153, 153)),
        LabelClass("polegroup", 18, IGNORED, (153, 153, 153)),
        LabelClass("traffic light", 19, 6, (250, 170, 30)),
        LabelClass("traffic sign", 20, 7, (220, 220, 0)),
        LabelClass("vegetation", 21, 8, (107, 142, 35)),
        LabelClass("terrain", 22, 9, (152, 251, 152)),
        LabelClass("sky", 23, 10, (70, 130, 180)),
        LabelClass("person", 24, 11, (220, 20, 60)),
        LabelClass("rider", 25, 12, (255, 0, 0)),
        LabelClass("car", 26, 13, (0, 0, 142)),
        LabelClass("truck", 27, 14, (0, 0, 70)),
        LabelClass("bus", 28, 15, (0, 60, 100)),
        LabelClass("caravan", 29, IGNORED, (0, 0, 90)),
        LabelClass("trailer", 30, IGNORED, (0, 0, 110)),
        LabelClass("train", 31, 16, (0, 80, 100)),
        LabelClass("motorcycle", 32, 17, (0, 0, 230)),
        LabelClass("bicycle", 33, 18, (119, 11, 32)),
        LabelClass("license plate", -1, IGNORED, (0, 0, 142)),
    )
)

# Parts of that table, for the scripts that prepare GTA5 and Cityscapes; code that reads data sets
# uses the data sets' own tables.
CLASSES, TRAIN_CLASSES, NAMES, COUNT, PALETTE = (
    CITYSCAPES.classes,
    CITYSCAPES.train_classes,
    CITYSCAPES.names,
    CITYSCAPES.count,
    CITYSCAPES.palette,
)
to_train_ids, to_ids, colorize, nearest_class = (
    CITYSCAPES.to_train_ids,
    CITYSCAPES.to_ids,
    CITYSCAPES.colorize,
    CITYSCAPES.nearest_class,
)
unknown_ids, table = CITYSCAPES.unknown_ids, CITYSCAPES.to_json
