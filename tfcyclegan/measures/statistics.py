"""Intervals: how far a score would move if other test pictures had been drawn.

Percentile bootstrap over pictures (Efron 1979), or, for distances that fewer pictures make larger,
random halves.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A score of all pictures and the bounds of its interval; NaN bounds where none can be given,
    as of a single picture.
    """

    value: float
    low: float
    high: float
    pictures: int


def interval_of_mean(
    values: np.ndarray, *, seed: int, level: float = 0.95, resamples: int = 2000
) -> Interval:
    """The mean of one score a picture, [N], and its interval.

    NaN values, such as of a class that a picture lacks, are left out. An infinite one, such as the
    PSNR of an equal picture, leaves no bounds.
    """
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if len(known) < 2 or not np.isfinite(known).all():
        return Interval(
            float(known.mean()) if len(known) else float("nan"),
            float("nan"),
            float("nan"),
            len(known),
        )
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


def interval_of_ratio(
    over: np.ndarray, under: np.ndarray, *, seed: int, level: float = 0.95, resamples: int = 2000
) -> Interval:
    """The ratio of the means of two sets of one value a picture, [N] and [M], each resampled by
    itself; n is N.
    """
    value = float(over.mean() / under.mean())
    if min(len(over), len(under)) < 2:
        return Interval(value, float("nan"), float("nan"), len(over))
    result = stats.bootstrap(
        (over, under),
        lambda one, other, axis: one.mean(axis=axis) / other.mean(axis=axis),
        n_resamples=resamples,
        vectorized=True,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng((seed, 23)),
    )
    low, high = result.confidence_interval
    return Interval(value, float(low), float(high), len(over))


def interval_of_halves(
    value: float, halves: np.ndarray, count: int, *, level: float = 0.95
) -> Interval:
    """A distance of `count` pictures, with the scatter of its values over random halves of them
    (delete-half jackknife, Shao and Wu 1989).

    The scatter is moved onto the value of all pictures, since the distance of fewer pictures is
    larger by itself.
    """
    tail = (1 - level) / 2
    low, high = np.quantile(halves - halves.mean(), (tail, 1 - tail))
    return Interval(value, max(0.0, value + float(low)), value + float(high), count)


def interval_of_confusion(
    matrices: np.ndarray,
    score: Callable[[np.ndarray], float],
    *,
    seed: int,
    level: float = 0.95,
    resamples: int = 1000,
) -> Interval:
    """The score of the summed confusion matrices and its interval over pictures; see
    `intervals_of_confusion`.
    """
    return intervals_of_confusion(
        matrices,
        lambda counts: np.array([score(counts)]),
        seed=seed,
        level=level,
        resamples=resamples,
    )[0]


def intervals_of_confusion(
    matrices: np.ndarray,
    scores: Callable[[np.ndarray], np.ndarray],
    *,
    seed: int,
    level: float = 0.95,
    resamples: int = 1000,
) -> list[Interval]:
    """Several scores of the summed confusion matrices and their intervals over pictures.

    A score such as the mean IoU is not a mean over pictures: each resample adds up the matrices of
    the pictures drawn, as often as they were drawn, which is one product of matrices for all
    resamples.

    Args:
        matrices: of each picture, [N, C, C + 1], `Confusion.pictures`.
        scores: [C, C + 1] to numbers [K], such as `segmentation.class_ious`; NaN values, such as of
            a class that a resample lacks, are left out.
        seed: of the resampling.
        level: coverage.
        resamples: number of them.
    """
    count = len(matrices)
    values = scores(matrices.sum(axis=0))
    low = high = np.full(len(values), np.nan)
    if count > 1:
        drawn = np.random.default_rng((seed, 22)).multinomial(
            count, np.full(count, 1 / count), size=resamples
        )
        sums = (drawn.astype(np.float64) @ matrices.reshape(count, -1)).reshape(
            resamples, *matrices.shape[1:]
        )
        tail = (1 - level) / 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a class that no picture has
            low, high = np.nanquantile(
                [scores(matrix) for matrix in sums], (tail, 1 - tail), axis=0
            )
    return [
        Interval(float(value), float(a), float(b), count)
        for value, a, b in zip(values, low, high, strict=True)
    ]
