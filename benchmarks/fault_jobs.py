"""The five jobs that `benchmarks.faults` disturbs, and how it inspects their results.

A job runs in its own place: a folder that holds `tiles` (a link to prepared pictures), the job's
input and its output, all under the same names, so that the contents of two places can be compared
byte for byte.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from tfcyclegan.data.notes import Journal
from tfcyclegan.training.checkpoint_files import newest, step_of
from tfcyclegan.training.history import HISTORY, read_history

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
CHECKPOINTS = Path("run/checkpoints")
MAX_STEPS = 40

_NETWORK = {
    "load_size": 36,
    "crop_size": 32,
    "residual_blocks": 1,
    "base_filters": 4,
    "discriminator_filters": 4,
    "discriminator_layers": 2,
    "pool_size": 50,
    "precision": "float32",
}
_TRAIN = {
    "data_dir": "tiles",
    "run_dir": "run",
    "cache_dir": "cache",
    "max_steps": MAX_STEPS,
    "deterministic": "true",
    "ema_decay": 0.9,
    "log_every_steps": 3,
    "checkpoint_every_steps": 2,
    "sample_every_steps": 10,
    "sample_images": 2,
    "eval_every_steps": 10,
    "eval_images": 8,
}
_TRANSLATE = {"run_dir": "run", "data_dir": "tiles", "split": "trainA", "output": "translated"}


@dataclass(frozen=True)
class Job:
    """A command as a user would run it.

    Attributes:
        name: name of the job.
        module: the module that Python runs.
        flags: flags of the command.
        writes: its output, relative to its place.
        last_words: part of its last line on stdout once it has finished.
        needs_run: whether it reads a trained run.
    """

    name: str
    module: tuple[str, ...]
    flags: Mapping[str, Any]
    writes: tuple[str, ...]
    last_words: str
    needs_run: bool = True

    def command(self, **changes: Any) -> list[str]:
        flags = [f"--{name}={value}" for name, value in {**self.flags, **changes}.items()]
        return [sys.executable, "-m", *self.module, *flags]


_CLI = "tfcyclegan.cli"
PREPARE = Job(
    "prepare",
    ("data_prep.satellite_map",),
    {"output_dir": "prepared", "stride": 64, "shards": 8},
    ("prepared",),
    "pictures in",
    needs_run=False,
)
TRAIN = Job(
    "train", (_CLI, "train"), _TRAIN | _NETWORK, ("run", "cache"), "next: ", needs_run=False
)
EVALUATE = Job(
    "evaluate", (_CLI, "evaluate"), {"run_dir": "run", "features": "none"}, ("run",), "scores: "
)
EXPORT = Job(
    "export",
    (_CLI, "export"),
    {"run_dir": "run", "output": "exported"},
    ("exported",),
    "exported to ",
)
TRANSLATE = Job(
    "translate", (_CLI, "translate"), _TRANSLATE, ("translated",), "pictures translated"
)
JOBS = {job.name: job for job in (PREPARE, TRAIN, EVALUATE, EXPORT, TRANSLATE)}


def prepare_material(directory: Path) -> None:
    """Prepares the pictures and the trained run that all places share."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "data_prep.satellite_map",
            f"--output_dir={directory / 'tiles'}",
            "--stride=96",
        ],
        cwd=ROOT,
        check=True,
    )
    new_place(directory, directory / "trained", TRAIN)
    subprocess.run(TRAIN.command(), cwd=directory / "trained", env=ENVIRONMENT, check=True)


def new_place(material: Path, place: Path, job: Job) -> Path:
    """A fresh place for `job`."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "tiles").symlink_to((material / "tiles").resolve())
    if job.needs_run:
        shutil.copytree(material / "trained" / "run", place / "run")
    return place


def files_of(job: Job, place: Path) -> Iterator[Path]:
    """All files of the job that have their final names."""
    for name in job.writes:
        for path in sorted((place / name).rglob("*")):
            if path.is_file() and not is_temporary(path.relative_to(place)):
                yield path


def is_temporary(path: Path) -> bool:
    """Whether the name marks an unfinished file: one of ours, of TFDS next to the shards, or of
    TensorFlow's checkpoints.
    """
    return ".work/metadata" in path.as_posix() or any(
        part.endswith((".partial", ".retired", "_temp")) or ".tempstate" in part or ".tmp" in part
        for part in path.parts
    )


def corrupt_files(job: Job, place: Path) -> list[str]:
    """Incomplete files under a final name."""
    return [
        f"{path.relative_to(place)}: {told}"
        for path in files_of(job, place)
        if (told := _damage(path))
    ]


def _damage(path: Path) -> str:
    kinds = [kind for kind in _READERS if re.search(kind, path.name)]
    if not kinds:
        raise ValueError(f"{path}: a kind of file that the campaign does not know how to read")
    try:
        _READERS[kinds[0]](path)
    except Exception as error:  # whatever the readers of damaged files raise
        return (str(error) or type(error).__name__).splitlines()[0]
    return ""


def _read_checkpoint(index: Path) -> None:
    reader = tf.train.load_checkpoint(str(index.with_suffix("")))
    for name in reader.get_variable_to_shape_map():
        reader.get_tensor(name)


def _read_list(path: Path) -> None:
    state = tf.train.get_checkpoint_state(str(path.parent))
    if state is None or not all(
        Path(f"{name}.index").exists() for name in state.all_model_checkpoint_paths
    ):
        raise ValueError("names a checkpoint that is not there")


def _read_records(path: Path) -> None:
    for _ in tf.data.TFRecordDataset(str(path)):
        pass


def _read_picture(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def _read_lines(path: Path) -> None:
    """Reads a log, ignoring an incomplete last line."""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            json.loads(line)


def _read_page(path: Path) -> None:
    if not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise ValueError("cut off")


def _read_table(path: Path) -> None:
    with open(path, newline="", encoding="utf-8") as stream:
        if len({len(row) for row in csv.reader(stream)}) != 1:
            raise ValueError("rows of unequal length")


def _read_pixels(path: Path) -> None:
    channels = json.loads((path.parent / "meta.json").read_text(encoding="utf-8"))["channels"]
    if path.stat().st_size != np.load(path.parent / "sizes.npy").prod(axis=1).sum() * channels:
        raise ValueError("not of the size that its sizes.npy tells")


def _read_tflite(path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    Interpreter(model_path=str(path)).allocate_tensors()


def _read_saved_model(path: Path) -> None:
    tf.saved_model.load(str(path.parent))


def _read_nothing(path: Path) -> None:
    """For growing logs, locks, and files that are checked through another one: a checkpoint's data
    are read through its index.
    """


_READERS: dict[str, Callable[[Path], object]] = {
    r"tfevents|\.lock$|\.data-\d|warmup_requests$": _read_nothing,
    r"^fingerprint\.pb$|^variables\.index$": _read_nothing,
    r"\.index$": _read_checkpoint,
    r"^checkpoint$": _read_list,
    r"\.tfrecord-": lambda path: None if path.suffix == ".json" else _read_records(path),
    r"\.png$": _read_picture,
    r"\.json$": lambda path: json.loads(path.read_text(encoding="utf-8")),
    r"\.jsonl$": _read_lines,
    r"\.html$": _read_page,
    r"\.csv$": _read_table,
    r"\.npy$": lambda path: np.load(path),
    r"\.bin$": _read_pixels,
    r"\.tflite$": _read_tflite,
    r"saved_model\.pb$": _read_saved_model,
    r"\.(cfg|md)$": lambda path: path.read_text(encoding="utf-8"),
}


def finished_work(job: Job, place: Path) -> dict[str, int]:
    """What the next run must find finished: {file: inode}, and for a training {"step": step of the
    newest checkpoint}.
    """
    if job is TRAIN:
        latest = newest(place / CHECKPOINTS)
        return {"step": step_of(latest)} if latest else {}
    if job is PREPARE:
        notes = (place / "prepared/.work").glob("*.tfrecord-*.json")
        kept = [place / "prepared" / note.stem for note in notes]
    elif job is EXPORT:
        kept = list((place / "exported").glob("[0-9]*/metadata.json"))
    else:
        kept = [*(place / "run/evaluation").rglob("*.png"), *(place / "translated").rglob("*.png")]
    return {str(path.relative_to(place)): path.stat().st_ino for path in kept if path.exists()}


def steps_begun(place: Path) -> int:
    """Number of steps that a training is known to have begun, by its history."""
    return max((line["step"] for line in read_history(place / "run" / HISTORY)), default=0)


def lost_work(job: Job, place: Path, before: Mapping[str, int], printed: str) -> list[str]:
    """Which parts of `finished_work` a continued run repeated or did not find, by its output and
    files.
    """
    if job is TRAIN:
        told = re.search(r"resuming at step (\d+)|finished already: step (\d+)", printed)
        if not before or told is None:
            return []
        step = int(told.group(1) or told.group(2))
        return [] if step >= before["step"] else [f"steps {step} to {before['step']}"]
    return [
        name
        for name, inode in before.items()
        if not (place / name).exists() or (place / name).stat().st_ino != inode
    ]


def records_of_another(shard: Path) -> bytes:
    """Content of a shard with as many records as `shard`, from the other domain's pictures."""
    other = next(
        shard.parent.glob(f"*-{'trainB' if 'trainA' in shard.name else 'trainA'}.tfrecord-*")
    )
    wanted = sum(1 for _ in tf.data.TFRecordDataset(str(shard)))
    made = shard.with_name(".another")
    with tf.io.TFRecordWriter(str(made)) as writer:
        for record in tf.data.TFRecordDataset(str(other)).repeat().take(wanted):
            writer.write(record.numpy())
    content = made.read_bytes()
    made.unlink()
    return content


def differences(job: Job, one: Path, other: Path) -> list[str]:
    """How the finished work of two places differs, except for times and paths: names of files and
    tensors.
    """
    paths = [
        {str(path.relative_to(place)) for path in files_of(job, place)} for place in (one, other)
    ]
    ignored = re.compile(r"tfevents|\.lock$|\.data-\d|/checkpoint$")
    latest = [newest(place / CHECKPOINTS) for place in (one, other)]
    if job is TRAIN and (None in latest or len({step_of(str(path)) for path in latest}) > 1):
        return [f"the newest checkpoints are {latest[0]} and {latest[1]}"]
    found = [
        f"{name}: only in one" for name in sorted(paths[0] ^ paths[1]) if not ignored.search(name)
    ]
    found += [
        f"{path.relative_to(other)}: left over"
        for name in job.writes
        for path in (other / name).rglob("*")
        if is_temporary(path)
    ]
    for name in sorted(paths[0] & paths[1]):
        if not ignored.search(name):
            found += _differences(name, one / name, other / name)
    return found


def _differences(name: str, one: Path, other: Path) -> list[str]:
    if one.suffix == ".index":
        tensors = [_tensors(path) for path in (one, other)]
        if tensors[0].keys() != tensors[1].keys():
            return [f"{name}: other tensors"]
        return [
            f"{name}: {key}"
            for key, value in tensors[0].items()
            if not np.array_equal(value, tensors[1][key])
        ]
    if one.suffix == ".pb":
        # TensorFlow numbers its functions anew; what the model computes is compared by its tensors
        # and TFLite files
        return []
    if one.suffix in (".png", ".bin", ".npy", ".tflite") or ".tfrecord" in one.name:
        return [] if one.read_bytes() == other.read_bytes() else [f"{name}: other bytes"]
    return [] if _without_times(one) == _without_times(other) else [f"{name}: other content"]


def _tensors(index: Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(index.with_suffix("")))
    names = [
        name
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    ]
    return {name: reader.get_tensor(name) for name in names}


def _without_times(path: Path) -> str:
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.name == Journal.NAME:  # in any order; of a picture's lines the last one counts
        notes = {name: rest for name, *rest in map(json.loads, text.splitlines())}
        return json.dumps(notes, sort_keys=True)
    if path.suffix in (".json", ".jsonl"):
        parts = text.splitlines() if path.suffix == ".jsonl" else [text]
        return json.dumps([_no_times(json.loads(part)) for part in parts], sort_keys=True)
    if path.suffix in (".html", ".csv", ".md", ".svg"):
        return ""  # made of the numbers of the JSON files, which are compared; they hold times
    return text


def _no_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _no_times(each)
            for key, each in value.items()
            if not re.search(r"second|_ms|milliseconds|threads|run_dir", key)
        }
    return [_no_times(each) for each in value] if isinstance(value, list) else value
