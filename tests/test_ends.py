"""How a command ends when the machine refuses or a signal comes: its exit code and one line."""

import errno
import os
import signal
import time
from dataclasses import dataclass

import pytest
import tensorflow as tf

from tfcyclegan.cli import run_command
from tfcyclegan.config import Options
from tfcyclegan.errors import RunError


@dataclass(frozen=True, kw_only=True)
class Nothing(Options):
    pass


def end(run) -> int:
    return run_command("tfcyclegan job", "", "", Nothing, run, [])


ERRORS = {
    "Python's memory": (MemoryError(), "out of memory (Python); use a smaller --batch_size"),
    "TensorFlow's memory": (
        tf.errors.ResourceExhaustedError(
            None, None, "OOM when allocating tensor with shape[9,9] on GPU:0\nHint: ..."
        ),
        "out of memory (OOM when allocating tensor with shape[9,9] on GPU:0); use a smaller",
    ),
    "TensorFlow's disk": (
        tf.errors.ResourceExhaustedError(
            None, None, "run/tensorboard/events.v2; No space left on device"
        ),
        "run/tensorboard/events.v2; No space left on device; free some space or choose another "
        "directory",
    ),
    "a full disk": (
        OSError(errno.ENOSPC, "No space left on device", "run/report.html"),
        "run/report.html: No space left on device; free some",
    ),
    "a read-only disk": (
        OSError(errno.EROFS, "Read-only file system", "run/.lock"),
        "run/.lock: Read-only file system; free some",
    ),
}


@pytest.mark.parametrize(("error", "line"), ERRORS.values(), ids=ERRORS)
def test_what_the_machine_refuses(capsys, error, line):
    def run(_: Nothing) -> None:
        raise error

    assert end(run) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"tfcyclegan job: {line}") and printed.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        tf.errors.InternalError(None, None, "a bug"),
        ValueError("a bug"),
    ],
)
def test_other_errors_keep_their_traceback(error):
    def run(_: Nothing) -> None:
        raise error

    with pytest.raises(type(error)):
        end(run)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_clear_away_what_is_unfinished(capsys, number, code):
    cleared = []

    def run(_: Nothing) -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            cleared.append(True)

    # a shell has its background jobs ignore SIGINT, and these tests with them
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(signal.SIGTERM)
    assert end(run) == code and cleared == [True]
    assert capsys.readouterr().err.endswith("the same command continues from what is finished\n")
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_are_not_taken_for_faults_of_what_is_done(capsys, number, code):
    def run(_: Nothing) -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        except Exception:
            raise RunError("a stored picture is damaged") from None

    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert end(run) == code
    assert "the same command continues" in capsys.readouterr().err
