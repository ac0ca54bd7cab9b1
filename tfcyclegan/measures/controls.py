"""What needs no training: translations that a score must be better than to mean anything. uint8 in, uint8 out.

Each is a function picture -> picture, fitted on the training pictures of the target domain; all but "identity" see no pairs.
"""

from collections.abc import Callable, Sequence

import numpy as np
from skimage.exposure import match_histograms

Control = Callable[[np.ndarray], np.ndarray]


def make_controls(target_pictures: Sequence[np.ndarray]) -> dict[str, Control]:
    """The controls by name.

    Args:
        target_pictures: real training pictures of the domain to translate into, uint8 [H, W, C].
    """
    pixels = np.concatenate([picture.reshape(-1, picture.shape[-1]) for picture in target_pictures]).astype(np.float64)
    mean, deviation = pixels.mean(axis=0), pixels.std(axis=0)
    palette = np.asarray(pixels, np.uint8)[np.newaxis]

    def rounded(values: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)

    def colour_matching(picture: np.ndarray) -> np.ndarray:
        values = picture.astype(np.float64)
        own_mean, own_deviation = values.mean(axis=(0, 1)), values.std(axis=(0, 1))
        return rounded((values - own_mean) * (deviation / np.maximum(own_deviation, 1e-6)) + mean)

    return {
        "identity": lambda picture: picture,
        "colour matching": colour_matching,
        "histogram matching": lambda picture: rounded(match_histograms(picture, palette, channel_axis=-1)),
        "constant colour": lambda picture: np.broadcast_to(rounded(mean), picture.shape).copy(),
    }
