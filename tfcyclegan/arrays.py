"""Pictures of two domains in memory, as batches for training."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfcyclegan.errors import UserError


def pictures(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both domains as float32 [N, H, W, C] in [-1, 1].

    Raises:
        UserError: one is not that, nor can be told to be.
    """
    return _domain("x", x), _domain("y", y)


def _domain(name: str, given: Any) -> np.ndarray:
    values = np.asarray(given)
    if values.ndim != 4 or not len(values):
        raise UserError(f"{name}: must be pictures [N, H, W, C] of its domain, or x a tf.data.Dataset of batches (real_a, real_b)")
    if not np.issubdtype(values.dtype, np.floating) or not np.abs(values).max() <= 1:
        raise UserError(f"{name}: pictures must be floats in [-1, 1]; values of 0..255 become these by pixels / 127.5 - 1")
    return values.astype(np.float32, copy=False)


def batches(x: np.ndarray, y: np.ndarray, size: int, *, seed: int | None) -> tf.data.Dataset:
    """Batches of `size` pictures of each domain, the smaller one gone through more than once; what is left over for no batch is left out.

    Args:
        x: pictures of one domain.
        y: pictures of the other.
        size: of a batch.
        seed: of the orders, another one each time; None keeps the arrays'.
    """
    sides = []
    for domain, values in enumerate((x, y)):
        side = tf.data.Dataset.from_tensor_slices(values)
        sides.append((side if seed is None else side.shuffle(len(values), seed=seed * 2 + domain)).repeat())
    return tf.data.Dataset.zip(*sides).take(max(len(x), len(y))).batch(size, drop_remainder=True)
