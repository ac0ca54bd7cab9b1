"""How a generator's layers are carried out: at once on whole tensors here; `tiling` has a way for images that memory does not hold."""

from collections.abc import Callable

import keras
import tensorflow as tf


class Operations:
    """The operations that `Generator.compute` is made of, on tensors [B, H, W, C].

    Args:
        training: whether dropout drops and batch norm takes the batch's statistics.
    """

    def __init__(self, training: bool = False):
        self._training = training

    def layer(self, layer: keras.layers.Layer, x: tf.Tensor) -> tf.Tensor:
        """A layer that looks at the neighbours of a pixel as its `reach` says."""
        return layer(x)

    def norm(self, norm: keras.layers.Layer | None, x: tf.Tensor) -> tf.Tensor:
        if norm is None:
            return x
        return norm(x, training=self._training) if isinstance(norm, keras.layers.BatchNormalization) else norm(x)

    def dropout(self, layer: keras.layers.Dropout, x: tf.Tensor) -> tf.Tensor:
        return layer(x, training=self._training)

    def each(self, function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
        """A function of each value by itself."""
        return function(x)

    def add(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return x + y

    def concat(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.concat([x, y], axis=-1)
