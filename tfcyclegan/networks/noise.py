"""Noise as an input of a generator, from which it makes fine texture (Karras et al. 2019, section
3.2). Without it a convolutional network can only repeat patterns of its own: grids and hatching.
"""

import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcyclegan.networks.antialiasing import sides
from tfcyclegan.networks.layers import next_seed

SIDES = (61, 67)
"""Of the two squares whose product is the noise outside training. It repeats after their product,
4087 pixels: a single square would repeat itself as a grid.
"""


@functools.cache
def squares() -> tuple[np.ndarray, np.ndarray]:
    """Standard normal numbers and signs, float32 [61, 61] and [67, 67], always the same; the
    product of one of either is standard normal.
    """
    # RandomState, because NumPy guarantees its numbers for all times: trained networks need them.
    draw = np.random.RandomState(0)
    normal, uniform = (draw.standard_normal((side, side)) for side in SIDES)
    return normal.astype(np.float32), np.sign(uniform).astype(np.float32)


@keras.saving.register_keras_serializable("tfcyclegan")
class NoiseChannel(keras.layers.Layer):
    """Adds a channel of standard normal noise: [B, H, W, C] to [B, H, W, C + 1].

    In training each picture gets its own. Otherwise all get the same, the product of the repeated
    `squares`, so that a picture has one translation, in every runtime.

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
        batch, height, width, _ = sides(x)

        def repeated(square: np.ndarray) -> tf.Tensor:
            first = np.roll(square, (-top, -left), axis=(0, 1))[np.newaxis, :, :, np.newaxis]
            side = len(square)
            times = [batch, -(-height // side), -(-width // side), 1]
            return tf.tile(tf.constant(first, x.dtype), times)[:, :height, :width]

        normal, signs = map(repeated, squares())
        return tf.concat([x, normal * signs], axis=-1)

    def _drawn(self, x: tf.Tensor) -> tf.Tensor:
        shape = [*tf.unstack(tf.shape(x)[:3]), 1]
        return tf.random.stateless_normal(shape, next_seed(self.seed_generator), dtype=x.dtype)
