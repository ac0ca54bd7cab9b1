"""The segmenter's network: a small U-Net (Ronneberger et al. 2015) that works at half of the
picture's resolution.

[B, H, W, 3] in [-1, 1] to logits [B, H, W, C] of the C classes. A strided first convolution, four
downsamplings with two 3x3 convolutions each, and upsampling with skip connections; batch
normalisation; logits at half resolution, enlarged bilinearly. docs/adaptation.md compares it with
others.
"""

import itertools
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.networks.layers import mirrored

MULTIPLE = 32
"""Input sides must be multiples of it; `logits_of` mirrors pictures accordingly."""

_WIDTHS = (1, 2, 4, 6, 8)


@keras.saving.register_keras_serializable("tfcyclegan")
class Doubled(keras.layers.Layer):
    """Bilinear enlargement by 2. Keras' own cannot be traced in a loop with unknown sizes."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(x)
        return tf.image.resize(
            x,
            [2 * (shape[axis] if x.shape[axis] is None else x.shape[axis]) for axis in (1, 2)],
            "bilinear",
        )

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, height, width, channels = shape
        return batch, height and 2 * height, width and 2 * width, channels


def make_network(
    *,
    width: int,
    classes: int,
    seed: int = 0,
    dtype: Any = "float32",
    input_size: tuple[int, int] | None = None,
) -> keras.Model:
    """The network, with all weights from the start.

    Args:
        width: filters of the first convolution.
        classes: number of classes.
        seed: seed of the initial weights.
        dtype: Keras policy; the logits are always float32.
        input_size: fixes batch 1 and the picture's size, multiples of `MULTIPLE`, for exports.
    """
    layers, seeds = keras.layers, itertools.count(seed * 1_000)

    def convolution(x: Any, filters: int, kernel_size: int, stride: int = 1) -> Any:
        initializer = keras.initializers.HeNormal(seed=next(seeds))
        x = layers.Conv2D(
            filters,
            kernel_size,
            stride,
            padding="same",
            use_bias=False,
            kernel_initializer=initializer,
            dtype=dtype,
        )(x)
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=dtype)(x)
        return layers.ReLU(dtype=dtype)(x)

    widths = [width * factor for factor in _WIDTHS]
    pictures = keras.Input(
        batch_shape=(1 if input_size else None, *(input_size or (None, None)), 3), name="images"
    )
    x = convolution(pictures, widths[0], 3, 2)
    skips = []
    for filters in widths[1:]:
        skips.append(x)
        x = convolution(convolution(x, filters, 3, 2), filters, 3)
    for filters, skip in zip(widths[-2::-1], reversed(skips), strict=True):
        x = layers.UpSampling2D(2, interpolation="nearest", dtype=dtype)(convolution(x, filters, 1))
        x = convolution(layers.Concatenate(dtype=dtype)([x, skip]), filters, 3)
    classifier = keras.initializers.HeNormal(seed=next(seeds))
    x = layers.Conv2D(classes, 1, kernel_initializer=classifier, dtype="float32")(x)
    x = Doubled(dtype="float32")(x)
    return keras.Model(pictures, x, name="segmenter")


def logits_of(network: keras.Model, pictures: tf.Tensor, *, training: bool = False) -> tf.Tensor:
    """Logits float32 [B, H, W, C] of pictures [B, H, W, 3] in [-1, 1] of any size, mirrored at the
    lower right if necessary.
    """
    height, width = (
        tf.shape(pictures)[axis] if pictures.shape[axis] is None else pictures.shape[axis]
        for axis in (1, 2)
    )
    padded = pictures
    for axis, side in ((1, pictures.shape[1]), (2, pictures.shape[2])):
        if side is None or side % MULTIPLE:
            padded = mirrored(padded, axis, MULTIPLE)
    logits = tf.cast(network(padded, training=training), tf.float32)
    return logits if padded is pictures else logits[:, :height, :width]
