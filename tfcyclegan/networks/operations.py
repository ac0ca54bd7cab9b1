"""How a generator's layers are applied: here to whole tensors; `translation.tiling` does it for
images larger than memory.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.data.label_coding import LabelCoding
from tfcyclegan.networks.noise import NoiseChannel


class Operations:
    """The operations that `Generator.compute` uses, on tensors [B, H, W, C].

    Args:
        training: whether dropout is active, noise is drawn and batch norm uses the batch's
            statistics.
    """

    def __init__(self, training: bool = False):
        self._training = training

    def layer(self, layer: keras.layers.Layer, x: tf.Tensor) -> tf.Tensor:
        """Applies a layer that sees a pixel's neighbours within its `reach`."""
        return layer(x)

    def norm(self, norm: keras.layers.Layer | None, x: tf.Tensor) -> tf.Tensor:
        if norm is None:
            return x
        return (
            norm(x, training=self._training)
            if isinstance(norm, keras.layers.BatchNormalization)
            else norm(x)
        )

    def dropout(self, layer: keras.layers.Dropout, x: tf.Tensor) -> tf.Tensor:
        return layer(x, training=self._training)

    def noise(self, layer: NoiseChannel, x: tf.Tensor) -> tf.Tensor:
        return layer(x, training=self._training)

    def each(self, function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
        """Applies an elementwise function."""
        return function(x)

    def affine(self, x: Any, gamma: tf.Tensor, beta: tf.Tensor) -> Any:
        """gamma x + beta with numbers [1, 1, 1, C] for all, or [B, 1, 1, C]."""
        return self.each(lambda values: gamma * values + beta, x)

    def encode(self, coding: LabelCoding, x: tf.Tensor) -> tf.Tensor:
        """Label maps as classes."""
        return coding.encode(x)

    def decode(self, coding: LabelCoding, x: tf.Tensor) -> tf.Tensor:
        """Classes as label maps."""
        return coding.decode(x)

    def stage(
        self, function: Callable[[Any], Any], layers: Sequence[keras.layers.Layer | None], x: Any
    ) -> Any:
        """A part of a network made of these layers; its input and output are tensors, or lists or
        tuples of them.
        """
        return function(x)

    def add(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return x + y

    def concat(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.concat([x, y], axis=-1)


class RecomputingOperations(Operations):
    """Recomputes each stage for its gradient instead of keeping activations: less memory for a
    third more computation.

    Only for stages without dropout, noise and batch norm, which would not compute the same result
    twice.
    """

    def stage(
        self, function: Callable[[Any], Any], layers: Sequence[keras.layers.Layer | None], x: Any
    ) -> Any:
        variables = [
            variable
            for layer in layers
            if layer is not None
            for variable in layer.trainable_variables
        ]

        structure: list[Any] = []
        count = len(tf.nest.flatten(x))

        def compute(parts: Sequence[tf.Tensor], weights: Sequence[tf.Tensor]) -> list[tf.Tensor]:
            with keras.StatelessScope(state_mapping=list(zip(variables, weights, strict=True))):
                y = function(tf.nest.pack_sequence_as(x, list(parts)))
            structure[:] = [y]
            return tf.nest.flatten(y)

        # Not tf.recompute_grad: with weights that are read under a stateless scope each is an
        # input, whatever tape watches it.
        @tf.custom_gradient
        def run(*given: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., list[tf.Tensor]]]:
            parts, weights = given[:count], given[count:]

            def gradients(*upstream: tf.Tensor) -> list[tf.Tensor]:
                # otherwise it would be computed early and kept in memory
                with tf.control_dependencies(upstream):
                    again = [tf.identity(part) for part in parts]
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch([*again, *weights])
                    y = compute(again, weights)
                return tape.gradient(y, [*again, *weights], output_gradients=upstream)

            return compute(parts, weights), gradients

        weights = (tf.convert_to_tensor(variable) for variable in variables)
        flat = run(*tf.nest.flatten(x), *weights)
        return tf.nest.pack_sequence_as(structure[0], tf.nest.flatten(flat))
