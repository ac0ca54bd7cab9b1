"""What decides where a picture file can be read in more than one way."""

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rules:
    """What decides where a file can be read in more than one way.

    Attributes:
        alpha: treatment of transparency: "white" composes on white, "drop" keeps colours and
            ignores alpha, "refuse" rejects the picture, "keep" is "white" and also returns the
            alpha channel.
        extra_bands: how bands that are neither colours nor alpha are treated: "refuse" or "drop".
        max_value: the value of white in pictures of more than 8 bits; None: the largest of their
            type.
        by_flags: whether the user has flags of these names, which error messages can then mention.
    """

    alpha: str = "white"
    extra_bands: str = "refuse"
    max_value: int | None = None
    by_flags: bool = False


USUAL = Rules()


def settings(rules: Rules) -> dict[str, Any]:
    """What of them differs from the usual: part of the identity of what is made of the pictures."""
    usual = dataclasses.asdict(USUAL)
    return {
        name: value
        for name, value in dataclasses.asdict(rules).items()
        if name != "by_flags" and value != usual[name]
    }
