"""The comparison of several replicas: its numbers by hand, its refusals, and all of it on logical
devices.
"""

import json
import sys

import numpy as np
import pytest

from benchmarks import several_gpus
from benchmarks.several_gpus import Config, compare, difference, numbers_of_replicas, wrong
from tests import processes
from tfcyclegan.cli import run_command
from tfcyclegan.errors import UserError

ONE = {
    "batch": 2,
    "seconds": [0.2, 0.2, 0.5],
    "waited_seconds": [0.0, 0.0, 0.3],
    "exchange_seconds": None,
    "devices": ["H200"],
    "device_peak_bytes": [7],
    "peak_bytes": 9,
    "same_weights": True,
    "skipped": False,
}
FOUR = {
    **ONE,
    "seconds": [0.25, 0.25, 0.25],
    "waited_seconds": [0.01, 0.01, 0.04],
    "exchange_seconds": [0.1, 0.08, 0.9],
    "devices": ["H200"] * 4,
    "device_peak_bytes": [7, 8, 8, 7],
}
STEP = {
    "losses": np.array([2.0, 4.0, 0.0]),  # the last one is of an objective that is left out
    "0": np.array([[3.0, 4.0]]),
    "1": np.array([[0.0, 1.0]]),
}


def test_a_row_of_four_replicas():
    row = compare(FOUR, ONE, 4)
    assert row["steps_per_second"] == 4 and row["pictures_per_second"] == 32
    assert row["efficiency"] == pytest.approx(0.8)  # 32 / (4 * 10)
    assert row["waited_seconds"] == pytest.approx(0.06)
    # 0.24 s without waiting against 0.2, of an exchange that takes 0.1
    assert row["added_seconds"] == pytest.approx(0.04)
    assert row["hidden"] == pytest.approx(0.6)
    assert (row["device_peak_bytes"], row["peak_bytes"]) == (8, 9)


@pytest.mark.parametrize(("seconds", "hidden"), [(0.15, 1.0), (0.9, 0.0)])
def test_the_hidden_share_is_between_none_and_all(seconds, hidden):
    row = compare(FOUR | {"seconds": [seconds], "waited_seconds": [0.0]}, ONE, 4)
    assert row["hidden"] == hidden


def test_one_replica_and_logical_devices_have_no_hidden_exchange():
    assert compare(ONE, ONE, 1)["hidden"] is None
    row = compare(FOUR | {"devices": [], "device_peak_bytes": []}, ONE, 4)
    assert (row["hidden"], row["device_peak_bytes"], row["exchange_seconds"]) == (None, None, 0.1)


def test_steps_differ_by_their_worst_loss_and_kernel():
    other = {"losses": np.array([2.0, 5.0, 0.0]), "0": np.array([[3.0, 4.5]]), "1": STEP["1"]}
    assert difference(STEP, STEP) == {"losses": 0.0, "gradients": 0.0}
    assert difference(STEP, other) == {"losses": 0.25, "gradients": 0.1}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, None),
        ({"difference": {"losses": 1e-6, "gradients": 1e-4}}, None),
        ({"difference": {"losses": 1e-6, "gradients": 0.125}}, "gradients differ"),
        ({"difference": {"losses": float("nan"), "gradients": 1e-6}}, "losses differ"),
        ({"same_weights": False}, "weights differ"),
        ({"skipped": True}, "skipped"),
    ],
)
def test_what_is_wrong_is_told(changes, told):
    found = wrong(4, FOUR | changes)
    assert found is None if told is None else told in found


def test_numbers_of_replicas():
    assert numbers_of_replicas("", 2) == [1, 2]
    assert numbers_of_replicas("", 8) == [1, 2, 4, 8]
    assert numbers_of_replicas("", 6) == [1, 2, 4, 6]
    assert numbers_of_replicas("1,3", 8) == [1, 3]


@pytest.mark.parametrize(
    "words",
    [
        "--logical=1",
        "--logical=2 --replicas=2,4",
        "--logical=2 --replicas=1,2,4",
        "--logical=2 --replicas=1",
        "--logical=2 --replicas=1,,2",
        "--logical=4 --replicas=1,4,2",
        "--logical=2 --size=30",
        "--logical=2 --size=16",
        "--logical=2 --size=0",
        "--logical=2 --batch=0",
        "--logical=2 --steps=none",
        "--logical=2 --precision=float8",
        "--logical=2 --output=figures.txt",
        "--logical=2 --output=no/such/folder.json",
        "--logical=2 --outputs=figures.json",
        "--logical=2 2",
    ],
)
def test_a_wrong_flag_ends_in_a_line(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = "benchmarks.several_gpus", several_gpus.SUMMARY, several_gpus.EXAMPLES
    assert run_command(*command, Config, several_gpus.run, words.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("benchmarks.several_gpus: ") and words.split()[-1].split("=")[0] in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("gpus", [0, 1])
def test_a_machine_without_several_gpus_is_told_so(gpus, tmp_path, monkeypatch):
    monkeypatch.setattr(several_gpus, "_gpus", lambda: gpus)
    with pytest.raises(UserError, match=f"has {gpus} GPUs.*--logical=2"):
        several_gpus.run(Config(output=str(tmp_path / "figures.json")))


@pytest.mark.slow
def test_two_logical_devices_compute_what_one_does(tmp_path):
    output = tmp_path / "figures.json"
    sizes = ["--size=32", "--filters=4", "--blocks=1", "--steps=3"]
    command = ["-m", "benchmarks.several_gpus", "--logical=2", *sizes, f"--output={output}"]
    done = processes.run([sys.executable, *command])
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(output.read_text())
    one, two = results["rows"]
    assert (one["replicas"], two["replicas"]) == (1, 2)
    assert two["pictures_per_second"] == pytest.approx(2 * two["steps_per_second"])
    assert two["exchange_seconds"] > 0 and two["hidden"] is None
    _, found = results["replicas"]
    assert found["same_weights"] and 0 < found["difference"]["gradients"] < several_gpus.TOLERANCE
    table = output.with_suffix(".md").read_text()
    assert table in done.stdout and table.count("\n| ") == 4
    assert "say nothing about GPUs" in table
    assert {path.name for path in tmp_path.iterdir()} == {"figures.json", "figures.md"}
