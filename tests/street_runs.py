"""What real runs on the synthetic street made of twelve test scenes: the sheets of
tests/golden/failures, as material of a direction.
"""

import functools
import json
from typing import Any

import numpy as np
from PIL import Image

from tests.conftest import GOLDEN
from tfcyclegan.data import labels
from tfcyclegan.measures import cycle_consistency as cycles
from tfcyclegan.measures.controls import make_controls
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet
from tfcyclegan.measures.tables import Interval, Table
from toy_street import render
from toy_street.scene import make_scene

FOLDER = GOLDEN / "failures"
TEST = range(809, 905, 8)
KNOWN = range(1, 5)
"""The scenes that the run `four` was trained on."""
_TRAIN = {"game": range(1, 801, 20), "photo": range(909, 1709, 20), "labels": range(909, 1709, 20)}
HEIGHT, WIDTH, _COLUMNS = 64, 128, 4


def runs() -> dict[str, dict[str, Any]]:
    """What is known of the sheets, by name."""
    return json.loads((FOLDER / "runs.json").read_text())


@functools.cache
def drawn(number: int, look: str) -> np.ndarray:
    """A scene of `data_prep.toy_street` with its defaults as "game", "photo", label map ("labels")
    or class "ids".
    """
    suburban = number < TEST.start
    scene = make_scene(
        0, number, layout_gap=0.3 if suburban else 0.0, night_share=0.05, dusk_share=0.05
    )
    shown = render.Rendering(scene, HEIGHT, WIDTH)
    if look in ("ids", "labels"):
        return shown.labels() if look == "ids" else labels.colorize(shown.labels())
    game = look == "game"
    return shown.picture(
        render.a_look(1.0, scene.light) if game else render.B_LOOK, (0, number, 0 if game else 1)
    )


def write_sheet(name: str, pictures: list[np.ndarray]) -> None:
    rows = [
        np.concatenate(pictures[start : start + _COLUMNS], axis=1)
        for start in range(0, len(pictures), _COLUMNS)
    ]
    Image.fromarray(np.concatenate(rows)).save(FOLDER / f"{name}.png", optimize=True)


def read_sheet(name: str) -> list[np.ndarray]:
    """Its pictures, uint8 [64, 128, C], or [64, 128] of grey ones."""
    sheet = np.asarray(Image.open(FOLDER / f"{name}.png"))
    corners = [
        (row, column)
        for row in range(0, len(sheet), HEIGHT)
        for column in range(0, sheet.shape[1], WIDTH)
    ]
    return [sheet[row : row + HEIGHT, column : column + WIDTH] for row, column in corners]


def evaluation_set(
    source: str, target: str, translations: list[np.ndarray], direction: str, **more: Any
) -> EvaluationSet:
    """Of the twelve test scenes in the looks `source` and `target`; `more` replaces attributes."""
    names = {f"{number:05d}": number for number in TEST}
    inputs, truths, ids = (
        {name: drawn(number, look) for name, number in names.items()}
        for look in (source, target, "ids")
    )
    target_train = [drawn(number, target) for number in _TRAIN[target]]
    sets = {OWN: dict(zip(names, translations, strict=True))}
    sets |= {
        name: {key: control(picture) for key, picture in inputs.items()}
        for name, control in make_controls(target_train).items()
    }
    made: dict[str, Any] = {
        "direction": direction,
        "checkpoint": "",
        "inputs": inputs,
        "sets": sets,
        "held_out": truths,
        "source_train": [drawn(number, source) for number in _TRAIN[source]],
        "target_train": target_train,
        "truths": truths,
        "ids": ids,
        "held_out_ids": ids,
        "source_is_label_maps": source == "labels",
        "target_is_label_maps": target == "labels",
        "cycle": "the run's networks are not at hand",
        "data": "toy street (synthetic)",
        "left_out": [],
        "classes": labels.CITYSCAPES,
    }
    return EvaluationSet(**made | more)


def run_set(name: str) -> EvaluationSet:
    """Of the sheet `name`."""
    known = runs()[name]
    return evaluation_set(known["source"], known["target"], read_sheet(name), known["direction"])


def honesty_of(known: dict[str, Any]) -> Table:
    """The two cycle errors, measured when the sheet was made, in the table that the detector
    reads.
    """
    rows = {
        row: {cycles.ERROR: Interval(known["cycle"][key], np.nan, np.nan, len(TEST))}
        for row, key in (("8-bit rounding", "saved"), (cycles.UNRELATED, "unrelated"))
    }
    return Table(cycles.TITLE, "", [], rows)
