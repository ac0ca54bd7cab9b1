"""Fixed blurs that prevent aliasing where a network changes its resolution (Zhang 2019), as in CUT.
[B, H, W, C] to [B, h, w, C]; no weights.

Both are products of a blur along rows and one along columns. The gradient of either is the adjoint
of that product, written with the operations of the other: TensorFlow's own gradient of a depthwise
convolution took three times the time under bfloat16.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcyclegan.networks.layers import Reach, joined, part, reflect_pad

_DOWN = (0.25, 0.5, 0.25)
_UP = (0.25, 0.75, 0.75, 0.25)


class _Blur(keras.layers.Layer):
    """The base of both blurs.

    Args:
        channels: channels of the input and the output.
        tflite_ops: see `layers`.
    """

    taps: Sequence[float]

    def __init__(self, channels: int, *, tflite_ops: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.filters, self.tflite_ops = channels, tflite_ops
        self.built = True

    def get_config(self) -> dict[str, Any]:
        settings = {"channels": self.filters, "tflite_ops": self.tflite_ops}
        return {**super().get_config(), **settings}

    @property
    def kernel(self) -> np.ndarray:
        """[k, k], the same for each channel; sums to 1 for downsampling and to 4 for upsampling."""
        return np.outer(self.taps, self.taps)


@keras.saving.register_keras_serializable("tfcyclegan")
class BlurDown(_Blur):
    """Halves the sides, H to ceil(H / 2): the mean of pixels 0, 2, 4, ... and their neighbours by
    [1 2 1] / 4 along each side, mirrored at the edges.
    """

    reach = Reach(2, down=2)
    taps = _DOWN

    def call(self, x: tf.Tensor) -> tf.Tensor:
        height, width = x.shape[1], x.shape[2]
        if self.tflite_ops or height is None or width is None or min(height, width) < 4:
            return self._blurred(x)

        @tf.custom_gradient
        def blur(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            return self._blurred(x), lambda upstream: _spread(
                _spread(upstream, width, 2), height, 1
            )

        return blur(x)

    def _blurred(self, x: tf.Tensor) -> tf.Tensor:
        return _depthwise(reflect_pad(x, 1, tflite_ops=self.tflite_ops), self.kernel)


@keras.saving.register_keras_serializable("tfcyclegan")
class BlurUp(_Blur):
    """Doubles the sides bilinearly between the centres of pixels, the edges repeated: an output is
    1/4 and 3/4 of the two pixels nearest to it along each side.

    Uses `tf.image.resize`, which always computes in float32, only for TFLite, where it is one
    operation that every delegate supports.
    """

    reach = Reach(1, up=2)
    taps = _UP

    def call(self, x: tf.Tensor) -> tf.Tensor:
        if self.tflite_ops:
            return tf.image.resize(x, [2 * side for side in x.shape[1:3]], "bilinear")

        @tf.custom_gradient
        def double(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            return _doubled(_doubled(x, 2), 1), lambda upstream: _depthwise(
                _repeated_edges(_repeated_edges(upstream, 1), 2), self.kernel
            )

        return double(x)


def _depthwise(x: tf.Tensor, kernel: np.ndarray) -> tf.Tensor:
    """Every second output of `kernel` [k, k] on each channel, without padding."""
    each = np.repeat(kernel[:, :, np.newaxis, np.newaxis], x.shape[-1], axis=2)
    return tf.nn.depthwise_conv2d(x, tf.constant(each, x.dtype), [1, 2, 2, 1], "VALID")


def _spread(upstream: tf.Tensor, side: int, axis: int) -> tf.Tensor:
    """The gradient of downsampling `side` pixels along `axis`: each output's gradient goes to its
    three input pixels, beyond an edge to the pixel mirrored there.
    """
    count = upstream.shape[axis]
    quarter = 0.25 * upstream
    first = part(quarter, axis, 0, 1)
    last = part(quarter, axis, count - 1, count)
    between = part(quarter, axis, 0, count - 1) + part(quarter, axis, 1, count)
    odd = [part(between, axis, 0, 1) + first, part(between, axis, 1, count - 1), last]
    if side % 2:  # the last pixel has an even index
        odd[1:] = [
            part(between, axis, 1, count - 2),
            part(between, axis, count - 2, count - 1) + last,
            last,
        ]
    return part(_interleaved(0.5 * upstream, joined(odd, axis), axis), axis, 0, side)


def _doubled(x: tf.Tensor, axis: int) -> tf.Tensor:
    near, far = 0.75 * x, 0.25 * _repeated_edges(x, axis)
    side = tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis]
    return _interleaved(near + part(far, axis, 0, side), near + part(far, axis, 2, side + 2), axis)


def _repeated_edges(x: tf.Tensor, axis: int) -> tf.Tensor:
    side = tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis]
    return tf.concat([part(x, axis, 0, 1), x, part(x, axis, side - 1, side)], axis=axis)


def sides(x: tf.Tensor) -> list[Any]:
    """The shape of x: numbers where they are fixed, tensors where they are not."""
    return [
        dynamic if static is None else static
        for static, dynamic in zip(x.shape, tf.unstack(tf.shape(x)), strict=True)
    ]


def _interleaved(even: tf.Tensor, odd: tf.Tensor, axis: int) -> tf.Tensor:
    shape = sides(even)
    shape[axis] = 2 * shape[axis]
    return tf.reshape(tf.stack([even, odd], axis=axis + 1), shape)
