"""Convolutions whose kernels are divided by their largest singular value (Miyato et al. 2018,
"Spectral Normalization for Generative Adversarial Networks").
"""

from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.networks.layers import Conv2D

_FIRST_ITERATIONS = 15
_EPSILON = 1e-12


class SpectralConv2D(Conv2D):
    """`Conv2D` with the kernel W / sigma(W), where W is a matrix [k * k * in, filters].

    sigma is u^T W v with the current estimates of the singular vectors u and v (Algorithm 1), which
    the gradient treats as constants. `iterate` improves them; training calls it once per step. They
    are weights, so that checkpoints hold them.

    Args:
        args: arguments of `Conv2D`.
        vector_seed: seed of the vector from which the iteration starts.
        kwargs: keyword arguments of `Conv2D`.
    """

    def __init__(self, *args: Any, vector_seed: int | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        filters = self.kernel.shape[-1]
        inputs = self.kernel.shape[0] * self.kernel.shape[1] * self.kernel.shape[2]
        normal = keras.initializers.RandomNormal(seed=vector_seed)
        # all replicas compute the same from the same kernel
        kept = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        self.left = self.add_weight(shape=(inputs,), initializer="zeros", name="left", **kept)
        self.right = self.add_weight(shape=(filters,), initializer=normal, name="right", **kept)
        self.iterate(_FIRST_ITERATIONS)

    def iterate(self, times: int = 1) -> None:
        """Power iteration: u <- W v / |W v|, v <- W^T u / |W^T u|."""
        kernel = tf.convert_to_tensor(self.kernel.value)
        matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])
        left, right = self.left.value, tf.convert_to_tensor(self.right.value)
        for _ in range(times):
            left = _unit(tf.linalg.matvec(matrix, right))
            right = _unit(tf.linalg.matvec(matrix, left, transpose_a=True))
        self.left.assign(left)
        self.right.assign(right)

    def used_kernel(self) -> tf.Tensor:
        kernel = super().used_kernel()
        exact = kernel.dtype if kernel.dtype == tf.float64 else tf.float32
        matrix = tf.reshape(tf.cast(kernel, exact), [-1, kernel.shape[-1]])
        left, right = (
            tf.stop_gradient(tf.cast(tf.convert_to_tensor(vector), exact))
            for vector in (self.left, self.right)
        )
        sigma = tf.reduce_sum(left * tf.linalg.matvec(matrix, right))
        return tf.cast(tf.cast(kernel, exact) / sigma, kernel.dtype)


def _unit(vector: tf.Tensor) -> tf.Tensor:
    return vector / tf.maximum(tf.norm(vector), _EPSILON)
