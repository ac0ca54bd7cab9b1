"""Differences between a picture and its truth, where the truth is known."""

import numpy as np

from tfcyclegan.measures.appearance import lab


def lab_error(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean CIE76 colour difference over the pixels of `mask` [H, W], or over all; NaN if the mask
    is empty.
    """
    difference = np.linalg.norm(lab(picture) - lab(truth), axis=-1)
    chosen = difference if mask is None else difference[mask]
    return float(chosen.mean()) if chosen.size else float("nan")


def absolute_error(picture: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference on the scale [-1, 1] of the training, in [0, 2]."""
    return float(np.abs(picture.astype(np.float64) - truth).mean() / 127.5)


def water(picture: np.ndarray) -> np.ndarray:
    """[H, W] true where a map or satellite picture shows water: blue over red by 25 levels."""
    return picture[..., 2].astype(int) - picture[..., 0] >= 25


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks; 1 if both are empty."""
    union = (mask | truth).sum()
    return float((mask & truth).sum() / union) if union else 1.0
