"""Tables of scores with intervals: one row per set of pictures, one column per measure.

An interval shows how much a score would vary with other test pictures. It comes from the percentile
bootstrap over pictures (Efron 1979) or, for distances that are biased upwards for few pictures,
from random halves of the pictures.
"""

import csv
import dataclasses
import io
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

CONTROLS_TO_BEAT = ("identity", "colour matching", "histogram matching")
"""A translation is worth its training if it beats each of these in every deciding column."""
_RESAMPLES = 2000
_SURELY_DRAWN = 20
"""Number of pictures of which each resample holds at least one, but for 2 of a thousand million."""


class Assumed(str):
    """One line that states an assumption made by a measure."""


@dataclass(frozen=True)
class Interval:
    """A score over `pictures` pictures and its interval; the bounds are NaN if there is none, for
    example for a single picture.
    """

    value: float
    low: float = np.nan
    high: float = np.nan
    pictures: int = 0


def mean_of_known(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis, ignoring NaN; NaN if all are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values, axis=-1)


def _bootstrap(
    samples: Sequence[np.ndarray],
    statistic: Callable[..., Any],
    seed: tuple[int, int],
    batch: int | None = None,
) -> tuple[float, float]:
    """The 95% interval by the percentile bootstrap, each sample being resampled by itself."""
    low, high = stats.bootstrap(
        samples,
        statistic,
        n_resamples=_RESAMPLES,
        batch=batch,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(low), float(high)


def interval_of_mean(values: np.ndarray, *, seed: int = 0) -> Interval:
    """Mean of a score per picture, [N], and its bootstrap interval.

    NaN values, for example of a class that a picture does not show, are ignored. Infinite values,
    for example the PSNR of two equal pictures, leave the score without bounds.
    """
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    mean = float(known.mean()) if len(known) else np.nan
    if len(known) < 2 or not np.isfinite(known).all():
        return Interval(mean, pictures=len(known))
    bounds = _bootstrap((known,), np.mean, (seed, 21), batch=max(1, 2_000_000 // len(known)))
    return Interval(mean, *bounds, len(known))


def interval_of_ratio(over: np.ndarray, under: np.ndarray, *, seed: int = 0) -> Interval:
    """Ratio of the means of two scores per picture, [N] and [M], which are resampled independently;
    its n is N.

    It has no bounds if so few of the scores below the line differ from 0 that a resample may hold
    none of them.
    """
    value = float(over.mean() / under.mean())
    divisible = np.count_nonzero(under) >= min(len(under), _SURELY_DRAWN)
    if min(len(over), len(under)) < 2 or not divisible:
        return Interval(value, pictures=len(over))
    bounds = _bootstrap(
        (over, under),
        lambda one, other, axis: one.mean(axis=axis) / other.mean(axis=axis),
        (seed, 23),
    )
    return Interval(value, *bounds, len(over))


def random_halves(count: int, seed: tuple[int, int], *, subsets: int = 40) -> Iterator[np.ndarray]:
    """Indices of random halves of `count` pictures, [count // 2] each, drawn without replacement:
    the subsets of the delete-half jackknife (Shao and Wu 1989).
    """
    generator = np.random.default_rng(seed)
    for _ in range(subsets):
        yield generator.choice(count, count // 2, replace=False)


def interval_of_halves(
    value: float, halves: np.ndarray, count: int, *, level: float = 0.95
) -> Interval:
    """A distance over `count` pictures, with an interval from its values over `random_halves` of
    them.

    The values' scatter is centred on the distance over all pictures, because the distance over
    fewer pictures is biased upwards.
    """
    tail = (1 - level) / 2
    low, high = np.quantile(halves - halves.mean(), (tail, 1 - tail))
    return Interval(value, max(0.0, value + float(low)), value + float(high), count)


@dataclass(frozen=True)
class Column:
    """One measure.

    Attributes:
        name: as printed.
        better: "lower" or "higher"; "" if neither is better, for example for a count.
        decides: whether a translation must beat the controls in this column.
        digits: decimal places.
    """

    name: str
    better: str = "lower"
    decides: bool = False
    digits: int = 3


@dataclass
class Table:
    """Scores of one family of measures.

    Attributes:
        title: name of the family.
        note: what is measured, on one line.
        columns: the measures.
        rows: {name of a set: {name of a column: score}}; a set may lack columns.
        plot: how the page plots it: "bars" for the rows, "classes" or "errors" for the columns in
            `plotted`; "" for no plot.
        plotted: names of the plotted columns.
        to_beat: the rows that a translation must beat in the deciding columns.
        confusion: confusion matrix of the translations, [C, C + 1], if the page should show it.
    """

    title: str
    note: str
    columns: Sequence[Column]
    rows: dict[str, dict[str, Interval]] = field(default_factory=dict)
    plot: str = "bars"
    plotted: Sequence[str] = ()
    to_beat: Sequence[str] = CONTROLS_TO_BEAT
    confusion: np.ndarray | None = None

    @property
    def count(self) -> int | None:
        """The number of pictures, or subjects, that all scores are over; None if they differ."""
        counts = {one.pictures for values in self.rows.values() for one in values.values()}
        return counts.pop() if len(counts) == 1 else None

    def lost(self, own: str) -> list[str]:
        """ "column (control)" for each deciding column in which the row `own` does not beat a
        control.
        """
        lost = []
        for column in self.columns:
            sign = -1 if column.better == "higher" else 1
            for control in self.to_beat:
                mine, theirs = (self._known(row, column) for row in (own, control))
                if (
                    column.decides
                    and mine
                    and theirs
                    and not sign * mine.value < sign * theirs.value
                ):
                    lost.append(f"{column.name} ({control})")
        return lost

    def compared(self, own: str) -> list[str]:
        """The deciding columns in which `own` and a control have a score."""
        controls = [name for name in self.to_beat if name in self.rows]
        return [
            column.name
            for column in self.columns
            if column.decides
            and self._known(own, column)
            and any(self._known(control, column) for control in controls)
        ]

    def _known(self, row: str, column: Column) -> Interval | None:
        """The row's score, or None if it has none or it could not be measured."""
        one = self.rows.get(row, {}).get(column.name)
        return one if one and not math.isnan(one.value) else None

    def shown(self, row: str) -> list[str]:
        """The row as printed, in the order of the columns; "" where a score is missing."""
        return [_shown(self.rows[row].get(column.name), column.digits) for column in self.columns]

    def to_json(self) -> dict[str, Any]:
        columns = [
            {"name": column.name, "better": column.better, "decides": column.decides}
            for column in self.columns
        ]
        rows = {
            name: {
                column: {
                    "value": finite(one.value),
                    "low": finite(one.low),
                    "high": finite(one.high),
                    "n": one.pictures,
                }
                for column, one in values.items()
            }
            for name, values in self.rows.items()
        }
        shown = {row: self.shown(row) for row in self.rows}
        return {
            "title": self.title,
            "note": self.note,
            "count": self.count,
            "columns": columns,
            "rows": rows,
            "shown": shown,
        }


def decided_if(sure: bool, table: Table) -> Table:
    """The table, without deciding columns unless `sure`."""
    columns = [dataclasses.replace(one, decides=one.decides and sure) for one in table.columns]
    return dataclasses.replace(table, columns=columns)


def to_csv(directions: Sequence[Mapping[str, Any]]) -> str:
    """The tables and detector values of metrics.json as CSV, one value per line."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("direction", "table", "row", "column", "value", "low", "high", "n"))
    for result in directions:
        lines = [
            (table["title"], row, column, one)
            for table in result["tables"]
            for row, values in table["rows"].items()
            for column, one in values.items()
        ] + [
            ("Detectors", one["name"], "value", one | {"n": result["count"]})
            for one in result["detectors"]
        ]
        writer.writerows(
            (result["direction"], *names, *(one[key] for key in ("value", "low", "high", "n")))
            for *names, one in lines
        )
    return stream.getvalue()


def finite(value: float) -> float | None:
    """The number, or None if it is NaN or infinite, which JSON cannot express."""
    return float(value) if np.isfinite(value) else None


def _shown(value: Interval | None, digits: int) -> str:
    if value is None or not np.isfinite(value.value):
        return ""
    bounds = f" [{value.low:.{digits}f}, {value.high:.{digits}f}]" if np.isfinite(value.low) else ""
    return f"{value.value:.{digits}f}{bounds}"
