"""index.html of an evaluation: tables, plots, detectors and examples on a single page that opens
from disk.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from tfcyclegan import pages
from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.display import in_rgb
from tfcyclegan.measures import appearance, label_maps, paired
from tfcyclegan.measures.confusion import pixel_accuracy
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet, Function
from tfcyclegan.measures.findings import OK, SET_ON, Finding
from tfcyclegan.measures.measured_errors import mean_absolute
from tfcyclegan.measures.pictures import Made, Pictures
from tfcyclegan.measures.statistics import REAL
from tfcyclegan.measures.tables import Interval, Table
from tfcyclegan.pages import ARROWS
from tfcyclegan.system import files
from tfcyclegan.training import strips
from tfcyclegan.training.figures import svg

PAGE = "index.html"
KINDS = ("best", "median", "worst")
_EACH = 3
_LARGEST_SIDE = 256
_OWN_COLOUR, _OTHER_COLOUR, _REAL_COLOUR = "#2f6fde", "#9aa3b2", "#3c9a5f"
_AT_MOST_COLUMNS, _PANELS_ACROSS = 4, 2


@dataclass(frozen=True)
class Examples:
    """Names of inputs with good and bad translations.

    Attributes:
        score: the score by which they were sorted.
        names: by kind, one of `KINDS`.
        values: scores by name.
    """

    score: str
    names: dict[str, list[str]]
    values: dict[str, float]


def choose(scored: EvaluationSet) -> Examples:
    """Sorts the translations by their error against the truth if it is known, else against the
    labels, else by the distance of their appearance to real pictures.
    """
    sign = 1
    if scored.tells_classes and scored.ids and scored.sure_labels:
        score, sign = "pixel accuracy", -1
        seen = label_maps.confusion_of_names(scored, list(scored.ids)).pictures
        values = dict(zip(scored.ids, pixel_accuracy(seen).tolist(), strict=True))
    elif scored.measured is not None and scored.sure_truths:
        score, measured = "MAE to the truth", scored.measured
        errors = {
            name: mean_absolute(measured.sets[OWN][name], true, measured.values)
            for name, true in measured.truths.items()
        }
        values = {name: error for name, error in errors.items() if np.isfinite(error)}
    elif scored.sure_truths:
        score = "Lab error to the truth"
        values = scored.rows_by_name(paired.LAB_ERROR, tuple(scored.truths))
    else:
        score = "colour and texture distance to real pictures"
        _, far = scored.rows((appearance.drawn_real, REAL), (appearance.distance_of_one, OWN))
        values = dict(zip(scored.own, far, strict=True))
    ordered = sorted(values, key=lambda name: sign * values[name])
    each = min(_EACH, max(1, len(ordered) // 3))
    middle = (len(ordered) - each) // 2
    picked = (ordered[:each], ordered[middle : middle + each], ordered[::-1][:each])
    names = dict(zip(KINDS, picked, strict=True))
    return Examples(score, names, {name: values[name] for some in picked for name in some})


def panels(scored: EvaluationSet) -> dict[str, tuple[Pictures, bool]]:
    """The panels of an example strip, by heading: the pictures by the input's name, and whether
    they are label maps.
    """
    shown: dict[str, Pictures] = {
        "input": scored.inputs,
        "translation": scored.own,
        "truth": scored.truths,
    }
    if not isinstance(scored.cycle, str):
        shown["cycled"] = Made(functools.partial(_cycled, scored.cycle[1]), scored.own)
    of_source, of_target = scored.source_is_label_maps, scored.target_is_label_maps
    are_maps = {
        "input": of_source,
        "translation": of_target,
        "truth": of_target,
        "cycled": of_source,
    }
    return {
        heading: (pictures, are_maps[heading])
        for heading, pictures in {**shown, **scored.shown}.items()
        if heading != "truth" or scored.truths
    }


def _cycled(back: Function, saved: np.ndarray) -> np.ndarray:
    return images.to_uint8(back(images.to_float(saved)[np.newaxis])[0])


def strip(panels: Mapping[str, tuple[Pictures, bool]], name: str) -> bytes:
    """The example strip of an input, as PNG; the panel of an unknown truth is white."""
    white = np.full((1, 1, 3), 255, np.uint8)
    return png_of(
        [pictures.get(name, white) for pictures, _ in panels.values()],
        [is_label_map for _, is_label_map in panels.values()],
    )


def png_of(cells: Sequence[np.ndarray], nearest: Sequence[bool] = ()) -> bytes:
    """Pictures side by side, as PNG, all resized to the first one's size, at most 256 pixels a
    side; those marked in `nearest` (label maps) by nearest neighbour.
    """
    height, width = cells[0].shape[:2]
    shrink = min(1.0, _LARGEST_SIDE / max(height, width))
    size = Size(max(1, round(height * shrink)), max(1, round(width * shrink)))
    gap = np.full((size.height, 2, 3), 255, np.uint8)
    parts = []
    for cell, by_nearest in zip(cells, nearest or [False] * len(cells), strict=True):
        rgb = Image.fromarray(in_rgb(cell).copy())
        parts += [images.to_array(images.resize(rgb, size, nearest=by_nearest)), gap]
    return strips.png_bytes(np.concatenate(parts[:-1], axis=1))


def section(
    scored: EvaluationSet,
    result: dict[str, Any],
    tables: Sequence[Table],
    findings: Sequence[Finding],
    chosen: Examples,
) -> dict[str, Any]:
    """One direction's part of the page, with everything drawn already.

    Returns:
        "result": as given; "plots": (title, SVG); "heads": headings of the strips' panels;
            "strips": by kind of example, (name, score, picture); "worst": by name of the detector,
            (name, picture).
    """
    flagged = {one.name: one.worst for one in findings if one.verdict != OK}
    shown = dict.fromkeys(
        name for some in (*chosen.names.values(), *flagged.values()) for name in some
    )
    columns = panels(scored)
    drawn = {name: pages.picture(strip(columns, name)) for name in shown}
    plots = [(table.title, _PLOTS[table.plot](table)) for table in tables if table.plot]
    plots += [
        (
            f"{one.title}: what each class became, in %",
            _confusion(one.confusion, scored.table.names),
        )
        for one in tables
        if one.confusion is not None
    ]
    return {
        "result": result,
        "plots": plots,
        "heads": list(columns),
        "strips": {
            kind: [(name, chosen.values[name], drawn[name]) for name in names]
            for kind, names in chosen.names.items()
        },
        "worst": {one: [(name, drawn[name]) for name in names] for one, names in flagged.items()},
    }


def write(
    output: Path, metrics: dict[str, Any], sections: Sequence[Mapping[str, Any]], name: str
) -> None:
    """Writes the page into `output`."""
    page = pages.render(
        "evaluation.html", name=name, metrics=metrics, sections=sections, own=OWN, set_on=SET_ON
    )
    files.write_text(output / PAGE, page)


def _bars(table: Table) -> str:
    """The rows as bars with intervals, one panel for each of the first columns, deciding ones
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
    labels = [row if len(row) < 40 else row[:38] + "…" for row in rows]
    for axes, column in zip(panels, columns, strict=False):
        for place, row in zip(places, rows, strict=True):
            value = table.rows[row].get(column.name)
            if value is not None and np.isfinite(value.value):
                _bar(axes, place, value, _OWN_COLOUR if row == OWN else _colour(row))
        axes.set_title(f"{column.name} {ARROWS[column.better]}", fontsize=9)
        _plain(axes, places, labels)
    return svg(figure)


def _class_bars(table: Table) -> str:
    """One bar per class for each of some columns."""
    classes, columns = list(table.rows), table.plotted
    figure = Figure(figsize=(6.4, 0.3 * len(classes) + 0.9), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(classes))[::-1].astype(float)
    height = 0.8 / len(columns)
    nothing = Interval(np.nan)
    for index, column in enumerate(columns):
        shown = [table.rows[name].get(column, nothing).value for name in classes]
        axes.barh(
            places + 0.4 - height * (index + 0.5),
            shown,
            height=height,
            color=_OWN_COLOUR if index == 0 else _colour(column),
            label=column,
        )
    axes.legend(
        frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(columns)
    )
    _plain(axes, places, classes)
    return svg(figure)


def _errors(table: Table) -> str:
    """A single column, one bar per row."""
    (column,) = table.plotted
    rows = {name: values[column] for name, values in table.rows.items() if column in values}
    figure = Figure(figsize=(6.4, 0.26 * len(rows) + 0.9), layout="constrained")
    axes = figure.add_subplot(xlabel=column)
    places = np.arange(len(rows))[::-1]
    for place, value in zip(places, rows.values(), strict=True):
        _bar(axes, place, value, _OWN_COLOUR)
    _plain(axes, places, list(rows))
    return svg(figure)


_PLOTS = {"bars": _bars, "classes": _class_bars, "errors": _errors}


def _confusion(counts: np.ndarray, classes: Sequence[str]) -> str:
    """For each true class, the shares of its pixels by predicted class, without classes that occur
    on neither side.
    """
    square = counts[:, : len(counts)]
    kept = np.flatnonzero((counts.sum(axis=1) > 0) | (square.sum(axis=0) > 0))
    shares = square[np.ix_(kept, kept)] / np.maximum(counts[kept].sum(axis=1, keepdims=True), 1)
    names = [classes[index] for index in kept.tolist()]
    side = 0.33 * len(kept) + 1.8
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot(xlabel="predicted class", ylabel="true class")
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


def _colour(name: str) -> str:
    return _REAL_COLOUR if name.startswith(("real", "ceiling")) else _OTHER_COLOUR


def _bar(axes: Axes, place: float, value: Interval, colour: str) -> None:
    axes.barh(place, value.value, color=colour, height=0.7)
    if np.isfinite(value.low):
        axes.plot([value.low, value.high], [place, place], color="#222222", linewidth=1.2)


def _plain(axes: Axes, places: np.ndarray, labels: Sequence[str]) -> None:
    axes.set_yticks(places, labels, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
