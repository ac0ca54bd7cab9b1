"""Running means of weights, which vary less than the weights of the last step.

`Method` updates them in its step; `training.checkpoints.load_networks` loads them in place of the
weights.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf


def update(
    means: Sequence[keras.Variable],
    weights: Sequence[keras.Variable],
    step: tf.Tensor,
    decay: float,
) -> None:
    """Moves each running mean towards its weight, from inside a replica.

    Args:
        means: float32, mirrored like the weights.
        weights: the weights, in the same order.
        step: number of previous updates; early on the mean forgets faster, so that the initial
            weights leave no trace.
        decay: share of the mean that is kept at each update, in the long run.
    """
    age = tf.cast(step, tf.float32)
    rate = 1 - tf.minimum(decay, (1 + age) / (10 + age))
    pairs = [(mean.value, weight.value) for mean, weight in zip(means, weights, strict=True)]

    def move(strategy: tf.distribute.Strategy, rate: tf.Tensor) -> None:
        for mean, weight in pairs:
            strategy.extended.update(
                mean,
                lambda m, w, r: m.assign_add(tf.cast(r, m.dtype) * (w - m)),
                args=(weight, rate),
                group=False,
            )

    tf.distribute.get_replica_context().merge_call(move, args=(rate,))
