"""How far pictures look from real ones of their domain, in colours and in textures. Needs no pairs
and no network.

Both distances are sliced Wasserstein distances (Rabin et al. 2011): the mean, over random
directions, of the distance between the two sorted projections. A set against another half of itself
gives the floor.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tfcyclegan.measures.evaluation_set import EvaluationSet
from tfcyclegan.measures.lab import lab
from tfcyclegan.measures.tables import (
    CONTROLS_TO_BEAT,
    Column,
    Interval,
    Table,
    interval_of_halves,
    undecided,
)

_DIRECTIONS = 64
_SAMPLES = 16_384
_SAMPLES_OF_HALF = 4096
_LEVELS_OF_QUANTILES = (np.arange(512) + 0.5) / 512
_PATCH = 7
_OCTAVES = 3
_LEAST_FOR_INTERVAL = 8


class Cloud:
    """Points [M, D] from which other clouds have sliced 1-Wasserstein distances, by quantiles, so
    that their sizes may differ.
    """

    def __init__(self, points: np.ndarray):
        self.points = points
        directions = np.random.default_rng((0, 7)).normal(size=(points.shape[1], _DIRECTIONS))
        self._directions = directions / np.linalg.norm(directions, axis=0)
        self._quantiles = self._quantiles_of(points)

    def _quantiles_of(self, points: np.ndarray) -> np.ndarray:
        """Quantiles of the projections, [_DIRECTIONS, levels]; numpy's own, by sorting, which is
        several times faster for so many levels.
        """
        projected = np.sort(np.ascontiguousarray((points @ self._directions).T), axis=-1)
        place = _LEVELS_OF_QUANTILES * (len(points) - 1)
        below = place.astype(int)
        above = np.minimum(below + 1, len(points) - 1)
        return projected[:, below] + (place - below) * (projected[:, above] - projected[:, below])

    def distance(self, points: np.ndarray) -> float:
        """Of points [N, D]."""
        return float(np.abs(self._quantiles_of(points) - self._quantiles).mean())

    def distances_of_halves(self, drawn: np.ndarray, *, subsets: int, seed: int = 0) -> np.ndarray:
        """Distances of random halves of the pictures, drawn without replacement, [subsets]; the
        delete-half jackknife.

        Args:
            drawn: points of each picture, [pictures, share, D]; at most _SAMPLES_OF_HALF points of
                a half are taken, for speed.
            subsets: number of halves.
            seed: of the halves, which are the same for all clouds of as many pictures.
        """
        count, half = len(drawn), len(drawn) // 2
        share = min(drawn.shape[1], -(-_SAMPLES_OF_HALF // half))
        projected = (drawn[:, :share] @ self._directions).astype(np.float32)
        projected = np.ascontiguousarray(projected.transpose(2, 0, 1)).reshape(_DIRECTIONS, -1)
        # sorted once: a half in order is what the others' points leave
        order = np.argsort(projected, axis=-1)
        ordered, picture_of = np.take_along_axis(projected, order, axis=-1), order // share
        generator = np.random.default_rng((seed, 8))
        places = (_LEVELS_OF_QUANTILES * half * share).astype(int)
        values = []
        for _ in range(subsets):
            in_half = np.isin(np.arange(count), generator.choice(count, half, replace=False))
            kept = np.flatnonzero(np.take(in_half, picture_of, mode="clip"))
            chosen = ordered.ravel()[kept.reshape(_DIRECTIONS, -1)[:, places]]
            values.append(np.abs(chosen - self._quantiles).mean())
        return np.array(values)


def _draw(pictures: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    """Lab colours of pixels drawn from all pictures alike, [N, 3]; then, for each level of a
    Laplacian pyramid of the lightness, 7x7 patches drawn from all of them, [N, 49].
    """
    of_pixels, of_patches = (np.random.default_rng((seed, stream)) for stream in (1, 2))
    pixels = max(1, _SAMPLES // len(pictures))
    patches = max(1, _SAMPLES // len(pictures) // 4)
    drawn: list[list[np.ndarray]] = [[] for _ in range(1 + _OCTAVES)]
    for picture in pictures:
        colours = lab(picture)
        flat = colours.reshape(-1, 3)
        drawn[0].append(flat[of_pixels.integers(len(flat), size=pixels)])
        level = colours[..., 0].astype(np.float32)
        for octave in drawn[1:]:
            height, width = level.shape
            if min(height, width) < 2 * _PATCH:
                break
            image = Image.fromarray(level).resize((width // 2, height // 2), Image.Resampling.BOX)
            smooth = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
            windows = np.lib.stride_tricks.sliding_window_view(level - smooth, (_PATCH, _PATCH))
            rows, columns = (of_patches.integers(side, size=patches) for side in windows.shape[:2])
            octave.append(windows[rows, columns].reshape(patches, -1))
            level = np.asarray(image)
    return [np.concatenate(points) for points in drawn if points]


class Appearance:
    """The look of a set of real pictures, against which other sets are measured.

    Args:
        pictures: uint8 [H, W, C] each, at least 14 pixels a side.
        seed: of the pixels and patches drawn.
    """

    def __init__(self, pictures: Sequence[np.ndarray], *, seed: int = 0):
        self.pictures = list(pictures)
        self.seed = seed
        self._clouds = [Cloud(points) for points in _draw(self.pictures, seed)]

    def distances(self, pictures: Sequence[np.ndarray]) -> tuple[float, float]:
        """The sliced Wasserstein distance of the Lab colours, and the mean of those of 7x7
        lightness patches over three octaves; both in Lab units.

        Textures are after Karras et al. 2018 (SWD on Laplacian pyramids), on lightness alone since
        colour is measured by itself, and not normalised, so that too weak and too strong texture
        both count.
        """
        return _distances(self._against(pictures))

    def intervals(self, pictures: Sequence[np.ndarray]) -> dict[str, Interval]:
        """`distances` by name, with how far they move from draw to draw where the pictures are
        enough and of one size.
        """
        pairs, count = self._against(pictures), len(pictures)
        distances = dict(zip(("colour", "texture"), _distances(pairs), strict=True))
        if count < _LEAST_FOR_INTERVAL or len({picture.shape for picture in pictures}) > 1:
            return {name: Interval(value, pictures=count) for name, value in distances.items()}
        return {
            name: interval_of_halves(value, halves, count)
            for (name, value), halves in zip(distances.items(), _spreads(pairs, count), strict=True)
        }

    def _against(self, pictures: Sequence[np.ndarray]) -> Sequence[tuple[Cloud, np.ndarray]]:
        """Our clouds, each with the points of `pictures`; smaller ones have fewer octaves."""
        return list(zip(self._clouds, _draw(pictures, self.seed + 1), strict=False))


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


def look(scored: EvaluationSet) -> Appearance:
    """Of the target's training pictures."""
    return Appearance(scored.target_train)


def table(scored: EvaluationSet) -> Table:
    """The distances of translations, controls and held-out real pictures. Of measurements, which
    this sees as they are displayed, it decides nothing where their truth is known.
    """
    real = scored.once(look)
    displayed = " Of measurements as displayed in 8 bit." if scored.measured else ""
    found = Table(
        "Look",
        "Sliced Wasserstein distance to real training pictures of the target domain, in Lab "
        f"units.{displayed} The floor: held-out real ones. "
        "[low, high]: how far the distance moves between random halves of the pictures "
        "(delete-half jackknife), 95%.",
        (Column("colour", decides=True), Column("texture", decides=True)),
        {name: real.intervals([*some.values()]) for name, some in scored.with_floor.items()},
        to_beat=scored.measured.to_beat if scored.measured else CONTROLS_TO_BEAT,
    )
    return undecided(found) if scored.measured and scored.sure_truths else found
