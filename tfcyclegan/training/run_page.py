"""report.html: settings, curves and pictures of a run on one self-contained page, rewritten during
training.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tfcyclegan import pages
from tfcyclegan.config import AUGMENTED
from tfcyclegan.data.display import displays_of, told
from tfcyclegan.data.pixels import spread
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from tfcyclegan.training import figures, whole_pictures
from tfcyclegan.training.checkpoint_files import BEST, DIRECTORY, newest, step_of
from tfcyclegan.training.checkpoints import chosen_by
from tfcyclegan.training.history import EARLIER_HISTORY, HISTORY, read_history
from tfcyclegan.training.observer import PURPOSES
from tfcyclegan.training.runs import CONFIG, Run, config_to_dict, read_run
from tfcyclegan.training.strips import ANSWERS, at_own_size, columns_of, png_bytes, rows_of

METRICS = Path("evaluation") / "metrics.json"
SAMPLES = "samples"
REPORT = "report.html"
_SHOWN_STRIPS = (6, 2)  # for each purpose
_COMPARED = ("translated", "cycled")
"""Columns of a strip that sliders lay over its first one, the real pictures."""


def write_report(run_dir: Path, *, with_figures: bool = True) -> Path:
    """Writes `report.html` from the files in the run directory, and the figures beside it; returns
    its path.
    """
    run = read_run(run_dir)
    own = read_history(run_dir / HISTORY)
    history, start = figures.joined(read_history(run_dir / EARLIER_HISTORY), own)
    curves = figures.curves(history, start)
    if with_figures:
        figures.write_figures(run_dir / figures.FIGURES, curves, history)
    metrics = None
    try:
        if (run_dir / METRICS).exists():
            metrics = files.read_json(run_dir / METRICS)
    except UserError as error:  # a side file, for which no training ends
        log(f"{error}; the report does not show it")
    strips = {
        (purpose, direction): _strips(run_dir, purpose, direction, shown)
        for direction in ("ab", "ba")
        for purpose, shown in zip(PURPOSES, _SHOWN_STRIPS, strict=True)
    }
    columns = _columns(run)
    page = pages.render(
        "report.html",
        name=run_dir.resolve().name,
        last=history[-1] if history else None,
        data=run.data_title,
        precision=run.precision,
        options=config_to_dict(run.config),
        curves=[(title, figures.svg(figure)) for title, figure in curves.values()],
        whole_pictures=whole_pictures.read(run_dir),
        strips=strips,
        display=displayed(run),
        columns=columns,
        sliders={
            (purpose, direction): sliders(shown[0].pixels, columns)
            for (purpose, direction), shown in strips.items()
            if shown and not (purpose == "train" and strips["test", direction])
        },
        metrics=metrics,
        flagged=_flagged(metrics),
        card=_card(run, history, own),
        run_dir=run_dir,
        names=[
            name
            for name in (
                CONFIG,
                "flags.cfg",
                HISTORY,
                figures.FIGURES,
                "checkpoints",
                SAMPLES,
                whole_pictures.FOLDER,
                "tensorboard",
                "evaluation",
            )
            if (run_dir / name).exists()
        ],
    )
    files.write_text(run_dir / REPORT, page)
    return run_dir / REPORT


def displayed(run: Run) -> list[str]:
    """How strips show measurements, one line for each such domain."""
    return told(displays_of(run.values, **run.config.display)) if run.values else []


@dataclasses.dataclass(frozen=True)
class Strip:
    """A sample strip.

    Attributes:
        step: the one at which it was drawn.
        pixels: uint8 [H, W, 3], at the pictures' own size.
    """

    step: int
    pixels: np.ndarray

    @property
    def picture(self) -> pages.Picture:
        return pages.picture(png_bytes(self.pixels))


def sliders(
    strip: np.ndarray, columns: Sequence[str]
) -> dict[str, list[tuple[pages.Picture, pages.Picture]]]:
    """What sliders lay over the real pictures of a strip: by the name of the column, (real, other)
    of each row. Empty if the pictures differ in width and so form no columns.

    Args:
        strip: uint8 [H, W, 3], at the pictures' own size.
        columns: names of its columns, the real pictures first.
    """
    if not columns_of(strip, len(columns)):
        return {}
    # rows first, of the whole strip: a column that is all white would seem to be of many rows
    rows = [columns_of(row, len(columns)) for row in rows_of(strip)]
    pictures = [[pages.picture(png_bytes(cell)) for cell in row] for row in rows]
    return {
        name: [(row[0], row[index]) for row in pictures]
        for index, name in enumerate(columns)
        if name in _COMPARED
    }


def _columns(run: Run) -> list[str]:
    """The columns of the run's strips; see `strips.strip`."""
    if not {"gen_ab", "gen_ba"} <= set(run.networks):
        return ["real", "translated"]
    identity = run.config.has_identity
    several = ANSWERS if run.config.method == AUGMENTED else 0
    answers = [f"answer {number}" for number in range(1, several + 1)]
    return ["real", "translated", "cycled", *(["identity"] if identity else []), *answers]


def _flagged(metrics: dict[str, Any] | None) -> list[tuple[str, dict[str, Any]]]:
    """(direction, finding) of every failure that the evaluation suspects, the certain ones
    first.
    """
    found = [
        (result["title"], finding)
        for result in (metrics or {}).get("directions", [])
        for finding in result.get("detectors", [])
        if finding["verdict"] != "ok"
    ]
    return sorted(found, key=lambda flag: flag[1]["verdict"] != "bad")


def _best(run: Run, own: Sequence[figures.Line]) -> tuple[int, str] | None:
    """The step of the best checkpoint, and what chose it."""
    path = newest(run.directory / DIRECTORY / BEST)
    step = step_of(path) if path else None
    for line in own:
        if line["step"] == step and (name := chosen_by(line)[0]):
            return line["step"], {"kid": "KID"}.get(name, name)
    return None


def _card(
    run: Run, history: Sequence[figures.Line], own: Sequence[figures.Line]
) -> list[tuple[str, str]]:
    """What users must know before using the run's translators.

    Args:
        run: the run.
        history: of all its training, also that of the run whose weights it started from.
        own: its own history.
    """
    config, best = run.config, _best(run, own)
    weights = (
        "with a running mean of its weights" if config.ema_decay else "with its current weights"
    )
    ways = [f"{n[-2].upper()} to {n[-1].upper()}" for n in run.networks if n.startswith("gen_")]
    several = len(ways) > 1
    what = (
        f"two translators, {' and '.join(ways)}, each" if several else f"a translator, {ways[0]},"
    )
    rows = [
        (
            "what",
            f"{what} {config.architecture} of {config.base_filters} filters, by {config.method}; "
            f"it translates {weights}",
        ),
        ("data", run.data_title or config.data_dir),
        (
            "pictures",
            f"{config.preprocess}, {config.load_size} to {config.crop_size}; others "
            + (
                "keep their sizes"
                if config.preprocess in ("crop", "none")
                else "are resized alike, or kept by --scale=original"
            ),
        ),
        (
            "training",
            f"{history[-1]['step']} steps, {history[-1]['epoch']:.1f} epochs, seed {config.seed}, "
            f"{run.precision}"
            if history
            else "",
        ),
        (
            "best",
            f"step {best[0]}, by {best[1]}{' over both directions' if several else ''} "
            "(--checkpoint=best)"
            if best
            else "",
        ),
        (
            "limits",
            "it learned from these pictures alone, may change or invent what is in a picture, and "
            f"gives {'many answers' if config.method == AUGMENTED else 'one answer'} for each",
        ),
    ]
    return [(name, text) for name, text in rows if text]


def _strips(run_dir: Path, purpose: str, direction: str, shown: int) -> list[Strip]:
    """A few strips, evenly spaced, the last one first."""
    paths = sorted((run_dir / SAMPLES).glob(f"{purpose}-*-{direction}.png"))
    chosen = [paths[index] for index in spread(len(paths), shown)]
    drawn = [(int(path.stem.split("-")[1]), _drawn(path)) for path in reversed(chosen)]
    return [Strip(step, pixels) for step, pixels in drawn if pixels is not None]


def _drawn(path: Path) -> np.ndarray | None:
    """The strip's pixels, or None if it cannot be read, which is told."""
    try:
        with Image.open(path) as image:
            return at_own_size(np.asarray(image.convert("RGB")))
    except (OSError, ValueError, SyntaxError):
        log(f"{path}: cannot be read, so the report does not show it; remove it")
        return None
