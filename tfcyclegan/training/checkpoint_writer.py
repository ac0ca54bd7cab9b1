"""Writes checkpoints beside the training: the state is copied between two steps, and a thread
writes the copy while the next ones are computed.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import tensorflow as tf

_HOST = "/CPU:0"


def copied(state: Any) -> Any:
    """The values of variables now, in the host's memory: of one, of lists, of mappings, and of the
    attributes of a `tf.Module`.

    Where variables are in the host's memory already, TensorFlow copies one when it is next changed.
    """
    if isinstance(state, tf.Variable):
        with tf.device(_HOST):
            return tf.identity(state)
    if isinstance(state, tf.Module):
        state = {name: part for name, part in vars(state).items() if isinstance(part, tf.Variable)}
    if isinstance(state, Mapping):
        return {name: copied(part) for name, part in state.items()}
    return [copied(part) for part in state]


def as_checkpoint(values: Mapping[str, Any]) -> tf.train.Checkpoint:
    """What `copied` returned for a mapping, as what TensorFlow saves: under the names that the
    variables themselves would have.
    """
    with tf.device(_HOST):
        return tf.train.Checkpoint(**{name: _trackable(part) for name, part in values.items()})


def _trackable(values: Any) -> Any:
    if isinstance(values, Mapping):
        return _Holder(values)
    if isinstance(values, list):
        return [_trackable(part) for part in values]
    return tf.Variable(values, trainable=False)


class _Holder(tf.Module):
    def __init__(self, values: Mapping[str, Any]):
        super().__init__()
        for name, part in values.items():
            setattr(self, name, _trackable(part))


class CheckpointWriter:
    """A thread that writes the copies of one step at a time."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._pending: list[tuple[int, Any, Future[None]]] = []

    def submit(
        self, step: int, copy: Callable[[], Any], write: Callable[[tf.train.Checkpoint], None]
    ) -> None:
        """Has a step's state written; first waits for those of other steps.

        Args:
            step: the step.
            copy: copies the state; not called if a copy of this step is still there.
            write: writes the copy.

        Raises:
            What the writing of an earlier one raised.
        """
        self.check()
        if any(other != step for other, _, _ in self._pending):
            self.wait()
        values = self._pending[0][1] if self._pending else copy()
        done = self._thread.submit(lambda: write(as_checkpoint(values)))
        self._pending.append((step, values, done))

    def check(self) -> None:
        """Raises what the writing of one raised that has ended; does not wait."""
        while self._pending and self._pending[0][2].done():
            self._pending.pop(0)[2].result()

    def wait(self) -> None:
        """Waits until everything is written; raises what the writing raised."""
        while self._pending:
            self._pending.pop(0)[2].result()
