"""A label file of Cityscapes or GTA5, in whatever way it was saved -> the class id of each pixel.

- 8-bit gray: the values are ids (Cityscapes' labelIds).
- Palette: the indices are ids (GTA5), never their colours; unless the indices contradict a palette of the table's own colours,
  which is a colour map that some program has saved with fewer colours.
- RGB or RGBA (Cityscapes' color, colour-coded copies of GTA5): by exact colour. Two classes share a colour now and then; the one
  that is scored counts (pole, not polegroup; car, not license plate), and black is "unlabeled".
- Train ids, where the file's name says so: to the ids of their classes.
- 34 and 255 (-1) are void, as in GTA5: "unlabeled".

What fits none of these is refused with its values: a wrong id is seen by nobody later. Imports no TensorFlow.
"""

import functools

import numpy as np
from PIL import Image

from tfcyclegan.data import intake, labels
from tfcyclegan.data.intake import BadPicture

BY_COLOR = "label decoded by its colours"
FROM_TRAIN_IDS = "label made from train ids"

VOID = (34, 255)
_KNOWN = frozenset(entry.id for entry in labels.CLASSES if entry.id >= 0)
_TRAIN_IDS = frozenset(range(labels.COUNT)) | {labels.IGNORED}
_STRANGE = 255  # in the table of colours; no class has it there
_SHOWN = 5

_VOID_TO_UNLABELED = [0 if value in VOID else value for value in range(256)]
_TRAIN_IDS_TO_IDS = labels.to_ids(np.arange(256, dtype=np.uint8)).tolist()


def read_ids(content: bytes, *, train_ids: bool, max_pixels: int) -> tuple[Image.Image, frozenset[str]]:
    """Decodes a label file fully.

    Args:
        content: the file's bytes.
        train_ids: whether they are train ids.
        max_pixels: a label of more pixels is refused before it is decoded.

    Returns:
        The ids as a picture of mode L, and notes: BY_COLOR, FROM_TRAIN_IDS.

    Raises:
        BadPicture: with the reason.
    """
    with intake.reading(content):
        image = intake.open_picture(content, max_pixels)
        if image.format != "PNG":
            raise BadPicture(f"a {image.format} file; label maps must be PNG, which keeps every pixel as it is")
        if image.mode in ("1", "L") and intake.png_bits(content) < 8:
            raise BadPicture(f"gray of {intake.png_bits(content)} bit a pixel has no room for ids; save it as 8-bit gray")
        image.load()
        if image.mode in ("RGB", "RGBA"):
            return _from_colors(np.asarray(image)), frozenset({BY_COLOR})
        return _from_values(image, train_ids)


def _from_values(image: Image.Image, train_ids: bool) -> tuple[Image.Image, frozenset[str]]:
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        if deep.max() > 255:
            mend = "; are they instance ids? labelIds are needed" if deep.max() >= 1000 else ""
            raise BadPicture(f"16-bit values up to {deep.max()} are no class ids{mend}")
        values = Image.fromarray(deep.astype(np.uint8))
    elif image.mode in ("L", "P"):
        values = Image.fromarray(np.asarray(image))
    else:
        raise BadPicture(f"a picture of mode {image.mode} is no label map; save it as 8-bit gray")
    used = {value for value, count in enumerate(values.histogram()) if count}
    if train_ids:
        if used - _TRAIN_IDS:
            raise BadPicture(f"values that are no train ids (0..18 and 255): {_listed(sorted(used - _TRAIN_IDS))}")
        return values.point(_TRAIN_IDS_TO_IDS), frozenset({FROM_TRAIN_IDS})
    if image.mode == "P" and _contradicts(image, used):
        return _from_colors(np.asarray(image.convert("RGB"))), frozenset({BY_COLOR})
    if strange := used - _KNOWN - set(VOID):
        raise BadPicture(f"ids outside the Cityscapes table: {_listed(sorted(strange))}")
    # as train ids: road, building and ignored; as ids: unlabeled, rectification border and license plate, which no frame has alone
    if {0, 2, 255} <= used <= _TRAIN_IDS:
        raise BadPicture("values 0..18 and 255 look like train ids; ids are needed (labelIds)")
    return (values.point(_VOID_TO_UNLABELED) if used & set(VOID) else values), frozenset()


def _contradicts(image: Image.Image, used: set[int]) -> bool:
    """Whether the palette has colours of the table alone, and some of scored classes at other indices than theirs."""
    flat = image.getpalette("RGB") or []
    colors = {index: tuple(flat[3 * index : 3 * index + 3]) for index in used}
    if any(color not in _ids_by_color() for color in colors.values()):
        return False
    own = {entry.id: entry.color for entry in labels.CLASSES}
    scored = {entry.color for entry in labels.TRAIN_CLASSES}
    return any(color != own[index] and scored & {color, own[index]} for index, color in colors.items() if index in _KNOWN)


@functools.cache
def _ids_by_color() -> dict[tuple[int, ...], int]:
    """The id of each colour of the table; of classes that share one, that which is scored, else the first."""
    ids: dict[tuple[int, ...], int] = {}
    for entry in sorted(labels.CLASSES, key=lambda entry: (entry.train_id == labels.IGNORED, entry.id)):
        ids.setdefault(entry.color, entry.id)
    return ids


@functools.cache
def _ids_by_number() -> np.ndarray:
    """The id of each of the 2^24 colours, uint8; _STRANGE for those outside the table."""
    ids = np.full(1 << 24, _STRANGE, np.uint8)
    for (red, green, blue), value in _ids_by_color().items():
        ids[red << 16 | green << 8 | blue] = value
    return ids


def _from_colors(colors: np.ndarray) -> Image.Image:
    """Colours `[H, W, 3 or 4]` uint8 to ids; opacity does not matter."""
    wide = colors.astype(np.int32)
    numbers = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    ids = _ids_by_number()[numbers]
    strange = ids == _STRANGE
    if strange.any():
        found = [f"({number >> 16}, {number >> 8 & 255}, {number & 255})" for number in np.unique(numbers[strange]).tolist()]
        raise BadPicture(f"colours outside the Cityscapes table: {_listed(found)}")
    return Image.fromarray(ids)


def _listed(values: list[int] | list[str]) -> str:
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(map(str, values[:_SHOWN])) + more
