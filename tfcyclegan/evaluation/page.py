"""index.html of an evaluation: tables, plots, detectors and examples on one page that opens from
disk.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfcyclegan import pages
from tfcyclegan.evaluation import cycles, drawings, examples, judge, label_scores
from tfcyclegan.evaluation.cycles import ERROR
from tfcyclegan.evaluation.detectors import Finding
from tfcyclegan.evaluation.examples import Examples
from tfcyclegan.evaluation.limits import OK, SET_ON
from tfcyclegan.evaluation.material import OWN, Material
from tfcyclegan.evaluation.strata import TITLE as BY_LUMINANCE
from tfcyclegan.evaluation.tables import Table
from tfcyclegan.system import files

PAGE = "index.html"


@dataclass(frozen=True)
class Section:
    """A direction's part of the page; everything that is drawn is text already.

    Attributes:
        result: the direction's part of metrics.json.
        plots: (title, SVG).
        heads: what the cells of strips show.
        strips: by kind of example, (name, score, data URL).
        worst: by a detector's name, (name, data URL).
    """

    result: dict[str, Any]
    plots: list[tuple[str, str]]
    heads: list[str]
    strips: dict[str, list[tuple[str, float, str]]]
    worst: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


def section(
    material: Material,
    result: dict[str, Any],
    tables: list[Table],
    confusions: dict[str, Any],
    chosen: Examples,
    findings: list[Finding],
) -> Section:
    """Draws what belongs to a direction."""
    drawn: dict[str, str] = {}

    def url(name: str) -> str:
        if name not in drawn:
            drawn[name] = pages.data_url(examples.strip(material, name))
        return drawn[name]

    strips = {
        kind: [(name, chosen.values[name], url(name)) for name in names]
        for kind, names in chosen.names.items()
    }
    worst = {
        one.name: [(name, url(name)) for name in one.worst] for one in findings if one.verdict != OK
    }
    return Section(
        result, _plots(tables, confusions, material), examples.heads(material), strips, worst
    )


def _plots(
    tables: list[Table], confusions: dict[str, Any], material: Material
) -> list[tuple[str, str]]:
    plots = []
    for table in tables:
        if table.title == cycles.TITLE:
            plots.append((table.title, drawings.honesty(table, ERROR)))
        elif "by class" in table.title:
            own = [
                column.name
                for column in table.columns
                if column.name not in ("share", "class colour")
            ]
            of_labels = table.title.startswith(label_scores.PREFIX)
            shown = (
                [
                    name
                    for name in own
                    if name in (OWN, "identity", label_scores.CEILING, judge.CEILING)
                ]
                if of_labels
                else own[:2]
            )
            plots.append((table.title, drawings.class_bars(table, shown)))
        elif table.title != BY_LUMINANCE:
            plots.append((table.title, drawings.bars(table)))
    return plots + [
        (f"{title}: what each class became, in %", drawings.confusion(counts, material.table.names))
        for title, counts in confusions.items()
    ]


def write(output: Path, metrics: dict[str, Any], sections: list[Section], name: str) -> Path:
    """Writes the page into `output`; returns its path."""
    page = pages.render(
        "evaluation.html", name=name, metrics=metrics, sections=sections, own=OWN, set_on=SET_ON
    )
    files.write_text(output / PAGE, page)
    return output / PAGE
