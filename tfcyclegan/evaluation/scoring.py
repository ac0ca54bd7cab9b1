"""Scores translated test pictures next to controls that needed no training. The saved 8-bit PNGs
are scored.

Writes metrics.json, metrics.csv and index.html, and prints the same tables.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table as PrintedTable

from tfcyclegan.engines import Engine
from tfcyclegan.evaluation import scores_page
from tfcyclegan.evaluation.gathering import gather, gather_folder
from tfcyclegan.evaluation.task import Task
from tfcyclegan.measures import (
    appearance,
    blur,
    checkerboard,
    colour,
    cycle_consistency,
    discriminator,
    diversity,
    fcn_score,
    flat_areas,
    kid_fid,
    label_maps,
    luminance,
    measured_errors,
    mode_collapse,
    paired,
    value_distances,
)
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet, Tools
from tfcyclegan.measures.findings import OK, REALS, Finding
from tfcyclegan.measures.statistics import answers
from tfcyclegan.measures.tables import Assumed, Table, to_csv
from tfcyclegan.system import files
from tfcyclegan.system.progress import log, log_table
from tfcyclegan.training.history import HISTORY, read_history
from tfcyclegan.training.run_page import write_report
from tfcyclegan.training.runs import Run
from tfcyclegan.training.tracking import send_scores

Found = Table | Finding | str
# The results of a measure, which are printed, written and shown on the page: a table of scores, a
# detector's finding, or one line of text, which is an assumption if it is `Assumed`, and otherwise
# the reason why something is left out ("" is skipped).
Measure = Callable[[EvaluationSet], Found | Iterable[Found]]

# All measures, in the order of their results; the names group their run times.
MEASURES: tuple[tuple[str, Measure], ...] = (
    ("look", appearance.table),
    ("distribution", kid_fid.table),
    ("truth", paired.tables),
    ("truth", measured_errors.found),
    ("values", value_distances.found),
    ("labels", label_maps.tables),
    ("judge", fcn_score.tables),
    ("cycle honesty", cycle_consistency.table),
    ("luminance", luminance.table),
    ("diversity", diversity.table),
    ("detectors", checkerboard.stride_2),
    ("detectors", checkerboard.stride_4),
    ("detectors", checkerboard.artefacts),
    ("detectors", blur.blur),
    ("detectors", colour.colour_shift),
    ("detectors", colour.contrast_shift),
    ("detectors", mode_collapse.mode_collapse),
    ("detectors", flat_areas.flat_areas),
    ("detectors", colour.inversion),
    ("detectors", fcn_score.changed_objects),
    ("detectors", cycle_consistency.content_lost),
    ("detectors", blur.unseen_blur),
    ("detectors", discriminator.discriminator),
    ("detectors", luminance.outside_training),
)

METRICS = "metrics.json"
TABLES = "metrics.csv"
_NOTE = (
    "All rows are scored from {what}; [low, high] is the 95% interval over pictures, by bootstrap "
    "unless a table's note says otherwise."
)
_OF_PICTURES = "8-bit pictures"
_OF_MEASUREMENTS = "the saved values (truth, values) or their 8-bit display"
_LOSSY_NOTE = (
    " The translations, unlike the controls, were saved with lossy compression (such as JPEG), "
    "which affects their scores."
)


def evaluate(
    run: Run, checkpoint: str, tasks: Sequence[Task], tools: Tools | None = None
) -> dict[str, Any]:
    """Translates a split, scores it, prints the tables, writes them to the tasks' output folder and
    updates the run's report.

    Args:
        run: the run to score.
        checkpoint: the checkpoint to use.
        tasks: one per direction, otherwise equal.
        tools: feature networks and judges; None leaves out the scores that need them.

    Raises:
        UserError: the checkpoint, the split or pairs do not exist.
    """
    history = read_history(run.directory / HISTORY)
    sets = (
        dataclasses.replace(gather(run, checkpoint, task, alone=len(tasks) == 1), history=history)
        for task in tasks
    )
    name = run.directory.resolve().name
    metrics = _score_all(sets, tasks[0], tools, name, run.config.seed)
    report, output = write_report(run.directory), tasks[0].output
    send_scores(run, metrics)
    log(f"scores: {output / METRICS}, page: {output / scores_page.PAGE}, report: {report}")
    return metrics


def evaluate_folder(
    folder: Path,
    task: Task,
    *,
    suffix: str = "",
    channels: int | None = None,
    tools: Tools | None = None,
) -> dict[str, Any]:
    """Scores the pictures in `folder` as translations of the task's split; see `gather_folder`, and
    otherwise `evaluate`.

    Raises:
        UserError: the folder is empty, pictures are damaged, or names are not those of the split.
    """
    scored = gather_folder(folder, task, suffix=suffix, channels=channels)
    metrics = _score_all([scored], task, tools, folder.resolve().name, None)
    log(f"scores: {task.output / METRICS}, page: {task.output / scores_page.PAGE}")
    return metrics


def _score_all(
    sets: Iterable[EvaluationSet], task: Task, tools: Tools | None, name: str, seed: int | None
) -> dict[str, Any]:
    tools, domains = tools or Tools(), task.domains
    sections = [
        score(dataclasses.replace(scored, tools=tools), task.engine, task.work) for scored in sets
    ]
    results = [section["result"] for section in sections]
    measured = any(result.get("values") for result in results)
    note = _NOTE.format(what=_OF_MEASUREMENTS if measured else _OF_PICTURES)
    lossy = any(result.get("translations", {}).get("lossy") for result in results)
    metrics = {
        "note": note + (_LOSSY_NOTE if lossy else ""),
        "data": domains.title,
        "data_dir": list(dict.fromkeys(str(source.directory) for source in (domains.a, domains.b))),
        "split": task.purpose,
        "fingerprint": domains.fingerprint,
        "seed": seed,
        "features": None if isinstance(tools.features, str) else tools.features.to_json(),
        "directions": results,
    }
    files.write_json(task.output / METRICS, metrics)
    files.write_text(task.output / TABLES, to_csv(results))
    scores_page.write(task.output, metrics, sections, name)
    return metrics


def measure(
    scored: EvaluationSet, measures: Sequence[tuple[str, Measure]] = MEASURES
) -> tuple[list[Found], dict[str, float]]:
    """Runs the measures; returns their results and their seconds by name."""
    results, seconds = answers(scored, measures)
    return _flat(results), seconds


def _flat(results: Iterable[Found | Iterable[Found]]) -> list[Found]:
    return [
        one for result in results for one in ([result] if isinstance(result, Found) else result)
    ]


def score(
    scored: EvaluationSet, engine: Engine | None = None, folder: Path | None = None
) -> dict[str, Any]:
    """Scores one direction and prints the result; returns its section of the page, whose "result"
    is its part of metrics.json. `engine` and `folder` are as in `Gathered`.
    """
    scored.gathered.engine, scored.gathered.folder = engine, folder
    (*results, examples), seconds = answers(scored, [*MEASURES, ("page", scores_page.choose)])
    found = _flat(results)
    tables = [one for one in found if isinstance(one, Table)]
    findings = [one for one in found if isinstance(one, Finding)]
    lines = [one for one in found if isinstance(one, str) and one]
    told = [line for line in lines if isinstance(line, Assumed)]
    reached, verdict = _verdict(scored.title, tables)
    if scored.facts.get("translations", {}).get("lossy"):
        verdict += " The translations were saved with lossy compression, which may explain this."
    result = {
        "direction": scored.direction,
        "title": scored.title,
        "checkpoint": scored.checkpoint,
        "count": len(scored.inputs),
        "tables": [table.to_json() for table in tables],
        "detectors": [finding.to_json() for finding in findings],
        "examples": {"score": examples.score, "names": examples.names},
        "assumed": [*scored.assumed, *_told_references(scored), *told],
        **scored.facts,
        "left_out": [*scored.left_out, *(line for line in lines if line not in told)],
        "reached": reached,
        "verdict": verdict,
        "seconds": {},
    }
    started = time.monotonic()
    section = scores_page.section(scored, result, tables, findings, examples)
    seconds["page"] += time.monotonic() - started
    result["seconds"] = {name: round(value, 2) for name, value in seconds.items()}
    _print(result, tables, findings)
    return section


def _print(result: Mapping[str, Any], tables: Sequence[Table], findings: Sequence[Finding]) -> None:
    title = result["title"]
    for line in result["assumed"]:
        log(f"{title}: {line}")
    for table in tables:
        printed = PrintedTable(
            "",
            *[c.name for c in table.columns],
            title=f"{title}: {table.title} (n = {table.count or result['count']})",
        )
        for row in table.rows:
            printed.add_row(row, *table.shown(row), style="bold" if row == OWN else None)
        log_table(printed)
    heads = ("failure", "value", "real pictures", "", "what it measures")
    printed = PrintedTable(*heads, title=f"{title}: failure detectors")
    for one in findings:
        bounds = f"{one.low:.3g} to {one.high:.3g}" if np.isfinite(one.low) else ""
        printed.add_row(one.name, f"{one.value:.3g}", bounds, one.verdict, one.measures)
    log_table(printed)
    for one in findings:
        if one.verdict != OK:
            log(f"{title}: {one.verdict}: {one.name}; what usually helps: {one.helps}")
    log(result["verdict"])
    for reason in result["left_out"]:
        log(f"{title}: {reason}")
    took = [f"{name} {value:.1f} s" for name, value in result["seconds"].items() if value >= 0.1]
    log(f"{title}: took {', '.join(took)}")


def _told_references(scored: EvaluationSet) -> list[str]:
    """Which measures use fewer real pictures than there are."""
    count = len(scored.target_train)
    parts = [
        f"{name} use at most {most}"
        for name, most in (("KID and FID", kid_fid.REFERENCES), ("the detectors", REALS))
        if count > most
    ]
    return (
        [f"references: {' and '.join(parts)} of {count} real training pictures, evenly spread"]
        if parts
        else []
    )


def _verdict(title: str, tables: Sequence[Table]) -> tuple[bool, str]:
    """Whether the translation beats its controls in every deciding column, and the sentence that
    says so.
    """
    if lost := [item for table in tables for item in table.lost(OWN)]:
        return False, f"{title}: NOT better than controls in {', '.join(lost)}."
    decisive = dict.fromkeys(name for table in tables for name in table.compared(OWN))
    if not decisive:
        return False, f"{title}: nothing could be compared with controls."
    controls: dict[str, str] = {}  # title of the first table with these controls
    for table in tables:
        if table.compared(OWN):
            there = [name for name in table.to_beat if name in table.rows]
            controls.setdefault(", ".join(there), table.title)
    told = [
        f"{family.lower()}: {names}" if len(controls) > 1 else names
        for names, family in controls.items()
    ]
    return True, (
        f"{title}: better than its controls ({'; '.join(told)}) in {', '.join(decisive)}."
    )
