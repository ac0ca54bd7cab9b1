"""Several evaluated runs side by side: one table of all their scores, and strips of the same test
pictures.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table as PrintedTable

from tfcyclegan import pages
from tfcyclegan.data import images, stored
from tfcyclegan.data.domains import open_domains
from tfcyclegan.data.picture_folders import pictures_of_split
from tfcyclegan.data.pixels import spread
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation.gathering import read_png
from tfcyclegan.evaluation.scores_page import png_of
from tfcyclegan.measures import cycle_consistency, fcn_score, kid_fid
from tfcyclegan.measures.evaluation_set import FLOOR, OWN
from tfcyclegan.system import files
from tfcyclegan.system.progress import log, log_table
from tfcyclegan.training.run_page import METRICS

IDENTITY = "identity"
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
}
"""What runs should have in common that are put side by side, by its key in metrics.json."""
_BESIDE = (IDENTITY, FLOOR)
_WITH_A_TOOL = (kid_fid.PREFIX, fcn_score.PREFIX)
"""Tables whose numbers depend on a network of their own, which their titles name."""


@dataclass
class Comparison:
    """One direction of the page.

    Attributes:
        title: such as "A to B".
        lines: (name of the score, which way is better, values of the runs, then of _BESIDE; empty
            where there is none).
        words: (failure, verdict and value of each run).
        notes: what is not put side by side, and why.
        strips: (name of the picture, data URL).
    """

    title: str
    lines: list[tuple[str, str, list[str]]] = field(default_factory=list)
    words: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    strips: list[tuple[str, str]] = field(default_factory=list)


def compare(run_dirs: Sequence[Path], output: Path, *, pictures: int) -> list[Comparison]:
    """Prints the tables and writes the page.

    Args:
        run_dirs: runs that `evaluate` has scored on the same pictures.
        output: the page.
        pictures: test pictures shown for each direction.

    Raises:
        UserError: a run without scores, or runs that were scored on other pictures.
    """
    short = [directory.resolve().name for directory in run_dirs]
    runs = dict(
        zip(short if len(set(short)) == len(short) else map(str, run_dirs), run_dirs, strict=True)
    )
    metrics = {name: _metrics(directory) for name, directory in runs.items()}
    _check_same_pictures(metrics)
    results = {}
    for name, of_run in metrics.items():
        with files.understanding(runs[name] / METRICS):
            results[name] = {result["direction"]: result for result in of_run["directions"]}
    directions = [
        direction
        for direction in ("ab", "ba")
        if all(direction in of_run for of_run in results.values())
    ]
    if not directions:
        raise UserError(
            "--run_dirs: the runs have no direction in common; evaluate them with --direction=both"
        )
    dropped = {
        name: [direction for direction in of_run if direction not in directions]
        for name, of_run in results.items()
    }
    comparisons = []
    for direction in directions:
        found = _compare_direction(
            {name: of_run[direction] for name, of_run in results.items()}, metrics
        )
        found.notes += [
            f"{name}: its other direction is not shown, since not all runs have it"
            for name, some in dropped.items()
            if some
        ]
        found.strips = _strips(runs, next(iter(metrics.values())), direction, pictures, found.notes)
        comparisons.append(found)
        _print(found, list(runs))
    _write(output, list(runs), comparisons, next(iter(metrics.values())))
    log(f"page: {output}")
    return comparisons


def _metrics(directory: Path) -> dict[str, Any]:
    path = directory / METRICS
    if not path.exists():
        raise UserError(
            f"{directory}: has no scores ({METRICS} is missing); run tfcyclegan evaluate "
            f"--run_dir={directory}"
        )
    found = files.read_json(path)
    if (
        not isinstance(found, dict)
        or not {"data_dir", "data", "fingerprint", "split", "directions"} <= found.keys()
    ):
        raise UserError(
            f"{path}: was written by an older version; run tfcyclegan evaluate "
            f"--run_dir={directory} again"
        )
    return found


def _check_same_pictures(metrics: Mapping[str, Mapping[str, Any]]) -> None:
    first_name, first = next(iter(metrics.items()))
    for name, other in metrics.items():
        if other["fingerprint"] != first["fingerprint"] or other["split"] != first["split"]:
            told = [
                f"{run} on {its['data']}, split {its['split']} ({its['fingerprint'][:8]})"
                for run, its in ((first_name, first), (name, other))
            ]
            raise UserError(
                "--run_dirs: scored on different pictures, so that no number can be compared: "
                f"{' and '.join(told)}"
            )


def _compare_direction(
    results: Mapping[str, Mapping[str, Any]], metrics: Mapping[str, Mapping[str, Any]]
) -> Comparison:
    first = next(iter(results.values()))
    found = Comparison(first["title"])
    tables = {
        name: {table["title"]: table for table in result["tables"]}
        for name, result in results.items()
    }
    titles = list(dict.fromkeys(title for of_run in tables.values() for title in of_run))
    networks = {
        (features["name"], features["sha256"]) if (features := of_run["features"]) else None
        for of_run in metrics.values()
    }
    for title in titles:
        shared = all(title in of_run for of_run in tables.values())
        same = len(networks) == 1 or not title.startswith(kid_fid.PREFIX)
        if shared and same:
            found.lines += _lines(
                title, {name: of_run[title] for name, of_run in tables.items()}, found.notes
            )
        elif title.startswith(_WITH_A_TOOL):
            having = [name for name, of_run in tables.items() if title in of_run]
            found.notes.append(
                f"{title}: only of {', '.join(having)}; numbers of different networks are not put "
                "side by side"
            )
        else:
            found.notes.append(f"{title}: not of all runs")
    names = dict.fromkeys(
        finding["name"] for result in results.values() for finding in result["detectors"]
    )
    for name in names:
        of_runs = [
            next((one for one in result["detectors"] if one["name"] == name), None)
            for result in results.values()
        ]
        found.words.append(
            (
                name,
                [(one["verdict"], _number(one["value"])) if one else ("", "") for one in of_runs],
            )
        )
    found.notes += _differences(results)
    return found


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _differences(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """In what else than their weights the runs' scores differ: then their numbers differ by that as
    well.
    """
    notes = []
    for key, what in _SAME.items():
        values = {name: result.get(key) for name, result in results.items()}
        if key == "pairs":
            values = {
                name: value and {"basis": value["basis"], "in verdicts": value["in_verdicts"]}
                for name, value in values.items()
            }
        if key == "translations":
            values = {
                name: value and {"saved with loss": value["lossy"]}
                for name, value in values.items()
            }
        if len({json.dumps(value, sort_keys=True) for value in values.values()}) > 1:
            told = ", ".join(f"{name} {_plain(value)}" for name, value in values.items())
            notes.append(f"{what} differ, and the numbers with them: {told}")
    return notes


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}: {one}" for key, one in value.items())
    return "not told" if value is None else str(value)


def _lines(
    title: str, tables: Mapping[str, Mapping[str, Any]], notes: list[str]
) -> list[tuple[str, str, list[str]]]:
    """The runs' own rows, and beside them those of the first run's controls, which are the same for
    all scored alike.
    """
    first = next(iter(tables.values()))
    if title == cycle_consistency.TITLE:
        rows, beside = ["8-bit rounding", "noise 8/255", "JPEG 75"], []
    else:
        rows, beside = [OWN], [name for name in _BESIDE if name in first["rows"]]
    columns = {column["name"]: column for table in tables.values() for column in table["columns"]}

    def shown_in(table: Mapping[str, Any], row: str, column: str) -> str:
        places = [place for place, one in enumerate(table["columns"]) if one["name"] == column]
        return table["shown"][row][places[0]] if places and row in table["shown"] else ""

    lines = []
    for row in rows:
        if not any(row in table["rows"] for table in tables.values()):
            continue
        for column in columns.values():
            own = [shown_in(table, row, column["name"]) for table in tables.values()]
            shown = own + [
                shown_in(first, name, column["name"]) if name in beside else "" for name in _BESIDE
            ]
            having = [name for name, value in zip(tables, own, strict=True) if value]
            if having and len(having) < len(own):
                notes.append(f"{title}: {row}: {column['name']}: only of {', '.join(having)}")
            if any(shown):
                name = (
                    f"{title}: {row}: {column['name']}"
                    if row != OWN
                    else f"{title}: {column['name']}"
                )
                lines.append((name, pages.ARROWS[column["better"]], shown))
    return lines


def _strips(
    runs: Mapping[str, Path],
    metrics: Mapping[str, Any],
    direction: str,
    pictures: int,
    notes: list[str],
) -> list[tuple[str, str]]:
    """The same pictures of all runs: input, then each run's translation."""
    folders = [directory / METRICS.parent / direction for directory in runs.values()]
    names = [
        path.relative_to(folders[0]).with_suffix("").as_posix()
        for path in sorted(folders[0].rglob("*.png"))
    ]
    names = [name for name in names if all((folder / f"{name}.png").exists() for folder in folders)]
    if not names:
        notes.append("no strips: the runs' translated pictures are not there any more")
        return []
    chosen = [names[index] for index in spread(len(names), pictures)]
    inputs = _inputs(metrics, direction, set(chosen), notes)
    strips = []
    for name in chosen:
        translated = [read_png(folder / f"{name}.png") for folder in folders]
        cells = ([inputs[name]] if name in inputs else []) + translated
        strips.append((name, pages.data_url(png_of(cells))))
    return strips


def _inputs(
    metrics: Mapping[str, Any], direction: str, names: set[str], notes: list[str]
) -> dict[str, np.ndarray]:
    try:
        split = open_domains(",".join(metrics["data_dir"])).require(metrics["split"], direction[0])
    except UserError as error:
        notes.append(f"strips without inputs: {error}")
        return {}
    return {
        name: images.to_array(stored.decode(split.source, encoded, 3)[0])
        for name, encoded in pictures_of_split(split.source, split.name)
        if name in names
    }  # as they are stored, though a run may see them in gray


def _print(found: Comparison, names: Sequence[str]) -> None:
    printed = PrintedTable("", "", *names, *_BESIDE, title=found.title)
    for name, arrow, values in found.lines:
        printed.add_row(name, arrow, *values)
    for name, words in found.words:
        printed.add_row(
            name,
            "",
            *(f"{word} ({value})" if word else "" for word, value in words),
            *("" for _ in _BESIDE),
        )
    log_table(printed)
    for note in found.notes:
        log(f"{found.title}: {note}")


def _write(
    output: Path,
    names: Sequence[str],
    comparisons: Sequence[Comparison],
    metrics: Mapping[str, Any],
) -> None:
    page = pages.render(
        "compare.html", names=names, beside=_BESIDE, comparisons=comparisons, metrics=metrics
    )
    files.write_text(output, page)
