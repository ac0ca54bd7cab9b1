"""Baselines that need no training. A translation's score is meaningful only if it beats theirs.
uint8 in, uint8 out.

Each is a function picture -> picture, fitted on training pictures of the target domain without
using pairs. If the domains differ in channels, the input is converted first: gray to R=G=B, colours
to luminance.
"""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from tfcyclegan.data import images
from tfcyclegan.measures.shared import shared

Control = Callable[[np.ndarray], np.ndarray]
_LEVELS = np.arange(256)


def in_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """Converts uint8 [H, W, 1 or 3] to [H, W, channels]: gray to R=G=B, colours to luminance (ITU-R
    601). Any other picture is returned unchanged.
    """
    if picture.shape[-1] == channels:
        return picture
    return images.to_array(
        images.with_channels(
            Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture), channels
        )
    )


def make_controls(target_pictures: Sequence[np.ndarray]) -> dict[str, Control]:
    """The controls by name; each maps uint8 [H, W, 1 or 3] to uint8 [H, W, C].

    Args:
        target_pictures: real training pictures of the target domain, uint8 [H, W, C].
    """
    counts = np.sum([_counts(picture) for picture in target_pictures], axis=0)  # [C, 256]
    shares, mean, deviation = histogram_moments(counts, _LEVELS)
    channels = len(counts)

    def rounded(values: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)

    def by_tables(picture: np.ndarray, tables: np.ndarray) -> np.ndarray:
        """Maps each channel's levels through its table, [256]."""
        channel = enumerate(rounded(tables))
        return np.stack([table.take(picture[..., index]) for index, table in channel], axis=-1)

    def colour_matching(picture: np.ndarray) -> np.ndarray:
        _, own_mean, own_deviation = histogram_moments(_counts(picture), _LEVELS)
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


def histogram_moments(
    counts: np.ndarray, levels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares [C, L], means [C] and standard deviations [C] of histograms [C, L] over `levels` [L];
    zeros for an empty one.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mean = shares @ levels
    return shares, mean, np.sqrt((shares * (levels - mean[:, np.newaxis]) ** 2).sum(axis=1))


@shared
def _counts(picture: np.ndarray) -> np.ndarray:
    """Number of pixels at each level, by channel, [C, 256]."""
    return np.stack(
        [
            np.bincount(picture[..., channel].ravel(), minlength=256)
            for channel in range(picture.shape[-1])
        ]
    )
