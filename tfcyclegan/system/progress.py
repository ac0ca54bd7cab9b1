"""One progress line for every job: a live bar on a terminal, an occasional plain line in a log."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from tfcyclegan.system import places

if TYPE_CHECKING:
    from rich.table import Table

# tqdm is imported where it is used: importing it takes a fifth of the time of a command's --help.

Item = TypeVar("Item")

LOG_EVERY_SECONDS = 15.0


class Progress:
    """Counts up to `total` with throughput and time left.

    Args:
        total: total number of items.
        unit: what is counted, such as "image" or "step".
        label: name of the job.
        done: number of items that were done before this process started; they do not count towards
            the throughput.
    """

    def __init__(self, total: int, *, unit: str, label: str, done: int = 0):
        from tqdm import tqdm

        self._live = sys.stderr.isatty()
        self._unit, self._label, self._total = unit, label, total
        self._done, self._initial = done, done
        self._note = ""
        self._started = self._logged = time.monotonic()
        self._bar = (
            tqdm(total=total, initial=done, unit=f" {unit}", desc=label, dynamic_ncols=True)
            if self._live
            else None
        )

    def advance(self, count: int = 1, note: str = "") -> None:
        """Adds `count`; `note` is shown at the end of the line until the next call."""
        self._done += count
        self._note = note or self._note
        if self._bar is not None:
            self._bar.set_postfix_str(self._note, refresh=False)
            self._bar.update(count)
        elif time.monotonic() - self._logged >= LOG_EVERY_SECONDS:
            self._log()

    def _log(self) -> None:
        from tqdm import tqdm

        self._logged = time.monotonic()
        line = tqdm.format_meter(
            self._done,
            self._total,
            self._logged - self._started,
            prefix=self._label,
            unit=f" {self._unit}",
            initial=self._initial,
            postfix=self._note,
            ncols=0,
        )
        print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._done > self._initial:
            self._log()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def track(items: Iterable[Item], *, total: int, unit: str, label: str) -> Iterator[Item]:
    """Yields `items` while showing progress."""
    with Progress(total, unit=unit, label=label) as progress:
        for item in items:
            yield item
            progress.advance()


def log_table(table: "Table") -> None:
    """Prints a table as wide as the terminal, or wider in a log, where lines may be long. Brackets
    are not interpreted as markup.
    """
    from rich.console import Console  # importing it takes longer than a command's --help

    Console(
        width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160, markup=False
    ).print(table)


def quantity(count: int, unit: str) -> str:
    """A number of things in words: "1 picture", "2 pictures"."""
    return f"{count} {unit}{'' if count == 1 else 's'}"


def log(message: str) -> None:
    """Prints one line for the person at the terminal, without tearing a live progress bar."""
    from tqdm import tqdm

    tqdm.write(places.named(message), file=sys.stdout)
    sys.stdout.flush()
