"""Which of `values.TYPES` a file's numbers are read as, and how. Imports no TensorFlow.

Files hold more types than data sets do. What float32 holds exactly becomes float32; numbers that it
would change are refused where they are met, since a header does not tell of them.
"""

import numpy as np

from tfcyclegan.data.intake import BadPicture

_AS_THEY_ARE = {"bool": "uint8", "int8": "int16"} | {
    name: name for name in ("uint8", "uint16", "int16", "float16", "float32")
}
_WHOLE = 1 << 24  # up to which float32 holds every whole number


def read_as(stored: np.dtype, *, with_gaps: bool = False) -> tuple[np.dtype, tuple[str, ...]]:
    """The type that `converted` gives of numbers of type `stored`, and notes on the change.

    Args:
        stored: the file's, of any byte order.
        with_gaps: whether NaN must stand among them, which whole numbers cannot hold.

    Raises:
        BadPicture: they are no real numbers.
    """
    name = stored.newbyteorder("=").name
    if name in _AS_THEY_ARE:
        dtype = np.dtype(_AS_THEY_ARE[name])
        if with_gaps and dtype.kind != "f":
            return np.dtype(np.float32), (f"gaps among whole numbers ({name}), read as float32",)
        return dtype, ()
    if stored.kind in "iu" or name in ("float64", "longdouble", "float128"):
        return np.dtype(np.float32), (f"{name}, read as float32",)
    raise BadPicture(f"values of {stored}; save real numbers of 8 to 64 bit")


def converted(raw: np.ndarray, dtype: np.dtype, gaps: np.ndarray | None = None) -> np.ndarray:
    """`raw` as a fresh array of `dtype`, which `read_as` has named; NaN where `gaps` says.

    Raises:
        BadPicture: float32 cannot hold one of its numbers.
    """
    if dtype.kind == "f" and raw.dtype.itemsize > 2:
        valid = raw if gaps is None else raw[~gaps]
        if raw.dtype.kind in "iu" and valid.size:
            largest = max(abs(int(valid.min())), abs(int(valid.max())))
            if largest > _WHOLE:
                raise BadPicture(
                    f"holds {largest}, and float32 holds whole numbers up to {_WHOLE}; take an "
                    "offset off, or save it as 16 bit"
                )
        elif raw.dtype.itemsize > dtype.itemsize:
            finite = np.abs(valid[np.isfinite(valid)])
            if finite.size and finite.max() > np.finfo(dtype).max:
                raise BadPicture(f"holds {finite.max():g}, above what float32 holds")
    with np.errstate(over="ignore", invalid="ignore"):
        array = raw.astype(dtype.newbyteorder("="), order="C", copy=True)
    if gaps is not None:
        array[gaps] = np.nan
    return array
