"""Finds and reads the picture files of a folder tree. Imports no
TensorFlow.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tfcyclegan.data.manifest import printable

ENDINGS = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "tif", "tiff", "bmp", "dib", "gif", "tga"),
        *("ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "jpx", "avif", "avifs"),
    )
)
SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", ".ds_store"})
HIDDEN = "hidden files and folders"
AGAIN = "folders already visited through a link"
RESULTS = "folders of results (--output)"


def walk(
    directory: Path, passed_over: Counter[str] | None = None, output: Path | None = None
) -> Iterator[os.DirEntry[str]]:
    """All files below `directory` that are not hidden, following links, in no particular order;
    skipped files are counted by kind.

    Args:
        directory: where to begin.
        passed_over: the counts, which are added to.
        output: folder of the caller's results. If it lies below `directory`, it is skipped:
            otherwise a rerun would take the results of the first run for its input.
    """
    counts = Counter() if passed_over is None else passed_over
    skipped = output.resolve() if output and output.resolve() != directory.resolve() else None
    pending, visited = [directory], set()
    while pending:
        place = pending.pop()
        real = place.resolve()
        if real == skipped:
            if any(place.iterdir()):
                counts[RESULTS] = 1
            continue
        if real in visited:  # circular links
            counts[AGAIN] += 1
            continue
        visited.add(real)
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.lower() in SYSTEM_FILES:
                    continue
                if entry.name.startswith("."):
                    counts[HIDDEN] += 1
                elif _is_directory(entry):
                    pending.append(Path(entry.path))
                else:
                    yield entry


@dataclass(frozen=True)
class Found:
    """The pictures below a folder, and what else was found there.

    Attributes:
        pictures: files with picture extensions, in the order of their paths.
        left_out: entries that are not used: {kind: count}.
        examples: some of their paths.
    """

    pictures: list[os.DirEntry[str]]
    left_out: Counter[str]
    examples: list[str]

    def told(self) -> str:
        """What is not used, on one line; empty if everything is used."""
        return told(self.left_out, self.examples)


def find(directory: Path, output: Path | None = None) -> Found:
    """Finds the pictures in a folder tree; for `output` see `walk`."""
    left_out: Counter[str] = Counter()
    pictures, examples = [], []
    for entry in walk(directory, left_out, output):
        if is_picture(entry.name):
            pictures.append(entry)
        else:
            left_out[kind_of(entry.name)] += 1
            examples.append(Path(entry.path).relative_to(directory).as_posix())
    return Found(sorted(pictures, key=lambda entry: entry.path), left_out, sorted(examples))


def size_and_time(entry: os.DirEntry[str] | Path) -> tuple[int, int]:
    """Bytes of a file and when it was changed, in ns; 0 of a broken link, which reading it will
    report.
    """
    try:
        status = entry.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def kind_of(name: str) -> str:
    """The kind under which a file that is not a picture is counted."""
    ending = Path(name).suffix.lower()
    return f"{printable(ending)} files" if ending else "files without an extension"


def told(left_out: Counter[str], examples: list[str]) -> str:
    """One line on what is not used, starting with an example."""
    if not left_out:
        return ""
    kinds = ", ".join(
        f"{count} {kind.removesuffix(' files')}" for kind, count in sorted(left_out.items())
    )
    if not examples:
        return f"not used: {kinds}"
    more = f" and {len(examples) - 1} more" if len(examples) > 1 else ""
    return f"not used: {printable(examples[0])}{more} ({kinds})"


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, which reading it reports
        return False


def is_picture(name: str) -> bool:
    """Whether a file's extension is that of a picture."""
    return Path(name).suffix.lower() in ENDINGS


def read(path: Path) -> bytes:
    """The bytes of a regular file; OSError for anything else, since reading a pipe would block for
    ever.
    """
    with opened(path) as stream:
        return stream.read()


def opened(path: Path) -> BinaryIO:
    """Opens a regular file for reading; OSError for anything else."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("not a regular file")
    return open(path, "rb")
