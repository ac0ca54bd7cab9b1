"""Summarizes the scores of all arms and seeds in a table: means, spreads, paired gains, and the
share of the gap that is closed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SOURCE_ONLY = "source only"
ORACLE = "target oracle"
GAP = 1.0
"""The smallest lead in mIoU points of the oracle over "source only" for which a share of the gap is
meaningful.
"""


@dataclass(frozen=True)
class ArmResult:
    """One arm over its seeds; mIoU in percent.

    Attributes:
        name: the arm's name.
        scores: mIoU by seed.
        mean: mean of the scores.
        spread: their standard deviation (n - 1), NaN for one seed.
        gain: mean over seeds of this arm's score minus that of "source only" with the same seed;
            NaN without that arm.
        gain_spread: standard deviation of those differences.
        gap_recovered: gain over that of the oracle, 1 being all of it; NaN without both arms or
            without a gap (GAP at least).
    """

    name: str
    scores: Mapping[int, float]
    mean: float
    spread: float
    gain: float
    gain_spread: float
    gap_recovered: float


def summarize(scores: Mapping[str, Mapping[int, float]]) -> list[ArmResult]:
    """A row for each arm, in the order given.

    Args:
        scores: mIoU in percent by arm and seed; seeds that "source only" lacks enter the mean, not
            the gain.
    """
    base = scores.get(SOURCE_ONLY, {})

    def gains(arm: Mapping[int, float]) -> np.ndarray:
        return np.array([arm[seed] - base[seed] for seed in sorted(arm.keys() & base.keys())])

    full = _mean(gains(scores[ORACLE])) if ORACLE in scores else float("nan")
    rows = []
    for name, arm in scores.items():
        values, differences = np.array(list(arm.values())), gains(arm)
        gain = _mean(differences)
        recovered = gain / full if np.isfinite(full) and full >= GAP else float("nan")
        rows.append(
            ArmResult(
                name,
                dict(arm),
                _mean(values),
                _spread(values),
                gain,
                _spread(differences),
                recovered,
            )
        )
    return rows


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _spread(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if values.size > 1 else float("nan")
