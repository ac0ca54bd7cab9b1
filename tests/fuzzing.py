"""Inputs for test_fuzz.py: bytes and JSON that are nearly right, and the loop that tries them until
its time is up.
"""

import contextlib
import copy
import math
import os
import signal
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

SECONDS = float(os.environ.get("TFCYCLEGAN_FUZZ_SECONDS", 3))
"""How much processor time each target is tried for, so that a busy machine tries as much. The
inputs are the same ones each time, in the same order: a longer run begins with a shorter one's.
"""

HANG_SECONDS = 10
MEMORY_BYTES = 512 * 2**20
"""Beyond what the process had before, that no input may make a target take."""

_EXAMPLES = 50
_TICK_SECONDS = 0.25


class Hang(BaseException):
    """An input took more than HANG_SECONDS."""


class Clock:
    """Seconds that this process lived, so that one that was stopped, or a machine that stood still,
    tells of no hang.

    Also raises Hang in what takes longer than it may; what does not come back to Python cannot be
    ended so.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.latest = math.inf

    def _tick(self, *_: Any) -> None:
        self.seconds += _TICK_SECONDS  # ticks that came while the process was stopped are one
        if self.seconds > self.latest:
            self.latest = math.inf
            raise Hang(f"no end within {HANG_SECONDS} s")

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        before = signal.signal(signal.SIGALRM, self._tick)
        signal.setitimer(signal.ITIMER_REAL, _TICK_SECONDS, _TICK_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    @contextlib.contextmanager
    def bounded(self) -> Iterator[None]:
        self.latest = self.seconds + HANG_SECONDS
        try:
            yield
        finally:
            self.latest = math.inf


def fuzz(
    strategy: st.SearchStrategy[Any], check: Callable[[Any], None], *, fewest: int = 21
) -> None:
    """Calls `check` with inputs until the time is up and there were at least `fewest`: in a fresh
    environment the first ones compile the libraries that they import. Raises what `check` raised
    for the smallest such input.
    """
    clock, tried, failed = Clock(), 0, False
    end = math.inf  # counted from the first input: making the strategy takes seconds

    def one(value: Any) -> None:
        nonlocal tried, failed, end
        end = min(end, time.process_time() + SECONDS)
        # a failure is made smaller after the time, too
        if time.process_time() < end or tried < fewest or failed:
            tried += 1
            try:
                with clock.bounded():
                    check(value)
            except Hang as hang:
                failed = True
                raise AssertionError(f"{hang}: {value!r:.4000}") from hang
            except BaseException:
                failed = True
                raise

    phases = (Phase.generate, Phase.shrink)
    with bounded_memory(), clock.running():
        number = 0
        while time.process_time() < end or tried < fewest:
            run = settings(
                max_examples=_EXAMPLES,
                database=None,
                deadline=None,
                phases=phases,
                suppress_health_check=list(HealthCheck),
            )
            seed(number)(run(given(strategy)(one)))()
            number += 1
    print(f"{check.__qualname__.removesuffix('.<locals>.check')}: {tried} inputs in {SECONDS:g} s")


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Fails when the process's peak in the block is more than MEMORY_BYTES above where it began."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    began = _status("VmRSS")
    yield
    grown = _status("VmHWM") - began
    assert grown < MEMORY_BYTES, f"{grown / 2**20:.0f} MiB more than before"


def _status(name: str) -> int:
    (line,) = [
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith(f"{name}:")
    ]
    return int(line.split()[1]) * 1024


_NUMBERS = (0, 1, 2, 3, 7, 8, 16, 255, 256, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


@st.composite
def damaged(draw: Any, seeds: Sequence[bytes]) -> bytes:
    """One of `seeds` with some bytes changed, left out, put in, or taken from another."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        # the beginning holds what the rest is read by
        place = draw(st.one_of(st.integers(0, min(len(content), 64)), st.integers(0, len(content))))
        kind = draw(
            st.sampled_from(
                ("byte", "number", "cut", "leave out", "put in", "repeat", "of another")
            )
        )
        length = draw(st.integers(1, 40))
        if kind == "byte":
            content[place : place + 1] = bytes([draw(st.integers(0, 255))])
        elif kind == "number":
            form = draw(st.sampled_from(("<I", ">I", "<H", ">H", "<Q", ">Q")))
            size = struct.calcsize(form)
            content[place : place + size] = struct.pack(
                form, draw(st.sampled_from(_NUMBERS)) % 2 ** (8 * size)
            )
        elif kind == "cut":
            del content[place:]
        elif kind == "leave out":
            del content[place : place + length]
        elif kind == "put in":
            content[place:place] = draw(st.binary(min_size=1, max_size=40))
        elif kind == "repeat":
            content[place:place] = content[place : place + length] * draw(st.integers(1, 50))
        else:
            other = draw(st.sampled_from(seeds))
            content[place : place + length] = other[place : place + length]
    return bytes(content)


def with_right_sums(png: bytes) -> bytes:
    """A PNG with the sums of its chunks made right, so that what stands in them is looked at."""
    made, place = bytearray(png[:8]), 8
    while place + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, place)
        body = png[place + 4 : place + 8 + length]
        made += png[place : place + 4] + body + struct.pack(">I", zlib.crc32(body))
        place += 12 + length
    return bytes(made)


words = st.text(st.characters(exclude_categories=()), max_size=12)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from(_NUMBERS),
    st.floats(),
    words,
    st.sampled_from(("..", "/", "\0", "")),
)
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=6,
)


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        yield from _places(inner, (*above, key))


@st.composite
def changed_json(draw: Any, seeds: Sequence[Any]) -> Any:
    """One of `seeds` with a few of its values replaced, left out or moved."""
    value = copy.deepcopy(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 3))):
        *above, last = (
            draw(st.sampled_from([place for place in _places(value) if place]))
            if value and isinstance(value, dict | list)
            else (None,)
        )
        if last is None:
            return draw(json_values)
        inner = value
        for key in above:
            inner = inner[key]
        kind = draw(st.sampled_from(("replace", "leave out", "of elsewhere", "put in")))
        if kind == "leave out":
            del inner[last]
        elif kind == "of elsewhere":
            other = value
            for key in draw(st.sampled_from(list(_places(value)))):
                other = other[key]
            inner[last] = copy.deepcopy(other)
        elif kind == "put in" and isinstance(inner, dict):
            inner[draw(words)] = draw(json_values)
        else:
            inner[last] = draw(json_values)
    return value


def one_line(error: Exception) -> None:
    assert str(error).strip() and len(str(error)) < 5000, repr(error)
