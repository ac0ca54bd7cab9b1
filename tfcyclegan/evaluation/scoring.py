"""Scores of translated test pictures beside those of controls that needed no training. The saved
8-bit PNGs are scored.

Writes metrics.json, metrics.csv and index.html, and prints the same tables.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table as PrintedTable

from tfcyclegan.data.domains import Domains
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation import (
    cycles,
    detectors,
    distances,
    examples,
    judge,
    label_scores,
    looks,
    page,
    published,
    strata,
    truths,
)
from tfcyclegan.evaluation.detectors import Finding
from tfcyclegan.evaluation.detectors.finding import REALS
from tfcyclegan.evaluation.distances import Features
from tfcyclegan.evaluation.folder import gather_folder
from tfcyclegan.evaluation.judge import Judge
from tfcyclegan.evaluation.label_scores import SHUFFLED, LabelScores
from tfcyclegan.evaluation.limits import OK
from tfcyclegan.evaluation.material import OWN, Material, gather
from tfcyclegan.evaluation.page import Section
from tfcyclegan.evaluation.pairs import AUTO, Pairs
from tfcyclegan.evaluation.tables import Table, to_csv, undecided
from tfcyclegan.measures.appearance import Appearance
from tfcyclegan.measures.features import Lpips
from tfcyclegan.system import files
from tfcyclegan.system.progress import log, log_table
from tfcyclegan.training.history import HISTORY, read_history
from tfcyclegan.training.run_page import write_report
from tfcyclegan.training.runs import Run

# A translation is worth its training if it is better than each of these in every deciding column.
TO_BEAT = ("identity", "colour matching", "histogram matching")
TO_BEAT_IN_LABELS = ("constant colour", SHUFFLED)

METRICS = "metrics.json"
TABLES = "metrics.csv"
_NOTE = (
    "All rows are scored from 8-bit pictures; [low, high] is the 95% interval over pictures, by "
    "bootstrap where a table's note does "
    "not say otherwise."
)
_LOSSY_NOTE = (
    " The translations were saved with loss (JPEG or the like), which no control's row "
    "has: these are scores of both."
)


@dataclass(frozen=True)
class Tools:
    """What the families need beside the pictures.

    Attributes:
        features: of KID and FID; or why there are none.
        lpips: of the truth family; or why there is none.
        judges: of the FCN-score, by direction; or why there is none.
    """

    features: Features | str
    lpips: Lpips | str
    judges: Mapping[str, Judge | str] = field(default_factory=dict)


def open_tools(features: str, features_weights: str, judges: Mapping[str, Judge | str]) -> Tools:
    """Opens what --features names; what cannot be had is left out with a reason.

    Raises:
        UserError: a weights file that was given cannot be read.
    """
    found = distances.open_features(features, features_weights)
    # Without a network, the archive that AlexNet could not be taken from would only be asked for a
    # second time.
    if features != "inception" and isinstance(found, str):
        return Tools(found, found and "LPIPS: left out with KID and FID", judges)
    try:
        return Tools(found, Lpips("alexnet"), judges)
    except UserError as error:
        return Tools(found, f"LPIPS: {error}", judges)


def evaluate(
    run: Run,
    domains: Domains,
    purpose: str,
    checkpoint: str,
    directions: Sequence[str],
    output: Path,
    *,
    pairs: Pairs = AUTO,
    tools: Tools | None = None,
) -> dict[str, Any]:
    """Translates a split ("test" or "val"), scores it, prints tables, writes them into `output` and
    the run's report.

    Args:
        run: the run to score.
        domains: its data, or others.
        purpose: of the split to translate: "test" or "val".
        checkpoint: which one translates.
        directions: of "ab" and "ba".
        output: folder for the translations and the scores.
        pairs: {name of a picture of a: name of its truth in b}; or "auto", "names" or "none", see
            `find_partners`.
        tools: feature networks and the judge; None leaves their families out.

    Raises:
        UserError: no such checkpoint, the data lack the split, or pairs that are not there.
    """
    materials = (
        gather(run, domains, purpose, checkpoint, direction, output, pairs, len(directions) == 1)
        for direction in directions
    )
    metrics = _score_all(
        materials,
        domains,
        purpose,
        output,
        tools,
        read_history(run.directory / HISTORY),
        run.directory.resolve().name,
        run.config.seed,
    )
    log(
        f"scores: {output / METRICS}, page: {output / page.PAGE}, report: "
        f"{write_report(run.directory)}"
    )
    return metrics


def evaluate_folder(
    folder: Path,
    domains: Domains,
    purpose: str,
    direction: str,
    output: Path,
    *,
    pairs: Pairs = AUTO,
    suffix: str = "",
    channels: int | None = None,
    tools: Tools | None = None,
) -> dict[str, Any]:
    """Scores the pictures of `folder` as translations of the split of `purpose`; see
    `gather_folder`, otherwise like `evaluate`.

    Raises:
        UserError: an empty folder, damaged pictures, or names that are not the split's.
    """
    materials = (
        gather_folder(folder, domains, purpose, direction, pairs, suffix=suffix, channels=channels)
        for _ in range(1)
    )
    metrics = _score_all(
        materials, domains, purpose, output, tools, [], folder.resolve().name, None
    )
    log(f"scores: {output / METRICS}, page: {output / page.PAGE}")
    return metrics


def _score_all(
    materials: Iterator[Material],
    domains: Domains,
    purpose: str,
    output: Path,
    tools: Tools | None,
    history: Sequence[Mapping[str, Any]],
    name: str,
    seed: int | None,
) -> dict[str, Any]:
    tools = tools or Tools("", "")
    real_cityscapes = published.are_cityscapes(domains)
    sections = [
        _Scoring(material, tools, history, real_cityscapes).section() for material in materials
    ]
    results = [section.result for section in sections]
    lossy = any(result.get("translations", {}).get("lossy") for result in results)
    metrics = {
        "note": _NOTE + (_LOSSY_NOTE if lossy else ""),
        "data": domains.title,
        "data_dir": list(dict.fromkeys(str(source.directory) for source in (domains.a, domains.b))),
        "split": purpose,
        "fingerprint": domains.fingerprint,
        "seed": seed,
        "features": tools.features.to_json() if isinstance(tools.features, Features) else None,
        "directions": results,
    }
    files.write_json(output / METRICS, metrics)
    files.write_text(output / TABLES, to_csv(results))
    page.write(output, metrics, sections, name)
    return metrics


@dataclass
class _Scoring:
    """All families of one direction."""

    material: Material
    tools: Tools
    history: Sequence[Mapping[str, Any]]
    real_cityscapes: bool
    tables: list[Table] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    confusions: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def section(self) -> Section:
        """Scores, prints, and gives the direction's part of the page, with its part of
        metrics.json.
        """
        material, tools = self.material, self.tools
        self.left_out += material.left_out
        self.assumed += [*material.assumed, *_told_references(material)]
        with self._timed("look"):
            look = Appearance(material.target_train)
            self._take(looks.table(material, look))
        features = tools.features if isinstance(tools.features, Features) else None
        with self._timed("distribution"):
            self._take(
                tools.features
                if isinstance(tools.features, str)
                else distances.table(material, tools.features)
            )
        with self._timed("truth"):
            self._take(
                truths.table(material, None if isinstance(tools.lpips, str) else tools.lpips)
            )
            self._take(tools.lpips if isinstance(tools.lpips, str) and material.truths else "")
            self._take(truths.by_class(material))
        with self._timed("labels"):
            self._take_labels(
                label_scores.scores(
                    material, published.PHOTO_TO_LABELS if self.real_cityscapes else {}
                )
            )
        with self._timed("judge"):
            rows = published.LABELS_TO_PHOTO if self.real_cityscapes else {}
            found_judge = tools.judges.get(material.direction, "")
            judged = (
                found_judge
                if isinstance(found_judge, str)
                else judge.scores(material, found_judge, rows)
            )
            self._take_labels(judged)
            if not isinstance(judged, str) and material.target_train[0].shape[-1] == 1:
                self.assumed.append(
                    "judge: it learned on photos in colour and sees gray ones as R=G=B, the real "
                    "ones of its ceiling too"
                )
        with self._timed("cycle honesty"):
            honesty = cycles.table(material)
            self._take(honesty)
        with self._timed("luminance"):
            light = strata.luminance(material)
            self._take(strata.table(material, light, look, features))
        with self._timed("detectors"):
            found, reasons = detectors.findings(material, light, honesty, self.history, judged)
            self.left_out += reasons
        with self._timed("page"):
            chosen = examples.choose(material, look)
            reached, verdict = _verdict(material.title, self.tables)
            if material.facts.get("translations", {}).get("lossy"):
                verdict += (
                    " The translations were saved with loss, which alone may have decided this."
                )
            result = self._result(found, chosen, reached, verdict)
            section = page.section(material, result, self.tables, self.confusions, chosen, found)
        self._print(found, verdict)
        return section

    @contextlib.contextmanager
    def _timed(self, family: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[family] = round(time.monotonic() - started, 2)

    def _take(self, found: Table | str) -> None:
        if isinstance(found, Table):
            self.tables.append(found)
        elif found:
            self.left_out.append(found)

    def _take_labels(self, found: LabelScores | str) -> None:
        if isinstance(found, str):
            self._take(found)
            return
        self.tables += found.tables if self.material.sure_labels else map(undecided, found.tables)
        self.confusions[found.tables[0].title] = found.confusions[OWN].counts

    def _result(
        self, found: Sequence[Finding], chosen: examples.Examples, reached: bool, verdict: str
    ) -> dict[str, Any]:
        shown = {
            table.title: {row: table.shown(row) for row in table.rows} for table in self.tables
        }
        return {
            "direction": self.material.direction,
            "title": self.material.title,
            "checkpoint": self.material.checkpoint,
            "count": len(self.material.inputs),
            "tables": [table.to_json() | {"shown": shown[table.title]} for table in self.tables],
            "detectors": [finding.to_json() for finding in found],
            "examples": {"score": chosen.score, "names": chosen.names},
            "assumed": self.assumed,
            **self.material.facts,
            "left_out": self.left_out,
            "reached": reached,
            "verdict": verdict,
            "seconds": self.seconds,
        }

    def _print(self, found: Sequence[Finding], verdict: str) -> None:
        title = self.material.title
        for line in self.assumed:
            log(f"{title}: {line}")
        for table in self.tables:
            printed = PrintedTable(
                "",
                *[c.name for c in table.columns],
                title=f"{title}: {table.title} (n = {len(self.material.inputs)})",
            )
            for row in table.rows:
                printed.add_row(row, *table.shown(row), style="bold" if row == OWN else None)
            log_table(printed)
        printed = PrintedTable(
            "failure",
            "value",
            "real pictures",
            "",
            "what it measures",
            title=f"{title}: failures looked for",
        )
        for finding in found:
            bounds = f"{finding.low:.3g} to {finding.high:.3g}" if np.isfinite(finding.low) else ""
            printed.add_row(
                finding.name, f"{finding.value:.3g}", bounds, finding.verdict, finding.measures
            )
        log_table(printed)
        for finding in found:
            if finding.verdict != OK:
                log(
                    f"{title}: {finding.verdict}: {finding.name}; what usually helps: "
                    f"{finding.helps}"
                )
        log(verdict)
        for reason in self.left_out:
            log(f"{title}: {reason}")
        slow = {family: seconds for family, seconds in self.seconds.items() if seconds >= 0.1}
        shown = ", ".join(f"{family} {seconds:.1f} s" for family, seconds in slow.items())
        log(f"{title}: took {shown}")


def _told_references(material: Material) -> list[str]:
    """Where measures take fewer real pictures than there are."""
    count = len(material.target_train)
    parts = [
        f"{name} at most {most}"
        for name, most in (("KID and FID", distances.REFERENCES), ("the detectors", REALS))
        if count > most
    ]
    return (
        [f"references: {' and '.join(parts)} of {count} real training pictures, evenly spread"]
        if parts
        else []
    )


def _verdict(title: str, tables: Sequence[Table]) -> tuple[bool, str]:
    """Whether the translation beats its controls in every deciding column, and a sentence that says
    so.
    """
    to_beat = {
        table.title: TO_BEAT_IN_LABELS if table.title.startswith(label_scores.PREFIX) else TO_BEAT
        for table in tables
    }
    lost = [item for table in tables for item in table.lost(OWN, to_beat[table.title])]
    if lost:
        return False, f"{title}: NOT better than controls in {', '.join(lost)}."
    decisive = ", ".join(
        dict.fromkeys(column.name for table in tables for column in table.columns if column.decides)
    )
    controls = "; for labels ".join(", ".join(names) for names in dict.fromkeys(to_beat.values()))
    return True, f"{title}: better than its controls ({controls}) in {decisive}."
