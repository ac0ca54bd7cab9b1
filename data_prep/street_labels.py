"""A label file of a street data set, however it was saved -> the Cityscapes id of each pixel.

The pixels have one of these FORMATS:

- ids: Cityscapes ids (labelIds; GTA5). 34 and 255 (-1) are void, as in GTA5: "unlabeled".
- colours: the colours of the Cityscapes table, exactly. Where two classes share a colour, the
  scored one counts (pole, not polegroup; car, not license plate); black is "unlabeled".
- train_ids: 0..18, and 255 for ignored pixels.
- synthia: the classes of SYNTHIA-RAND-CITYSCAPES (Ros et al., CVPR 2016), whose files have the
  class in the red channel of 16-bit colour and the instance in the green one.

Numbers are 8-bit or 16-bit gray values, the indices of a palette, or the red channel of a colour
picture; the other channels are then unused, and a note says so.

AUTO reads files that can be read in only one way: colours of the table as colours, also in a
palette that contradicts its own indices, and otherwise ids. It never uses a single channel of a
colour picture, nor numbers that look like train ids: these need an explicit format.

A file that fits none of these is refused, and its values are shown: nobody would notice wrong ids
later. Imports no TensorFlow.
"""

import functools
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tfcyclegan.data import bit_depth, intake, labels
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.notes import LeftOut

AUTO, IDS, COLOURS, TRAIN_IDS, SYNTHIA = FORMATS = (
    "auto",
    "ids",
    "colours",
    "train_ids",
    "synthia",
)
"""The values of `--label_format`."""

READ_AS = {
    IDS: "label read as class ids",
    COLOURS: "label decoded by its colours",
    TRAIN_IDS: "label made from train ids",
    SYNTHIA: "label made from SYNTHIA's classes",
}
"""The note of each format."""
MOSTLY_VOID = "label of which more than half is of no class that counts"
WITHOUT_CLASS = (
    "label with SYNTHIA's road works or lane markings, which Cityscapes has no class "
    "for, made unlabeled"
)
OTHER_CHANNELS = LeftOut("label's channels beside the red one")
OPACITY = LeftOut("label's opacity")

VOID = (34, 255)
_SYNTHIA_CLASSES = (  # by number; None if Cityscapes has no such class
    *(
        "unlabeled",
        "sky",
        "building",
        "road",
        "sidewalk",
        "fence",
        "vegetation",
        "pole",
        "car",
        "traffic sign",
        "person",
        "bicycle",
    ),
    *(
        "motorcycle",
        "parking",
        None,
        "traffic light",
        "terrain",
        "rider",
        "truck",
        "bus",
        "train",
        "wall",
        None,
    ),
)
_ID_OF = {entry.name: entry.id for entry in labels.CLASSES}
_ID_OF_NUMBER: dict[str, dict[int, int]] = {
    IDS: {entry.id: entry.id for entry in labels.CLASSES if entry.id >= 0} | dict.fromkeys(VOID, 0),
    TRAIN_IDS: {entry.train_id: entry.id for entry in labels.TRAIN_CLASSES} | {labels.IGNORED: 0},
    SYNTHIA: {number: _ID_OF[name] if name else 0 for number, name in enumerate(_SYNTHIA_CLASSES)},
}
_WHAT = {
    IDS: "ids outside the Cityscapes table",
    TRAIN_IDS: "values that are not train ids (0..18 and 255)",
}
_WHAT[SYNTHIA] = "values that are not classes of SYNTHIA (0..22)"
_ORIENTATION, _UPRIGHT = 0x0112, 1
STRANGE = 255  # marks colours outside the table; no class has this id
_SHOWN = 5


@dataclass(frozen=True)
class LabelFile:
    """A decoded label file.

    Attributes:
        numbers: gray values, palette indices or the red channel, uint8 or uint16 `[H, W]`.
        colors: the colours of a colour picture, uint8 or uint16 `[H, W, 3]`.
        palette: the colours of the indices, uint8 `[N, 3]`.
        notes: notes on parts that no format uses.
    """

    numbers: np.ndarray
    notes: frozenset[str]
    colors: np.ndarray | None = None
    palette: np.ndarray | None = None

    @functools.cached_property
    def used(self) -> frozenset[int]:
        """The numbers that occur."""
        return frozenset(np.flatnonzero(np.bincount(self.numbers.reshape(-1))).tolist())

    @functools.cached_property
    def has_numbers(self) -> bool:
        """Whether the file holds only numbers: no channel differs from the red one."""
        return self.colors is None or bool((self.colors == self.numbers[..., None]).all())

    @functools.cached_property
    def ids_by_color(self) -> np.ndarray | None:
        """The id of each pixel's colour, uint8 `[H, W]`, or STRANGE if the table has no such
        colour; None for a gray file.
        """
        if self.palette is not None:
            return _ids_of_colors(self.palette)[self.numbers]
        return None if self.colors is None else _ids_of_colors(self.colors)

    @property
    def has_known_colors(self) -> bool:
        """Whether all colours are in the table."""
        if self.palette is not None:
            return bool((_ids_of_colors(self.palette[sorted(self.used)]) != STRANGE).all())
        return self.ids_by_color is not None and not (self.ids_by_color == STRANGE).any()


def open_label(content: bytes, *, max_pixels: int) -> LabelFile:
    """Decodes a label file fully.

    Raises:
        BadPicture: not a PNG that could be a label map, damaged, or with more pixels than
            `max_pixels`.
    """
    with intake.reading(content):
        image = intake.open_picture(content, max_pixels)
        if image.format != "PNG":
            raise BadPicture(
                f"a {image.format} file; label maps must be PNG, which keeps every pixel as it is"
            )
        bits = bit_depth.png_bits(content)
        if image.mode in ("1", "L") and bits < 8:
            raise BadPicture(f"{bits}-bit gray cannot hold ids; save it as 8-bit gray")
        if getattr(image, "n_frames", 1) > 1:
            raise BadPicture("an animation of several frames; a label map has one")
        image.load()
        if image.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
            raise BadPicture("its EXIF data ask for a rotation; save it upright")
        transparent = (
            image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255
        )
        notes = frozenset({OPACITY} if transparent else ())
        if image.mode in ("RGB", "RGBA"):
            colors = (
                _sixteen_bits(content, image, max_pixels) if bits == 16 else np.asarray(image)
            )[..., :3]
            return LabelFile(colors[..., 0], notes, colors=colors)
        if image.mode == "P":
            palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
            return LabelFile(
                np.asarray(image), notes, palette=np.pad(palette, ((0, 256 - len(palette)), (0, 0)))
            )
        if image.mode != "L" and not image.mode.startswith("I"):
            raise BadPicture(
                f"a picture of mode {image.mode} is not a label map; save it as 8-bit gray"
            )
        return LabelFile(np.asarray(image).astype(np.uint8 if bits == 8 else np.uint16), notes)


def _sixteen_bits(content: bytes, high: Image.Image, max_pixels: int) -> np.ndarray:
    """The samples of a 16-bit colour PNG: Pillow keeps the `high` byte, and the low one if it is
    told the other byte order.
    """
    low = intake.open_picture(content, max_pixels)
    low.tile = [tile._replace(args=str(tile.args).replace(";16B", ";16L")) for tile in low.tile]
    low.load()
    return np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)


def read_ids(
    content: bytes, *, label_format: str, max_pixels: int
) -> tuple[Image.Image, frozenset[str]]:
    """Decodes a label file fully.

    Args:
        content: the file's bytes.
        label_format: one of FORMATS.
        max_pixels: a label with more pixels is refused before it is decoded.

    Returns:
        The ids as a picture of mode L, and notes: one of READ_AS, and MOSTLY_VOID, WITHOUT_CLASS,
        OTHER_CHANNELS, OPACITY.

    Raises:
        BadPicture: with the reason.
    """
    ids, notes = decode(open_label(content, max_pixels=max_pixels), label_format)
    return Image.fromarray(ids), notes


def decode(label: LabelFile, label_format: str) -> tuple[np.ndarray, frozenset[str]]:
    """The ids, uint8 `[H, W]`, and the notes of `read_ids`; BadPicture if the file does not have
    that format.
    """
    certain = _find_format(label) if label_format == AUTO else label_format
    ids = _from_colors(label) if certain == COLOURS else _from_numbers(label, certain)
    notes = {READ_AS[certain]}
    if certain != COLOURS and not label.has_numbers:
        notes.add(OTHER_CHANNELS)
    if certain == SYNTHIA and any(_SYNTHIA_CLASSES[number] is None for number in label.used):
        notes.add(WITHOUT_CLASS)
    if (labels.to_train_ids(ids) == labels.IGNORED).mean() > 0.5:
        notes.add(MOSTLY_VOID)
    return ids, label.notes | notes


def could_be(label: LabelFile) -> frozenset[str]:
    """The formats in which the file can be read and that AUTO may choose, which excludes a single
    channel of a colour picture.
    """
    if meant := _by_palette(label):
        return frozenset({meant})
    found = _fitting(label) if label.has_numbers else set()
    return (
        frozenset(found | {COLOURS})
        if label.colors is not None and label.has_known_colors
        else frozenset(found)
    )


def _fitting(label: LabelFile) -> set[str]:
    return {name for name, known in _ID_OF_NUMBER.items() if label.used <= known.keys()}


def _find_format(label: LabelFile) -> str:
    """The format that AUTO chooses: IDS or COLOURS."""
    found = could_be(label)
    if COLOURS in found:
        return COLOURS
    # as train ids: road, building and ignored; as ids: unlabeled, rectification border and license
    # plate, which are never the only ids of a frame
    if TRAIN_IDS in found and {0, 2, 255} <= label.used:
        raise BadPicture(
            "values 0..18 and 255 look like train ids; choose --label_format=train_ids, or "
            "--label_format=ids to read them as ids"
        )
    if label.has_numbers:
        return IDS
    red = " or ".join(f"--label_format={name}" for name in FORMATS if name in _fitting(label))
    hint = f"; if its red channel alone is the class, {red} reads that" if red else ""
    raise BadPicture(_strange(label) + hint)


def _by_palette(label: LabelFile) -> str:
    """COLOURS if a palette of the table's colours contradicts the indices, IDS if it agrees with
    them, otherwise "".

    It contradicts them if it has colours of scored classes at indices other than their ids.
    """
    if label.palette is None or not label.has_known_colors:
        return ""
    shown = {index: tuple(label.palette[index].tolist()) for index in label.used}
    own = {entry.id: entry.color for entry in labels.CLASSES if entry.id in shown}
    scored = {entry.color for entry in labels.TRAIN_CLASSES}
    if any(
        color != shown[index] and scored & {color, shown[index]} for index, color in own.items()
    ):
        return COLOURS
    return IDS if scored & set(shown.values()) else ""


def _from_numbers(label: LabelFile, label_format: str) -> np.ndarray:
    known = _ID_OF_NUMBER[label_format]
    if strange := sorted(label.used - known.keys()):
        if strange[-1] > labels.IGNORED:
            mend = (
                "; they look like instance ids, but labelIds are needed"
                if strange[-1] >= 1000
                else ""
            )
            raise BadPicture(f"16-bit values up to {strange[-1]} are not class ids{mend}")
        raise BadPicture(f"{_WHAT[label_format]}: {_listed(strange)}")
    table = np.zeros(256, np.uint8)
    table[list(known)] = list(known.values())
    return table[label.numbers]


@functools.cache
def _ids_by_color() -> np.ndarray:
    """The id of each of the 2^24 colours, uint8, or STRANGE; if classes share a colour, the scored
    one, otherwise the first.
    """
    ids = np.full(1 << 24, STRANGE, np.uint8)
    for entry in sorted(
        labels.CLASSES, key=lambda entry: (entry.train_id == labels.IGNORED, entry.id), reverse=True
    ):
        red, green, blue = entry.color
        ids[red << 16 | green << 8 | blue] = max(entry.id, 0)
    return ids


def _ids_of_colors(colors: np.ndarray) -> np.ndarray:
    """Colours `[..., 3]` to ids; 16-bit samples count if they are 8-bit ones times 257, which is
    how 8 bits are saved as 16.
    """
    if colors.dtype == np.uint16:
        ids = _ids_of_colors((colors // 257).astype(np.uint8))
        return np.where((colors % 257).any(axis=-1), np.uint8(STRANGE), ids)
    wide = colors.astype(np.int32)
    return _ids_by_color()[wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]]


def _from_colors(label: LabelFile) -> np.ndarray:
    if label.ids_by_color is None:
        raise BadPicture("a gray picture has no colours of classes")
    if not label.has_known_colors:
        raise BadPicture(_strange(label))
    return label.ids_by_color


def _strange(label: LabelFile) -> str:
    """The colours of the file that are not in the table."""
    assert label.ids_by_color is not None
    where = label.ids_by_color == STRANGE
    if label.colors is not None:
        colors = label.colors[where]
    else:
        colors = label.palette[label.numbers[where]]  # type: ignore[index]
    packed = np.unique(colors.astype(np.int64) @ (1 << 32, 1 << 16, 1)).tolist()
    found = [f"({number >> 32}, {number >> 16 & 65535}, {number & 65535})" for number in packed]
    kind = "16-bit colours" if colors.dtype == np.uint16 else "colours"
    return (
        f"{kind} outside the Cityscapes table, in {where.mean():.1%} of the pixels: "
        f"{_listed(found)}"
    )


def _listed(values: list[int] | list[str]) -> str:
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(map(str, values[:_SHOWN])) + more
