"""What a command says of the pictures that it took: what was done to them, and what of them was not used.

A note is a string. `LeftOut` marks those that tell what was not used; all others tell a conversion. Both are counted and stand in
`manifest.json` or `translation.json` as {"conversions": {note: pictures}, "left_out": {note: files or pictures}}.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

CONVERSIONS, LEFT_OUT = "conversions", "left_out"
KEYS = (CONVERSIONS, LEFT_OUT)


class LeftOut(str):
    """A note that something was not used."""

    __slots__ = ()


def conversions(notes: Iterable[str]) -> list[str]:
    """Those that tell of a conversion."""
    return [note for note in notes if not isinstance(note, LeftOut)]


def left_out(notes: Iterable[str]) -> list[str]:
    """Those that tell what was not used."""
    return [str(note) for note in notes if isinstance(note, LeftOut)]


def lines(counted: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What to tell people of `{"conversions": ..., "left_out": ...}`, a line each."""
    told = [f"{what}: {count} {'picture' if count == 1 else 'pictures'}" for what, count in counted[CONVERSIONS].items()]
    return told + [f"not used, {what}: {count}" for what, count in counted[LEFT_OUT].items()]


class Journal:
    """The notes on each picture of a folder of results, kept beside them so that a rerun counts also those that it does not read again.

    A picture's line is written before its results are, so a killed run has told of all that is there.

    Args:
        directory: the folder; a file in it appears with the first note.
    """

    NAME = ".notes.jsonl"

    def __init__(self, directory: Path):
        self._path = directory / self.NAME
        self._notes: dict[str, list[list[str]]] = {}
        for line in self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else ():
            try:
                name, *notes = json.loads(line)
                self._notes[name] = [list(map(str, kind)) for kind in notes]
            except (ValueError, TypeError):  # the end of a line that a kill has cut; its picture is read again
                continue

    def add(self, picture: str, notes: Iterable[str]) -> None:
        """Takes down the notes on a picture, in the place of earlier ones. Threads may call it."""
        told = [sorted(conversions(notes)), sorted(left_out(notes))]
        if any(told) or picture in self._notes:
            with open(self._path, "a", encoding="utf-8") as stream:  # one write, which other threads do not cut
                stream.write(f"{json.dumps([picture, *told])}\n")
            self._notes[picture] = told

    def counted(self, left_out: Mapping[str, int]) -> dict[str, dict[str, int]]:
        """The counts over all pictures of the folder, with what was left out beside them."""
        counts = [Counter(note for told in self._notes.values() for note in told[kind]) for kind in range(len(KEYS))]
        return count(counts[0], counts[1] + Counter(left_out))


def count(conversions: Mapping[str, int], left_out: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Both counts in the form in which they are stored."""
    return {CONVERSIONS: dict(sorted(conversions.items())), LEFT_OUT: dict(sorted(left_out.items()))}


def without_counts(record: Any) -> Any:
    """A record without the counts: what decides whether a rerun may go on."""
    return {key: value for key, value in record.items() if key not in KEYS} if isinstance(record, dict) else record
