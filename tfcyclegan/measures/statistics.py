"""Intervals: how far a score would move if other test pictures had been drawn. Percentile bootstrap over pictures (Efron 1979)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A score of all pictures and the bounds of its interval; NaN bounds where none can be given, as of a single picture."""

    value: float
    low: float
    high: float
    pictures: int


def interval_of_mean(values: np.ndarray, *, seed: int, level: float = 0.95, resamples: int = 2000) -> Interval:
    """The mean of one score a picture, [N], and its interval.

    NaN values, such as of a class that a picture lacks, are left out. An infinite one, such as the PSNR of an equal picture, leaves
    no bounds.
    """
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if len(known) < 2 or not np.isfinite(known).all():
        return Interval(float(known.mean()) if len(known) else float("nan"), float("nan"), float("nan"), len(known))
    result = stats.bootstrap(
        (known,),
        np.mean,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // len(known)),
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng((seed, 21)),
    )
    low, high = result.confidence_interval
    return Interval(float(known.mean()), float(low), float(high), len(known))


def interval_of_confusion(
    matrices: np.ndarray,
    score: Callable[[np.ndarray], float],
    *,
    seed: int,
    level: float = 0.95,
    resamples: int = 1000,
) -> Interval:
    """The score of the summed confusion matrices and its interval over pictures.

    A score such as the mean IoU is not a mean over pictures: each resample adds up the matrices of the pictures drawn, as often
    as they were drawn, which is one product of matrices for all resamples.

    Args:
        matrices: of each picture, [N, C, C + 1], `Confusion.pictures`.
        score: [C, C + 1] to a number, such as `segmentation.class_iou`.
        seed: of the resampling.
        level: coverage.
        resamples: number of them.
    """
    count = len(matrices)
    value = score(matrices.sum(axis=0))
    if count < 2:
        return Interval(value, float("nan"), float("nan"), count)
    drawn = np.random.default_rng((seed, 22)).multinomial(count, np.full(count, 1 / count), size=resamples)
    sums = (drawn.astype(np.float64) @ matrices.reshape(count, -1)).reshape(resamples, *matrices.shape[1:])
    tail = (1 - level) / 2
    low, high = np.nanquantile([score(matrix) for matrix in sums], (tail, 1 - tail))
    return Interval(value, float(low), float(high), count)
