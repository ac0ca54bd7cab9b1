"""A file of measurements on its way through a translator: opened, checked, read by planes or
windows, counted, written, and shown in previews.
"""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.data import images, intake
from tfcyclegan.data.display import Display, to_picture
from tfcyclegan.data.manifest import ALL, CLIPPED, INVALID
from tfcyclegan.data.picture_folders import Ledger
from tfcyclegan.data.values import Values, holds, own_plane
from tfcyclegan.errors import UserError
from tfcyclegan.formats import ENDINGS, open_measurement, options_among
from tfcyclegan.formats.base import Destination, Measurement, Shape, Window
from tfcyclegan.formats.stacks import read_stack
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from tfcyclegan.translation.value_pair import ValuePair

PREVIEWS = "previews"
"""The folder of preview PNGs beside the results."""
PREVIEW_SIDE = 1024
"""Largest side of a preview in pixels: of a larger plane every second row and column is shown, or
every third, ...
"""
NO_GAP = "its type has no NaN, and its domain no nodata"
RESIZED = "resized as in training, and the translation resized back"


@dataclass(frozen=True)
class Previews:
    """PNGs to write beside measurements.

    Attributes:
        display: how values are shown; None shows their whole range.
    """

    display: Display | None = None


class MeasuredFile:
    """A file, series or array, and its translation.

    Args:
        name: path below the input folder; the result has the same path below the output folder, but
            another extension if it is a picture or the format cannot hold its values.
        path: its path.
        output: folder of the results.
        values: the model's values on both sides.
        options: options of all formats, of which it uses those of its own.
        previews: whether and how PNGs are written beside the result.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        output: Path,
        values: ValuePair,
        options: Mapping[str, Any],
        previews: Previews | None = None,
    ):
        self.name, self.path, self.values = name, path, values
        self._options, self._previews = options, previews
        self.bad = ""
        self.shape = Shape(0, 0, 0, 0)
        self.notes: set[str] = set()
        self.tally: Counter[str] = Counter()
        self.target = output / name
        self._output = output
        self._previewed = output / PREVIEWS / f"{name}.png"
        self._measurement: Measurement | None = None
        self._declared: Values | None = None
        self._destinations: list[Destination] = []

    @property
    def done(self) -> bool:
        """Whether its result exists, once it has been opened: of several PNGs the last."""
        return self.targets[-1].exists()

    @property
    def targets(self) -> list[Path]:
        """Its results, once it has been opened: a file, a folder, or a PNG for each plane."""
        if self.values.target is None and self.shape.planes > 1:
            planes = range(1, self.shape.planes + 1)
            return [numbered(self.target, plane) for plane in planes]
        return [self.target]

    @property
    def size(self) -> Size:
        """Size of its planes."""
        return Size(self.shape.height, self.shape.width)

    @property
    def source(self) -> Values:
        """The meaning of its own numbers."""
        assert self.values.source is not None
        return self.values.source

    def open(self) -> None:
        """Opens it, checks whether the model can translate it, and determines the result's name.

        Raises:
            intake.BadPicture: it cannot be translated or read.
            OSError: it cannot be read.
        """
        options = options_among(self.path, self._options)
        self._measurement = measurement = open_measurement(self.path, **options)
        self.shape = measurement.shape
        trained = own_plane(self.source)
        if self.shape.channels != trained.channels:
            raise intake.BadPicture(
                f"has {self.shape.channels} channels, but the model needs {trained.channels}"
            )
        written, place = self.values.written, self._output / self.name
        ending = ".png" if written is None else measurement.other_ending(written)
        stem = place.name if self.path.is_dir() else stem_of(place.name)
        self.target = place.with_name(f"{stem}{ending}") if ending else place
        self.notes |= set(measurement.notes)
        if written is not None and ending:
            self.notes.add(f"written as {ending}, since {place.suffix or 'DICOM'} cannot hold it")
        if measurement.dtype != np.dtype(trained.dtype):
            self.notes.add(
                f"of {measurement.dtype}, where the training's values were {trained.dtype}"
            )
        if trained.units and measurement.units and trained.units != measurement.units:
            raise intake.BadPicture(
                f"has values in {measurement.units}, but the model needs {trained.units}"
            )
        source = dataclasses.replace(self.source, nodata=_nodata(measurement, trained))
        self.values = dataclasses.replace(self.values, source=source)
        self._declared = _declared(measurement, source)
        if self._declared is not None:
            self.notes.add(
                f"of nodata {measurement.nodata:g}, where the training's was {source.nodata:g}; "
                "both are gaps"
            )

    def read(self, plane: int, window: Window | None = None) -> np.ndarray:
        """A plane with its neighbours, [h, w, C], or a window of them.

        Raises:
            intake.BadPicture: it cannot be read.
        """
        assert self._measurement is not None
        try:
            array = read_stack(self._measurement, plane, self.source.neighbours, window)
        except OSError as error:  # unlike one of writing, it is of this file alone
            raise intake.BadPicture(f"cannot be read ({error.strerror or error})") from error
        if self._declared is not None:
            gap = array.dtype.type(self.source.nodata)  # the array may be a mapped file's own
            array = np.where(self._declared.invalid(array), gap, array)
        return array

    def take(self, tally: Mapping[str, int]) -> None:
        """Adds the counts of `count` for a part of it to the file's."""
        self.tally.update(tally)
        if tally.get(INVALID) and (unmarked := unmarked_gaps(self.values.written)):
            self.notes.add(unmarked)

    def write(self, values: np.ndarray, plane: int, top: int = 0) -> None:
        """Stores rows of a plane of the translation, [h, W, C].

        Raises:
            intake.BadPicture: its format cannot hold the translation.
        """
        if not self._destinations:
            self._begin()
        for destination in self._destinations:
            destination.write(values, plane, top)

    def _begin(self) -> None:
        assert self._measurement is not None
        self.target.parent.mkdir(parents=True, exist_ok=True)
        written = self.values.written
        if written is None:
            self._destinations = [PngPlanes(self.target, self.shape)]
            return
        with self._refusing():
            self._destinations = [self._measurement.create(self.target, written)]
        if self._previews:
            display = self._previews.display
            preview = PngPlanes(self._previewed, self.shape, written, display, PREVIEW_SIDE)
            self._destinations.append(preview)

    def finish(self) -> None:
        """Gives the result its final name, after its previews; raises like `write`."""
        while self._destinations:
            with self._refusing():
                self._destinations.pop().finish()
        self.close()

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """Turns the refusal of a format, which is of this file alone, into BadPicture."""
        try:
            yield
        except UserError as error:
            raise intake.BadPicture(str(error).removeprefix(f"{self.target}: ")) from error

    def close(self) -> None:
        """Closes its files; an unfinished result is removed."""
        while self._destinations:
            self._destinations.pop().abandon()
        if self._measurement is not None:
            self._measurement.close()
            self._measurement = None


def _nodata(measurement: Measurement, trained: Values) -> float | None:
    """The number that marks gaps: the training's, if it has one that the file's type can hold;
    otherwise the file's own.
    """
    number = trained.nodata
    if number is None or not np.isfinite(number) or not holds(measurement.dtype, number):
        return measurement.nodata
    return number


def _declared(measurement: Measurement, source: Values) -> Values | None:
    """The meaning of the file's numbers as it declares them, if its own nodata is not the one of
    `source`. Both are gaps, as in preparation, which gives them one number.
    """
    own = measurement.nodata
    if own is None or source.nodata is None or not np.isfinite(own):  # NaN is always a gap
        return None
    if own == np.asarray(source.nodata).astype(measurement.dtype):
        return None
    return dataclasses.replace(source, nodata=own)


class PngPlanes(Destination):
    """Planes as PNGs: one at `path`, or several, numbered from 1.

    Args:
        path: path of the only one.
        shape: of the measurement.
        values: the meaning of what is written; None for uint8 pictures.
        display: how values are shown.
        side: largest side of a PNG, for which rows and columns are skipped; None keeps all.
    """

    def __init__(
        self,
        path: Path,
        shape: Shape,
        values: Values | None = None,
        display: Display | None = None,
        side: int | None = None,
    ):
        self.path = path
        self._shape, self._values, self._display = shape, values, display
        self._step = -(-max(shape.height, shape.width) // side) if side else 1
        self._plane, self._parts = 0, list[np.ndarray]()

    def write(self, values: np.ndarray, plane: int = 0, top: int = 0, left: int = 0) -> None:
        assert left == 0, "whole rows come one after another"
        if plane != self._plane:
            self._encode()
            self._plane = plane
        part = values[-top % self._step :: self._step, :: self._step]
        self._parts.append(to_picture(part, self._values, self._display))

    def _encode(self) -> None:
        path = self.path if self._shape.planes == 1 else numbered(self.path, self._plane + 1)
        deepest = max(part.shape[-1] for part in self._parts)
        rows = [np.broadcast_to(part, (*part.shape[:2], deepest)) for part in self._parts]
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, images.encode_png(np.concatenate(rows)))
        self._parts.clear()

    def finish(self) -> None:
        self._encode()

    def abandon(self) -> None:
        self._parts.clear()


def count(values: Values, array: np.ndarray) -> Counter[str]:
    """Counts the values of the own plane in [h, w, C], an array with its neighbours, by kind."""
    own, plane = array[..., values.centre], own_plane(values)
    return Counter(
        {
            ALL: own.size,
            INVALID: int(np.count_nonzero(plane.invalid(own))),
            CLIPPED: plane.outside(own),
        }
    )


def tell_values(output: Path, ledger: Ledger, written: Values | None) -> None:
    """Reports how many values in `output` were clipped, and how many are missing.

    Args:
        output: folder of the translations.
        ledger: its ledger.
        written: the values of the translations; None for pictures.
    """
    tally = ledger.journal.tally
    valid = tally[ALL] - tally[INVALID]
    if tally[CLIPPED]:
        log(
            f"{output}: {tally[CLIPPED]} of {valid} values ({100 * tally[CLIPPED] / valid:.2g} %) "
            "were outside the training's range and were clipped for the network"
        )
    if tally[INVALID]:
        log(
            f"{output}: {tally[INVALID]} of {tally[ALL]} values are missing measurements and "
            f"{_gaps_told(written)}"
        )


def unmarked_gaps(written: Values | None) -> str:
    """The note on an input with missing measurements whose translation cannot mark them; empty if
    it can, or is a picture.
    """
    if written is None or written.gap_or_none is not None:
        return ""
    return f"with missing measurements, which {_gaps_told(written)}"


def _gaps_told(written: Values | None) -> str:
    """What stands in a translation where its input has no measurement."""
    if written is None:
        return "are black in the translation"
    if written.gap_or_none is not None:
        return "remain missing"
    lowest = list(dict.fromkeys(f"{value:g}" for value in written.gap))
    shown = ", ".join(lowest) if len(lowest) <= 8 else "the lowest values of the channels"
    return f"are {shown} in the translation: {NO_GAP}"


def stem_of(name: str) -> str:
    """A file's name without its extension, which has two parts in some formats."""
    ending = max((end for end in ENDINGS if name.lower().endswith(end)), key=len, default="")
    return name[: -len(ending)] if ending else Path(name).stem


def numbered(path: Path, number: int) -> Path:
    """scan.png -> scan_0001.png, like the pages of a file."""
    return path.with_name(f"{path.stem}_{number:04d}{path.suffix}")
