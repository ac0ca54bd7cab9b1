"""Random augmentation, drawn each time a picture is used: crop, mirroring, rotation by quarter
turns, colours.

Pictures are uint8 [H, W, C], measurements [H, W, C] of any type, whose values are not changed.
"""

from collections.abc import Sequence

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.data import images

_GRAY = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601, as in Pillow


def augmented(
    pictures: Sequence[np.ndarray],
    generator: np.random.Generator,
    *,
    crop_size: Size | None,
    flip: bool,
    rotations: bool,
    colour_jitter: Sequence[float],
) -> list[np.ndarray]:
    """The same random crop of corresponding pictures, with the same random mirroring, rotation and
    recolouring.

    Args:
        pictures: uint8 [H, W, C] or measurements, all of one size; C and type may differ.
        generator: random generator of this sample only. The order of draws is always the same,
            whatever the options: three for the crop, one for the rotation, three for the colours.
        crop_size: size of the crop; None uses the whole picture.
        flip: whether to mirror half of the samples.
        rotations: whether to rotate by 0, 90, 180 or 270 degrees, with equal probability.
        colour_jitter: strength s for each picture: brightness, contrast and saturation are scaled
            by factors in [1 - s, 1 + s]; 0, which measurements require, keeps its colours.
    """
    # concatenated, all pictures get the same crop
    whole = pictures[0] if len(pictures) == 1 else np.concatenate(pictures, axis=-1)
    shown = images.random_window(whole, crop_size, flip, generator)
    turns, colours = int(4 * generator.random()), generator.uniform(-1, 1, 3)
    if rotations and turns:
        shown = np.rot90(shown, turns)
    ends = np.cumsum([picture.shape[-1] for picture in pictures])
    # concatenating two types loses nothing: all are integers of up to 16 bits or floats
    parts = [
        part.astype(picture.dtype, copy=False)
        for part, picture in zip(np.split(shown, ends[:-1], axis=-1), pictures, strict=True)
    ]
    return [
        jittered(part, *(1 + strength * colours)) if strength else part
        for part, strength in zip(parts, colour_jitter, strict=True)
    ]


def jittered(
    picture: np.ndarray, brightness: float, contrast: float, saturation: float
) -> np.ndarray:
    """uint8 [H, W, 1 or 3] with brightness, contrast (about the mean gray) and saturation (about
    each pixel's gray) scaled; rounded and clipped once, at the end.
    """
    pixels = picture.astype(np.float32) * np.float32(brightness)
    gray = pixels @ _GRAY if picture.shape[-1] == 3 else pixels[..., 0]
    pixels = gray[..., np.newaxis] + (pixels - gray[..., np.newaxis]) * np.float32(saturation)
    mean = gray.mean()
    return np.clip(np.rint(mean + (pixels - mean) * np.float32(contrast)), 0, 255).astype(np.uint8)
