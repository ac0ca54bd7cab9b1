"""A label file and the user's table of classes -> the class id of each pixel.

- RGB, with or without alpha: by exact colour.
- Gray and palette files may hold ids (a palette's indices) or colours. With --label_format=auto a
  file is read in the way in which all its values are in the table; if both ways are possible and
  differ, it is refused.
- Values outside the table are refused or, with --unknown_labels, ignored or read as the class of
  the nearest colour.

Imports no TensorFlow.
"""

import functools
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile, ImageOps

from tfcyclegan.data import bit_depth, intake
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.labels import IGNORED, ClassTable
from tfcyclegan.data.notes import LeftOut

FORMATS = ("auto", "ids", "colours")
UNKNOWN = ("refused", "ignored", "nearest")

BY_IDS, BY_COLORS = "label read by its ids", "label read by its colours"
NOT_COUNTED = "label with values outside the table, not counted"
OPACITY = LeftOut("label's opacity")
SNAPPED = "label with colours outside the table, taken for the nearest ones"

MOST_COLORS = 256
"""A label map has no more colours, with or without a table."""
_SHOWN = 5
_LOSSY = ("JPEG",)


@dataclass(frozen=True)
class Reader:
    """Reads label files.

    Attributes:
        classes: the table of classes.
        format: one of `FORMATS`.
        unknown: one of `UNKNOWN`.
    """

    classes: ClassTable
    format: str
    unknown: str

    def read(self, content: bytes, max_pixels: int) -> tuple[np.ndarray, frozenset[str]]:
        """Decodes a label file fully.

        Args:
            content: the file's bytes.
            max_pixels: a label with more pixels is refused before it is decoded.

        Returns:
            The ids, uint8 [H, W], and notes: BY_IDS or BY_COLORS, NOT_COUNTED, SNAPPED, OPACITY.

        Raises:
            BadPicture: with the reason.
        """
        with intake.reading(content):
            image = _open(content, max_pixels)
            if image.format in _LOSSY and self.unknown != "nearest":
                mend = (
                    "save it as PNG from its source, or --unknown_labels=nearest uses the nearest "
                    "colours of the table"
                )
                raise BadPicture(f"a {image.format}, whose colours are not exact; {mend}")
            ids, notes = self._read(image, content)
            transparent = (
                image.has_transparency_data
                and np.asarray(image.convert("RGBA"))[..., 3].min() < 255
            )
            return ids, notes | ({OPACITY} if transparent else set())

    def _read(self, image: Image.Image, content: bytes) -> tuple[np.ndarray, frozenset[str]]:
        upright = ImageOps.exif_transpose(image)
        ids = _values(upright, content) if self.format != "colours" else None
        if self.format == "ids" and ids is None:
            raise BadPicture(
                f"--label_format=ids: a picture of mode {image.mode} holds no 8-bit ids; save it "
                "as 8-bit gray"
            )
        colors = _colors(upright, content) if self.format != "ids" else None
        readings = {}
        if ids is not None:
            readings[BY_IDS] = ids.astype(np.uint8), self._known_ids[np.minimum(ids, 256)]
        if colors is not None:
            found, known = self._of_colors(colors)
            readings[BY_COLORS] = found, known
        if not readings:
            raise BadPicture(
                f"a picture of mode {image.mode} holds no 8-bit colours; save it as RGB, or its "
                "ids as 8-bit gray"
            )
        whole = {way: found for way, (found, known) in readings.items() if known.all()}
        if len(whole) == 2 and (whole[BY_IDS] != whole[BY_COLORS]).any():
            raise BadPicture(
                "can be read as ids and as colours of the table, with different results; choose "
                "--label_format=ids or colours"
            )
        if whole:
            way = next(iter(whole))
            return whole[way], frozenset({way})
        return self._with_unknown(readings, ids, colors)

    def _with_unknown(
        self,
        readings: dict[str, tuple[np.ndarray, np.ndarray]],
        ids: np.ndarray | None,
        colors: np.ndarray | None,
    ) -> tuple[np.ndarray, frozenset[str]]:
        """Reads a file that has values outside the table both as ids and as colours."""
        if self.unknown == "nearest" and colors is not None:
            return self._nearest(colors), frozenset({BY_COLORS, SNAPPED})
        if self.unknown == "ignored":
            some = (
                [way for way, (_, known) in readings.items() if known.any()]
                if len(readings) > 1
                else list(readings)
            )
            if len(some) != 1:
                raise BadPicture(
                    "neither its ids nor its colours are all in the table; choose "
                    "--label_format=ids or colours"
                )
            found, known = readings[some[0]]
            return np.where(known, found, self.classes.void_id).astype(np.uint8), frozenset(
                {some[0], NOT_COUNTED}
            )
        told = []
        if ids is not None and BY_IDS in readings:
            outside = np.unique(ids[~readings[BY_IDS][1]]).tolist()
            told.append(f"ids outside the table: {_listed([str(value) for value in outside])}")
        if colors is not None:
            told.append(
                f"colours outside the table: {_listed(_hex(colors[~readings[BY_COLORS][1]]))}"
            )
        ways = "ignored" if colors is None else "ignored or nearest"
        raise BadPicture(f"{'; as colours: '.join(told)}; --unknown_labels={ways} accepts them")

    @functools.cached_property
    def _known_ids(self) -> np.ndarray:
        """For each value 0..256, whether it is an id; 256 stands for all larger values."""
        known = np.zeros(257, bool)
        known[[entry.id % 256 for entry in self.classes.classes]] = True
        return known

    @functools.cached_property
    def _by_color(self) -> tuple[np.ndarray, np.ndarray]:
        """The colours as sorted numbers, and the id of each; if classes share a colour, the id of
        the one that is not ignored.
        """
        ids: dict[int, int] = {}
        for entry in sorted(
            self.classes.classes, key=lambda entry: (entry.train_id == IGNORED, entry.id)
        ):
            ids.setdefault(int(_numbers(np.array(entry.color, np.uint8))), entry.id % 256)
        numbers = np.array(sorted(ids))
        return numbers, np.array([ids[number] for number in numbers.tolist()], np.uint8)

    def _of_colors(self, colors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The ids of colours uint8 [H, W, 3], and which of them are in the table."""
        numbers, ids = self._by_color
        wanted = _numbers(colors)
        places = np.minimum(np.searchsorted(numbers, wanted), len(numbers) - 1)
        return ids[places], numbers[places] == wanted

    def _nearest(self, colors: np.ndarray) -> np.ndarray:
        """The ids of the nearest colours (L2 in RGB) of the table, including those of ignored
        classes.
        """
        numbers, ids = self._by_color
        table = np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], axis=-1)
        distinct, back = np.unique(_numbers(colors), return_inverse=True)
        seen = np.stack([distinct >> 16, distinct >> 8 & 255, distinct & 255], axis=-1)
        best = np.concatenate(
            [
                ((part[:, np.newaxis] - table) ** 2).sum(axis=-1).argmin(axis=1)
                for part in np.array_split(seen, -(-len(seen) // 4096))
            ]
        )
        return ids[best][back].reshape(colors.shape[:2])


def colors_of(content: bytes, max_pixels: int) -> set[str] | None:
    """The colours, as #rrggbb, of a file that might be a label map; None if it is lossy or has more
    than `MOST_COLORS`.

    For 16-bit gray the values are counted: dark pictures of 10 or 12 bits have few 8-bit colours
    but many values.

    Raises:
        BadPicture: it cannot be decoded.
    """
    with intake.reading(content):
        image = _open(content, max_pixels)
        if image.format in _LOSSY:
            return None
        if image.mode.startswith("I") and len(np.unique(np.asarray(image))) > MOST_COLORS:
            return None
        counted = (
            intake.decode(content, max_pixels=max_pixels)
            .image.convert("RGB")
            .getcolors(MOST_COLORS)
        )
        if counted is None:
            return None
        return {"#{:02x}{:02x}{:02x}".format(*color) for _, color in counted}  # type: ignore[misc]


def _open(content: bytes, max_pixels: int) -> ImageFile.ImageFile:
    image = intake.open_picture(content, max_pixels)
    if getattr(image, "n_frames", 1) > 1:
        raise BadPicture("several pages or frames; a label map has one")
    refuse_deep_colours(image, content)
    image.load()
    return image


def refuse_deep_colours(image: ImageFile.ImageFile, content: bytes) -> None:
    """Raises BadPicture for several channels of more than 8 bits: Pillow keeps the upper 8, so that
    small values would all be black.
    """
    bits = bit_depth.bits_in_file(image, content)
    if bits > 8 and len(image.getbands()) > 1:
        raise BadPicture(
            f"colour with {bits} bits per channel is not a known kind of label map; save it as "
            "8-bit gray of ids or as 8-bit colours"
        )


def _values(image: Image.Image, content: bytes) -> np.ndarray | None:
    """A file's values as ids, integers [H, W]; None if it cannot hold ids."""
    if image.mode == "LA":
        image = image.getchannel("L")
    if image.mode == "L" and content.startswith(b"\x89PNG") and bit_depth.png_bits(content) < 8:
        # Pillow scales them to 0..255
        return np.asarray(image).astype(np.int64) // (
            255 // ((1 << bit_depth.png_bits(content)) - 1)
        )
    if image.mode in ("1", "L", "P") or image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        return np.where(values < 0, 256, values)
    return None


def _colors(image: Image.Image, content: bytes) -> np.ndarray | None:
    """The visible colours, uint8 [H, W, 3], whatever their alpha; None for values of more than 8
    bits, which hold ids.
    """
    return None if image.mode.startswith(("I", "F")) else np.asarray(image.convert("RGB"))


def _numbers(colors: np.ndarray) -> np.ndarray:
    wide = colors.astype(np.int64)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _hex(colors: np.ndarray) -> list[str]:
    return [f"#{number:06x}" for number in np.unique(_numbers(colors)).tolist()]


def _listed(values: list[str]) -> str:
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(values[:_SHOWN]) + more
