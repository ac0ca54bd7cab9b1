"""Shared code for replaying golden numbers: differences from the official numbers, and their
bounds.
"""

import ast
from dataclasses import dataclass
from typing import Any

import numpy as np

BARS = {
    "network": 1e-9,
    "network float32": 1e-4,
    "losses": 1e-7,
    "one-way losses": 1e-9,
    "gradients": 1e-7,
    "images": 1e-9,
    "weights": 1e-6,
    "rates": 1e-12,
    "norm": 1e-5,
}


@dataclass(frozen=True)
class Row:
    """One comparison; `difference` is the largest of its tensors."""

    case: str
    difference: float
    bar: float

    @property
    def ok(self) -> bool:
        return self.difference <= self.bar


def relative_difference(ours: Any, theirs: Any) -> float:
    """max|ours - theirs| / max|theirs|; infinite if shapes differ or a value is not finite."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape or not np.isfinite(ours).all():
        return float("inf")
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), np.finfo(np.float64).tiny))


def nhwc(array: np.ndarray) -> np.ndarray:
    return np.transpose(array, (0, 2, 3, 1))


def below(arrays: Any, prefix: str) -> dict[str, np.ndarray]:
    return {key[len(prefix) :]: arrays[key] for key in arrays if key.startswith(prefix)}


def meta_of(arrays: Any, case: str = "") -> dict[str, Any]:
    """The settings that a file, or a case in it, was made with; empty if it has none."""
    key = f"{case}/meta" if case else "meta"
    return ast.literal_eval(str(arrays[key])) if key in arrays else {}
