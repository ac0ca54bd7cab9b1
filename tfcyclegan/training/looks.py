"""The distance in appearance between translations and their target domain's real pictures during
training: `measures.appearance` for pictures and for measurements with any number of channels.

Measurements are converted to 256 levels of their value range, three channels at a time; the
distances of these groups are averaged. Missing measurements are black on both sides.
"""

from collections.abc import Sequence

import numpy as np

from tfcyclegan.data.images import to_uint8
from tfcyclegan.measures.appearance import Appearance


class Look:
    """The appearance of real pictures of one domain.

    Args:
        seen: pictures as networks see them, floats [H, W, C] in [-1, 1], NaN where there is no
            measurement.
    """

    def __init__(self, seen: Sequence[np.ndarray]):
        self.seen = list(seen)
        self.channels = self.seen[0].shape[-1]
        self._groups = [
            # Lab has three channels or one
            (list(range(start, min(start + 3, self.channels))) + [self.channels - 1] * 2)[:3]
            if self.channels > 1
            else [0]
            for start in range(0, self.channels, 3)
        ]
        self._appearances = [
            Appearance([_levels(picture, group) for picture in self.seen]) for group in self._groups
        ]

    @property
    def pictures(self) -> list[np.ndarray]:
        """The pictures of a domain of pictures in 8 bits: uint8 [H, W, 1 or 3]."""
        return [to_uint8(picture) for picture in self.seen]

    def distances(self, seen: Sequence[np.ndarray]) -> np.ndarray:
        """Distances of pictures from these, see `Appearance.distances`: (colours, textures),
        averaged over the groups. Pictures with another number of channels are replaced by the mean
        of their channels, except gray and RGB.
        """
        channels = seen[0].shape[-1]
        of_groups = []
        for group, appearance in zip(self._groups, self._appearances, strict=True):
            if channels == self.channels:
                shown = [_levels(picture, group) for picture in seen]
            elif channels in (1, 3) and self.channels in (1, 3):
                shown = [_levels(picture, list(range(channels))) for picture in seen]
            else:
                shown = [_levels(picture.mean(axis=-1, keepdims=True), [0]) for picture in seen]
            of_groups.append(appearance.distances(shown))
        mean: np.ndarray = np.mean(of_groups, axis=0)
        return mean


def _levels(seen: np.ndarray, channels: list[int]) -> np.ndarray:
    return to_uint8(np.nan_to_num(seen[..., channels], nan=-1))
