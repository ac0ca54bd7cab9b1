"""What quality does each method reach in the same time: CycleGAN, CUT, FastCUT, some pairs and
pix2pix, and the flags for small data?

    python -m benchmarks.methods_quality --directory=DIR --measure
    python -m benchmarks.methods_quality --directory=DIR --cores=0,1
    python -m benchmarks.methods_quality --directory=DIR --tables

DIR contains `data` with satellite2map of `python -m data_prep.satellite_map --stride=48` and what
`make data/toy_street` makes (the tables in docs/methods.md are of 0.1.0's tiles); runs are written
next to it. Each run is a `tfcyclegan train` and two `evaluate`s (last and best checkpoint) on one
core. Its number of steps is the number that fits in its minutes of one core according to
`STEP_SECONDS`, so that other load on the machine affects no run. Finished runs are kept: after any
interruption the same command continues. Only A to B is scored, which all methods learn. The toy
street is synthetic.
"""

import argparse
import dataclasses
import io
import json
import os
import queue
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.config import TrainConfig
from tfcyclegan.flags import parse
from tfcyclegan.measures.evaluation_set import FLOOR, FORMER_OWN, OWN

METHODS = ("cyclegan", "cut", "fastcut")
STEP_SECONDS = {
    "64x64": {
        "cyclegan": 0.141,
        "cut": 0.135,
        "fastcut": 0.086,
        # of benchmarks.distill_quality, measured in turns with cyclegan and scaled by it
        "teacher": 0.539,
        "distilled 24": 0.074,
        "nothing 24": 0.209,
        "distilled 16": 0.064,
        "nothing 16": 0.145,
        "distilled 8": 0.058,
        "nothing 8": 0.102,
    },
    "64x128": {
        "cyclegan": 0.181,
        "cut": 0.201,
        "fastcut": 0.133,
        "some pairs": 0.236,
        "pix2pix": 0.057,
        # of benchmarks.labels_quality, likewise
        "onehot": 0.204,
        "semi-supervised": 0.269,
        "supervised": 0.071,
        # of benchmarks.distill_quality, likewise
        "teacher": 0.724,
        "distilled 24": 0.097,
        "nothing 24": 0.268,
        "distilled 16": 0.080,
        "nothing 16": 0.180,
        "distilled 8": 0.071,
        "nothing 8": 0.122,
    },
}
"""CPU seconds of a step by the size of its pictures, as `--measure` tells them."""
_MEASURED_STEPS, _ROUNDS = 10, 5

_COMMON = {
    "residual_blocks": 4,
    "base_filters": 16,
    "discriminator_filters": 32,
    "learning_rate": 0.0005,
    "ema_decay": 0.998,
    "precision": "float32",
}
_OF_METHOD: dict[str, dict[str, Any]] = {
    "cyclegan": {"upsampling": "resize"},
    "cut": {"nce_layers": "0,4,8,12,14"},  # the first and the third of 4 blocks
    "fastcut": {"nce_layers": "0,4,8,12,14"},
    "pix2pix": {
        "generator": "resnet",
        "norm": "instance",
        "dropout": "false",
        "upsampling": "resize",
        "pairs": "names",
    },
    "distill": {"upsampling": "resize"},
}
_DATA = {
    "satellite2map": {
        "data_dir": "data/satellite2map",
        "load_size": "72",
        "crop_size": "64",
        "eval_split": "val",
    },
    "toy_gta2city": {"data_dir": "data/toy_gta5,data/toy_cityscapes"},
    "toy_city2labels": {"data_dir": "data/toy_cityscapes,data/toy_label_maps"},
}
for _name in ("toy_gta2city", "toy_city2labels"):
    _DATA[_name] |= {"load_size": "64x128", "crop_size": "64x128", "eval_split": "train"}
_IDENTITY = {"satellite2map": 0.1, "toy_gta2city": 0.1, "toy_city2labels": 0}  # as in configs/
_PAIRS = {"toy_gta2city": "data/toy_street/pairs.csv"}  # to score by; others by equal names
_SMALL = {
    "plain": {},
    "diffaugment": {"diffaugment": "colour,translation,cutout"},
    "spectral norm": {"spectral_norm": "true"},
    "rotations": {"rotations": "true"},
    "colour jitter": {"colour_jitter": 0.2},
}
_PAIRED = {"lambda_paired": 100, "pairs": "names"}


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        data: the data set.
        name: its name in tables.
        seed: its seed.
        method: its --method.
        flags: its flags for train, in addition to those common to all runs.
        pictures: number of training pictures per domain; 0 for all.
        kind: its key in `STEP_SECONDS`; by default its method.
        times: its minutes as a multiple of --minutes.
    """

    data: str
    name: str
    seed: int = 0
    method: str = "cyclegan"
    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pictures: int = 0
    kind: str = ""
    times: float = 1.0

    @property
    def place(self) -> str:
        few = f"-{self.pictures}" if self.pictures else ""
        return f"{self.data}{few}/{self.name.replace(' ', '_').replace('%', '')}-{self.seed}"

    @property
    def size(self) -> str:
        return "64x64" if self.data == "satellite2map" else "64x128"

    def steps(self, minutes: float) -> int:
        """Number of steps that fit in its minutes of one core, rounded to a multiple of five."""
        seconds = STEP_SECONDS[self.size][self.kind or self.method]
        return round(60 * self.times * minutes / seconds / 5) * 5

    def options(self) -> dict[str, Any]:
        """Flags for train, without its length."""
        own = dict(_OF_METHOD[self.method])
        if self.method == "cyclegan":
            own["lambda_identity"] = _IDENTITY[self.data]
        data = dict(_DATA[self.data])
        if self.pictures:
            data["data_dir"] = f"benchmarks.methods_quality:few_{self.pictures}"
        return {"method": self.method, "seed": self.seed, **data, **_COMMON, **own, **self.flags}

    def config(self, steps: int) -> TrainConfig:
        """What train makes of these flags, for a length of `steps`."""
        words = [f"--{name}={value}" for name, value in self.options().items()]
        return parse(TrainConfig, [*words, "--run_dir=none", f"--max_steps={steps}"])


def plan() -> list[Cell]:
    """All runs, the most informative ones first."""
    satellite = [
        [Cell("satellite2map", method, seed, method) for method in METHODS] for seed in range(3)
    ]
    knee = [Cell("toy_city2labels", "cyclegan")]
    for percent in (10, 50, 100):
        flags = {**_PAIRED, "paired_share": percent / 100}
        knee.append(Cell("toy_city2labels", f"{percent}% pairs", flags=flags, kind="some pairs"))
    knee.append(Cell("toy_city2labels", "pix2pix", method="pix2pix"))
    toys = [
        Cell(data, method, method=method)
        for data in ("toy_gta2city", "toy_city2labels")
        for method in METHODS
    ]
    # CUT's own initial weights are 40 times smaller than CycleGAN's.
    begun = Cell("satellite2map", "cut begun as cyclegan", method="cut", flags={"init": "normal"})
    small = [
        Cell("satellite2map", name, flags=flags, pictures=pictures)
        for pictures in (40, 0)
        for name, flags in _SMALL.items()
        if pictures or name != "plain"  # which is the first run of all
    ]
    best = [
        Cell("satellite2map", name, seed, flags=_SMALL[name], pictures=pictures)
        for name, pictures in (("spectral norm", 0), ("rotations", 40), ("plain", 40))
        for seed in (1, 2)
    ]
    ordered = [*satellite[0], *knee, *toys, begun, *small, *satellite[1], *satellite[2], *best]
    return list({cell.place: cell for cell in ordered}.values())


def few_40(split: str) -> list[np.ndarray] | None:
    """satellite2map with 40 training pictures per domain, drawn once; its other splits are
    unchanged.
    """
    from PIL import Image

    from tfcyclegan.data.source import open_source

    source = open_source(_DATA["satellite2map"]["data_dir"])
    if split not in source.counts:
        return None
    pictures = [np.asarray(Image.open(io.BytesIO(png))) for _, png in source.pictures(split)]
    if not split.startswith("train"):
        return pictures
    chosen = np.random.default_rng(0).permutation(len(pictures))[:40]
    return [pictures[index] for index in sorted(chosen)]


def run(cell: Cell, directory: Path, minutes: float, launcher: Sequence[str]) -> None:
    """Trains and scores the run, skipping what is finished.

    Raises:
        RuntimeError: a command failed; its output is in the run's .log.
    """
    place = directory / "runs" / cell.place
    place.parent.mkdir(parents=True, exist_ok=True)
    steps = cell.steps(minutes)
    every = max(1, steps // 5)
    last = f"step-{steps}.index"
    length = {
        "max_steps": steps,
        "eval_every_steps": every,
        "checkpoint_every_steps": every,
        "sample_every_steps": steps,
        "run_dir": place,
    }
    commands = [("train", cell.options() | length)]
    for checkpoint in ("latest", "best"):
        commands.append(
            (
                "evaluate",
                {
                    "run_dir": place,
                    "checkpoint": checkpoint,
                    "data_dir": _DATA[cell.data]["data_dir"],
                    "pairs": _PAIRS.get(cell.data, "names"),
                    "output": place / f"evaluation_{checkpoint}",
                },
            )
        )
    for command, flags in commands:
        output = flags.get("output")
        if output and (output / "metrics.json").exists():
            continue
        if flags.get("checkpoint") == "best" and (place / "checkpoints" / "best" / last).exists():
            shutil.copytree(place / "evaluation_latest", output)  # of the same checkpoint
            continue
        words = [f"--{name}={value}" for name, value in flags.items()]
        with open(f"{place}.log", "a") as log:
            status = subprocess.run(
                [*launcher, sys.executable, "-m", "tfcyclegan.cli", command, *words],
                cwd=directory,
                env=os.environ | {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
            ).returncode
        if status:
            raise RuntimeError(f"{cell.place}: {command} ended with {status}; see {place}.log")


def is_done(cell: Cell, directory: Path) -> bool:
    place = directory / "runs" / cell.place
    return all(
        (place / f"evaluation_{which}" / "metrics.json").exists() for which in ("latest", "best")
    )


def run_all(
    cells: Sequence[Cell], directory: Path, cores: Sequence[str], minutes: float, until: float
) -> None:
    """Runs the unfinished runs, one at a time on each core; none starts after `until`."""
    waiting: queue.SimpleQueue[Cell] = queue.SimpleQueue()
    for cell in cells:
        if not is_done(cell, directory):
            waiting.put(cell)

    def work(core: str) -> None:
        while time.time() < until:
            try:
                cell = waiting.get_nowait()
            except queue.Empty:
                return
            began = time.monotonic()
            try:
                run(cell, directory, minutes, ["nice", "-n", "19", "taskset", "-c", core])
                told = f"{(time.monotonic() - began) / 60:.1f} minutes"
            except RuntimeError as error:
                told = str(error)
            print(f"{time.strftime('%H:%M')} {cell.place}: {told}", flush=True)

    workers = [threading.Thread(target=work, args=(core,)) for core in cores]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


_COLUMNS = (
    ("Distribution", "KID x 1000"),
    ("Look", "colour"),
    ("Look", "texture"),
    ("Truth", "Lab error"),
    ("Truth", "L1"),
    ("Truth", "LPIPS"),
    ("Truth", "water IoU"),
    ("Label", "pixel accuracy"),
    ("Label", "class IoU"),
)
"""What tables show: the beginning of a table's title in metrics.json, and its column."""

Scores = dict[tuple[str, str], float]


def scores_of(metrics: Mapping[str, Any], *rows: str) -> Scores:
    """For each table, the scores of the first of `rows` that it has."""
    found = {}
    for table in metrics["directions"][0]["tables"]:
        row = next((table["rows"][name] for name in rows if name in table["rows"]), {})
        for kind, column in _COLUMNS:
            if table["title"].startswith(kind) and column in row:
                found.setdefault((kind, column), row[column]["value"])
    return found


def tables(cells: Sequence[Cell], directory: Path, minutes: float) -> str:
    """The finished runs in Markdown: one table per data set, one line per kind of run with its last
    and best checkpoints, and the values of several seeds side by side.
    """
    kinds: dict[str, dict[tuple[str, int, str], dict[int, Any]]] = {}
    for cell in cells:
        if is_done(cell, directory):
            place = Path(cell.place)
            key = (cell.name, cell.steps(minutes), cell.pictures)
            kinds.setdefault(str(place.parent), {}).setdefault(key, {})[cell.seed] = {
                which: json.loads(
                    (directory / "runs" / place / f"evaluation_{which}/metrics.json").read_text()
                )
                for which in ("latest", "best")
            }
    return "\n\n".join(_table(data, runs) for data, runs in kinds.items())


def _table(data: str, runs: Mapping[tuple[str, int, int], Mapping[int, Any]]) -> str:
    lines: list[tuple[list[str], list[Scores]]] = []
    for (name, steps, _), by_seed in runs.items():
        for which in ("latest", "best"):
            all_metrics = [metrics[which] for metrics in by_seed.values()]
            taken = "/".join(
                metrics["directions"][0]["checkpoint"].removeprefix("step-")
                for metrics in all_metrics
            )
            head = [name, f"{steps}" if which == "latest" else f"best: {taken}"]
            lines.append((head, [scores_of(metrics, OWN, FORMER_OWN) for metrics in all_metrics]))
    first = next(iter(next(iter(runs.values())).values()))["latest"]
    for row in ("identity", "histogram matching", FLOOR):
        lines.append(([row, ""], [scores_of(first, row)]))
    columns = [
        key for key in _COLUMNS if any(key in scores for _, all_of in lines for scores in all_of)
    ]
    told = [
        [*head, *(" / ".join(f"{s[key]:.3g}" for s in all_of if key in s) for key in columns)]
        for head, all_of in lines
    ]
    seeds = ", ".join(map(str, sorted({seed for by_seed in runs.values() for seed in by_seed})))
    count = first["directions"][0]["count"]
    heads = [f"{data}, n = {count}, seeds {seeds}", "steps", *(column for _, column in columns)]
    rows = [heads, ["---"] * len(heads), *told]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def step_seconds(cells: Sequence[Cell]) -> dict[str, dict[str, float]]:
    """CPU seconds of a step of each kind: medians over rounds that alternate in this process."""
    steps: dict[tuple[str, str], Callable[[], Any]] = {}
    for cell in cells:
        kind = cell.size, cell.kind or cell.method
        if kind not in steps:
            steps[kind] = _step(cell)
    seconds: dict[tuple[str, str], list[float]] = {kind: [] for kind in steps}
    for _ in range(_ROUNDS):
        for kind, step in steps.items():
            began = time.process_time()
            for _ in range(_MEASURED_STEPS):
                step()
            seconds[kind].append((time.process_time() - began) / _MEASURED_STEPS)
    told: dict[str, dict[str, float]] = {}
    for (size, name), values in seconds.items():
        told.setdefault(size, {})[name] = round(statistics.median(values), 4)
    return told


def _step(cell: Cell) -> Callable[[], Any]:
    """One step of the run, compiled, on noise."""
    from tfcyclegan.system import tensorflow_setup

    tensorflow_setup.import_tensorflow()
    import tensorflow as tf

    from tfcyclegan.data.labels import CITYSCAPES
    from tfcyclegan.methods.factory import build_model
    from tfcyclegan.training.starting_weights import load_teachers, teaching_of
    from tfcyclegan.training.strategy import make_strategy
    from tfcyclegan.training.trainer import make_optimizer, step_function

    config = cell.config(1000)
    strategy, teaching = make_strategy(1), teaching_of(config)
    with strategy.scope():
        tables = dict.fromkeys(config.onehot, CITYSCAPES)
        teachers = load_teachers(teaching, "float32")
        model = build_model(config, "float32", teachers=teachers, classes=tables)
        optimizers = [
            make_optimizer(config, config.length(1000), 1000, dynamic_scale=False) for _ in range(2)
        ]
        model.compile(*optimizers)
    shape = (config.crop_size.height, config.crop_size.width, 3)
    model.make_pools(shape, shape)
    random = np.random.default_rng(0)
    batch = tuple(
        tf.constant(random.uniform(-1, 1, (1, *shape)).astype(np.float32))
        for _ in range(4 if config.lambda_paired else 2)
    )
    function, stops = step_function(model, strategy), tf.constant(False)
    for _ in range(3):
        function(batch, stops)
    return lambda: function(batch, stops).numpy()


def main(cells: Sequence[Cell], description: str | None, minutes: float) -> None:
    """The command of a plan, whose runs take `minutes` unless --minutes says otherwise."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--cores", default="0,1", help="logical CPUs to use, one run on each")
    parser.add_argument(
        "--minutes", type=float, default=minutes, help="minutes of a core for each training"
    )
    parser.add_argument(
        "--only", default="", help="the runs whose DATA/NAME-SEED begins so; default: all"
    )
    parser.add_argument("--until", default="", help="HH:MM after which no further run starts")
    parser.add_argument("--tables", action="store_true", help="print what is finished")
    parser.add_argument("--measure", action="store_true", help="print the CPU seconds of each step")
    given = parser.parse_args()
    cells = [cell for cell in cells if cell.place.startswith(given.only)]
    if given.measure:
        given.directory.mkdir(parents=True, exist_ok=True)
        os.chdir(given.directory)  # where teachers lie
        print(json.dumps(step_seconds(cells), indent=1))
        return
    if given.tables:
        print(tables(cells, given.directory, given.minutes))
        return
    until = float("inf")
    if given.until:
        today = time.strftime("%Y-%m-%d ")
        until = time.mktime(time.strptime(today + given.until, "%Y-%m-%d %H:%M"))
    cores = given.cores.split(",")
    run_all(cells, given.directory.absolute(), cores, given.minutes, until)


if __name__ == "__main__":
    main(plan(), __doc__, minutes=4.0)
