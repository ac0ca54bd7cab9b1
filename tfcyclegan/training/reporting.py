"""report.html: settings, curves and pictures of a run on one page that opens from disk, made again as training goes."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from tfcyclegan import __version__, files
from tfcyclegan.training.history import read_history
from tfcyclegan.training.runs import CONFIG, config_to_dict, read_run

METRICS = Path("evaluation") / "metrics.json"
HISTORY = "history.jsonl"
SAMPLES = "samples"
_SHOWN_STRIPS = 6

CURVES = (
    ("Generators: adversarial loss", ("gan_ab", "gan_ba")),
    ("Cycle loss", ("cycle_a", "cycle_b")),
    ("Identity loss", ("identity_a", "identity_b")),
    ("Discriminators: loss", ("disc_a", "disc_b")),
    ("Discriminators: accuracy", ("accuracy_disc_a", "accuracy_disc_b")),
    ("Appearance distance to the other domain", ("appearance_ab", "appearance_ba")),
    ("Learning rate", ("learning_rate",)),
)
_COLOURS = ("#2f6fde", "#d9622b")


def write_report(run_dir: Path) -> Path:
    """Makes `report.html` from what lies in the run directory; returns its path."""
    run = read_run(run_dir)
    history = read_history(run_dir / HISTORY)
    metrics = files.read_json(run_dir / METRICS) if (run_dir / METRICS).exists() else None
    environment = jinja2.Environment(loader=jinja2.PackageLoader("tfcyclegan.training", "."), autoescape=True, trim_blocks=True)
    page = environment.get_template("report.html").render(
        name=run_dir.resolve().name,
        version=__version__,
        last=history[-1] if history else None,
        precision=run.precision,
        options=config_to_dict(run.config),
        curves=[(title, curve) for title, names in CURVES if (curve := _curve(history, names))],
        strips={direction: _strips(run_dir, direction) for direction in ("ab", "ba")},
        metrics=metrics,
        names=[
            name
            for name in (CONFIG, "flags.cfg", HISTORY, "checkpoints", SAMPLES, "tensorboard", "evaluation")
            if (run_dir / name).exists()
        ],
    )
    files.write_text(run_dir / "report.html", page)
    return run_dir / "report.html"


def _strips(run_dir: Path, direction: str) -> list[tuple[str, str]]:
    """(step, data URL) of a few strips, evenly spread, the last one first."""
    paths = sorted((run_dir / SAMPLES).glob(f"step-*-{direction}.png"))
    if len(paths) > _SHOWN_STRIPS:
        paths = [paths[round(index)] for index in np.linspace(0, len(paths) - 1, _SHOWN_STRIPS)]
    return [(str(int(path.stem.split("-")[1])), data_url(path.read_bytes())) for path in reversed(paths)]


def data_url(png: bytes) -> str:
    """A PNG as the `src` of an <img>, so that the page is one file."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _curve(history: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """An SVG of some values over steps; empty if the history has none of them."""
    series = {name: [(line["step"], line[name]) for line in history if line.get(name) is not None] for name in names}
    series = {name: points for name, points in series.items() if len(points) > 1 and any(value for _, value in points)}
    if not series:
        return ""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 2.6), layout="constrained")
    axes = figure.add_subplot()
    for (name, points), colour in zip(series.items(), _COLOURS, strict=False):
        steps, values = np.array(points).T
        axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
        axes.plot(steps, _smoothed(values), color=colour, linewidth=1.5, label=name)
    axes.set_xlabel("step")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True)
    return stream.getvalue().partition("<svg")[1] + stream.getvalue().partition("<svg")[2]


def _smoothed(values: np.ndarray) -> np.ndarray:
    """A running mean over about a twentieth of the curve, shorter at its ends."""
    width = max(1, len(values) // 20)
    sums = np.convolve(values, np.ones(width), mode="same")
    return sums / np.convolve(np.ones(len(values)), np.ones(width), mode="same")
