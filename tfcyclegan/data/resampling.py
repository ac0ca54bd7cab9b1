"""Resizes measurements, channel by channel in float32, and converts them back to their own type.

The filters are those for pictures (`data.interpolation`) except OpenCV's, which computes in 8 bits.
Missing measurements do not spread: a new pixel is the weighted mean of the valid pixels under the
filter, and is missing if these have less than half of the weight. Integers are rounded once, and
clipped to their type instead of wrapping.
"""

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from tfcyclegan.config import Size
from tfcyclegan.data.interpolation import NEAREST, exact_area_mean
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError

_FILTERS = {"bicubic": Resampling.BICUBIC, "bilinear": Resampling.BILINEAR}
_LEAST_WEIGHT = 0.5


def resize_values(
    array: np.ndarray, values: Values, size: Size, interpolation: str = "bicubic"
) -> np.ndarray:
    """Values [H, W, C] as [h, w, C] of `values.dtype`; the same array if it already has the size.

    Args:
        array: values of type `values.dtype`.
        values: the meaning of the numbers.
        size: the new size.
        interpolation: bicubic, bilinear, area or NEAREST.

    Raises:
        UserError: another interpolation.
    """
    if array.shape[:2] == (size.height, size.width):
        return array
    if interpolation == NEAREST:
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(np.int64)
            for new, old in zip((size.height, size.width), array.shape, strict=False)
        )
        return array[rows][:, columns]
    if interpolation not in (*_FILTERS, "area"):
        raise UserError(
            f"--interpolation={interpolation}: only for 8-bit pictures; for measurements choose "
            "bicubic, bilinear or area"
        )
    invalid = values.invalid(array)
    channels = [
        _resized(array[..., channel], invalid[..., channel], size, interpolation)
        for channel in range(array.shape[-1])
    ]
    made = np.stack([channel for channel, _ in channels], axis=-1)
    gaps = np.stack([gap for _, gap in channels], axis=-1)
    return _in_own_type(made, gaps, values)


def _resized(
    channel: np.ndarray, invalid: np.ndarray, size: Size, interpolation: str
) -> tuple[np.ndarray, np.ndarray]:
    """Floats [h, w], and a mask of missing measurements."""
    if not invalid.any():
        made = _filtered(channel.astype(np.float32), size, interpolation)
        return made, np.zeros(made.shape, bool)
    filled = np.where(invalid, 0, channel.astype(np.float32))
    sums = _filtered(filled, size, interpolation)
    weights = _filtered((~invalid).astype(np.float32), size, interpolation)
    gaps = weights < _LEAST_WEIGHT
    return sums / np.where(gaps, 1, weights), gaps


def _filtered(channel: np.ndarray, size: Size, interpolation: str) -> np.ndarray:
    if interpolation == "area":
        return exact_area_mean(channel, size)
    image = Image.fromarray(np.ascontiguousarray(channel))  # has mode F
    return np.asarray(image.resize((size.width, size.height), _FILTERS[interpolation]))


def _in_own_type(made: np.ndarray, gaps: np.ndarray, values: Values) -> np.ndarray:
    made = np.clip(made, *values.limits)
    if values.is_integer:
        made = np.rint(made)
        if values.nodata is not None:
            # rounding must not turn a valid value into nodata
            beside = values.nodata + (1 if values.nodata < values.limits[1] else -1)
            made = np.where(made == values.nodata, beside, made)
    own = made.astype(values.dtype)
    return np.where(gaps, values.gap, own) if gaps.any() else own
