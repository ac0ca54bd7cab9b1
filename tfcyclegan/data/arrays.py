"""Pictures of two domains in memory, as batches for training."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.system.progress import log


def pictures(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both domains as float32 [N, H, W, C] in [-1, 1].

    Raises:
        UserError: one of them is not of this form.
    """
    more = " of its domain, or x a tf.data.Dataset of batches (real_a, real_b)"
    return as_batch("x", x, more), as_batch("y", y, more)


def as_batch(name: str, given: Any, more: str = "") -> np.ndarray:
    """Pictures as float32 [N, H, W, C] in [-1, 1].

    Args:
        name: the argument's name.
        given: arrays, tensors or lists of them.
        more: text that error messages add to the expected form.

    Raises:
        UserError: they are not of this form.
    """
    values = np.asarray(given)
    if values.ndim != 4 or not len(values):
        raise UserError(f"{name}: must be pictures [N, H, W, C]{more}")
    _check_range(name, values)
    return values.astype(np.float32, copy=False)


def check_batches(given: tf.data.Dataset) -> None:
    """Raises UserError if the first batch is not a pair of pictures in [-1, 1]."""
    first = next(iter(given), None)
    if not isinstance(first, tuple) or len(first) != 2:
        raise UserError("x: a tf.data.Dataset must have batches (real_a, real_b), and at least one")
    for name, batch in zip(("real_a", "real_b"), first, strict=True):
        _check_range(f"x: {name}", np.asarray(batch))


def _check_range(name: str, values: np.ndarray) -> None:
    if not tf.as_dtype(values.dtype).is_floating or not np.abs(values).max() <= 1:
        raise UserError(
            f"{name}: pictures must be floats in [-1, 1]; convert values 0..255 by pixels / 127.5 "
            "- 1"
        )
    if values.min() >= 0:
        log(
            f"{name}: no value is below 0, but black is -1; convert pictures in [0, 1] by 2 * "
            "pixels - 1"
        )


def batches(x: np.ndarray, y: np.ndarray, size: int, *, seed: int | None) -> tf.data.Dataset:
    """Batches of `size` pictures of each domain, the smaller of which is repeated.

    Args:
        x: pictures of one domain.
        y: pictures of the other.
        size: batch size.
        seed: seed of the shuffling, which differs from epoch to epoch; None keeps the arrays'
            order.
    """
    sides = []
    for domain, values in enumerate((x, y)):
        side = tf.data.Dataset.from_tensor_slices(values)
        sides.append(
            (side if seed is None else side.shuffle(len(values), seed=seed * 2 + domain)).repeat()
        )
    return tf.data.Dataset.zip(*sides).take(max(len(x), len(y))).batch(size)
