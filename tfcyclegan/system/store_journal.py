"""Which version of each object of a store its copy on this disk has."""

import json
import threading
from dataclasses import dataclass
from pathlib import Path

from tfcyclegan.system import files


@dataclass(frozen=True)
class Copied:
    """An object whose content the copy has, or had when it was sent.

    Attributes:
        version: changes with the object's content.
        size, changed: of the file then, in bytes and in nanoseconds.
    """

    version: str
    size: int
    changed: int


class Journal:
    """A file that gets a line with each change; several threads and processes may write.

    Args:
        path: the file, which need not exist.

    Attributes:
        known: objects by name, those last noted last; None where only the sending was begun.
    """

    def __init__(self, path: Path):
        self._path, self._lock = path, threading.Lock()
        self.known: dict[str, Copied | None] = {}
        self.read()

    def read(self) -> None:
        """Reads it again, since another command on this machine may have written."""
        with self._lock:
            known: dict[str, Copied | None] = {}
            text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
            for line in text.splitlines():
                try:
                    name, what, *copied = json.loads(line)
                except ValueError:  # cut off by a crash
                    continue
                known.pop(name, None)
                if what != "gone":
                    known[name] = Copied(*copied) if copied else None
            self.known = known

    def shorten(self) -> None:
        """Leaves only the last line of each object. For the only writer."""
        files.write_text(self._path, "".join(_line(*each) for each in self.known.items()))

    def note(self, name: str, copied: Copied | None = None, *, gone: bool = False) -> None:
        """Notes that an object is sent or brought; without `copied`, that its sending begins."""
        with self._lock:
            self.known.pop(name, None)
            if not gone:
                self.known[name] = copied
            with open(self._path, "a", encoding="utf-8") as stream:
                stream.write(_line(name, copied, gone=gone))


def _line(name: str, copied: Copied | None, *, gone: bool = False) -> str:
    if gone:
        return json.dumps([name, "gone"]) + "\n"
    if copied is None:
        return json.dumps([name, "begun"]) + "\n"
    return json.dumps([name, "copied", copied.version, copied.size, copied.changed]) + "\n"
