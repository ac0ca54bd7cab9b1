"""Labels for target pictures from a segmenter's own predictions, where it is confident; no label of
the target is read.
"""

from collections.abc import Iterable

import numpy as np

from tfcyclegan.data.labels import IGNORED

_BINS = 1000


def class_thresholds(
    confidences: Iterable[tuple[np.ndarray, np.ndarray]],
    *,
    classes: int,
    threshold: float,
    kept: float,
) -> np.ndarray:
    """The confidence above which a pixel keeps its predicted class, by class, float [C].

    A common threshold leaves rare classes without pixels, since a segmenter is seldom confident of
    them. So each class keeps at least its most confident share `kept` (class-balanced
    self-training, Zou et al. 2018), and all pixels above `threshold`.

    Args:
        confidences: for each picture (train ids [H, W], their probabilities [H, W]).
        classes: number of classes, C.
        threshold: probability that suffices for any class.
        kept: share of a class's predicted pixels that is kept in any case.
    """
    histogram = np.zeros((classes, _BINS), np.int64)
    for train_ids, probability in confidences:
        level = np.minimum((probability.reshape(-1) * _BINS).astype(np.int64), _BINS - 1)
        cells = train_ids.reshape(-1).astype(np.int64) * _BINS + level
        histogram += np.bincount(cells, minlength=classes * _BINS).reshape(classes, _BINS)
    surer = histogram[:, ::-1].cumsum(axis=1)[:, ::-1]  # pixels of each class in this bin or above
    wanted = kept * histogram.sum(axis=1, keepdims=True)
    reached = (surer >= wanted) & (wanted > 0)
    balanced = (
        np.where(reached.any(axis=1), _BINS - 1 - reached[:, ::-1].argmax(axis=1), _BINS) / _BINS
    )
    return np.minimum(balanced, threshold)


def pseudo_label(
    train_ids: np.ndarray, probability: np.ndarray, thresholds: np.ndarray
) -> np.ndarray:
    """The predicted train ids [H, W], IGNORED where the probability is below the class's
    threshold.
    """
    return np.where(probability >= thresholds[train_ids], train_ids, IGNORED).astype(np.uint8)
