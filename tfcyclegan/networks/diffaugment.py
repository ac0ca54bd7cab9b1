"""Differentiable augmentation of a discriminator's input (Zhao et al. 2020, "Differentiable
Augmentation for Data-Efficient GAN Training").

Images are floats [B, H, W, C] in [-1, 1]; results may leave that range, and areas outside a picture
become 0. Each image of a batch has its own draws. Gradients pass through to the images.
"""

from collections.abc import Sequence

import tensorflow as tf

from tfcyclegan.config.batches import DIFFAUGMENT

COLOUR, TRANSLATION, CUTOUT = DIFFAUGMENT
_STEPS = 1 << 24  # of uniform draws: the resolution of float32


def diffaugment(images: tf.Tensor, policy: Sequence[str], seed: tf.Tensor) -> tf.Tensor:
    """Applies the parts of `policy` to the images, always in the paper's order.

    Colour: brightness + U(-0.5, 0.5), saturation * U(0, 2), contrast * U(0.5, 1.5). Translation: by
    up to an eighth of either side, uniformly in whole pixels. Cutout: a window of half of either
    side, its centre anywhere in the image.

    Args:
        images: floats [B, H, W, C].
        policy: any of COLOUR, TRANSLATION, CUTOUT.
        seed: integers [2]; it determines the draws.
    """
    batch, height, width = tf.unstack(tf.shape(images)[:3])

    def whole(stream: int, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
        """Integers [B] drawn from `low` to `high`, both included."""
        own = tf.random.experimental.stateless_fold_in(_positive(seed), stream)
        return tf.random.stateless_uniform([batch], _positive(own), low, high + 1, tf.int32)

    def uniform(stream: int, low: float, high: float) -> tf.Tensor:
        # from integers, since XLA draws other fractions
        return low + (high - low) * tf.cast(whole(stream, 0, _STEPS - 1), tf.float32) / _STEPS

    if COLOUR in policy:
        images = recoloured(
            images, uniform(0, -0.5, 0.5), uniform(1, 0.0, 2.0), uniform(2, 0.5, 1.5)
        )
    if TRANSLATION in policy:
        down, right = (height + 4) // 8, (width + 4) // 8
        images = translated(images, whole(3, -down, down), whole(4, -right, right))
    if CUTOUT in policy:
        rows, columns = (height + 1) // 2, (width + 1) // 2
        # an even window has its centre between two pixels
        centre_y = whole(5, 0, height - rows % 2)
        centre_x = whole(6, 0, width - columns % 2)
        images = cut_out(images, centre_y - rows // 2, centre_x - columns // 2, rows, columns)
    return images


def _positive(seed: tf.Tensor) -> tf.Tensor:
    """The seed without its signs, since XLA draws differently from negative ones."""
    return tf.bitwise.bitwise_and(seed, tf.constant(0x7FFFFFFF, seed.dtype))


def recoloured(
    images: tf.Tensor, brightness: tf.Tensor, saturation: tf.Tensor, contrast: tf.Tensor
) -> tf.Tensor:
    """`brightness` added; then each pixel's distance to the mean of its channels, then to that of
    the image, multiplied by `saturation` and `contrast`; all three [B].
    """
    brightness, saturation, contrast = (
        tf.cast(draw, images.dtype)[:, tf.newaxis, tf.newaxis, tf.newaxis]
        for draw in (brightness, saturation, contrast)
    )
    images += brightness
    gray = tf.reduce_mean(images, axis=3, keepdims=True)
    images = gray + (images - gray) * saturation
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return mean + (images - mean) * contrast


def translated(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Each image moved by `down` and `right` pixels, integers [B]; 0 comes in at the other side."""
    height, width = tf.unstack(tf.shape(images)[1:3])
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
    rows = tf.range(height) + 1 - down[:, tf.newaxis]
    columns = tf.range(width) + 1 - right[:, tf.newaxis]
    moved = tf.gather(padded, tf.clip_by_value(rows, 0, height + 1), axis=1, batch_dims=1)
    moved = tf.gather(moved, tf.clip_by_value(columns, 0, width + 1), axis=2, batch_dims=1)
    return tf.ensure_shape(moved, images.shape)


def cut_out(
    images: tf.Tensor, top: tf.Tensor, left: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor
) -> tf.Tensor:
    """Sets a window of `rows` x `columns` pixels at (`top`, `left`), integers [B], to 0, as far as
    it lies in the image.
    """
    height, width = tf.unstack(tf.shape(images)[1:3])
    y, x = tf.range(height) - top[:, tf.newaxis], tf.range(width) - left[:, tf.newaxis]
    in_rows, in_columns = (y >= 0) & (y < rows), (x >= 0) & (x < columns)
    hidden = in_rows[:, :, tf.newaxis] & in_columns[:, tf.newaxis, :]
    return tf.where(hidden[..., tf.newaxis], tf.zeros([], images.dtype), images)
