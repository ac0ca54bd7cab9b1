"""The curves of a run over epochs, as SVG for its report, as PNG files and as one CSV table.

If a run started from another run's weights, that run's history is plotted before its own.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tfcyclegan.system import files

FIGURES = "figures"

_GENERATOR_LOSSES = (
    "gan_ab",
    "gan_ba",
    "gan_za",
    "gan_zb",
    "cycle_a",
    "cycle_b",
    "cycle_za",
    "cycle_zb",
    "identity_a",
    "identity_b",
    "semantic_a",
    "semantic_b",
    "nce_a",
    "nce_b",
    "l1_ab",
    "output_ab",
    "output_ba",
    "feature_ab",
    "feature_ba",
    "paired_ab",
    "paired_ba",
)
CURVES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "generators": ("Generators: all losses together", ("generators",)),
    "adversarial": ("Generators: adversarial loss", ("gan_ab", "gan_ba")),
    "cycle": ("Cycle loss", ("cycle_a", "cycle_b")),
    "latent_adversarial": ("Latents: adversarial loss", ("gan_za", "gan_zb")),
    "latent_cycle": ("Latents: cycle loss", ("cycle_za", "cycle_zb")),
    "identity": ("Identity loss", ("identity_a", "identity_b")),
    "semantic": ("Semantic loss", ("semantic_a", "semantic_b")),
    "paired": ("L1 on known pairs", ("paired_ab", "paired_ba")),
    "nce": ("PatchNCE", ("nce_a", "nce_b")),
    "l1": ("L1 to the known targets", ("l1_ab",)),
    "output": ("Distance from the teacher's pictures", ("output_ab", "output_ba")),
    "feature": ("Distance from the teacher's feature maps", ("feature_ab", "feature_ba")),
    "discriminators": ("Discriminators: loss", ("disc_a", "disc_b")),
    "latent_discriminators": ("Discriminators of latents: loss", ("disc_za", "disc_zb")),
    "accuracy": ("Discriminators: accuracy", ("accuracy_disc_a", "accuracy_disc_b")),
    "latent_accuracy": (
        "Discriminators of latents: accuracy",
        ("accuracy_disc_za", "accuracy_disc_zb"),
    ),
    "appearance": ("Appearance distance to the other domain", ("appearance_ab", "appearance_ba")),
    "kid": ("KID to the other domain", ("kid_ab", "kid_ba")),
    "label_accuracy": (
        "Label accuracy by nearest colour",
        ("label_accuracy_ab", "label_accuracy_ba"),
    ),
    "learning_rate": ("Learning rate", ("learning_rate",)),
}
_COLOURS = ("#2f6fde", "#d9622b")
_GROUPS = {name: group for group, (_, names) in CURVES.items() for name in names}

Line = dict[str, Any]


def group_of(name: str) -> str:
    """The curve that shows a value of the history; "run" for values that none shows."""
    return _GROUPS.get(name, "run")


def joined(earlier: Sequence[Line], own: Sequence[Line]) -> tuple[list[Line], float | None]:
    """Joins the history of the run that provided the initial weights and the run's own; returns it
    and the epoch at which the run's own begins.
    """
    steps, epochs = (earlier[-1]["step"], earlier[-1]["epoch"]) if earlier else (0, 0.0)
    later = [
        {**line, "step": line["step"] + steps, "epoch": line["epoch"] + epochs} for line in own
    ]
    lines = [
        {
            **line,
            "generators": sum(
                line[name] for name in _GENERATOR_LOSSES if line.get(name) is not None
            ),
        }
        for line in (*earlier, *later)
    ]
    return lines, epochs if earlier else None


def curves(lines: Sequence[Line], start: float | None) -> dict[str, tuple[str, Figure]]:
    """(title, figure without that title) by name, for every figure that `lines` have values for."""
    drawn = {name: (title, _draw(lines, names, start)) for name, (title, names) in CURVES.items()}
    return {name: (title, figure) for name, (title, figure) in drawn.items() if figure is not None}


def write_figures(
    directory: Path, drawn: Mapping[str, tuple[str, Figure]], lines: Sequence[Line]
) -> None:
    """Writes NAME.png of every figure and `history.csv`, one row per line of the history, into
    `directory`.
    """
    for name, (title, figure) in drawn.items():
        stream = io.BytesIO()
        heading = figure.suptitle(title, fontsize=11)
        figure.savefig(stream, format="png", dpi=150)
        heading.remove()
        files.write_bytes(directory / f"{name}.png", stream.getvalue())
    columns = list(dict.fromkeys(column for line in lines for column in line))
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    files.write_text(directory / "history.csv", table.getvalue())


def _draw(lines: Sequence[Line], names: Sequence[str], start: float | None) -> Figure | None:
    """Some values over epochs; None if the history has none of them."""
    series = {
        name: [(line["epoch"], line[name]) for line in lines if line.get(name) is not None]
        for name in names
    }
    series = {
        name: points
        for name, points in series.items()
        if len(points) > 1 and any(value for _, value in points)
    }
    if not series:
        return None
    figure = Figure(figsize=(5.2, 2.6))  # a layout engine would draw each figure twice
    axes = figure.add_subplot()
    figure.subplots_adjust(left=0.15, right=0.98, bottom=0.18, top=0.9)
    for (name, points), colour in zip(series.items(), _COLOURS, strict=False):
        epochs, values = np.array(points).T
        axes.plot(epochs, values, color=colour, alpha=0.25, linewidth=0.8)
        axes.plot(epochs, _smoothed(values), color=colour, linewidth=1.5, label=name)
    if start is not None:
        axes.axvline(start, color="#888888", linestyle="--", linewidth=0.8, label="this run starts")
    axes.set_xlabel("epoch")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.locator_params(nbins=5)  # drawing the axes takes most of the time
    return figure


def svg(figure: Figure) -> str:
    """The figure as an <svg> element to put into a page."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True)
    return "<svg" + stream.getvalue().partition("<svg")[2]


def _smoothed(values: np.ndarray) -> np.ndarray:
    """A running mean over about a twentieth of the curve, shorter at its ends."""
    width = max(1, len(values) // 20)
    sums = np.convolve(values, np.ones(width), mode="same")
    return sums / np.convolve(np.ones(len(values)), np.ones(width), mode="same")
