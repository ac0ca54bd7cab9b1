"""How far a set of pictures is, in colours and in textures, from a set of real ones. Needs no pairs
and no network.

Both distances are sliced Wasserstein distances (Rabin et al. 2011): the mean, over random
directions, of the distance between the two sorted projections. A set against another half of itself
gives the floor.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from skimage.color import rgb2lab

_DIRECTIONS = 64
_SAMPLES = 16_384
_SAMPLES_OF_HALF = 4096
_LEVELS_OF_QUANTILES = (np.arange(512) + 0.5) / 512
_PATCH = 7
_LEVELS = 3


def lab(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 1 or 3] sRGB to CIE Lab (D65), float [H, W, 3]; one unit is about a just visible
    difference.
    """
    return rgb2lab(np.broadcast_to(image, (*image.shape[:2], 3)))


def _directions(dimension: int, seed: int = 0) -> np.ndarray:
    """Random unit vectors, [D, _DIRECTIONS]."""
    directions = np.random.default_rng((seed, 7)).normal(size=(dimension, _DIRECTIONS))
    return directions / np.linalg.norm(directions, axis=0)


def _quantiles(points: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Quantiles of the projections, [_DIRECTIONS, levels]; numpy's own, by sorting, which is
    several times faster for so many levels.
    """
    projected = np.sort(np.ascontiguousarray((points @ directions).T), axis=-1)
    place = _LEVELS_OF_QUANTILES * (len(points) - 1)
    below = place.astype(int)
    above = np.minimum(below + 1, len(points) - 1)
    return projected[:, below] + (place - below) * (projected[:, above] - projected[:, below])


def sliced_distance(points: np.ndarray, others: np.ndarray, *, seed: int = 0) -> float:
    """Sliced 1-Wasserstein distance of two clouds [N, D] and [M, D], by quantiles, so that N and M
    may differ.
    """
    directions = _directions(points.shape[1], seed)
    return float(np.abs(_quantiles(points, directions) - _quantiles(others, directions)).mean())


def sliced_distances_of_halves(
    drawn: np.ndarray, others: np.ndarray, *, subsets: int, seed: int = 0
) -> np.ndarray:
    """Sliced distances of random halves of the pictures, drawn without replacement, [subsets]; the
    delete-half jackknife.

    Args:
        drawn: points of each picture, [pictures, share, D]; at most _SAMPLES_OF_HALF points of a
            half are taken, for speed.
        others: points of the other side, [M, D].
        subsets: number of halves.
        seed: of the halves, which are the same for all clouds of as many pictures.
    """
    count, share, dimension = drawn.shape
    directions = _directions(dimension)
    reference = _quantiles(others, directions)
    half = count // 2
    share = min(share, -(-_SAMPLES_OF_HALF // half))
    projected = np.ascontiguousarray(
        (drawn[:, :share] @ directions).astype(np.float32).transpose(2, 0, 1)
    )
    generator = np.random.default_rng((seed, 8))
    places = (_LEVELS_OF_QUANTILES * half * share).astype(int)
    values = []
    for _ in range(subsets):
        chosen = np.sort(
            projected[:, generator.choice(count, half, replace=False)].reshape(_DIRECTIONS, -1),
            axis=-1,
        )
        values.append(np.abs(chosen[:, places] - reference).mean())
    return np.array(values)


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
    """For each level of a Laplacian pyramid of the lightness, 7x7 patches drawn from all pictures,
    [N, 49].
    """
    generator = np.random.default_rng((seed, 2))
    share = max(1, _SAMPLES // len(pictures) // 4)
    drawn: list[list[np.ndarray]] = [[] for _ in range(_LEVELS)]
    for picture in pictures:
        level_image = lab(picture)[..., 0].astype(np.float32)
        for level in range(_LEVELS):
            height, width = level_image.shape
            if min(height, width) < 2 * _PATCH:
                break
            small = np.asarray(
                Image.fromarray(level_image).resize((width // 2, height // 2), Image.Resampling.BOX)
            )
            smooth = np.asarray(
                Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR)
            )
            windows = np.lib.stride_tricks.sliding_window_view(
                level_image - smooth, (_PATCH, _PATCH)
            )
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

    def spreads(
        self, pictures: Sequence[np.ndarray], *, subsets: int = 40
    ) -> tuple[np.ndarray, np.ndarray]:
        """Colour and texture distances of random halves of the pictures, [subsets] each, about how
        far they move from draw to draw.

        The pictures must be of one size, at least two of them.
        """
        clouds = [_colours(pictures, self.seed + 1), *_textures(pictures, self.seed + 1)]
        spreads = [
            sliced_distances_of_halves(
                cloud.reshape(len(pictures), -1, cloud.shape[-1]), ours, subsets=subsets
            )
            for cloud, ours in zip(clouds, [self._colours, *self._textures], strict=False)
        ]
        return spreads[0], np.mean(spreads[1:], axis=0)

    def texture_distance(self, pictures: Sequence[np.ndarray]) -> float:
        """Mean over three octaves of the sliced Wasserstein distance of 7x7 lightness patches, in
        Lab units.

        After Karras et al. 2018 (SWD on Laplacian pyramids), on lightness alone since colour is
        measured by itself, and not normalised, so that too weak and too strong texture both count.
        """
        levels = zip(_textures(pictures, self.seed + 1), self._textures, strict=False)
        return float(np.mean([sliced_distance(theirs, ours) for theirs, ours in levels]))
