"""Any picture file -> one upright 8-bit grayscale or RGB picture, or the reason for its refusal.
Imports no TensorFlow.

Every file is decoded completely, so that damage shows here, where the file has a name, and not in
training.

- 16 bits per channel are scaled to 8 by round(value / 257), in colour as well as gray; a 12-bit
  TIFF is scaled by its own maximum, and any picture of more than 8 bits by the maximum that the
  caller gives, if any.
- Transparency (alpha, a transparent palette entry or colour) is composited onto white, unless the
  caller asks otherwise.
- The orientation of EXIF or XMP is applied. CMYK, palette and YCbCr become RGB by Pillow's plain
  formulas; ICC profiles are not applied.
- From a file with several frames or pages one is used, the first unless the caller names another;
  frames are composited.
- Bands that are neither colours nor alpha are refused, or left out if the caller says so.
- 32-bit, floating-point and signed values have no known range and are refused.
- An upright 8-bit grayscale or RGB JPEG or PNG keeps its bytes; everything else becomes PNG, which
  loses nothing.

Conversions and omissions are noted for each picture (`notes`).
"""

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.Image import Transpose

from tfcyclegan.config import Size
from tfcyclegan.data import bit_depth, colour, foreign, images, tiff
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.data.records import Picture
from tfcyclegan.data.rules import USUAL, Rules

# An explicit list: some of Pillow's plugins start other programs (EPS) or read other files.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "AVIF", "TGA")

SCALED = "16 bit, scaled to 8"
ON_WHITE = "transparent, laid on white"
KEPT = "transparent, laid on white for the network; the result has its transparency"
OPAQUE = LeftOut("transparency")
TURNED = "turned upright, as its orientation tag says"
CMYK = "CMYK, made RGB by plain formulas"
UPPER_BITS = "JPEG 2000 of more than 8 bit, the upper 8 taken"
PAGE = "one of several pages or frames of its file"
FIRST_FRAME = LeftOut("frames or pages behind the first")
OTHER_VIEWS = LeftOut("previews, gain maps or other views behind the picture (MPO)")
FOURTH_BYTE = LeftOut("the fourth byte of each pixel of a BMP, which the format calls unused")
COPIES = LeftOut("smaller copies and masks beside a TIFF's pictures")

HINTS = {
    ON_WHITE: "--alpha=drop uses the colours without the alpha channel",
    OPAQUE: "--alpha=white composites it onto white",
    PAGE: "--pages=first uses only the first",
    FIRST_FRAME: "--pages=all uses them all",
    SCALED: "--max_value=VALUE gives the value of white",
    images.RESIZED: "--scale=original keeps sizes",
}
"""For each note, the flag that changes the behaviour, if the command has it."""


def hints(max_value: object) -> dict[str, str]:
    """HINTS, without the flag for the largest value if it was given."""
    return {note: flag for note, flag in HINTS.items() if note != SCALED or not max_value}


_ORIENTATION = 0x0112
# value of the tag -> the operation that sets the picture upright; 1 is upright, others are
# undefined
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_DEEPEST, _OPAQUE = 65535, 255


class BadPicture(ValueError):
    """The file holds no usable picture; the message is the reason, on one line."""


@dataclass(frozen=True)
class Decoded:
    """A decoded picture, as a viewer shows it.

    Attributes:
        image: the upright picture, of mode L or RGB.
        notes: conversions that users should know about, and omissions (`LeftOut`).
        kept: the file's own bytes if they are stored unchanged, otherwise empty.
        kept_format: "jpeg" or "png" in that case.
        alpha: its alpha channel, of mode L, if it has one and `Rules.alpha` is "keep".
        largest: the largest value of a 16-bit picture whose range is known only from its type;
            otherwise 0.
    """

    image: Image.Image
    notes: frozenset[str]
    kept: bytes = b""
    kept_format: str = ""
    alpha: Image.Image | None = None
    largest: int = 0

    def picture(
        self, filename: str, size: Size | None = None, interpolation: str = "bicubic"
    ) -> Picture:
        """The picture to store under `filename`, resized to `size`; it becomes PNG if it is resized
        or its bytes are not kept.
        """
        resized = self.image if size is None else images.resize(self.image, size, interpolation)
        if self.kept and resized is self.image:
            return Picture(self.kept, self.kept_format, filename, resized.height, resized.width)
        return Picture(encode_png(resized), "png", filename, resized.height, resized.width)


def take(
    content: bytes, filename: str, *, max_pixels: int, rules: Rules = USUAL
) -> tuple[Picture, frozenset[str]]:
    """The picture to store under `filename`, and the notes on it; arguments and errors are those of
    `decode`.
    """
    decoded = decode(content, max_pixels=max_pixels, rules=rules)
    return decoded.picture(filename), decoded.notes


def decode(
    content: bytes, *, max_pixels: int, rules: Rules = USUAL, page: int | None = None
) -> Decoded:
    """Decodes `content` fully.

    Args:
        content: the file's bytes.
        max_pixels: a picture with more pixels is refused before it is decoded.
        rules: how to read it if there is more than one way.
        page: the index of one of its pictures, from `pages.Pages`; None means the first, and notes
            that others are left out.

    Raises:
        BadPicture: with the reason.
    """
    with reading(content):
        return _decode(content, max_pixels, rules, page)


def encode_png(image: Image.Image) -> bytes:
    """The picture as PNG, without the profiles and transparent colours of its original file."""
    image.info.clear()
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


@contextlib.contextmanager
def reading(content: bytes) -> Iterator[None]:
    """Turns any exception from decoding `content` into BadPicture."""
    if not content:
        raise BadPicture("the file is empty")
    try:
        yield
    except (BadPicture, MemoryError):
        raise
    except tiff.Refused as error:
        raise BadPicture(str(error)) from error
    except UnidentifiedImageError as error:
        unknown = (
            "text, not a picture" if _is_text(content) else "not a picture, or damaged at its start"
        )
        raise BadPicture(foreign.told(content) or unknown) from error
    # on damaged input Pillow's decoders raise nearly any type; all mean the same here
    except Exception as error:
        raise BadPicture(
            f"damaged: {' '.join(str(error).split()) or type(error).__name__}"
        ) from error


def _is_text(content: bytes) -> bool:
    head = content[:256]
    return b"\0" not in head and head.decode("utf-8", "replace").count("\ufffd") <= 1


def open_picture(content: bytes, max_pixels: int) -> ImageFile.ImageFile:
    """The picture with its header read and its checksums verified: decoding skips them, but
    TensorFlow insists on them.
    """
    image = _open(content)
    _require_size(*image.size, max_pixels)
    if image.format == "PNG":
        _open(content).verify()
    return image


def size_of(content: bytes) -> tuple[int, int]:
    """Width and height of the first picture, from its header; see `reading` for errors."""
    if tiff.is_tiff(content):
        described = tiff.describe(content, tiff.list_pages(content)[0][0])
        return described.width, described.height
    return _open(content).size


def _require_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise BadPicture(
            f"{width}x{height} is {width * height} pixels, more than --max_pixels={max_pixels}"
        )


def _open(content: bytes) -> ImageFile.ImageFile:
    Image.init()  # otherwise only Pillow's few preloaded formats are known
    image = Image.open(io.BytesIO(content), formats=FORMATS)
    assert isinstance(image, ImageFile.ImageFile)
    return image


@dataclass(frozen=True)
class _Shallow:
    """A picture with 8 bits per sample, as stored in the file.

    Attributes:
        image: the picture, in any of Pillow's modes.
        notes: notes on the picture.
        orientation: the value of EXIF's tag.
        info: Pillow's information on the file.
        kind: the file's format.
        largest: see `Decoded`.
    """

    image: Image.Image
    notes: set[str]
    orientation: int
    info: dict[str, Any]
    kind: str
    largest: int = 0


def _decode(content: bytes, max_pixels: int, rules: Rules, page: int | None) -> Decoded:
    shallow = (
        _read_tiff(content, max_pixels, rules, page)
        if tiff.is_tiff(content)
        else _read(content, max_pixels, rules, page)
    )
    flat, alpha, notes = _flatten(shallow.image, rules, alone=page is None)
    notes |= shallow.notes
    turn = _TURNS.get(shallow.orientation)
    keeps_bytes = (
        not notes
        and page is None
        and turn is None
        and shallow.kind in ("JPEG", "PNG")
        and shallow.image.mode in ("L", "RGB")
        and not shallow.image.has_transparency_data
        and (shallow.kind != "PNG" or bit_depth.png_bits(content) == 8)
    )
    if page is not None:
        notes.add(PAGE)
    notes |= colour.unapplied(shallow.kind, shallow.info, content)
    if keeps_bytes:
        return Decoded(flat, frozenset(notes), content, shallow.kind.lower())
    if turn is not None:
        notes.add(TURNED)
        flat, alpha = flat.transpose(turn), alpha and alpha.transpose(turn)
    return Decoded(flat, frozenset(notes), alpha=alpha, largest=shallow.largest)


def _read(content: bytes, max_pixels: int, rules: Rules, page: int | None) -> _Shallow:
    """Reads a picture from a file other than a TIFF."""
    image = open_picture(content, max_pixels)
    kind, several = image.format or "", getattr(image, "n_frames", 1) > 1
    notes: set[str] = set()
    if several and (page is None or kind == "MPO"):
        notes.add(OTHER_VIEWS if kind == "MPO" else FIRST_FRAME)
    elif page:
        if kind == "PNG" and bit_depth.png_bits(content) == 16:
            raise BadPicture("a 16-bit animation; save its frames as files")
        image.seek(page)
    if kind in ("JPEG", "MPO") and image.mode == "CMYK" and "adobe" not in image.info:
        raise BadPicture(
            "a CMYK JPEG without Adobe's marker, so whether 0 means no ink or full ink is unknown; "
            "save it as RGB"
        )
    if kind == "JPEG2000":
        bits, signed = bit_depth.jpeg2000_bits(content)
        if signed:
            raise BadPicture(
                "signed values have no known range; save it with unsigned 8 or 16 bits"
            )
        if bits > 8 and not image.mode.startswith("I"):
            notes.add(UPPER_BITS)
    if kind == "PPM":
        args = image.tile[0].args
        deep = image.mode == "I" or (isinstance(args, tuple) and args[1] > 255)
        if _goes_on_behind(image, content, 2 if deep else 1):
            raise BadPicture("several pictures in one file; save each as a file")
        notes |= {SCALED} if deep else set()
    if kind == "BMP" and image.mode == "RGB" and _has_fourth_bytes(image, content):
        notes.add(FOURTH_BYTE)
    return _loaded(image, lambda: _open(content), rules, notes)


def _goes_on_behind(image: ImageFile.ImageFile, content: bytes, sample_bytes: int) -> bool:
    """Whether another picture follows the first in a binary PNM file, as the format allows."""
    row = {"1": -(-image.width // 8), "RGB": 3 * image.width}.get(image.mode, image.width)
    behind = content[image.tile[0].offset + sample_bytes * row * image.height :]
    return content[:2] in (b"P4", b"P5", b"P6") and behind.lstrip()[:1] == b"P"


def _has_fourth_bytes(image: ImageFile.ImageFile, content: bytes) -> bool:
    """Whether a BMP of 32 bits per pixel without masks has values in the byte that is not a colour,
    which other programs use for transparency.
    """
    start, bits, packing = (
        int.from_bytes(content[at : at + size], "little")
        for at, size in ((10, 4), (28, 2), (30, 4))
    )
    if bits != 32 or packing:
        return False
    fourth = np.frombuffer(content[start : start + 4 * image.width * image.height], np.uint8)[3::4]
    return bool(fourth.size and fourth.min() != fourth.max())


def _read_tiff(content: bytes, max_pixels: int, rules: Rules, page: int | None) -> _Shallow:
    """Reads a picture from a TIFF."""
    notes: set[str] = set()
    if page is None:
        indices, copies = tiff.list_pages(content)
        page = indices[0]
        notes |= ({COPIES} if copies else set()) | ({FIRST_FRAME} if len(indices) > 1 else set())
    described = tiff.describe(content, page)
    notes |= {TURNED} if described.orientation in _TURNS else set()  # Pillow turns it itself
    _require_size(described.width, described.height, max_pixels)
    if not described.by_pillow:
        return _from_samples(content, described, rules, notes)

    def opened() -> ImageFile.ImageFile:
        image = _open(content)
        if described.index:
            image.seek(described.index)
        return image

    return _loaded(opened(), opened, rules, notes)


def _loaded(
    image: ImageFile.ImageFile,
    again: Callable[[], ImageFile.ImageFile],
    rules: Rules,
    notes: set[str],
) -> _Shallow:
    """The picture as Pillow loads it; the transparent colour of a deep picture becomes an alpha
    channel.
    """
    kind, largest = image.format or "", 0
    if bit_depth.is_deep(image):
        declared, alpha_key = (
            bit_depth.declared_maximum(image),
            image.info.get("transparency") if kind == "PNG" else None,
        )
        samples = bit_depth.values(image, again())
        mode = {0: "L", 2: "LA"}.get(0 if samples.ndim == 2 else samples.shape[2], image.mode)
        maximum, largest = _range(
            samples if mode in ("L", "RGB", "CMYK") else samples[..., :-1], declared, rules
        )
        shallow = bit_depth.picture(samples, maximum, mode)
        if alpha_key is not None:
            hidden = (
                (samples == np.asarray(alpha_key))
                .reshape(image.height, image.width, -1)
                .all(axis=2)
            )
            shallow.putalpha(Image.fromarray(np.where(hidden, 0, 255).astype(np.uint8)))
        notes.add(SCALED)
    elif image.mode in ("I", "F"):
        raise BadPicture(
            f"32-bit, signed or floating-point values (mode {image.mode}) have no known range; "
            "save it with unsigned 8 or 16 bits"
        )
    else:
        image.load()
        shallow = image
    # read after loading, by which a TIFF has been rotated and has lost its tag
    orientation = image.getexif().get(_ORIENTATION, 1)
    return _Shallow(
        shallow,
        notes,
        orientation,
        {str(name): value for name, value in image.info.items()},
        kind,
        largest,
    )


def _range(samples: np.ndarray, declared: int, rules: Rules) -> tuple[int, int]:
    """The white value of deep samples, and `Decoded.largest`."""
    largest = int(samples.max())
    if declared == _DEEPEST or rules.max_value is None:
        return declared or _DEEPEST, 0 if declared else largest
    if largest > rules.max_value:
        raise BadPicture(f"has the value {largest}, above --max_value={rules.max_value}")
    return rules.max_value, 0


def _from_samples(content: bytes, described: tiff.Page, rules: Rules, notes: set[str]) -> _Shallow:
    """The picture of a TIFF whose samples Pillow cannot read."""
    colours = {"L": 1, "RGB": 3, "CMYK": 4}[described.colours]
    alphas = [
        place
        for place, what in enumerate(described.extra)
        if what in (tiff.STRAIGHT, tiff.PREMULTIPLIED)
    ][:1]
    others = len(described.extra) - len(alphas)
    if others and rules.extra_bands == "refuse":
        many = (
            f"{colours + len(described.extra)} bands, of which {others} "
            f"{'is' if others == 1 else 'are'} neither colour nor transparency"
        )
        raise BadPicture(
            f"{many}; "
            f"{_mend(rules, '--extra_bands=drop leaves them out', 'save it as gray or RGB')}"
        )
    if alphas and colours == 4:
        raise BadPicture("CMYK with transparency; save it as RGB")
    samples = tiff.read_samples(content, described)
    colour_samples, type_maximum, largest = samples[..., :colours], (1 << described.bits) - 1, 0
    maximum = type_maximum
    if described.bits > 8:
        maximum, largest = _range(colour_samples, 0, rules)
        notes.add(SCALED)
    shallow = bit_depth.to_8_bit(
        maximum - colour_samples if described.inverted else colour_samples, maximum
    )
    mode = described.colours
    if alphas:
        alpha = samples[..., colours + alphas[0], np.newaxis].astype(np.uint32)
        if described.extra[alphas[0]] == tiff.PREMULTIPLIED:
            straight = np.minimum(
                (colour_samples * np.uint64(type_maximum) + alpha // 2) // np.maximum(alpha, 1),
                maximum,
            )
            shallow = bit_depth.to_8_bit(straight, maximum)
        shallow, mode = (
            np.concatenate([shallow, bit_depth.to_8_bit(alpha, type_maximum)], axis=-1),
            {"L": "LA", "RGB": "RGBA"}[mode],
        )
    if others:
        notes.add(bands_left_out(others, colours + len(described.extra)))
    image = Image.frombytes(
        mode, (described.width, described.height), np.ascontiguousarray(shallow).tobytes()
    )
    return _Shallow(
        image, notes, described.orientation, {"icc_profile": described.profile}, "TIFF", largest
    )


def bands_left_out(count: int, of: int) -> LeftOut:
    """A note on bands that are neither colours nor transparency."""
    return LeftOut(f"{count} of {of} bands, neither colour nor transparency")


def _mend(rules: Rules, by_flag: str, otherwise: str) -> str:
    return f"{by_flag}, or {otherwise}" if rules.by_flags else otherwise


def _flatten(
    image: Image.Image, rules: Rules, *, alone: bool
) -> tuple[Image.Image, Image.Image | None, set[str]]:
    """The picture as L or RGB, its alpha channel if it is to be kept, and notes.

    `alone` says that it is not one of several frames, some of which may be empty.
    """
    flat_mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    notes = {CMYK} if image.mode == "CMYK" else set()
    if not image.has_transparency_data:
        return image.convert(flat_mode), None, notes
    colours = image.convert("RGBA")
    alpha = colours.getchannel("A")
    least, most = alpha.getextrema()
    kept = alpha if rules.alpha == "keep" else None
    if least == _OPAQUE:
        return colours.convert(flat_mode), kept, notes
    if rules.alpha == "refuse":
        raise BadPicture(
            "has transparency; "
            f"{_mend(rules, '--alpha=white composites it onto white', 'save it without')}"
        )
    if rules.alpha == "drop":
        return colours.convert("RGB").convert(flat_mode), None, notes | {OPAQUE}
    if most == 0 and alone:
        mend = _mend(rules, "--alpha=drop uses its colours", "save it without")
        raise BadPicture(f"transparent everywhere, so all would be white; {mend}")
    on_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours).convert(
        flat_mode
    )
    return on_white, kept, notes | {ON_WHITE if kept is None else KEPT}
