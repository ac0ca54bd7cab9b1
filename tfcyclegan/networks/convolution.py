"""The convolution of all layers, with quicker gradients where TensorFlow convolves by Eigen.

TensorFlow convolves by oneDNN on processors with AVX-512 VNNI or newer extensions, and by Eigen on
all others, such as those with AVX2 alone. Eigen's convolution forward is near the speed of matrix
products. Its gradients are not: of a generator's last layer, 64 to 3 channels at 256x256, they take
0.4 and 0.8 s where the layer itself takes 0.04 s. The same sums as a convolution forward and as
matrix products take 0.05 s together (docs/performance.md).
"""

import contextlib
import functools
from collections.abc import Callable, Iterator

import tensorflow as tf
from tensorflow.python.util import _pywrap_util_port

_FEW_CHANNELS = 4
_LARGE = 2**20
"""Numbers in all patches of the input, which Eigen copies side by side. From here on both gradients
are quicker for any number of channels; below, some are slower.
"""

# Not a context variable: a strategy traces its replicas in threads.
_as_tensorflow = False

_Gradients = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def conv2d(x: tf.Tensor, kernel: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """`tf.nn.conv2d` of [B, H, W, in] with [k, k, in, out], without padding."""
    quick_or_rare = stride > 1 or kernel.shape[0] == 1 or None in x.shape[1:]
    if quick_or_rare or _as_tensorflow or not by_eigen():
        return tf.nn.conv2d(x, kernel, stride, "VALID")

    @tf.custom_gradient
    def convolve(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, _Gradients]:
        return tf.nn.conv2d(x, kernel, 1, "VALID"), lambda upstream: (
            _gradient_of_input(x, kernel, upstream),
            _gradient_of_kernel(x, kernel, upstream),
        )

    return convolve(x, kernel)


@functools.cache
def by_eigen() -> bool:
    """Whether this machine has no GPU, and a processor on which TensorFlow does not use oneDNN."""
    return not _pywrap_util_port.IsMklEnabled() and not tf.config.list_physical_devices("GPU")


@contextlib.contextmanager
def tensorflow_gradients() -> Iterator[None]:
    """Graphs that are traced within have TensorFlow's own gradients: for another machine."""
    global _as_tensorflow
    kept, _as_tensorflow = _as_tensorflow, True
    try:
        yield
    finally:
        _as_tensorflow = kept


def _gradient_of_input(x: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    source, target = kernel.shape[2:]
    if source > _FEW_CHANNELS and (target <= _FEW_CHANNELS or _is_large(kernel, upstream)):
        return tf.nn.conv2d(_padded(upstream, kernel.shape[0]), _turned(kernel), 1, "VALID")
    shape = tf.shape(x) if x.shape[0] is None else x.shape
    return tf.nn.conv2d_transpose(upstream, kernel, shape, 1, "VALID")


def _gradient_of_kernel(x: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    length, _, source, target = kernel.shape
    if target <= _FEW_CHANNELS < source:  # the input in the role of the gradient, and vice versa
        return _turned(_sums_by_columns(_padded(upstream, length), x))
    if source <= _FEW_CHANNELS:
        return _sums_by_columns(x, upstream)
    if _is_large(kernel, upstream):
        return _sums(x, upstream, length, length)
    return tf.compat.v1.nn.conv2d_backprop_filter(x, kernel.shape, upstream, [1, 1, 1, 1], "VALID")


def _is_large(kernel: tf.Tensor, upstream: tf.Tensor) -> bool:
    height, width = upstream.shape[1:3]
    return height * width * kernel.shape[:3].num_elements() >= _LARGE


def _turned(kernel: tf.Tensor) -> tf.Tensor:
    """Turned by half, with the channels in and out exchanged."""
    return tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])


def _padded(upstream: tf.Tensor, length: int) -> tf.Tensor:
    return tf.pad(upstream, [[0, 0], *[[length - 1, length - 1]] * 2, [0, 0]])


def _sums_by_columns(x: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """`_sums` for few channels of `x`: those of the pixels beside each other in one matrix."""
    width, channels, outputs = upstream.shape[2], x.shape[3], upstream.shape[3]
    length = x.shape[2] - width + 1
    beside = tf.concat([x[:, :, right : right + width] for right in range(length)], axis=3)
    return tf.reshape(_sums(beside, upstream, length, 1), [length, length, channels, outputs])


def _sums(x: tf.Tensor, upstream: tf.Tensor, rows: int, columns: int) -> tf.Tensor:
    """The gradient of a kernel, [rows, columns, in, out]: for each place in it the sum over all
    pixels of the input there times the gradient of the output.

    With the output's sides padded to the input's, the pixels under a place of the kernel follow
    each other in memory, so that they need not be copied to be a matrix.
    """
    width, channels = x.shape[2:]
    padded = tf.pad(upstream, [[0, 0], [0, rows - 1], [0, columns - 1], [0, 0]])
    last = (rows - 1) * width + columns - 1
    pixels = tf.reshape(x, [-1, channels])
    count = tf.shape(pixels)[0] - last
    gradients = tf.reshape(padded, [-1, upstream.shape[3]])[:count]
    sums = [
        tf.matmul(pixels[start : start + count], gradients, transpose_a=True)
        for start in (row * width + column for row in range(rows) for column in range(columns))
    ]
    return tf.reshape(tf.stack(sums), [rows, columns, channels, upstream.shape[3]])
