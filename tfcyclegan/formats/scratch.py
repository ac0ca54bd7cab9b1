"""A destination whose format is written at once: values are kept in a file of raw numbers until all
of them are available. Imports no TensorFlow.
"""

import tempfile
from abc import abstractmethod
from pathlib import Path

import numpy as np

from tfcyclegan.formats.base import Destination
from tfcyclegan.system import files


class Scratch(Destination):
    """Keeps values on disk, in any order of axes, and stores them at the end.

    Args:
        path: the file to make.
        dtype: type of its numbers, in the byte order of the format.
        sizes: sizes of its axes, in the order of the format.
        axes: their letters; Y and X are rows and columns, those in `channel_axes` together are the
            channels, the others the planes.
        channel_axes: letters in the order in which they form the channels.
    """

    def __init__(
        self,
        path: Path,
        dtype: np.dtype,
        sizes: tuple[int, ...],
        axes: str,
        channel_axes: str = "CS",
    ):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - until finish
        self._values = np.memmap(self._file, dtype, "w+", shape=sizes)
        places = {axis: place for place, axis in enumerate(axes)}
        planes = [places[axis] for axis in axes if axis not in {"Y", "X", *channel_axes}]
        channels = [places[axis] for axis in channel_axes if axis in places]
        self._plane_sizes = tuple(sizes[place] for place in planes)
        self._seen = self._values.transpose([*planes, places["Y"], places["X"], *channels])

    @property
    def bytes(self) -> int:
        """Bytes of all values."""
        return int(self._values.nbytes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the axes, in the order of the format."""
        return self._values.shape

    def write(self, values: np.ndarray, plane: int = 0, top: int = 0, left: int = 0) -> None:
        require_type(values, self._values.dtype)
        height, width = values.shape[:2]
        place = np.unravel_index(plane, self._plane_sizes) if self._plane_sizes else ()
        part = self._seen[place][top : top + height, left : left + width]
        part[...] = values.reshape(part.shape)

    def finish(self) -> None:
        temporary = files.temporary_name(self.path)
        try:
            self._store(temporary, self._values)
            files.flush(temporary)
            files.into_place(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)
            self.abandon()

    def abandon(self) -> None:
        self._file.close()

    @abstractmethod
    def _store(self, path: Path, values: np.ndarray) -> None:
        """Writes the file from values with the given axes."""


def require_type(values: np.ndarray, dtype: np.dtype) -> None:
    """Raises TypeError if storing would change values: floats out of range wrap in some formats and
    are clipped in others.
    """
    if not np.can_cast(values.dtype, dtype, "safe"):
        raise TypeError(f"values of {values.dtype} for a file of {dtype}")
