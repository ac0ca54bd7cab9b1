"""report.html: settings, curves and pictures of a run on one page that opens from disk, made again as training goes."""

import base64
from pathlib import Path

import jinja2
import numpy as np

from tfcyclegan import __version__, files
from tfcyclegan.training import figures
from tfcyclegan.training.history import EARLIER_HISTORY, HISTORY, read_history
from tfcyclegan.training.observer import PURPOSES
from tfcyclegan.training.runs import CONFIG, config_to_dict, read_run

METRICS = Path("evaluation") / "metrics.json"
SAMPLES = "samples"
REPORT = "report.html"
_SHOWN_STRIPS = (6, 2)  # of each purpose


def write_report(run_dir: Path, *, with_figures: bool = True) -> Path:
    """Makes `report.html` from what lies in the run directory, and its figures as files; returns its path."""
    run = read_run(run_dir)
    history, start = figures.joined(read_history(run_dir / EARLIER_HISTORY), read_history(run_dir / HISTORY))
    if with_figures:
        figures.write_figures(run_dir / figures.FIGURES, history, start)
    metrics = files.read_json(run_dir / METRICS) if (run_dir / METRICS).exists() else None
    environment = jinja2.Environment(loader=jinja2.PackageLoader("tfcyclegan.training", "."), autoescape=True, trim_blocks=True)
    page = environment.get_template("report.html").render(
        name=run_dir.resolve().name,
        version=__version__,
        last=history[-1] if history else None,
        data=run.data_title,
        precision=run.precision,
        options=config_to_dict(run.config),
        curves=figures.svg_curves(history, start),
        strips={
            (purpose, direction): _strips(run_dir, purpose, direction, shown)
            for direction in ("ab", "ba")
            for purpose, shown in zip(PURPOSES, _SHOWN_STRIPS, strict=True)
        },
        metrics=metrics,
        names=[
            name
            for name in (CONFIG, "flags.cfg", HISTORY, figures.FIGURES, "checkpoints", SAMPLES, "tensorboard", "evaluation")
            if (run_dir / name).exists()
        ],
    )
    files.write_text(run_dir / REPORT, page)
    return run_dir / REPORT


def _strips(run_dir: Path, purpose: str, direction: str, shown: int) -> list[tuple[str, str]]:
    """(step, data URL) of a few strips, evenly spread, the last one first."""
    paths = sorted((run_dir / SAMPLES).glob(f"{purpose}-*-{direction}.png"))
    if len(paths) > shown:
        paths = [paths[round(index)] for index in np.linspace(0, len(paths) - 1, shown)]
    return [(str(int(path.stem.split("-")[1])), data_url(path.read_bytes())) for path in reversed(paths)]


def data_url(png: bytes) -> str:
    """A PNG as the `src` of an <img>, so that the page is one file."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
