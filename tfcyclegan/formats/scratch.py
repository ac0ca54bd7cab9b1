"""A destination whose format is written at once: values are kept in a file of raw numbers until all
of them are available. Imports no TensorFlow.
"""

import contextlib
import math
import os
import tempfile
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

import numpy as np

from tfcyclegan.errors import RunError, UserError
from tfcyclegan.formats.base import Destination
from tfcyclegan.formats.damage import told
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
        self._file, self._values = mapped_beside(path, dtype, sizes)
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
            with storing(self.path):
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


def mapped_beside(
    path: Path, dtype: np.dtype | str, shape: tuple[int, ...], order: Literal["C", "F"] = "C"
) -> tuple[IO[bytes], np.memmap]:
    """A temporary file in the folder of `path`, and its numbers mapped into memory.

    Raises:
        RunError: the disk has no room for them.
    """
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - open as long as it is used
        try:
            # otherwise a full disk would end the process by SIGBUS
            reserve(file, math.prod(shape) * np.dtype(dtype).itemsize)
            return file, np.memmap(file, dtype, "w+", shape=shape, order=order)
        except BaseException:
            file.close()
            raise


def reserve(file: IO[bytes], size: int) -> None:
    """Reserves disk space for the first `size` bytes of a file; OSError if there is too little."""
    if hasattr(os, "posix_fallocate"):  # macOS has none
        os.posix_fallocate(file.fileno(), 0, size)


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turns a failure to write the file `path` into RunError; libraries have many types for it."""
    try:
        yield
    except (UserError, RunError):
        raise
    except Exception as error:
        reason = (isinstance(error, OSError) and error.strerror) or told(error)
        mend = f"; {files.MAKE_ROOM}" if isinstance(error, OSError) else ""
        raise RunError(f"{path}: cannot be written ({reason}){mend}") from error


def require_type(values: np.ndarray, dtype: np.dtype) -> None:
    """Raises TypeError if storing would change values: floats out of range wrap in some formats and
    are clipped in others.
    """
    if not np.can_cast(values.dtype, dtype, "safe"):
        raise TypeError(f"values of {values.dtype} for a file of {dtype}")
