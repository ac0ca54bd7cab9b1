"""A prepared data set -> the same data set with translated pictures: names and labels are kept, so
that a segmenter can learn from it. If they become measurements, whose records hold no labels, the
labels are left out, which is told and counted.

The output directory has the form that data_prep writes (`data.shards`, `data.manifest`), so
`open_source` reads it like any other. Until its manifest is there, `.work/` holds the request and a
note for each finished shard, and the same command continues. Pictures are read, translated and
written shard by shard, a few at once on all devices, here or by the workers of an engine; memory
does not grow.
"""

import collections
import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.data import images, manifest, notes, records, shards, stored
from tfcyclegan.data.domains import Split
from tfcyclegan.data.labels import Labelling
from tfcyclegan.data.source import MANIFEST, DataSource, Example
from tfcyclegan.data.values import Values
from tfcyclegan.engines import results
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.system import files
from tfcyclegan.system.parallel import Stages
from tfcyclegan.system.progress import Progress, log
from tfcyclegan.translation.elsewhere import Elsewhere, opened
from tfcyclegan.translation.measured_files import RESIZED, count, unmarked_gaps
from tfcyclegan.translation.translators import (
    AT_ONCE,
    NEAREST_ALONE,
    Translator,
    give_up,
    machines,
    record_of,
)
from tfcyclegan.translation.value_pair import network_size

_Stored = records.Picture | records.StoredArray

SHARD_PICTURES = 500
"""Most pictures per shard, since an interrupted shard is translated again."""
LABEL_RESIZED = "label resized with its picture, by nearest pixels"
NO_LABELS = notes.LeftOut("labels of pictures that became measurements")


def translate_data(
    translators: Sequence[Translator],
    source: DataSource,
    splits: Sequence[str],
    output: Path,
    *,
    scale: images.Scale | None,
    command: str = "",
    elsewhere: Elsewhere | None = None,
) -> None:
    """Translates splits of a data set into a data set in `output`, or continues an interrupted
    translation.

    Args:
        translators: copies of one translator, one for each device.
        source: the data set.
        splits: its splits to translate; they keep their names.
        output: directory of the new data set.
        scale: resizes pictures first, and their labels by the nearest pixel; measurements only for
            the network. None keeps sizes, and labels byte for byte.
        command: the command line, for the manifest.
        elsewhere: the workers that translate; None translates here.

    Raises:
        UserError: no such split, or `output` holds something else.
        RunError: the data set is damaged, the disk is full, or the translator's output is not
            finite.
    """
    for split in splits:
        source.require(split)
    with_labels = [split for split in splits if split in source.labelled]
    labelled = [] if translators[0].values.written else with_labels
    unlabelled = tuple(split for split in splits if split not in labelled)
    labelling = (
        Labelling(source.require_labels(labelled[0]), unlabelled) if labelled else Labelling()
    )
    if len(set(splits)) < len(splits):
        raise UserError(f"--split={','.join(splits)}: names a split twice")
    name = f"{source.name}_translated"
    request = {
        "name": name,
        "settings": record_of(translators[0], scale),
        "inputs": dict.fromkeys(splits, source.fingerprint),
    }
    try:
        output.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(
            f"--output_data={output}: is a file, but a directory is needed; choose another"
        ) from error
    with files.exclusive_lock(output):
        if (output / MANIFEST).exists():
            made = files.read_json(output / MANIFEST)
            with files.understanding(output / MANIFEST):
                _refuse_other(output, made.get("request"), request)
            files.remove(output / shards.WORK, ignore_errors=True)
            log(f"{output}: already complete: {manifest.counts(made)}")
            return
        _claim(output, request)
        for split in with_labels if not labelled else ():
            log(
                f"{Split(source, split)}: its labels are left out, since a data set of "
                "measurements holds none"
            )
        written = _write_shards(
            translators,
            source,
            splits,
            output,
            name,
            scale,
            no_label=records.NO_LABEL if labelled else None,
            elsewhere=elsewhere,
        )
        made = manifest.make(
            name=name,
            command=command,
            request=request,
            max_bad=0,
            notes=written,
            labelling=labelling,
            left_out=source.left_out,
            values=_values(translators[0], splits),
        )
        manifest.write_tfds_metadata(output, output / shards.WORK / "metadata", made)
        files.write_json(output / MANIFEST, made)
        files.remove(output / shards.WORK)
        unit = "array" if source.values else "picture"
        for line in manifest.summary(made, unit=unit):
            log(f"{output}: {line}")


def _values(model: Translator, splits: Sequence[str]) -> dict[str, Values]:
    """The meaning of the translations' numbers, by the letter of their splits."""
    written = model.values.written
    if written is None:
        return {}
    return {split[-1] if split[-1] in "AB" else "": written for split in splits}


def _claim(output: Path, request: dict[str, Any]) -> None:
    """Reserves the directory for this request, or raises UserError if it belongs to another."""
    path = output / shards.WORK / "request.json"
    if path.exists():
        with files.understanding(path):
            _refuse_other(output, files.read_json(path), request)
    elif any(entry.name not in (".lock", shards.WORK) for entry in output.iterdir()):
        raise UserError(
            f"--output_data={output}: is not empty but holds no translated data; choose another "
            "directory"
        )
    files.write_json(path, request)


def _refuse_other(output: Path, there: dict[str, Any] | None, here: dict[str, Any]) -> None:
    if there is not None and "settings" in there:
        there = {**there, "settings": notes.completed(there["settings"], here["settings"])}
    if there == here:
        return
    differs = "is from another program"
    if (
        there is not None
        and "direction" not in there["settings"]
        and "model" not in there["settings"]
    ):
        differs = "holds data that were not translated"
    elif there is not None:
        parts = {
            "settings": "another model or scale",
            "inputs": "other data or splits",
            "name": "other data or splits",
        }
        differs = (
            "holds a translation by or of "
            f"{next(what for key, what in parts.items() if there[key] != here[key])}"
        )
    raise UserError(f"--output_data={output}: {differs}; choose another directory")


@dataclass(frozen=True)
class _Scaled:
    """An example whose picture, uint8 [H, W, C], is first resized and later translated."""

    example: Example
    picture: np.ndarray
    resized: bool


@dataclass(frozen=True)
class _Shard:
    """A shard to write: its file, and which pictures of its split it holds."""

    split: str
    file: str
    part: range


def _write_shards(
    translators: Sequence[Translator],
    source: DataSource,
    splits: Sequence[str],
    output: Path,
    name: str,
    scale: images.Scale | None,
    *,
    no_label: records.Label | None,
    elsewhere: Elsewhere | None,
) -> dict[str, list[dict[str, Any]]]:
    """Writes the missing shards; returns the notes of all shards."""
    planned = {
        split: [
            _Shard(split, file, part)
            for file, part in shards.plan(name, split, source.counts[split], _wanted(source, split))
        ]
        for split in splits
    }
    done = {
        shard.file: note
        for split in splits
        for shard in planned[split]
        if (note := shards.finished(output, shard.file)) is not None
    }
    total = sum(source.counts[split] for split in splits)
    before = sum(note["records"] for note in done.values())
    if done:
        log(
            f"{output}: continues; {len(done)} of {sum(map(len, planned.values()))} shards are "
            "finished"
        )
    for split in splits:
        if scale and Split(source, split).holds_label_maps:
            log(f"{Split(source, split)} is label maps: {NEAREST_ALONE}")
    with Progress(total, unit="image", label="translating", done=before) as progress:
        if elsewhere is not None:
            todo = [shard for split in splits for shard in planned[split] if shard.file not in done]
            make = functools.partial(
                _writer,
                elsewhere.open,
                translators[0].identity,
                source,
                output.resolve(),
                scale,
                no_label,
            )
            written = results(
                elsewhere.engine,
                make,
                todo,
                output / shards.WORK,
                finished=lambda shard: progress.advance(len(shard.part)),
            )
            done |= {note["file"]: note for note in written}
        else:
            write = functools.partial(
                _write_shard, translators, scale=scale, no_label=no_label, progress=progress
            )
            for split in splits:
                examples = source.examples(split)
                for shard in planned[split]:
                    mine = itertools.islice(examples, len(shard.part))
                    if shard.file in done:
                        collections.deque(mine, maxlen=0)
                        continue
                    note = write(Split(source, split), shard.file, mine, output)
                    shards.write_note(output, note)
                    done[shard.file] = note
                next(examples, None)  # reads to the end, where the counts are checked
    return {split: [done[shard.file] for shard in planned[split]] for split in splits}


def _writer(
    open_: Callable[[], Sequence[Translator]],
    identity: dict[str, Any],
    source: DataSource,
    output: Path,
    scale: images.Scale | None,
    no_label: records.Label | None,
) -> Callable[[_Shard], dict[str, Any]]:
    """Writes one shard and its note, on a worker."""
    translators = opened(open_, identity)

    def write(shard: _Shard) -> dict[str, Any]:
        examples = source.part(shard.split, shard.part).examples(shard.split)
        attempt = functools.partial(
            _write_shard,
            translators,
            Split(source, shard.split),
            shard.file,
            examples,
            scale=scale,
            no_label=no_label,
        )
        return shards.by_one_worker(output, shard.file, attempt)

    return write


def _write_shard(
    translators: Sequence[Translator],
    split: Split,
    file: str,
    examples: Iterator[Example],
    directory: Path,
    *,
    scale: images.Scale | None,
    no_label: records.Label | None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Writes a shard of the translations of `examples`; returns its note."""
    noted: list[str] = []
    tallies: list[Counter[str]] = []
    stages = _stages(translators, split, scale, directory, no_label, noted, tallies)
    written = shards.write(directory / file, _watched(stages.of(examples), progress))
    counts = notes.counted(noted)
    return written | {
        "bad": [],
        "notes": counts[notes.CONVERSIONS],
        "left_out": counts[notes.LEFT_OUT],
        **({"tally": dict(sum(tallies, Counter()))} if tallies else {}),
    }


def _wanted(source: DataSource, split: str) -> int:
    return -(-source.counts[split] // SHARD_PICTURES)


def _watched(pictures: Iterator[_Stored], progress: Progress | None) -> Iterator[_Stored]:
    for picture in pictures:
        yield picture
        if progress is not None:
            progress.advance()


def _stages(
    translators: Sequence[Translator],
    split: Split,
    scale: images.Scale | None,
    output: Path,
    no_label: records.Label | None,
    noted: list[str],
    tallies: list[Counter[str]],
) -> Stages[Example, _Scaled, _Scaled, _Stored]:
    """The stages from an example to the picture or array to store; `noted` receives the notes on
    it, `tallies` the counts of its values.
    """
    channels, values = translators[0].channels, translators[0].values
    unmarked = unmarked_gaps(values.written)

    def named(example: Example, error: RunError) -> RunError:
        return RunError(f"{split.source.directory}: {example.filename}: {error}")

    def decode(example: Example) -> _Scaled:
        if example.array is not None:
            own = Size(*example.array.shape[:2])
            if network_size(own, scale) != own:
                noted.append(RESIZED)
            if unmarked and split.values and split.values.invalid(example.array).any():
                noted.append(unmarked)
            return _Scaled(example, example.array, False)
        recoloured: set[str] = set()
        try:
            image, decoded = stored.decode(split.source, example.encoded, channels, recoloured)
        except RunError as error:
            raise named(example, error) from error
        noted.extend(
            (decoded.notes if decoded else set())
            | recoloured
            | images.notes_of(image, channels, scale)
        )
        scaled = scale(image, nearest=split.holds_label_maps) if scale else image
        return _Scaled(example, images.to_array(scaled), scaled.size != image.size)

    def translate(machine: Callable[[np.ndarray], np.ndarray], scaled: _Scaled) -> _Scaled:
        try:
            return dataclasses.replace(scaled, picture=machine(scaled.picture))
        except RunError as error:
            raise named(scaled.example, error) from error

    def encode(translated: _Scaled) -> _Stored:
        example, (height, width) = translated.example, translated.picture.shape[:2]
        if values.written is not None:
            tallies.append(count(values.written, translated.picture))
            if example.label is not None:
                noted.append(NO_LABELS)
            return records.StoredArray.of(
                translated.picture,
                values.written.dtype,
                filename=example.filename,
                group=example.group or example.filename,
                plane=example.plane,
            )
        label = example.label
        if label is not None and translated.resized:
            noted.append(LABEL_RESIZED)
            ids = images.resize(images.decode(label.encoded, 1), Size(height, width), nearest=True)
            label = records.Label(images.encode_png(images.to_array(ids)), label.filename)
        return records.Picture(
            images.encode_png(translated.picture),
            "png",
            example.filename,
            height,
            width,
            label or no_label,
        )

    measured = split.values is not None
    copies = (
        [
            functools.partial(translator, scratch=output, scale=scale)
            for _ in range(AT_ONCE)
            for translator in translators
        ]
        if measured
        else machines(translators, output, nearest=split.holds_label_maps)
    )
    placed = [functools.partial(translate, machine) for machine in copies]
    return Stages(decode, placed, encode, lambda: give_up(translators))
