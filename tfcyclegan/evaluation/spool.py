"""Keeps decoded pictures and measurements on disk during an evaluation. Each is decoded and resized
once, in the order of the data, and can then be read in any order.
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from tfcyclegan.errors import RunError
from tfcyclegan.measures.pictures import Named, Pictures
from tfcyclegan.system import files


class Spool:
    """An unnamed temporary file, which is deleted with the last mapping that reads it.

    Args:
        folder: folder of the results, on whose disk the file is placed; it need not exist yet.
        shared: whether processes on other machines read it too. It then has a name, and whoever
            made `folder` removes it.
    """

    def __init__(self, folder: Path, *, shared: bool = False):
        self.folder = files.nearest_folder(folder)
        self._shared = shared
        self._file: IO[bytes] = (  # open as long as it is read
            tempfile.NamedTemporaryFile(dir=self.folder, delete=False)  # noqa: SIM115
            if shared
            else tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115
        )

    def keep(self, arrays: Iterable[tuple[str, np.ndarray]]) -> Pictures:
        """Stores the arrays and returns them by name.

        Raises:
            RunError: the disk is full.
        """
        places = {}
        for name, array in arrays:
            try:
                places[name] = (self._file.tell(), array.dtype, array.shape)
                self._file.write(np.ascontiguousarray(array).data)
            except OSError as error:
                raise RunError(
                    f"{self.folder}: no space for the decoded pictures ({error.strerror}); free "
                    "some there, or give an --output on another disk"
                ) from error
        self._file.flush()
        if self._shared:
            os.fsync(self._file.fileno())  # other machines see it only then
        return _Kept(self, places)

    def read(self, offset: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """A stored array, read-only."""
        size = dtype.itemsize * int(np.prod(shape))
        return np.frombuffer(os.pread(self._file.fileno(), size, offset), dtype).reshape(shape)

    def __reduce__(self) -> Any:
        """Another process reads the file under its name."""
        assert self._shared
        return _Reader, (str(Path(self._file.name).absolute()),)


class _Reader(Spool):
    """The file of another process's spool."""

    def __init__(self, path: str):
        self.folder, self._shared = Path(path).parent, True
        self._file = open(path, "rb")  # noqa: SIM115 - as long as it is read


class _Kept(Named):
    def __init__(self, spool: Spool, places: dict[str, tuple[int, np.dtype, tuple[int, ...]]]):
        super().__init__(places)
        self._spool = spool

    def __getitem__(self, name: str) -> np.ndarray:
        return self._spool.read(*self.names[name])
