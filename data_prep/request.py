"""A script's request to `prepare`: the files to read, by split, and everything that determines the
result.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tfcyclegan.data import intake, records
from tfcyclegan.data.labels import Labelling
from tfcyclegan.data.values import Values
from tfcyclegan.engines import Engine
from tfcyclegan.system import files


@dataclass(frozen=True)
class Taken:
    """A picture to store, notes on it (see `data.notes`), and its largest value as in
    `intake.Decoded`.
    """

    picture: records.Picture
    notes: frozenset[str]
    largest: int = 0
    tally: ClassVar[Mapping[str, int]] = {}

    @property
    def digest(self) -> str:
        """Identifies the same picture in another split."""
        return files.sha256_of_bytes(self.picture.encoded)[:32]


@dataclass(frozen=True)
class TakenArray:
    """An array to store, or None if only its notes remain; notes on it; the counts of its values
    for `manifest.TALLIES`; and whether it is constant, like planes of air, so that another array of
    the same bytes is not reported as its duplicate.
    """

    picture: records.StoredArray | None
    notes: frozenset[str]
    tally: Mapping[str, int] = dataclasses.field(default_factory=dict)
    plain: bool = False
    largest: ClassVar[int] = 0

    @property
    def digest(self) -> str:
        """As in `Taken`; empty if another array of the same bytes is not a duplicate."""
        if self.picture is None or self.plain:
            return ""
        return files.sha256_of_bytes(self.picture.encoded)[:32]


@dataclass(frozen=True)
class Origin:
    """The origin of pictures or arrays.

    Attributes:
        filename: its name in messages.
        size: in bytes, for planning the shards.
    """

    filename: str
    size: int

    def identity(self) -> Any:
        """What determines its records beside the request, as JSON: a shard that an earlier run has
        finished counts only if its sources were the same.
        """
        return self.filename

    def take_all(self, max_pixels: int) -> Sequence[Taken | TakenArray]:
        """Everything to store from it; called once, in a thread.

        Raises:
            OSError: a file cannot be read; it may be repaired, so a rerun tries again.
            intake.BadPicture: with the reason.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Source(Origin):
    """One picture file to read, which is stored under its name.

    Attributes:
        read: returns the file's bytes; called once, in a thread. An OSError makes the picture bad.
    """

    read: Callable[[], bytes]

    def take(self, max_pixels: int) -> tuple[records.Picture, frozenset[str]]:
        """The picture to store, and notes on conversions and omissions (`LeftOut`); raises the
        errors of `take_all`.

        Sources that store more than a file's picture override it.
        """
        return intake.take(self.read(), self.filename, max_pixels=max_pixels)

    def take_all(self, max_pixels: int) -> list[Taken]:
        """All pictures of the file to store. Sources whose files hold several override it."""
        return [Taken(*self.take(max_pixels))]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A data set to prepare.

    Attributes:
        name: the data set's name for TFDS, and the first part of the shards' names.
        command: the command line that requests it, for the manifest.
        splits: sources by split, in the order in which they are stored.
        settings: everything else that determines the result; compared on a rerun.
        usual: values of settings that are not recorded, such as the behaviour before the setting
            existed.
        guessed: the settings that were guessed from the pictures.
        inputs: a digest of each split's input, such as the names, sizes and times of its files;
            compared on a rerun.
        earlier_inputs: other digests of the same input, which earlier versions recorded.
        max_bad: more bad pictures than this fail the run.
        max_pixels: a larger picture is bad.
        shards: files per split, or 0 for files of about `shards.SHARD_BYTES`.
        labelling: a description of the pictures' labels.
        left_out: parts of the input that are not sources, such as files of other kinds: {what:
            count}.
        remarks: further entries of the manifest, by key.
        hints: for each note, the flag that changes what it reports, if the script has one.
        attachments: text files to write beside the manifest, by name.
        values: the meaning of measurements' numbers, by domain; empty for pictures.
        engine: whose workers write the shards; None writes them in this process.
    """

    name: str
    command: str
    splits: Mapping[str, Sequence[Origin]]
    settings: Mapping[str, Any]
    inputs: Mapping[str, Any]
    max_bad: int
    max_pixels: int
    shards: int
    labelling: Labelling = Labelling()
    earlier_inputs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    usual: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    guessed: frozenset[str] = frozenset()
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)
    remarks: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    hints: Mapping[str, str] = dataclasses.field(default_factory=dict)
    attachments: Mapping[str, str] = dataclasses.field(default_factory=dict)
    values: Mapping[str, Values] = dataclasses.field(default_factory=dict)
    engine: Engine | None = None

    def identity(self) -> dict[str, Any]:
        """Everything that determines the shards' content, as JSON. `max_bad` is not included, since
        a rerun may raise it.
        """
        deciding = {
            name: value
            for name, value in self.settings.items()
            if name not in self.usual or value != self.usual[name]
        }
        return {
            "name": self.name,
            "settings": {**deciding, "max_pixels": self.max_pixels, "shards": self.shards},
            "inputs": dict(self.inputs),
        }
