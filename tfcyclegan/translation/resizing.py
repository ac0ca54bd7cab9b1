"""What a network gives, in another size."""

import numpy as np
from PIL import Image

from tfcyclegan.config import Size
from tfcyclegan.data.interpolation import interpolate


def resized(array: np.ndarray, size: Size, interpolation: str = "bicubic") -> np.ndarray:
    """float32 [H, W, C] to [h, w, C]."""
    channels = [
        np.asarray(interpolate(Image.fromarray(array[..., channel]), size, interpolation))
        for channel in range(array.shape[-1])
    ]
    return np.stack(channels, axis=-1).astype(np.float32)
