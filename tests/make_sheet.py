"""Makes the sheets of tests/golden/failures.

python -m tests.make_sheet RUN_DIR DIRECTION NAME "how it was trained"
    NAME.png: the run's translations of the test scenes of `tests.street_runs`. runs.json gets the
    errors of its cycle and its discriminators' accuracies. Of the run `four` also the translations
    of the pictures that it was trained on.
python -m tests.make_sheet DATA_DIR NAME ...
    NAME_seen.png: the train ids that the judge of --judge=auto sees in those translations;
    real_seen.png: in the real photos.
"""

import sys
from pathlib import Path

import numpy as np

from tests import street_runs
from tfcyclegan.data.domains import Split
from tfcyclegan.data.source import open_source
from tfcyclegan.measures import cycle_consistency as cycles
from tfcyclegan.segmentation.trained_judge import judge
from tfcyclegan.system import files
from tfcyclegan.training.history import HISTORY, read_history
from tfcyclegan.training.runs import CONFIG, read_run
from tfcyclegan.translation.translators import from_run

LOOKS = {"toy_gta5": "game", "toy_cityscapes": "photo", "toy_label_maps": "labels"}


def add_run(run_dir: str, direction: str, name: str, told: str) -> None:
    run = read_run(Path(run_dir))
    looks = dict(
        zip(
            "ab", (LOOKS[Path(place).name] for place in run.config.data_dir.split(",")), strict=True
        )
    )
    source, target = looks[direction[0]], looks[direction[1]]
    forward, backward = (from_run(run, "latest", way) for way in (direction, direction[::-1]))
    inputs = [street_runs.drawn(number, source) for number in street_runs.TEST]
    street_runs.write_sheet(name, [forward(picture) for picture in inputs])
    if name == "four":
        street_runs.write_sheet(
            "four_known",
            [forward(street_runs.drawn(number, source)) for number in street_runs.KNOWN],
        )
    made = street_runs.evaluation_set(
        source, target, inputs, direction, cycle=(forward.in_floats, backward.in_floats)
    )
    rows = cycles.table(made).rows
    history = [
        {
            key: round(value, 4)
            for key, value in line.items()
            if key == "step" or key.startswith(("accuracy_disc", "appearance"))
        }
        for line in read_history(run.directory / HISTORY)
    ]
    known = {
        "told": told,
        "source": source,
        "target": target,
        "direction": direction,
        "cycle": {
            "saved": round(rows["8-bit rounding"][cycles.ERROR].value, 5),
            "unrelated": round(rows[cycles.UNRELATED][cycles.ERROR].value, 5),
        },
        "history": history,
    }
    path = street_runs.FOLDER / "runs.json"
    files.write_json(path, (files.read_json(path) if path.exists() else {}) | {name: known})


def let_judge(data_dir: str, *names: str) -> None:
    source = open_source(data_dir)
    found = judge(Split(source, "train"), Path(data_dir) / ".cache")
    pictures = {name: street_runs.read_sheet(name) for name in names}
    pictures["real"] = [street_runs.drawn(number, "photo") for number in street_runs.TEST]
    for name, shown in pictures.items():
        street_runs.write_sheet(
            f"{name}_seen",
            [
                seen.astype(np.uint8)
                for seen in found.predict([np.ascontiguousarray(p) for p in shown])
            ],
        )


if __name__ == "__main__":
    if (Path(sys.argv[1]) / CONFIG).exists():
        add_run(*sys.argv[1:])
    else:
        let_judge(*sys.argv[1:])
