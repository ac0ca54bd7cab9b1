"""Arrays whose axes a file does not name: identifies the axes and reads planes. Imports no
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
    """The letters of an array's axes, and a note if they are a guess.

    Args:
        asked: the value of `--axes`; if empty, the axes are guessed: HW for two axes, for three HWC
            if the last could be channels, otherwise NHW, for four NHWC.
        sizes: the array's shape.

    Raises:
        UserError: `asked` is malformed.
        BadPicture: the array does not fit them.
    """
    axes = asked.upper()
    if asked and not (set("HW") <= set(axes) <= set(_LETTERS) and len(set(axes)) == len(axes)):
        raise UserError(f"--axes={asked}: must contain H and W, and at most one N and one C")
    shown = "x".join(map(str, sizes))
    if not asked:
        axes = _guess(sizes)
    if len(axes) != len(sizes) or not all(sizes):
        raise BadPicture(f"an array {shown or 'of one number'}, not {axes or 'HW to NHWC'}")
    channels = dict(zip(axes, sizes, strict=True)).get("C", 1)
    if channels > MOST_CHANNELS:
        raise BadPicture(
            f"{channels} channels with the axes {axes} of {shown}, more than the {MOST_CHANNELS} "
            "allowed; give --axes"
        )
    guessed = not asked and len(sizes) > 2
    return axes, (f"axes read as {axes}; --axes changes this",) if guessed else ()


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
    """An array, read according to the letters of its axes.

    Attributes:
        axes: letters in the order in which the axes are stored.
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
        """A part of the array as stored."""

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
    """An array with the axes of `source` but another type and number of channels: channels come
    last if the source has no channel axis, and have no axis if there is only one channel now.
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
    """Adds channels as the last axis: at the "right", or "left" if axes are stored reversed."""
    return axes + "C" if last == "right" else "C" + axes
