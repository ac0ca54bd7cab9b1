"""Instance norm by fixed statistics: all frames of a video are normalised by the mean statistics of
some of them, where each would be by its own, which change when something bright comes into view.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.networks.norms import InstanceNormalization
from tfcyclegan.networks.operations import Operations
from tfcyclegan.translation.translators import Translator

Moments = list[tuple[np.ndarray, np.ndarray]]
"""Mean and variance, float32 [1, 1, 1, C], of what each instance norm of a network is given."""


def require_instance_norm(translator: Translator) -> None:
    """Raises UserError for an exported model, and for a network without instance norm."""
    if translator.generator is None:
        raise UserError(
            "--frozen_statistics: an exported model keeps each picture's own; give its --run_dir"
        )
    layers = translator.generator._flatten_layers()
    if not any(isinstance(layer, InstanceNormalization) for layer in layers):
        raise UserError(
            "--frozen_statistics: has no effect on a generator without instance norm; leave it out"
        )


def with_frozen_statistics(
    translators: Sequence[Translator], frames: Iterable[np.ndarray]
) -> list[Translator]:
    """Copies of translators whose instance norms have the mean statistics of some frames. They
    compute every picture whole.

    Args:
        translators: copies of one run's translator, one for each device.
        frames: uint8 [H, W, 3], at least one.
    """
    moments = _mean_moments(translators[0], frames)
    return [
        dataclasses.replace(each, function=_Frozen(each, moments), tiler=None)
        for each in translators
    ]


def _mean_moments(translator: Translator, frames: Iterable[np.ndarray]) -> Moments:
    generator = translator.generator
    assert generator is not None

    @tf.function(reduce_retracing=True, autograph=False)
    def measured(batch: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
        measuring = _Measuring()
        generator.compute(tf.cast(batch, generator.compute_dtype), measuring)
        return measuring.moments

    of_frames = []
    for frame in frames:
        seen = translator.values.to_network(frame)[np.newaxis]
        with tf.device(translator.device):
            found = measured(tf.constant(translator.padded(seen)))
        of_frames.append([[each.numpy().astype(np.float64) for each in pair] for pair in found])
    moments = []
    for of_norm in zip(*of_frames, strict=True):
        means, variances = (np.stack(each) for each in zip(*of_norm, strict=True))
        # of all frames' values together: the mean variance, and that of the means
        variance = variances.mean(axis=0) + means.var(axis=0)
        moments.append((means.mean(axis=0).astype(np.float32), variance.astype(np.float32)))
    return moments


class _Frozen:
    """A translator's function with fixed statistics."""

    def __init__(self, translator: Translator, moments: Moments):
        generator, self._device = translator.generator, translator.device
        assert generator is not None

        @tf.function(reduce_retracing=True, autograph=False)
        def compute(batch: tf.Tensor) -> tf.Tensor:
            return generator.compute(
                tf.cast(batch, generator.compute_dtype), _Normalising(iter(moments))
            )

        self._compute = compute

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        with tf.device(self._device):
            return np.asarray(self._compute(tf.constant(batch)), np.float32)


class _Measuring(Operations):
    def __init__(self) -> None:
        super().__init__()
        self.moments: list[tuple[tf.Tensor, tf.Tensor]] = []

    def norm(self, norm: keras.layers.Layer | None, x: tf.Tensor) -> tf.Tensor:
        if isinstance(norm, InstanceNormalization):
            wide = tf.cast(x, tf.float32)
            self.moments.append(tuple(tf.nn.moments(wide, [0, 1, 2], keepdims=True)))
        return super().norm(norm, x)


class _Normalising(Operations):
    def __init__(self, moments: Iterator[tuple[np.ndarray, np.ndarray]]):
        super().__init__()
        self._moments = moments

    def norm(self, norm: keras.layers.Layer | None, x: tf.Tensor) -> tf.Tensor:
        if isinstance(norm, InstanceNormalization):
            mean, variance = next(self._moments)
            return tf.cast(norm.scaled(tf.cast(x, tf.float32) - mean, variance), x.dtype)
        return super().norm(norm, x)
