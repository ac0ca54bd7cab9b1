"""NumPy files: `.npy`, from which only the requested planes and windows are read, and `.npz`, whose
array is read whole. Imports no TensorFlow.

They store no units and no geometry. Pickled objects are refused, since reading them executes code.
"""

import threading
import zipfile
from pathlib import Path

import numpy as np

from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.data.values import Values, own_plane
from tfcyclegan.formats.axes import ArrayDestination, ArrayMeasurement, axes_of
from tfcyclegan.formats.base import Destination, Measurement
from tfcyclegan.formats.damage import reading
from tfcyclegan.formats.stored_numbers import StoredNumbers


def open_file(path: Path, *, axes: str = "", dataset: str = "") -> Measurement:
    """Opens an array file according to its extension.

    Args:
        path: the file.
        axes: see `axes.axes_of`.
        dataset: name of the array in files that hold several.
    """
    if path.name.lower().endswith(".npy"):
        return Npy(path, axes=axes)
    return Npz(path, axes=axes, dataset=dataset)


def choose(names: list[str], dataset: str, of: str) -> str:
    """The name of the array to read.

    Args:
        names: the candidates.
        dataset: the value of --dataset.
        of: what they are called in messages.

    Raises:
        BadPicture: there is none, none has that name, or there are several and no name is given.
    """
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    if not names:
        raise BadPicture(f"holds no {of}")
    if not dataset and len(names) > 1:
        raise BadPicture(f"holds {len(names)} {of}s ({shown}); choose one with --dataset=NAME")
    found = [name for name in names if name.strip("/") == dataset.strip("/")] if dataset else names
    if not found:
        raise BadPicture(f"--dataset={dataset}: no array has this name; it holds {shown}")
    return found[0]


class Npy(ArrayMeasurement):
    """One array."""

    def __init__(self, path: Path, *, axes: str = ""):
        with reading("not a NumPy array"):
            self._array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(self._array, np.ndarray):
            raise BadPicture("holds several arrays; rename it to .npz")
        letters, guessed = axes_of(axes, self._array.shape)
        self._set(path, letters, self._array.shape, StoredNumbers(self._array.dtype))
        self.notes += guessed

    def _part(self, index: tuple[int | slice, ...]) -> np.ndarray:
        return self._array[index]

    def create(self, path: Path, values: Values) -> Destination:
        values = own_plane(values)
        return _NpyDestination(path, self, np.dtype(values.dtype), values.channels, "right")


class Npz(ArrayMeasurement):
    """One array of an archive.

    Attributes:
        dataset: its name.
    """

    def __init__(self, path: Path, *, axes: str = "", dataset: str = ""):
        self._lock = threading.Lock()
        self._array: np.ndarray | None = None
        with reading("not an archive of NumPy arrays"), zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            headers = {
                member.filename.removesuffix(".npy"): _header(archive, member.filename)
                for member in members
                if member.filename.endswith(".npy")
            }
        self.is_compressed = any(member.compress_type for member in members)
        self.dataset = choose(sorted(headers), dataset, "array")
        sizes, stored = headers[self.dataset]
        letters, guessed = axes_of(axes, sizes)
        self._set(path, letters, sizes, StoredNumbers(stored))
        self.notes += guessed + ((LeftOut("other arrays of a file"),) if len(headers) > 1 else ())

    def _part(self, index: tuple[int | slice, ...]) -> np.ndarray:
        with self._lock:
            if self._array is None:
                with reading(), np.load(self.path, allow_pickle=False) as archive:
                    self._array = archive[self.dataset]
            return self._array[index]

    def create(self, path: Path, values: Values) -> Destination:
        values = own_plane(values)
        destination = _NpzDestination(path, self, np.dtype(values.dtype), values.channels, "right")
        destination.name, destination.is_compressed = self.dataset, self.is_compressed
        return destination

    def close(self) -> None:
        with self._lock:
            self._array = None


class _NpyDestination(ArrayDestination):
    def _store(self, path: Path, values: np.ndarray) -> None:
        with open(path, "wb") as stream:
            np.lib.format.write_array(stream, np.asarray(values), allow_pickle=False)
        # NumPy says nothing of a full disk; this fails if the last values are missing
        np.load(path, mmap_mode="r", allow_pickle=False)


class _NpzDestination(ArrayDestination):
    name: str
    is_compressed: bool

    def _store(self, path: Path, values: np.ndarray) -> None:
        kind = zipfile.ZIP_DEFLATED if self.is_compressed else zipfile.ZIP_STORED
        with (
            zipfile.ZipFile(path, "w", kind) as archive,
            archive.open(f"{self.name}.npy", "w", force_zip64=True) as stream,
        ):
            np.lib.format.write_array(stream, np.asarray(values), allow_pickle=False)


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Sizes and type of an array, without its values."""
    with archive.open(name) as stream:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"format {version[0]}.{version[1]} of .npy")
        sizes, _, dtype = read(stream)
        return sizes, dtype
