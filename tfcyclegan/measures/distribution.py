"""How far two sets of pictures are apart in the features of a network: FID and KID. Features are
float [N, D].

FID (Heusel et al. 2017, Eq. 6) is biased upwards, the more the fewer pictures and the more
features: at n = 100, two samples of one Gaussian in 64 dimensions are 21.9 apart. KID (Binkowski et
al. 2018, Sec. 3) is not biased, so it is the headline for small sets. Neither means anything
without the feature network's name, n, D, and `split_floor`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tfcyclegan.config import Size
from tfcyclegan.errors import UserError

_LARGEST_SUBSET = 1000


def resize_in_float(picture: np.ndarray, size: Size) -> np.ndarray:
    """uint8 [H, W, C] to float32 [h, w, C] in [0, 255]: Pillow's antialiased bicubic by channel,
    not rounded to levels.

    The "clean" resizing of Parmar et al. 2022 (clean-fid), clipped as theirs is.
    """
    channels = [
        np.asarray(
            Image.fromarray(picture[..., index].astype(np.float32)).resize(
                (size.width, size.height), Image.Resampling.BICUBIC
            )
        )
        for index in range(picture.shape[-1])
    ]
    return np.stack(channels, axis=-1).clip(0, 255)


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


@dataclass(frozen=True)
class Kid:
    """KID over subsets.

    Attributes:
        mean: of the subsets' values: the score.
        deviation: standard deviation of the subsets' values.
        low: lower bound of the interval.
        high: upper bound of the interval.
        subsets: number of subsets.
        subset_size: pictures of each side in a subset.
    """

    mean: float
    deviation: float
    low: float
    high: float
    subsets: int
    subset_size: int


def kid(
    features1: np.ndarray,
    features2: np.ndarray,
    *,
    seed: int,
    subsets: int = 100,
    subset_size: int | None = None,
    level: float = 0.95,
) -> Kid:
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
    fewer = min(len(features1), len(features2))
    size = min(fewer // 2, _LARGEST_SUBSET) if subset_size is None else subset_size
    _check(features1, features2, max(4, size))
    generator = np.random.default_rng((seed, 31))
    values = [
        mmd(
            *(
                cloud[generator.choice(len(cloud), size, replace=False)]
                for cloud in (features1, features2)
            )
        )
        for _ in range(subsets)
    ]
    low, high = np.quantile(values, ((1 - level) / 2, (1 + level) / 2))
    return Kid(
        float(np.mean(values)), float(np.std(values)), float(low), float(high), subsets, size
    )


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
