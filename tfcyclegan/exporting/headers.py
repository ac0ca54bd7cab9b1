"""Reads the header of an encoded picture in a graph: TensorFlow's decoders do not report
orientation, frames or transparency.

All functions take the file's bytes, which may be arbitrary: beyond the end they read zeros, and
their loops only move forward.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import tensorflow as tf

NOT_WHOLE = "not a complete JPEG, PNG, WebP, GIF or BMP"
_SEVERAL = "several frames; send one picture"
_ORIENTATION = 0x0112  # the tag of EXIF
_LONG = 4  # a type of its values
_LONGEST = 1024  # bytes read at one position
_MOST_PARTS = 2**15
"""A file with more segments, chunks or blocks is refused: each takes a hundredth of a millisecond
and may be a single byte.
"""

Values: TypeAlias = tuple[tf.Tensor, ...]
_GRAYS = bytes(value for level in range(256) for value in (level, level, level, 0))


class Header(NamedTuple):
    """Scalar tensors.

    Attributes:
        height: in pixels, int64, before the picture is turned upright.
        width: in pixels, likewise.
        exif: offset of its EXIF data, int64; 0 if there is none.
        refusal: why the picture is refused; empty if it is not.
        alpha: whether a PNG has any kind of transparency.
        deep: whether its samples have 16 bits.
    """

    height: tf.Tensor
    width: tf.Tensor
    exif: tf.Tensor
    refusal: tf.Tensor
    alpha: tf.Tensor | bool = False
    deep: tf.Tensor | bool = False


class _File:
    """The bytes of a picture by position."""

    def __init__(self, encoded: tf.Tensor):
        self.size = tf.cast(tf.strings.length(encoded), tf.int64)
        self._bytes = tf.io.decode_raw(tf.strings.join([encoded, bytes(_LONGEST)]), tf.uint8)

    def _at(self, start: tf.Tensor | int, count: int) -> tf.Tensor:
        return tf.slice(
            self._bytes, tf.reshape(tf.minimum(tf.cast(start, tf.int64), self.size), [1]), [count]
        )

    def number(self, start: tf.Tensor | int, count: int = 1, *, little: bool = False) -> tf.Tensor:
        """The unsigned number in `count` bytes at `start`, int64."""
        powers = [256**power for power in range(count)]
        return tf.reduce_sum(
            tf.cast(self._at(start, count), tf.int64)
            * tf.constant(powers if little else powers[::-1], tf.int64)
        )

    def is_at(self, start: tf.Tensor | int, text: bytes) -> tf.Tensor:
        """Whether `text` is at `start`."""
        return tf.reduce_all(self._at(start, len(text)) == list(text))

    def entries(self, exif: tf.Tensor, *, little: bool) -> tf.Tensor:
        """The first directory of EXIF data, which holds the orientation: int64 [N, 12]."""
        start = exif + self.number(exif + 4, 4, little=little)
        whole = tf.maximum((self.size - start - 2) // 12, 0)
        there = tf.minimum(self.number(start, 2, little=little), whole)
        return tf.reshape(
            tf.cast(self._bytes[start + 2 : start + 2 + 12 * there], tf.int64), [-1, 12]
        )


def orientation(encoded: tf.Tensor, exif: tf.Tensor) -> tf.Tensor:
    """The value of the tag in the EXIF data at `exif`, int64; 0 without the tag, or if `exif` is
    0.
    """
    file = _File(encoded)

    def by_order(little: bool) -> tf.Tensor:
        entries = file.entries(exif, little=little)
        low, high = (0, 1) if little else (1, 0)
        tags, kinds, shorts, longs = (
            entries[:, at + low] + 256 * entries[:, at + high]
            for at in (0, 2, 8, 8 if little else 10)
        )
        values = tf.where(tags == _ORIENTATION, tf.where(kinds == _LONG, longs, shorts), 0)
        return tf.reduce_max(tf.concat([[0], values], 0))

    def by_the_file() -> tf.Tensor:
        return tf.cond(file.is_at(exif, b"II"), lambda: by_order(True), lambda: by_order(False))

    return tf.cond(exif > 0, by_the_file, lambda: tf.constant(0, tf.int64))


def _refusal(*reasons: tuple[tf.Tensor, str]) -> tf.Tensor:
    """The first reason that applies, otherwise an empty string."""
    found = tf.constant("")
    for holds, reason in reversed(reasons):
        found = tf.where(holds, reason, found)
    return found


def _walk(goes_on: Callable[..., tf.Tensor], step: Callable[..., Values], start: Values) -> Values:
    """Walks through the parts of a file; returns the values after the first, and finally whether
    there were too many parts.
    """
    parts, _, *found = tf.while_loop(
        lambda parts, *values: (parts < _MOST_PARTS) & goes_on(*values),
        lambda parts, *values: (parts + 1, *step(*values)),
        (0, *start),
    )
    return (*found, parts >= _MOST_PARTS)


def of_jpeg(encoded: tf.Tensor) -> Header:
    """CMYK is refused: TensorFlow converts it to RGB with other rounding than Pillow, and inverts
    it without Adobe's marker.
    """
    file = _File(encoded)

    def goes_on(at: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return (at + 4 <= file.size) & (file.number(at) == 0xFF) & ~file.is_at(at, b"\xff\xda")

    def step(at: tf.Tensor, exif: tf.Tensor, frame: tf.Tensor) -> Values:
        marker = file.number(at + 1)
        of_exif = (marker == 0xE1) & file.is_at(at + 4, b"Exif\0\0") & (exif == 0)
        of_frame = (marker >= 0xC0) & (marker <= 0xCF) & (marker % 4 != 0) | (marker == 0xC0)
        # further 0xFF bytes are padding
        behind = tf.where(marker == 0xFF, at + 1, at + 2 + file.number(at + 2, 2))
        return behind, tf.where(of_exif, at + 10, exif), tf.where(of_frame, at, frame)

    none = tf.constant(0, tf.int64)
    exif, frame, many = _walk(goes_on, step, (tf.constant(2, tf.int64), none, none))
    refusal = _refusal(
        (many, NOT_WHOLE), (file.number(frame + 9) == 4, "a JPEG in CMYK; save it in RGB")
    )
    return Header(file.number(frame + 5, 2), file.number(frame + 7, 2), exif, refusal)


def of_png(encoded: tf.Tensor) -> Header:
    """Orientation is read from eXIf, as in the standard; files that only have it elsewhere are
    refused.
    """
    file = _File(encoded)

    def goes_on(at: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return (at + 12 <= file.size) & ~file.is_at(at + 4, b"IEND")

    def step(
        at: tf.Tensor, exif: tf.Tensor, alpha: tf.Tensor, several: tf.Tensor, hidden: tf.Tensor
    ) -> Values:
        kind, content = at + 4, at + 8
        exif = tf.where(file.is_at(kind, b"eXIf"), content, exif)
        several |= file.is_at(kind, b"acTL") & (file.number(content, 4) > 1)
        hidden |= file.is_at(content, b"Raw profile type exif\0") | file.is_at(
            content, b"XML:com.adobe.xmp\0\1"
        )
        return (
            content + file.number(at, 4) + 4,
            exif,
            alpha | file.is_at(kind, b"tRNS"),
            several,
            hidden,
        )

    start, no = tf.constant(8, tf.int64), tf.constant(False)
    exif, transparent, several, hidden, many = _walk(
        goes_on, step, (start, tf.constant(0, tf.int64), no, no, no)
    )
    bits, colour_type = file.number(24), file.number(25)
    refusal = _refusal(
        (many, NOT_WHOLE),
        (several, f"a PNG of {_SEVERAL}"),
        (hidden, "a PNG whose orientation cannot be read here; save it again"),
        # Pillow compares its scaled values with the unscaled key in the file
        (
            transparent & (colour_type == 0) & (bits < 8) & (bits > 1),
            "a PNG of 2 or 4 bits with a transparent gray; save it in 8 bits",
        ),
    )
    alpha = transparent | (colour_type == 4) | (colour_type == 6)
    return Header(file.number(20, 4), file.number(16, 4), exif, refusal, alpha, bits == 16)


def of_webp(encoded: tf.Tensor) -> Header:
    """Headers of the simple and the extended form."""
    file = _File(encoded)

    def goes_on(at: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return at + 8 <= file.size

    def step(at: tf.Tensor, exif: tf.Tensor, frames: tf.Tensor) -> Values:
        content, length = at + 8, file.number(at + 4, 4, little=True)
        start = tf.where(file.is_at(content, b"Exif\0\0"), content + 6, content)
        return (
            content + length + length % 2,
            tf.where(file.is_at(at, b"EXIF"), start, exif),
            frames + tf.cast(file.is_at(at, b"ANMF"), tf.int64),
        )

    start, none = tf.constant(12, tf.int64), tf.constant(0, tf.int64)
    exif, frames, many = _walk(goes_on, step, (start, none, none))
    lossless = file.number(21, 4, little=True)  # 14 bits of width - 1, then of height - 1
    forms = (
        (b"VP8X", 1 + file.number(27, 3, little=True), 1 + file.number(24, 3, little=True)),
        (b"VP8L", 1 + lossless // 2**14 % 2**14, 1 + lossless % 2**14),
        (b"VP8 ", file.number(28, 2, little=True) % 2**14, file.number(26, 2, little=True) % 2**14),
    )
    height = tf.add_n([tf.where(file.is_at(12, form), size, 0) for form, size, _ in forms])
    width = tf.add_n([tf.where(file.is_at(12, form), size, 0) for form, _, size in forms])
    return Header(
        height, width, exif, _refusal((many, NOT_WHOLE), (frames > 1, f"a WebP of {_SEVERAL}"))
    )


def of_gif(encoded: tf.Tensor) -> Header:
    """Transparency is refused, since TensorFlow's decoder returns none, and so is a frame smaller
    than the picture, whose surroundings differ.
    """
    file = _File(encoded)

    def table(flags: tf.Tensor) -> tf.Tensor:
        sizes = 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), flags % 8)
        return tf.where(flags >= 128, sizes, 0)

    def goes_on(at: tf.Tensor, _: tf.Tensor, frames: tf.Tensor, *__: tf.Tensor) -> tf.Tensor:
        return (at < file.size) & (frames < 2) & (file.number(at) != ord(";"))

    def in_blocks(at: tf.Tensor, frames: tf.Tensor, apart: tf.Tensor) -> Values:
        length = file.number(at)
        return at + 1 + length, length > 0, frames, apart

    def at_block(at: tf.Tensor, frames: tf.Tensor, apart: tf.Tensor) -> Values:
        def frame() -> Values:
            partial = (file.number(at + 1, 4) != 0) | (file.number(at + 5, 4) != file.number(6, 4))
            return (
                at + 11 + table(file.number(at + 9)),
                frames + 1,
                apart | ((frames == 0) & partial),
            )

        def extension() -> Values:
            transparent = file.is_at(at, b"!\xf9") & (file.number(at + 3) % 2 == 1) & (frames == 0)
            return at + 2, frames, apart | transparent

        at, frames, apart = tf.cond(file.is_at(at, b","), frame, extension)
        return at, tf.constant(True), frames, apart

    def step(at: tf.Tensor, inside: tf.Tensor, frames: tf.Tensor, apart: tf.Tensor) -> Values:
        return tf.cond(
            inside, lambda: in_blocks(at, frames, apart), lambda: at_block(at, frames, apart)
        )

    start, no = 13 + table(file.number(10)), tf.constant(False)
    _, frames, apart, many = _walk(goes_on, step, (start, no, tf.constant(0, tf.int64), no))
    refusal = _refusal(
        (many, NOT_WHOLE),
        (frames > 1, f"a GIF of {_SEVERAL}"),
        (apart, "a GIF with transparency; save it as PNG"),
    )
    height, width = file.number(8, 2, little=True), file.number(6, 2, little=True)
    return Header(height, width, tf.constant(0, tf.int64), refusal)


def of_bmp(encoded: tf.Tensor) -> Header:
    """Accepts 24 and 32 bits per pixel, or 8-bit gray, without compression; TensorFlow supports
    neither palettes nor masks.
    """
    file = _File(encoded)
    header, bits = file.number(14, 4, little=True), file.number(28, 2, little=True)
    plain = ((header == 40) | (header == 108) | (header == 124)) & (file.number(30, 4) == 0)
    gray = (
        (bits == 8)
        & file.is_at(tf.minimum(14 + header, file.size), _GRAYS)
        & (file.number(10, 4, little=True) == 14 + header + 1024)
    )
    refusal = _refusal(
        (
            ~plain | ~(gray | (bits == 24) | (bits == 32)),
            "a BMP with a palette, masks or compression; save it as PNG",
        )
    )
    signed = file.number(22, 4, little=True)
    # negative for pictures that start with the top row
    height = tf.minimum(signed, 2**32 - signed)
    return Header(height, file.number(18, 4, little=True), tf.constant(0, tf.int64), refusal)


def of_others(_: tf.Tensor) -> Header:
    """The header of any other format."""
    none = tf.constant(0, tf.int64)
    return Header(none, none, none, tf.constant(NOT_WHOLE))
