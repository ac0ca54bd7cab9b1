"""What the discriminator and the way back see of a translation to classes.

The most probable class alone passes no gradient on, and probabilities are told from real label maps
by not being 0 or 1. Straight-through estimators show the first and take the gradient of the second
(Bengio et al. 2013, section 4), with or without drawing (Jang et al. 2017, section 2.2, with a
temperature of 1).
"""

from collections.abc import Callable

import tensorflow as tf

from tfcyclegan.losses import at_least_float32

_SMALLEST = 1e-30
"""Of the uniform draws, so that their logarithm is finite."""


def sampled(how: str, logits: tf.Tensor, seed: Callable[[], tf.Tensor]) -> tf.Tensor:
    """Classes [B, H, W, N] of a translation.

    Args:
        how: "softmax" gives the probabilities; "straight_through" 1 for the most probable class and
            0 for the others; "gumbel" 1 for a class drawn by its probability.
        logits: [B, H, W, N].
        seed: of the draws, [2].
    """
    logits = at_least_float32(logits)
    if how == "gumbel":
        shape, kind = tf.shape(logits), logits.dtype
        uniform = tf.random.stateless_uniform(shape, seed(), _SMALLEST, 1.0, dtype=kind)
        logits -= tf.math.log(-tf.math.log(uniform))
    probabilities = tf.nn.softmax(logits)
    if how == "softmax":
        return probabilities
    one = tf.one_hot(tf.argmax(logits, axis=-1), logits.shape[-1], dtype=logits.dtype)
    # in this order what is added is exactly 0
    return one + (probabilities - tf.stop_gradient(probabilities))
