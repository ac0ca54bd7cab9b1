"""Which test pictures of the two domains show the same scene: as declared by the user, or as
guessed from equal names if a permutation test of the pictures confirms it.

Two views of one scene have edges and regions at the same places, whatever their colours, so the
content at a place in one predicts the content at that place in the other. Similarity is therefore
measured by canonical correlations between maps of lightness, colour and edges. It does not change
when a domain's colours are mixed, inverted or brightened, and it works for a photo and its label
map or a satellite picture and its map as well as for two photos.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from tfcyclegan.config.commands import PAIRS
from tfcyclegan.data.pairs import of_arrays
from tfcyclegan.data.pixels import spread
from tfcyclegan.data.source import ALIGNED
from tfcyclegan.errors import UserError
from tfcyclegan.measures.lab import lab
from tfcyclegan.measures.pictures import Pictures

AUTO, NAMES, NONE = PAIRS

# {name of a picture of a: name of its partner in b}; or AUTO, NAMES or NONE.
Pairs = Mapping[str, str] | str
LEAST = 6
"""Fewest pairs that can be tested: 5 pairs have only 120 orders, so random ones pass too often."""
AT_MOST = 100
PERMUTATIONS = 9999
SEED = 0
LEVEL = 0.01
NEARER_THAN = 2 / 3
_SIDE = 32


@dataclass(frozen=True)
class Pairing:
    """Result of the permutation test.

    Attributes:
        count: number of pairs.
        p: share of the random pairings that are at least as similar as the given one, which is
            included.
        nearer: mean share of the other domain's pictures that are less similar to a picture than
            its partner; 1/2 for random partners.
    """

    count: int
    p: float
    nearer: float

    @property
    def holds(self) -> bool:
        """Whether pairs are more similar than random ones: significantly, and by more than the two
        sets being in a similar order could explain.
        """
        return self.p <= LEVEL and self.nearer >= NEARER_THAN


def likenesses(pictures: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> np.ndarray:
    """Mean squared canonical correlation between the maps of each picture and each other picture,
    uint8 [H, W, 1 or 3], in [0, 1], [len(pictures), len(others)].
    """
    one, other = (np.stack([_maps(picture) for picture in some]) for some in (pictures, others))
    products = np.einsum("ipk,jpl->ijkl", one, other, optimize=True)
    return np.square(products).sum(axis=(2, 3)) / one.shape[2]


def _maps(picture: np.ndarray) -> np.ndarray:
    """An orthonormal basis of a picture's maps at 32x32 resolution: lightness, its square, two
    colours and edges, float32 [1024, 5].
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
    """Tests whether `pictures` and `partners`, in the same order, are more similar than in random
    orders.

    Args:
        pictures: pictures of one domain, uint8 [H, W, 1 or 3] of any size, at least `LEAST`.
        partners: as many pictures of the other domain.
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
        names: the name of the true picture by that of its input; empty if no pairs are known.
        basis: "file", "names" or "none" if given by the user; "aligned" if declared by the data
            set; "guess" for equal names without either.
        sure: whether a verdict may rely on the pairs: they were given or declared, or the pictures
            confirm the guess.
        told: one line that says what the pairs are based on, or why there are none.
        test: result of the permutation test; None if there are no pairs or too few.
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


def names_of_pairs(
    inputs: Collection[str], held_out: Collection[str], pairs: Pairs, direction: str, purpose: str
) -> dict[str, str]:
    """The names of the pairs between `inputs` and the target domain's pictures `held_out`: those of
    `pairs`, or else equal names.

    Raises:
        UserError: the pairs name pictures that do not exist, or --pairs=names without any equal
            names.
    """
    if not held_out or pairs == NONE:
        return {}
    if isinstance(pairs, str):
        equal = {name: name for name in inputs if name in held_out}
        if pairs == NAMES and not equal:
            shown = " and ".join(next(iter(names)) for names in (inputs, held_out))
            raise UserError(
                f"--pairs=names: the two domains' {purpose} pictures have no names in common, such "
                f"as {shown}; give --pairs=FILE.csv with the columns a,b"
            )
        return equal
    ordered = dict(pairs) if direction == "ab" else {b: a for a, b in pairs.items()}
    found = of_arrays(ordered, inputs, held_out)
    unknown = [name for name in found if name not in inputs] + [
        name for name in found.values() if name not in held_out
    ]
    if unknown:
        raise UserError(
            f"--pairs: {len(unknown)} names are not in the data: "
            f"{', '.join(unknown[:5])}{', ...' if len(unknown) > 5 else ''}; names there are like "
            f"{next(iter(inputs))}"
        )
    return found


def told_of_sizes(truths: Pictures, inputs: Pictures) -> str:
    """Why pictures or measurements cannot be compared with their truths, [H, W, C] by the same
    names, pixel by pixel; "" if each pair has one size.
    """
    odd = [name for name, one in truths.items() if one.shape[:2] != inputs[name].shape[:2]]
    if not odd:
        return ""
    return (
        f"truth: left out, since {len(odd)} of {len(truths)} pairs differ in size, such as {odd[0]}"
    )


def find_partners(
    inputs: Mapping[str, np.ndarray],
    held_out: Mapping[str, np.ndarray],
    pairs: Pairs,
    direction: str,
    purpose: str,
    *,
    aligned: bool = False,
) -> Partners:
    """Finds the pairs between `inputs` and the target domain's pictures `held_out`. If `aligned`,
    the data set declares that equal names are pairs.

    Raises:
        UserError: see `names_of_pairs`.
    """

    def none(reason: str) -> Partners:
        return Partners({}, NONE, True, f"no true pictures: {reason}")

    if pairs == NONE:
        return none("--pairs=none excludes them")
    if not held_out:
        return none(f"the target domain has no {purpose} split")
    found = names_of_pairs(inputs, held_out, pairs, direction, purpose)
    if pairs == AUTO and aligned:
        return _tested(found, ALIGNED, inputs, held_out)
    if pairs == AUTO and held_out.keys() != inputs.keys():
        some = f" ({len(found)} of {len(inputs)} are equal; --pairs=names uses those)"
        return none(
            f"the names of the two domains' {purpose} pictures differ{some if found else ''}; "
            "give --pairs=FILE.csv if they show the same scenes"
        )
    basis = {AUTO: "guess", NAMES: NAMES}[pairs] if isinstance(pairs, str) else "file"
    return _tested(found, basis, inputs, held_out)


def _tested(
    names: dict[str, str],
    basis: str,
    inputs: Mapping[str, np.ndarray],
    held_out: Mapping[str, np.ndarray],
) -> Partners:
    """The pairs with the result of the permutation test."""
    guessed = basis == "guess"
    ways = {"guess": "guessed from equal names", ALIGNED: "declared by the aligned data set"}
    given = f"pairs: {ways.get(basis, 'given by --pairs')}"
    if len(names) < len(inputs):
        given += f", {len(names)} of {len(inputs)} pictures"
    if len(names) < LEAST:
        given += (
            f"; n = {len(names)} is too few to test whether the pictures show the same scenes "
            f"(at least {LEAST})"
        )
        if guessed:
            given += ", so no verdict relies on them; set --pairs=names or --pairs=none"
        return Partners(names, basis, not guessed, given)
    chosen = [list(names.items())[index] for index in spread(len(names), AT_MOST)]
    test = permutation_test(
        [inputs[one] for one, _ in chosen], [held_out[other] for _, other in chosen]
    )
    numbers = (
        f"n = {test.count}, {PERMUTATIONS} permutations, p = {test.p:.4f}, seed {SEED}; "
        f"a picture is more similar to its partner than to {test.nearer:.0%} of the others"
    )
    if test.holds:
        given += f", and the pictures confirm it ({numbers})"
        if guessed:
            given += "; set --pairs=none if they do not show the same scenes"
        return Partners(names, basis, True, given, test)
    degree = "not" if test.p > LEVEL else "hardly"
    chance = f"the pictures are {degree} more similar than random pairs ({numbers})"
    if guessed:
        told = (
            f"no true pictures: names are equal, but {chance}, so they are treated as unpaired; "
            "set --pairs=names if they do show the same scenes"
        )
        return Partners({}, basis, False, told, test)
    return Partners(names, basis, True, f"{given}, but {chance}; --pairs=none excludes them", test)
