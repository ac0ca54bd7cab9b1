"""Files that either exist completely or not at all: they are written under a temporary name,
flushed to disk, then renamed; and then sent if they are of a store's copy, see `places`.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tfcyclegan.errors import UserError
from tfcyclegan.system import places

FORMAT = 2
"""Format number of the JSON that describes a run, a data set, an export or a segmenter
(docs/compatibility.md). 0.1.0 wrote none, which means 1.
"""

TEMPORARY_SUFFIX = ".partial"
_LONGEST_NAME = 255  # bytes, on all usual file systems
MAKE_ROOM = "free some space or choose another directory, then run the same command again"
"""Advice if a disk is full or cannot be written."""


def temporary_name(path: Path) -> Path:
    """The name beside `path` under which it is written until it is complete."""
    name = f".{path.name}{TEMPORARY_SUFFIX}"
    if len(os.fsencode(name)) > _LONGEST_NAME:  # although that of `path` may still fit
        name = f".{sha256_of_bytes(os.fsencode(path.name))}{TEMPORARY_SUFFIX}"
    return path.with_name(name)


@contextlib.contextmanager
def atomic_file(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Opens a temporary file that takes the name `path` only if the block ends without an error.

    Several writers of the same file wait for each other.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        with _opened_alone(temporary, mode) as stream:
            try:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                into_place(temporary, path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        # errors of writing and closing a stream lack the name
        error.filename = error.filename or str(path)
        raise


def _opened_alone(path: Path, mode: str) -> IO[Any]:
    """Opens `path` empty for writing, once no other process has it open for writing."""
    while True:
        encoding = None if "b" in mode else "utf-8"
        # The stream is returned, so no context manager here.
        stream = open(path, mode, encoding=encoding, opener=_without_emptying)  # noqa: SIM115
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
            # otherwise the previous writer has renamed or removed the file that was opened here
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                    stream.truncate()
                    return stream
        except BaseException:
            stream.close()
            raise
        stream.close()


def _without_emptying(path: str, flags: int) -> int:
    return os.open(path, flags & ~os.O_TRUNC, 0o666)


def flush(path: Path) -> None:
    """Flushes a file's content, or a directory's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def into_place(temporary: Path, path: Path) -> None:
    """Renames a complete file to its final name."""
    os.replace(temporary, path)
    places.finished(path)


def nearest_folder(folder: Path) -> Path:
    """The folder, or the first one above it that exists, which is on the same disk."""
    return next(one for one in (folder, *folder.absolute().parents) if one.is_dir())


def remove(path: Path, *, ignore_errors: bool = False) -> None:
    """Removes a file, or a folder with all that is in it, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=ignore_errors)
    else:
        path.unlink(missing_ok=True)
    places.removed(path)


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yields a fresh directory that replaces `path` only if the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, retired = temporary_name(path), path.with_name(f".{path.name}.retired")
    if retired.exists() and not path.exists():
        os.replace(retired, path)  # the process was killed between the two renames below
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for entry in temporary.rglob("*"):
            flush(entry)
        if path.exists():
            shutil.rmtree(retired, ignore_errors=True)
            os.replace(path, retired)
            os.replace(temporary, path)
            shutil.rmtree(retired, ignore_errors=True)
        else:
            os.replace(temporary, path)
        places.finished(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file completely or not at all; see `atomic_file`."""
    with atomic_file(path) as stream:
        stream.write(content)


def write_text(path: Path, text: str) -> None:
    """Like `write_bytes`, for text in UTF-8; paths of stores' copies become their addresses."""
    write_bytes(path, places.named(text).encode())


def write_json(path: Path, value: Any) -> None:
    """Like `write_bytes`, for indented JSON."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Reads JSON that this package wrote; raises UserError with the file's name if it is damaged or
    of a later format. Addresses of stores become the paths of their copies.
    """
    try:
        value = json.loads(places.localized(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: not readable as JSON ({error}); restore it or remove the directory it "
            "describes"
        ) from error
    made = value.get("format", 0) if isinstance(value, dict) else 0
    if isinstance(made, int) and made > FORMAT:
        raise UserError(
            f"{path}: has format {made} of a later tfcyclegan; this version reads up to {FORMAT}; "
            "update tfcyclegan"
        )
    return value


def read_json_object(path: Path) -> dict[str, Any]:
    """Like `read_json`, for a file that holds an object; UserError if it holds anything else."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(
            f"{path}: damaged, it is not a JSON object; restore it or remove the directory it "
            "describes"
        )
    return value


@contextlib.contextmanager
def understanding(path: Path) -> Iterator[None]:
    """Wraps code that interprets the JSON of `path`: raises UserError with the file's name if its
    structure is wrong.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(
            f"{path}: damaged, or from another program ({reason}); restore it or remove the "
            "directory it describes"
        ) from error


def require_no_file(flag: str, path: Path) -> None:
    """Raises UserError if `path`, which `flag` names as a directory to write, or one of its
    parents, is a file.
    """
    for place in (path, *path.parents):
        if place.is_file():
            raise UserError(
                f"--{flag}={path}: {'' if place == path else f'{place} '}is a file; give a "
                "directory"
            )


def numbered(directory: Path) -> list[Path]:
    """The entries of `directory` whose names are numbers, sorted: the versions of a model. Empty if
    there is no directory.
    """
    entries = directory.iterdir() if directory.is_dir() else ()
    return sorted(
        (entry for entry in entries if re.fullmatch("[0-9]+", entry.name)),
        key=lambda entry: int(entry.name),
    )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_bytes(content: bytes | memoryview) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_json(value: Any) -> str:
    """A hash of `value` that does not depend on the order of keys."""
    return sha256_of_bytes(json.dumps(value, sort_keys=True).encode())


@contextlib.contextmanager
def exclusive_lock(directory: Path, *, wait: bool = False) -> Iterator[None]:
    """Locks `directory` for this process; if another process holds the lock, waits or raises
    UserError.

    The kernel releases the lock with the process, however that ends.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{directory}: another process is writing there; wait for it or choose another "
                "directory"
            ) from error
        yield
