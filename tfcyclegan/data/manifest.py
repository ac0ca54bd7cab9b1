"""The description of a prepared directory: `manifest.json`, the TFDS metadata, and the summary on
the screen.
"""

import collections
import contextlib
import io
import platform
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import PIL

from tfcyclegan import __version__
from tfcyclegan.data import notes as picture_notes
from tfcyclegan.data import records
from tfcyclegan.data.labels import CITYSCAPES, Labelling
from tfcyclegan.data.source import LABEL_MAPS, UNLABELLED, VALUES
from tfcyclegan.data.values import Values
from tfcyclegan.errors import RunError
from tfcyclegan.system import files
from tfcyclegan.system.progress import quantity

TFDS_FILES = ("features.json", "dataset_info.json")
TALLIES = "counted_values"
"""Key of the counts of values of each split of measurements: {split: {ALL: n, INVALID: n, CLIPPED:
n}}.
"""
ALL, INVALID, CLIPPED = "all", "invalid", "clipped"


def bad_files(notes: Iterable[Mapping[str, Any]]) -> list[Mapping[str, str]]:
    """The entry of each bad file of a split, from the notes of its shards: a large file is stored
    in parts, which may all be bad.
    """
    found: dict[str, Mapping[str, str]] = {}
    for note in notes:
        for entry in note["bad"]:
            found.setdefault(entry["file"], entry)
    return list(found.values())


def make(
    *,
    name: str,
    command: str,
    request: Mapping[str, Any],
    max_bad: int,
    notes: Mapping[str, Sequence[Mapping[str, Any]]],
    labelling: Labelling,
    left_out: Mapping[str, int] | None = None,
    values: Mapping[str, Values] | None = None,
) -> dict[str, Any]:
    """The manifest's content.

    Args:
        name: the data set's name.
        command: the command that made it.
        request: everything that determined its content.
        max_bad: number of bad pictures that were allowed.
        notes: by split, the note of each shard: file, records, bytes, sha256, bad, notes, left_out,
            largest.
        labelling: a description of its labels.
        left_out: what was not used in addition to the shards' notes, such as files of other kinds.
        values: the meaning of measurements' numbers, by domain.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    splits = {
        split: {
            "records": sum(shard["records"] for shard in shards),
            "bytes": sum(shard["bytes"] for shard in shards),
            "quarantined": len(bad_files(shards)),
            "shards": [
                {key: shard[key] for key in ("file", "records", "bytes", "sha256")}
                for shard in shards
            ],
        }
        for split, shards in notes.items()
    }
    conversions: collections.Counter[str] = collections.Counter()
    not_used = collections.Counter(left_out or {})
    for shards in notes.values():
        for shard in shards:
            conversions.update(shard["notes"])
            # shards of an older version lack this entry
            not_used.update(shard.get("left_out", {}))
    largest = {
        split: max((shard.get("largest", 0) for shard in shards), default=0)
        for split, shards in notes.items()
    }
    meaning = _meaning(labelling)
    measured = {domain: each.to_json() for domain, each in (values or {}).items()}
    tallies: dict[str, Any] = {split: collections.Counter() for split in notes if measured}
    for split in tallies:
        for shard in notes[split]:
            tallies[split].update(shard.get("tally", {}))
    content: Any = {split: [shard["sha256"] for shard in shards] for split, shards in notes.items()}
    # the same bytes with another meaning are other data
    identity = (
        content
        if labelling.classes in (None, CITYSCAPES) and not labelling.label_maps
        else [content, meaning]
    )
    if measured:
        identity = [content, measured]
    return {
        "format": files.FORMAT,
        "name": name,
        "fingerprint": files.sha256_of_json(identity),
        "command": command,
        "request": request,
        "max_bad": max_bad,
        "splits": splits,
        **picture_notes.count(conversions, not_used),
        **({picture_notes.LARGEST: largest} if any(largest.values()) else {}),
        **meaning,
        **({VALUES: measured, TALLIES: tallies} if measured else {}),
        "versions": {
            "tfcyclegan": __version__,
            "python": platform.python_version(),
            "pillow": PIL.__version__,
            "tensorflow": tf.__version__,
            "tensorflow_datasets": tfds.__version__,
        },
    }


def _meaning(labelling: Labelling) -> dict[str, Any]:
    parts = {
        "classes": labelling.classes.to_json() if labelling.classes else None,
        UNLABELLED: list(labelling.unlabelled),
        LABEL_MAPS: list(labelling.label_maps),
    }
    return {key: value for key, value in parts.items() if value}


def counts(made: Mapping[str, Any]) -> str:
    """One line with the number of pictures of each split."""
    return (
        ", ".join(f"{name} {split['records']}" for name, split in made["splits"].items())
        + " pictures"
    )


def summary(
    made: Mapping[str, Any], hints: Mapping[str, str] | None = None, *, unit: str = "picture"
) -> list[str]:
    """The report at the end of a run, line by line; `hints` and `unit` as for `notes.lines`."""
    shards = [shard for split in made["splits"].values() for shard in split["shards"]]
    lines = [
        f"{counts(made)} in {len(shards)} shards, "
        f"{sum(shard['bytes'] for shard in shards) / 1e6:.1f} MB"
    ]
    lines += picture_notes.lines(made, hints, unit=unit)
    lines += [_of_values(made, domain) for domain in made.get(VALUES, {})]
    largest = made.get(picture_notes.LARGEST, {})
    # trainA and testA are taken together, since a small split may be dark by chance
    for domain in ("A", "B", ""):
        line = picture_notes.dim(
            max(
                (
                    value
                    for split, value in largest.items()
                    if (split[-1] if split[-1] in "AB" else "") == domain
                ),
                default=0,
            )
        )
        lines += [f"warning: {f'domain {domain}: ' if domain else ''}{line}"] if line else []
    quarantined = sum(split["quarantined"] for split in made["splits"].values())
    if quarantined:
        lines.append(f"{quantity(quarantined, 'bad picture')} left out, listed in quarantine.jsonl")
    return lines


def _of_values(made: Mapping[str, Any], domain: str) -> str:
    """A line on the numbers of one domain of measurements."""
    values = Values.from_json(made[VALUES][domain])
    counted: collections.Counter[str] = collections.Counter()
    for split, tally in made[TALLIES].items():
        if split.endswith(domain):
            counted.update(tally)
    valid = max(counted[ALL] - counted[INVALID], 1)
    parts = [f"{values.dtype}, {quantity(values.channels, 'channel')}, {values.ranges()}"]
    if counted[CLIPPED]:
        parts.append(
            f"{counted[CLIPPED]} values outside the range ({100 * counted[CLIPPED] / valid:.2g} "
            "%), which networks see clipped"
        )
    if counted[INVALID]:
        share = 100 * counted[INVALID] / counted[ALL]
        parts.append(f"{counted[INVALID]} without a measurement ({share:.2g} %)")
    return f"domain {domain}: {'; '.join(parts)}"


def printable(filename: str) -> str:
    """A file's name on one line, printable on any terminal, whatever its bytes."""
    return (
        filename.encode("utf-8", "backslashreplace")
        .decode()
        .replace("\n", "\\n")
        .replace("\r", "\\r")
    )


def write_tfds_metadata(output_dir: Path, staging: Path, made: Mapping[str, Any]) -> None:
    """Reads every record once, compares the counts with the manifest's, and writes TFDS_FILES
    atomically.

    Raises:
        RunError: a shard is damaged or its number of records differs from what was written.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.naming import ShardedFileTemplate

    # TFDS writes its files in place, so they are made next to links to the shards and then moved
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    for split in made["splits"].values():
        for shard in split["shards"]:
            (staging / shard["file"]).symlink_to((output_dir / shard["file"]).resolve())
    template = ShardedFileTemplate(
        data_dir=staging, dataset_name=made["name"], filetype_suffix="tfrecord"
    )
    try:
        # it prints what it detects and has a progress bar that cannot be disabled
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            infos = tfds.folder_dataset.compute_split_info(filename_template=template)
            stored = records.stored_type(each["dtype"] for each in made.get(VALUES, {}).values())
            features = records.features(
                labels="classes" in made, array=stored if VALUES in made else ""
            )
            tfds.folder_dataset.write_metadata(
                data_dir=staging, features=features, split_infos=infos, check_data=True
            )
    except tf.errors.OpError as error:
        raise RunError(
            f"{output_dir}: a shard is damaged ({error.message}); remove the directory and "
            "prepare again"
        ) from error
    found = {info.name: list(info.shard_lengths) for info in infos}
    written = {
        name: [shard["records"] for shard in split["shards"]]
        for name, split in made["splits"].items()
    }
    if found != written:
        raise RunError(
            f"{output_dir}: the shards hold {found} records, but {written} were written; remove "
            "the directory and prepare again"
        )
    for name in TFDS_FILES:
        files.into_place(staging / name, output_dir / name)
