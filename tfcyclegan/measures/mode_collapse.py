"""Mode collapse: translations that all look alike."""

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
    """The pixels of uint8 [H, W, C] shrunk to 16x16, uint8 [256, C]."""
    channels = [
        np.asarray(Image.fromarray(channel).resize((_SIDE, _SIDE), Image.Resampling.BOX))
        for channel in np.moveaxis(picture, -1, 0)
    ]
    return np.stack(channels, axis=-1).reshape(_SIDE**2, -1)


def diversity(layouts: Rows) -> float:
    """How different pictures are from each other: 1 if they have nothing in common, 0 if they are
    equal.

    It is the mean Lab distance between the pixels of all pairs of pictures shrunk to 16x16 (at most
    256 pictures, evenly spread), relative to the distance between pixels at random positions of
    random pictures, so that faint or strong colours do not change it.

    Args:
        layouts: the `layout` of each picture, [N, 256, C].

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
    """`diversity` of fakes relative to that of real pictures of their domain; near 0 in a mode
    collapse.
    """
    return diversity(fakes) / max(diversity(reals), 1e-12)


mode_collapse = SetDetector(
    "mode collapse",
    "distance between translations, given the strength of their colours, relative to the same for "
    "real pictures",
    (advice.BOTH_CYCLES, advice.POOL, advice.LOWER_RATE),
    Limits(1.3, 2.5),  # lower end of the range of real pictures over the value
    layout,
    lambda rows, reals: diversity_ratio(rows[:_AT_MOST_IN_A_DRAW], reals[:_AT_MOST_IN_A_DRAW]),
    lambda rows, _: -np.abs(rows - rows.mean(axis=0)).mean(axis=(1, 2)),
    times_below,
    draws=30,
)
