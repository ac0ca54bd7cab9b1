"""What decides where a picture file can be read in more than one way."""

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rules:
    """What decides where a file can be read in more than one way.

    Attributes:
        alpha: what becomes of transparency: "white" lays it on white, "drop" takes the colours
            below it, "refuse" makes the picture a bad one, "keep" is "white" with the alpha channel
            beside.
        extra_bands: of bands that are neither colours nor alpha: "refuse", or "drop".
        max_value: which value of pictures of more than 8 bit is white; None takes the largest of
            their type.
        by_flags: whether the person has flags of these names, for refusals to name.
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
