"""The pictures of a run's data on which its exports are measured, and by which they are
calibrated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.domains import Domains, Split
from tfcyclegan.data.pixels import spread

COMPARED = 32
"""So many pictures are measured on, and as many are needed to call a quantized model proven."""
CALIBRATING = 16  # the converter takes seconds for each at 256x256


@dataclass(frozen=True)
class Pictures:
    """Pictures to measure on.

    Attributes:
        batch: float32 [N, H, W, C] in [-1, 1].
        told: which they are, in words.
        real: whether they are the run's data.
        unseen: whether they are of a test split.
    """

    batch: np.ndarray
    told: str
    real: bool
    unseen: bool


def comparison_pictures(
    domains: Domains | None, domain: str, size: Size, channels: int
) -> Pictures:
    """Test pictures of `domain`, evenly spread over its split; training pictures where there is
    none, noise where there are no data.
    """
    if domains is None:
        noise = (
            np.random.default_rng(0)
            .uniform(-1, 1, (4, size.height, size.width, channels))
            .astype(np.float32)
        )
        return Pictures(noise, "on noise", real=False, unseen=False)
    split = domains.find("test", domain)
    unseen = split is not None
    split = split or domains.require("train", domain)
    batch = np.stack(_load(split, COMPARED, size, channels))
    return Pictures(
        batch, f"on {len(batch)} of {split.count} pictures of {split}", real=True, unseen=unseen
    )


def calibration_pictures(
    domains: Domains | None, domain: str, size: Size, channels: int
) -> Sequence[np.ndarray]:
    """Training pictures float32 [H, W, C], evenly spread over the split; none where there are no
    data.
    """
    return (
        []
        if domains is None
        else _load(domains.require("train", domain), CALIBRATING, size, channels)
    )


def _load(split: Split, count: int, size: Size, channels: int) -> list[np.ndarray]:
    chosen = set(spread(split.count, count))
    encoded = [content for index, (_, content) in enumerate(split.pictures()) if index in chosen]
    nearest = split.holds_label_maps
    return [
        images.to_float(
            images.to_array(images.resize(images.decode(one, channels), size, nearest=nearest))
        )
        for one in encoded
    ]
