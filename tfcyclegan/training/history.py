"""history.jsonl: one JSON object per line, with `step`, `epoch` and the values that were logged."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfcyclegan.system import files, places
from tfcyclegan.system.progress import log, quantity

HISTORY = "history.jsonl"
EARLIER_HISTORY = "earlier_history.jsonl"


class History:
    """Appends lines. When a run is resumed, lines from after the checkpoint are dropped, since
    their steps are repeated.
    """

    def __init__(self, path: Path, *, resumed_step: int):
        self.path = path
        found = _lines(path)
        if damaged := found[:-1].count(None):  # a crash cuts off the last one
            kept = path.with_name(f"{path.name}.damaged")
            files.write_bytes(kept, path.read_bytes())
            log(f"{path}: leaves out {quantity(damaged, 'damaged line')}; as it was: {kept}")
        self.lines = [line for line in found if line and line["step"] <= resumed_step]
        files.write_text(path, "".join(json.dumps(line) + "\n" for line in self.lines))
        self._stream = open(path, "a", encoding="utf-8")  # noqa: SIM115 - open for the whole run

    def append(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()

    def sync(self) -> None:
        """Flushes every line to disk. Called before a checkpoint, so that no checkpoint is ahead of
        its history.
        """
        os.fsync(self._stream.fileno())
        places.finished(self.path)

    def close(self) -> None:
        self._stream.close()


def read_history(path: Path) -> list[dict[str, Any]]:
    """The lines of a history; damaged ones, such as a last one cut off by a crash, are left out.
    Empty if there is no file.
    """
    return [line for line in _lines(path) if line is not None]


def _lines(path: Path) -> list[dict[str, Any] | None]:
    """Every line, None where it is damaged."""
    if not path.exists():
        return []
    texts = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [_line(text) for text in texts]


def _line(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and "step" in line else None


def keep_earlier_history(directory: Path, earlier: Path, step: int) -> None:
    """Copies into a run's directory the history of the run `earlier`, up to the `step` whose
    weights it starts from, and of the run that `earlier` itself started from.
    """
    before = read_history(earlier / EARLIER_HISTORY)
    steps, epochs = (before[-1]["step"], before[-1]["epoch"]) if before else (0, 0.0)
    own = [line for line in read_history(earlier / HISTORY) if line["step"] <= step]
    lines = before + [
        {**line, "step": line["step"] + steps, "epoch": line["epoch"] + epochs} for line in own
    ]
    files.write_text(
        directory / EARLIER_HISTORY, "".join(json.dumps(line) + "\n" for line in lines)
    )


class Window(tf.Module):
    """Sums of the values since the last line, kept in the checkpoint so that a resumed run writes
    the same means.

    Args:
        size: number of values per step.
    """

    def __init__(self, size: int):
        super().__init__()
        self.sums = tf.Variable(tf.zeros([size], tf.float64), trainable=False)
        self.count = tf.Variable(tf.zeros([], tf.int64), trainable=False)
        self._sums, self._count = np.zeros(size), 0

    def add(self, values: np.ndarray) -> None:
        self._sums = self._sums + values
        self._count += 1

    def mean_and_reset(self) -> np.ndarray:
        mean = self._sums / max(1, self._count)
        self._sums, self._count = np.zeros_like(self._sums), 0
        return mean

    def store(self) -> None:
        """Copies the sums into the variables that a checkpoint saves."""
        self.sums.assign(self._sums)
        self.count.assign(self._count)

    def load(self) -> None:
        """Restores the sums from the variables that a checkpoint restored."""
        self._sums, self._count = self.sums.numpy(), int(self.count.numpy())
