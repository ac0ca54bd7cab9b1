"""What a detector says, and what several of them need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcyclegan.evaluation.material import Material

TAILS = (0.025, 0.975)
DRAWS = 200
WORST = 3
REALS = 200


@dataclass(frozen=True)
class Finding:
    """What one detector says.

    Attributes:
        name: of the failure.
        value: of the translations.
        low: lower end of the range on real pictures; NaN if there is none.
        high: upper end.
        verdict: OK, SUSPICIOUS or BAD.
        measures: what the value is.
        helps: what usually does.
        worst: names of the inputs whose translations show it most.
        note: what else to know; may be empty.
    """

    name: str
    value: float
    low: float
    high: float
    verdict: str
    measures: str
    helps: str
    worst: tuple[str, ...] = ()
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        finite = {
            key: float(value) if np.isfinite(value) else None for key, value in numbers.items()
        }
        told = {
            "verdict": self.verdict,
            "measures": self.measures,
            "helps": self.helps,
            "worst": list(self.worst),
            "note": self.note,
        }
        return {"name": self.name, **finite, **told}


def reals_of(material: Material) -> Sequence[np.ndarray]:
    """Real training pictures of the target domain, at most REALS, evenly spread."""
    return material.target_train[:: max(1, -(-len(material.target_train) // REALS))]


def range_of_means(values: np.ndarray, size: int) -> tuple[float, float]:
    """Where the mean of `size` real pictures' values lies, 95% of the time."""
    drawn = np.random.default_rng((0, 52)).choice(values, (DRAWS, size)).mean(axis=1)
    low, high = np.quantile(drawn, TAILS)
    return float(low), float(high)


def worst_of(pictures: Mapping[str, Any], badness: np.ndarray) -> tuple[str, ...]:
    """The names of the pictures with the largest values of `badness`, [N]."""
    names = list(pictures)
    return tuple(names[index] for index in np.argsort(-badness, kind="stable")[:WORST])
