"""Baselines that need no training: the score of a translation means something only where it beats
theirs. uint8 in, uint8 out.

Each is a function picture -> picture, fitted on the training pictures of the target domain; all but
"identity" see no pairs. Where the domains' channels differ, each starts from the input in the
target's: gray as R=G=B, colours as their luminance.
"""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from tfcyclegan.data import images
from tfcyclegan.measures.shared import shared

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
    shares, mean, deviation = _moments(counts)
    channels = len(counts)

    def rounded(values: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)

    def by_tables(picture: np.ndarray, tables: np.ndarray) -> np.ndarray:
        """Each channel's levels replaced by those that its table [256] has for them."""
        channel = enumerate(rounded(tables))
        return np.stack([table.take(picture[..., index]) for index, table in channel], axis=-1)

    def colour_matching(picture: np.ndarray) -> np.ndarray:
        _, own_mean, own_deviation = _moments(_counts(picture))
        stretch = deviation / np.maximum(own_deviation, 1e-6)
        tables = (_LEVELS[:, np.newaxis] - own_mean) * stretch + mean
        return by_tables(picture, tables.T)

    def histogram_matching(picture: np.ndarray) -> np.ndarray:
        own = np.cumsum(_counts(picture), axis=1) / picture[..., 0].size
        tables = []
        for ranks, of_channel, target in zip(own, shares, counts, strict=True):
            there = np.flatnonzero(target)
            tables.append(np.interp(ranks, np.cumsum(of_channel)[there], there))
        return by_tables(picture, np.array(tables))

    def from_target_channels(control: Control) -> Control:
        return lambda picture: control(in_channels(picture, channels))

    controls: dict[str, Control] = {
        "identity": lambda picture: picture,
        "colour matching": colour_matching,
        "histogram matching": histogram_matching,
        "constant colour": lambda picture: np.broadcast_to(rounded(mean), picture.shape).copy(),
    }
    return {name: from_target_channels(control) for name, control in controls.items()}


def _moments(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of pixels by channel and level, [C, 256], their shares, means and deviations by channel."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ _LEVELS
    return shares, mean, np.sqrt((shares * (_LEVELS - mean[:, np.newaxis]) ** 2).sum(axis=1))


@shared
def _counts(picture: np.ndarray) -> np.ndarray:
    """Pixels of each level by channel, [C, 256]."""
    return np.stack(
        [
            np.bincount(picture[..., channel].ravel(), minlength=256)
            for channel in range(picture.shape[-1])
        ]
    )
