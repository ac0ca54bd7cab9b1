"""What needs no training: translations that a score must be better than to mean anything. uint8 in,
uint8 out.

Each is a function picture -> picture, fitted on the training pictures of the target domain; all but
"identity" see no pairs. Where the domains' channels differ, each starts from the input in the
target's: gray as R=G=B, colours as their luminance.
"""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from tfcyclegan.data import images

Control = Callable[[np.ndarray], np.ndarray]
_LEVELS = np.arange(256)


def in_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """uint8 [H, W, 1 or 3] to [H, W, channels]: gray as R=G=B, colours as their luminance (ITU-R
    601); others stay as they are.
    """
    if picture.shape[-1] == channels:
        return picture
    return images.to_array(
        images.with_channels(
            Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture), channels
        )
    )


def make_controls(target_pictures: Sequence[np.ndarray]) -> dict[str, Control]:
    """The controls by name; each takes uint8 [H, W, 1 or 3] and gives uint8 [H, W, C].

    Args:
        target_pictures: real training pictures of the domain to translate into, uint8 [H, W, C].
    """
    counts = np.sum([_counts(picture) for picture in target_pictures], axis=0)  # [C, 256]
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ _LEVELS
    deviation = np.sqrt((shares * (_LEVELS - mean[:, np.newaxis]) ** 2).sum(axis=1))
    channels = len(counts)

    def rounded(values: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)

    def colour_matching(picture: np.ndarray) -> np.ndarray:
        values = picture.astype(np.float64)
        own_mean, own_deviation = values.mean(axis=(0, 1)), values.std(axis=(0, 1))
        return rounded((values - own_mean) * (deviation / np.maximum(own_deviation, 1e-6)) + mean)

    def histogram_matching(picture: np.ndarray) -> np.ndarray:
        own = np.cumsum(_counts(picture), axis=1) / picture[..., 0].size
        there = [np.flatnonzero(of_channel) for of_channel in counts]
        matched = [
            np.interp(own[channel], np.cumsum(shares[channel])[there[channel]], there[channel])[
                picture[..., channel]
            ]
            for channel in range(channels)
        ]
        return rounded(np.stack(matched, axis=-1))

    def from_target_channels(control: Control) -> Control:
        return lambda picture: control(in_channels(picture, channels))

    controls: dict[str, Control] = {
        "identity": lambda picture: picture,
        "colour matching": colour_matching,
        "histogram matching": histogram_matching,
        "constant colour": lambda picture: np.broadcast_to(rounded(mean), picture.shape).copy(),
    }
    return {name: from_target_channels(control) for name, control in controls.items()}


def _counts(picture: np.ndarray) -> np.ndarray:
    """Pixels of each level by channel, [C, 256]."""
    return np.stack(
        [
            np.bincount(picture[..., channel].ravel(), minlength=256)
            for channel in range(picture.shape[-1])
        ]
    )
