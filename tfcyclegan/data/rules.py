"""How to read picture files that can be read in more than one way."""

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rules:
    """How to read a file that can be read in more than one way.

    Attributes:
        alpha: treatment of transparency: "white" composites onto white, "drop" keeps colours and
            ignores alpha, "refuse" rejects the picture, "keep" is "white" and also returns the
            alpha channel.
        extra_bands: treatment of bands that are neither colours nor alpha: "refuse" or "drop".
        max_value: the value of white in pictures of more than 8 bits; None means the largest of
            their type.
        by_flags: whether the user has flags of these names, which error messages can then mention.
    """

    alpha: str = "white"
    extra_bands: str = "refuse"
    max_value: int | None = None
    by_flags: bool = False


USUAL = Rules()


def settings(rules: Rules) -> dict[str, Any]:
    """The rules that differ from the defaults, which are part of the identity of results."""
    usual = dataclasses.asdict(USUAL)
    return {
        name: value
        for name, value in dataclasses.asdict(rules).items()
        if name != "by_flags" and value != usual[name]
    }
