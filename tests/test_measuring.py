"""What training measures at intervals: labels of photos of any shape, and errors that show before
the first step.
"""

from pathlib import Path

import numpy as np
import pytest

from data_prep import folders
from tests.test_own_labels import CSV, TABLE, save
from tests.test_training import SMALL
from tfcyclegan.config import TrainConfig
from tfcyclegan.errors import RunError
from tfcyclegan.training import observer
from tfcyclegan.training.history import read_history
from tfcyclegan.training.observer import Observer
from tfcyclegan.training.trainer import train

SHAPES = [(40, 40), (32, 48), (48, 32)]
MEASURED = {
    **SMALL,
    "max_steps": 1,
    "preprocess": "none",
    "pool_size": 0,
    "eval_every_steps": 1,
    "eval_split": "train",
}


def data(root: Path, *, labelled: bool) -> Path:
    """Photos of several shapes in A, with label files or with one to which none of them belongs,
    and label maps in B.
    """
    (root / "c.csv").write_text(CSV)
    random = np.random.default_rng(0)
    for name, (height, width) in enumerate(SHAPES):
        blocks = random.choice(np.array([10, 20, 30], np.uint8), (height // 8, width // 8))
        ids = np.kron(blocks, np.ones((8, 8), np.uint8))
        colors = TABLE.colorize(ids)
        noisy = np.clip(colors + random.integers(-50, 50, colors.shape), 0, 255).astype(np.uint8)
        save(root / f"pictures/trainA/{name}.png", noisy)
        save(root / f"pictures/trainA_labels/{name}.png", ids if labelled else np.zeros_like(ids))
        save(root / f"pictures/trainB/{name}.png", colors[::-1])
    place = {"input_dir": str(root / "pictures"), "output_dir": str(root / "data")}
    folders.run(folders.Config(**place, classes=str(root / "c.csv")))
    return root / "data"


@pytest.mark.parametrize("labelled", [True, False])
def test_labels_of_photos_of_several_shapes(tmp_path, monkeypatch, eager, labelled):
    monkeypatch.setattr(Observer, "_translator", lambda *_: lambda images: images)
    place = {"data_dir": str(data(tmp_path, labelled=labelled)), "run_dir": str(tmp_path / "run")}
    train(TrainConfig(**place, **MEASURED))
    (line,) = read_history(tmp_path / "run" / "history.jsonl")
    assert all(np.isfinite(value) for value in line.values())
    accuracy = line.get("label_accuracy_ab")
    # the photos are their label maps with noise; another's labels would be right for a third
    assert accuracy > 0.9 if labelled else accuracy is None


def test_a_network_that_cannot_be_had_is_told_before_the_first_step(tmp_path, monkeypatch, eager):
    def offline(name: str) -> None:
        raise RunError(f"{name}: cannot be downloaded")

    monkeypatch.setattr(observer, "feature_network", offline)
    place = {"data_dir": str(data(tmp_path, labelled=True)), "run_dir": str(tmp_path / "run")}
    options = {**MEASURED, "eval_every_steps": 2, "eval_features": "alexnet"}
    with pytest.raises(RunError, match="cannot be downloaded"):
        train(TrainConfig(**place, **options | {"max_steps": 2}))
    assert not (tmp_path / "run" / "checkpoints").exists()
    train(TrainConfig(**place, **options))  # ends before it is measured
