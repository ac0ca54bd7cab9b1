"""Which pictures came out best, middling and worst, and their strips: input | translation | truth |
cycled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.evaluation.material import OWN, Material
from tfcyclegan.measures import label_protocols, paired, segmentation
from tfcyclegan.measures.appearance import Appearance
from tfcyclegan.training import strips

KINDS = ("best", "median", "worst")
_EACH = 3
_LARGEST_SIDE = 256


@dataclass(frozen=True)
class Examples:
    """Names of the inputs by how well their translations came out.

    Attributes:
        score: what they were sorted by.
        names: by kind, of `KINDS`.
        values: score by name.
    """

    score: str
    names: dict[str, list[str]]
    values: dict[str, float]


def choose(material: Material, look: Appearance) -> Examples:
    """Sorts by the truth where it is known, else by the labels, else by the look."""
    own = material.sets[OWN]
    if material.tells_classes and material.ids:
        score, sign = "pixel accuracy", -1
        values = {
            name: _pixel_accuracy(own[name], ids, material.table)
            for name, ids in material.ids.items()
        }
    elif material.sure_truths:
        score, sign = "Lab error to the truth", 1
        values = {name: paired.lab_error(own[name], true) for name, true in material.truths.items()}
    else:
        score, sign = "colour and texture distance to real pictures", 1
        values = {
            name: look.colour_distance([picture]) + look.texture_distance([picture])
            for name, picture in own.items()
        }
    ordered = sorted(values, key=lambda name: sign * values[name])
    each = min(_EACH, max(1, len(ordered) // 3))
    middle = (len(ordered) - each) // 2
    picked = {
        "best": ordered[:each],
        "median": ordered[middle : middle + each],
        "worst": ordered[::-1][:each],
    }
    return Examples(
        score, picked, {name: values[name] for names in picked.values() for name in names}
    )


def _pixel_accuracy(picture: np.ndarray, ids: np.ndarray, classes: ClassTable) -> float:
    seen = label_protocols.classify_then_resize(picture, Size(*ids.shape), classes)
    return segmentation.pixel_accuracy(
        segmentation.confusion_matrix(seen, classes.to_train_ids(ids), classes=classes.count)
    )


def heads(material: Material) -> list[str]:
    """What the cells of a strip show."""
    return [
        "input",
        "translation",
        *(["truth"] if material.truths else []),
        *([] if isinstance(material.cycle, str) else ["cycled"]),
    ]


def strip(material: Material, name: str) -> bytes:
    """The strip of a picture, as PNG."""
    cells = [material.inputs[name], material.sets[OWN][name]]
    of_source, of_target = material.source_is_label_maps, material.target_is_label_maps
    nearest = [of_source, of_target, *([of_target] if material.truths else []), of_source]
    if material.truths:
        cells.append(material.truths.get(name, np.full_like(cells[1], 255)))
    if not isinstance(material.cycle, str):
        saved = images.to_float(cells[1])[np.newaxis]
        cells.append(images.to_uint8(material.cycle[1](saved)[0]))
    return png_of(cells, nearest)


def png_of(cells: Sequence[np.ndarray], nearest: Sequence[bool] = ()) -> bytes:
    """Pictures side by side in the size of the first, at most 256 pixels a side, as PNG; label maps
    resized by nearest pixels.
    """
    height, width = cells[0].shape[:2]
    shrink = min(1.0, _LARGEST_SIDE / max(height, width))
    size = Size(max(1, round(height * shrink)), max(1, round(width * shrink)))
    fitted = [
        _rgb(cell, size, nearest=by_nearest)
        for cell, by_nearest in zip(cells, nearest or [False] * len(cells), strict=False)
    ]
    gap = np.full((size.height, 2, 3), 255, np.uint8)
    joined = np.concatenate([part for cell in fitted for part in (cell, gap)][:-1], axis=1)
    return strips.png_bytes(joined)


def _rgb(picture: np.ndarray, size: Size, *, nearest: bool) -> np.ndarray:
    return images.to_array(
        images.resize(
            Image.fromarray(np.broadcast_to(picture, (*picture.shape[:2], 3)).copy()),
            size,
            nearest=nearest,
        )
    )
