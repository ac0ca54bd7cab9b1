"""Reads pictures back from a TFDS directory: one that `data_prep` made, or any other with an "image" feature."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfcyclegan import files
from tfcyclegan.data.records import IMAGE_KEY
from tfcyclegan.errors import RunError, UserError

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class DataSource:
    """An opened data set.

    Attributes:
        directory: where it lies.
        name: what it is called.
        fingerprint: identity of its content, whatever the path.
        counts: pictures in each split.
    """

    directory: Path
    name: str
    fingerprint: str
    counts: dict[str, int]
    _builder: Any
    _nested: bool

    def pictures(self, split: str) -> Iterator[tuple[str, bytes]]:
        """(file name, encoded bytes) of every picture of `split`, in stored order, read in bounded memory.

        Raises:
            UserError: no such split.
            RunError: a damaged or incomplete shard.
        """
        import tensorflow as tf
        import tensorflow_datasets as tfds

        self.require(split)
        skip = tfds.decode.SkipDecoding()
        decoders = {IMAGE_KEY: {"encoded": skip} if self._nested else skip}
        config = tfds.ReadConfig(interleave_cycle_length=1, add_tfds_id=True, try_autocache=False)
        read = 0
        try:
            for example in self._builder.as_dataset(split=split, decoders=decoders, read_config=config).as_numpy_iterator():
                image = example[IMAGE_KEY]
                if self._nested:
                    yield image["filename"].decode("utf-8", "surrogateescape"), image["encoded"]
                else:
                    yield example["tfds_id"].decode(), image
                read += 1
        except (
            tf.errors.DataLossError,
            tf.errors.NotFoundError,
            tf.errors.InvalidArgumentError,
            tf.errors.FailedPreconditionError,  # fewer records than dataset_info.json says
        ) as error:
            reason = re.sub(r"{{.*?}} |;? ?\[Op:.*", "", str(error).splitlines()[0])
            raise RunError(f"{self.directory}: split {split} is damaged after picture {read} ({reason}); prepare the data again") from error
        if read != self.counts[split]:
            raise RunError(f"{self.directory}: split {split} has {read} of {self.counts[split]} pictures; prepare the data again")

    def require(self, split: str) -> None:
        """Raises UserError when `split` is missing or empty."""
        if not self.counts.get(split):
            raise UserError(
                f"{self.directory}: no pictures in split {split}; it has {', '.join(f'{k} ({v})' for k, v in self.counts.items())}"
            )


def open_source(directory: Path) -> DataSource:
    """Opens a TFDS directory (the one that holds `dataset_info.json`).

    Raises:
        UserError: missing, unfinished, or without an image feature.
    """
    if not directory.is_dir():
        raise UserError(f"--data_dir={directory}: no such directory; make it with python -m data_prep.folders")
    if not (directory / "dataset_info.json").exists():
        raise UserError(
            f"--data_dir={directory}: no finished data set (dataset_info.json is missing); prepare it with python -m data_prep.folders"
        )
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(str(directory))
    except Exception as error:  # TFDS raises whatever its parsers raise
        raise UserError(f"--data_dir={directory}: not readable as a TFDS data set ({error})") from error
    features = builder.info.features
    if not isinstance(features, tfds.features.FeaturesDict) or IMAGE_KEY not in features:
        raise UserError(f"--data_dir={directory}: its examples have no {IMAGE_KEY!r} feature")
    nested = not isinstance(features[IMAGE_KEY], tfds.features.Image)
    counts = {name: split.num_examples for name, split in builder.info.splits.items()}
    return DataSource(directory, builder.info.name, _fingerprint(directory), counts, builder, nested)


def _fingerprint(directory: Path) -> str:
    """The manifest's hash; for a foreign data set, a hash over its metadata and the names and sizes of its files."""
    if (directory / MANIFEST).exists():
        return files.read_json(directory / MANIFEST)["fingerprint"]
    shards = sorted((path.name, path.stat().st_size) for path in directory.iterdir() if ".tfrecord" in path.name)
    return files.sha256_of_json([shards, (directory / "dataset_info.json").read_text()])
