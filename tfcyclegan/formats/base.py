"""The interface of all formats of measurements: `Measurement`, a file, series or array of planes,
and `Destination`, one of the same geometry that is being written. Imports no TensorFlow.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from tfcyclegan.data.values import Values


class Window(NamedTuple):
    """Rows top..bottom and columns left..right of a plane; bottom and right are not included."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Shape:
    """The shape of a measurement: `planes` arrays [height, width, channels]."""

    planes: int
    height: int
    width: int
    channels: int


class Measurement(ABC):
    """Measured values, opened for reading: slices of a volume, a scene, a stack.

    Opening reads only headers. Reading is thread-safe.

    Attributes:
        path: the opened file, or the directory of a series.
        shape: shape of all planes.
        dtype: type of `read`'s results, one of `values.TYPES`, after the file's own scale factors
            are applied: float32 wherever they are not 1 and 0. In native byte order.
        nodata: the value that the file declares for missing measurements, in units of `read`; None
            if it declares none. NaN always marks missing measurements.
        units: such as "HU"; empty if the file has none.
        names: the channels' names; empty if the file has none.
        notes: what was assumed and what of the file is not used, one phrase each, to be reported
            and counted. They hold no personal data.
    """

    path: Path
    shape: Shape
    dtype: np.dtype
    nodata: float | None
    units: str
    names: tuple[str, ...]
    notes: tuple[str, ...]

    @abstractmethod
    def read(self, plane: int = 0, window: Window | None = None) -> np.ndarray:
        """A plane, or a window of it: [h, w, C] of `dtype`, a fresh array in native byte order.

        Raises:
            intake.BadPicture: the values cannot be read, with the reason.
        """

    @abstractmethod
    def create(self, path: Path, values: Values) -> "Destination":
        """Creates a file of the same geometry for a translation with `values`.

        It is written beside `path` and renamed when it is finished. Metadata that describes the old
        values (scale, window, smallest and largest, padding, band names) is not copied.
        """

    def other_ending(self, values: Values) -> str:
        """The extension that `create`'s path must have if this format cannot hold such values;
        empty if it can.
        """
        return ""

    def identity(self) -> Mapping[str, object]:
        """Properties that measurements of one set must share, such as a coordinate system, by name
        for messages. Empty if nothing needs to agree.
        """
        return {}

    def grid(self) -> np.ndarray | None:
        """Where its pixels lie, see `formats.grids`; None where the file does not tell."""
        return None

    def close(self) -> None:  # noqa: B027 - a format that keeps nothing open need not override it
        """Closes files, once no thread reads them; a later read may raise BadPicture."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Destination(ABC):
    """A file that is being written. Leaving its `with` block without an error finishes it;
    otherwise what was written is removed.
    """

    path: Path

    @abstractmethod
    def write(self, values: np.ndarray, plane: int = 0, top: int = 0, left: int = 0) -> None:
        """Stores [h, w, C] of the declared type at a position in a plane."""

    @abstractmethod
    def finish(self) -> None:
        """Completes the file under its final name."""

    @abstractmethod
    def abandon(self) -> None:
        """Removes what was written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()
        else:
            self.abandon()
