"""Missing measurements in a training step: pixels without a measurement contribute no loss and no
gradient.

Pictures have NaN there. Networks see GAP in each missing channel. Losses and discriminators see GAP
in *all* channels of a pixel if any is missing, in the real picture and in everything made of it:
equal constants have no difference and pass on no gradient. Losses are means over all pixels, so
that each measured pixel has the same weight in pictures with and without missing ones.
"""

import tensorflow as tf

GAP = -1.0


def filled(real: tf.Tensor) -> tf.Tensor:
    """Pictures [B, H, W, C] as networks see them: without NaN."""
    return tf.where(tf.math.is_finite(real), real, tf.cast(GAP, real.dtype))


def measured(real: tf.Tensor) -> tf.Tensor:
    """Where all channels of a pixel were measured: bool [B, H, W, 1]."""
    return tf.reduce_all(tf.math.is_finite(real), axis=-1, keepdims=True)


def masked(pictures: tf.Tensor, *reals: tf.Tensor) -> tf.Tensor:
    """Pictures [B, H, W, C] with GAP where one of `reals` has no measurement. Except for the first,
    `reals` of another size, or of a size that is unknown before the step, are ignored.

    Args:
        pictures: filled pictures, or a network's output.
        reals: pictures with NaN where there is no measurement; the first is `pictures` itself or
            their source.
    """
    valid = measured(reals[0])
    for real in reals[1:]:
        if None not in real.shape[1:3] and real.shape[1:3] == reals[0].shape[1:3]:
            valid &= measured(real)
    return tf.where(valid, pictures, tf.cast(GAP, pictures.dtype))


def at_size(valid: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor) -> tf.Tensor:
    """Where a feature map covers only measured pixels, bool [B, height, width, 1]. A map that is
    larger than the picture has it in its middle, surrounded by its mirror image.

    Args:
        valid: where the picture has measurements, bool [B, H, W, 1].
        height: height of the map.
        width: width of the map.
    """
    shares = tf.cast(valid, tf.float32)
    sides = tf.shape(shares)[1:3]
    around = tf.maximum(tf.stack([height, width]) - sides, 0) // 2
    padding = tf.stack([[0, 0], [around[0], around[0]], [around[1], around[1]], [0, 0]])
    shares = tf.pad(shares, padding, mode="REFLECT")
    shares = tf.image.resize(shares, tf.stack([height, width]), method="area")
    return shares > 1 - 1e-3
