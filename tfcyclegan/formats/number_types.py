"""The type of `values.TYPES` as which a file's numbers are read, and the conversion. Imports no
TensorFlow.

Files have more types than data sets. Numbers that float32 holds exactly become float32; numbers
that it would change are refused when they are read, since headers do not show them.
"""

import numpy as np

from tfcyclegan.data.intake import BadPicture

_AS_THEY_ARE = {"bool": "uint8", "int8": "int16"} | {
    name: name for name in ("uint8", "uint16", "int16", "float16", "float32")
}
_WHOLE = 1 << 24  # float32 holds every integer up to it


def read_as(stored: np.dtype, *, with_gaps: bool = False) -> tuple[np.dtype, tuple[str, ...]]:
    """The type to which `converted` converts numbers of type `stored`, and notes on the change.

    Args:
        stored: the file's type, in any byte order.
        with_gaps: whether NaN is needed, which integers cannot hold.

    Raises:
        BadPicture: they are not real numbers.
    """
    name = stored.newbyteorder("=").name
    if name in _AS_THEY_ARE:
        dtype = np.dtype(_AS_THEY_ARE[name])
        if with_gaps and dtype.kind != "f":
            return np.dtype(np.float32), (
                f"missing measurements among integers ({name}), read as float32",
            )
        return dtype, ()
    if stored.kind in "iu" or name in ("float64", "longdouble", "float128"):
        return np.dtype(np.float32), (f"{name}, read as float32",)
    raise BadPicture(f"values of type {stored}; save real numbers of 8 to 64 bits")


def converted(raw: np.ndarray, dtype: np.dtype, gaps: np.ndarray | None = None) -> np.ndarray:
    """`raw` as a new array of `dtype`, the result of `read_as`; NaN where `gaps` is true.

    Raises:
        BadPicture: float32 cannot hold one of its numbers.
    """
    if dtype.kind == "f" and raw.dtype.itemsize > 2:
        valid = raw if gaps is None else raw[~gaps]
        if raw.dtype.kind in "iu" and valid.size:
            largest = max(abs(int(valid.min())), abs(int(valid.max())))
            if largest > _WHOLE:
                raise BadPicture(
                    f"holds {largest}, but float32 holds integers only up to {_WHOLE}; subtract an "
                    "offset, or save it with 16 bits"
                )
        elif raw.dtype.itemsize > dtype.itemsize:
            finite = np.abs(valid[np.isfinite(valid)])
            if finite.size and finite.max() > np.finfo(dtype).max:
                raise BadPicture(f"holds {finite.max():g}, more than float32 can hold")
    with np.errstate(over="ignore", invalid="ignore"):
        array = raw.astype(dtype.newbyteorder("="), order="C", copy=True)
    if gaps is not None:
        array[gaps] = np.nan
    return array
