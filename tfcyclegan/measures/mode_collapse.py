"""Mode collapse: translations that are all alike."""

import numpy as np
from PIL import Image

from tfcyclegan.errors import UserError
from tfcyclegan.measures import advice
from tfcyclegan.measures.findings import Limits, Rows, SetDetector, times_below
from tfcyclegan.measures.lab import lab

_SIDE = 16
_AT_MOST = 256
_AT_MOST_IN_A_DRAW = 40


def layout(picture: np.ndarray) -> np.ndarray:
    """Of uint8 [H, W, C], shrunk to 16x16: its levels, uint8 [256, C]."""
    channels = [
        np.asarray(Image.fromarray(channel).resize((_SIDE, _SIDE), Image.Resampling.BOX))
        for channel in np.moveaxis(picture, -1, 0)
    ]
    return np.stack(channels, axis=-1).reshape(_SIDE**2, -1)


def diversity(layouts: Rows) -> float:
    """How different pictures are from each other: 1 if they share nothing, 0 if they are equal.

    The mean distance in Lab between the pixels of any two of them, each shrunk to 16x16 (at most
    256 pictures, evenly chosen), over that of two pixels at random places of random pictures, so
    that faint or strong colours make pictures neither more nor less alike.

    Args:
        layouts: `layout` of each, [N, 256, C].

    Raises:
        UserError: fewer than two pictures.
    """
    count = len(layouts)
    if count < 2:
        raise UserError("diversity needs at least 2 pictures; give more test pictures")
    small = lab(layouts[np.unique(np.linspace(0, count - 1, _AT_MOST).astype(int))])
    of_pairs = [
        np.linalg.norm(small[:index] - small[index], axis=-1).mean(axis=-1)
        for index in range(1, len(small))
    ]
    pixels = small.reshape(-1, 3)
    order = np.random.default_rng((0, 42)).permutation(len(pixels))
    at_random = np.linalg.norm(pixels - pixels[order], axis=-1).mean()
    return float(np.concatenate(of_pairs).mean()) / max(float(at_random), 1e-12)


def diversity_ratio(fakes: Rows, reals: Rows) -> float:
    """`diversity` of fakes over that of real pictures of their domain; towards 0 in a mode
    collapse.
    """
    return diversity(fakes) / max(diversity(reals), 1e-12)


mode_collapse = SetDetector(
    "mode collapse",
    "how far apart any two translations are, given the strength of their colours, over the same of "
    "real pictures",
    (advice.BOTH_CYCLES, advice.POOL, advice.LOWER_RATE),
    Limits(1.3, 2.5),  # how many times lower than the lowest of real pictures
    layout,
    lambda rows, reals: diversity_ratio(rows[:_AT_MOST_IN_A_DRAW], reals[:_AT_MOST_IN_A_DRAW]),
    lambda rows, _: -np.abs(rows - rows.mean(axis=0)).mean(axis=(1, 2)),
    times_below,
    draws=30,
)
