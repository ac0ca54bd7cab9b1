"""Any picture file -> one upright 8-bit grayscale or RGB picture, or the reason why not. Imports no TensorFlow.

Every file is decoded to its last pixel, so that what is damaged shows here, where the file has a name, and not in training.

- 16 bit a channel is scaled to 8 by round(value / 257), colour as well as gray; a TIFF of 12 bit by its own maximum.
- Transparency (alpha, a transparent palette entry or colour) is laid on white.
- The orientation of EXIF or XMP is applied. CMYK, palette, YCbCr become RGB by Pillow's plain formulas; ICC profiles are not applied.
- Of a file with several frames or pages the first is taken.
- 32-bit, floating-point and signed values have no known range: refused.
- An upright 8-bit grayscale or RGB JPEG or PNG keeps its bytes; all else becomes PNG, which loses nothing.
"""

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.Image import Transpose

from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.records import Picture

# A list, not whatever Pillow opens: some of its plugins start other programs (EPS) or look at files beside this one.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "AVIF", "TGA")

SCALED = "16 bit, scaled to 8"
ON_WHITE = "transparent, laid on white"
FIRST_FRAME = "several frames or pages, the first one taken"

_ORIENTATION = 0x0112
_TURNS = {  # value of the tag -> what sets the picture upright; 1 is upright, other numbers mean nothing
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_TIFF_BITS, _TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


class BadPicture(ValueError):
    """The file holds no picture that can be used; the message is the reason, on one line."""


@dataclass(frozen=True)
class Decoded:
    """A picture as it is seen.

    Attributes:
        image: upright, of mode L or RGB.
        notes: what was done to it that its owner should know: SCALED, ON_WHITE, FIRST_FRAME.
        kept: the file's own bytes where they are stored as they are, else empty.
        kept_format: "jpeg" or "png" then.
    """

    image: Image.Image
    notes: frozenset[str]
    kept: bytes = b""
    kept_format: str = ""

    def picture(self, filename: str, size: Size | None = None, interpolation: str = "bicubic") -> Picture:
        """The picture to store under `filename`, resized to `size`; resized ones and those whose bytes are not kept become PNG."""
        resized = self.image if size is None else images.resize(self.image, size, interpolation)
        if self.kept and resized is self.image:
            return Picture(self.kept, self.kept_format, filename, resized.height, resized.width)
        return Picture(encode_png(resized), "png", filename, resized.height, resized.width)


def take(content: bytes, filename: str, *, max_pixels: int) -> tuple[Picture, frozenset[str]]:
    """The picture to store under `filename`, and what was done to it; the arguments and errors are those of `decode`."""
    decoded = decode(content, max_pixels=max_pixels)
    return decoded.picture(filename), decoded.notes


def decode(content: bytes, *, max_pixels: int) -> Decoded:
    """Decodes `content` fully.

    Args:
        content: the file's bytes.
        max_pixels: a picture of more pixels is refused before it is decoded.

    Raises:
        BadPicture: with the reason.
    """
    with reading(content):
        return _decode(content, max_pixels)


def encode_png(image: Image.Image) -> bytes:
    """The picture as PNG, without the profiles and transparent colours of the file that it came from."""
    image.info.clear()
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


@contextlib.contextmanager
def reading(content: bytes) -> Iterator[None]:
    """Turns whatever the decoding of `content` raises into BadPicture."""
    if not content:
        raise BadPicture("the file is empty")
    try:
        yield
    except (BadPicture, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise BadPicture("text, not a picture" if _is_text(content) else "not a picture, or damaged at its start") from error
    except Exception as error:  # Pillow's decoders raise nearly every type on damaged input; each means the same here
        raise BadPicture(f"damaged: {' '.join(str(error).split()) or type(error).__name__}") from error


def _is_text(content: bytes) -> bool:
    head = content[:256]
    return b"\0" not in head and head.decode("utf-8", "replace").count("\ufffd") <= 1


def open_picture(content: bytes, max_pixels: int) -> ImageFile.ImageFile:
    """The picture with its header read and its checksums verified, which decoding skips and TensorFlow insists on."""
    image = _open(content)
    width, height = image.size
    if width * height > max_pixels:
        raise BadPicture(f"{width}x{height} is {width * height} pixels, more than --max_pixels={max_pixels}")
    if image.format == "PNG":
        _open(content).verify()
    return image


def _open(content: bytes) -> ImageFile.ImageFile:
    Image.init()  # else formats outside Pillow's first few are unknown here
    image = Image.open(io.BytesIO(content), formats=FORMATS)
    assert isinstance(image, ImageFile.ImageFile)
    return image


def _decode(content: bytes, max_pixels: int) -> Decoded:
    image = open_picture(content, max_pixels)
    stored_format = image.format
    several = getattr(image, "n_frames", 1) > 1
    deep = _is_deep(image)
    if not deep and image.mode in ("I", "F"):
        raise BadPicture(f"values of 32 bit, signed or floating-point (mode {image.mode}) have no known range; save it as 8 or 16 bit")
    bits = png_bits(content) if stored_format == "PNG" else 8
    if deep:
        shallow = _scale(image, content)
    else:
        image.load()
        shallow = image
    flat, transparent = _flatten(shallow)
    turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))  # after loading: TIFF is turned and loses its tag by then
    notes = {note for note, holds in ((SCALED, deep), (ON_WHITE, transparent), (FIRST_FRAME, several)) if holds}

    keeps_bytes = not notes and turn is None and bits == 8 and image.mode in ("L", "RGB")
    if keeps_bytes and stored_format in ("JPEG", "PNG"):
        return Decoded(flat, frozenset(), content, stored_format.lower())
    return Decoded(flat if turn is None else flat.transpose(turn), frozenset(notes))


def png_bits(content: bytes) -> int:
    """Bits a sample, from the header: the first chunk by the format's rule."""
    return content[24]


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """How the samples lie in the file, in Pillow's words, such as "RGB;16B"."""
    if not image.tile:
        return ""
    arguments = image.tile[0].args
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether the file has unsigned samples of 9 to 16 bit."""
    pgm_16 = image.format == "PPM" and image.mode == "I"
    return image.mode.startswith("I;16") or pgm_16 or re.search(r";16[BLN]$", _raw_mode(image)) is not None


def _scale(image: ImageFile.ImageFile, content: bytes) -> Image.Image:
    """The picture with 8 bit a sample, rounded to the nearest; a transparent colour becomes an alpha channel.

    Pillow keeps 16 bit for gray only: of a colour sample it takes the high byte. The same file read with the other order of
    bytes gives the low one.
    """
    raw_mode, alpha_key, maximum = _raw_mode(image), image.info.get("transparency"), 65535
    if raw_mode == "LA;16B":
        # two samples of two bytes lie as four of one
        image._mode, image.tile = "RGBA", [tile._replace(args="RGBA") for tile in image.tile]
        image.load()
        four = np.asarray(image).astype(np.uint32)
        deep = four[..., (0, 2)] << 8 | four[..., (1, 3)]
    elif image.mode.startswith("I"):
        image.load()
        deep = np.asarray(image).astype(np.uint32)
        if image.format == "TIFF":
            tags = image.tag_v2  # type: ignore[attr-defined]
            maximum = (1 << tags.get(_TIFF_BITS, (16,))[0]) - 1
            if tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
                deep = maximum - deep
    else:
        low = _open(content)
        for tile_index, tile in enumerate(low.tile):
            other = raw_mode[:-1] + _OTHER_BYTE[raw_mode[-1]]
            low.tile[tile_index] = tile._replace(args=(other, *tile.args[1:]) if isinstance(tile.args, tuple) else other)
        low.load()
        image.load()
        deep = np.asarray(image).astype(np.uint32) << 8 | np.asarray(low)
    mode = {0: "L", 2: "LA"}.get(0 if deep.ndim == 2 else deep.shape[2], image.mode)
    scaled = Image.frombytes(mode, image.size, ((deep * 255 + maximum // 2) // maximum).astype(np.uint8).tobytes())
    if alpha_key is not None and image.format == "PNG":
        hidden = (deep == np.asarray(alpha_key)).reshape(image.height, image.width, -1).all(axis=2)
        scaled.putalpha(Image.fromarray(np.where(hidden, 0, 255).astype(np.uint8)))
    return scaled


def _flatten(image: Image.Image) -> tuple[Image.Image, bool]:
    """The picture as L or RGB on white, and whether it had any means of transparency."""
    flat_mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if not image.has_transparency_data:
        return image.convert(flat_mode), False
    colours = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours).convert(flat_mode), True
