"""What a detector of failures says: a value, its range on real pictures, a verdict, the worst
pictures and what usually helps.

Limits say how far beyond the range of real pictures a value must lie to be suspicious or bad, so
they need not know how much the real pictures of a data set differ from each other. They were set on
the real tiles of `data_prep.satellite_map` (72x72 pixels, both directions): a healthy run of
configs/satellite2map.cfg stays "ok" in all of them, and the tiles with a defect put on do not. They
are tested on runs on the synthetic street, which had no part in them. They are rules of thumb.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.measures.advice import Advice, advise
from tfcyclegan.measures.evaluation_set import FLOOR, OWN, EvaluationSet
from tfcyclegan.measures.statistics import REAL, of_picture
from tfcyclegan.measures.tables import finite

OK, SUSPICIOUS, BAD = "ok", "suspicious", "bad"
SET_ON = "satellite2map tiles"

TAILS = (0.025, 0.975)
DRAWS = 200
WORST = 3
REALS = 200


@dataclass(frozen=True)
class Limits:
    """The excess at which a value becomes suspicious, and at which it becomes bad."""

    suspicious: float
    bad: float

    def verdict(self, excess: float) -> str:
        return BAD if excess >= self.bad else SUSPICIOUS if excess >= self.suspicious else OK


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
        helps: what usually helps against it.
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
        numbers = {key: finite(getattr(self, key)) for key in ("value", "low", "high")}
        words = {key: getattr(self, key) for key in ("verdict", "measures", "helps")}
        return {"name": self.name, **numbers, **words, "worst": list(self.worst), "note": self.note}


def range_of_means(values: np.ndarray, size: int) -> tuple[float, float]:
    """Where the mean of `size` real pictures' values lies, 95% of the time."""
    drawn = np.random.default_rng((0, 52)).choice(values, (DRAWS, size)).mean(axis=1)
    low, high = np.quantile(drawn, TAILS)
    return float(low), float(high)


def worst_of(pictures: Mapping[str, Any], badness: np.ndarray) -> tuple[str, ...]:
    """The names of the pictures with the largest values of `badness`, [N]."""
    names = list(pictures)
    return tuple(names[index] for index in np.argsort(-badness, kind="stable")[:WORST])


# A row a picture, [N, ...].
Rows = np.ndarray


def above(value: float, low: float, high: float) -> float:
    return value - high


def times_below(value: float, low: float, high: float) -> float:
    return low / max(value, 1e-9)


@dataclass(frozen=True)
class SetDetector:
    """A detector that compares the translations as a set with real pictures of the target domain.

    Attributes:
        name: of the failure.
        measures: what the value is.
        helps: what usually helps against it.
        limits: of the excess.
        rows: what is kept of one picture; where pictures are too small for it, the detector is left
            out.
        distance: of two sets' rows.
        one: how bad each single row is, given the real ones.
        excess: of a value over the range on real pictures: a function of value, low and high.
        draws: number of random splits of the real pictures that give the range.
    """

    name: str
    measures: str
    helps: tuple[Advice, ...]
    limits: Limits
    rows: Callable[[np.ndarray], Any]
    distance: Callable[[Rows, Rows], float]
    one: Callable[[Rows, Rows], Rows]
    excess: Callable[[float, float, float], float] = above
    draws: int = DRAWS

    def __call__(self, scored: EvaluationSet) -> Finding | str:
        try:
            return self._finding(scored)
        except UserError as error:
            return f"detector {self.name}: {error}"

    def _finding(self, scored: EvaluationSet) -> Finding:
        rows, real_rows, held_out = map(
            np.array,
            scored.rows(
                (of_picture(self.rows), OWN),
                (of_picture(self.rows), REAL, scored.references(REALS)),
                (of_picture(self.rows), FLOOR),
            ),
        )
        value = self.distance(rows, real_rows)
        size = min(len(rows), len(real_rows) // 2)
        generator = np.random.default_rng((0, 51))
        orders = [generator.permutation(len(real_rows)) for _ in range(self.draws if size else 0)]
        drawn = [
            self.distance(real_rows[order[:size]], real_rows[order[size:]]) for order in orders
        ]
        # other real pictures, of the scenes that are translated where pairs are known
        other = [self.distance(held_out, real_rows)] if len(held_out) > 1 else []
        tails = np.quantile(drawn, TAILS) if drawn else (np.nan, np.nan)
        low, high = float(min([*tails[:1], *other])), float(max([*tails[1:], *other]))
        return Finding(
            self.name,
            value,
            low,
            high,
            self.limits.verdict(self.excess(value, low, high)),
            self.measures,
            advise(scored.config, *self.helps),
            worst_of(scored.own, self.one(rows, real_rows)),
        )
