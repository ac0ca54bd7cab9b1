"""The plots of the page, as SVG: own against controls with intervals, IoU by class, confusion of
classes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfcyclegan.evaluation.material import OWN
from tfcyclegan.evaluation.tables import Table
from tfcyclegan.measures.statistics import Interval
from tfcyclegan.pages import ARROWS
from tfcyclegan.training.figures import svg

_OWN, _OTHER, _REAL = "#2f6fde", "#9aa3b2", "#3c9a5f"
_AT_MOST_COLUMNS, _PANELS_ACROSS = 4, 2


def bars(table: Table) -> str:
    """Rows as bars with their intervals, a panel for each of the first columns; deciding ones come
    first.
    """
    columns = sorted(table.columns, key=lambda column: not column.decides)[:_AT_MOST_COLUMNS]
    rows = list(table.rows)
    across = min(len(columns), _PANELS_ACROSS)
    down = -(-len(columns) // across)
    figure = Figure(figsize=(6.4, down * (0.26 * len(rows) + 0.7) + 0.2), layout="constrained")
    panels = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
    for axes in panels[len(columns) :]:
        axes.set_axis_off()
    places = np.arange(len(rows))[::-1]
    for axes, column in zip(panels, columns, strict=False):
        values = [table.rows[row].get(column.name) for row in rows]
        for place, row, value in zip(places, rows, values, strict=True):
            if value is not None and np.isfinite(value.value):
                axes.barh(
                    place,
                    value.value,
                    color=_OWN if row == OWN else _REAL if _is_real(row) else _OTHER,
                    height=0.7,
                )
                _interval(axes, place, value)
        axes.set_title(f"{column.name} {ARROWS[column.better]}", fontsize=9)
        axes.set_yticks(
            places, [row if len(row) < 40 else row[:38] + "…" for row in rows], fontsize=8
        )
        _plain(axes)
    return svg(figure)


def _is_real(row: str) -> bool:
    return row.startswith(("real", "ceiling"))


def _interval(axes: Axes, place: float, value: Interval) -> None:
    if np.isfinite(value.low):
        axes.plot([value.low, value.high], [place, place], color="#222222", linewidth=1.2)


def class_bars(table: Table, columns: Sequence[str]) -> str:
    """One value a class, for some columns beside each other."""
    classes = list(table.rows)
    figure = Figure(figsize=(6.4, 0.3 * len(classes) + 0.9), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(classes))[::-1].astype(float)
    height = 0.8 / len(columns)
    for index, column in enumerate(columns):
        shown = [
            table.rows[name][column].value if column in table.rows[name] else np.nan
            for name in classes
        ]
        colour = _OWN if index == 0 else _REAL if _is_real(column) else _OTHER
        axes.barh(
            places + 0.4 - height * (index + 0.5), shown, height=height, color=colour, label=column
        )
    axes.set_yticks(places, classes, fontsize=8)
    axes.legend(
        frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(columns)
    )
    _plain(axes)
    return svg(figure)


def confusion(counts: np.ndarray, classes: Sequence[str]) -> str:
    """Shares of each true class's pixels by what they became, of the classes that occur on either
    side.
    """
    square = counts[:, : len(counts)]
    kept = np.flatnonzero((counts.sum(axis=1) > 0) | (square.sum(axis=0) > 0))
    shares = square[np.ix_(kept, kept)] / np.maximum(counts[kept].sum(axis=1, keepdims=True), 1)
    names = [classes[index] for index in kept.tolist()]
    side = 0.33 * len(kept) + 1.8
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot(xlabel="became", ylabel="is")
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="#ffffff", linewidth=0.3)
    for i, j in zip(*np.nonzero(shares >= 0.1), strict=True):
        axes.text(
            j + 0.5,
            i + 0.5,
            f"{100 * shares[i, j]:.0f}",
            ha="center",
            va="center",
            fontsize=6,
            color="white" if shares[i, j] > 0.6 else "black",
        )
    axes.invert_yaxis()
    axes.set_xticks(np.arange(len(kept)) + 0.5, names, rotation=90, fontsize=7)
    axes.set_yticks(np.arange(len(kept)) + 0.5, names, fontsize=7)
    return svg(figure)


def honesty(table: Table, column: str) -> str:
    """Cycle errors by what was done to the fake."""
    rows: Mapping[str, Interval] = {
        name: values[column] for name, values in table.rows.items() if column in values
    }
    figure = Figure(figsize=(6.4, 0.26 * len(rows) + 0.9), layout="constrained")
    axes = figure.add_subplot(xlabel=column)
    places = np.arange(len(rows))[::-1]
    for place, value in zip(places, rows.values(), strict=True):
        axes.barh(place, value.value, color=_OWN, height=0.7)
        _interval(axes, place, value)
    axes.set_yticks(places, list(rows), fontsize=8)
    _plain(axes)
    return svg(figure)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
