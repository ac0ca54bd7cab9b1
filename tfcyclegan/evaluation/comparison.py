"""Compares evaluated runs: one table of all their scores, and strips of the same test pictures."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table as PrintedTable

from tfcyclegan import pages
from tfcyclegan.data import images, stored
from tfcyclegan.data.display import Display, to_picture
from tfcyclegan.data.domains import open_domains
from tfcyclegan.data.picture_folders import pictures_of_split
from tfcyclegan.data.pixels import spread
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation.scores_page import png_of
from tfcyclegan.evaluation.sides import arrays_of_split
from tfcyclegan.evaluation.translated_arrays import ENDINGS, place_of, read_translation
from tfcyclegan.measures import cycle_consistency, diversity, fcn_score, kid_fid
from tfcyclegan.measures.evaluation_set import FLOOR, FORMER_OWN, OWN
from tfcyclegan.system import files
from tfcyclegan.system.progress import log, log_table
from tfcyclegan.training.run_page import METRICS

# What compared runs should have in common, by key in metrics.json.
_SAME = {
    "count": "numbers of pictures",
    "splits": "splits",
    "scale": "scales",
    "channels": "channels",
    "pairs": "pairs",
    "labels": "labels",
    "references": "numbers of real pictures",
    "chosen": "choices of checkpoints",
    "translations": "ways of saving",
    "values": "value ranges",
    "display": "displays",
}
# How some of them are told and compared.
_TOLD: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "pairs": lambda pairs: {"basis": pairs["basis"], "in verdicts": pairs["in_verdicts"]},
    "translations": lambda saved: {"saved with loss": saved["lossy"]},
    "values": lambda values: {
        letter: Values.from_json(one).ranges() for letter, one in values.items() if one
    },
    "display": lambda displays: {letter: one["told"] for letter, one in displays.items()},
}
_BESIDE = ("identity", FLOOR)
# Rows of the cycle honesty table, for pictures and for measurements.
_OF_CYCLES = (
    cycle_consistency.ROUNDING,
    "noise 8/255",
    "JPEG 75",
    cycle_consistency.SAVED,
    "noise 8/255 of the range",
)
_NO_TABLE: Mapping[str, Any] = {"columns": [], "shown": {}}
# Tables whose scores depend on a network, which is named in their titles.
_WITH_A_TOOL = (kid_fid.PREFIX, fcn_score.PREFIX)

ByRun = Mapping[str, Mapping[str, Any]]


@dataclass
class Comparison:
    """One direction of the page.

    Attributes:
        title: for example "A to B".
        lines: (name of the score, arrow towards better, the runs' values followed by those of
            _BESIDE; "" where one is missing).
        words: (failure, [(verdict, value) of each run]).
        notes: what is not compared, and why.
        strips: (name of the picture, the picture).
        heads: what is side by side in them.
    """

    title: str
    lines: list[tuple[str, str, list[str]]] = field(default_factory=list)
    words: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    strips: list[tuple[str, pages.Picture]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)


def compare(run_dirs: Sequence[Path], output: Path, *, pictures: int) -> list[Comparison]:
    """Prints the tables and writes the page.

    Args:
        run_dirs: runs that were evaluated on the same pictures.
        output: file for the page.
        pictures: number of test pictures to show per direction.

    Raises:
        UserError: a run has no scores, or runs were scored on different pictures.
    """
    short = [directory.resolve().name for directory in run_dirs]
    names = short if len(set(short)) == len(short) else list(map(str, run_dirs))
    metrics = {name: _metrics(place) for name, place in zip(names, run_dirs, strict=True)}
    _check_same_pictures(metrics)
    results: dict[str, dict[str, Any]] = {}
    for name, place in zip(names, run_dirs, strict=True):
        with files.understanding(place / METRICS):
            results[name] = {one["direction"]: one for one in metrics[name]["directions"]}
    common = [way for way in ("ab", "ba") if all(way in of_run for of_run in results.values())]
    if not common:
        raise UserError(
            "--run_dirs: the runs have no direction in common; evaluate them with --direction=both"
        )
    first = metrics[names[0]]
    comparisons = []
    for way in common:
        found = _compare_direction({name: results[name][way] for name in names}, metrics)
        found.notes += [
            f"{name}: its other direction is not shown, because not all runs have it"
            for name in names
            if results[name].keys() > set(common)
        ]
        found.strips, has_inputs = _strips(run_dirs, first, way, pictures, found.notes)
        found.heads = ["input", *names] if has_inputs else names
        comparisons.append(found)
        _print(found, names)
    page = pages.render(
        "compare.html", names=names, beside=_BESIDE, comparisons=comparisons, metrics=first
    )
    files.write_text(output, page)
    log(f"page: {output}")
    return comparisons


def _metrics(directory: Path) -> dict[str, Any]:
    path = directory / METRICS
    if not path.exists():
        raise UserError(
            f"{directory}: has no scores ({METRICS} is missing); run tfcyclegan evaluate "
            f"--run_dir={directory}"
        )
    found, keys = files.read_json(path), {"data_dir", "data", "fingerprint", "split", "directions"}
    if not isinstance(found, dict) or not keys <= found.keys():
        raise UserError(
            f"{path}: was written by an older version; run tfcyclegan evaluate "
            f"--run_dir={directory} again"
        )
    return found


def _check_same_pictures(metrics: ByRun) -> None:
    (first_name, first), *others = metrics.items()
    for name, other in others:
        if other["fingerprint"] != first["fingerprint"] or other["split"] != first["split"]:
            told = [
                f"{run} on {its['data']}, split {its['split']} ({its['fingerprint'][:8]})"
                for run, its in ((first_name, first), (name, other))
            ]
            raise UserError(
                "--run_dirs: the runs were scored on different pictures, so their scores cannot be "
                f"compared: {' and '.join(told)}"
            )


def _compare_direction(results: ByRun, metrics: ByRun) -> Comparison:
    found = Comparison(next(iter(results.values()))["title"])
    networks = {
        (features["name"], features["sha256"]) if (features := of_run["features"]) else None
        for of_run in metrics.values()
    }
    for title, tables in _by_name(results, "tables", "title").items():
        same = len(networks) == 1 or not title.startswith(kid_fid.PREFIX)
        if len(tables) == len(results) and same:
            found.lines += _lines(title, tables, found.notes)
        elif title == diversity.TITLE:
            of_all = {name: tables.get(name, _NO_TABLE) for name in results}
            found.lines += _lines(title, of_all, [])
            found.notes.append(f"{title}: only for {', '.join(tables)}; the others have one answer")
        elif title.startswith(_WITH_A_TOOL):
            found.notes.append(
                f"{title}: only for {', '.join(tables)}; scores of different networks are not "
                "compared"
            )
        else:
            found.notes.append(f"{title}: not available for all runs")
    for name, findings in _by_name(results, "detectors", "name").items():
        words = [
            (one["verdict"], "" if one["value"] is None else f"{one['value']:.3g}")
            if (one := findings.get(run))
            else ("", "")
            for run in results
        ]
        found.words.append((name, words))
    found.notes += _differences(results)
    return found


def _by_name(results: ByRun, kind: str, key: str) -> dict[str, dict[str, Any]]:
    """The runs' results of one kind, {name of the result: {run: result}}."""
    found: dict[str, dict[str, Any]] = {}
    for run, result in results.items():
        for one in result[kind]:
            found.setdefault(one[key], {})[run] = one
    return found


def _differences(results: ByRun) -> list[str]:
    """What differs between the runs apart from their weights and therefore affects the scores."""
    notes = []
    for key, what in _SAME.items():
        values = {name: result.get(key) for name, result in results.items()}
        if told_as := _TOLD.get(key):
            values = {name: value and told_as(value) for name, value in values.items()}
        if len({json.dumps(value, sort_keys=True) for value in values.values()}) > 1:
            told = ", ".join(f"{name} {_plain(value)}" for name, value in values.items())
            notes.append(f"{what} differ, which affects the scores: {told}")
    return notes


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}: {one}" for key, one in value.items())
    return "unknown" if value is None else str(value)


def _lines(title: str, tables: ByRun, notes: list[str]) -> list[tuple[str, str, list[str]]]:
    """The runs' own rows, next to those of the first run's controls, which are the same for all
    runs scored in the same way.
    """
    first = next(iter(tables.values()))
    of_cycles = title == cycle_consistency.TITLE
    of_answers = (OWN, diversity.DISTURBED, diversity.OTHERS)
    rows = _OF_CYCLES if of_cycles else of_answers if title == diversity.TITLE else (OWN,)
    columns = {column["name"]: column for table in tables.values() for column in table["columns"]}
    lines = []
    for row in rows:
        for column, about in columns.items():
            own = [_cell(table, row, column) for table in tables.values()]
            beside = ["" if of_cycles else _cell(first, name, column) for name in _BESIDE]
            having = [name for name, value in zip(tables, own, strict=True) if value]
            name = f"{title}: {column}" if row == OWN else f"{title}: {row}: {column}"
            if having and len(having) < len(own):
                notes.append(f"{name}: only for {', '.join(having)}")
            if having or any(beside):
                lines.append((name, pages.ARROWS[about["better"]], own + beside))
    return lines


def _cell(table: Mapping[str, Any], row: str, column: str) -> str:
    names = [one["name"] for one in table["columns"]]
    shown = table["shown"]
    values = shown.get(row, shown.get(FORMER_OWN, ()) if row == OWN else ())
    return dict(zip(names, values, strict=False)).get(column, "")


def _strips(
    run_dirs: Sequence[Path],
    metrics: Mapping[str, Any],
    direction: str,
    pictures: int,
    notes: list[str],
) -> tuple[list[tuple[str, pages.Picture]], bool]:
    """The same pictures for all runs: the input, then each run's translation; and whether inputs
    are there.
    """
    folders = [directory / METRICS.parent / direction for directory in run_dirs]
    there = [
        path.relative_to(folders[0]).as_posix().removesuffix(path.suffix)
        for path in sorted(folders[0].rglob("*"))
        if path.suffix in ENDINGS
    ]
    names = [name for name in there if all(place_of(folder, name) for folder in folders)]
    if not names:
        notes.append("no strips: the runs' translated pictures no longer exist")
        return [], False
    chosen = [names[index] for index in spread(len(names), pictures)]
    result = next(one for one in metrics["directions"] if one["direction"] == direction)
    notes += [f"display of {letter}: {one['told']}" for letter, one in _displays(result).items()]
    inputs = _inputs(metrics, result, chosen, notes)
    strips = []
    for name in chosen:
        translated = [
            _shown(read_translation(path), result, direction[1])
            for folder in folders
            if (path := place_of(folder, name)) is not None
        ]
        cells = ([inputs[name]] if name in inputs else []) + translated
        strips.append((name, pages.picture(png_of(cells))))
    return strips, bool(inputs)


def _displays(result: Mapping[str, Any]) -> dict[str, Any]:
    """How measurements are displayed, by the letter of their domain; empty for pictures."""
    displays: dict[str, Any] = result.get("display", {})
    return displays


def _shown(array: np.ndarray, result: Mapping[str, Any], domain: str) -> np.ndarray:
    """A picture of the domain, uint8 [H, W, 1 or 3]; measurements are displayed as in the first
    run's scores.
    """
    letter = domain.upper()
    if letter not in _displays(result):
        return array
    values = Values.from_json(result["values"][letter])
    return to_picture(array, values, Display.from_json(_displays(result)[letter]))


def _inputs(
    metrics: Mapping[str, Any],
    result: Mapping[str, Any],
    names: Sequence[str],
    notes: list[str],
) -> dict[str, np.ndarray]:
    source = result["direction"][0]
    try:
        split = open_domains(",".join(metrics["data_dir"])).require(metrics["split"], source)
    except UserError as error:
        notes.append(f"strips without inputs: {error}")
        return {}
    if split.values is not None:
        own = split.values.centre
        return {
            name: _shown(array[..., own], result, source)
            for name, array in arrays_of_split(split)
            if name in names
        }
    return {
        name: images.to_array(stored.decode(split.source, encoded, 3)[0])
        for name, encoded in pictures_of_split(split.source, split.name)
        if name in names
    }  # in the stored colours, even if a run uses them in gray


def _print(found: Comparison, names: Sequence[str]) -> None:
    printed = PrintedTable("", "", *names, *_BESIDE, title=found.title)
    for name, arrow, values in found.lines:
        printed.add_row(name, arrow, *values)
    for name, words in found.words:
        shown = (f"{word} ({value})" if word else "" for word, value in words)
        printed.add_row(name, "", *shown, *("" for _ in _BESIDE))
    log_table(printed)
    for note in found.notes:
        log(f"{found.title}: {note}")
