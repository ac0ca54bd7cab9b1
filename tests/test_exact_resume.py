"""A training that was killed and goes on ends as one that nothing disturbed: bit for bit, with no
picture seen twice or never.
"""

import hashlib
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import processes
from tests.test_training import command, config, without_timing
from tfcyclegan.data.domains import open_domains
from tfcyclegan.training import checkpoint_files
from tfcyclegan.training.batches import open_batches

# Whatever draws random numbers or keeps a state of its own takes part. Checkpoints come in
# mid-epoch and between two history lines.
OPTIONS = {
    "max_steps": 26,
    "deterministic": True,
    "batch_size": 2,
    "checkpoint_every_steps": 5,
    "log_every_steps": 2,
    "sample_every_steps": 10,
    "eval_every_steps": 8,
    "eval_images": 8,
    "ema_decay": 0.9,
    "dropout": True,
    "antialias_up": True,
    "noise_inputs": True,
    "cycle_noise": 0.05,
}
# devices and precision
COMBINATIONS = [(2, "mixed_bfloat16"), (1, "float32"), (2, "float32"), (1, "mixed_bfloat16")]
KILLS = 10


def run_to_end(arguments: list[str]) -> str:
    ended = processes.run(arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def kill_during(arguments: list[str], run_dir: Path, step: int, delay_seconds: float) -> None:
    """Kills a training some time after the line of `step` is in its history."""
    deadline, history = time.monotonic() + 1200, run_dir / "history.jsonl"
    with processes.started(arguments) as process:
        while not (history.exists() and f'"step": {step},' in history.read_text()):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.002)
        time.sleep(delay_seconds)
        process.kill()
        assert process.wait() == -signal.SIGKILL


def tensors(directory: Path) -> dict[str, np.ndarray]:
    """All that the checkpoints in a directory hold, by step and name."""
    found = {}
    for step in checkpoint_files.steps(directory):
        reader = tf.train.load_checkpoint(checkpoint_files.path_of(directory, step))
        names = [
            name
            for name in reader.get_variable_to_shape_map()
            if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
        ]
        found |= {f"{step}: {name}": reader.get_tensor(name) for name in names}
    return found


@pytest.fixture(scope="module")
def straight(tiles, tmp_path_factory):
    """(devices, precision) -> a run that nothing disturbed, trained when it is first asked for."""
    made: dict[tuple[int, str], Path] = {}

    def get(devices: int, precision: str) -> Path:
        if (devices, precision) not in made:
            run_dir = tmp_path_factory.mktemp("straight") / "run"
            run_to_end(command(tiles, run_dir, **OPTIONS, devices=devices, precision=precision))
            made[devices, precision] = run_dir
        return made[devices, precision]

    return get


# By default two devices in float32: bfloat16 takes minutes where the processor lacks it.
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, marks=() if number == 2 else pytest.mark.slow)
        for number in range(KILLS)
    ],
)
def test_a_killed_run_ends_as_an_undisturbed_one(tiles, straight, tmp_path, number):
    devices, precision = COMBINATIONS[number % len(COMBINATIONS)]
    generator = random.Random(number)
    step, delay = generator.randrange(2, 26, 2), generator.uniform(0, 0.1)
    run_dir = tmp_path / "run"
    arguments = command(tiles, run_dir, **OPTIONS, devices=devices, precision=precision)
    kill_during(arguments, run_dir, step, delay)
    latest = checkpoint_files.newest(run_dir / "checkpoints")
    printed = run_to_end(arguments)
    print(
        f"{devices} replicas, {precision}: killed {delay:.3f} s after step {step}, on from {latest}"
    )
    if latest and not latest.endswith("-0"):
        assert f"resuming at step {checkpoint_files.step_of(latest)} of 26" in printed
    undisturbed = straight(devices, precision)
    for part in (".", "best"):
        expected, found = (
            tensors(directory / "checkpoints" / part) for directory in (undisturbed, run_dir)
        )
        assert expected and expected.keys() == found.keys()
        assert [name for name in expected if not np.array_equal(expected[name], found[name])] == []
    pools = {
        name
        for name in tensors(run_dir / "checkpoints")
        if name.startswith("26: pools_") and "/images/" in name
    }
    assert len(pools) == 2 * devices
    assert without_timing(run_dir) == without_timing(undisturbed)
    for strip in (undisturbed / "samples").iterdir():
        assert strip.read_bytes() == (run_dir / "samples" / strip.name).read_bytes(), strip.name


# Writes a line for each step that is trained: its number, and hashes of both batches.
WATCHED = """
import hashlib, os, sys
import tensorflow as tf
from tfcyclegan import cli
from tfcyclegan.methods.cyclegan import CycleGAN

train_step = CycleGAN.train_step

def note(step, *batches):
    with open(os.environ["SEEN"], "a") as stream:
        digests = (hashlib.sha256(batch.tobytes()).hexdigest()[:16] for batch in batches)
        print(int(step), *digests, file=stream)
    return step

def watched(self, data):
    step = tf.numpy_function(note, [self.step.value, *data], tf.int64)
    with tf.control_dependencies([step]):
        return train_step(self, data)

CycleGAN.train_step = watched
sys.exit(cli.main(["train", *sys.argv[1:]]))
"""


def batches_of(tiles: Path, options: dict) -> list[str]:
    """Hashes of the batches of each step, of the data set that a training is given."""
    dataset, _ = open_batches(config(tiles, Path("unused"), **options), open_domains(str(tiles)))
    return [
        " ".join(hashlib.sha256(part.numpy().tobytes()).hexdigest()[:16] for part in batch)
        for batch in dataset.dataset(0, options["max_steps"])
    ]


def test_no_picture_is_repeated_or_skipped(tiles, tmp_path, monkeypatch):
    """Not deterministic: the steps after the checkpoint see what they would have seen, and none is
    left out.
    """
    options = OPTIONS | {
        "deterministic": False,
        "eval_every_steps": 1000,
        "sample_every_steps": 1000,
    }
    run_dir = tmp_path / "run"
    arguments = [sys.executable, "-c", WATCHED, *command(tiles, run_dir, **options)[4:]]

    def seen(log: Path) -> list[tuple[int, str]]:
        return [
            (int(step), hashes)
            for step, _, hashes in (line.partition(" ") for line in log.read_text().splitlines())
        ]

    monkeypatch.setenv("SEEN", str(tmp_path / "killed.log"))
    kill_during(arguments, run_dir, 14, 0.05)
    latest = checkpoint_files.newest(run_dir / "checkpoints")
    monkeypatch.setenv("SEEN", str(tmp_path / "resumed.log"))
    run_to_end(arguments)
    killed, resumed = (seen(tmp_path / f"{name}.log") for name in ("killed", "resumed"))
    straight = list(enumerate(batches_of(tiles, options)))
    first = checkpoint_files.step_of(latest)
    assert first in (5, 10, 15)  # of a busy machine the last one is still being written
    assert len({hashes for _, hashes in straight}) == 26
    assert [step for step, _ in resumed] == list(range(first, 26))
    assert killed[:first] + resumed == straight
