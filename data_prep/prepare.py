"""Sources of pictures -> a directory of sharded TFRecords that `tfds.builder_from_directory` reads.
All scripts use it.

The directory holds, when everything is done:

    NAME-SPLIT.tfrecord-00000-of-00004   records with the schema of tfcyclegan.data.records, in
                                         the order of the sources
    features.json, dataset_info.json     TFDS metadata
    quarantine.jsonl                     only if pictures were bad, one line each:
                                         {"file": ..., "reason": ...}
    manifest.json                        written last: counts, sizes, sha256, settings, command,
                                         versions, fingerprint; for pictures with labels also
                                         the table of classes

Until then `.work/` holds what a rerun needs: the request, and a note for every finished shard.
Shards appear by rename, so the same command continues after any interruption, including kill -9.
Threads share the decoding, since Pillow's decoders release the GIL (on 2 cores 1.9 times as fast as
one thread, like processes), and a killed run leaves no orphan processes. With `Request.engine`, its
workers write the shards, byte for byte the same.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import re
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from data_prep import twins
from data_prep.request import Origin, Request, Taken, TakenArray
from data_prep.request import Source as Source  # scripts import it from here
from tfcyclegan.data import intake, manifest, records, shards
from tfcyclegan.data.notes import conversions, left_out
from tfcyclegan.data.source import MANIFEST, TWINS
from tfcyclegan.engines import Engine, results
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.system import files, hardware
from tfcyclegan.system.parallel import in_order
from tfcyclegan.system.progress import Progress, log, quantity
from tfcyclegan.system.tensorflow_setup import import_tensorflow

QUARANTINE = "quarantine.jsonl"
QUEUED_PER_WORKER = 4

_UNREADABLE = "cannot be read"
_SOURCES = "sources"  # in the note of a shard: `_Shard.digest`


@dataclass(frozen=True)
class _Shard:
    split: str
    file: str
    sources: Sequence[Origin]

    @property
    def digest(self) -> str:
        """Identifies its sources."""
        return files.sha256_of_json([source.identity() for source in self.sources])


@dataclass(frozen=True)
class _Verdict:
    """The outcome for one source: its pictures, or the reason why it is bad."""

    pictures: Sequence[Taken | TakenArray]
    reason: str


def run(request: Request, output_dir: Path) -> None:
    """Carries out `request`, or the part that an earlier run has left unfinished.

    Raises:
        UserError: the directory holds something else, or more pictures are bad than allowed.
        RunError: the directory is damaged.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", request.name):
        raise UserError(
            f"--name={request.name}: must be lower-case letters, digits and _, first a letter"
        )
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(
            f"--output_dir={output_dir}: is a file, but a directory is needed; choose another"
        ) from error
    with files.exclusive_lock(output_dir):
        path = output_dir / MANIFEST
        if path.exists():
            with files.understanding(path):
                _say_done(request, output_dir, files.read_json(path))
        else:
            _prepare(request, output_dir)


def _say_done(request: Request, output_dir: Path, made: dict[str, Any]) -> None:
    if "request" not in made:
        raise UserError(
            f"{output_dir}: its {MANIFEST} is from another program; choose another --output_dir"
        )
    _refuse_other(_as_then(request, made, output_dir), output_dir, made["request"])
    for split in made["splits"].values():
        for shard in split["shards"]:
            path = output_dir / shard["file"]
            if not path.is_file() or path.stat().st_size != shard["bytes"]:
                raise RunError(
                    f"{path}: missing or of a different size than in {MANIFEST}; remove "
                    f"{output_dir} and run the same command again"
                )
    # left by a run that was killed right after writing its manifest
    files.remove(output_dir / shards.WORK, ignore_errors=True)
    log(f"{output_dir}: already complete: {manifest.counts(made)}")
    _say_unreadable(output_dir)


def _say_unreadable(output_dir: Path) -> None:
    """Says how many files a complete data set lacks because the system could not read them: that
    they can be read now, as after chmod, changes neither their sizes nor their times.
    """
    path = output_dir / QUARANTINE
    if not path.exists():
        return
    with open(path, encoding="utf-8", errors="replace") as lines:
        # quotes in names are escaped, so that no name looks like this
        count = sum(f'"reason": "{_UNREADABLE}' in line for line in lines)
    if count:
        log(
            f"{output_dir}: left out then, since they could not be read: "
            f"{quantity(count, 'file')}, listed in {QUARANTINE}; if that has changed, remove "
            f"{output_dir} and run the same command again"
        )


def _as_then(request: Request, made: Mapping[str, Any], output_dir: Path) -> Request:
    """The request without those guesses that the version that made a data set of format 1 did not
    make; this is reported.
    """
    later = request.guessed - made["request"]["settings"].keys() if "format" not in made else set()
    if later:
        log(
            f"{output_dir}: made before {', '.join(f'--{name}' for name in sorted(later))} was "
            "guessed, so it stays unchanged; give another --output_dir to follow the guess"
        )
    return dataclasses.replace(
        request,
        settings={name: value for name, value in request.settings.items() if name not in later},
    )


def _refuse_other(request: Request, output_dir: Path, there: Mapping[str, Any]) -> None:
    differences = _differences(there, request)
    if differences:
        raise UserError(
            f"{output_dir}: holds the data of another request ({'; '.join(differences)}); choose "
            "another --output_dir or remove it"
        )


def _differences(there: Mapping[str, Any], request: Request) -> list[str]:
    here = request.identity()
    found = (
        []
        if there["name"] == here["name"]
        else [f"--name: {there['name']} there, {here['name']} here"]
    )
    for part in ("settings", "inputs"):
        unnamed = request.usual if part == "settings" else {}
        then, now = there.get(part, {}), here[part]
        for key in sorted({*then, *now}):
            old, new = (one.get(key, unnamed.get(key)) for one in (then, now))
            if old == new or (part == "inputs" and old == request.earlier_inputs.get(key, new)):
                continue
            if part == "settings":
                found.append(f"--{key}: {old} there, {new} here")
            elif old is None or new is None:
                found.append(f"{key}: only {'here' if old is None else 'there'}")
            else:
                found.append(f"{key}: the input has changed")
    return found


def _plan(request: Request) -> list[_Shard]:
    """Divides each split's sources into consecutive runs of equal count."""
    planned = []
    for split, sources in request.splits.items():
        wanted = request.shards or -(-sum(source.size for source in sources) // shards.SHARD_BYTES)
        for file, part in shards.plan(request.name, split, len(sources), wanted):
            planned.append(_Shard(split, file, sources[part.start : part.stop]))
    return planned


def _prepare(request: Request, output_dir: Path) -> None:
    work, planned = output_dir / shards.WORK, _plan(request)
    _claim(request, output_dir, planned)
    done = {
        shard.file: note for shard in planned if (note := _finished(output_dir, shard)) is not None
    }
    if done:
        log(f"{output_dir}: continues; {len(done)} of {len(planned)} shards are finished")
    import_tensorflow()
    todo = [shard for shard in planned if shard.file not in done]
    total = sum(len(shard.sources) for shard in planned)
    progress = Progress(
        total,
        unit="image",
        label=request.name,
        done=total - sum(len(shard.sources) for shard in todo),
    )
    try:
        for note in (
            _write_on(request.engine, request, output_dir, todo, progress)
            if request.engine
            else _write_here(request, output_dir, todo, progress)
        ):
            done[note["file"]] = note
        notes = {
            split: [done[shard.file] for shard in planned if shard.split == split]
            for split in request.splits
        }
        _refuse_bad(request, output_dir, notes)
    except BaseException:
        if sys.stderr.isatty():  # otherwise closing would add a line to a failure's one line
            progress.close()
        raise
    progress.close()
    made = manifest.make(
        name=request.name,
        command=request.command,
        request=request.identity(),
        max_bad=request.max_bad,
        notes=notes,
        labelling=request.labelling,
        left_out=request.left_out,
        values=request.values,
    )
    manifest.write_tfds_metadata(output_dir, work / "metadata", made)
    shared = twins.find(notes)
    twins.tell(output_dir, shared)
    for name, text in request.attachments.items():
        files.write_text(output_dir / name, text)
    counted = {f"{split} in {other}": len(pictures) for (split, other), pictures in shared.items()}
    files.write_json(
        output_dir / MANIFEST, {**made, **({TWINS: counted} if counted else {}), **request.remarks}
    )
    files.remove(work)
    # a file of measurements is noted once, however many planes become pictures
    unit = "file" if request.values else "picture"
    for line in manifest.summary(made, request.hints, unit=unit):
        log(f"{output_dir}: {line}")


def _claim(request: Request, output_dir: Path, planned: Sequence[_Shard]) -> None:
    """Reserves the directory for this request, or raises UserError if it belongs to another."""
    path = output_dir / shards.WORK / "request.json"
    claim = {
        "request": request.identity(),
        "shards": [shard.file for shard in planned],
        "stopped_by_bad": False,
    }
    if path.exists():
        earlier = files.read_json_object(path)
        with files.understanding(path):
            changed, stopped, left = (
                bool(_differences(earlier["request"], request)),
                earlier["stopped_by_bad"],
                set(earlier["shards"]),
            )
            if changed and not stopped:
                _refuse_other(request, output_dir, earlier["request"])
        if changed:
            # that run asked the user to remove files, so what it left describes an input that no
            # longer exists
            log(
                f"{output_dir}: starts over, since the request has changed after bad pictures "
                "stopped it"
            )
        else:  # a file that has been repaired may change the number of shards
            left -= {shard.file for shard in planned}
        left |= {f".{name}{files.TEMPORARY_SUFFIX}" for name in left}
        for entry in output_dir.iterdir():  # so that no name points outside the directory
            if entry.name in left and not entry.is_dir():
                files.remove(entry)
        if changed:
            files.remove(output_dir / shards.WORK)
    else:
        strangers = [
            entry.name
            for entry in output_dir.iterdir()
            if ".tfrecord" in entry.name or entry.name in manifest.TFDS_FILES
        ]
        if strangers:
            raise UserError(
                f"{output_dir}: holds another data set ({manifest.printable(min(strangers))}); "
                "choose another --output_dir"
            )
    files.write_json(path, claim)
    files.remove(output_dir / QUARANTINE)


def _finished(output_dir: Path, shard: _Shard) -> dict[str, Any] | None:
    """The note of a shard that an earlier run has finished, unless a file was unreadable, which may
    have been repaired, or other sources were in it, as where a repaired file shifts those behind.
    """
    note = shards.finished(output_dir, shard.file)
    if note is None or any(entry["reason"].startswith(_UNREADABLE) for entry in note["bad"]):
        return None
    # notes of an older version lack the digest
    return note if note.get(_SOURCES) in (None, shard.digest) else None


def _judge(planned: Sequence[_Shard], max_pixels: int) -> Generator[_Verdict, None, None]:
    """Reads all sources in order on all cores, a bounded number ahead; memory does not grow with
    their number.
    """
    Image.MAX_IMAGE_PIXELS = None  # --max_pixels is the only limit
    warnings.filterwarnings("ignore", module="PIL")  # odd metadata; real problems raise errors
    workers = hardware.cores()
    executor = concurrent.futures.ThreadPoolExecutor(workers)
    sources = (source for shard in planned for source in shard.sources)
    try:
        yield from in_order(
            executor,
            lambda source: _take(source, max_pixels),
            sources,
            ahead=workers * QUEUED_PER_WORKER,
        )
    finally:
        executor.shutdown(cancel_futures=True)


def _take(source: Origin, max_pixels: int) -> _Verdict:
    try:
        return _Verdict(source.take_all(max_pixels), "")
    except OSError as error:
        return _Verdict([], f"{_UNREADABLE}: {error.strerror or error}")
    except intake.BadPicture as error:
        return _Verdict([], str(error))


def _write_here(
    request: Request, output_dir: Path, todo: Sequence[_Shard], progress: Progress
) -> Iterator[dict[str, Any]]:
    """Writes each shard and then its note; yields the notes."""
    with contextlib.closing(_judge(todo, request.max_pixels)) as verdicts:
        for shard in todo:
            note = _write_shard(output_dir, shard, verdicts, progress)
            shards.write_note(output_dir, note)
            yield note


def _write_on(
    engine: Engine,
    request: Request,
    output_dir: Path,
    todo: Sequence[_Shard],
    progress: Progress,
) -> list[dict[str, Any]]:
    """The same, by the workers of an engine, which write one shard at a time; they must see
    `output_dir` and the input under the same paths.
    """
    for shard in todo:
        shards.forget(output_dir, shard.file)
    return results(
        engine,
        functools.partial(_writer, output_dir.resolve(), request.max_pixels),
        todo,
        output_dir / shards.WORK,
        finished=lambda shard: progress.advance(len(shard.sources), shard.split),
    )


def _writer(output_dir: Path, max_pixels: int) -> Callable[[_Shard], dict[str, Any]]:
    """Writes one shard and its note, on a worker."""

    def write(shard: _Shard) -> dict[str, Any]:
        def attempt(directory: Path) -> dict[str, Any]:
            with contextlib.closing(_judge([shard], max_pixels)) as verdicts:
                return _write_shard(directory, shard, verdicts, None)

        return shards.by_one_worker(output_dir, shard.file, attempt)

    return write


def _write_shard(
    directory: Path, shard: _Shard, verdicts: Iterator[_Verdict], progress: Progress | None
) -> dict[str, Any]:
    """Writes the next shard; returns the note on it."""
    bad: list[dict[str, str]] = []
    notes: collections.Counter[str] = collections.Counter()  # conversions and omissions
    tally: collections.Counter[str] = collections.Counter()
    digests: dict[str, str] = {}
    largest = 0

    def good() -> Iterator[records.Picture | records.StoredArray]:
        nonlocal largest
        for source, verdict in zip(shard.sources, verdicts, strict=False):
            if verdict.reason:
                bad.append({"file": source.filename, "reason": verdict.reason})
            for taken in verdict.pictures:
                notes.update(taken.notes)
                tally.update(taken.tally)
                largest = max(largest, taken.largest)
                if taken.picture is not None:
                    if taken.digest:
                        digests[taken.picture.filename] = taken.digest
                    yield taken.picture
            if progress is not None:
                count = len({entry["file"] for entry in bad})
                progress.advance(note=f"{shard.split}, {count} bad" if bad else shard.split)

    written = shards.write(directory / shard.file, good())
    counts = {"notes": conversions(notes), "left_out": left_out(notes)}
    return (
        written
        | {"bad": bad, "digests": digests, "largest": largest, _SOURCES: shard.digest}
        | {key: {note: notes[note] for note in told} for key, told in counts.items()}
        | ({"tally": dict(tally)} if tally else {})
    )


def _refuse_bad(
    request: Request, output_dir: Path, notes: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Lists the bad pictures; UserError if there are more than allowed or if they leave a split
    empty.
    """
    bad = [entry for of_split in notes.values() for entry in manifest.bad_files(of_split)]
    if not bad:
        return
    path = output_dir / QUARANTINE
    files.write_text(path, "".join(json.dumps(entry) + "\n" for entry in bad))
    empty = [
        split for split, of_split in notes.items() if not any(note["records"] for note in of_split)
    ]
    if len(bad) <= request.max_bad and not empty:
        return
    claim_path = output_dir / shards.WORK / "request.json"
    files.write_json(claim_path, {**files.read_json(claim_path), "stopped_by_bad": True})
    first = f"{manifest.printable(bad[0]['file'])}: {bad[0]['reason']}"
    many = f"; {quantity(len(bad), 'bad picture')} in all, listed in {path}"
    if empty:
        raise UserError(f"{first}{many}; {empty[0]} has no good picture")
    raise UserError(
        f"{first}{many}, but {request.max_bad} allowed; remove {'it' if len(bad) == 1 else 'them'},"
        f" or leave out what is bad by --max_bad={len(bad)}"
    )
