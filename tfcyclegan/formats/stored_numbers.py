"""Converts the numbers that a file stores to values: type, scale, nodata and mask. Imports no
TensorFlow.
"""

import numpy as np

from tfcyclegan.data.notes import LeftOut
from tfcyclegan.formats.number_types import converted, read_as


class StoredNumbers:
    """Numbers of one type, for all channels of a file.

    Args:
        stored: their type, in any byte order.
        nodata: the stored number that marks missing measurements; None if there is none.
        scale: factor: one, or one for each channel.
        offset: summand, added after scaling.
        has_mask: whether a separate mask marks missing measurements.

    Attributes:
        dtype: type of `read`'s results; float32 if there is a scale or a mask.
        nodata: the nodata value in `read`'s results; NaN if numbers are converted to floats, after
            which the file's own could be a measurement.
        notes: notes on changes, and on a nodata value that is not used.
    """

    def __init__(
        self,
        stored: np.dtype,
        *,
        nodata: float | None = None,
        scale: np.ndarray | float = 1.0,
        offset: np.ndarray | float = 0.0,
        has_mask: bool = False,
    ):
        self.dtype, notes = read_as(stored, with_gaps=has_mask)
        self._scale, self._offset = scale, offset
        self._is_scaled = bool(np.any(np.asarray(scale) != 1) or np.any(np.asarray(offset) != 0))
        if self._is_scaled:
            self.dtype = np.dtype(np.float32)
            notes = ("scale and offset of the file applied, read as float32",)
        self._nodata = None if nodata is None else _as_stored(nodata, stored)
        if nodata is not None and self._nodata is None:
            notes += (LeftOut(f"nodata {nodata:g}, which {stored.name} cannot hold"),)
        self._fills_gaps = self.dtype.kind == "f" and (
            self._is_scaled or has_mask or self.dtype != stored.newbyteorder("=")
        )
        self.nodata: float | None = None
        if self._fills_gaps:
            self.nodata = float("nan") if has_mask or self._nodata is not None else None
        elif self._nodata is not None:
            self.nodata = float(self._nodata)
        self.notes = notes

    def read(self, raw: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
        """Stored numbers [..., C] as a new array of `dtype`.

        Args:
            raw: the stored numbers.
            hidden: where the mask marks them as missing, [..., C or 1].

        Raises:
            intake.BadPicture: float32 cannot hold one of them.
        """
        if not self._fills_gaps:
            return converted(raw, self.dtype)
        gaps = np.zeros(raw.shape, bool)
        if hidden is not None:
            gaps |= hidden
        if self._nodata is not None:
            gaps |= raw == self._nodata
        if self._is_scaled:
            raw = raw * np.asarray(self._scale, np.float64) + self._offset
        return converted(raw, self.dtype, gaps)


def _as_stored(nodata: float, stored: np.dtype) -> np.generic | None:
    """`nodata` in the type of the file, rounded as there; None if the type cannot hold it."""
    native = stored.newbyteorder("=")
    if native.kind == "f":
        with np.errstate(over="ignore"):
            held = native.type(nodata)
        return held if np.isfinite(held) or not np.isfinite(nodata) else None
    limits = np.iinfo(native) if native.kind in "iu" else None
    if limits is None or nodata != np.rint(nodata) or not limits.min <= nodata <= limits.max:
        return None
    return native.type(nodata)
