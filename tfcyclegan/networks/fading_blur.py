"""A blur of all that the discriminators see in the first steps of training, which fades out (Karras
et al. 2021, "Alias-Free Generative Adversarial Networks", their setting for the first pictures):
they judge places and colours before they can judge fine texture.

Unlike theirs, whose kernel is exp2(-(x / sigma)^2) with zeros around the picture, sigma here is a
standard deviation, and no pixel from outside counts.
"""

import tensorflow as tf


def blurred(images: tf.Tensor, sigma: tf.Tensor | float) -> tf.Tensor:
    """A Gaussian blur whose weights are scaled to a sum of 1 within the picture.

    Args:
        images: floats [B, H, W, C].
        sigma: standard deviation in pixels, above 0; at most 0.05 changes nothing.
    """
    height, width = tf.unstack(tf.shape(images)[1:3])
    rows = tf.einsum("yh,bhwc->bywc", _weights(height, sigma, images.dtype), images)
    return tf.ensure_shape(
        tf.einsum("xw,bhwc->bhxc", _weights(width, sigma, images.dtype), rows), images.shape
    )


def fading(images: tf.Tensor, step: tf.Tensor, *, sigma: float, steps: int) -> tf.Tensor:
    """The images blurred by `sigma` at step 0, linearly less from step to step, and as they are
    from step `steps` on.
    """

    def blur() -> tf.Tensor:
        left = 1 - tf.cast(step, images.dtype) / steps
        return blurred(images, sigma * left)

    return tf.cond(step < steps, blur, lambda: images)


def _weights(side: tf.Tensor, sigma: tf.Tensor | float, kind: tf.DType) -> tf.Tensor:
    """[side, side]: the weights of all pixels of a line for each of its pixels."""
    places = tf.range(side)
    distances = tf.cast(places[:, tf.newaxis] - places, kind)
    weights = tf.exp(-0.5 * tf.square(distances / sigma))
    return weights / tf.reduce_sum(weights, axis=1, keepdims=True)
