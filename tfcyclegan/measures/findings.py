"""Findings of failure detectors: a value, its range on real pictures, a verdict, the worst pictures
and what usually helps.

Limits are distances from the range of real pictures, so they need not know how much the real
pictures of a data set vary. They were set on the real tiles of `data_prep.satellite_map` (72x72
pixels, both directions): all detectors call a healthy run of 0.1.0's satellite2map.cfg "ok", and do
not call tiles with an artificial defect "ok". They are tested on runs on the synthetic street,
which was not used to set them. They are rules of thumb.
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
"""Number of random draws that give a range."""
WORST = 3
"""Number of worst pictures shown."""
REALS = 200
"""Real training pictures to compare with, evenly spread."""


@dataclass(frozen=True)
class Limits:
    """The distances from the range at which a value becomes suspicious or bad."""

    suspicious: float
    bad: float

    def verdict(self, excess: float) -> str:
        return BAD if excess >= self.bad else SUSPICIOUS if excess >= self.suspicious else OK


@dataclass(frozen=True)
class Finding:
    """The result of one detector.

    Attributes:
        name: name of the failure.
        value: value of the translations.
        low: lower end of the range on real pictures; NaN if there is none.
        high: upper end.
        verdict: OK, SUSPICIOUS or BAD.
        measures: what the value is.
        helps: what usually helps.
        worst: names of the inputs with the worst translations.
        note: anything else worth knowing; may be empty.
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
    """The 95% range of the mean over `size` randomly drawn real pictures' values."""
    drawn = np.random.default_rng((0, 52)).choice(values, (DRAWS, size)).mean(axis=1)
    low, high = np.quantile(drawn, TAILS)
    return float(low), float(high)


def worst_of(pictures: Mapping[str, Any], badness: np.ndarray) -> tuple[str, ...]:
    """Names of the pictures with the largest `badness`, [N]."""
    names = list(pictures)
    return tuple(names[index] for index in np.argsort(-badness, kind="stable")[:WORST])


# One row per picture, [N, ...].
Rows = np.ndarray


def above(value: float, low: float, high: float) -> float:
    return value - high


def times_below(value: float, low: float, high: float) -> float:
    return low / max(value, 1e-9)


@dataclass(frozen=True)
class SetDetector:
    """A detector that compares the set of translations with real pictures of the target domain.

    Attributes:
        name: name of the failure.
        measures: what the value is.
        helps: what usually helps.
        limits: limits of the excess.
        rows: features of one picture; raises UserError if pictures are too small, and the detector
            is then left out.
        distance: distance between the rows of two sets.
        one: badness of each single row, given the rows of real pictures.
        excess: function of value, low and high: how far the value is outside the range.
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
        # Held-out real pictures widen the range; with pairs, they show the translated scenes.
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
