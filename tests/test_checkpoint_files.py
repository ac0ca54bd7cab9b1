"""Checkpoints as files: damaged ones are passed over, what a kill or a full disk cut off costs
nothing.
"""

import resource
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from tfcyclegan.errors import RunError
from tfcyclegan.training import checkpoint_files
from tfcyclegan.training.checkpoint_files import CheckpointFiles
from tfcyclegan.training.checkpoints import find_checkpoint


def truncate(path: Path) -> None:
    with open(path, "r+b") as stream:
        stream.truncate(path.stat().st_size // 2)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


DAMAGE = {
    "data cut": ("step-4.data-00000-of-00001", truncate),
    "a bit of the data": ("step-4.data-00000-of-00001", flip_a_bit),
    "data gone": ("step-4.data-00000-of-00001", Path.unlink),
    "index cut": ("step-4.index", truncate),
    "a bit of the index": ("step-4.index", flip_a_bit),
    "index gone": ("step-4.index", Path.unlink),
    "list gone": ("checkpoint", Path.unlink),
    "list cut": ("checkpoint", truncate),
    "a bit of the list": ("checkpoint", flip_a_bit),
}


@pytest.mark.parametrize(("name", "damage"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_and_kept(saved_twice, tmp_path, name, damage):
    directory = shutil.copytree(saved_twice, tmp_path / "checkpoints")
    damage(directory / name)
    value = tf.Variable(tf.zeros([1000]))
    checkpoint = tf.train.Checkpoint(value=value)
    opened = CheckpointFiles(checkpoint, directory, keep=2)
    checkpoint.restore(opened.latest).assert_consumed()
    if name == "checkpoint":
        assert not opened.told, "nothing but a list was lost"
    elif name == "step-4.index" and damage == Path.unlink:
        assert opened.told == [f"{directory}/step-4: missing; continuing from step-2"]
    else:
        assert (
            len(opened.told) == 1
            and "continuing from step-2" in opened.told[0]
            and f"kept as damaged-{name[:6]}" in opened.told[0]
        )
        assert list(directory.glob("damaged-step-4.*"))
    step = 4 if name == "checkpoint" else 2
    assert opened.latest == str(directory / f"step-{step}") and value.numpy()[7] == step
    opened.save(6)
    assert checkpoint_files.steps(directory) == [step, 6], "it knows the files, and so keeps two"
    assert CheckpointFiles(checkpoint, directory, keep=2).told == []
    assert tf.train.latest_checkpoint(str(directory)) == str(directory / "step-6")


def test_what_a_kill_cut_off_is_no_damage_and_is_removed(saved_twice, tmp_path):
    directory = shutil.copytree(saved_twice, tmp_path / "checkpoints")
    for cut_off in (".step-6.partial", "step-8_temp"):  # ours, and that of TensorFlow in older runs
        (directory / cut_off).mkdir()
        (directory / cut_off / "step-6.index").write_bytes(b"")
    shutil.copy(directory / "step-4.data-00000-of-00001", directory / "step-6.data-00000-of-00001")
    (directory / "step-6.index").write_bytes(b"")
    before = {path.name: path.read_bytes() for path in saved_twice.iterdir()}
    opened = CheckpointFiles(
        tf.train.Checkpoint(value=tf.Variable(tf.zeros([1000]))), directory, keep=2
    )
    assert opened.told == [] and opened.latest == str(directory / "step-4")
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    first = tmp_path / "first"
    first.mkdir()
    (first / "step-2.index").write_bytes(b"")
    opened = CheckpointFiles(tf.train.Checkpoint(value=tf.Variable(0.0)), first, keep=2)
    assert opened.told == [] and opened.latest is None


def test_a_disk_that_does_not_take_a_checkpoint_costs_none(saved_twice, tmp_path):
    directory = shutil.copytree(saved_twice, tmp_path / "checkpoints")
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    opened = CheckpointFiles(
        tf.train.Checkpoint(value=tf.Variable(tf.zeros([1000]))), directory, keep=2
    )
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(
            RunError, match=r"step-6: cannot be written \(.*\); that of step-4 is intact; free some"
        ):
            opened.save(6)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    opened.save(6)
    assert checkpoint_files.steps(directory) == [4, 6]


def test_where_every_checkpoint_is_damaged_training_does_not_begin_anew_by_itself(
    saved_twice, tmp_path
):
    directory = shutil.copytree(saved_twice, tmp_path / "checkpoints")
    for path in directory.glob("*.data*"):
        truncate(path)
    with pytest.raises(RunError, match=r"step-2: damaged .* there is no other checkpoint"):
        CheckpointFiles(tf.train.Checkpoint(value=tf.Variable(0.0)), directory, keep=2)


@pytest.fixture(scope="module")
def saved_twice(tmp_path_factory) -> Path:
    """Checkpoints of steps 2 and 4 with a variable that holds the step."""
    directory = tmp_path_factory.mktemp("checkpoints")
    value = tf.Variable(tf.zeros([1000]))
    saved = CheckpointFiles(tf.train.Checkpoint(value=value), directory, keep=2)
    for step in (2, 4):
        value.assign(tf.fill([1000], float(step)))
        saved.save(step)
    return directory


def test_a_newest_checkpoint_that_is_gone_is_not_passed_over_in_silence(saved_twice, tmp_path):
    directory = shutil.copytree(saved_twice, tmp_path / "run" / "checkpoints")
    assert find_checkpoint(tmp_path / "run", "latest") == str(directory / "step-4")
    (directory / "step-4.index").unlink()
    with pytest.raises(
        RunError, match=r"step-4: missing; restore it, or choose another --checkpoint: 2"
    ):
        find_checkpoint(tmp_path / "run", "latest")
    assert find_checkpoint(tmp_path / "run", "2") == str(directory / "step-2")
