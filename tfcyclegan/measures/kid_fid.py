"""FID and KID: distances between two sets of pictures in the feature space of a network. Features
are float [N, D].

FID (Heusel et al. 2017, Eq. 6) is biased upwards, more so with fewer pictures and more features:
two samples of 100 from one Gaussian in 64 dimensions have an FID of 21.9. KID (Binkowski et al.
2018, Sec. 3) is unbiased and therefore the main score for small sets. Neither can be interpreted
without the name of the feature network, n, D, and the floor, the distance between real pictures and
other real pictures.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.measures.evaluation_set import EvaluationSet
from tfcyclegan.measures.statistics import REAL, InBatches
from tfcyclegan.measures.tables import Column, Interval, Table, interval_of_halves, random_halves

if TYPE_CHECKING:
    from tfcyclegan.networks.feature_networks import FeatureNetwork

PREFIX = "Distribution"
HALVES = "real (two halves of the training pictures)"
KID, FID = "KID x 1000", "FID"
LEAST_FOR_KID = 16
LEAST_FOR_FID = 50
REFERENCES = 400
"""Real training pictures to compare with, evenly spread; more would take longer without making the
scores of some 100 translations more precise.
"""
_LARGEST_SUBSET = 1000


def _root(covariance: np.ndarray) -> np.ndarray:
    """A with A A^T = `covariance`, [D, rank], without the eigenvalues that are rounding noise."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0)
    return vectors[:, kept] * np.sqrt(values[kept])


def _gaussian(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [D] and unbiased covariance [D, D], in float64."""
    covariance = np.cov(features, rowvar=False, dtype=np.float64)
    return features.mean(axis=0, dtype=np.float64), np.atleast_2d(covariance)


def fid_gaussians(
    mean1: np.ndarray, covariance1: np.ndarray, mean2: np.ndarray, covariance2: np.ndarray
) -> float:
    """Squared 2-Wasserstein distance between two Gaussians with means [D] and covariances [D, D]
    (Dowson and Landau 1982).

    It is |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2). With C = A A^T, the last trace is the
    sum of the singular values of A1^T A2. No square root of a non-symmetric matrix is needed, so
    the result stays real, and exact for singular covariances.
    """
    shift = np.asarray(mean1, np.float64) - mean2
    one, other = np.asarray(covariance1, np.float64), np.asarray(covariance2, np.float64)
    shared = np.linalg.svd(_root(one).T @ _root(other), compute_uv=False).sum()
    return float(shift @ shift + np.trace(one) + np.trace(other) - 2 * shared)


def _check(features1: np.ndarray, features2: np.ndarray, least: int) -> None:
    if features1.ndim != 2 or features2.ndim != 2 or features1.shape[1] != features2.shape[1]:
        raise UserError(
            f"features of {features1.shape} and {features2.shape}: must be [N, D] and [M, D] of "
            "one network"
        )
    if min(len(features1), len(features2)) < least:
        raise UserError(
            f"{min(len(features1), len(features2))} pictures: the distance needs at least {least} "
            "on each side"
        )


def fid(features1: np.ndarray, features2: np.ndarray) -> float:
    """FID of two sets of features, with unbiased covariances as in the published code.

    Raises:
        UserError: different numbers of features, or fewer than two pictures on either side.
    """
    _check(features1, features2, 2)
    return fid_gaussians(*_gaussian(features1), *_gaussian(features2))


def fids_of_halves(drawn: np.ndarray, others: np.ndarray, *, seed: int) -> np.ndarray:
    """FIDs between `random_halves` of one side and all of the other, [subsets].

    The centred features of a half are themselves a root of its covariance, so no [D, D] root is
    computed per half.

    Args:
        drawn: features of the side that is halved, [N, D], N at least 4.
        others: features of the other side, [M, D].
        seed: seed of the halves.
    """
    _check(drawn, others, 4)
    drawn = np.asarray(drawn, np.float64)
    mean, covariance = _gaussian(others)
    root, total = _root(covariance), np.trace(covariance)
    values = []
    for indices in random_halves(len(drawn), (seed, 34)):
        half = drawn[indices]
        own_mean = half.mean(axis=0)
        own_root = (half - own_mean) / np.sqrt(len(half) - 1)
        product = own_root @ root
        # Singular values from the smaller Gram matrix: accurate to about 1e-8 of the largest one,
        # and many times faster.
        gram = product @ product.T if len(product) < product.shape[1] else product.T @ product
        shared = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0)).sum()
        values.append(
            np.square(own_mean - mean).sum() + np.square(own_root).sum() + total - 2 * shared
        )
    return np.array(values)


def mmd(features1: np.ndarray, features2: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x.y/D + 1)^3 (Binkowski et al.
    2018, Eq. 4); may be negative.
    """
    _check(features1, features2, 2)
    first, second = np.asarray(features1, np.float64), np.asarray(features2, np.float64)

    def kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return (left @ right.T / left.shape[1] + 1) ** 3

    def mean_of_pairs(cloud: np.ndarray) -> float:
        gram = kernel(cloud, cloud)
        return (gram.sum() - np.trace(gram)) / (len(cloud) * (len(cloud) - 1))

    return float(mean_of_pairs(first) + mean_of_pairs(second) - 2 * kernel(first, second).mean())


def kid(
    features1: np.ndarray,
    features2: np.ndarray,
    *,
    seed: int = 0,
    subsets: int = 100,
    subset_size: int | None = None,
    level: float = 0.95,
) -> Interval:
    """KID: mean of `mmd` over random subsets of both sides.

    Args:
        features1: [N, D].
        features2: [M, D].
        seed: seed of the subsets.
        subsets: number of subsets.
        subset_size: pictures per side; None for half of each side, at most the usual 1000. The
            values of such halves, drawn without replacement, vary about as much as those of the
            whole samples between draws (the delete-half jackknife, Shao and Wu 1989), or 1.4 to 1.9
            times as much where the two distributions hardly differ. Smaller subsets vary more, so
            the interval is too wide; larger ones vary too little, down to not at all if they hold
            all pictures.
        level: coverage of the interval, which consists of quantiles of the subsets' values.

    Raises:
        UserError: too few pictures for the subsets.
    """
    _check(features1, features2, max(4, subset_size or 0))
    generator = np.random.default_rng((seed, 31))

    def drawn(side: np.ndarray) -> np.ndarray:
        size = subset_size or min(len(side) // 2, _LARGEST_SUBSET)
        return side[generator.choice(len(side), size, replace=False)]

    values = [mmd(drawn(features1), drawn(features2)) for _ in range(subsets)]
    low, high = np.quantile(values, ((1 - level) / 2, (1 + level) / 2))
    return Interval(float(np.mean(values)), float(low), float(high), len(features1))


def split_floor(
    features: np.ndarray,
    distance: Callable[[np.ndarray, np.ndarray], float],
    *,
    seed: int,
    repeats: int = 5,
) -> list[float]:
    """Distances between random halves of one set of real pictures: the lowest distance that a
    translation can be expected to reach.

    Each half has N/2 pictures, so the floor of an FID is that of N/2 pictures and higher than at N.
    """
    generator = np.random.default_rng((seed, 32))
    values = []
    for _ in range(repeats):
        order = generator.permutation(len(features))
        half = len(order) // 2
        values.append(distance(features[order[:half]], features[order[half : 2 * half]]))
    return values


def _features(scored: EvaluationSet, pictures: list[np.ndarray]) -> np.ndarray:
    assert not isinstance(scored.tools.features, str)
    return scored.tools.features(pictures)


_FEATURES = InBatches(_features)


def kid_of(scored: EvaluationSet, names: Sequence[str]) -> dict[str, Interval]:
    """KID of some of the translations against real training pictures; empty without a network or
    with too few pictures.
    """
    if isinstance(scored.tools.features, str) or len(names) < LEAST_FOR_KID:
        return {}
    (real,) = scored.rows((_FEATURES, REAL, scored.references(REFERENCES)))
    own = scored.rows_by_name(_FEATURES)
    return {KID: _kid(np.array([own[name] for name in names]), np.array(real))}


def table(scored: EvaluationSet) -> Table | str:
    """KID and FID; a reason if there is no network or there are too few pictures."""
    features = scored.tools.features
    if isinstance(features, str):
        return features
    real = scored.references(REFERENCES)
    fewest = min(len(scored.inputs), len(real))
    if fewest < LEAST_FOR_KID:
        return (
            f"KID and FID: {len(scored.inputs)} translations and {len(real)} real pictures; "
            f"at least {LEAST_FOR_KID} of each are needed"
        )
    with_fid = fewest >= LEAST_FOR_FID
    sets = [name for name, some in scored.with_floor.items() if len(some) >= LEAST_FOR_KID]
    real_features, *others = map(
        np.array, scored.rows((_FEATURES, REAL, real), *((_FEATURES, name) for name in sets))
    )
    rows = {}
    for name, own in zip(sets, others, strict=True):
        rows[name] = {KID: _kid(own, real_features)}
        if with_fid and len(own) >= LEAST_FOR_FID:
            halves = fids_of_halves(own, real_features, seed=0)
            rows[name][FID] = interval_of_halves(fid(own, real_features), halves, len(own))
    if len(real) >= 2 * LEAST_FOR_KID:
        rows[HALVES] = _halves(real_features, with_fid and len(real) >= 2 * LEAST_FOR_FID)
    columns = [Column(KID, decides=True), *([Column(FID, digits=2)] if with_fid else [])]
    network = features.network
    return Table(
        f"{PREFIX}: {network.name}", _note(scored, network, len(real), with_fid), columns, rows
    )


def _kid(own: np.ndarray, real: np.ndarray) -> Interval:
    one = kid(own, real)
    return Interval(1000 * one.value, 1000 * one.low, 1000 * one.high, one.pictures)


def _halves(real: np.ndarray, with_fid: bool) -> dict[str, Interval]:
    """Scores of one half of the real pictures against the other: FID is a mean over several random
    splits, the intervals are those of the first split.
    """
    order = np.random.default_rng((0, 33)).permutation(len(real))
    first, second = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    values = {KID: _kid(first, second)}
    if with_fid:
        value = float(np.mean(split_floor(real, fid, seed=0)))
        halves = fids_of_halves(first, second, seed=0)
        values[FID] = interval_of_halves(value, halves, len(first))
    return values


def _note(scored: EvaluationSet, network: "FeatureNetwork", reals: int, with_fid: bool) -> str:
    unpublished = "" if network.is_published else ", nor these with published ones"
    of_fid = (
        "FID is biased upwards, more so with fewer pictures, so compare it only with its floor; "
        "its interval is the scatter over random halves of a row's pictures, centred on the value "
        "of all of them"
        if with_fid
        else f"FID is left out because it needs {LEAST_FOR_FID} pictures on each side"
    )
    return (
        f"n = {len(scored.inputs)} translations, or what a row has, against {reals} real training "
        "pictures of the target domain, whose halves are against each other, in "
        f"d = {network.dimension} features of {network.name} (weights {network.sha256[:12]}). "
        f"Scores of different networks cannot be compared{unpublished}. "
        "KID is unbiased and 0 for equal distributions; its interval comes from random halves of "
        f"both sides; {of_fid}."
    )
