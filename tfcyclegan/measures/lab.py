"""Conversion to CIE Lab, in which measures compare colours because its distances match perception.

The values equal scikit-image's `rgb2lab` in float64 to the last bit. A table of the 256 levels
halves the time, and lightness alone is faster still.
"""

import numpy as np
from skimage.color import xyz_tristimulus_values
from skimage.color.colorconv import xyz_from_rgb

from tfcyclegan.measures.shared import shared

_SHARE = np.arange(256) * (1 / 255)
_LINEAR = np.where(_SHARE > 0.04045, ((_SHARE + 0.055) / 1.055) ** 2.4, _SHARE / 12.92)
_WHITE = xyz_tristimulus_values(illuminant="D65", observer="2", dtype=np.float64)


@shared
def _xyz(image: np.ndarray) -> np.ndarray:
    """CIE XYZ, relative to white, of sRGB uint8 [H, W, 1 or 3], [3, H, W]."""
    linear = np.broadcast_to(_LINEAR.take(image), (*image.shape[:2], 3))
    share = linear @ xyz_from_rgb.T
    share /= _WHITE
    return np.ascontiguousarray(np.moveaxis(share, -1, 0))


def _perceived(share: np.ndarray) -> np.ndarray:
    perceived = np.cbrt(share)
    dark = share <= 0.008856
    perceived[dark] = 7.787 * share[dark] + 16 / 116
    return perceived


@shared
def lab(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 1 or 3] sRGB to CIE Lab (D65), float64 [H, W, 3]; one unit is roughly a just
    noticeable difference.
    """
    x, y, z = _perceived(_xyz(image))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@shared
def lightness(picture: np.ndarray) -> np.ndarray:
    """CIE L* [H, W] in [0, 100]."""
    return 116 * _perceived(_xyz(picture)[1]) - 16
