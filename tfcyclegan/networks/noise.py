"""Noise as an input of a generator, from which it makes fine texture (Karras et al. 2019, section
3.2). Without it a convolutional network can only repeat patterns of its own: grids and hatching.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

SIDE = 64
"""Of the square of noise that is repeated outside training."""


def square() -> np.ndarray:
    """Standard normal noise, float32 [SIDE, SIDE], always the same."""
    # RandomState, because NumPy guarantees its numbers for all times: trained networks need them.
    return np.random.RandomState(0).standard_normal((SIDE, SIDE)).astype(np.float32)


@keras.saving.register_keras_serializable("tfcyclegan")
class NoiseChannel(keras.layers.Layer):
    """Adds a channel of standard normal noise: [B, H, W, C] to [B, H, W, C + 1].

    In training each picture gets its own. Otherwise all get the same, `square` repeated, so that a
    picture has one translation, in every runtime.

    Args:
        channels: channels of the input, C.
        seed: makes the noise in training reproducible.
    """

    def __init__(self, channels: int, *, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.filters, self.seed = channels + 1, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "channels": self.filters - 1, "seed": self.seed}

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        return tf.concat([x, self._drawn(x)], axis=-1) if training else self.at(x)

    def at(self, x: tf.Tensor, top: int = 0, left: int = 0) -> tf.Tensor:
        """The layer outside training, for a window x [B, h, w, C] of a picture that begins at row
        `top` and column `left`.
        """
        batch, height, width = (
            dynamic if static is None else static
            for static, dynamic in zip(x.shape[:3], tf.unstack(tf.shape(x)[:3]), strict=True)
        )
        first = np.roll(square(), (-top % SIDE, -left % SIDE), axis=(0, 1))
        times = [batch, -(-height // SIDE), -(-width // SIDE), 1]
        noise = tf.tile(tf.constant(first[np.newaxis, :, :, np.newaxis], x.dtype), times)
        return tf.concat([x, noise[:, :height, :width]], axis=-1)

    def _drawn(self, x: tf.Tensor) -> tf.Tensor:
        seed = tf.cast(self.seed_generator.next(), tf.int64)
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync > 1:  # Keras mirrors the seed's state
            seed = tf.random.experimental.stateless_fold_in(seed, replica.replica_id_in_sync_group)
        return tf.random.stateless_normal([*tf.unstack(tf.shape(x)[:3]), 1], seed, dtype=x.dtype)
