"""The network F of CUT: feature maps of a generator at chosen positions to unit vectors (Park et
al. 2020, section 3.2; `mlp_sample` of the official program). Used only in training.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.losses import at_least_float32
from tfcyclegan.networks.layers import dense, name_and_dtype, weight_initializers

_EPSILON = 1e-7


@keras.saving.register_keras_serializable("tfcyclegan")
class PatchSampler(keras.Model):
    """For each feature map its own perceptron, C -> width -> width with ReLU in between, followed
    by x / (||x|| + 1e-7).

    It computes in float32 under mixed precision: its vectors start with lengths of 1e-5, whose
    squares are 0 in float16.

    Args:
        channels: channels of each feature map.
        width: width of the hidden layers and the vectors; 256 in the paper.
        init: kernel initializer, see `layers.weight_initializers`; biases start at 0.
        init_gain: its scale.
        seed: makes the initial weights reproducible.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        width: int = 256,
        init: str = "xavier",
        init_gain: float = 0.02,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.settings = {
            "channels": list(channels),
            "width": width,
            "init": init,
            "init_gain": init_gain,
            "seed": seed,
        }
        weights = weight_initializers(init, init_gain, seed)

        kind = self.variable_dtype
        self.hidden = [dense(source, width, next(weights), kind, "relu") for source in channels]
        self.output_layers = [dense(width, width, next(weights), kind) for _ in channels]
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**self.settings, **name_and_dtype(self)}

    def call(self, features: Sequence[tf.Tensor], ids: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """The vectors of patches.

        Args:
            features: maps [B, H, W, C], one for each perceptron.
            ids: for each map positions `row * W + column`, integers [P], the same for all pictures
                of the batch.

        Returns:
            For each map [B * P, width], picture by picture, float32 or float64.
        """
        layers = zip(features, ids, self.hidden, self.output_layers, strict=True)
        return [
            unit_vectors(output(hidden(at_least_float32(patches_of(x, positions)))))
            for x, positions, hidden, output in layers
        ]

    def official_layers(self) -> list[tuple[str, keras.layers.Layer | None]]:
        """Pairs of the official program's state-dict prefix and our layer."""
        pairs: list[tuple[str, keras.layers.Layer | None]] = []
        for index, (hidden, output) in enumerate(zip(self.hidden, self.output_layers, strict=True)):
            pairs += [(f"mlp_{index}.0", hidden), (f"mlp_{index}.2", output)]
        return pairs


def patches_of(x: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """The features [B * P, C] of x [B, H, W, C] at `positions` [P], picture by picture."""
    batch, height, width, channels = tf.unstack(tf.shape(x))
    starts = tf.range(batch, dtype=positions.dtype) * tf.cast(height * width, positions.dtype)
    # Along one axis of pictures and positions: the gradient of a gather along any axis but the
    # first transposes the whole map twice.
    rows = tf.reshape(x, [batch * height * width, channels])
    rows = tf.ensure_shape(rows, [None, x.shape[-1]])
    return tf.gather(rows, tf.reshape(starts[:, tf.newaxis] + positions, [-1]))


def unit_vectors(x: tf.Tensor) -> tf.Tensor:
    """x / (||x|| + 1e-7) of each row of [N, C]; finite at 0, and so is its gradient, while that of
    the official program is NaN.
    """
    squares = tf.reduce_sum(tf.square(x), axis=-1, keepdims=True)
    is_zero = squares == 0
    # The root of 0 has no derivative, and the unused branch of `where` would propagate a NaN.
    roots = tf.sqrt(tf.where(is_zero, tf.ones_like(squares), squares))
    length = tf.where(is_zero, tf.zeros_like(squares), roots)
    return x / (length + _EPSILON)
