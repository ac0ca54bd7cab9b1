"""How far a set of pictures is, in colours and in textures, from a set of real ones. Needs no pairs and no network.

Both distances are sliced Wasserstein distances (Rabin et al. 2011): the mean, over random directions, of the distance
between the two sorted projections. A set against another half of itself gives the floor.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from skimage.color import rgb2lab

_DIRECTIONS = 64
_SAMPLES = 16_384
_PATCH = 7
_LEVELS = 3


def lab(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 1 or 3] sRGB to CIE Lab (D65), float [H, W, 3]; one unit is about a just visible difference."""
    return rgb2lab(np.broadcast_to(image, (*image.shape[:2], 3)))


def sliced_distance(points: np.ndarray, others: np.ndarray, *, seed: int = 0) -> float:
    """Sliced 1-Wasserstein distance of two clouds [N, D] and [M, D], by quantiles, so that N and M may differ."""
    generator = np.random.default_rng((seed, 7))
    directions = generator.normal(size=(points.shape[1], _DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    levels = (np.arange(512) + 0.5) / 512
    quantiles = [np.quantile(cloud @ directions, levels, axis=0) for cloud in (points, others)]
    return float(np.abs(quantiles[0] - quantiles[1]).mean())


def _colours(pictures: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Lab colours of pixels drawn from all pictures alike, [N, 3]."""
    generator = np.random.default_rng((seed, 1))
    share = max(1, _SAMPLES // len(pictures))
    drawn = []
    for picture in pictures:
        pixels = lab(picture).reshape(-1, 3)
        drawn.append(pixels[generator.integers(len(pixels), size=share)])
    return np.concatenate(drawn)


def _textures(pictures: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    """For each level of a Laplacian pyramid of the lightness, 7x7 patches drawn from all pictures, [N, 49]."""
    generator = np.random.default_rng((seed, 2))
    share = max(1, _SAMPLES // len(pictures) // 4)
    drawn: list[list[np.ndarray]] = [[] for _ in range(_LEVELS)]
    for picture in pictures:
        level_image = lab(picture)[..., 0].astype(np.float32)
        for level in range(_LEVELS):
            height, width = level_image.shape
            if min(height, width) < 2 * _PATCH:
                break
            small = np.asarray(Image.fromarray(level_image).resize((width // 2, height // 2), Image.Resampling.BOX))
            smooth = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR))
            windows = np.lib.stride_tricks.sliding_window_view(level_image - smooth, (_PATCH, _PATCH))
            rows, columns = (generator.integers(size, size=share) for size in windows.shape[:2])
            drawn[level].append(windows[rows, columns].reshape(share, -1))
            level_image = small
    return [np.concatenate(patches) for patches in drawn if patches]


class Appearance:
    """The look of a set of real pictures, against which other sets are measured.

    Args:
        pictures: uint8 [H, W, C] each, at least 14 pixels a side.
        seed: of the pixels and patches drawn.
    """

    def __init__(self, pictures: Sequence[np.ndarray], *, seed: int = 0):
        self.pictures = list(pictures)
        self.seed = seed
        self._colours = _colours(self.pictures, seed)
        self._textures = _textures(self.pictures, seed)

    def colour_distance(self, pictures: Sequence[np.ndarray]) -> float:
        """Sliced Wasserstein distance of the Lab colours, in Lab units."""
        return sliced_distance(_colours(pictures, self.seed + 1), self._colours)

    def texture_distance(self, pictures: Sequence[np.ndarray]) -> float:
        """Mean over three octaves of the sliced Wasserstein distance of 7x7 lightness patches, in Lab units.

        After Karras et al. 2018 (SWD on Laplacian pyramids), on lightness alone since colour is measured by itself, and not
        normalised, so that too weak and too strong texture both count.
        """
        levels = zip(_textures(pictures, self.seed + 1), self._textures, strict=False)
        return float(np.mean([sliced_distance(theirs, ours) for theirs, ours in levels]))
