"""Rows of many pictures on disk, since they may weigh more than memory holds beside the pass."""

import functools
import os
import pickle
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from tfcyclegan.system import files


class KeptRows:
    """Lists of rows by request, in an unnamed temporary file. Threads may share it, processes not:
    sent to another one, it arrives empty.

    Args:
        folder: folder on whose disk the file is placed, which need not exist yet; None for the
            system's temporary files, which may be in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._places: dict[Any, list[int]] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        return KeptRows, (self._folder,)

    @functools.cached_property
    def _file(self) -> IO[bytes]:
        there = self._folder and files.nearest_folder(self._folder)
        return tempfile.TemporaryFile(dir=there)  # open as long as it is used

    def __contains__(self, request: object) -> bool:
        return request in self._places

    def add(self, rows: Mapping[Any, list[Any]]) -> None:
        """Appends rows to those of their requests."""
        with self._lock:
            for request, some in rows.items():
                place = self._file.seek(0, os.SEEK_END)
                pickle.dump(some, self._file)
                self._places.setdefault(request, []).append(place)

    def of(self, request: Any) -> list[Any]:
        """All rows of a request, in the order in which they were added."""
        found: list[Any] = []
        with self._lock:
            for place in self._places[request]:
                self._file.seek(place)
                found += pickle.load(self._file)
        return found
