"""One dataset of an HDF5 file, with h5py: only the chunks that hold the requested planes and
windows are read. Imports no TensorFlow.

- A dataset that MATLAB wrote (attribute MATLAB_class) has its axes reversed, as in MATLAB.
- `scale_factor`, `add_offset`, `_FillValue` or `missing_value`, and `units` have the meaning of the
  netCDF conventions (CF 1.11, sections 2.5.1, 3.1 and 8.1); ranges of valid values are reported,
  not used.
- Chunks that were never written would read as the fill value; they are refused unless that is
  declared as missing.
- Kept in results: the name, chunks, compression and attributes, except those that describe the old
  values.
"""

import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.data.values import Values, own_plane
from tfcyclegan.formats.arrays import choose
from tfcyclegan.formats.axes import ArrayDestination, ArrayMeasurement, axes_of
from tfcyclegan.formats.base import Destination
from tfcyclegan.formats.damage import reading, told
from tfcyclegan.formats.scratch import reserve
from tfcyclegan.formats.stored_numbers import StoredNumbers

_MATLAB = "MATLAB_class"
_IEEE = {2: (5, 10), 4: (8, 23), 8: (11, 52)}  # bytes -> bits of exponent and of digits
_SCALE, _OFFSET, _GAPS = "scale_factor", "add_offset", ("_FillValue", "missing_value")
_UNSIGNED = "_Unsigned"
_OVERHEAD = 1 << 20  # bytes of a file beside its values, at most
_VALID = ("valid_min", "valid_max", "valid_range")
_OLD_VALUES = {
    *(_MATLAB, _SCALE, _OFFSET, *_GAPS, *_VALID, _UNSIGNED, "actual_range"),
    *("units", "DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "_Netcdf4Dimid", "names"),
}
_OF_MATLAB = {"uint8": "uint8", "uint16": "uint16", "int16": "int16", "float32": "single"}


def open_file(path: Path, *, axes: str = "", dataset: str = "") -> "Hdf5":
    return Hdf5(path, axes=axes, dataset=dataset)


class Hdf5(ArrayMeasurement):
    """One dataset.

    Args:
        path: the file.
        axes: see `axes.axes_of`.
        dataset: its name in the file; optional if only one dataset holds numbers.

    Attributes:
        dataset: its name.
    """

    def __init__(self, path: Path, *, axes: str = "", dataset: str = ""):
        if not h5py.is_hdf5(path):
            raise BadPicture(
                "not an HDF5 file"
                + (
                    "; save it with -v7.3"
                    if path.suffix.lower() == ".mat" and path.exists()
                    else ""
                )
            )
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise BadPicture(f"damaged: {told(error)}") from error
        try:
            with reading():
                self._describe(path, axes, dataset)
        except BaseException:
            self.close()
            raise

    def _describe(self, path: Path, axes: str, dataset: str) -> None:
        names = _arrays_of(self._file)
        self.dataset = choose(sorted(names), dataset, "dataset")
        array = self._array = self._file[self.dataset]
        _check_type(array)
        attributes = dict(array.attrs)
        if array.dtype.kind == "i" and _text(attributes.get(_UNSIGNED, "")).lower() == "true":
            name = f"u{array.dtype.name}"
            raise BadPicture(
                f"{array.name}: stores unsigned numbers as signed ({_UNSIGNED}); save it as {name}"
            )
        self.is_reversed = _MATLAB in attributes
        sizes = array.shape[::-1] if self.is_reversed else array.shape
        letters, notes = axes_of(axes, sizes)
        if self.is_reversed:
            letters = letters[::-1]
            notes += ("written by MATLAB: axes reversed",)
        gaps = [_number(attributes[key]) for key in _GAPS if key in attributes]
        gap = gaps[0] if gaps else None
        if any(each != gap and not np.isnan(each) for each in gaps):
            raise BadPicture(
                f"{array.name}: _FillValue is {gaps[0]:g}, missing_value {gaps[1]:g}; write one of "
                "them for all that is missing"
            )
        if any(key in attributes for key in _VALID):
            notes += (LeftOut("ranges of valid values (valid_min, valid_max, valid_range)"),)
        numbers = StoredNumbers(
            array.dtype,
            nodata=gap,
            scale=_number(attributes.get(_SCALE, 1.0)),
            offset=_number(attributes.get(_OFFSET, 0.0)),
        )
        self._set(path, letters, array.shape, numbers)
        _check_written(array, gap)
        self.units = _text(attributes.get("units", ""))
        self.notes += notes + ((LeftOut("other datasets of a file"),) if len(names) > 1 else ())

    def _part(self, index: tuple[int | slice, ...]) -> np.ndarray:
        try:
            with reading():
                return np.asarray(self._array[index])
        except OSError as error:  # an error of HDF5 itself, such as a filter that fails
            raise BadPicture(f"damaged: {told(error)}") from error

    def create(self, path: Path, values: Values) -> Destination:
        values = own_plane(values)
        dtype = np.dtype(values.dtype)
        if self.is_reversed and values.dtype not in _OF_MATLAB:
            dtype = np.dtype(np.float32)  # MATLAB files have no half precision; float32 holds it
        last = "left" if self.is_reversed else "right"
        destination = _Hdf5Destination(path, self, dtype, values.channels, last)
        destination.layout = _layout(self._array, destination.sizes)
        destination.name = self.dataset
        destination.attributes = self._attributes(values, dtype)
        return destination

    def _attributes(self, values: Values, dtype: np.dtype) -> dict[str, Any]:
        """The dataset's attributes that still apply, and those of the new values."""
        kept = {
            name: value
            for name, value in self._array.attrs.items()
            if name not in _OLD_VALUES and not isinstance(value, h5py.Reference)
        }
        if self.is_reversed:
            kept[_MATLAB] = np.bytes_(_OF_MATLAB[dtype.name])
        if values.units:
            kept["units"] = values.units
        if values.names:
            kept["names"] = list(values.names)
        if values.nodata is not None and not (values.is_integer and np.isnan(values.nodata)):
            kept["_FillValue"] = dtype.type(values.nodata)
        return kept

    def close(self) -> None:
        self._file.close()


class _Hdf5Destination(ArrayDestination):
    name: str
    layout: dict[str, Any]
    attributes: dict[str, Any]

    def _store(self, path: Path, values: np.ndarray) -> None:
        # HDF5 crashes where the disk is full, so there must be room for all values beforehand
        with tempfile.TemporaryFile(dir=path.parent) as room:
            reserve(room, self.bytes + _OVERHEAD)
        with h5py.File(path, "w") as file:
            made = file.create_dataset(self.name, values.shape, values.dtype, **self.layout)
            for start in range(0, len(values), self._step):
                made[start : start + self._step] = values[start : start + self._step]
            for name, value in self.attributes.items():
                made.attrs[name] = value

    @property
    def _step(self) -> int:
        """The number of entries of the first axis in a chunk."""
        chunks = self.layout.get("chunks")
        return int(chunks[0]) if chunks else 1


def _arrays_of(file: h5py.File) -> list[str]:
    """Names of the datasets that could be measurements: numbers with two or more axes. Links to
    other files are not followed.
    """
    names: list[str] = []

    def look(name: str, what: Any) -> None:
        if isinstance(what, h5py.Dataset) and what.ndim >= 2 and what.dtype.kind in "biufcV":
            names.append(name)

    file.visititems(look)
    return names


def _check_type(array: Any) -> None:
    """Raises BadPicture for numbers that NumPy would misread, and for parts in other files."""
    if array.is_virtual or array.external:
        raise BadPicture(f"{array.name} stores its values in other files; copy them into one")
    kind = array.id.get_type()
    if isinstance(kind, h5py.h5t.TypeFloatID):
        _, _, exponent, _, digits = kind.get_fields()
        if _IEEE.get(kind.get_size()) != (exponent, digits):
            raise BadPicture(
                f"{array.name}: floats of {kind.get_size() * 8} bit with {exponent} of exponent "
                f"and {digits} of mantissa, such as bfloat16; save it as float32"
            )
    elif array.dtype.kind == "V":
        raise BadPicture(f"{array.name}: not plain numbers ({array.dtype}); save it as float32")
    listed = array.id.get_create_plist()
    for place in range(listed.get_nfilters()):
        code, _, _, name = listed.get_filter(place)
        if not h5py.h5z.filter_avail(code):
            raise BadPicture(
                f"{array.name}: compressed by {name.decode(errors='replace') or code}, which is "
                "not installed here; rewrite it with h5repack -f GZIP=4"
            )


def _check_written(array: Any, gap: float | None) -> None:
    """Raises BadPicture if a part was never written, unless its fill value marks missing
    measurements.
    """
    fill = array.fillvalue
    if fill is not None and (fill != fill or (gap is not None and fill == gap)):
        return
    if array.chunks is None:
        written, wanted = int(array.id.get_storage_size() > 0), 1
    else:
        sizes = zip(array.shape, array.chunks, strict=True)
        wanted = int(np.prod([-(-size // chunk) for size, chunk in sizes]))
        written = array.id.get_num_chunks()
    if written < wanted:
        raise BadPicture(
            f"{array.name}: {wanted - written} of {wanted} chunks were never written and would "
            f"read as {fill}"
        )


def _layout(array: Any, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Chunks and compression, without lossy filters."""
    if array.chunks is None:
        return {}
    chunks = array.chunks if len(array.chunks) == len(sizes) else None
    layout: dict[str, Any] = {
        "chunks": tuple(map(min, chunks, sizes)) if chunks else True,
        "shuffle": array.shuffle,
        "fletcher32": array.fletcher32,
    }
    if array.compression:
        layout |= {
            "compression": array.compression,
            "compression_opts": array.compression_opts,
        }
    return layout


def _number(value: Any) -> float:
    return float(np.asarray(value).ravel()[0])


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
