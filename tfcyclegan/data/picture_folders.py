"""Folders of pictures in, folders of PNGs out: the loop of all commands that process pictures."""

import contextlib
import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from PIL import Image

from tfcyclegan.data import intake, notes, pages, picture_files
from tfcyclegan.data.manifest import printable
from tfcyclegan.data.measured_endings import ending_of
from tfcyclegan.data.rules import settings
from tfcyclegan.data.source import DataSource
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.system import files
from tfcyclegan.system.parallel import Stages
from tfcyclegan.system.progress import Progress, log, quantity

Given = TypeVar("Given")
Made = TypeVar("Made")

MAX_PIXELS = 100_000_000


@dataclass(frozen=True)
class Reading:
    """How to read picture files.

    Attributes:
        rules: how to decode each picture.
        pages: "all" pictures of a file with several, or only the "first".
    """

    rules: intake.Rules = intake.USUAL
    pages: str = "all"

    def settings(self) -> dict[str, Any]:
        """The fields that differ from the defaults: part of the identity of the results."""
        return settings(self.rules) | ({} if self.pages == "all" else {"pages": self.pages})


USUAL = Reading()


def reading_of(options: Any) -> Reading:
    """The reading that the flags of `config.reading` select."""
    return Reading(
        intake.Rules(options.alpha, options.extra_bands, options.max_value, by_flags=True),
        options.pages,
    )


@dataclass(frozen=True)
class Found:
    """The pictures to process.

    Attributes:
        pictures: {path below the folder without extension: function that reads it}.
        left_out: entries that are not used: {what: count}.
        told: the same on one line; empty if everything is used.
    """

    pictures: dict[str, Callable[[], intake.Decoded]]
    left_out: Counter[str]
    told: str = ""

    def log(self) -> None:
        """Prints what is not used."""
        if self.told:
            log(self.told)


def pictures_of_path(
    path: Path, reading: Reading = USUAL, *, flag: str = "input", output: Path | None = None
) -> Found:
    """A picture, or all pictures in a folder tree; a file of several pictures gives NAME_0001,
    NAME_0002, ...

    Args:
        path: a file with any extension, or a folder.
        reading: how to read them.
        flag: the flag that messages name.
        output: folder of the command's results, which are left out if it lies in the folder.

    Raises:
        UserError: there are no pictures, or two would get the same name.
    """
    if path.is_file():
        found = picture_files.Found([], Counter(), [])
        paths, root = [path], path.parent
    elif path.is_dir():
        found = picture_files.find(path, output)
        paths, root = [Path(entry.path) for entry in found.pictures], path
    else:
        raise UserError(f"--{flag}={path}: no such file or directory")
    pictures: dict[str, Callable[[], intake.Decoded]] = {}
    origins: dict[str, Path] = {}
    for file in paths:
        held = _pages_of(file) if reading.pages == "all" else pages.ONE
        found.left_out.update([intake.COPIES] if held.copies else [])
        for number, place in enumerate(held.places):
            name = held.name(file.relative_to(root).with_suffix("").as_posix(), number)
            if name in pictures:
                told = f"{printable(origins[name].name)} and {printable(file.name)}"
                raise UserError(
                    f"--{flag}={path}: two pictures are called {name} ({told}); rename one, since "
                    f"both become {name}.png"
                )
            origins[name] = file
            pictures[name] = functools.partial(_decode, file, reading.rules, place)
    if not pictures:
        raise UserError(
            f"--{flag}={path}: no pictures found{f'; {found.told()}' if found.left_out else ''}"
        )
    return Found(pictures, found.left_out, f"{path}: {found.told()}" if found.left_out else "")


def _pages_of(path: Path) -> pages.Pages:
    try:
        with picture_files.opened(path) as stream:
            return pages.of(stream)
    except OSError:  # reading it reports the error
        return pages.ONE


def _decode(path: Path, rules: intake.Rules, page: int | None) -> intake.Decoded:
    content = (
        picture_files.read(path) if page is None else _last_read(path, path.stat().st_mtime_ns)
    )
    return intake.decode(content, max_pixels=MAX_PIXELS, rules=rules, page=page)


@functools.lru_cache(maxsize=1)
def _last_read(path: Path, changed: int) -> bytes:
    """A file whose pages are read one after another; `changed` is its modification time."""
    return picture_files.read(path)


def pictures_of_split(source: DataSource, split: str) -> Iterator[tuple[str, bytes]]:
    """(path below the split's folder without extension, bytes) of every picture of a prepared
    split.
    """
    for filename, encoded in source.pictures(split):
        yield picture_name(filename, split), encoded


def picture_name(filename: str, split: str) -> str:
    """The name of a stored picture: its file name without the split's folder and without a
    picture's extension.

    Pictures of foreign data sets are named by their positions, which contain dots:
    `NAME-SPLIT.tfrecord-00000-of-00001__7`.

    Raises:
        UserError: the name is not a path below a folder: it is absolute or empty, or contains `..`.
    """
    path = PurePosixPath(filename.removeprefix(f"{split}/"))
    if path.is_absolute() or ".." in path.parts or not path.name or "\0" in filename:
        raise UserError(
            f"split {split}: a picture is called {filename!r}, which is not a path below a folder; "
            "prepare the data again"
        )
    return (path.with_suffix("") if picture_files.is_picture(path.name) else path).as_posix()


def measurement_name(filename: str, split: str) -> str:
    """The name of a stored measurement: its file name without the split's folder and the ending."""
    path = PurePosixPath(picture_name(filename, split))
    stem = path.name.removesuffix(ending_of(path.name))
    return path.with_name(stem or path.name).as_posix()


def in_memory(
    pictures: Iterable[tuple[str, bytes]], rules: intake.Rules = intake.USUAL
) -> Iterator[tuple[str, Callable[[], intake.Decoded]]]:
    """Pictures whose bytes are in memory, as arguments for `write_pictures`."""
    return (
        (name, functools.partial(intake.decode, encoded, max_pixels=MAX_PIXELS, rules=rules))
        for name, encoded in pictures
    )


def named_once(pictures: Iterable[tuple[str, Given]]) -> Iterator[tuple[str, Given]]:
    """The same pictures; UserError if two have one name."""
    names: set[str] = set()
    for name, read in pictures:
        if name in names:
            raise UserError(
                f"two pictures are called {name}, and both would become {name}.png; rename one "
                "and prepare the data again"
            )
        names.add(name)
        yield name, read


def with_notes(
    pictures: Iterable[tuple[str, Callable[[], intake.Decoded]]],
    notes_of: Callable[[Image.Image], set[str]],
) -> Iterator[tuple[str, Callable[[], intake.Decoded]]]:
    """The same pictures, with notes on how they will be changed."""

    def noted(read: Callable[[], intake.Decoded]) -> intake.Decoded:
        decoded = read()
        return dataclasses.replace(decoded, notes=decoded.notes | notes_of(decoded.image))

    return ((name, functools.partial(noted, read)) for name, read in pictures)


@dataclass(frozen=True)
class _Skipped:
    """Stands for a picture that is bad or whose targets already exist."""

    why_bad: str = ""


@dataclass
class Ledger:
    """The outcome for the pictures or files of a folder.

    Attributes:
        journal: notes on them.
        made: number of results that were made.
        bad: the reasons why others could not be read, one line each.
    """

    journal: notes.Journal
    made: int = 0
    bad: list[str] = dataclasses.field(default_factory=list)


def write_pictures(
    pictures: Iterable[tuple[str, Callable[[], intake.Decoded]]],
    output: Path,
    targets: Callable[[str], Sequence[Path]],
    stages: Stages[intake.Decoded, Given, Made, Sequence[bytes]],
    *,
    total: int,
    record: str,
    identity: dict[str, Any],
    told: tuple[str, str, str],
    left_out: Mapping[str, int] | None = None,
    hints: Mapping[str, str] | None = None,
    reserved: bool = False,
) -> Ledger:
    """Makes PNGs from each picture, several at once; existing ones of the same maker are kept.

    Args:
        pictures: pairs of a name and a function that reads the picture, which may raise OSError or
            `intake.BadPicture`.
        output: folder that holds all targets.
        targets: returns the files for a picture's name, in the order in which they are written.
        stages: from a decoded picture to the targets' content.
        total: number of pictures.
        record: name of the file in `output` that records who made it, conversions and omissions.
        identity: what made the results.
        told: phrases for messages: the activity, its completion, and the content of an `output`
            that something else made.
        left_out: parts of the input that are not among `pictures`: {what: count}.
        hints: for each note, the flag that changes the behaviour, if the command has it.
        reserved: whether another process is `recording`, of which this one is a worker.

    Raises:
        UserError: something else made `output`, or some pictures cannot be read (after all others
            were processed).
        RunError: processing failed for a picture, which the message names.
    """
    outcome = (
        contextlib.nullcontext(Ledger(notes.Journal(output)))
        if reserved
        else recording(output, record, identity, told, total=total, left_out=left_out, hints=hints)
    )
    with outcome as ledger:
        _write(pictures, output, targets, stages, ledger, total=total, label=told[0])
    return ledger


@contextlib.contextmanager
def recording(
    output: Path,
    record: str,
    identity: dict[str, Any],
    told: tuple[str, str, str],
    *,
    total: int,
    left_out: Mapping[str, int] | None = None,
    hints: Mapping[str, str] | None = None,
    unit: str = "picture",
) -> Iterator[Ledger]:
    """Reserves a folder of results for its maker while the block fills it, then reports and records
    the outcome; the arguments are those of `write_pictures`, and `unit` says what `total` counts.

    Raises:
        UserError: see `write_pictures`.
    """
    _refuse_other(output, record, identity, told[2])
    with files.exclusive_lock(output):
        if unknown := _refuse_other(output, record, identity, told[2]):
            log(
                f"{output}: an older version's record does not say {' and '.join(unknown)}; if "
                "its results are of others, choose another folder"
            )
        ledger = Ledger(notes.Journal(output))
        files.write_json(output / record, {**identity, **ledger.journal.counted(left_out or {})})
        yield ledger
        bad = ledger.bad
        unread = f"{unit}s that could not be read"
        counts = ledger.journal.counted({**(left_out or {}), **({unread: len(bad)} if bad else {})})
        files.write_json(output / record, {**identity, **counts})
    lines = notes.lines(ledger.journal.counted({}), hints, unit=unit)
    for line in (*lines, notes.dim(counts.get(notes.LARGEST, 0))):
        if line:
            log(f"{output}: {line}")
    for line in bad[1:]:  # the error names the first
        log(f"{output}: {line}")
    if bad and total == 1:
        raise UserError(bad[0])
    if bad:
        others = f"; the others are in {output}" if len(bad) < total else ""
        raise UserError(
            f"{bad[0]}; {len(bad)} of {quantity(total, unit)} could not be read{others}"
        )
    kept = f", {total - ledger.made} already existed" if ledger.made < total else ""
    log(f"{output}: {quantity(ledger.made, unit)} {told[1]}{kept}")


def _refuse_other(output: Path, record: str, identity: dict[str, Any], others: str) -> list[str]:
    """Raises UserError if something else made the folder; returns what its record does not say."""
    if (output / record).exists():
        there = files.read_json(output / record)
        if notes.completed(there, identity) != identity:
            raise UserError(f"--output={output}: holds {others}; choose another folder")
        return sorted(identity.keys() - there.keys())
    if output.exists() and any(path.name != ".lock" for path in output.iterdir()):
        raise UserError(
            f"--output={output}: is not empty and not from this command; choose another folder"
        )
    return []


def _write(
    pictures: Iterable[tuple[str, Callable[[], intake.Decoded]]],
    output: Path,
    targets: Callable[[str], Sequence[Path]],
    stages: Stages[intake.Decoded, Given, Made, Sequence[bytes]],
    ledger: Ledger,
    *,
    total: int,
    label: str,
) -> None:
    """`write_pictures`, once the folder is reserved."""

    def before(picture: tuple[str, Callable[[], intake.Decoded]]) -> tuple[str, Given] | _Skipped:
        name, read = picture
        if all(target.exists() for target in targets(name)):
            return _Skipped()
        try:
            decoded = read()
        except OSError as error:
            return _Skipped(f"{name}: cannot be read ({error.strerror or error})")
        except intake.BadPicture as error:
            return _Skipped(f"{name}: {error}")
        ledger.journal.add(name, decoded.notes, decoded.largest)
        return name, stages.before(decoded)

    def make(
        machine: Callable[[Given], Made], given: tuple[str, Given] | _Skipped
    ) -> tuple[str, Made] | _Skipped:
        if isinstance(given, _Skipped):
            return given
        try:
            return given[0], machine(given[1])
        except RunError as error:
            raise RunError(f"{given[0]}: {error}") from error

    def after(made: tuple[str, Made] | _Skipped) -> _Skipped | None:
        if isinstance(made, _Skipped):
            return made
        for target, png in zip(targets(made[0]), stages.after(made[1]), strict=True):
            files.write_bytes(target, png)
        return None

    all_stages = Stages(
        before,
        [functools.partial(make, machine) for machine in stages.machines],
        after,
        stages.give_up,
    )
    with Progress(total, unit="image", label=label) as progress:
        for skipped in all_stages.of(named_once(pictures)):
            if skipped is None:
                ledger.made += 1
            elif skipped.why_bad:
                ledger.bad.append(skipped.why_bad)
            progress.advance()
