"""Sharded TFRecord files: naming, dividing, writing and reading. `manifest` describes a data set of
them.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tfcyclegan.data import records
from tfcyclegan.errors import RunError
from tfcyclegan.system import files

SHARD_BYTES = 100_000_000
_HEADER, _FOOTER = 12, 4  # bytes of a TFRecord before and behind its content
WORK = ".work"
"""Folder beside the shards that holds a note on each finished shard until the manifest exists."""


def plan(name: str, split: str, pictures: int, wanted: int) -> list[tuple[str, range]]:
    """Divides `pictures` into at most `wanted` shards of nearly equal counts: file names and the
    range of pictures in each.
    """
    count = max(1, min(wanted, pictures))
    edges = [pictures * index // count for index in range(count + 1)]
    return [
        (f"{name}-{split}.tfrecord-{index:05d}-of-{count:05d}", range(*edges[index : index + 2]))
        for index in range(count)
    ]


def write(path: Path, pictures: Iterable[records.Picture | records.StoredArray]) -> dict[str, Any]:
    """Writes a shard, which gets its final name only once it is complete.

    Returns:
        The manifest's entry for it: file, records, bytes, sha256.

    Raises:
        RunError: it cannot be written.
    """
    import tensorflow as tf

    count = 0
    try:
        # TensorFlow's writer opens the temporary file by name; `atomic_file` flushes and renames it
        with files.atomic_file(path) as stream:
            with tf.io.TFRecordWriter(str(stream.name)) as writer:
                for picture in pictures:
                    writer.write(records.serialize(picture))
                    count += 1
            digest, size = files.sha256_of(Path(stream.name)), Path(stream.name).stat().st_size
    except tf.errors.OpError as error:
        raise RunError(
            f"{path}: cannot be written ({error.message}); free some disk space, then run the same "
            "command again"
        ) from error
    return {"file": path.name, "records": count, "bytes": size, "sha256": digest}


def read(path: Path) -> Iterator[tuple[int, bytes]]:
    """The records of a shard in order, each with the byte at which it starts.

    Raises:
        tf.errors.OpError: it cannot be read, or a checksum of the format differs.
    """
    import tensorflow as tf

    offset = 0
    # tf.data takes ten times as long for each record
    for record in tf.compat.v1.io.tf_record_iterator(str(path)):
        yield offset + _HEADER, record
        offset += _HEADER + len(record) + _FOOTER


def write_note(directory: Path, note: dict[str, Any]) -> None:
    """Records that a shard in `directory` is finished; `note` is the result of `write`, with
    further entries for the manifest.
    """
    files.write_json(_note_path(directory, note["file"]), note)


def finished(directory: Path, file: str) -> dict[str, Any] | None:
    """The note of a shard that an earlier run has finished."""
    path = _note_path(directory, file)
    if not path.exists() or not (directory / file).exists():
        return None
    note = files.read_json_object(path)
    return (
        note
        if note.get("file") == file and (directory / file).stat().st_size == note.get("bytes")
        else None
    )


def by_one_worker(
    directory: Path, file: str, attempt: Callable[[Path], dict[str, Any]]
) -> dict[str, Any]:
    """Writes a shard that other workers may be writing as well, and its note; the first to finish
    it counts, and one that is finished is not written again.

    Args:
        directory: the directory of the shards.
        file: name of the shard.
        attempt: writes it into the folder that it is given, and returns its note.

    Returns:
        The note of the shard that is there.
    """
    if (there := finished(directory, file)) is not None:
        return there
    folder = directory / WORK / uuid.uuid4().hex
    try:
        note = attempt(folder)
        if (there := finished(directory, file)) is not None:
            return there
        os.replace(folder / file, directory / file)
        write_note(directory, note)
        return note
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def forget(directory: Path, file: str) -> None:
    """Marks a shard as not finished."""
    files.remove(_note_path(directory, file))


def _note_path(directory: Path, file: str) -> Path:
    return directory / WORK / f"{file}.json"
