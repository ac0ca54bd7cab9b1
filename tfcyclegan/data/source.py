"""Reads pictures back from a TFDS data set: one that `data_prep` made, or any other with an "image"
feature.

A place is a directory that holds `dataset_info.json`, or `tfds:NAME` or `tfds:NAME/CONFIG` for a
data set that TFDS itself knows, such as `tfds:cycle_gan/horse2zebra`: it is downloaded at first
use, to ~/tensorflow_datasets or $TFDS_DATA_DIR; or `module:function` for pictures that the user's
own function returns, see `own_pictures`.
"""

import dataclasses
import functools
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.config import INTERPOLATIONS
from tfcyclegan.data.labels import CITYSCAPES, ClassTable
from tfcyclegan.data.records import IMAGE_KEY, LABEL_KEY, Example
from tfcyclegan.data.tfds_records import Place, Records, TfdsRecords
from tfcyclegan.data.tfds_sets import CATALOGUE, check_directory, open_builder
from tfcyclegan.data.values import Values
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.system import downloads, files, functions
from tfcyclegan.system.progress import log

MANIFEST = "manifest.json"
CACHE = ".cache"
SYNTHETIC = "synthetic"
"""The setting that says that a program drew the pictures of a data set."""
LABEL_MAPS = "label_maps"
"""The setting `content` of a data set whose pictures are all label maps; in other data sets, the
manifest's key for the splits that are.
"""
UNLABELLED = "unlabelled"
"""The manifest's key for the splits without labels in a data set that has labels."""
TWINS = "twins"
"""The manifest's key for the pictures that a training split shares with another split: {"testA in
trainA": pictures}.
"""
ALIGNED = "aligned"
"""The manifest's key for the purposes ("train", "test", "val") whose pictures in both domains are
pairs with equal names.
"""
VALUES = "values"
"""The manifest's key for the meaning of measurements' numbers: {"A": ..., "B": ...}."""


@dataclass(frozen=True)
class DataSource:
    """An opened data set.

    Attributes:
        directory: its directory or, for pictures from a function, the function's reference.
        name: its name.
        fingerprint: identity of its content, independent of the path.
        counts: pictures in each split.
        labelled: the splits whose pictures have maps of class ids.
        label_maps: the splits whose pictures are label maps in the colours of their classes, which
            are only resized by nearest pixels.
        synthetic: whether a program drew the pictures (data_prep.toy_street), which every result on
            them states.
        classes: the table of its label ids and label maps from its manifest; None if it has none.
        settings: the settings of its preparation, from its manifest.
        left_out: features of its examples that are never read: {feature: examples}.
        twins: pictures that two splits share, from its manifest: {"testA in trainA": pictures}.
        aligned: the purposes ("train", "test", "val") whose pictures of both domains are pairs with
            equal names, from its manifest.
        values: the meaning of measurements' numbers, by the letter of the domain ("A", "B", or ""
            for splits without one); domains of pictures are not included.
        cache: the default directory of its resized pictures.
    """

    directory: Path
    name: str
    fingerprint: str
    counts: dict[str, int]
    labelled: frozenset[str]
    label_maps: frozenset[str]
    synthetic: bool
    classes: ClassTable | None
    settings: dict[str, Any]
    left_out: dict[str, int]
    twins: dict[str, int]
    aligned: frozenset[str]
    values: dict[str, Values]
    cache: Path
    _records: Records
    # by split: name, bytes and sha256 from the manifest; empty for a foreign data set
    _shards: dict[str, list[tuple[str, int, str]]]

    @property
    def foreign(self) -> bool:
        """Whether another program stored the pictures, which may then have any bit depth and
        transparency.
        """
        return not self._shards

    @property
    def interpolation(self) -> str:
        """The filter with which data_prep or `translate` resized its pictures."""
        scale = str(self.settings.get("scale", "")).split()
        name = self.settings.get("interpolation") or (scale or [""])[-1]
        return name if name in INTERPOLATIONS else "bicubic"

    def pictures(self, split: str) -> Iterator[tuple[str, bytes]]:
        """(file name, encoded bytes) of every picture of `split`, in stored order, read in bounded
        memory.

        Raises:
            UserError: no such split.
            RunError: a damaged or incomplete shard.
        """
        values = self.values_of(split)
        if values is not None:
            raise UserError(
                f"{self.directory}: split {split} holds measurements ({values.dtype}, "
                f"{values.channels} channels), but pictures are needed here"
            )
        return ((example.filename, example.encoded) for example in self.examples(split))

    def arrays(self, split: str) -> Iterator[tuple[str, np.ndarray]]:
        """Like `pictures`, for a split of measurements: (name, values [h, w, C])."""
        return (
            (example.filename, example.array)
            for example in self.examples(split)
            if example.array is not None
        )

    def identity_of(self, split: str) -> dict[str, str]:
        """What identifies the pictures of `split` in the records of results made from them."""
        return {"data": self.fingerprint, "split": split}

    def values_of(self, split: str) -> Values | None:
        """The meaning of `split`'s numbers; None for pictures."""
        return self.values.get(split[-1] if split[-1] in "AB" else "")

    def labelled_pictures(self, split: str) -> Iterator[tuple[str, bytes, bytes]]:
        """Like `pictures`, with the encoded map of class ids as third item.

        Raises:
            UserError: the split has no labels.
        """
        self.require_labels(split)
        return (
            (example.filename, example.encoded, example.label.encoded)
            for example in self.examples(split)
            if example.label
        )

    def examples(self, split: str) -> Iterator[Example]:
        """The complete record of every picture of `split`; otherwise like `pictures`."""
        return (example for example, _ in self.placed_examples(split))

    def placed_examples(self, split: str) -> Iterator[tuple[Example, Place]]:
        """Like `examples`, each with its place, by which `example_at` reads it."""
        self.require(split)
        self._check_shards(split)
        read = 0
        try:
            for example, place in self._records.placed(split):
                yield self._typed(split, example), place
                read += 1
        except UserError:
            raise
        # on damaged records TensorFlow and TFDS may raise almost anything
        except Exception as error:
            reason = re.sub(
                r"{{.*?}} |;? ?\[Op:.*", "", (str(error).splitlines() or [type(error).__name__])[0]
            )[:500]
            raise RunError(
                f"{self.directory}: split {split} is damaged after picture {read} ({reason}); "
                "prepare the data again"
            ) from error
        if read != self.counts[split]:
            raise RunError(
                f"{self.directory}: split {split} has {read} of {self.counts[split]} pictures; "
                "prepare the data again"
            )

    def part(self, split: str, numbers: range) -> "DataSource":
        """The data set with consecutive pictures of `split` alone, for reading them; the shards of
        others are not read.
        """
        records, there = self._records.part(split, numbers)
        own = self._shards.get(split, [])
        return dataclasses.replace(
            self,
            counts={split: len(numbers)},
            _records=records,
            _shards={split: [own[shard] for shard in there]} if own else {},
        )

    def __reduce__(self) -> Any:
        """Another process opens the data set again, at the same path."""
        own = is_function(self.directory)
        place = str(self.directory if own else self.directory.absolute())
        return _reopened, (place, self.fingerprint)

    def example_at(self, split: str, place: Place) -> Example:
        """The record at a place.

        Raises:
            RunError: it cannot be read, or is not the one that was there.
        """
        return self._typed(split, self._records.at(split, place))

    def require_places(self, split: str) -> None:
        """Checks that `example_at` can read `split`, and that its shards have their sizes.

        Raises:
            UserError: it is stored in another file format.
            RunError: a shard is missing or has another size.
        """
        self._records.require_places()
        self._check_shards(split, whole=False)

    def _typed(self, split: str, example: Example) -> Example:
        values = self.values_of(split)
        if values is None or example.array is None:
            return example
        return dataclasses.replace(example, array=example.array.astype(values.dtype, copy=False))

    def _check_shards(self, split: str, *, whole: bool = True) -> None:
        """Raises RunError if a shard is not the one that was prepared, or without `whole` has not
        its size. TFDS itself would accept another data set's shard with the same number of records.
        """
        shards = self._shards.get(split, ())
        there = {path.name for path in self.directory.iterdir()} if shards else set()
        for file, size, digest in shards:
            path = self.directory / file
            status = path.stat() if file in there and path.is_file() else None
            if status is None:
                what = "is missing"
            elif status.st_size != size:
                what = f"has {status.st_size} bytes, not {size}"
            elif whole and _digest(path, status.st_size, status.st_mtime_ns) != digest:
                what = "is damaged or from another data set: its sha256 differs"
            else:
                continue
            raise RunError(f"{path}: {what}; restore it or prepare the data again")

    def require_labels(self, split: str) -> ClassTable:
        """The table of a split's label ids; the labels of another program, whose metadata has no
        table, are assumed to be those of Cityscapes.

        Raises:
            UserError: the split's pictures have no maps of class ids.
        """
        if split not in self.labelled:
            where = (
                f" in split {split}, only in {', '.join(sorted(self.labelled))}"
                if self.labelled
                else ""
            )
            mend = (
                "folders such as trainA_labels of data_prep.folders, data_prep.gta5, "
                "data_prep.cityscapes"
            )
            raise UserError(
                f"{self.directory}: has no labels{where}; prepare it again with them ({mend})"
            )
        if self.classes is None:
            say_once(
                f"{self.directory}: has no table of classes; its label ids are assumed to be those "
                "of Cityscapes"
            )
        return self.classes or CITYSCAPES

    def require(self, split: str) -> None:
        """Raises UserError if `split` is missing or empty."""
        if not self.counts.get(split):
            there = ", ".join(f"{name} ({count})" for name, count in self.counts.items()) or "none"
            raise UserError(f"{self.directory}: no pictures in split {split}; it has {there}")


@functools.cache
def say_once(line: str) -> None:
    """Prints a line once per process, since a command may open a data set several times."""
    log(line)


@functools.cache
def _digest(path: Path, size: int, changed: int) -> str:
    """The hash of a file with this size and modification time: a split is read several times but
    hashed once.
    """
    return files.sha256_of(path)


def open_source(place: str | Path) -> DataSource:
    """Opens a TFDS directory (the one that holds `dataset_info.json`); as `tfds:NAME`, a data set
    of the TFDS catalogue; or as `module:function`, the user's own pictures.

    Raises:
        UserError: the data set is missing, incomplete, without an image feature, or cannot be
            downloaded; or `own_pictures` refuses it.
    """
    if is_function(place):
        return _from_function(str(place))
    builder, nested = open_builder(place)
    import tensorflow_datasets as tfds

    features = builder.info.features
    has_labels = LABEL_KEY in features and isinstance(
        features[LABEL_KEY], tfds.features.FeaturesDict
    )
    counts = {name: split.num_examples for name, split in builder.info.splits.items()}
    directory = Path(builder.data_dir)
    made = _manifest(directory) or {}
    with files.understanding(directory / MANIFEST):
        settings = made.get("request", {}).get("settings", {})
        label_maps = frozenset(
            counts if settings.get("content") == LABEL_MAPS else made.get(LABEL_MAPS, ())
        )
        labelled = frozenset(counts.keys() - made.get(UNLABELLED, ()) if has_labels else ())
        twins = {str(where): int(count) for where, count in made.get(TWINS, {}).items()}
        aligned = frozenset(map(str, made.get(ALIGNED, ())))
        classes, synthetic = _classes(made, directory), bool(settings.get(SYNTHETIC))
        values = {
            str(domain): Values.from_json(stored) for domain, stored in made.get(VALUES, {}).items()
        }
        shards = {
            name: [
                (Path(shard["file"]).name, shard["bytes"], shard["sha256"])
                for shard in split["shards"]
            ]
            for name, split in made.get("splits", {}).items()
        }
    left_out = {
        f"feature {name!r}": sum(counts.values())
        for name in sorted(features)
        if name != IMAGE_KEY and not (name == LABEL_KEY and labelled)
    }
    if left_out:
        log(f"{place}: not used: {', '.join(left_out)}; its pictures are the feature {IMAGE_KEY!r}")
    if twins:
        shared = ", ".join(f"{where}: {count}" for where, count in twins.items())
        log(f"{place}: warning: the same pictures are in two splits, byte for byte: {shared}")
    return DataSource(
        directory,
        builder.info.name,
        _fingerprint(directory),
        counts,
        labelled,
        label_maps,
        synthetic,
        classes,
        settings,
        left_out,
        twins,
        aligned,
        values,
        directory / CACHE,
        TfdsRecords(builder, nested, labelled),
        shards,
    )


def _reopened(place: str, fingerprint: str) -> DataSource:
    source = open_source(place)
    if source.fingerprint != fingerprint:
        raise RunError(
            f"{place}: holds other data on {socket.gethostname()}; all workers must see the same"
        )
    return source


def is_function(place: str | Path) -> bool:
    """Whether a place names a user's function."""
    text = str(place)
    named = functions.is_reference(text) and not text.startswith(CATALOGUE)
    return named and not Path(text).exists()


def _from_function(place: str) -> DataSource:
    from tfcyclegan.data import own_pictures

    own = own_pictures.open_own(place)

    return DataSource(
        directory=Path(place),
        name=place,
        fingerprint=own.fingerprint(),
        counts=own.counts,
        labelled=frozenset(),
        label_maps=frozenset(),
        synthetic=False,
        classes=None,
        settings={},
        left_out={},
        twins={},
        aligned=frozenset(),
        values=own.values,
        cache=downloads.cache_directory() / "pixels" / place.replace(":", "."),
        _records=own,
        _shards={},
    )


def check_places(data_dir: str) -> None:
    """Raises UserError if a directory that `data_dir` names is not a complete data set; needs no
    TensorFlow.
    """
    for place in [data_dir] if Path(data_dir).is_dir() else data_dir.split(","):
        if place and not place.startswith(CATALOGUE) and not is_function(place):
            check_directory(Path(place))


def _classes(made: dict[str, Any], directory: Path) -> ClassTable | None:
    return (
        ClassTable.from_json(made["classes"], directory / MANIFEST) if "classes" in made else None
    )


def _manifest(directory: Path) -> dict[str, Any] | None:
    """The manifest that `data_prep` wrote; None for a foreign data set."""
    if not (directory / MANIFEST).exists():
        return None
    made = files.read_json(directory / MANIFEST)
    if not isinstance(made, dict) or not isinstance(made.get("fingerprint"), str):
        raise UserError(
            f"{directory / MANIFEST}: damaged, it has no fingerprint; restore it or prepare the "
            "data again"
        )
    return made


def _fingerprint(directory: Path) -> str:
    """The manifest's hash; for a foreign data set, a hash over its metadata and the names and sizes
    of its files.
    """
    made = _manifest(directory)
    if made is not None:
        return made["fingerprint"]
    shards = sorted(
        (path.name, path.stat().st_size) for path in directory.iterdir() if ".tfrecord" in path.name
    )
    return files.sha256_of_json([shards, (directory / "dataset_info.json").read_text()])
