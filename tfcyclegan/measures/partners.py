"""Which test pictures of the two domains show the same: what the user says, or a guess by equal
names that the pictures must bear out in a permutation test.

Two views of one scene have their edges and regions in the same places, whatever colours these have:
what is at a place in one picture tells what is at that place in the other. Likeness is therefore
measured by canonical correlations between the two pictures' maps of lightness, colour and edges: it
does not change when a domain's colours are mixed, inverted or brightened, and it works for a photo
and its label map, or a satellite picture and its map, as well as for two photos.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from tfcyclegan.config.commands import PAIRS
from tfcyclegan.data.pixels import spread
from tfcyclegan.data.source import ALIGNED
from tfcyclegan.errors import UserError
from tfcyclegan.measures.lab import lab

AUTO, NAMES, NONE = PAIRS

# {name of a picture of a: name of the picture of b that shows the same}; or AUTO, NAMES or NONE.
Pairs = Mapping[str, str] | str
# Pairs below which nothing can be known: of 5 there are but 120 orders, and one of them is right
# by chance too often.
LEAST = 6
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


@dataclass(frozen=True)
class Partners:
    """The pairs of one direction.

    Attributes:
        names: by an input's name that of its truth; empty where no pairs are known.
        basis: "file", "names" or "none" as the user says; "aligned" as the data set says; "guess"
            for equal names that nobody called pairs.
        sure: whether a verdict may count them: the user says so, or the pictures bear the guess
            out.
        told: what they rest on, or why there are none; on one line.
        test: what the pictures say; None where there are none, or too few.
    """

    names: Mapping[str, str]
    basis: str
    sure: bool
    told: str
    test: Pairing | None = None

    def to_json(self) -> dict[str, Any]:
        test = self.test and {
            "n": self.test.count,
            "permutations": PERMUTATIONS,
            "p": self.test.p,
            "nearer": self.test.nearer,
            "seed": SEED,
            "holds": self.test.holds,
        }
        return {
            "basis": self.basis,
            "count": len(self.names),
            "in_verdicts": bool(self.names) and self.sure,
            "told": self.told,
            "test": test,
        }


def find_partners(
    inputs: Mapping[str, np.ndarray],
    held_out: Mapping[str, np.ndarray],
    pairs: Pairs,
    direction: str,
    purpose: str,
    *,
    aligned: bool = False,
) -> Partners:
    """The pairs among `inputs` and the target domain's pictures `held_out`; where `aligned`, the
    data set says that equal names are pairs.

    Raises:
        UserError: pairs that name pictures which are not there, or --pairs=names where no names are
            equal.
    """

    def none(reason: str) -> Partners:
        return Partners({}, NONE, True, f"no true pictures: {reason}")

    if pairs == NONE:
        return none("--pairs=none says that no two pictures show the same")
    if not held_out:
        return none(f"the target domain has no split for {purpose}")
    if isinstance(pairs, str):
        equal = {name: name for name in inputs if name in held_out}
        if pairs == NAMES and not equal:
            raise UserError(
                f"--pairs=names: no names of the two domains' {purpose} pictures are equal; give "
                "a file of pairs"
            )
        if pairs == AUTO and aligned:
            return _tested(equal, ALIGNED, inputs, held_out)
        if pairs == AUTO and held_out.keys() != inputs.keys():
            some = f", {len(equal)} of {len(inputs)} are equal, and --pairs=names takes those"
            return none(
                f"the names of the two domains' {purpose} pictures differ{some if equal else ''}; "
                "give --pairs where they show the same"
            )
        return _tested(equal, "guess" if pairs == AUTO else NAMES, inputs, held_out)
    ordered = dict(pairs) if direction == "ab" else {b: a for a, b in pairs.items()}
    unknown = [name for name in ordered if name not in inputs] + [
        name for name in ordered.values() if name not in held_out
    ]
    if unknown:
        raise UserError(
            f"--pairs: {len(unknown)} names are not in the data: "
            f"{', '.join(unknown[:5])}{', ...' if len(unknown) > 5 else ''}"
        )
    return _tested(ordered, "file", inputs, held_out)


def _tested(
    names: dict[str, str],
    basis: str,
    inputs: Mapping[str, np.ndarray],
    held_out: Mapping[str, np.ndarray],
) -> Partners:
    """The pairs, and what the pictures say of them."""
    guessed = basis == "guess"
    ways = {"guess": "guessed by equal names", ALIGNED: "as the data set says, which is aligned"}
    given = f"pairs: {ways.get(basis, 'as --pairs says')}"
    if len(names) < len(inputs):
        given += f", {len(names)} of {len(inputs)} pictures"
    if len(names) < LEAST:
        given += (
            f"; with n = {len(names)} the pictures cannot tell whether they show the same "
            f"({LEAST} can)"
        )
        if guessed:
            given += ", so no verdict counts them; --pairs=names or --pairs=none decides"
        return Partners(names, basis, not guessed, given)
    chosen = [list(names.items())[index] for index in spread(len(names), AT_MOST)]
    test = permutation_test(
        [inputs[one] for one, _ in chosen], [held_out[other] for _, other in chosen]
    )
    numbers = (
        f"n = {test.count}, {PERMUTATIONS} permutations, p = {test.p:.4f}, seed {SEED}; "
        f"a picture is more like its partner than like {test.nearer:.0%} of the others"
    )
    if test.holds:
        given += f", and the pictures bear it out ({numbers})"
        if guessed:
            given += "; --pairs=none if they do not show the same"
        return Partners(names, basis, True, given, test)
    chance = f"the pictures are no nearer to each other than to random partners ({numbers})"
    if guessed:
        told = (
            f"no true pictures: names are equal, but {chance}, so they are taken for unpaired; "
            "--pairs=names if they do show the same"
        )
        return Partners({}, basis, False, told, test)
    return Partners(
        names, basis, True, f"{given}, but {chance}; --pairs=none leaves them out", test
    )
