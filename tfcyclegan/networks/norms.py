"""Normalisation layers, [B, H, W, C] to the same."""

from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.networks.layers import Weights

NORMS = ("instance", "batch", "none")

FUSED_PIXELS = 256 * 256
"""Maps of at most this many pixels use TensorFlow's fused norm. On CPUs it sums float32 values one
after another, as do TensorFlow's and LiteRT's moments and means over both sides at once: a
normalised value has an error of 3e-5 at this size, and of 4e-3 to 1e-2 at 2048x2048, where a mean
along rows and then over these has an error of 1e-5.
"""


@keras.saving.register_keras_serializable("tfcyclegan")
class InstanceNormalization(keras.layers.Layer):
    """Normalises each channel of each sample to mean 0 and variance 1 (Ulyanov et al. 2016), with
    biased variance.

    Statistics are float32 under mixed precision. Maps of a fixed size of at most FUSED_PIXELS go
    sample by sample through TensorFlow's fused batch norm, which took a third of the time of
    `tf.nn.moments`; others, and float64, through means.

    Args:
        channels: channels of the input.
        epsilon: added to the variance. The official program has 1e-5, tensorflow-addons 1e-3.
        affine: whether to scale and shift by trained `gamma` and `beta`; CycleGAN does not.
        tflite_ops: see the module.
    """

    def __init__(
        self,
        channels: int,
        *,
        epsilon: float = 1e-5,
        affine: bool = False,
        tflite_ops: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.channels, self.epsilon, self.affine, self.tflite_ops = (
            channels,
            epsilon,
            affine,
            tflite_ops,
        )
        self.gamma = (
            self.add_weight(shape=(channels,), initializer="ones", name="gamma", autocast=False)
            if affine
            else None
        )
        self.beta = (
            self.add_weight(shape=(channels,), initializer="zeros", name="beta", autocast=False)
            if affine
            else None
        )
        self.built = True

    def get_config(self) -> dict[str, Any]:
        settings = {
            "channels": self.channels,
            "epsilon": self.epsilon,
            "affine": self.affine,
            "tflite_ops": self.tflite_ops,
        }
        return {**super().get_config(), **settings}

    def call(self, x: tf.Tensor) -> tf.Tensor:
        static = None not in x.shape and not self.tflite_ops
        return (
            self._fused(x)
            if static and x.shape[1] * x.shape[2] <= FUSED_PIXELS and x.dtype != tf.float64
            else self._by_means(x)
        )

    def _fused(self, x: tf.Tensor) -> tf.Tensor:
        scale = tf.ones([self.channels]) if self.gamma is None else tf.convert_to_tensor(self.gamma)
        offset = tf.zeros([self.channels]) if self.beta is None else tf.convert_to_tensor(self.beta)
        nothing = tf.zeros([0])
        samples = [
            tf.raw_ops.FusedBatchNormV3(
                x=sample,
                scale=scale,
                offset=offset,
                mean=nothing,
                variance=nothing,
                epsilon=self.epsilon,
                is_training=True,
            ).y
            for sample in (tf.split(x, x.shape[0]) if x.shape[0] > 1 else [x])
        ]
        return samples[0] if len(samples) == 1 else tf.concat(samples, axis=0)

    def _by_means(self, x: tf.Tensor) -> tf.Tensor:
        wide = tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x
        centred = wide - _mean(wide)
        # not tf.nn.moments: XNNPACK does not support its squared difference in 8 bits
        variance = _mean(centred * centred)
        return tf.cast(self.scaled(centred, variance), x.dtype)

    def scaled(self, centred: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        """Scales centred values [..., C] by the variance [..., C], both float32 or wider."""
        normalized = centred * tf.math.rsqrt(variance + tf.constant(self.epsilon, centred.dtype))
        if self.gamma is not None and self.beta is not None:
            normalized = normalized * tf.convert_to_tensor(self.gamma) + tf.convert_to_tensor(
                self.beta
            )
        return normalized


def _mean(x: tf.Tensor) -> tf.Tensor:
    """[B, 1, 1, C]: the mean over height and width, along rows first and then over these, which
    preserves accuracy; see FUSED_PIXELS.
    """
    return tf.reduce_mean(tf.reduce_mean(x, axis=2, keepdims=True), axis=1, keepdims=True)


@keras.saving.register_keras_serializable("tfcyclegan")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch norm, but its running variance uses the unbiased variance of each batch, as in
    PyTorch: 4/3 of the biased one where a map has 2x2 pixels.
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training:
            return super().call(inputs, training=False)
        x = tf.cast(inputs, tf.float32) if inputs.dtype in (tf.float16, tf.bfloat16) else inputs
        mean, variance = tf.nn.moments(x, axes=[0, 1, 2])
        values = tf.cast(tf.reduce_prod(tf.shape(x)[:-1]), x.dtype)
        unbiased = variance * values / tf.maximum(values - 1, 1)
        for running, now in ((self.moving_mean, mean), (self.moving_variance, unbiased)):
            running.assign(self.momentum * running.value + (1 - self.momentum) * now)
        beta, gamma = tf.convert_to_tensor(self.beta), tf.convert_to_tensor(self.gamma)
        normalized = tf.nn.batch_normalization(x, mean, variance, beta, gamma, self.epsilon)
        return tf.cast(normalized, inputs.dtype)


def make_norm(
    kind: str, channels: int, *, gain: float, weights: Weights, tflite_ops: bool, dtype: Any
) -> keras.layers.Layer | None:
    """The normalisation layer `kind` for `channels`, or None for "none".

    Batch norm has PyTorch's momentum (0.1 there is 0.9 here), epsilon and running variance; its
    gamma starts at N(1, gain), with a seed from `weights`, as in the official program.

    Raises:
        UserError: unknown `kind`.
    """
    match kind:
        case "instance":
            return InstanceNormalization(channels, tflite_ops=tflite_ops, dtype=dtype)
        case "batch":
            gamma = keras.initializers.RandomNormal(1.0, gain, seed=next(weights).seed)
            layer = BatchNormalization(
                momentum=0.9, epsilon=1e-5, gamma_initializer=gamma, dtype=dtype
            )
            layer.build((None, None, None, channels))
            return layer
        case "none":
            return None
    raise UserError(f"norm {kind!r}: unknown choice; valid are {', '.join(NORMS)}")
