"""Do the pictures of two domains that are called pairs show the same? A permutation test on the
pictures themselves.

Two views of one scene have their edges and regions in the same places, whatever colours these have:
what is at a place in one picture tells what is at that place in the other. Likeness is therefore
measured by canonical correlations between the two pictures' maps of lightness, colour and edges: it
does not change when a domain's colours are mixed, inverted or brightened, and it takes a photo and
its label map, or a satellite picture and its map, as well as two photos.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from tfcyclegan.measures.appearance import lab

LEAST = 6
"""Pairs below which nothing can be known: of 5 there are but 120 orders, and one of them is right
by chance too often.
"""
AT_MOST = 100
PERMUTATIONS = 9999
SEED = 0
LEVEL = 0.01
NEARER_THAN = 2 / 3
_SIDE = 32


@dataclass(frozen=True)
class Pairing:
    """What the test says.

    Attributes:
        count: pairs looked at.
        p: share of the random pairings that are at least as alike, the given one among them.
        nearer: mean share of the other domain's pictures that are less like a picture than its
            partner is; 1/2 for random partners.
    """

    count: int
    p: float
    nearer: float

    @property
    def holds(self) -> bool:
        """Whether pairs are nearer to each other than to random partners: surely, and by more than
        an order that both sets share gives.
        """
        return self.p <= LEVEL and self.nearer >= NEARER_THAN


def likenesses(pictures: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> np.ndarray:
    """Mean squared canonical correlation of the maps of any two pictures uint8 [H, W, 1 or 3], in
    [0, 1], [len(pictures), len(others)].
    """
    one, other = (np.stack([_maps(picture) for picture in some]) for some in (pictures, others))
    products = np.einsum("ipk,jpl->ijkl", one, other, optimize=True)
    return np.square(products).sum(axis=(2, 3)) / one.shape[2]


def _maps(picture: np.ndarray) -> np.ndarray:
    """An orthonormal basis of a picture's maps of lightness, its square, two colours and edges at
    32x32 places, float32 [1024, 5].
    """
    values = lab(picture).astype(np.float32)
    edges = np.hypot(ndimage.sobel(values[..., 0], 0), ndimage.sobel(values[..., 0], 1))
    small = [
        np.asarray(Image.fromarray(one).resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float64)
        for one in (*np.moveaxis(values, -1, 0), edges)
    ]
    maps = np.stack([*small, small[0] ** 2], axis=-1).reshape(_SIDE * _SIDE, -1)
    basis, strengths, _ = np.linalg.svd(maps - maps.mean(axis=0), full_matrices=False)
    return (basis * (strengths > 1e-6 * max(strengths[0], 1.0))).astype(np.float32)


def permutation_test(pictures: Sequence[np.ndarray], partners: Sequence[np.ndarray]) -> Pairing:
    """Whether `pictures` and `partners`, in the same order, are more alike than in random orders.

    Args:
        pictures: of one domain, uint8 [H, W, 1 or 3] each of any size, at least `LEAST`.
        partners: of the other, as many.
    """
    likeness = likenesses(pictures, partners)
    count = len(likeness)
    rows = np.arange(count)
    own = likeness[rows, rows]
    orders = np.random.default_rng((SEED, 61)).permuted(np.tile(rows, (PERMUTATIONS, 1)), axis=1)
    drawn = likeness[rows, orders].mean(axis=1)
    p = (1 + int((drawn >= own.mean() - 1e-9).sum())) / (1 + PERMUTATIONS)
    nearer = np.mean(
        [(side < own).sum() / (count * (count - 1)) for side in (likeness, likeness.T)]
    )
    return Pairing(count, p, float(nearer))
