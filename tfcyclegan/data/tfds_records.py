"""The records of a TFDS data set: all of a split in order, or one by its place in a shard.

TFDS itself takes 0.8 ms of processor time for a record, most of it for what pictures do not need;
here it is 0.05 ms. Of data sets in other file formats than TFRecord, TFDS reads the records.
"""

import copy
import functools
import itertools
import operator
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from tfcyclegan.data import shards
from tfcyclegan.data.records import IMAGE_KEY, LABEL_KEY, Example, Label, array_of
from tfcyclegan.data.tfds_sets import ARRAY
from tfcyclegan.errors import RunError, UserError


class Place(NamedTuple):
    """Where a record is.

    Attributes:
        shard: number of its shard in the split.
        number: its number in the shard.
        offset: the byte at which it starts.
        length: its bytes.
        checksum: their CRC-32, of zlib.
    """

    shard: int
    number: int
    offset: int
    length: int
    checksum: int


class Records(Protocol):
    """What a data source reads."""

    def placed(self, split: str) -> Iterator[tuple[Example, Place]]:
        """All records of a split in order, each with its place."""

    def at(self, split: str, place: Place) -> Example:
        """The record at a place."""

    def part(self, split: str, numbers: range) -> "tuple[Records, range]":
        """The same of which `placed` gives only the records of `split` with these consecutive
        numbers, and the numbers of the shards that hold them.
        """

    def require_places(self) -> None:
        """Raises UserError if records cannot be read by their places."""


class TfdsRecords:
    """The records of a TFDS data set.

    Args:
        builder: its TFDS builder.
        nested: whether its image feature holds names, as `records` defines them.
        labelled: the splits with labels.
    """

    def __init__(self, builder: Any, nested: bool, labelled: frozenset[str]):
        self._builder, self._nested, self._labelled = builder, nested, labelled
        feature = builder.info.features[IMAGE_KEY]
        self._dtype = feature[ARRAY].np_dtype if nested and ARRAY in feature else None
        self._format = builder.info.file_format.value
        self._paths: dict[str, list[Path]] = {}
        self._part: range | None = None

    def placed(self, split: str) -> Iterator[tuple[Example, Place]]:
        wanted = self._part or range(sys.maxsize)
        if self._format != "tfrecord":
            nowhere = Place(0, 0, 0, 0, 0)
            examples = itertools.islice(self._by_tfds(split), wanted.start, wanted.stop)
            yield from ((example, nowhere) for example in examples)
            return
        for shard, numbers in enumerate(self._numbers(split)):
            if self._part is not None and not _overlap(numbers, wanted):
                continue
            path = self._shards(split)[shard]
            here = itertools.islice(enumerate(shards.read(path)), wanted.stop - numbers.start)
            for number, (offset, record) in here:
                if numbers.start + number >= wanted.start:
                    place = Place(shard, number, offset, len(record), zlib.crc32(record))
                    yield self._parsed(split, record, f"{path.name}__{number}"), place

    def at(self, split: str, place: Place) -> Example:
        path = self._shards(split)[place.shard]
        try:
            with open(path, "rb", buffering=0) as stream:
                record = os.pread(stream.fileno(), place.length, place.offset)
        except OSError as error:
            raise RunError(
                f"{path}: cannot be read ({error.strerror}); restore it or prepare the data again"
            ) from error
        if len(record) != place.length or zlib.crc32(record) != place.checksum:
            raise RunError(
                f"{path}: is damaged: record {place.number} is not the one that was prepared; "
                "restore it or prepare the data again"
            )
        return self._parsed(split, record, f"{path.name}__{place.number}")

    def part(self, split: str, numbers: range) -> "tuple[TfdsRecords, range]":
        part = copy.copy(self)
        part._part = numbers
        there = [shard for shard, its in enumerate(self._numbers(split)) if _overlap(its, numbers)]
        return part, range(there[0], there[-1] + 1)

    def _numbers(self, split: str) -> list[range]:
        """The numbers of the records in each shard, as the data set's metadata tells them."""
        ends = list(itertools.accumulate(self._builder.info.splits[split].shard_lengths))
        return [range(*edges) for edges in itertools.pairwise([0, *ends])]

    def require_places(self) -> None:
        if self._format != "tfrecord":
            raise UserError(
                f"--cache=none: {self._builder.data_dir} is stored as {self._format}, of which "
                "single records cannot be read; leave the flag out"
            )

    def _shards(self, split: str) -> list[Path]:
        if split not in self._paths:
            self._paths[split] = [Path(p) for p in self._builder.info.splits[split].filepaths]
        return self._paths[split]

    def _parsed(self, split: str, record: bytes, tfds_id: str) -> Example:
        import tensorflow as tf

        features = tf.train.Example.FromString(record).features.feature

        def values(*names: str) -> Any:
            key = "/".join(names)
            if key not in features:  # asking for it would make it
                raise KeyError(key)
            return getattr(features[key], features[key].WhichOneof("kind")).value

        return self._example(split, values, tfds_id)

    def _by_tfds(self, split: str) -> Iterator[Example]:
        """The records of a split in another file format."""
        import tensorflow_datasets as tfds

        skip = tfds.decode.SkipDecoding()
        whole = ARRAY if self._dtype is not None else "encoded"
        decoders: dict[str, Any] = {IMAGE_KEY: {whole: skip} if self._nested else skip}
        if split in self._labelled:
            decoders[LABEL_KEY] = {"encoded": skip}
        config = tfds.ReadConfig(interleave_cycle_length=1, add_tfds_id=True, try_autocache=False)
        stored = self._builder.as_dataset(split=split, decoders=decoders, read_config=config)
        for example in stored.as_numpy_iterator():

            def values(*names: str, example: Any = example) -> Any:
                found = functools.reduce(operator.getitem, names, example)
                return found if isinstance(found, np.ndarray) and found.ndim else [found]

            yield self._example(split, values, text(example["tfds_id"]))

    def _example(self, split: str, values: Callable[..., Any], tfds_id: str) -> Example:
        """A record.

        Args:
            split: its split.
            values: names of nested features -> the stored values of the innermost.
            tfds_id: TFDS's name for it.
        """
        if not self._nested:
            return Example(tfds_id, values(IMAGE_KEY)[0], None)
        name = text(values(IMAGE_KEY, "filename")[0])
        if self._dtype is not None:
            array = {
                "value": values(IMAGE_KEY, ARRAY, "value")[0],
                "shape": values(IMAGE_KEY, ARRAY, "shape"),
            }
            group, plane = text(values(IMAGE_KEY, "group")[0]), int(values(IMAGE_KEY, "plane")[0])
            return Example(name, b"", None, array_of(array, self._dtype), group, plane)
        label = None
        if split in self._labelled:
            try:
                of_label = text(values(LABEL_KEY, "filename")[0])
            except KeyError:
                of_label = ""
            label = Label(values(LABEL_KEY, "encoded")[0], of_label)
        return Example(name, values(IMAGE_KEY, "encoded")[0], label)


def _overlap(one: range, other: range) -> bool:
    return max(one.start, other.start) < min(one.stop, other.stop)


def text(stored: bytes) -> str:
    """A stored name."""
    return stored.decode("utf-8", "surrogateescape")
