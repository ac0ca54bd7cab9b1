"""Writes NIfTI volumes on the grid of one that was read or of a DICOM series."""

import gzip
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.data.values import Values
from tfcyclegan.formats import base, orientation
from tfcyclegan.formats.scratch import mapped_beside, storing
from tfcyclegan.system import files

DESCRIPTION = b"translated by tfcyclegan"
_PLACE = (
    *("xyzt_units", "dim_info", "qform_code", "sform_code", "srow_x", "srow_y", "srow_z"),
    *("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
)
_VECTOR = 1007  # NIFTI_INTENT_VECTOR


class NiftiDestination(base.Destination):
    """A .nii or .nii.gz. Planes are kept in a temporary file beside it until it is finished, so
    that the volume need not fit in memory.

    Args:
        path: its path.
        values: the values to be written.
        shape: (X, Y, Z) of the grid.
        turn: nibabel's orientation that maps (X, Y, Z) to planes, rows and columns.
        source: the header with the grid's position in space.
        channels_in_fourth_axis: (X, Y, Z, C) instead of (X, Y, Z, 1, C), if there are several.
    """

    def __init__(
        self,
        path: Path,
        values: Values,
        shape: tuple[int, ...],
        turn: np.ndarray,
        source: Any,
        *,
        channels_in_fourth_axis: bool = False,
    ):
        self.path = path
        own = values.centre
        channels = own.stop - own.start
        stored_shape = shape
        if channels > 1:
            stored_shape += (channels,) if channels_in_fourth_axis else (1, channels)
        dtype = np.dtype("float32" if values.dtype == "float16" else values.dtype)
        self._header = header(source, stored_shape, dtype)
        if len(stored_shape) == 5:
            self._header["intent_code"] = _VECTOR
        self._raw, stored = mapped_beside(path, dtype, (*shape, channels), "F")
        self._planes = orientation.turned(stored, turn)

    def write(self, values: np.ndarray, plane: int = 0, top: int = 0, left: int = 0) -> None:
        height, width = values.shape[:2]
        self._planes[plane, top : top + height, left : left + width] = values

    def finish(self) -> None:
        try:
            head = io.BytesIO()
            self._header.write_to(head)
            self._raw.seek(0)
            with storing(self.path), files.atomic_file(self.path) as stream:
                if self.path.name.lower().endswith(".gz"):
                    # without a name and a time, so that equal values make equal files
                    with gzip.GzipFile("", "wb", 1, stream, 0) as packed:
                        packed.write(head.getvalue())
                        shutil.copyfileobj(self._raw, packed, 1 << 20)
                else:
                    stream.write(head.getvalue())
                    shutil.copyfileobj(self._raw, stream, 1 << 20)
        finally:
            self.abandon()

    def abandon(self) -> None:
        self._raw.close()


def header(source: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """A new header for values of `dtype` with slope 1, at the position of `source`: its fields are
    copied, since matrices would be rounded and lose their codes.
    """
    fresh = type(source)()
    fresh.set_data_dtype(dtype)
    fresh.set_data_shape(shape)
    for name in _PLACE:
        fresh[name] = source[name]
    fresh["pixdim"][:4] = source["pixdim"][:4]
    fresh["vox_offset"] = fresh.single_vox_offset
    fresh["scl_slope"], fresh["scl_inter"] = 1, 0
    fresh["descrip"] = DESCRIPTION
    return fresh
