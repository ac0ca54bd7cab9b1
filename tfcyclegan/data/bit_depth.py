"""Pictures of more than 8 bits per sample: how they are recognised, their values, and their
conversion to 8 bits.
Imports no TensorFlow.
"""

import re
import sys

import numpy as np
from PIL import Image, ImageFile

_TIFF_BITS = 258
_DEEPEST = 65535
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_SIZE_MARK = b"\xff\x4f\xff\x51"


def raw_mode(image: ImageFile.ImageFile) -> str:
    """Pillow's name for the layout of the samples in the file, such as "RGB;16B"."""
    if not image.tile:
        return ""
    arguments = image.tile[0].args
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def png_bits(content: bytes) -> int:
    """Bits per sample of a PNG file, from its header, which the format requires to be the first
    chunk.
    """
    return content[24]


def bits_in_file(image: ImageFile.ImageFile, content: bytes) -> int:
    """Bits per sample as stored, of which Pillow may keep the upper 8; 8 where none are told."""
    if image.format == "PNG":
        return png_bits(content)
    if image.format == "TIFF":
        return max(map(int, image.tag_v2.get(_TIFF_BITS, (1,))))  # type: ignore[attr-defined]
    if image.format == "JPEG2000":
        return jpeg2000_bits(content)[0]
    if image.format == "PPM" and image.tile:
        args = image.tile[0].args
        return int(args[1]).bit_length() if isinstance(args, tuple) else 8
    return 8


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether the file has unsigned samples of 9 to 16 bits that Pillow can read."""
    pgm_16 = image.format == "PPM" and image.mode == "I"
    return (
        image.mode.startswith("I;16")
        or pgm_16
        or re.search(r";16[BLN]$", raw_mode(image)) is not None
    )


def declared_maximum(image: ImageFile.ImageFile) -> int:
    """The value of white that the file declares: from a TIFF's bit depth; for a PGM the full range
    of 16 bits, to which Pillow scales it; otherwise 0.
    """
    if image.format == "TIFF":
        bits = int(image.tag_v2.get(_TIFF_BITS, (16,))[0])  # type: ignore[attr-defined]
        return (1 << bits) - 1 if bits < 16 else 0
    scaled = image.format == "PPM" and bool(image.tile) and image.tile[0].codec_name != "raw"
    return _DEEPEST if scaled else 0


def values(image: ImageFile.ImageFile, again: ImageFile.ImageFile) -> np.ndarray:
    """The samples of a deep picture, uint32 [H, W] or [H, W, C].

    Pillow keeps 16 bit for gray only: of a colour sample it takes the high byte. The same file read
    with the other byte order gives the low one.

    Args:
        image: opened, not loaded.
        again: the same file, opened a second time.
    """
    kind = raw_mode(image)
    if kind == "LA;16B":
        # two samples of two bytes are stored like four of one byte
        image._mode, image.tile = "RGBA", [tile._replace(args="RGBA") for tile in image.tile]
        image.load()
        four = np.asarray(image).astype(np.uint32)
        return four[..., (0, 2)] << 8 | four[..., (1, 3)]
    if image.mode.startswith("I"):
        image.load()
        return np.asarray(image).astype(np.uint32)
    other = kind[:-1] + _OTHER_BYTE[kind[-1]]
    again.tile = [
        tile._replace(args=(other, *tile.args[1:]) if isinstance(tile.args, tuple) else other)
        for tile in again.tile
    ]
    again.load()
    image.load()
    return np.asarray(image).astype(np.uint32) << 8 | np.asarray(again)


def to_8_bit(samples: np.ndarray, maximum: int) -> np.ndarray:
    """Values 0..maximum to uint8, rounded to the nearest."""
    return ((samples.astype(np.uint32) * 255 + maximum // 2) // maximum).astype(np.uint8)


def picture(samples: np.ndarray, maximum: int, mode: str) -> Image.Image:
    """The picture of samples [H, W] or [H, W, C] in 8 bits; with two or four samples, the last one
    is alpha, in the type's full range.
    """
    if samples.ndim == 2:
        return Image.fromarray(to_8_bit(samples, maximum))
    alpha = mode in ("LA", "RGBA")
    shallow = (
        to_8_bit(samples, maximum)
        if not alpha
        else np.concatenate(
            [to_8_bit(samples[..., :-1], maximum), to_8_bit(samples[..., -1:], _DEEPEST)], axis=-1
        )
    )
    return Image.frombytes(mode, (samples.shape[1], samples.shape[0]), shallow.tobytes())


def jpeg2000_bits(content: bytes) -> tuple[int, bool]:
    """The largest number of bits per sample among a JPEG 2000 file's components, and whether any is
    signed.
    """
    place = content.find(_SIZE_MARK)
    if place < 0:
        return 8, False
    count = int.from_bytes(content[place + 40 : place + 42], "big")
    sizes = content[place + 42 : place + 42 + 3 * count : 3]
    return max(((size & 127) + 1 for size in sizes), default=8), any(size & 128 for size in sizes)
