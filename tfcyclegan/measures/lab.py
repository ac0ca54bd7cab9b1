"""CIE Lab, in which measures take colours, since its distances are about those that people see."""

import numpy as np
from skimage.color import rgb2lab


def lab(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 1 or 3] sRGB to CIE Lab (D65), float [H, W, 3]; one unit is about a just visible
    difference.
    """
    return rgb2lab(np.broadcast_to(image, (*image.shape[:2], 3)))


def lightness(picture: np.ndarray) -> np.ndarray:
    """CIE L* [H, W] in [0, 100]."""
    return lab(picture)[..., 0]
