"""What a run finds of itself when its command is given again: checkpoints that are gone or damaged,
and measurements and arithmetic of before.
"""

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import eagerly
from tests.silent_inputs import prepared
from tests.test_checkpoint_files import truncate
from tests.test_training import SMALL, checkpoint, config
from tfcyclegan import cli
from tfcyclegan.config import SegmenterOptions, Size
from tfcyclegan.data.labels import CITYSCAPES
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.segmentation.network import make_network
from tfcyclegan.segmentation.runs import SegmenterRun
from tfcyclegan.training import checkpoint_files, observer, tracking
from tfcyclegan.training.checkpoint_files import CheckpointFiles
from tfcyclegan.training.checkpoints import chosen_by, is_best, variables
from tfcyclegan.training.history import read_history
from tfcyclegan.training.trainer import train

MEASURED = {"eval_every_steps": 2, "eval_images": 8}


@pytest.fixture(scope="module")
def trained(tiles, tmp_path_factory) -> Path:
    """A run of two steps, measured once."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    with eagerly():
        train(config(tiles, run_dir, max_steps=2, **MEASURED))
    return run_dir


def all_of(run_dir: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}


def test_a_run_without_a_whole_checkpoint_does_not_start_over(tiles, trained, tmp_path):
    run_dir = shutil.copytree(trained, tmp_path / "run")
    options = config(tiles, run_dir, max_steps=4, **MEASURED)
    for path in (run_dir / "checkpoints").glob("step-*.data*"):
        truncate(path)
    with pytest.raises(RunError, match=r"damaged .* no other checkpoint; restore it"):
        train(options)
    left = all_of(run_dir)
    for _ in range(2):
        with pytest.raises(UserError, match=r"checkpoints are gone or damaged; restore .*/run/ch"):
            train(options)
    assert all_of(run_dir) == left


def test_a_run_whose_checkpoints_are_elsewhere_waits_for_them(tiles, trained, tmp_path, capsys):
    run_dir, disk = shutil.copytree(trained, tmp_path / "run"), tmp_path / "disk"
    shutil.move(run_dir / "checkpoints", disk)
    (run_dir / "checkpoints").symlink_to(disk)
    disk.rename(tmp_path / "not_mounted")
    left = all_of(run_dir)
    with pytest.raises(UserError, match="gone or damaged"):
        train(config(tiles, run_dir, max_steps=2, **MEASURED))
    assert all_of(run_dir) == left
    (tmp_path / "not_mounted").rename(disk)
    train(config(tiles, run_dir, max_steps=2, **MEASURED))
    assert "already finished" in capsys.readouterr().out


def test_a_run_goes_on_without_a_damaged_best_checkpoint(tiles, trained, tmp_path, capsys, eager):
    run_dir = shutil.copytree(trained, tmp_path / "run")
    best = run_dir / "checkpoints" / "best"
    truncate(best / "step-2.index")
    train(config(tiles, run_dir, max_steps=4, **MEASURED))
    printed = capsys.readouterr().out
    assert "best/step-2: damaged" in printed and "continuing without it" in printed
    assert "resuming at step 2 of 4" in printed
    assert checkpoint_files.steps(best) == [4] and list(best.glob("damaged-step-2.*"))


class Features:
    """In place of a network that would be downloaded."""

    def features(self, pictures: list[np.ndarray]) -> np.ndarray:
        return np.array([picture.mean(axis=(0, 1)) / 255 for picture in pictures])


def test_the_best_is_chosen_among_those_measured_alike(tiles, tmp_path, monkeypatch, eager):
    monkeypatch.setattr(observer, "feature_network", lambda name: Features())
    run_dir = tmp_path / "run"
    for step, features, name in ((2, "alexnet", "KID"), (4, "none", "appearance")):
        train(config(tiles, run_dir, max_steps=step, **MEASURED, eval_features=features))
        assert checkpoint_files.steps(run_dir / "checkpoints" / "best") == [step]
        page = (run_dir / "report.html").read_text()
        assert f"step {step}, by {name} over both directions" in page
    first, last = read_history(run_dir / "history.jsonl")
    assert chosen_by(first)[1] < chosen_by(last)[1], "which is no reason to keep the first"


def test_kid_is_compared_with_kid_by_the_same_network(tiles, tmp_path, monkeypatch, eager):
    """Distances grow from measurement to measurement, and again by each network."""
    values = iter((0.1, 0.2, 0.5, 0.6))
    value = functools.cache(lambda step: next(values))
    run_dir, track = tmp_path / "run", []
    monkeypatch.setattr(observer, "feature_network", lambda name: Features())
    monkeypatch.setattr(observer, "mmd", lambda *_: value(len(track)))
    for step, features, best in (
        (2, "alexnet", 2),
        (4, "alexnet", 2),
        (6, "vgg16", 6),
        (8, "vgg16", 6),
    ):
        track.append(step)
        train(config(tiles, run_dir, max_steps=step, **MEASURED, eval_features=features))
        assert checkpoint_files.steps(run_dir / "checkpoints" / "best") == [best]
        assert f"step {best}, by KID over both" in (run_dir / "report.html").read_text()
    lines = read_history(run_dir / "history.jsonl")
    assert [line["kid_network"] for line in lines] == ["alexnet"] * 2 + ["vgg16"] * 2
    assert "kid_network" in (run_dir / "figures/history.csv").read_text()
    assert "run/kid_network" not in tracking._values(lines[0])
    older = {"kid_ab": 0.3, "kid_ba": 0.1}  # of a version that did not name the network
    assert not is_best(lines[3], [older]) and is_best(lines[0], [older])


def test_kid_of_one_picture_is_refused_at_the_start(tmp_path, monkeypatch):
    data = prepared(tmp_path, trainA=3, trainB=3, valA=2, valB=1)
    monkeypatch.setattr(observer, "feature_network", lambda name: Features())
    with pytest.raises(UserError, match=r"^--eval_features=vgg16: .*, split valB has one picture"):
        train(config(data, tmp_path / "run", **MEASURED, eval_features="vgg16"))
    assert not list((tmp_path / "run").rglob("step-*"))


def segmenter(directory: Path, *, seed: int, step: int = 3) -> None:
    """A run of `train_segmenter` of three steps."""
    options = SegmenterOptions(width=1, steps=3, seed=seed)
    SegmenterRun(directory, options, "float32", [], Size(32, 32), CITYSCAPES).write()
    network = variables(make_network(width=1, classes=CITYSCAPES.count, seed=seed))
    saved = tf.train.Checkpoint(network=network, average=network)
    shutil.rmtree(directory / "checkpoints", ignore_errors=True)
    CheckpointFiles(saved, directory / "checkpoints", keep=1).save(step)


def test_a_run_keeps_its_segmenter(tiles, tmp_path, capsys, eager):
    """It is missing, unfinished, there, trained anew; an older version's run has no note of it."""
    place, run_dir = tmp_path / "segmenter", tmp_path / "run"
    options = dict(SMALL, data_dir=tiles, run_dir=run_dir, segmenter=place, max_steps=1)
    command = ["train", *(f"--{name}={value}" for name, value in options.items())]
    assert cli.main(command) == 2
    assert f"--segmenter={place}: holds no segmenter" in capsys.readouterr().err
    segmenter(place, seed=1, step=2)
    assert cli.main(command) == 2
    assert f"--segmenter={place}: its training is at step 2 of 3" in capsys.readouterr().err
    assert not run_dir.exists()
    segmenter(place, seed=1)
    assert cli.main(command) == 0 and cli.main(command) == 0
    stored = json.loads((run_dir / "config.json").read_text())
    assert stored["segmenter"]["step"] == 3
    segmenter(place, seed=2)
    capsys.readouterr()
    assert cli.main(command) == 2
    assert f"--segmenter={place}: was trained again since" in capsys.readouterr().err
    del stored["segmenter"]
    (run_dir / "config.json").write_text(json.dumps(stored))
    assert cli.main(command) == 0
    assert "already finished" in capsys.readouterr().out


def test_what_chooses_the_best_of_one_direction():
    assert chosen_by({"kid_ba": 0.1, "appearance_ba": 0.7}) == ("kid", 0.1)
    assert chosen_by({"cycle_a": 1.0})[0] == ""


def test_a_run_with_a_checkpoint_needs_no_other_to_start_from(
    tiles, trained, tmp_path, capsys, eager
):
    """Killed before its second checkpoint, given another run's weights, which are then deleted."""
    run_dir, other = tmp_path / "run", shutil.copytree(trained, tmp_path / "other")

    def begin(**options):
        train(config(tiles, run_dir, max_steps=1, learning_rate=1e-9, **options))
        weights = checkpoint(run_dir)["gen_ab/0/.ATTRIBUTES/VARIABLE_VALUE"]
        for path in [*run_dir.glob("checkpoints/step-1.*"), run_dir / "checkpoints/checkpoint"]:
            path.unlink()
        return weights

    started = begin()
    for _ in range(2):
        np.testing.assert_allclose(begin(init_from=str(other)), started, atol=1e-6)
        assert "weights of gen_ab" not in capsys.readouterr().out
        shutil.rmtree(other, ignore_errors=True)
    shutil.rmtree(run_dir)
    with pytest.raises(UserError, match=f"--init_from={other}: holds no run"):
        begin(init_from=str(other))


@pytest.mark.parametrize("before", ["float32", "mixed_float16"])
def test_a_run_goes_on_in_another_precision(tiles, tmp_path, capsys, eager, before):
    (after,) = {"float32", "mixed_float16"} - {before}
    run_dir = tmp_path / "run"
    train(config(tiles, run_dir, max_steps=1, precision=before))
    weights = checkpoint(run_dir)
    train(config(tiles, run_dir, max_steps=2, precision=after))
    printed = capsys.readouterr().out
    assert f"precision changes from {before} to {after}" in printed
    assert "resuming at step 1 of 2" in printed
    resumed = checkpoint(run_dir)
    changed = weights.keys() ^ resumed.keys()
    assert len(changed) == 4 and all("optimizer/" in name for name in changed)
    key = "gen_ab/0/.ATTRIBUTES/VARIABLE_VALUE"
    assert 0 < np.abs(resumed[key] - weights[key]).max() < 1e-3, "it went on from them"
    assert resumed["generator_optimizer/0/.ATTRIBUTES/VARIABLE_VALUE"] == 2
