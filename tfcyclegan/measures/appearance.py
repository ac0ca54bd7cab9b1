"""Distance between the appearance of pictures and that of real pictures of the domain, for colours
and textures. Needs neither pairs nor a network.

Both are sliced Wasserstein distances (Rabin et al. 2011): the mean, over random directions, of the
1-Wasserstein distance between the projections of both point sets. The distance between two sets of
real pictures is the floor.
"""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image

from tfcyclegan.measures.evaluation_set import EvaluationSet
from tfcyclegan.measures.lab import lab, lightness
from tfcyclegan.measures.shared import shared
from tfcyclegan.measures.statistics import REAL, View
from tfcyclegan.measures.tables import (
    CONTROLS_TO_BEAT,
    Column,
    Interval,
    Table,
    decided_if,
    interval_of_halves,
    random_halves,
)

_DIRECTIONS = 64
# Points per set of pictures.
_SAMPLES = 16_384
_SAMPLES_OF_HALF = 4096
_LEVELS_OF_QUANTILES = (np.arange(512) + 0.5) / 512
_PATCH = 7
_OCTAVES = 3
_LEAST_FOR_INTERVAL = 8


class Cloud:
    """A set of points [M, D], to which other sets have a sliced 1-Wasserstein distance. It is
    computed from quantiles, so the sets may differ in size.
    """

    def __init__(self, points: np.ndarray):
        self.points = points
        directions = np.random.default_rng((0, 7)).normal(size=(points.shape[1], _DIRECTIONS))
        self._directions = directions / np.linalg.norm(directions, axis=0)
        self._quantiles = self._quantiles_of(points)

    def _quantiles_of(self, points: np.ndarray) -> np.ndarray:
        """Quantiles of the projections, [_DIRECTIONS, levels], the same as `np.quantile` but by
        sorting, which is several times faster for this many levels.
        """
        projected = np.einsum("nc,cd->dn", np.asarray(points, np.float64), self._directions)
        projected.sort(axis=-1)
        place = _LEVELS_OF_QUANTILES * (len(points) - 1)
        below = place.astype(int)
        above = np.minimum(below + 1, len(points) - 1)
        return projected[:, below] + (place - below) * (projected[:, above] - projected[:, below])

    def distance(self, points: np.ndarray) -> float:
        """Distance of points [N, D] from this cloud."""
        return float(np.abs(self._quantiles_of(points) - self._quantiles).mean())

    def distances_of_halves(self, drawn: np.ndarray, *, subsets: int, seed: int = 0) -> np.ndarray:
        """Distances of `random_halves` of the pictures, [subsets].

        Args:
            drawn: points of each picture, [pictures, share, D]; for speed, at most _SAMPLES_OF_HALF
                points per half are used.
            subsets: number of halves.
            seed: seed of the halves, which are the same for all clouds with as many pictures.
        """
        count, half = len(drawn), len(drawn) // 2
        share = min(drawn.shape[1], -(-_SAMPLES_OF_HALF // half))
        projected = (drawn[:, :share] @ self._directions).astype(np.float32)
        projected = np.ascontiguousarray(projected.transpose(2, 0, 1)).reshape(_DIRECTIONS, -1)
        # Sorted once: without the other pictures' points, the sorted points of a half remain.
        order = np.argsort(projected, axis=-1)
        ordered, picture_of = np.take_along_axis(projected, order, axis=-1), order // share
        places = (_LEVELS_OF_QUANTILES * half * share).astype(int)
        values = []
        for indices in random_halves(count, (seed, 8), subsets=subsets):
            in_half = np.isin(np.arange(count), indices)
            kept = np.flatnonzero(np.take(in_half, picture_of, mode="clip"))
            chosen = ordered.ravel()[kept.reshape(_DIRECTIONS, -1)[:, places]]
            values.append(np.abs(chosen - self._quantiles).mean())
        return np.array(values)


@dataclass(frozen=True)
class Drawn:
    """Points sampled from one picture.

    Attributes:
        shape: the picture's shape.
        points: Lab colours of some pixels, [n, 3]; then, for each level of a Laplacian pyramid of
            the lightness, some 7x7 patches, [m, 49].
    """

    shape: tuple[int, ...]
    points: list[np.ndarray]


def draw(picture: np.ndarray, index: int, count: int, seed: int) -> Drawn:
    """Samples points from picture number `index` of `count`, the same number from each. Their
    positions depend only on the picture's size, its index and the seed, not on the order of
    processing.
    """
    pixels, patches = _places(picture.shape[:2], count, max(1, _SAMPLES // count), seed)
    points = [lab(picture.reshape(-1, 1, picture.shape[-1])[pixels[index]])[:, 0]]
    for details, (rows, columns) in zip(_pyramid(picture), patches[index], strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(details, (_PATCH, _PATCH))
        points.append(windows[rows, columns].reshape(-1, _PATCH**2))
    return Drawn(picture.shape, points)


def _sides(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes of the octaves that are large enough for patches."""
    octaves = [(height >> octave, width >> octave) for octave in range(_OCTAVES)]
    return [sides for sides in octaves if min(sides) >= 2 * _PATCH]


@functools.lru_cache(maxsize=32)
def _places(
    size: tuple[int, int], count: int, pixels: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of pixels in each of `count` pictures of this size, [count, pixels]; and the rows
    and columns of patches, [count, octaves, 2, patches].
    """
    of_pixels, of_patches = (np.random.default_rng((seed, stream)) for stream in (1, 2))
    ends = np.array(_sides(*size)).reshape(-1, 2) - _PATCH + 1
    patches = np.empty((count, *ends.shape, max(1, pixels // 4)), int)
    for place in np.ndindex(patches.shape[:-1]):
        patches[place] = of_patches.integers(ends[place[1:]], size=patches.shape[-1])
    return of_pixels.integers(size[0] * size[1], size=(count, pixels)), patches


@shared
def _pyramid(picture: np.ndarray) -> list[np.ndarray]:
    """The octaves of the Laplacian pyramid of the lightness, float32 [h, w] each."""
    level, details = lightness(picture).astype(np.float32), []
    for height, width in _sides(*picture.shape[:2]):
        image = Image.fromarray(level).resize((width // 2, height // 2), Image.Resampling.BOX)
        smooth = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        details.append(level - smooth)
        level = np.asarray(image)
    return details


def together(drawn: Sequence[Drawn]) -> list[np.ndarray]:
    """The points of all pictures; smaller pictures have fewer octaves."""
    octaves = itertools.zip_longest(*(one.points for one in drawn))
    return [np.concatenate([part for part in parts if part is not None]) for parts in octaves]


class Appearance:
    """The appearance of a set of real pictures, to which other sets are compared.

    Args:
        drawn: points of each picture, from `draw` with seed 0.
    """

    def __init__(self, drawn: Sequence[Drawn]):
        self._clouds = [Cloud(points) for points in together(drawn)]

    @classmethod
    def of(cls, pictures: Sequence[np.ndarray]) -> Self:
        """The appearance of pictures uint8 [H, W, C], each at least 14 pixels a side."""
        return cls(_draw(pictures, 0))

    def distances(self, pictures: Sequence[np.ndarray]) -> tuple[float, float]:
        """The sliced Wasserstein distance of Lab colours, and the mean distance of 7x7 lightness
        patches over three octaves; both in Lab units.

        Textures follow Karras et al. 2018 (SWD on Laplacian pyramids), with two differences: they
        use lightness only, because colour is measured separately, and are not normalised, so that
        texture counts as wrong both when too weak and when too strong.
        """
        return _distances(self._against(_draw(pictures, 1)))

    def intervals(self, drawn: Sequence[Drawn]) -> dict[str, Interval]:
        """`distances` by name, with intervals if there are enough pictures and all have the same
        size.

        Args:
            drawn: points of each picture, from `draw` with seed 1.
        """
        pairs, count = self._against(drawn), len(drawn)
        distances = dict(zip(("colour", "texture"), _distances(pairs), strict=True))
        if count < _LEAST_FOR_INTERVAL or len({one.shape for one in drawn}) > 1:
            return {name: Interval(value, pictures=count) for name, value in distances.items()}
        return {
            name: interval_of_halves(value, halves, count)
            for (name, value), halves in zip(distances.items(), _spreads(pairs, count), strict=True)
        }

    def _against(self, drawn: Sequence[Drawn]) -> Sequence[tuple[Cloud, np.ndarray]]:
        """This appearance's clouds, each with the corresponding points of other pictures."""
        return list(zip(self._clouds, together(drawn), strict=False))


def _draw(pictures: Sequence[np.ndarray], seed: int) -> list[Drawn]:
    return [draw(picture, index, len(pictures), seed) for index, picture in enumerate(pictures)]


def _distances(pairs: Sequence[tuple[Cloud, np.ndarray]]) -> tuple[float, float]:
    colour, *textures = (ours.distance(theirs) for ours, theirs in pairs)
    return colour, float(np.mean(textures))


def _spreads(
    pairs: Sequence[tuple[Cloud, np.ndarray]], count: int, *, subsets: int = 40
) -> tuple[np.ndarray, np.ndarray]:
    """Colour and texture distances of random halves of `count` pictures, [subsets] each."""
    colours, *textures = (
        ours.distances_of_halves(theirs.reshape(count, -1, theirs.shape[-1]), subsets=subsets)
        for ours, theirs in pairs
    )
    return colours, np.mean(textures, axis=0)


def drawn_real(view: View) -> Drawn:
    """The points of a real picture that others are compared to."""
    return draw(view.picture, view.index, view.count, 0)


def drawn(view: View) -> Drawn:
    """The points of a picture to be compared."""
    return draw(view.picture, view.index, view.count, 1)


def look(scored: EvaluationSet) -> Appearance:
    """The appearance of the target domain's training pictures."""
    (reals,) = scored.rows((drawn_real, REAL))
    return Appearance(reals)


def distance_of_one(view: View) -> float:
    """Distance of a single picture to real ones, in colour plus texture."""
    return sum(view.scored.once(look).distances([view.picture]))


def table(scored: EvaluationSet) -> Table:
    """The distances of translations, controls and held-out real pictures. For measurements, which
    are compared as displayed, the table decides nothing if their truths are known.
    """
    sets = list(scored.with_floor)
    _, *others = scored.rows((drawn_real, REAL), *((drawn, name) for name in sets))
    real = scored.once(look)
    displayed = " Measurements are compared as displayed in 8 bit." if scored.measured else ""
    found = Table(
        "Look",
        "Sliced Wasserstein distance to real training pictures of the target domain, in Lab "
        f"units.{displayed} The floor: held-out real pictures. [low, high]: 95% interval over "
        "random halves of the pictures (delete-half jackknife).",
        (Column("colour", decides=True), Column("texture", decides=True)),
        {name: real.intervals(some) for name, some in zip(sets, others, strict=True)},
        to_beat=scored.measured.to_beat if scored.measured else CONTROLS_TO_BEAT,
    )
    return decided_if(not (scored.measured and scored.sure_truths), found)
