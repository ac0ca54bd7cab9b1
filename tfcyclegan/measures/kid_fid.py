"""How far two sets of pictures are apart in the features of a network: FID and KID. Features are
float [N, D].

FID (Heusel et al. 2017, Eq. 6) is biased upwards, the more the fewer pictures and the more
features: at n = 100, two samples of one Gaussian in 64 dimensions are 21.9 apart. KID (Binkowski et
al. 2018, Sec. 3) is not biased, so it is the headline for small sets. Neither means anything
without the feature network's name, n, D, and the floor of real against real pictures.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet
from tfcyclegan.measures.statistics import REAL, InBatches
from tfcyclegan.measures.tables import Column, Interval, Table, interval_of_halves

if TYPE_CHECKING:
    from tfcyclegan.networks.feature_networks import FeatureNetwork

PREFIX = "Distribution"
HALVES = "real (two halves of the training pictures)"
KID, FID = "KID x 1000", "FID"
LEAST_FOR_KID = 16
LEAST_FOR_FID = 50
# Real training pictures on the other side, evenly spread: more would take longer and tell no more
# at some 100 translations.
REFERENCES = 400
_LARGEST_SUBSET = 1000


def _root(covariance: np.ndarray) -> np.ndarray:
    """A with A A^T = `covariance`, [D, rank]; eigenvalues that are noise of the rounding are left
    out.
    """
    values, vectors = np.linalg.eigh(covariance)
    kept = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0)
    return vectors[:, kept] * np.sqrt(values[kept])


def fid_gaussians(
    mean1: np.ndarray, covariance1: np.ndarray, mean2: np.ndarray, covariance2: np.ndarray
) -> float:
    """Squared 2-Wasserstein distance of two Gaussians (Dowson and Landau 1982), means [D] and
    covariances [D, D].

    |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2). With C = A A^T the last trace is the sum of
    the singular values of A1^T A2, which needs no square root of a matrix that is not symmetric,
    and so stays real and exact for singular covariances.
    """
    shift = np.asarray(mean1, np.float64) - mean2
    covariance1, covariance2 = (
        np.asarray(covariance1, np.float64),
        np.asarray(covariance2, np.float64),
    )
    shared = np.linalg.svd(_root(covariance1).T @ _root(covariance2), compute_uv=False).sum()
    return float(shift @ shift + np.trace(covariance1) + np.trace(covariance2) - 2 * shared)


def _check(features1: np.ndarray, features2: np.ndarray, least: int) -> None:
    if features1.ndim != 2 or features2.ndim != 2 or features1.shape[1] != features2.shape[1]:
        raise UserError(
            f"features of {features1.shape} and {features2.shape}: need [N, D] and [M, D] of one "
            "network"
        )
    if min(len(features1), len(features2)) < least:
        raise UserError(
            f"{min(len(features1), len(features2))} pictures: the distance needs at least {least} "
            "on each side"
        )


def fid(features1: np.ndarray, features2: np.ndarray) -> float:
    """FID of two sets of features, with unbiased covariances as the published code takes them.

    Raises:
        UserError: other numbers of features, or fewer than two pictures on a side.
    """
    _check(features1, features2, 2)
    means = [cloud.mean(axis=0, dtype=np.float64) for cloud in (features1, features2)]
    covariances = [
        np.atleast_2d(np.cov(cloud, rowvar=False, dtype=np.float64))
        for cloud in (features1, features2)
    ]
    return fid_gaussians(means[0], covariances[0], means[1], covariances[1])


def fids_of_halves(
    drawn: np.ndarray, others: np.ndarray, *, seed: int, subsets: int = 40
) -> np.ndarray:
    """FIDs between random halves of one side, drawn without replacement, and all of the other,
    [subsets]; the delete-half jackknife.

    The centred features of a half are themselves a root of its covariance, so no half needs one of
    [D, D].

    Args:
        drawn: [N, D], of which halves are taken, N at least 4.
        others: [M, D].
        seed: of the halves.
        subsets: number of them.
    """
    _check(drawn, others, 4)
    drawn = np.asarray(drawn, np.float64)
    mean, covariance = (
        others.mean(axis=0, dtype=np.float64),
        np.atleast_2d(np.cov(others, rowvar=False, dtype=np.float64)),
    )
    root, total = _root(covariance), np.trace(covariance)
    generator = np.random.default_rng((seed, 34))
    size = len(drawn) // 2
    values = []
    for _ in range(subsets):
        half = drawn[generator.choice(len(drawn), size, replace=False)]
        own_mean = half.mean(axis=0)
        own_root = (half - own_mean) / np.sqrt(size - 1)
        product = own_root @ root
        # The singular values by the smaller Gram matrix: some 1e-8 of the largest off, many times
        # faster.
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
    """KID: mean of `mmd` over random subsets of equal size of both sides.

    Args:
        features1: [N, D].
        features2: [M, D].
        seed: of the subsets.
        subsets: number of them.
        subset_size: pictures of each side; None takes half of the smaller side, at most the usual
            1000. Subsets of a half, drawn without replacement, scatter about as much as the whole
            sample would from draw to draw (the delete-half jackknife, Shao and Wu 1989); smaller
            ones scatter more, so the interval errs to the wide side; larger ones scatter too
            little, down to none at all with all pictures.
        level: coverage of the interval: quantiles of the subsets' values.

    Raises:
        UserError: too few pictures for the subsets.
    """
    sides = (features1, features2)
    size = subset_size or min(*map(len, sides), 2 * _LARGEST_SUBSET) // 2
    _check(features1, features2, max(4, size))
    generator = np.random.default_rng((seed, 31))
    values = [
        mmd(*(side[generator.choice(len(side), size, replace=False)] for side in sides))
        for _ in range(subsets)
    ]
    low, high = np.quantile(values, ((1 - level) / 2, (1 + level) / 2))
    return Interval(float(np.mean(values)), float(low), float(high), len(features1))


def split_floor(
    features: np.ndarray,
    distance: Callable[[np.ndarray, np.ndarray], float],
    *,
    seed: int,
    repeats: int = 5,
) -> list[float]:
    """The distance of real pictures from real pictures, by random halves of one set: what no
    translation can be expected to beat.

    The halves have N/2 pictures, so an FID's floor is that of the half size, and higher than at N.
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
    """KID of some translations against real training pictures; nothing without a network, or of too
    few.
    """
    if isinstance(scored.tools.features, str) or len(names) < LEAST_FOR_KID:
        return {}
    places = scored.references(REFERENCES)
    real, own = map(np.array, scored.rows((_FEATURES, REAL, places), (_FEATURES, OWN)))
    by_name = dict(zip(scored.own, own, strict=True))
    return {KID: _kid(np.array([by_name[name] for name in names]), real)}


def table(scored: EvaluationSet) -> Table | str:
    """Both distances; a reason where there is no network or are too few pictures."""
    features = scored.tools.features
    if isinstance(features, str):
        return features
    real = scored.references(REFERENCES)
    fewest = min(len(scored.inputs), len(real))
    if fewest < LEAST_FOR_KID:
        return (
            f"KID and FID: {len(scored.inputs)} translations and {len(real)} real pictures; "
            f"they need {LEAST_FOR_KID} on each side"
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
    """Mean of some random splits; the intervals are those of the first."""
    order = np.random.default_rng((0, 33)).permutation(len(real))
    first, second = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    values = {KID: _kid(first, second)}
    if with_fid:
        value = float(np.mean(split_floor(real, fid, seed=0)))
        halves = fids_of_halves(first, second, seed=0)
        values[FID] = interval_of_halves(value, halves, len(first))
    return values


def _note(scored: EvaluationSet, network: "FeatureNetwork", reals: int, with_fid: bool) -> str:
    unpublished = "" if network.is_published else ", so none of these with published ones"
    of_fid = (
        "FID is biased upwards, the more the fewer pictures, so read it beside its floor "
        "alone; its interval is the scatter over "
        "random halves of a row's pictures, moved onto the value of all"
        if with_fid
        else f"FID is left out, since it needs {LEAST_FOR_FID} pictures on each side"
    )
    return (
        f"Between n = {len(scored.inputs)} pictures of each row and {reals} real training "
        f"pictures of the target domain, in d = {network.dimension} features of {network.name} "
        f"(weights {network.sha256[:12]}). Numbers of different networks cannot be compared"
        f"{unpublished}. KID is unbiased, 0 for equal distributions; its interval is of random "
        f"subsets of half the pictures; {of_fid}."
    )
