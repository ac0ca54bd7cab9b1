"""Scores with their intervals, in tables: sets of pictures as rows, measures as columns.

An interval says how far a score would move if other test pictures had been drawn: percentile
bootstrap over pictures (Efron 1979), or, for distances that are biased upwards for few pictures,
random halves.
"""

import csv
import dataclasses
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

# A translation is worth its training if it is better than each of these in every deciding column.
CONTROLS_TO_BEAT = ("identity", "colour matching", "histogram matching")


class Assumed(str):
    """What a measure took for granted, in a line."""


@dataclass(frozen=True)
class Interval:
    """A score of all pictures and the bounds of its interval; NaN bounds where none can be given,
    as of a single picture.
    """

    value: float
    low: float = np.nan
    high: float = np.nan
    pictures: int = 0


def mean_of_known(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is not NaN; NaN of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values, axis=-1)


def interval_of_mean(
    values: np.ndarray, *, seed: int = 0, level: float = 0.95, resamples: int = 2000
) -> Interval:
    """The mean of one score a picture, [N], and its interval.

    NaN values, such as that of a class that a picture lacks, are left out. With an infinite one,
    such as the PSNR of two equal pictures, there are no bounds.
    """
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    mean = float(known.mean()) if len(known) else np.nan
    if len(known) < 2 or not np.isfinite(known).all():
        return Interval(mean, pictures=len(known))
    result = stats.bootstrap(
        (known,),
        np.mean,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // len(known)),
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng((seed, 21)),
    )
    low, high = result.confidence_interval
    return Interval(mean, float(low), float(high), len(known))


def interval_of_ratio(
    over: np.ndarray,
    under: np.ndarray,
    *,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """The ratio of the means of two sets of one value a picture, [N] and [M], each resampled by
    itself; n is N.
    """
    value = float(over.mean() / under.mean())
    if min(len(over), len(under)) < 2:
        return Interval(value, pictures=len(over))
    result = stats.bootstrap(
        (over, under),
        lambda one, other, axis: one.mean(axis=axis) / other.mean(axis=axis),
        n_resamples=resamples,
        vectorized=True,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng((seed, 23)),
    )
    low, high = result.confidence_interval
    return Interval(value, float(low), float(high), len(over))


def interval_of_halves(
    value: float, halves: np.ndarray, count: int, *, level: float = 0.95
) -> Interval:
    """A distance of `count` pictures, with the scatter of its values over random halves of them
    (delete-half jackknife, Shao and Wu 1989).

    The scatter is centred on the value of all pictures, since the distance of fewer pictures is
    biased upwards.
    """
    tail = (1 - level) / 2
    low, high = np.quantile(halves - halves.mean(), (tail, 1 - tail))
    return Interval(value, max(0.0, value + float(low)), value + float(high), count)


@dataclass(frozen=True)
class Column:
    """One measure.

    Attributes:
        name: as printed.
        better: "lower" or "higher"; "" for what is no score, such as a count.
        decides: whether a translation must beat the controls in it.
        digits: behind the point.
    """

    name: str
    better: str = "lower"
    decides: bool = False
    digits: int = 3


@dataclass
class Table:
    """Scores of one family of measures.

    Attributes:
        title: of the family.
        note: what is measured, on one line.
        columns: the measures.
        rows: {name of a set: {name of a column: value}}; a set may lack columns.
        plot: how the page draws it: "bars" of the rows, "classes" or "errors" of the columns
            `plotted`; "" for not at all.
        plotted: names of the columns that are drawn.
        to_beat: the rows that a translation must beat in the deciding columns.
        confusion: of the translations, [C, C + 1], if the page is to show one.
    """

    title: str
    note: str
    columns: Sequence[Column]
    rows: dict[str, dict[str, Interval]] = field(default_factory=dict)
    plot: str = "bars"
    plotted: Sequence[str] = ()
    to_beat: Sequence[str] = CONTROLS_TO_BEAT
    confusion: np.ndarray | None = None

    def lost(self, own: str) -> list[str]:
        """Where the row `own` is not better than that of a control in a deciding column: "column
        (control)" each.
        """
        lost = []
        for column in self.columns:
            sign = -1 if column.better == "higher" else 1
            for control in self.to_beat:
                mine, theirs = (self.rows.get(row, {}).get(column.name) for row in (own, control))
                if (
                    column.decides
                    and mine
                    and theirs
                    and not sign * mine.value < sign * theirs.value
                ):
                    lost.append(f"{column.name} ({control})")
        return lost

    def shown(self, row: str) -> list[str]:
        """The row's values as printed, in the order of the columns; empty where there is none."""
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
            "columns": columns,
            "rows": rows,
            "shown": shown,
        }


def undecided(table: Table) -> Table:
    """The same table, of which no column decides."""
    return dataclasses.replace(
        table, columns=[dataclasses.replace(column, decides=False) for column in table.columns]
    )


def to_csv(directions: Sequence[Mapping[str, Any]]) -> str:
    """The tables of metrics.json, and the detectors' values, as CSV: a line a value."""
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
    """JSON has no NaN and no infinity."""
    return float(value) if np.isfinite(value) else None


def _shown(value: Interval | None, digits: int) -> str:
    if value is None or not np.isfinite(value.value):
        return ""
    bounds = f" [{value.low:.{digits}f}, {value.high:.{digits}f}]" if np.isfinite(value.low) else ""
    return f"{value.value:.{digits}f}{bounds}"
