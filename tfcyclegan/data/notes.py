"""A command's notes on its pictures: conversions, and what was not used.

A note is a string. `LeftOut` marks notes on what was not used; all others describe conversions.
Both are counted and recorded in `manifest.json` or `translation.json` as {"conversions": {note:
pictures}, "left_out": {note: files or pictures}}. Beside them are `largest_value` (in a manifest by
split) if there are 16-bit pictures, since the values of a set may end far below the largest
possible one, and for measurements `counted_values`, the numbers of all, invalid and clipped values.
"""

import contextlib
import fcntl
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tfcyclegan.system import places
from tfcyclegan.system.progress import quantity

CONVERSIONS, LEFT_OUT = "conversions", "left_out"
LARGEST = "largest_value"
TALLY = "counted_values"
KEYS = (CONVERSIONS, LEFT_OUT, LARGEST, TALLY)
_DEEPEST = 65535


class LeftOut(str):
    """A note on something that was not used."""

    __slots__ = ()


def conversions(notes: Iterable[str]) -> list[str]:
    """The notes on conversions."""
    return [note for note in notes if not isinstance(note, LeftOut)]


def left_out(notes: Iterable[str]) -> list[str]:
    """The notes on what was not used."""
    return [str(note) for note in notes if isinstance(note, LeftOut)]


def counted(notes: Iterable[str]) -> dict[str, dict[str, int]]:
    """The counts of notes on any number of pictures."""
    every = list(notes)
    return count(Counter(conversions(every)), Counter(left_out(every)))


def lines(
    counted: Mapping[str, Any], hints: Mapping[str, str] | None = None, *, unit: str = "picture"
) -> list[str]:
    """The lines that report `{"conversions": ..., "left_out": ...}`; `hints` gives, by note, the
    flag that changes the behaviour, `unit` what was counted.
    """

    def line(what: str, told: str) -> str:
        return f"{told}; {hints[what]}" if hints and what in hints else told

    converted = [
        line(what, f"{what}: {quantity(count, unit)}")
        for what, count in counted[CONVERSIONS].items()
    ]
    return converted + [
        line(what, f"not used, {what}: {count}") for what, count in counted[LEFT_OUT].items()
    ]


def dim(largest: int, flag: str = "--max_value") -> str:
    """A line on a set of 16-bit pictures if their largest value is far below what 16 bits hold;
    otherwise nothing.
    """
    if not 0 < 2 * largest < _DEEPEST:
        return ""
    likely = (1 << largest.bit_length()) - 1
    return (
        f"16-bit values end at {largest} of {_DEEPEST}, so pictures become dark; {flag}={likely} "
        f"makes {likely} white"
    )


class Journal:
    """The notes on each picture of a folder of results, stored beside them so that a rerun also
    counts the pictures that it does not read again.

    A picture's line is written before its results, so that even after a killed run every result has
    its notes.

    Args:
        directory: the folder; the journal's file is created with the first note.
    """

    NAME = ".notes.jsonl"

    def __init__(self, directory: Path):
        self._path = directory / self.NAME
        self._notes: dict[str, list[Any]] = {}
        written = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        self._torn = bool(written) and not written.endswith("\n")
        for line in written.splitlines():
            # the run was killed while writing the line; its picture is read again
            with contextlib.suppress(ValueError, TypeError):
                name, converted, not_used, largest, *more = json.loads(line)
                tally = dict(more[0]) if more else {}
                self._notes[name] = [list(converted), list(not_used), int(largest), tally]

    def add(
        self,
        picture: str,
        notes: Iterable[str],
        largest: int = 0,
        tally: Mapping[str, int] | None = None,
    ) -> None:
        """Records the notes on a picture, its largest value and the counts of its values, replacing
        earlier ones. Thread-safe.
        """
        every = list(notes)
        told = [sorted(conversions(every)), sorted(left_out(every)), largest, dict(tally or {})]
        if any(told) or picture in self._notes:
            # a single write, which other threads cannot interleave, nor workers on other machines
            with open(self._path, "a", encoding="utf-8") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                before = "\n" if self._torn else ""
                stream.write(f"{before}{json.dumps([picture, *told])}\n")
                self._torn = False
            places.grown(self._path)
            self._notes[picture] = told

    def counted(self, left_out: Mapping[str, int]) -> dict[str, Any]:
        """The counts over all pictures of the folder, including what else was left out."""
        counts = [
            Counter(note for told in self._notes.values() for note in told[kind])
            for kind in range(2)
        ]
        largest = max((told[2] for told in self._notes.values()), default=0)
        return {
            **count(counts[0], counts[1] + Counter(left_out)),
            **({LARGEST: largest} if largest else {}),
            **({TALLY: dict(self.tally)} if self.tally else {}),
        }

    @property
    def tally(self) -> Counter[str]:
        """The counts of values over all measurements of the folder."""
        total: Counter[str] = Counter()
        for told in self._notes.values():
            total.update(told[3])
        return total


def count(conversions: Mapping[str, int], left_out: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Both counts in the form in which they are stored."""
    return {
        CONVERSIONS: dict(sorted(conversions.items())),
        LEFT_OUT: dict(sorted(left_out.items())),
    }


def without_counts(record: Any) -> Any:
    """A record without the counts, which determines whether a rerun may continue."""
    return (
        {key: value for key, value in record.items() if key not in KEYS}
        if isinstance(record, dict)
        else record
    )


def completed(record: Any, identity: Mapping[str, Any]) -> Any:
    """A record without the counts, with what older versions left out taken from `identity`: of an
    exported model the direction (0.1.0) and the weights of a SavedModel, and the pictures of a data
    set (0.2.0).
    """
    told = without_counts(record)
    if not isinstance(told, dict):
        return told
    later = {"data", "split"} | ({"direction", "weights"} if "model" in told else set())
    return {**{key: identity[key] for key in later & identity.keys()}, **told}
