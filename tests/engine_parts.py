"""What the workers of an engine do in tests, in a module that they can import; and an engine that
is this process.
"""

import os
import pickle
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.translation.translators import Translator

NEGATIVE = {"direction": "ab", "weights": "negative"}


class Twice:
    """Gives every item to two workers, the last one first."""

    name = "an engine"

    def run(self, work: Callable[[int], None], numbers: Sequence[int]) -> None:
        for number in [*numbers][::-1] * 2:
            pickle.loads(pickle.dumps(work))(number)


class Idle:
    """Says that it is done and has done nothing."""

    name = "an engine"

    def run(self, work: Callable[[int], None], numbers: Sequence[int]) -> None:
        pass


def squares(log: Path) -> Callable[[int], int]:
    """Notes in `log` that it was made, and each item; refuses negative ones."""

    def square(number: int) -> int:
        write(log, f"item {number}")
        if number < 0:
            raise UserError(f"--number={number}: negative")
        return number**2

    write(log, f"made {os.getpid()}")
    return square


def slow_negatives(
    log: Path, seconds: float, identity: dict[str, str] = NEGATIVE
) -> list[Translator]:
    """A translator that takes its time; notes in `log` that it was opened."""

    def negative(batch: np.ndarray) -> np.ndarray:
        time.sleep(seconds)
        return -batch

    write(log, f"opened {os.getpid()}")
    return [Translator(identity, 3, 4, negative)]


def write(log: Path, line: str) -> None:
    with open(log, "a") as stream:
        stream.write(f"{line}\n")
