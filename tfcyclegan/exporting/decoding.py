"""Decodes encoded pictures in a graph, to the same levels as `data.intake`, or refuses them with a
reason.

`tf.io.decode_image` differs from the reader of the training data: its JPEGs are up to 7 levels off,
it uses the high byte of 16 bits, drops transparency, ignores the orientation and uses the first of
several frames.
"""

from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

from tfcyclegan.data.intake import USUAL, Rules
from tfcyclegan.exporting import headers

MAX_PIXELS = 2**24
"""Larger pictures are refused: the features of a small file's pixels may exceed any memory."""

_FORMATS = (  # signatures: offset and bytes
    (0, b"\xff\xd8\xff", headers.of_jpeg),
    (0, b"\x89PNG\r\n\x1a\n", headers.of_png),
    (8, b"WEBP", headers.of_webp),
    (0, b"GIF8", headers.of_gif),
    (0, b"BM", headers.of_bmp),
)
_DEEPEST = 65535
_XMP_TURNED = r"(?s)\C*tiff:Orientation(=\"|>)[2-8]\C*"


Read: TypeAlias = tuple[tf.Tensor, tf.Tensor]
"""A picture uint8 [H, W, 3], [0, 0, 3] if it cannot be decoded; and the reason of refusal, or an
empty string.
"""


def decode(encoded: tf.Tensor, channels: int, rules: Rules = USUAL) -> tuple[tf.Tensor, tf.Tensor]:
    """An upright picture, uint8 [H, W, channels], and an empty string; or any picture and the
    reason of refusal.

    Args:
        encoded: the file's bytes.
        channels: 1 or 3.
        rules: the rules by which training pictures were read.
    """
    kind = _format_of(encoded)
    header = tf.switch_case(
        kind,
        [
            lambda read=read: read(encoded)
            for read in (*(one[2] for one in _FORMATS), headers.of_others)
        ],
    )
    orientation = headers.orientation(encoded, header.exif)
    refusal = _refusal_by(header, orientation, encoded)
    nothing = tf.zeros([0, 0, 3], tf.uint8)
    decoders = (
        _jpeg,
        lambda content: _png(content, header, rules),
        lambda content: _webp(content, rules),
        _gif,
        _bmp,
    )
    readable = [lambda decoder=decoder: decoder(encoded) for decoder in decoders]
    unread = (nothing, tf.constant(""))
    image, later = tf.cond(
        refusal == "", lambda: tf.switch_case(kind, [*readable, lambda: unread]), lambda: unread
    )
    image = _turned(image, orientation)
    damaged = tf.where(tf.size(image) == 0, headers.NOT_WHOLE, "")
    return image if channels == 3 else _gray(image), _first(refusal, later, damaged)


def _first(*refusals: tf.Tensor) -> tf.Tensor:
    """The first non-empty refusal."""
    found = refusals[-1]
    for refusal in refusals[-2::-1]:
        found = tf.where(refusal != "", refusal, found)
    return found


def _or_nothing(
    decoder: Callable[[tf.Tensor], tf.Tensor],
    content: tf.Tensor,
    channels: int,
    dtype: tf.DType = tf.uint8,
) -> tf.Tensor:
    """The result of `decoder` for `content`, [H, W, channels], or [0, 0, channels] if it fails.

    Only a data set can continue after an operation's error; nothing else in a graph can. Its map
    function is prepared at each call, so it should be small.
    """
    mapped = tf.data.Dataset.from_tensors(content).map(
        lambda one: tf.ensure_shape(decoder(one), [None, None, channels])
    )
    return mapped.ignore_errors().reduce(tf.zeros([0, 0, channels], dtype), lambda _, image: image)


def _format_of(content: tf.Tensor) -> tf.Tensor:
    """The index in _FORMATS, or their number if none matches."""
    start = tf.strings.join([tf.strings.substr(content, 0, 12), bytes(12)])
    found = [
        tf.equal(tf.strings.substr(start, place, len(magic)), magic) for place, magic, _ in _FORMATS
    ]
    return tf.reduce_min(tf.where(tf.stack(found), tf.range(len(found)), len(found)))


def _refusal_by(header: headers.Header, orientation: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
    size = tf.strings.format(
        "{}x{} pixels, more than {}", (header.height, header.width, MAX_PIXELS)
    )
    large = tf.where(header.height * header.width > MAX_PIXELS, size, "")
    by_xmp = (orientation == 0) & tf.strings.regex_full_match(content, _XMP_TURNED)
    turned = tf.where(
        by_xmp, "its orientation is only in XMP, which cannot be read here; rotate it upright", ""
    )
    return _first(header.refusal, large, turned)


def _jpeg(content: tf.Tensor) -> Read:
    return _or_nothing(
        lambda one: tf.io.decode_jpeg(one, 3, dct_method="INTEGER_ACCURATE"), content, 3
    ), tf.constant("")


def _png(content: tf.Tensor, header: headers.Header, rules: Rules) -> Read:
    """Four channels are requested only if there are four: the alpha that the decoder adds to 1, 2
    and 4 bits is not 255.
    """

    def of_channels(channels: int) -> Read:
        def decoded(dtype: tf.DType) -> tf.Tensor:
            return _or_nothing(
                lambda one: tf.io.decode_png(one, channels, dtype), content, channels, dtype
            )

        return tf.cond(
            header.deep,
            lambda: _scaled(decoded(tf.uint16), rules.max_value),
            lambda: (decoded(tf.uint8), tf.constant("")),
        )

    def with_alpha() -> Read:
        image, above = of_channels(4)
        flat, transparent = _flat(image, rules)
        return flat, _first(above, transparent)

    return tf.cond(header.alpha, with_alpha, lambda: of_channels(3))


def _webp(content: tf.Tensor, rules: Rules) -> Read:
    def with_alpha(one: tf.Tensor) -> tf.Tensor:
        # for 3 channels the decoder refuses a file with transparency, for 4 a file without
        image = tf.io.decode_image(one, channels=0, expand_animations=False)
        opaque = tf.fill(
            tf.concat([tf.shape(image)[:2], [4 - tf.shape(image)[2]]], 0),
            tf.constant(255, tf.uint8),
        )
        return tf.concat([image, opaque], 2)

    return _flat(_or_nothing(with_alpha, content, 4), rules)


def _gif(content: tf.Tensor) -> Read:
    return _or_nothing(lambda one: tf.io.decode_gif(one)[0], content, 3), tf.constant("")


def _bmp(content: tf.Tensor) -> Read:
    """Decodes one channel, which is gray, or three or four, of which the fourth is unused."""

    def colours(one: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_bmp(one)
        return tf.gather(image, tf.minimum([0, 1, 2], tf.shape(image)[2] - 1), axis=2)

    return _or_nothing(colours, content, 3), tf.constant("")


def _scaled(deep: tf.Tensor, max_value: int | None) -> Read:
    """uint16 [H, W, 3 or 4] to uint8, rounded to the nearest level; `max_value` is white; alpha has
    the type's full range.
    """
    samples, white = tf.cast(deep, tf.int32), max_value or _DEEPEST
    scaled = (samples * 255 + white // 2) // white
    if deep.shape[2] == 4 and max_value:
        scaled = tf.concat(
            [scaled[..., :3], (samples[..., 3:] * 255 + _DEEPEST // 2) // _DEEPEST], 2
        )
    largest = tf.reduce_max(tf.concat([[0], tf.reshape(samples[..., :3], [-1])], 0))
    above = tf.strings.format(
        "the value {}, above --max_value={}, with which training pictures were read",
        (largest, white),
    )
    return tf.cast(scaled, tf.uint8), tf.where(largest > white, above, "")


def _flat(image: tf.Tensor, rules: Rules) -> Read:
    """uint8 [H, W, 4] to [H, W, 3]."""
    if rules.alpha == "drop":
        return image[..., :3], tf.constant("")
    if rules.alpha == "refuse":
        transparent = tf.reduce_any(image[..., 3] < 255)
        return image[..., :3], tf.where(
            transparent, "has transparency, but the training pictures had none", ""
        )
    unseen = tf.reduce_all(image[..., 3] == 0) & (tf.size(image) > 0)
    return _on_white(image), tf.where(unseen, "transparent everywhere, so all would be white", "")


def _on_white(image: tf.Tensor) -> tf.Tensor:
    """uint8 [H, W, 4] to [H, W, 3], in the integer arithmetic of Pillow's `alpha_composite`, which
    has seven fractional bits.
    """
    colours, alpha = tf.cast(image[..., :3], tf.int32), tf.cast(image[..., 3:], tf.int32)
    blended = (colours * alpha + 255 * (255 - alpha) + 128) * 128
    return tf.cast((blended // 256 + blended) // 256 // 128, tf.uint8)


def _gray(image: tf.Tensor) -> tf.Tensor:
    """uint8 [H, W, 3] to [H, W, 1], in the integer arithmetic of Pillow's `convert` (ITU-R
    601-2).
    """
    red, green, blue = tf.unstack(tf.cast(image, tf.int32), 3, axis=-1)
    return tf.cast((19595 * red + 38470 * green + 7471 * blue + 2**15) // 2**16, tf.uint8)[
        ..., tf.newaxis
    ]


def _turned(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Rotates the picture upright according to its EXIF tag."""

    def where(values: tuple[int, ...], turn: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        return tf.cond(
            tf.reduce_any(orientation == tf.constant(values, tf.int64)),
            lambda: turn(image),
            lambda: image,
        )

    image = where((5, 6, 7, 8), lambda image: tf.transpose(image, [1, 0, 2]), image)
    image = where((2, 3, 6, 7), lambda image: tf.reverse(image, [1]), image)
    return where((3, 4, 7, 8), lambda image: tf.reverse(image, [0]), image)
