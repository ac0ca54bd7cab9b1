"""The precision of a training: which is chosen, what it costs, and that it learns."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.test_training import config
from tfcyclegan.config import Size
from tfcyclegan.errors import RunError
from tfcyclegan.system import hardware
from tfcyclegan.training import trainer
from tfcyclegan.training.history import read_history
from tfcyclegan.training.trainer import train


def end_at_once(*_):
    raise RunError("not trained here")


def test_report_of_precision_auto(tiles, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(trainer, "_Session", end_at_once)
    with pytest.raises(RunError, match="not trained here"):
        train(config(tiles, tmp_path / "run", precision="auto"))
    stored = json.loads((tmp_path / "run" / "config.json").read_text())["precision"]
    assert stored in ("mixed_bfloat16", "float32")
    assert f"precision {stored} (auto)" in capsys.readouterr().out
    has_bfloat16 = (
        "avx512_bf16" in Path("/proc/cpuinfo").read_text()
        or "amx_bf16" in Path("/proc/cpuinfo").read_text()
    )
    if not tf.config.list_physical_devices("GPU") and os.uname().sysname == "Linux":
        assert (stored == "mixed_bfloat16") == has_bfloat16


@pytest.mark.parametrize(("precision", "told"), [("mixed_bfloat16", True), ("auto", False)])
def test_what_a_precision_costs_is_told_before_the_training(
    precision, told, tiles, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(hardware, "cpu_flags", lambda: {"avx2"})
    monkeypatch.setattr(trainer, "_Session", end_at_once)
    with pytest.raises(RunError, match="not trained here"):
        train(config(tiles, tmp_path / "run", precision=precision))
    assert (
        "--precision=mixed_bfloat16: without AVX-512 gradients of convolutions take 7 to 16 times"
        in capsys.readouterr().out
    ) == told


def test_training_in_bfloat16_learns(tiles, tmp_path):
    """How near a step is to float32's is test_bfloat16.py's."""
    options = {
        "max_steps": 60,
        "log_every_steps": 20,
        "checkpoint_every_steps": 1000,
        "sample_every_steps": 1000,
        "load_size": Size(20, 20),
        "crop_size": Size(16, 16),
    }
    train(config(tiles, tmp_path / "run", precision="mixed_bfloat16", **options))
    lines = read_history(tmp_path / "run" / "history.jsonl")
    assert all(np.isfinite(value) for line in lines for value in line.values())
    cycle_a = [line["cycle_a"] for line in lines]
    assert cycle_a[-1] < 0.8 * cycle_a[0]
