"""Pictures in a folder tree: which files are taken, and how they are read. Imports no TensorFlow."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

ENDINGS = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "tif", "tiff", "bmp", "dib", "gif", "tga"),
        *("ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "jpx", "avif", "avifs"),
    )
)
SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db"})


def walk(directory: Path) -> Iterator[os.DirEntry[str]]:
    """All files below `directory` that are not hidden, links followed, in no order."""
    pending, visited = [directory], set()
    while pending:
        place = pending.pop()
        if place.resolve() in visited:  # links in a circle
            continue
        visited.add(place.resolve())
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.lower() in SYSTEM_FILES:
                    continue
                if _is_directory(entry):
                    pending.append(Path(entry.path))
                else:
                    yield entry


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: reading it will say so
        return False


def is_picture(name: str) -> bool:
    """Whether a file's ending says that it is a picture."""
    return Path(name).suffix.lower() in ENDINGS


def read(path: Path) -> bytes:
    """The bytes of a regular file; OSError for anything else, since a pipe would keep us waiting for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("not a regular file")
    return path.read_bytes()
