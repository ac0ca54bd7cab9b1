"""Checkpoints as files: which there are and whether they are whole. What they hold is `checkpoints`'s.

TensorFlow names those it has finished in a list (the file "checkpoint"); an index that a kill cut off in its writing is not there.
Where the list is lost or damaged the files themselves count, so that nothing is lost with it.
"""

import os
from pathlib import Path

import tensorflow as tf

from tfcyclegan import files
from tfcyclegan.errors import RunError

DIRECTORY = "checkpoints"
BEST = "best"
PREFIX = "step"
_DAMAGED = "damaged-"


def steps(directory: Path) -> list[int]:
    """Of the checkpoints in `directory`: those that have an index, which TensorFlow writes last."""
    found = (path.stem.rpartition("-")[2] for path in directory.glob(f"{PREFIX}-*.index"))
    return sorted(int(step) for step in found if step.isdigit())


def path_of(directory: Path, step: int) -> str:
    """The checkpoint of a step as TensorFlow wants it."""
    return str(directory / f"{PREFIX}-{step}")


def step_of(path: str) -> int:
    return int(path.rpartition("-")[2])


def newest(directory: Path) -> str | None:
    """The newest checkpoint's path, or None."""
    there = _paths(directory)
    return there[-1] if there else None


def _paths(directory: Path) -> list[str]:
    listed = [path for path in _listed(directory) if Path(f"{path}.index").exists()]
    return listed or [path_of(directory, step) for step in steps(directory)]


def manager(checkpoint: tf.train.Checkpoint, directory: Path, *, keep: int) -> tuple[tf.train.CheckpointManager, list[str]]:
    """A manager of the checkpoints in `directory` whose newest one is whole; damaged newer ones are set aside.

    Returns:
        The manager, and lines to tell the user of what was set aside.

    Raises:
        RunError: there are checkpoints, and all are damaged.
    """
    told = []
    while (path := newest(directory)) is not None and (damage := _damage(path)):
        finished = path in _listed(directory) or len(steps(directory)) > 1
        for file in directory.glob(f"{Path(path).name}.*"):
            os.replace(file, file.with_name(_DAMAGED + file.name))
        before = newest(directory)
        if before is None and not finished:
            break  # killed while it wrote its first one: nothing is lost but what any kill costs
        if before is None:
            raise RunError(f"{path}: damaged ({damage}), and no other checkpoint is there; remove {directory} to begin anew")
        told.append(f"{path}: damaged ({damage}); going on from {Path(before).name}; its files are kept as {_DAMAGED}{Path(path).name}.*")
    paths = _paths(directory)
    if paths and _listed(directory) != paths:
        _write_list(directory, [Path(path).name for path in paths])
    return tf.train.CheckpointManager(checkpoint, str(directory), max_to_keep=keep, checkpoint_name=PREFIX), told


def _listed(directory: Path) -> list[str]:
    """What TensorFlow's list names."""
    try:
        state = tf.train.get_checkpoint_state(str(directory))
    except UnicodeDecodeError:  # flipped bits; it logs other damage and returns None
        return []
    return list(state.all_model_checkpoint_paths) if state else []


def _write_list(directory: Path, names: list[str]) -> None:
    """Writes TensorFlow's list, a CheckpointState; with times, without which its manager takes no notice of the files."""
    times = [(directory / f"{name}.index").stat().st_mtime for name in names]
    lines = [f'model_checkpoint_path: "{names[-1]}"', *(f'all_model_checkpoint_paths: "{name}"' for name in names)]
    lines += [*(f"all_model_checkpoint_timestamps: {time}" for time in times), f"last_preserved_timestamp: {min(times) - 1}"]
    files.write_text(directory / "checkpoint", "\n".join(lines) + "\n")


def _damage(path: str) -> str:
    """What is wrong with a checkpoint, or nothing: every tensor is read, and TensorFlow compares its checksum."""
    try:
        reader = tf.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except Exception as error:  # TensorFlow raises an IndexError for a short file, a UnicodeDecodeError for a flipped bit, and others
        return (str(error) or type(error).__name__).splitlines()[0]
    return ""
