"""Files that are either whole or not there: writes go to a temporary name, are flushed to the disk,
then renamed.
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

FORMAT = 2
"""Of the JSON that says what a run, a data set, an export or a segmenter is
(docs/compatibility.md). 0.1.0 wrote none, which is 1.
"""

TEMPORARY_SUFFIX = ".partial"
_LONGEST_NAME = 255  # bytes, on all usual file systems
MAKE_ROOM = "make room or choose another directory, then give the same command again"
"""The mend of what a disk does not take."""


def temporary_name(path: Path) -> Path:
    """The name beside `path` under which it is written before it is whole."""
    name = f".{path.name}{TEMPORARY_SUFFIX}"
    if len(os.fsencode(name)) > _LONGEST_NAME:  # where that of `path` may still fit
        name = f".{sha256_of_bytes(os.fsencode(path.name))}{TEMPORARY_SUFFIX}"
    return path.with_name(name)


@contextlib.contextmanager
def atomic_file(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Opens a temporary file that takes the name `path` only if the block ends without an error.

    Several writers of one file wait for each other.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        with _opened_alone(temporary, mode) as stream:
            try:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                os.replace(temporary, path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        # a stream that cannot be written or closed tells none
        error.filename = error.filename or str(path)
        raise


def _opened_alone(path: Path, mode: str) -> IO[Any]:
    """Opens `path` empty for writing, once no other living process has it open so."""
    while True:
        encoding = None if "b" in mode else "utf-8"
        # The stream is given on, so no context manager here.
        stream = open(path, mode, encoding=encoding, opener=_without_emptying)  # noqa: SIM115
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
            # else the one before has renamed or removed what was opened here
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
    """Brings a file's content, or a directory's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yields a fresh directory that replaces `path` only if the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, retired = temporary_name(path), path.with_name(f".{path.name}.retired")
    if retired.exists() and not path.exists():
        os.replace(retired, path)  # a kill between the two renames below
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
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; see `atomic_file`."""
    with atomic_file(path) as stream:
        stream.write(content)


def write_text(path: Path, text: str) -> None:
    """Likewise, in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Likewise, as indented JSON."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Reads JSON that this package wrote; raises UserError with the file's name when it is damaged
    or of a later format.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: not readable as JSON ({error}); restore it or remove the directory it "
            "describes"
        ) from error
    made = value.get("format", 0) if isinstance(value, dict) else 0
    if isinstance(made, int) and made > FORMAT:
        raise UserError(
            f"{path}: is of format {made}, made by a later tfcyclegan; this one reads up to "
            f"{FORMAT}: update it"
        )
    return value


def read_json_object(path: Path) -> dict[str, Any]:
    """Like `read_json`, for a file that holds an object; UserError when it holds anything else."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(
            f"{path}: damaged, it holds no JSON object; restore it or remove the directory it "
            "describes"
        )
    return value


@contextlib.contextmanager
def understanding(path: Path) -> Iterator[None]:
    """Around what takes apart the JSON of `path`: raises UserError with the file's name where it
    has another structure.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(
            f"{path}: damaged, or of another program ({reason}); restore it or remove the "
            "directory it describes"
        ) from error


def require_no_file(flag: str, path: Path) -> None:
    """Raises UserError when `path`, which `flag` names as a directory to write, or one above it, is
    a file.
    """
    for place in (path, *path.parents):
        if place.is_file():
            raise UserError(
                f"--{flag}={path}: {'' if place == path else f'{place} '}is a file; name a "
                "directory"
            )


def numbered(directory: Path) -> list[Path]:
    """What lies in `directory` under a number as name, by number: the versions of a model. Nothing
    where there is no directory.
    """
    entries = directory.iterdir() if directory.is_dir() else ()
    return sorted(
        (entry for entry in entries if re.fullmatch("[0-9]+", entry.name)),
        key=lambda entry: int(entry.name),
    )


def sha256_of(path: Path) -> str:
    """Of a file's content, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_bytes(content: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_json(value: Any) -> str:
    """A hash of `value` that does not depend on the order of keys."""
    return sha256_of_bytes(json.dumps(value, sort_keys=True).encode())


@contextlib.contextmanager
def exclusive_lock(directory: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds `directory` for this process; while another living process does, waits or raises
    UserError.

    The lock is the kernel's, so it falls with the process however that ends.
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
