"""NIfTI volumes, .nii and .nii.gz, with nibabel.

A volume is read as slices oriented as `formats.orientation` describes; a translation is written
along the axes of its source, so that the affine is identical bit for bit.

Channels are a fourth axis, (X, Y, Z, C), or a fifth, (X, Y, Z, 1, C). Values are those of the file
after `scl_slope` and `scl_inter`. A .nii is mapped into memory and never read whole; a .nii.gz is
unpacked into a temporary file at its first read ($TMPDIR names the folder), and mapped in the same
way.
"""

import gzip
import tempfile
import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.orientations import inv_ornt_aff

from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.data.values import MOST_CHANNELS, Values
from tfcyclegan.formats import base, grids, number_types, orientation
from tfcyclegan.formats.nifti_output import NiftiDestination

_TIME_UNITS = frozenset({"sec", "msec", "usec"})
_HEADER = LeftOut("description, intent, display range and extensions of NIfTI headers")
_MAP_ERRORS = (gzip.BadGzipFile, EOFError, zlib.error, ValueError)


class Nifti(base.Measurement):
    """A volume in a file .nii or .nii.gz.

    Args:
        path: the file.
        axis: "axial", "coronal" or "sagittal" slices; "auto" uses the axis of the largest spacing,
            or axial slices if spacings are equal.
        without_affine: whether a volume whose header has neither sform nor qform is accepted, with
            its axes read as right, anterior and superior.

    Raises:
        BadPicture: with the reason.
    """

    def __init__(self, path: Path, *, axis: str = "auto", without_affine: bool = False):
        self.path = path
        _require_alone(path)
        self._image = _load(path)
        proxy = self._image.dataobj
        self._proxy = proxy
        self._lock = threading.Lock()
        self._mapped: np.ndarray | None = None
        self._unpacked: Any = None
        affine, notes = _place(self._image, without_affine)
        if axis == "auto":
            axis, told = orientation.widest(affine)
            notes.append(told)
        self.slices = axis
        self._turn = orientation.turn(affine, axis)
        self._affine = affine
        # an array with the file's axes that takes no memory
        form = _spatial(np.broadcast_to(np.zeros((), np.uint8), proxy.shape))
        notes += _fourth_axis_notes(self._image.header, form.shape)
        self.shape = base.Shape(*orientation.turned(form, self._turn).shape)
        stored = proxy.dtype
        if stored.fields:
            raise BadPicture(
                f"holds colours ({stored.itemsize * 8}-bit RGB); save its slices as PNG for "
                "data_prep.folders, or its three channels along a fourth axis"
            )
        self.dtype, changed = number_types.read_as(stored)
        self._is_scaled = (proxy.slope, proxy.inter) != (1, 0)
        if self._is_scaled:
            self.dtype, changed = np.dtype(np.float32), ()
        self.nodata, self.units, self.names = None, "", ()
        header = self._image.header
        if (
            header.extensions
            or any(header[key].any() for key in ("intent_code", "cal_max"))
            or (bytes(header["descrip"].item()).strip(b"\0 "))
        ):
            notes.append(_HEADER)
        self.notes = (*notes, *changed)

    def read(self, plane: int = 0, window: base.Window | None = None) -> np.ndarray:
        """See `Measurement.read`; rows and columns as described at the top of this module."""
        window = window or base.Window(0, 0, self.shape.height, self.shape.width)
        try:
            volume = self._map()
            part = volume[plane, window.top : window.bottom, window.left : window.right]
        except _MAP_ERRORS as error:
            raise BadPicture(_damage(error)) from error
        if not self._is_scaled:
            return number_types.converted(part, self.dtype)
        scaled = part.astype(np.float64) * self._proxy.slope + self._proxy.inter
        return number_types.converted(scaled, self.dtype)

    def create(self, path: Path, values: Values) -> base.Destination:
        """A volume of the same grid, affine, units and codes of sform and qform, with a new header:
        its type is that of `values` (float32 for float16, which NIfTI lacks), its slope is 1.

        Several channels are a fourth or fifth axis as in the source, or the fifth if the source has
        one channel.
        """
        stored = self._proxy.shape
        return NiftiDestination(
            path,
            values,
            stored[:3] + (1,) * (3 - len(stored)),
            self._turn,
            self._image.header,
            channels_in_fourth_axis=len(stored) > 3 and stored[3] > 1,
        )

    def identity(self) -> Mapping[str, object]:
        return {"orientation of slices (--axis)": self.slices}

    def grid(self) -> np.ndarray | None:
        header, sizes = self._image.header, (*self._proxy.shape, 1, 1)[:3]
        if not (header["sform_code"] or header["qform_code"]):
            return None
        turned: np.ndarray = self._affine @ inv_ornt_aff(self._turn, sizes)
        return turned[:3]

    def close(self) -> None:
        with self._lock:
            self._mapped = None
            if self._unpacked is not None:
                self._unpacked.close()
                self._unpacked = None

    def _map(self) -> np.ndarray:
        """All values as stored, [planes, height, width, channels], memory-mapped."""
        with self._lock:
            if self._mapped is None:
                proxy, file, start = self._proxy, self.path, self._proxy.offset
                if self.path.name.lower().endswith(".gz"):
                    self._unpacked = _unpack(self.path, start, _size(proxy))
                    file, start = self._unpacked, 0
                stored = np.memmap(file, proxy.dtype, "r", start, proxy.shape, "F")
                self._mapped = orientation.turned(_spatial(stored), self._turn)
            return self._mapped


def open_file(path: Path, *, axis: str = "auto", without_affine: bool = False) -> Nifti:
    """Opens a volume; the options are those of `Nifti`."""
    return Nifti(path, axis=axis, without_affine=without_affine)


def _require_alone(path: Path) -> None:
    """Refuses x.nii beside x.nii.gz: some programs read the header of one and the voxels of the
    other.
    """
    name = path.name
    other = name[: -len(".gz")] if name.lower().endswith(".gz") else f"{name}.gz"
    if path.with_name(other).exists():
        raise BadPicture(
            f"{other} is in the same folder, and programs confuse the two; move one away"
        )


def _load(path: Path) -> Any:
    """The image with its header read."""
    try:
        image: Any = nibabel.load(path)
        size, wanted = path.stat().st_size, image.dataobj.offset + _size(image.dataobj)
    except gzip.BadGzipFile as error:
        raise BadPicture(_damage(error)) from error
    except OSError:
        raise
    # nibabel's readers raise many types on damaged headers; all mean the same here
    except Exception as error:
        raise BadPicture(_damage(error)) from error
    if not isinstance(image, nibabel.Nifti1Image):
        raise BadPicture(f"is {type(image).__name__}, not NIfTI; convert it")
    if min(image.dataobj.shape, default=0) < 1:
        raise BadPicture("holds no voxels")
    if size < wanted and not path.name.lower().endswith(".gz"):
        raise BadPicture(f"damaged: {size} bytes, but its header declares {wanted}")
    return image


def _damage(error: Exception) -> str:
    return f"damaged, or not NIfTI: {' '.join(str(error).split()) or type(error).__name__}"


def _size(proxy: Any) -> int:
    return int(np.prod(proxy.shape, dtype=np.int64)) * proxy.dtype.itemsize


def _place(image: Any, without_affine: bool) -> tuple[np.ndarray, list[str]]:
    """The affine, and notes on it."""
    try:
        sform, has_sform = image.get_sform(coded=True)
        qform, has_qform = image.get_qform(coded=True)
    except ValueError as error:
        raise BadPicture(f"its qform is not a rotation ({error})") from error
    if not (has_sform or has_qform):
        if not without_affine:
            raise BadPicture(
                "has no affine (sform_code and qform_code are 0), so left and right are unknown; "
                "--without_affine reads its axes as right, anterior, superior"
            )
        zooms: list[float] = [*image.header.get_zooms(), 1, 1]
        spacings = [spacing or 1 for spacing in zooms[:3]]
        return np.diag([*spacings, 1.0]), ["no affine, axes read as right, anterior, superior"]
    affine = sform if has_sform else qform
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < 1e-12:
        raise BadPicture(
            "its affine is singular or not finite; correct it, for example with nibabel"
        )
    if has_sform and has_qform:
        sizes = [*image.shape, 1, 1][:3]
        if grids.apart(sform[:3], qform[:3], sizes) > grids.SAME:
            return affine, ["sform and qform differ; the sform is used"]
    return affine, []


def _spatial(values: np.ndarray) -> np.ndarray:
    """A view (X, Y, Z, C) of values in the axes of their file."""
    while values.ndim > 4 and values.shape[-1] == 1:
        values = values[..., 0]
    values = values.reshape(values.shape + (1,) * (4 - values.ndim), order="F")
    shape: tuple[int, ...] = values.shape
    if len(shape) > 5 or (len(shape) == 5 and shape[3] != 1):
        sizes = "x".join(map(str, shape))
        raise BadPicture(f"has the axes {sizes}; save each volume, or channels along one axis")
    return values[:, :, :, 0] if values.ndim == 5 else values


def _fourth_axis_notes(header: Any, shape: tuple[int, ...]) -> list[str]:
    """Notes on channels that may be something else."""
    count = shape[3]
    if count > MOST_CHANNELS:
        raise BadPicture(
            f"has {count} volumes along its fourth axis, more than the {MOST_CHANNELS} channels "
            "allowed; save each volume by itself, for example with nibabel.four_to_three"
        )
    if count > 1 and header["dim"][0] == 4 and header.get_xyzt_units()[1] in _TIME_UNITS:
        return ["a time series of volumes, read as channels"]
    return []


def _unpack(path: Path, start: int, size: int) -> Any:
    """A temporary file of the `size` bytes of voxels of a .nii.gz."""
    unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as it is mapped
    try:
        with gzip.open(path) as stream:
            stream.seek(start)
            left = size
            while left:
                block = stream.read(min(left, 1 << 20))
                if not block:
                    raise EOFError(f"{left} of {size} bytes are missing")
                unpacked.write(block)
                left -= len(block)
            try:
                while stream.read(1 << 20):  # only at its end does gzip compare length and CRC-32
                    pass
            except gzip.BadGzipFile as error:
                if not str(error).startswith("Not a gzipped file"):  # other bytes behind it
                    raise
    except BaseException:
        unpacked.close()
        raise
    unpacked.flush()
    return unpacked
