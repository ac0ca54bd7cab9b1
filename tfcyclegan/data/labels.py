"""The Cityscapes classes: ids as they lie on disk, train ids as they are learned and scored, colours as they are drawn.

A label picture is a map of ids, uint8 `[H, W]`. The 19 train ids 0..18 are the classes that count; everything else is
IGNORED. GTA5 uses the same ids. The table is that of `cityscapesscripts` (Cordts et al. 2016), which a test holds it to.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

IGNORED = 255
"""Train id of a pixel that is neither learned nor scored."""

LICENSE_PLATE = 255
"""How the id -1 lies in an 8-bit picture."""


@dataclass(frozen=True)
class LabelClass:
    """One class of the table; `train_id` is IGNORED for what does not count, `id` is -1 for license plates."""

    name: str
    id: int
    train_id: int
    color: tuple[int, int, int]


CLASSES = (
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

TRAIN_CLASSES = tuple(sorted((entry for entry in CLASSES if entry.train_id != IGNORED), key=lambda entry: entry.train_id))
NAMES = tuple(entry.name for entry in TRAIN_CLASSES)
COUNT = len(TRAIN_CLASSES)

PALETTE = np.array([entry.color for entry in TRAIN_CLASSES], np.uint8)
"""Colours of the train ids, `[19, 3]`."""

_TRAIN_ID_OF = np.full(256, IGNORED, np.uint8)
_ID_OF = np.zeros(256, np.uint8)  # what is ignored becomes "unlabeled"
_COLOR_OF = np.zeros((256, 3), np.uint8)
_IS_KNOWN = np.zeros(256, bool)
for _entry in CLASSES:
    _IS_KNOWN[_entry.id] = True
    _TRAIN_ID_OF[_entry.id] = _entry.train_id  # the index -1 is the last one, LICENSE_PLATE
    _COLOR_OF[_entry.id] = _entry.color
for _entry in TRAIN_CLASSES:
    _ID_OF[_entry.train_id] = _entry.id


def to_train_ids(ids: np.ndarray) -> np.ndarray:
    """Ids, uint8 of any shape, to train ids 0..18 or IGNORED, uint8. Ids outside the table become IGNORED too."""
    return _TRAIN_ID_OF[ids]


def unknown_ids(ids: np.ndarray) -> set[int]:
    """The ids, of uint8 of any shape, that are not in the table."""
    there = np.bincount(ids.reshape(-1), minlength=256) > 0
    return {int(value) for value in np.flatnonzero(there & ~_IS_KNOWN)}


def to_ids(train_ids: np.ndarray) -> np.ndarray:
    """Train ids to ids, uint8; IGNORED becomes 0, "unlabeled"."""
    return _ID_OF[train_ids]


def colorize(ids: np.ndarray) -> np.ndarray:
    """Ids, uint8 `[...]`, to the colours of the table, uint8 `[..., 3]`; ids outside the table are black."""
    return _COLOR_OF[ids]


def nearest_class(colors: np.ndarray) -> np.ndarray:
    """The train id whose colour is nearest (L2 in RGB) to each of `colors`, uint8 `[..., 3]` to uint8 `[...]`.

    The CycleGAN authors' way from a translated label map to classes ("nearest neighbor search in color space"); of two
    equally near ones the lower train id.
    """
    flat = colors.reshape(-1, 3)
    palette = PALETTE.astype(np.int32)
    best = np.zeros(len(flat), np.uint8)
    distance = np.full(len(flat), np.iinfo(np.int32).max, np.int32)
    channels = flat.astype(np.int32)
    for train_id, color in enumerate(palette):
        difference = channels - color
        squared = (difference * difference).sum(axis=1)
        nearer = squared < distance
        best[nearer] = train_id
        distance[nearer] = squared[nearer]
    return best.reshape(colors.shape[:-1])


def table() -> list[dict[str, Any]]:
    """The classes as JSON, as it stands in the metadata of data sets with labels."""
    return [{"name": entry.name, "id": entry.id, "train_id": entry.train_id, "color": list(entry.color)} for entry in CLASSES]
