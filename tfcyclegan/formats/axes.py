"""Arrays whose axes a file does not name: which is which, and planes out of them. Imports no
TensorFlow.

Letters: N planes, H rows, W columns, C channels, each at most once.
"""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.values import MOST_CHANNELS
from tfcyclegan.errors import UserError
from tfcyclegan.formats.base import Measurement, Shape, Window
from tfcyclegan.formats.scratch import Scratch
from tfcyclegan.formats.stored_numbers import StoredNumbers

_LETTERS = "NHWC"


def axes_of(asked: str, sizes: Sequence[int]) -> tuple[str, tuple[str, ...]]:
    """The letters of an array's axes, and a note where they are a guess.

    Args:
        asked: what `--axes` says; empty guesses: HW of two, of three HWC where the last could be
            channels, else NHW, of four NHWC.
        sizes: of the array.

    Raises:
        UserError: `asked` are no axes.
        BadPicture: the array has others.
    """
    axes = asked.upper()
    if asked and not (set("HW") <= set(axes) <= set(_LETTERS) and len(set(axes)) == len(axes)):
        raise UserError(f"--axes={asked}: must be H and W, and at most once each N and C")
    shown = "x".join(map(str, sizes))
    if not asked:
        axes = _guess(sizes)
    if len(axes) != len(sizes) or not all(sizes):
        raise BadPicture(f"an array {shown or 'of one number'}, not {axes or 'HW to NHWC'}")
    channels = dict(zip(axes, sizes, strict=True)).get("C", 1)
    if channels > MOST_CHANNELS:
        raise BadPicture(
            f"{channels} channels by the axes {axes} of {shown}, of at most {MOST_CHANNELS}; give "
            "--axes"
        )
    guessed = not asked and len(sizes) > 2
    return axes, (f"axes taken as {axes}, which --axes decides",) if guessed else ()


def _guess(sizes: Sequence[int]) -> str:
    if len(sizes) != 3 or sizes[2] <= MOST_CHANNELS:
        return {2: "HW", 3: "HWC", 4: "NHWC"}.get(len(sizes), "")
    if sizes[0] <= MOST_CHANNELS:
        raise BadPicture(
            f"an array {'x'.join(map(str, sizes))}, whose first axis may be planes or channels; "
            "give --axes=NHW or --axes=CHW"
        )
    return "NHW"


class ArrayMeasurement(Measurement):
    """An array, read by the letters of its axes.

    Attributes:
        axes: in the order in which they are stored.
    """

    axes: str
    units = ""
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    _numbers: StoredNumbers

    def _set(self, path: Path, axes: str, sizes: Sequence[int], numbers: StoredNumbers) -> None:
        self.path, self.axes, self._numbers = path, axes, numbers
        by_letter = dict(zip(axes, sizes, strict=True))
        self.shape = Shape(
            by_letter.get("N", 1), by_letter["H"], by_letter["W"], by_letter.get("C", 1)
        )
        self.dtype, self.nodata = numbers.dtype, numbers.nodata
        self.notes = numbers.notes

    @abstractmethod
    def _part(self, index: tuple[int | slice, ...]) -> np.ndarray:
        """That part of the array as it is stored."""

    def read(self, plane: int = 0, window: Window | None = None) -> np.ndarray:
        top, left, bottom, right = window or (0, 0, self.shape.height, self.shape.width)
        places: dict[str, int | slice] = {
            "N": plane,
            "H": slice(top, bottom),
            "W": slice(left, right),
            "C": slice(None),
        }
        part = self._part(tuple(places[axis] for axis in self.axes))
        rest = self.axes.replace("N", "")
        ordered = part.transpose([rest.index(axis) for axis in "HWC" if axis in rest])
        return self._numbers.read(ordered.reshape(*ordered.shape[:2], -1))


class ArrayDestination(Scratch):
    """An array of the axes of `source`, of another type and number of channels: these come last
    where the source has no axis of them, and have no axis where there is one of them now and were
    several.
    """

    def __init__(
        self, path: Path, source: ArrayMeasurement, dtype: np.dtype, channels: int, last: str
    ):
        axes, shape = source.axes, source.shape
        if channels != shape.channels:
            axes = axes.replace("C", "")
            if channels > 1:
                axes = source.axes if "C" in source.axes else _with_channels(axes, last)
        sizes = {"N": shape.planes, "H": shape.height, "W": shape.width, "C": channels}
        self.axes = axes
        letters = axes.translate(str.maketrans("NHW", "QYX"))
        super().__init__(path, dtype, tuple(sizes[axis] for axis in axes), letters, "C")


def _with_channels(axes: str, last: str) -> str:
    """With channels as the last axis: at the "right", or "left" where axes are stored reversed."""
    return axes + "C" if last == "right" else "C" + axes
