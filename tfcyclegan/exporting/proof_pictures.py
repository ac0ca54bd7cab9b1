"""The pictures, or planes of measurements, of a run's data for measuring and calibrating its
exports.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.domains import Domains, Split
from tfcyclegan.data.pixels import spread
from tfcyclegan.data.resampling import resize_values
from tfcyclegan.data.values import Values
from tfcyclegan.system.progress import log
from tfcyclegan.translation.measured_splits import require_kind
from tfcyclegan.translation.value_pair import ValuePair, told_of_ranges

COMPARED = 32
"""Number of pictures for measuring, all of which are needed to call a quantized model proven."""
CALIBRATING = 16  # the converter takes seconds for each at 256x256


@dataclass(frozen=True)
class Pictures:
    """Pictures to measure on.

    Attributes:
        batch: float32 [N, H, W, C] in [-1, 1].
        names: names of the pictures, for messages.
        told: their description.
        real: whether they are the run's data.
        unseen: whether they are from a test split.
    """

    batch: np.ndarray
    names: Sequence[str]
    told: str
    real: bool
    unseen: bool


def check_kind(domains: Domains, domain: str, trained: Values | None) -> None:
    """Checks that the data of `domain` are what the network takes, and tells if their ranges differ
    from those of its training.

    Args:
        domains: the data to measure and calibrate on.
        domain: the source domain, "a" or "b".
        trained: values that the network takes; None for pictures.

    Raises:
        UserError: the data are pictures instead of measurements or the reverse, or have other
            channels or units.
    """
    split = domains.require("train", domain)
    require_kind(split.source, split.name, trained)
    here = split.values
    if here and trained and (told := told_of_ranges(domain, here, trained)):
        log(f"{told}; the files are measured and calibrated in those of the data")


def comparison_pictures(
    domains: Domains | None, domain: str, size: Size, channels: int, interpolation: str
) -> Pictures:
    """Test pictures of `domain`, evenly spaced over its split, resized by `interpolation`; training
    pictures if there is none, noise without data.
    """
    if domains is None:
        noise = (
            np.random.default_rng(0)
            .uniform(-1, 1, (4, size.height, size.width, channels))
            .astype(np.float32)
        )
        names = [f"noise {number}" for number in range(len(noise))]
        return Pictures(noise, names, "on noise", real=False, unseen=False)
    split = domains.find("test", domain)
    unseen = split is not None
    split = split or domains.require("train", domain)
    names, batch = zip(*_load(split, COMPARED, size, channels, interpolation), strict=True)
    told = f"on {len(names)} of {split.count} pictures of {split}"
    return Pictures(np.stack(batch), names, told, real=True, unseen=unseen)


def calibration_pictures(
    domains: Domains | None, domain: str, size: Size, channels: int, interpolation: str
) -> Sequence[np.ndarray]:
    """Training pictures float32 [H, W, C], evenly spaced over the split, resized by
    `interpolation`; none without data.
    """
    if domains is None:
        return []
    split = domains.require("train", domain)
    return [picture for _, picture in _load(split, CALIBRATING, size, channels, interpolation)]


def _load(
    split: Split, count: int, size: Size, channels: int, interpolation: str
) -> list[tuple[str, np.ndarray]]:
    """(name, float32 [H, W, C])."""
    chosen = set(spread(split.count, count))
    nearest = split.holds_label_maps
    loaded = []
    if split.values is not None:
        pair = ValuePair(split.values)
        for index, (name, array) in enumerate(split.source.arrays(split.name)):
            if index in chosen:
                own = resize_values(array, split.values, size, interpolation)
                loaded.append((name, pair.to_network(own)))
        return loaded
    for index, (name, encoded) in enumerate(split.pictures()):
        if index in chosen:
            image = images.decode(encoded, channels)
            resized = images.resize(image, size, interpolation, nearest=nearest)
            loaded.append((name, images.to_float(images.to_array(resized))))
    return loaded
