"""What a script asks `prepare` for: files to take in, by splits, and all that decides the
result.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tfcyclegan.data import intake, records
from tfcyclegan.data.labels import Labelling
from tfcyclegan.data.values import Values
from tfcyclegan.system import files


@dataclass(frozen=True)
class Taken:
    """A picture to store, notes on it (see `data.notes`), and its largest value as `intake.Decoded`
    tells it.
    """

    picture: records.Picture
    notes: frozenset[str]
    largest: int = 0
    tally: ClassVar[Mapping[str, int]] = {}

    @property
    def digest(self) -> str:
        """By which the same picture in another split is known."""
        return files.sha256_of_bytes(self.picture.encoded)[:32]


@dataclass(frozen=True)
class TakenArray:
    """An array to store, or None where notes alone are left of it; notes on it; the numbers of its
    values that `manifest.TALLIES` counts; and whether it is of one value, as planes of air are, so
    that another one of the same bytes is no twin.
    """

    picture: records.StoredArray | None
    notes: frozenset[str]
    tally: Mapping[str, int] = dataclasses.field(default_factory=dict)
    plain: bool = False
    largest: ClassVar[int] = 0

    @property
    def digest(self) -> str:
        """As of `Taken`; empty where another one of the same bytes is no twin."""
        if self.picture is None or self.plain:
            return ""
        return files.sha256_of_bytes(self.picture.encoded)[:32]


@dataclass(frozen=True)
class Origin:
    """Where pictures or arrays come from.

    Attributes:
        filename: under which it is named in messages.
        size: bytes, to plan the shards by.
    """

    filename: str
    size: int

    def take_all(self, max_pixels: int) -> Sequence[Taken | TakenArray]:
        """All that is to be stored of it; called once, in a thread.

        Raises:
            OSError: a file cannot be read; it may be mended, so that a rerun looks again.
            intake.BadPicture: with the reason.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Source(Origin):
    """One file of pictures to be taken in, which is stored under its name.

    Attributes:
        read: gives the file's bytes; called once, in a thread. An OSError makes the picture a bad
            one.
    """

    read: Callable[[], bytes]

    def take(self, max_pixels: int) -> tuple[records.Picture, frozenset[str]]:
        """The picture to store, and notes on what was done to it and what of it was left out
        (`LeftOut`); errors are those of `take_all`.

        Sources that store more than a file's picture override it.
        """
        return intake.take(self.read(), self.filename, max_pixels=max_pixels)

    def take_all(self, max_pixels: int) -> list[Taken]:
        """All pictures to store of the file. Sources whose files hold several override it."""
        return [Taken(*self.take(max_pixels))]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be prepared.

    Attributes:
        name: the data set's name for TFDS, and the first part of the shards' names.
        command: what a person would type to ask for it, for the manifest.
        splits: sources by split, in the order in which they are stored.
        settings: whatever else decides the result; compared on a rerun.
        usual: values of settings that need not be named, such as those that there were before there
            was a choice.
        guessed: those of the settings that are a guess by the pictures.
        inputs: a digest of each split's input, such as names, sizes and times of its files;
            compared on a rerun.
        max_bad: more bad pictures than this fail the run.
        max_pixels: a larger picture is a bad one.
        shards: files a split, or 0 for as many as make about `shards.SHARD_BYTES` each.
        labelling: what the labels are that pictures bring.
        left_out: what of the input is not among the sources, such as files of other kinds: {what:
            count}.
        remarks: what else the manifest tells, by its key there.
        hints: flags that decide otherwise, by note, where the script has them.
        attachments: text files to stand beside the manifest, by name.
        values: what the numbers of measurements mean, by domain; empty of pictures.
        beam_flags: of the Beam pipeline that writes the shards; empty writes them here.
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
    usual: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    guessed: frozenset[str] = frozenset()
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)
    remarks: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    hints: Mapping[str, str] = dataclasses.field(default_factory=dict)
    attachments: Mapping[str, str] = dataclasses.field(default_factory=dict)
    values: Mapping[str, Values] = dataclasses.field(default_factory=dict)
    beam_flags: str = ""

    def identity(self) -> dict[str, Any]:
        """All that decides the shards' content, as JSON. `max_bad` does not: it may be raised on a
        rerun.
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
