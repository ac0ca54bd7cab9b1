"""A place on an object store and its copy on this disk.

A store cannot rename, so the order of writing takes the place of the renames: objects appear under
their final names in the order in which their files were finished here. A writer that is killed
leaves on the store what it would have left on a disk a little earlier, and every part of the
program continues from that. A folder that must appear at once has an object .NAME.partial beside it
from before its first object until after its last; without those beside them, all folders are whole.

A journal beside the copy says which version of each object the copy has. By it a command sees what
has changed on the store, brings only that, and keeps what an earlier command could not send.
"""

import collections
import concurrent.futures
import contextlib
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tfcyclegan.errors import RunError, UserError
from tfcyclegan.system import files
from tfcyclegan.system.progress import Progress, log, quantity
from tfcyclegan.system.store_journal import Copied, Journal
from tfcyclegan.system.store_objects import (
    by_name,
    folder_of_marker,
    is_path,
    told,
    version,
    written_at,
)

_AT_ONCE = 8  # transfers, which mostly wait
_GROWN_SECONDS = 10.0
_EXTRAS = {"s3": "s3", "gs": "gcs"}
FOLDERS_OF_MODELS = ("rejected", "onnx", "openvino")
"""Folders of model files, which the metadata.json further up describes."""
_DESCRIPTION, _TRAINING = "metadata.json", "train_opt.txt"
_NONE = Copied("", 0, 0)  # what is expected of an object that was never seen here


class _Changed(RunError):
    """Another program writes to the place."""


class Mirror:
    """The copy of one place; brings what the store has. As long as it is open, other commands on
    this machine use the copy as it is.

    Args:
        directory: the copy: `root`/SCHEME/BUCKET/KEY. It need not exist, or may be a file.
        root: the folder of all copies.

    Raises:
        UserError, RunError: see `places.bring`.
    """

    def __init__(self, directory: Path, root: Path):
        self.directory = directory
        self._scheme, *parts = directory.relative_to(root).parts
        self._base, self._key = root / self._scheme, "/".join(parts)
        self.address = f"{self._scheme}://{self._key}"
        if not parts:
            raise UserError(f"{self.address}: names no bucket; write {self.address}BUCKET/FOLDER")
        self._state = root / ".state" / files.sha256_of_bytes(self.address.encode())
        self._store = self._opened_store()
        self._unfinished: set[str] = set()  # folders
        # of names, one for each file being sent
        self._turns: dict[str, threading.Lock] = collections.defaultdict(threading.Lock)
        self._due: dict[Path, float] = {}
        self._due_lock = threading.Lock()
        self._written = self._behind = False
        with files.exclusive_lock(self._state, wait=True):
            self._owner = open(self._state / "owner", "w", encoding="utf-8")  # noqa: SIM115
            try:
                self._open()
            except BaseException:
                self.close()
                raise

    def _open(self) -> None:
        self._journal = Journal(self._state / "journal.jsonl")
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._owns = True
        except BlockingIOError:
            self._owns = False
            log(f"{self.address}: another command here uses it; its copy is used as it is")
            return
        self._journal.shorten()
        self._bring()

    def close(self) -> None:
        self._owner.close()

    def _opened_store(self) -> Any:
        import fsspec

        try:
            # without the memory of listings, in which the work of others is missing
            return fsspec.filesystem(self._scheme, use_listings_cache=False)
        except ImportError as error:
            extra = _EXTRAS.get(self._scheme, self._scheme)
            raise UserError(
                f"{self.address}: needs the extra {extra}: pip install 'tfcyclegan[{extra}]'"
            ) from error

    # What the store has

    def _bring(self) -> None:
        with told(self.address, "read"):
            found = self._listing()
        markers = {name for name in found if folder_of_marker(name)}
        self._unfinished = {str(folder_of_marker(name)) for name in markers}
        theirs = {
            name: entry
            for name, entry in found.items()
            if not _stays_here(name) and not self._in_unfinished(name)
        }
        sent = {
            name: copied.version
            for name, copied in self._journal.known.items()
            if copied is not None and not self._in_unfinished(name)
        }
        begun = {name for name, copied in self._journal.known.items() if copied is None}
        versions = {name: version(entry) for name, entry in theirs.items()}
        as_left = sent == {name: versions[name] for name in versions.keys() - begun}
        here = self._here()
        if not as_left:
            news = [
                name
                for name, status in here.items()
                if self._is_news(name, status) and not self._in_unfinished(name)
            ]
            self._set_aside(news)
            for name in sent.keys() - theirs.keys():
                self._path(name).unlink(missing_ok=True)
                self._left(name)
            given_up = {name for name in self._journal.known if folder_of_marker(name)} - markers
            for name in given_up:
                self._journal.note(name, gone=True)
            old = {name for name in here if sent.get(name) != versions.get(name)}
            here = {name: here[name] for name in here.keys() - old - set(news)}
        for folder in sorted(self._unfinished - self._own_folders()):
            log(f"{self._scheme}://{folder}: is being written, or its writer was stopped; left out")
        self._fetch({name: entry for name, entry in theirs.items() if name not in here})

    def _listing(self) -> dict[str, Mapping[str, Any]]:
        """All objects by name; of a file, with those that belong to it."""
        found = by_name(self._store.find(self._key, detail=True).values())
        if found.keys() == {self._key}:
            found = self._with_companions()
        odd = [name for name in found if not is_path(name, found)]
        if odd:
            log(
                f"{self.address}: left out, since files cannot have such names: "
                f"{quantity(len(odd), 'object')}, first {odd[0]!r}"
            )
        return {name: entry for name, entry in found.items() if name not in odd}

    def _with_companions(self) -> dict[str, Mapping[str, Any]]:
        """The object of a file, and those that say how to read it: of the same name up to the first
        dot, the options of a training, and an export's metadata.json, which may lie further up.
        """
        folder, _, name = self._key.rpartition("/")
        starts = (f"{name.partition('.')[0]}.", _DESCRIPTION, _TRAINING)
        found = self._beginning(folder, starts)
        while "/" in folder and folder.rpartition("/")[2] in FOLDERS_OF_MODELS:
            folder = folder.rpartition("/")[0]
            found |= self._beginning(folder, (_DESCRIPTION,))
        return found

    def _beginning(self, folder: str, starts: tuple[str, ...]) -> dict[str, Mapping[str, Any]]:
        """The objects in a folder whose names begin so."""
        there = by_name(self._store.ls(folder, detail=True))
        return {
            key: entry for key, entry in there.items() if key.rpartition("/")[2].startswith(starts)
        }

    def _fetch(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        if not wanted:
            return
        size = sum(int(entry["size"] or 0) for entry in wanted.values())
        free = shutil.disk_usage(self._state).free
        amount = f"{quantity(len(wanted), 'file')}, {size / 1e6:,.1f} MB"
        if size > free:
            raise UserError(
                f"{self.address}: {amount}, but {free / 1e6:,.1f} MB are free for its copy; set "
                "TFCYCLEGAN_CACHE to a folder on a larger disk"
            )
        log(f"{self.address}: bringing {amount} to {self._base.parent}")
        with (
            Progress(len(wanted), unit="file", label="bringing") as progress,
            concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool,
            told(self.address, "read"),
        ):
            started = [pool.submit(self._fetch_one, *each) for each in wanted.items()]
            try:
                for one in concurrent.futures.as_completed(started):
                    one.result()
                    progress.advance()
            finally:
                pool.shutdown(cancel_futures=True)

    def _fetch_one(self, name: str, entry: Mapping[str, Any]) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = files.temporary_name(path)
        try:
            self._store.get_file(name, str(temporary))
            if (changed := written_at(entry)) is not None:  # the same on every machine
                os.utime(temporary, (changed, changed))
            self._journal.note(name, Copied(version(entry), *_status(temporary)))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def _set_aside(self, names: Sequence[str]) -> None:
        """Moves files that the store lacks out of the copy, since the store has changed too."""
        if not names:
            return
        place, number = self.directory, 1
        while (aside := place.with_name(f".{place.name}.{number}.aside")).exists():
            number += 1
        for name in names:
            target = aside / self._path(name).relative_to(place.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self._path(name), target)
            self._left(name)
        root = self._base.parent
        log(
            f"{self.address}: another machine has changed it and goes before; "
            f"{quantity(len(names), 'file')} that only this one had: {aside.relative_to(root)} in "
            f"{root}"
        )

    def _left(self, name: str) -> None:
        """Notes that the copy has an object no more; folders that this leaves empty go too."""
        self._journal.note(name, gone=True)
        with contextlib.suppress(OSError):
            os.removedirs(self._path(name).parent)

    # What is written here

    def finished(self, path: Path) -> None:
        """Sends a file or a folder. If that fails after others were sent, it is left to
        `settle`.
        """
        if self._behind or _stays_here(self._name(path)):
            return
        try:
            if path.is_dir():
                self._send_folder(path)
            else:
                self._send(path)
        except (UserError, RunError) as error:
            self._fall_behind(error, raises=not self._written)

    def grown(self, path: Path) -> None:
        """Sends a growing file if that was some seconds ago."""
        with self._due_lock:
            due = time.monotonic() >= self._due.get(path, 0.0)
            self._due[path] = time.monotonic() + _GROWN_SECONDS if due else self._due[path]
        if due:
            self.finished(path)

    def removed(self, path: Path) -> None:
        """Removes the objects of a file or of all files in a folder, the last sent first."""
        name = self._name(path)
        known = list(self._journal.known)  # other threads send meanwhile
        gone = [each for each in known if each == name or each.startswith(f"{name}/")]
        try:
            for each in reversed(gone):
                self._discard(each)
        except (UserError, RunError) as error:
            self._fall_behind(error, raises=not self._written)

    def settle(self, *, final: bool = False) -> None:
        """Sends all files that have changed since they were sent, in the order of their times, and
        folders that an earlier command began to send.

        Args:
            final: raises what keeps it from that, which otherwise is only told.
        """
        if not self._owns:
            return  # the other command does
        try:
            for folder in self._own_folders():
                self._send_folder(self._path(folder))
            here = self._here().items()
            news = [(name, status) for name, status in here if self._is_news(name, status)]
            # of a checkpoint the index is last, whose time may be that of its data
            for name, _ in sorted(news, key=lambda one: (one[1][1], one[0].endswith(".index"))):
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    self._send(self._path(name))
            self._behind = False
        except (UserError, RunError) as error:
            self._fall_behind(error, raises=final)

    def _fall_behind(self, error: UserError | RunError, *, raises: bool) -> None:
        if isinstance(error, _Changed):
            raise error
        if raises:
            raise type(error)(
                f"{error}; nothing is lost: what the store lacks is kept in {self._base.parent}, "
                "and the same command sends it"
            ) from error
        if not self._behind:
            log(f"{error}; going on here, and trying again at each checkpoint and at the end")
        self._behind = True

    def _send(self, path: Path) -> None:
        name, status = self._name(path), _status(path)
        with self._turns[name], told(self.address, "written"):
            if not self._is_as_sent(name):
                raise _Changed(
                    f"{self._scheme}://{name}: another program has changed it meanwhile; end one "
                    "of the two, then run the same command again"
                )
            self._journal.note(name)
            self._store.put_file(str(path), name)
            self._journal.note(name, Copied(self._version_there(name), *status))
            self._written = True

    def _send_folder(self, path: Path) -> None:
        """Sends a folder that replaces the one there: what lies deepest first, so that files at its
        top, which say what it is, come last.
        """
        folder, marker = self._name(path), self._name(files.temporary_name(path))
        inside = [each for each in path.rglob("*") if each.is_file()]
        with told(self.address, "written"):
            self._journal.note(marker)
            self._store.pipe_file(marker, b"this folder is being written\n")
            there = by_name(self._store.find(folder, detail=True).values())
        for name in there.keys() - {self._name(each) for each in inside}:
            self._discard(name)
        for each in sorted(inside, key=lambda one: (-len(one.parts), one.stat().st_mtime_ns)):
            self._journal.note(self._name(each))  # whatever is there is replaced
            self._send(each)
        self._discard(marker)
        self._unfinished.discard(folder)

    def _discard(self, name: str) -> None:
        with told(self.address, "written"), contextlib.suppress(FileNotFoundError):
            self._store.rm_file(name)
        self._journal.note(name, gone=True)

    def _is_as_sent(self, name: str) -> bool:
        """Whether no other program has written an object since this machine did."""
        there = self._version_there(name)
        if self._is_own(name, there):
            return True
        self._journal.read()  # another command here may have sent it
        return self._is_own(name, there)

    def _is_own(self, name: str, there: str) -> bool:
        """Whether a version of an object, "" for none, is the one that the journal expects; where
        sending was begun, it may be any.
        """
        copied = self._journal.known.get(name, _NONE)
        return copied is None or there == copied.version

    def _version_there(self, name: str) -> str:
        try:
            return version(self._store.info(name))
        except FileNotFoundError:
            return ""

    # Names and files

    def _path(self, name: str) -> Path:
        return self._base / name

    def _name(self, path: Path) -> str:
        return path.relative_to(self._base).as_posix()

    def _here(self) -> dict[str, tuple[int, int]]:
        """Size and time of each file of the copy that belongs on the store."""
        if self.directory.is_file():
            return {self._key: _status(self.directory)}
        found = {}
        for place, folders, names in os.walk(self.directory):
            inside = PurePosixPath(self._name(Path(place)))
            folders[:] = [each for each in folders if not _stays_here(str(inside / each))]
            for each in (Path(place) / name for name in names):
                if not _stays_here(self._name(each)) and not each.is_symlink():
                    with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                        found[self._name(each)] = _status(each)
        return found

    def _is_news(self, name: str, status: tuple[int, int]) -> bool:
        copied = self._journal.known.get(name)
        return copied is None or (copied.size, copied.changed) != status

    def _in_unfinished(self, name: str) -> bool:
        return any(name.startswith(f"{folder}/") for folder in self._unfinished)

    def _own_folders(self) -> set[str]:
        """Folders whose sending was begun from here, where they are complete."""
        folders = filter(None, map(folder_of_marker, list(self._journal.known)))
        return {folder for folder in folders if self._path(folder).is_dir()}


def _stays_here(name: str) -> bool:
    """Whether a file is of this machine alone: of a cache, a lock, or not complete."""
    return any(
        part in (".cache", ".lock")
        or (part.startswith(".") and part.endswith((files.TEMPORARY_SUFFIX, ".retired", ".aside")))
        for part in name.split("/")
    )


def _status(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
