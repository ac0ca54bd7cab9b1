"""Scores of translated test pictures beside those of controls that needed no training. The saved 8-bit PNGs are scored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as PrintedTable

from tfcyclegan import files
from tfcyclegan.data.domains import Domains
from tfcyclegan.evaluation import families
from tfcyclegan.evaluation.material import OWN, Material, Pairs, gather
from tfcyclegan.evaluation.tables import Table
from tfcyclegan.progress import say
from tfcyclegan.training.reporting import write_report
from tfcyclegan.training.runs import Run

# A translation is worth its training if it is better than each of these in every deciding column.
TO_BEAT = ("identity", "colour matching", "histogram matching")
TO_BEAT_IN_LABELS = ("constant colour", families.SHUFFLED)

_NOTE = "All rows are scored from 8-bit pictures; [low, high] is the 95% bootstrap interval over pictures."


def evaluate(
    run: Run, domains: Domains, purpose: str, checkpoint: str, directions: Sequence[str], output: Path, *, pairs: Pairs | None = None
) -> dict[str, Any]:
    """Translates a split ("test" or "val"), scores it, prints tables, writes `output`/metrics.json and the run's report.

    Args:
        run: the run to score.
        domains: its data, or others.
        purpose: of the split to translate: "test" or "val".
        checkpoint: which one translates.
        directions: of "ab" and "ba".
        output: folder for the translations and metrics.json.
        pairs: {name of a picture of a: name of its truth in b}, where the names differ.

    Raises:
        UserError: no such checkpoint, the data lack the split, or pairs that are not there.
    """
    results = [_score(gather(run, domains, purpose, checkpoint, direction, output, pairs)) for direction in directions]
    metrics = {
        "note": _NOTE,
        "data": domains.name,
        "split": purpose,
        "fingerprint": domains.fingerprint,
        "seed": run.config.seed,
        "directions": results,
    }
    files.write_json(output / "metrics.json", metrics)
    say(f"scores: {output / 'metrics.json'}, report: {write_report(run.directory)}")
    return metrics


def _score(material: Material) -> dict[str, Any]:
    """All tables of a direction, printed and as JSON."""
    found: list[Table | str] = [families.look(material), families.truth(material)]
    of_labels = families.label_maps(material)
    found += [of_labels] if isinstance(of_labels, str) else of_labels
    tables = [table for table in found if isinstance(table, Table)]
    left_out = material.left_out + [reason for reason in found if isinstance(reason, str) and reason]
    for table in tables:
        printed = PrintedTable(f"{material.title}: {table.title} (n = {len(material.inputs)})", *[c.name for c in table.columns])
        for row in table.rows:
            printed.add_row(row, *table.shown(row), style="bold" if row == OWN else None)
        Console(width=160).print(printed)
    reached, verdict = _verdict(material.title, tables)
    say(verdict)
    for reason in left_out:
        say(f"{material.title}: {reason}")
    shown = {table.title: {row: table.shown(row) for row in table.rows} for table in tables}
    return {
        "direction": material.direction,
        "title": material.title,
        "checkpoint": material.checkpoint,
        "count": len(material.inputs),
        "tables": [table.to_json() | {"shown": shown[table.title]} for table in tables],
        "left_out": left_out,
        "reached": reached,
        "verdict": verdict,
    }


def _verdict(title: str, tables: Sequence[Table]) -> tuple[bool, str]:
    """Whether the translation beats its controls in every deciding column, and a sentence that says so."""
    lost = [item for table in tables for item in table.lost(OWN, TO_BEAT_IN_LABELS if table.title.startswith("Labels") else TO_BEAT)]
    if lost:
        return False, f"{title}: NOT better than controls in {', '.join(lost)}."
    decisive = ", ".join(dict.fromkeys(column.name for table in tables for column in table.columns if column.decides))
    return True, f"{title}: better than its controls ({', '.join(TO_BEAT)}; for labels {', '.join(TO_BEAT_IN_LABELS)}) in {decisive}."
