"""Which test pictures of the two domains show the same: what the user says, or a guess by equal
names that the pictures must bear out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcyclegan.config.commands import PAIRS
from tfcyclegan.data.pixels import spread
from tfcyclegan.errors import UserError
from tfcyclegan.measures import pairing
from tfcyclegan.measures.pairing import Pairing

AUTO, NAMES, NONE = PAIRS

Pictures = Mapping[str, np.ndarray]
Pairs = Mapping[str, str] | str
"""{name of a picture of a: name of the picture of b that shows the same}; or AUTO, NAMES or
NONE.
"""


@dataclass(frozen=True)
class Partners:
    """The pairs of one direction.

    Attributes:
        names: by an input's name that of its truth; empty where no pairs are known.
        basis: "file", "names" or "none" as the user says; "guess" for equal names that nobody
            called pairs.
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
        said = {
            "basis": self.basis,
            "count": len(self.names),
            "in_verdicts": bool(self.names) and self.sure,
            "told": self.told,
        }
        if self.test is None:
            return said | {"test": None}
        numbers = {
            "n": self.test.count,
            "permutations": pairing.PERMUTATIONS,
            "p": self.test.p,
            "nearer": self.test.nearer,
        }
        return said | {"test": numbers | {"seed": pairing.SEED, "holds": self.test.holds}}


def find_partners(
    inputs: Pictures, held_out: Pictures, pairs: Pairs, direction: str, purpose: str
) -> Partners:
    """The pairs among `inputs` and the target domain's pictures `held_out`.

    Raises:
        UserError: pairs that name pictures which are not there, or --pairs=names where no names are
            equal.
    """
    if pairs == NONE:
        return Partners(
            {}, NONE, True, "no true pictures: --pairs=none says that no two pictures show the same"
        )
    if not held_out:
        return Partners(
            {}, NONE, True, f"no true pictures: the target domain has no split for {purpose}"
        )
    if isinstance(pairs, str):
        equal = {name: name for name in inputs if name in held_out}
        if pairs == NAMES and not equal:
            raise UserError(
                f"--pairs=names: no names of the two domains' {purpose} pictures are equal; give "
                "a file of pairs"
            )
        if pairs == AUTO and held_out.keys() != inputs.keys():
            some = (
                f", {len(equal)} of {len(inputs)} are equal, and --pairs=names takes those"
                if equal
                else ""
            )
            told = (
                f"no true pictures: the names of the two domains' {purpose} pictures "
                f"differ{some}; give --pairs where they show the same"
            )
            return Partners({}, NONE, True, told)
        return _judged(equal, "guess" if pairs == AUTO else NAMES, inputs, held_out)
    ordered = dict(pairs) if direction == "ab" else {b: a for a, b in pairs.items()}
    unknown = [name for name in ordered if name not in inputs] + [
        name for name in ordered.values() if name not in held_out
    ]
    if unknown:
        raise UserError(
            f"--pairs: {len(unknown)} names are not in the data: "
            f"{', '.join(unknown[:5])}{', ...' if len(unknown) > 5 else ''}"
        )
    return _judged(ordered, "file", inputs, held_out)


def _judged(names: dict[str, str], basis: str, inputs: Pictures, held_out: Pictures) -> Partners:
    """The pairs, and what the pictures say of them."""
    part = f", {len(names)} of {len(inputs)} pictures" if len(names) < len(inputs) else ""
    given = (
        f"pairs: guessed by equal names{part}"
        if basis == "guess"
        else f"pairs: as --pairs says{part}"
    )
    if len(names) < pairing.LEAST:
        unknown = (
            f"with n = {len(names)} the pictures cannot tell whether they show the same "
            f"({pairing.LEAST} can)"
        )
        if basis == "guess":
            return Partners(
                names,
                basis,
                False,
                f"{given}; {unknown}, so no verdict counts them; --pairs=names or --pairs=none "
                "decides",
            )
        return Partners(names, basis, True, f"{given}; {unknown}")
    chosen = [list(names.items())[index] for index in spread(len(names), pairing.AT_MOST)]
    test = pairing.permutation_test(
        [inputs[one] for one, _ in chosen], [held_out[other] for _, other in chosen]
    )
    numbers = (
        f"n = {test.count}, {pairing.PERMUTATIONS} permutations, p = {test.p:.4f}, seed "
        f"{pairing.SEED}; "
        f"a picture is more like its partner than like {test.nearer:.0%} of the others"
    )
    if test.holds:
        otherwise = "; --pairs=none if they do not show the same" if basis == "guess" else ""
        return Partners(
            names,
            basis,
            True,
            f"{given}, and the pictures bear it out ({numbers}){otherwise}",
            test,
        )
    chance = f"the pictures are no nearer to each other than to random partners ({numbers})"
    if basis == "guess":
        told = (
            f"no true pictures: names are equal, but {chance}, so they are taken for unpaired; "
            "--pairs=names if they do show the same"
        )
        return Partners({}, basis, False, told, test)
    return Partners(
        names, basis, True, f"{given}, but {chance}; --pairs=none leaves them out", test
    )
