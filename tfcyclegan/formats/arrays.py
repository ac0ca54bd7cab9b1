"""NumPy's own files: `.npy`, mapped into memory, so that planes and windows are read alone.

Axes are H, W, C and N (planes), in any order that `axes` names. They tell no units and no geometry.
"""

from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.values import MOST_CHANNELS, TYPES, Values
from tfcyclegan.errors import UserError
from tfcyclegan.formats.base import Destination, Measurement, Shape, Window
from tfcyclegan.system import files

_ORDER = "NHWC"
_GUESSES = {2: "HW", 3: "HWC", 4: "NHWC"}
_WIDER = {"float64": "float32"}


class ArrayFile(Measurement):
    """An array in a file.

    Args:
        path: of the file.
        axes: its axes in order, such as "NHW"; empty guesses HW, HWC or NHWC by their number.

    Raises:
        UserError: `axes` are none.
        BadPicture: no array that can be used.
    """

    def __init__(self, path: Path, axes: str = ""):
        self.path, self.nodata, self.units, self.names = path, None, "", ()
        try:
            self._array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise BadPicture(f"no array of NumPy ({' '.join(str(error).split())})") from error
        notes = []
        self.axes = axes.upper() or _GUESSES.get(self._array.ndim, "")
        known = set("HW") <= set(self.axes) <= set(_ORDER)
        if axes and (not known or len(set(self.axes)) < len(self.axes)):
            raise UserError(f"--axes={axes}: must be H and W, and at most once each N and C")
        if len(self.axes) != self._array.ndim or not self._array.size:
            raise BadPicture(f"an array {list(self._array.shape)}, not {self.axes or 'HW to NHWC'}")
        if not axes and self._array.ndim > 2:
            notes.append(f"axes taken as {self.axes}, which --axes decides")
        sides = dict(zip(self.axes, self._array.shape, strict=True))
        self.shape = Shape(sides.get("N", 1), sides["H"], sides["W"], sides.get("C", 1))
        if self.shape.channels > MOST_CHANNELS:
            raise BadPicture(
                f"{self.shape.channels} channels by the axes {self.axes}, of at most "
                f"{MOST_CHANNELS}; --axes decides"
            )
        stored = self._array.dtype.name
        if stored in _WIDER:
            notes.append(f"{stored}, rounded to {_WIDER[stored]}")
        elif stored not in TYPES:
            raise BadPicture(f"values of {stored}; those of {', '.join(TYPES)} can be read")
        self.dtype = np.dtype(_WIDER.get(stored, stored))
        self.notes = tuple(notes)

    def read(self, plane: int = 0, window: Window | None = None) -> np.ndarray:
        top, left, bottom, right = window or (0, 0, self.shape.height, self.shape.width)
        places: dict[str, Any] = {
            "N": plane,
            "H": slice(top, bottom),
            "W": slice(left, right),
            "C": slice(None),
        }
        part = self._array[tuple(places[axis] for axis in self.axes)]
        rest = [axis for axis in self.axes if axis != "N"]
        ordered = np.transpose(part, [rest.index(axis) for axis in "HWC" if axis in rest])
        whole = ordered if "C" in rest else ordered[..., np.newaxis]
        return np.array(whole, dtype=self.dtype, order="C")  # a copy in native byte order

    def create(self, path: Path, values: Values) -> "ArrayDestination":
        return ArrayDestination(self, path, values)


class ArrayDestination(Destination):
    """A `.npy` of the same axes, with the channels and the type of other values; channels come last
    where the source has no axis of them and there are several.
    """

    def __init__(self, source: ArrayFile, path: Path, values: Values):
        self.path = path
        own = values.channels // (2 * values.neighbours + 1)
        self._axes = source.axes + ("C" if "C" not in source.axes and own > 1 else "")
        sides = source.shape.planes, source.shape.height, source.shape.width, own
        by_axis = dict(zip(_ORDER, sides, strict=True))
        shape = tuple(by_axis[axis] for axis in self._axes)
        self._writing = files.temporary_name(path)
        self._array = np.lib.format.open_memmap(
            self._writing, mode="w+", dtype=np.dtype(values.dtype), shape=shape
        )

    def write(self, values: np.ndarray, plane: int = 0, top: int = 0, left: int = 0) -> None:
        height, width = values.shape[:2]
        rows, columns = slice(top, top + height), slice(left, left + width)
        places: dict[str, Any] = {"N": plane, "H": rows, "W": columns, "C": slice(None)}
        rest = [axis for axis in self._axes if axis != "N"]
        given = values if "C" in rest else values[..., 0]
        order = [axis for axis in "HWC" if axis in rest]
        self._array[tuple(places[axis] for axis in self._axes)] = np.transpose(
            given, [order.index(axis) for axis in rest]
        )

    def finish(self) -> None:
        self._array.flush()
        del self._array
        self._writing.replace(self.path)

    def abandon(self) -> None:
        del self._array
        self._writing.unlink(missing_ok=True)


def open_file(path: Path, **options: Any) -> ArrayFile:
    return ArrayFile(path, **options)
