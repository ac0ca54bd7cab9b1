"""Scores of translated test pictures beside those of controls that needed no training.

The saved 8-bit PNGs are scored. Where testA and testB have pictures of the same names they count as pairs with a known
truth; of `satellite2map`, land is scored by itself, since nearly anything gets the sea right.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from tfcyclegan import files
from tfcyclegan.data import images
from tfcyclegan.data.source import DataSource
from tfcyclegan.measures import paired
from tfcyclegan.measures.appearance import Appearance
from tfcyclegan.measures.controls import make_controls
from tfcyclegan.progress import say
from tfcyclegan.training.reporting import write_report
from tfcyclegan.training.runs import Run
from tfcyclegan.translation import RECORD, from_run, pictures_of_split, translate_split

OWN = "CycleGAN"
FLOOR = "real (floor)"
# A translation is worth its training if it is nearer to real pictures than each of these.
TO_BEAT = ("identity", "colour matching", "histogram matching")

_NOTE = (
    "All rows are scored from 8-bit pictures. Colour and texture: sliced Wasserstein distance to the real training pictures of "
    "the target domain, in Lab units, lower is better; the floor is that of real pictures held out. Error columns compare with the "
    "true picture of the same place."
)

Pictures = dict[str, np.ndarray]


def evaluate(run: Run, source: DataSource, split: str, checkpoint: str, directions: Sequence[str], output: Path) -> dict[str, Any]:
    """Translates a split ("test" or "val"), scores it, prints tables, writes `output`/metrics.json and the run's report.

    Raises:
        UserError: no such checkpoint, or the data lack the split.
    """
    results = [_evaluate_direction(run, source, split, checkpoint, direction, output) for direction in directions]
    metrics = {
        "note": _NOTE,
        "data": source.name,
        "split": split,
        "fingerprint": source.fingerprint,
        "seed": run.config.seed,
        "directions": results,
    }
    files.write_json(output / "metrics.json", metrics)
    for result in results:
        table = Table(f"{result['title']}, n = {result['count']}", *result["columns"])
        for row in result["rows"]:
            table.add_row(row["name"], *row["shown"], style="bold" if row["own"] else None)
        Console(width=120).print(table)
        say(result["verdict"])
    say(f"scores: {output / 'metrics.json'}, report: {write_report(run.directory)}")
    return metrics


def _evaluate_direction(run: Run, source: DataSource, split: str, checkpoint: str, direction: str, output: Path) -> dict[str, Any]:
    target = direction[1].upper()
    translator = from_run(run, checkpoint, direction)
    folder = output / direction
    if (folder / RECORD).exists() and files.read_json(folder / RECORD) != translator.identity:
        shutil.rmtree(folder)  # our own translations by an older checkpoint
    translate_split(translator, source, f"{split}{direction[0].upper()}", folder)
    channels = run.config.channels_b if target == "B" else run.config.channels_a
    inputs = _pictures(source, f"{split}{direction[0].upper()}", channels)
    real_held_out = _pictures(source, f"{split}{target}", channels) if source.counts.get(f"{split}{target}") else {}
    real_train = list(_pictures(source, f"train{target}", channels).values())
    own = {name: _read_png(folder / f"{name}.png") for name in inputs}
    truths = real_held_out if real_held_out.keys() == inputs.keys() and all(real_held_out[n].shape == own[n].shape for n in own) else {}

    sets: dict[str, Pictures] = {OWN: own}
    for name, control in make_controls(real_train).items():
        sets[name] = {key: control(picture) for key, picture in inputs.items()}
    if real_held_out:
        sets[FLOOR] = real_held_out
    measures = _measures(source, real_train, truths, inputs if direction == "ba" else truths)
    rows = []
    for name, pictures in sets.items():
        values = {
            column: measure(pictures) for column, measure in measures.items() if not (name == FLOOR and column not in ("colour", "texture"))
        }
        shown = [f"{values[column]:.3f}" if column in values else "" for column in measures]
        rows.append({"name": name, "own": name == OWN, "values": values, "shown": shown})
    reached, verdict = _verdict(rows, direction)
    return {
        "direction": direction,
        "title": f"{direction[0].upper()} to {target}",
        "checkpoint": translator.identity["checkpoint"],
        "count": len(own),
        "columns": list(measures),
        "rows": rows,
        "reached": reached,
        "verdict": verdict,
    }


def _pictures(source: DataSource, split: str, channels: int) -> Pictures:
    return {name: images.to_array(images.decode(encoded, channels)) for name, encoded in pictures_of_split(source, split)}


def _read_png(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return images.to_array(image)


def _measures(
    source: DataSource, real_train: Sequence[np.ndarray], truths: Pictures, maps: Pictures
) -> dict[str, Callable[[Pictures], float]]:
    look = Appearance(real_train)
    measures: dict[str, Callable[[Pictures], float]] = {
        "colour": lambda pictures: look.colour_distance(list(pictures.values())),
        "texture": lambda pictures: look.texture_distance(list(pictures.values())),
    }
    if truths:

        def mean(score: Callable[[str, np.ndarray, np.ndarray], float]) -> Callable[[Pictures], float]:
            return lambda pictures: float(np.nanmean([score(name, pictures[name], truth) for name, truth in truths.items()]))

        measures["Lab error"] = mean(lambda _, picture, truth: paired.lab_error(picture, truth))
        measures["L1"] = mean(lambda _, picture, truth: paired.absolute_error(picture, truth))
        if source.name == "satellite2map":
            land = {name: ~paired.water(picture) for name, picture in maps.items()}
            measures["Lab error on land"] = mean(lambda name, picture, truth: paired.lab_error(picture, truth, land[name]))
        if maps is truths and source.name == "satellite2map":
            measures["water IoU"] = mean(lambda name, picture, _: paired.overlap(paired.water(picture), ~land[name]))
    return measures


def _verdict(rows: Sequence[dict[str, Any]], direction: str) -> tuple[bool, str]:
    """Whether the translation beats every control in `TO_BEAT` on distances and errors, and a sentence that says so."""
    values = {row["name"]: row["values"] for row in rows}
    decisive = [column for column in ("colour", "texture", "Lab error on land", "Lab error") if column in values[OWN]]
    decisive = [column for column in decisive if not (column == "Lab error" and "Lab error on land" in decisive)]
    lost = [f"{column} ({control})" for column in decisive for control in TO_BEAT if values[OWN][column] >= values[control][column]]
    title = f"{direction[0].upper()} to {direction[1].upper()}"
    if lost:
        return False, f"{title}: NOT better than untrained controls in {', '.join(lost)}."
    return True, f"{title}: nearer to real pictures than identity, colour matching and histogram matching in {', '.join(decisive)}."
