"""A table of scores: sets of pictures as rows, measures as columns, each value with its interval
over pictures.
"""

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfcyclegan.measures.statistics import Interval


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
    """

    title: str
    note: str
    columns: Sequence[Column]
    rows: dict[str, dict[str, Interval]] = field(default_factory=dict)

    def lost(self, own: str, controls: Sequence[str]) -> list[str]:
        """Where the row `own` is not better than that of a control in a deciding column: "column
        (control)" each.
        """
        lost = []
        for column in self.columns:
            for control in controls:
                mine, theirs = (
                    self.rows.get(own, {}).get(column.name),
                    self.rows.get(control, {}).get(column.name),
                )
                if not column.decides or mine is None or theirs is None:
                    continue
                ahead = (
                    mine.value < theirs.value
                    if column.better == "lower"
                    else mine.value > theirs.value
                )
                if not ahead:
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
                    "value": _number(v.value),
                    "low": _number(v.low),
                    "high": _number(v.high),
                    "n": v.pictures,
                }
                for column, v in values.items()
            }
            for name, values in self.rows.items()
        }
        return {"title": self.title, "note": self.note, "columns": columns, "rows": rows}


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
        for table in result["tables"]:
            for row, values in table["rows"].items():
                for column, one in values.items():
                    writer.writerow(
                        (
                            result["direction"],
                            table["title"],
                            row,
                            column,
                            one["value"],
                            one["low"],
                            one["high"],
                            one["n"],
                        )
                    )
        for one in result["detectors"]:
            writer.writerow(
                (
                    result["direction"],
                    "Detectors",
                    one["name"],
                    "value",
                    one["value"],
                    one["low"],
                    one["high"],
                    result["count"],
                )
            )
    return stream.getvalue()


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _shown(value: Interval | None, digits: int) -> str:
    if value is None or not np.isfinite(value.value):
        return ""
    bounds = f" [{value.low:.{digits}f}, {value.high:.{digits}f}]" if np.isfinite(value.low) else ""
    return f"{value.value:.{digits}f}{bounds}"
