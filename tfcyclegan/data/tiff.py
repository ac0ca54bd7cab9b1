"""Reads TIFF files according to their tags: the pictures of a file, and the samples of a picture.
Imports no TensorFlow.

Pillow misreads some layouts (planes of 16 bits as pixels, signed values as unsigned, the first
plane of five as all of them), so it only gets those that it reads correctly. tifffile reads the
rest; what neither reads reliably is refused.
"""

import contextlib
import importlib.util
import io
import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

(
    _SUBFILE,
    _OLD_SUBFILE,
    _PHOTOMETRIC,
    _PLANES,
    _INK,
    _EXTRA,
    _FORMATS,
    _COEFFICIENTS,
    _SUBSAMPLING,
    _BLACK_WHITE,
) = (*(254, 255, 262, 284, 332, 338, 339, 529, 530, 532),)
_BITS, _COMPRESSION, _FILL_ORDER, _ORIENTATION, _PROFILE = 258, 259, 266, 274, 34675
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_TIFFFILE_READS = (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK)
_OTHER_COLOURS = {
    4: "a mask",
    8: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32803: "raw sensor data",
    34892: "raw sensor data",
}
_JPEG = (6, 7)
_WITHOUT_CODECS = (1, 8, 32946)  # none, deflate
_SIGNED_KINDS = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}
PREMULTIPLIED, STRAIGHT = 1, 2
_MOST_SAMPLES = 16


class Refused(ValueError):
    """The file's content is not supported; the message gives the reason and what to do."""


@dataclass(frozen=True)
class Page:
    """One picture of a file.

    Attributes:
        index: its index in the file.
        height, width: in pixels.
        bits: bits of each sample.
        colours: "L", "RGB", "P", "CMYK" or "YCbCr".
        inverted: whether it is gray and zero is white.
        extra: the meaning of samples besides the colours: 0 unspecified, 1 premultiplied alpha, 2
            alpha.
        by_pillow: whether Pillow reads it correctly.
        orientation: the tag's value.
        profile: the ICC profile, or empty.
    """

    index: int
    height: int
    width: int
    bits: int
    colours: str
    inverted: bool
    extra: tuple[int, ...]
    by_pillow: bool
    orientation: int
    profile: bytes


def is_tiff(content: bytes) -> bool:
    """Whether the content starts like a TIFF."""
    return content[:4] in MARKS


@contextlib.contextmanager
def _opened(content: bytes | BinaryIO) -> Iterator[Any]:
    import tifffile  # slow to import, and most folders hold no TIFF

    # errors in a file are raised here
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with tifffile.TiffFile(io.BytesIO(content) if isinstance(content, bytes) else content) as file:
        yield file


def list_pages(content: bytes | BinaryIO) -> tuple[list[int], int]:
    """The indices of the pictures in the file, and the number of smaller copies and masks, which do
    not count as pictures.

    Raises:
        Refused: an ImageJ stack in which only the first picture has a header.
    """
    with _opened(content) as file:
        indices: list[int] = []
        beside = 0
        for index, page in enumerate(_chain(file)):
            copy = bool(_tag(page, _SUBFILE, 0) & 5) or _tag(page, _OLD_SUBFILE, 1) == 2
            if copy and indices:
                beside += 1
            else:
                indices.append(index)
        declared = (file.imagej_metadata or {}).get("images", 1) if file.is_imagej else 1
    if declared > len(indices) and len(indices) == 1:
        raise Refused(
            f"an ImageJ stack of {declared} pictures with a single header; save it with a header "
            "for each"
        )
    return indices, beside


def _chain(file: Any) -> Iterator[Any]:
    """The headers one after another; ValueError if they form a cycle, which tifffile would follow
    for a long time.
    """
    seen: set[int] = set()
    for index in itertools.count():
        try:
            page = file.pages[index].aspage()
        except IndexError:
            return
        if page.offset in seen:
            raise ValueError("its pages form a cycle")
        seen.add(page.offset)
        yield page


def _tag(page: Any, code: int, default: Any) -> Any:
    tag = page.tags.get(code)
    return default if tag is None else tag.value


def describe(content: bytes, index: int) -> Page:
    """The description of the picture at `index`, from its tags.

    Raises:
        Refused: with the reason.
    """
    with _opened(content) as file:
        return _describe(file.pages[index].aspage(), index)


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(int(each) for each in value) if isinstance(value, tuple) else (int(value),)


def _describe(page: Any, index: int) -> Page:
    height, width, count = int(page.imagelength), int(page.imagewidth), int(page.samplesperpixel)
    photometric, compression = int(_tag(page, _PHOTOMETRIC, _BLACK_IS_ZERO)), int(page.compression)
    all_bits = set(_numbers(_tag(page, _BITS, 1)))
    kinds = set(_numbers(_tag(page, _FORMATS, 1))) - {1, 4}
    if page.imagedepth != 1:
        raise Refused(f"a volume of {page.imagedepth} layers; save each as a picture")
    if kinds:
        kind = " and ".join(
            sorted({_SIGNED_KINDS.get(kind, f"sample format {kind}") for kind in kinds})
        )
        raise Refused(
            f"{kind} {max(all_bits)}-bit values have no known range; save it with unsigned 8 or 16 "
            "bits"
        )
    if max(all_bits) > 16:
        raise Refused(f"{max(all_bits)}-bit values have no known range; save it with 8 or 16 bits")
    if len(all_bits) > 1:
        raise Refused(
            f"samples of {', '.join(map(str, sorted(all_bits)))} bits in one picture; save it with "
            "8 or 16 bits"
        )
    if photometric not in _COLOURS:
        raise Refused(
            f"its colours are {_OTHER_COLOURS.get(photometric, f'of kind {photometric}')}; save "
            "it as gray or RGB"
        )
    (bits,) = all_bits
    colours = _COLOURS[photometric]
    extra = _numbers(_tag(page, _EXTRA, ()))[: count - colours] if count > colours else ()
    extra += (0,) * (count - colours - len(extra))  # samples whose meaning is not given
    if count < colours:
        raise Refused(f"{count} samples for {colours} colours; save it as gray or RGB")
    if photometric == _CMYK and int(_tag(page, _INK, 1)) != 1:
        raise Refused("inks other than CMYK; save it as RGB")
    if photometric == _YCBCR and compression not in _JPEG:
        _require_plain_ycbcr(page)
    if count > _MOST_SAMPLES:
        raise Refused(f"{count} bands; save only those of a gray or RGB picture")
    planar = int(_tag(page, _PLANES, 1)) == 2 and count > 1
    pillows_12 = (
        int(_tag(page, _FILL_ORDER, 1)) == 1
        and page.parent.byteorder == "<"
        and photometric == _BLACK_IS_ZERO
    )
    known_twice = bits in (8, 16) and photometric in _TIFFFILE_READS and _readable(compression)
    # Pillow reads all pages before the requested one
    by_pillow = not (known_twice and index > 0) and (
        (bits == 8 and not extra and (not planar or photometric in (_RGB, _CMYK)))
        or (
            bits == 8
            and extra == (STRAIGHT,)
            and not planar
            and photometric in (_BLACK_IS_ZERO, _RGB)
        )
        or (bits in (1, 2, 4) and count == 1)
        or (bits == 12 and count == 1 and pillows_12)
        or (
            bits == 16
            and photometric == _RGB
            and not planar
            and extra in ((), (STRAIGHT,))
            and not _readable(compression)
        )
        or (
            bits == 16
            and count == 1
            and photometric == _BLACK_IS_ZERO
            and not _readable(compression)
        )
    )
    if not by_pillow:
        _require_readable(bits, photometric, compression)
    name = {_RGB: "RGB", _PALETTE: "P", _CMYK: "CMYK", _YCBCR: "YCbCr"}.get(photometric, "L")
    orientation = int(_tag(page, _ORIENTATION, 1))
    profile = _tag(page, _PROFILE, b"")
    inverted = photometric == _WHITE_IS_ZERO
    return Page(
        index, height, width, bits, name, inverted, extra, by_pillow, orientation, bytes(profile)
    )


def _require_plain_ycbcr(page: Any) -> None:
    """Raises Refused if YCbCr outside a JPEG is subsampled or of limited range: Pillow assumes
    neither.
    """
    if _numbers(_tag(page, _SUBSAMPLING, (2, 2))) != (1, 1) or 529 in page.tags or 532 in page.tags:
        raise Refused("YCbCr with subsampling or a limited range; save it as RGB")


def _readable(compression: int) -> bool:
    """Whether tifffile can decompress it here."""
    return compression in _WITHOUT_CODECS or importlib.util.find_spec("imagecodecs") is not None


def _require_readable(bits: int, photometric: int, compression: int) -> None:
    if bits not in (8, 16) or photometric not in _TIFFFILE_READS:
        kind = {_PALETTE: "palette", _YCBCR: "YCbCr"}.get(photometric, "samples")
        raise Refused(
            f"{kind} with {bits} bits in this layout; save it as gray or RGB with 8 or 16 bits"
        )
    if not _readable(compression):
        raise Refused(
            f"this layout with compression {compression} needs imagecodecs, which is not "
            "installed; pip install imagecodecs, "
            "or save it without compression"
        )


def read_samples(content: bytes, page: Page) -> np.ndarray:
    """The samples of a picture that Pillow cannot read: uint8 or uint16 [H, W, C], as stored."""
    with _opened(content) as file:
        tags = file.pages[page.index].aspage()
        _require_whole(tags, content, page)
        samples = np.asarray(tags.asarray(maxworkers=1))
        planar = int(tags.planarconfig) == 2 and samples.ndim == 3
    samples = np.moveaxis(samples, 0, -1) if planar else samples
    return samples.reshape(page.height, page.width, -1).astype(
        np.uint8 if page.bits == 8 else np.uint16
    )


def _require_whole(tags: Any, content: bytes, page: Page) -> None:
    """Raises ValueError if data of the picture is missing, which tifffile would fill with zeros."""
    extents = list(zip(tags.dataoffsets, tags.databytecounts, strict=True))
    if not extents or any(not size or start + size > len(content) for start, size in extents):
        raise ValueError("the file ends before its picture, or lacks parts of it")
    if (
        int(tags.compression) == 1
        and sum(size for _, size in extents) * 8
        < page.height * page.width * int(tags.samplesperpixel) * page.bits
    ):
        raise ValueError("the file lacks parts of its picture")
