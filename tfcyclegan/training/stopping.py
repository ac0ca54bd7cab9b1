"""Lets a signal end a loop between two steps, so that a checkpoint can be saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tfcyclegan.system.progress import log


class StopRequest:
    """The signal that has arrived; 0 for none."""

    signal_number = 0


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Records SIGINT and SIGTERM instead of exiting, so that the loop can end between two steps; a
    second signal kills the process.
    """
    request = StopRequest()

    def note(number: int, _: Any) -> None:
        request.signal_number = number
        signal.signal(number, signal.SIG_DFL)
        log("stopping after this step; saving a checkpoint")

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
