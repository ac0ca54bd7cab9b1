"""Checkpoints as files: which ones exist and whether they are intact. `checkpoints` decides what
they hold.

A list (TensorFlow's file "checkpoint") names the finished ones. If it is lost or damaged, the files
themselves are used, so that no checkpoint is lost with it.
"""

import re
import shutil
from pathlib import Path

import tensorflow as tf

from tfcyclegan.errors import RunError, UserError
from tfcyclegan.system import files, places

DIRECTORY = "checkpoints"
BEST = "best"
PREFIX = "step"
NOT_RESTORED = (AssertionError, IndexError, tf.errors.OpError, ValueError)
"""The errors that TensorFlow raises for a checkpoint that is damaged or of another model;
IndexError for a truncated file.
"""
_DAMAGED = "damaged-"


def steps(directory: Path) -> list[int]:
    """The steps of the checkpoints in `directory` that have an index, which is written last."""
    found = (path.stem.rpartition("-")[2] for path in directory.glob(f"{PREFIX}-*.index"))
    return sorted(int(step) for step in found if step.isdigit())


def path_of(directory: Path, step: int) -> str:
    """The path of a step's checkpoint in TensorFlow's form: without an ending."""
    return str(directory / f"{PREFIX}-{step}")


def step_of(path: str) -> int:
    """The step of a checkpoint by its path; the inverse of `path_of`."""
    return int(path.rpartition("-")[2])


def newest(directory: Path) -> str | None:
    """The newest checkpoint's path, or None."""
    there = _paths(directory)
    return there[-1] if there else None


def lost(directory: Path) -> str | None:
    """The path of the newest checkpoint that the list names, if its files are missing."""
    listed = _listed(directory)
    return listed[-1] if listed and not Path(f"{listed[-1]}.index").exists() else None


def require_none_gone(run_dir: Path, *, trained: bool = False) -> None:
    """Raises UserError if a run without a checkpoint must not start over, since it had some.

    Args:
        run_dir: the run directory.
        trained: whether its history shows that it had.
    """
    directory = run_dir / DIRECTORY
    had = lost(directory) or newest(directory / BEST) or any(directory.glob(f"{_DAMAGED}*"))
    if trained or had:
        raise UserError(
            f"--run_dir={run_dir}: its checkpoints are gone or damaged; restore {directory}, or "
            f"remove {run_dir} to start over"
        )


def _paths(directory: Path) -> list[str]:
    listed = [path for path in _listed(directory) if Path(f"{path}.index").exists()]
    return listed or [path_of(directory, step) for step in steps(directory)]


class CheckpointFiles:
    """The latest checkpoints of an object, in a directory that a single process writes to. Opening
    it sets damaged checkpoints aside if they are newer than the newest intact one.

    TensorFlow's own manager writes an index under its final name, does not flush what it wrote,
    leaves partial files behind when it is killed, and loses track of its files when the clock is
    set back.

    Args:
        checkpoint: what is saved.
        directory: where they are saved.
        keep: how many of the latest ones are kept.
        needed: whether all being damaged is an error; otherwise it is told.

    Attributes:
        latest: the path of the newest one, which is intact; None before the first.
        told: messages about damaged or missing checkpoints.

    Raises:
        RunError: they are needed, but all are damaged.
    """

    def __init__(
        self, checkpoint: tf.train.Checkpoint, directory: Path, *, keep: int, needed: bool = True
    ):
        self._checkpoint, self._directory, self._keep = checkpoint, directory, keep
        self.told = _set_damaged_aside(directory, needed=needed)
        self._paths = _paths(directory)
        self._tidy()

    @property
    def latest(self) -> str | None:
        return self._paths[-1] if self._paths else None

    def save(self, step: int, state: tf.train.Checkpoint | None = None) -> None:
        """Saves the checkpoint of a step atomically and removes those that are no longer among the
        latest.

        Args:
            step: the step.
            state: what is saved instead of the checkpoint itself: a copy of it.

        Raises:
            RunError: it cannot be written.
        """
        name = f"{PREFIX}-{step}"
        temporary = files.temporary_name(self._directory / name)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        saved = state or self._checkpoint
        saved.save_counter.assign(step)
        try:
            saved.write(str(temporary / name))
            # A checkpoint is identified by its index, so that is removed first and written last.
            # One of the same step exists if a run continues from an earlier one.
            written = sorted(temporary.iterdir(), key=lambda file: file.suffix == ".index")
            for file in written:
                files.flush(file)
            files.remove(self._directory / f"{name}.index")
            for file in written:
                files.into_place(file, self._directory / file.name)
            files.flush(self._directory)
        except tf.errors.OpError as error:
            before = (
                f"that of {Path(self.latest).name} is intact"
                if self.latest
                else "there is none yet"
            )
            # without the position in a graph
            reason = re.sub(r"{{.*?}} ", "", error.message.splitlines()[0])
            raise RunError(
                f"{self._directory / name}: cannot be written ({reason}); {before}; "
                f"{files.MAKE_ROOM}"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        path = path_of(self._directory, step)
        self._paths = [*(other for other in self._paths if other != path), path][-self._keep :]
        self._tidy()
        places.settle()

    def _tidy(self) -> None:
        """Updates TensorFlow's list, then removes checkpoints that it does not name and partial
        files.
        """
        if not self._paths:
            return
        if _listed(self._directory) != self._paths:
            _write_list(self._directory, [Path(path).name for path in self._paths])
        known = {Path(path).name for path in self._paths}
        # An index is removed before its data.
        for file in sorted(
            self._directory.glob(f"{PREFIX}-*"), key=lambda file: file.suffix != ".index"
        ):
            if file.is_file() and file.name.partition(".")[0] not in known:
                files.remove(file)
        for cut_off in (
            *self._directory.glob(f"{PREFIX}-*_temp"),
            *self._directory.glob(f".{PREFIX}-*{files.TEMPORARY_SUFFIX}"),
        ):
            shutil.rmtree(cut_off, ignore_errors=True)


def _set_damaged_aside(directory: Path, *, needed: bool) -> list[str]:
    """Renames damaged checkpoints that are newer than the newest intact one; returns lines for the
    user.
    """
    told = []
    if (gone := lost(directory)) and (before := newest(directory)):
        told.append(f"{gone}: missing; continuing from {Path(before).name}")
    while (path := newest(directory)) is not None and (damage := _damage(path)):
        finished = path in _listed(directory) or len(steps(directory)) > 1
        for file in directory.glob(f"{Path(path).name}.*"):
            files.into_place(file, file.with_name(_DAMAGED + file.name))
            places.removed(file)
        before = newest(directory)
        if before is None and not finished:
            break  # killed while writing its first checkpoint, so there was nothing to lose
        if before is None and needed:
            raise RunError(
                f"{path}: damaged ({damage}), and there is no other checkpoint; restore it, or "
                f"remove {directory.parent} to start over"
            )
        way_on = f"continuing from {Path(before).name}" if before else "continuing without it"
        told.append(
            f"{path}: damaged ({damage}); {way_on}; the damaged files are kept as "
            f"{_DAMAGED}{Path(path).name}.*"
        )
    return told


def _listed(directory: Path) -> list[str]:
    """The checkpoints that TensorFlow's list names."""
    try:
        state = tf.train.get_checkpoint_state(str(directory))
    except ValueError:  # flipped bits, or empty; it logs other damage and returns None
        return []
    return list(state.all_model_checkpoint_paths) if state else []


def _write_list(directory: Path, names: list[str]) -> None:
    """Writes TensorFlow's list, a CheckpointState, for `tf.train.latest_checkpoint` and the
    like.
    """
    lines = [
        f'model_checkpoint_path: "{names[-1]}"',
        *(f'all_model_checkpoint_paths: "{name}"' for name in names),
    ]
    files.write_text(directory / "checkpoint", "\n".join(lines) + "\n")


def _damage(path: str) -> str:
    """What is wrong with a checkpoint, or "". Reads every tensor, whose checksum TensorFlow
    verifies.
    """
    try:
        reader = tf.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    # TensorFlow raises an IndexError for a short file, a UnicodeDecodeError for a flipped bit, and
    # others
    except Exception as error:
        return (str(error) or type(error).__name__).splitlines()[0]
    return ""
