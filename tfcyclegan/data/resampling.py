"""Measurements in another size, channel by channel in float32, in their own type again.

The filters are those of pictures (`data.interpolation`) but OpenCV's, whose arithmetic is that of 8
bit. A gap does not smear: a new pixel is the mean of the valid pixels under the filter, by its
weights, and a gap where those have less than half of the weight. Whole numbers are rounded once,
and clipped to their type instead of wrapping.
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
    """Values [H, W, C] as [h, w, C] of `values.dtype`; the same array when the size is right
    already.

    Args:
        array: of `values.dtype`.
        values: what the numbers mean.
        size: that is wanted.
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
            f"--interpolation={interpolation}: is for 8-bit pictures; measurements are resized by "
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
    """Floats [h, w], and where they are gaps."""
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
    image = Image.fromarray(np.ascontiguousarray(channel))  # of mode F
    return np.asarray(image.resize((size.width, size.height), _FILTERS[interpolation]))


def _in_own_type(made: np.ndarray, gaps: np.ndarray, values: Values) -> np.ndarray:
    limits = np.iinfo(values.dtype) if values.is_integer else np.finfo(values.dtype)
    made = np.clip(made, float(limits.min), float(limits.max))
    if values.is_integer:
        made = np.rint(made)
        if values.nodata is not None:
            # what is valid must not become a gap by its rounding
            beside = values.nodata + (1 if values.nodata < limits.max else -1)
            made = np.where(made == values.nodata, beside, made)
    own = made.astype(values.dtype)
    if gaps.any():
        own[gaps] = values.gap
    return own
