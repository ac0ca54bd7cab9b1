"""What every format of measurements has in common: `Measurement`, a file, series or array of
planes, and `Destination`, one of the same geometry that is being written. Imports no TensorFlow.
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
    """Rows top..bottom and columns left..right of a plane, the latter ones not included."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Shape:
    """Of a measurement: `planes` arrays [height, width, channels]."""

    planes: int
    height: int
    width: int
    channels: int


class Measurement(ABC):
    """Values that were measured, opened for reading: slices of a volume, a scene, a stack.

    Opening reads headers alone. Reading is safe from several threads.

    Attributes:
        path: what was opened: a file, or a directory of a series.
        shape: of all planes.
        dtype: of what `read` gives, one of `values.TYPES`, after the file's own scale factors were
            applied: float32 wherever they are not 1 and 0. In native byte order.
        nodata: what the file says stands where nothing was measured, in units of `read`; None where
            it says nothing. NaN counts as such in any case.
        units: such as "HU"; empty where the file tells none.
        names: of the channels; empty where the file tells none.
        notes: what was assumed and what of the file is not used, a phrase each, to be told and
            counted. No personal data.
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
        """A file of the same geometry, for a translation whose numbers are `values`.

        It is written beside `path` and appears there when it is finished. Metadata that describe
        the old values (scale, window, smallest and largest, padding, band names) are not copied.
        """

    def other_ending(self, values: Values) -> str:
        """Of the name that `create` must be given for such values, where the format of `path`
        cannot hold them; empty where it can.
        """
        return ""

    def identity(self) -> Mapping[str, object]:
        """What two measurements must share to be of one set, such as a coordinate system: told by
        name where they differ. Empty where nothing need agree.
        """
        return {}

    def grid(self) -> np.ndarray | None:
        """Where its pixels lie, see `formats.grids`; None where the file does not tell."""
        return None

    def close(self) -> None:  # noqa: B027 - a format that keeps nothing open need not say so
        """Lets go of files."""

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
    """A file that is being written. Leaving its `with` block without an error finishes it, and
    removes what was written otherwise.
    """

    path: Path

    @abstractmethod
    def write(self, values: np.ndarray, plane: int = 0, top: int = 0, left: int = 0) -> None:
        """Stores [h, w, C] of the type that was announced, at a place of a plane."""

    @abstractmethod
    def finish(self) -> None:
        """Makes the file appear under its name, whole."""

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
