"""Gaps of measurements in a training step: no loss and no gradient comes from where nothing was
measured.

Pictures come with NaN there. Networks see GAP in each channel that is missing. What a loss or a
discriminator is given is GAP in *all* channels of a pixel of which any is missing, in the real
picture and in all that is made of it: equal constants have no difference and pass no gradient on.
The means of losses are over all pixels, so that each measured one weighs as much in a picture with
many gaps as in one without.
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
    """Pictures [B, H, W, C] with GAP where one of `reals` was not measured. Those of another size,
    or of sizes that are not known before the step, say nothing of them, but the first does.

    Args:
        pictures: filled, or what a network made.
        reals: with NaN in gaps; the first is what `pictures` are or were made of.
    """
    valid = measured(reals[0])
    for real in reals[1:]:
        if None not in real.shape[1:3] and real.shape[1:3] == reals[0].shape[1:3]:
            valid &= measured(real)
    return tf.where(valid, pictures, tf.cast(GAP, pictures.dtype))


def at_size(valid: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor) -> tf.Tensor:
    """Which places of a feature map [B, height, width, 1] lie on measured pixels alone, bool. A map
    that is larger than the picture has it in its middle, with its mirror image around.

    Args:
        valid: of the picture, bool [B, H, W, 1].
        height: of the map.
        width: of the map.
    """
    shares = tf.cast(valid, tf.float32)
    sides = tf.shape(shares)[1:3]
    around = tf.maximum(tf.stack([height, width]) - sides, 0) // 2
    padding = tf.stack([[0, 0], [around[0], around[0]], [around[1], around[1]], [0, 0]])
    shares = tf.pad(shares, padding, mode="REFLECT")
    shares = tf.image.resize(shares, tf.stack([height, width]), method="area")
    return shares > 1 - 1e-3
