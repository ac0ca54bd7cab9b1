"""The maps of regions by which measurements are scored."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.evaluation.spool import Spool
from tfcyclegan.translation.foreign_measurements import ReadArrays, read_arrays

_KINDS = (np.uint8, np.uint16, np.int16, np.int32, np.int64)


def read_regions(
    folder: Path, wanted: Mapping[str, tuple[int, int]], settings: Mapping[str, Any], spool: Spool
) -> ReadArrays:
    """Region ids by the names `wanted`, [H, W]; missing values become 0. For `wanted` and
    `settings` see `read_arrays`.

    Raises:
        UserError: the maps cannot be read, do not fit, or hold other numbers than ids.
    """
    return read_arrays(
        folder,
        wanted,
        "--regions",
        channels=1,
        settings=settings,
        keep=lambda arrays: spool.keep((name, _ids(array, folder, name)) for name, array in arrays),
    )


def _ids(array: np.ndarray, folder: Path, name: str) -> np.ndarray:
    """[H, W] in the smallest type that holds them, since files may have them as floats."""
    stored = np.nan_to_num(array[..., 0])
    with np.errstate(invalid="ignore"):  # floats beyond int64 become other numbers, found below
        ids = stored.astype(np.int64)
    if (odd := stored != ids).any():
        raise UserError(
            f"--regions={folder}: {name} has {stored[odd][0]:g}; ids must be whole numbers of at "
            "most 64 bits"
        )
    limits = (np.iinfo(kind) for kind in _KINDS)
    low, high = ids.min(), ids.max()
    return ids.astype(next(one.dtype for one in limits if one.min <= low and high <= one.max))
