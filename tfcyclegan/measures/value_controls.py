"""Baselines for measurements that need no training. A translation's score is meaningful only if it
beats theirs. They map arrays in units of the source to arrays in the type and units of the target,
clipped and rounded like a translation.

All but "linear fit" use no pairs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from tfcyclegan.data.values import Values
from tfcyclegan.measures.controls import Control, histogram_moments
from tfcyclegan.measures.value_distances import BINS, counts

# (source, target) measurements of the same place, [H, W, C] each.
Pair = tuple[np.ndarray, np.ndarray]

IDENTITY, MATCHED, HISTOGRAM = "identity", "mean and deviation matching", "histogram matching"
CONSTANT, LINEAR, NEAREST = "constant", "linear fit", "nearest real"
LINEAR_OF_TEST = "linear fit to the test pairs (ceiling)"
_SIDE = 32


@dataclass(frozen=True)
class ValueControls:
    """The controls of one direction.

    Attributes:
        controls: by name; each maps [H, W, C] of the source to [H, W, C] of the target.
        to_beat: the controls that a translation must beat, which are all that did not use the truth
            of a test input.
        told: their assumptions, one line each.
        left_out: the controls that are not available, and why.
    """

    controls: dict[str, Control]
    to_beat: tuple[str, ...]
    told: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def make_value_controls(
    source: Values,
    target: Values,
    target_train: Sequence[np.ndarray],
    *,
    train_pairs: Iterable[Pair] = (),
    test_pairs: Iterable[Pair] = (),
) -> ValueControls:
    """The controls from the domain with values `source` into the one with values `target`.

    Args:
        source: values of the inputs; for pictures `picture_values`.
        target: values of the translations.
        target_train: real training measurements of the target domain, [H, W, C] each.
        train_pairs: paired training measurements, for the linear fit.
        test_pairs: paired test measurements. Without training pairs, the linear fit uses these; no
            translator can have seen them, so no verdict relies on that fit.
    """

    def control(start: Callable[[np.ndarray], np.ndarray]) -> Control:
        def translate(array: np.ndarray) -> np.ndarray:
            gaps = np.asarray(source.invalid(array).any(axis=-1, keepdims=True))
            return target.from_network(np.where(gaps, -1, start(array)), gaps)

        return translate

    same_units = bool(source.units) and source.units == target.units
    real = np.sum([counts(array, target) for array in target_train], axis=0)
    centres = (np.arange(BINS) + 0.5) / BINS * 2 - 1
    shares, mean, deviation = histogram_moments(real, centres)

    def identity(array: np.ndarray) -> np.ndarray:
        """The same value if the units are equal, else the same position in the value range."""
        if same_units:
            low, high = np.asarray(target.low), np.asarray(target.high)
            return (array.astype(np.float64) - low) / (high - low) * 2 - 1
        return source.to_network(array)

    def matched(array: np.ndarray) -> np.ndarray:
        seen = source.to_network(array).astype(np.float64)
        own_mean, own_deviation = _moments(seen)
        return (seen - own_mean) * (deviation / np.maximum(own_deviation, 1e-6)) + mean

    def histogram(array: np.ndarray) -> np.ndarray:
        seen = source.to_network(array).astype(np.float64)
        return np.stack(
            [_matched(seen[..., channel], of, centres) for channel, of in enumerate(shares)],
            axis=-1,
        )

    controls: dict[str, Control] = {}
    told, left_out = [], []
    if source.channels == target.channels:
        controls = {
            IDENTITY: control(identity),
            MATCHED: control(matched),
            HISTOGRAM: control(histogram),
            NEAREST: control(_nearest(histogram, target, target_train, mean)),
        }
        if not same_units:
            told.append(
                "controls: the units of inputs and targets differ, so identity keeps a value's "
                "position in its range"
            )
    else:
        left_out.append(
            f"controls {', '.join((IDENTITY, MATCHED, HISTOGRAM, NEAREST))}: the inputs have "
            f"{source.channels} channels, the targets {target.channels}"
        )
    controls[CONSTANT] = control(lambda array: np.broadcast_to(mean, (*array.shape[:2], len(mean))))
    to_beat = [name for name in (IDENTITY, MATCHED, HISTOGRAM, CONSTANT) if name in controls]
    fitted = _fit(source, target, train_pairs)
    if fitted is not None:
        controls[LINEAR] = control(fitted)
        to_beat.append(LINEAR)
    elif (fitted := _fit(source, target, test_pairs)) is not None:
        controls[LINEAR_OF_TEST] = control(fitted)
        told.append(
            "controls: the training measurements are not paired, so the linear fit uses the test "
            "pairs; it is a ceiling that no verdict relies on"
        )
    return ValueControls(controls, tuple(to_beat), told, left_out)


def picture_values(channels: int) -> Values:
    """Values of 8-bit pictures, which store none."""
    return Values("uint8", (0.0,) * channels, (255.0,) * channels)


def _moments(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel's valid values; 0 and 0 if there are none."""
    known = np.isfinite(seen)
    count = np.maximum(known.sum(axis=(0, 1)), 1)
    mean = np.where(known, seen, 0).sum(axis=(0, 1)) / count
    spread = np.where(known, seen - mean, 0)
    return mean, np.sqrt((spread**2).sum(axis=(0, 1)) / count)


def _matched(seen: np.ndarray, shares: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Histogram matching of one channel [H, W]: each valid value becomes the value with the same
    rank in the target distribution, which has `shares` at `centres`. Equal values share their
    middle rank.
    """
    matched, known, there = np.zeros(seen.shape), np.isfinite(seen), shares > 0
    _, places, number = np.unique(seen[known], return_inverse=True, return_counts=True)
    rank = (np.cumsum(number) - number / 2) / max(int(number.sum()), 1)
    of_target = (np.cumsum(shares) - shares / 2)[there]
    matched[known] = np.interp(rank, of_target, centres[there])[places]
    return matched


def _nearest(
    start: Callable[[np.ndarray], np.ndarray],
    target: Values,
    target_train: Sequence[np.ndarray],
    mean: np.ndarray,
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns, for an input, the real training measurement nearest to `start(input)` at 32x32
    resolution, with gaps filled by the mean. Only measurements of the input's size are considered;
    without any, the result is the mean.
    """
    known = [
        (array.shape[:2], _small(_filled(target.to_network(array), mean))) for array in target_train
    ]

    def nearest(array: np.ndarray) -> np.ndarray:
        wanted = _small(_filled(start(array), mean))
        far = [
            float(np.square(small - wanted).sum()) if size == array.shape[:2] else np.inf
            for size, small in known
        ]
        if not np.isfinite(min(far)):
            return np.broadcast_to(mean, (*array.shape[:2], len(mean)))
        return _filled(target.to_network(target_train[int(np.argmin(far))]), mean)

    return nearest


def _filled(seen: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(seen), seen, mean)


def _small(seen: np.ndarray) -> np.ndarray:
    """[H, W, C] reduced to 32x32."""
    return np.stack(
        [
            np.asarray(
                Image.fromarray(channel.astype(np.float32)).resize(
                    (_SIDE, _SIDE), Image.Resampling.BOX
                )
            )
            for channel in np.moveaxis(seen, -1, 0)
        ]
    )


def _fit(
    source: Values, target: Values, pairs: Iterable[Pair]
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Least-squares fit of each target channel by the source channels and a constant; None without
    pairs.
    """
    size = source.channels + 1
    squares, products = np.zeros((size, size)), np.zeros((size, target.channels))
    for one, other in pairs:
        if one.shape[:2] != other.shape[:2]:
            continue
        seen, wanted = source.to_network(one), target.to_network(other)
        known = np.isfinite(seen).all(axis=-1) & np.isfinite(wanted).all(axis=-1)
        rows = _with_one(seen[known].astype(np.float64))
        squares += rows.T @ rows
        products += rows.T @ wanted[known].astype(np.float64)
    if not squares[-1, -1]:
        return None
    weights = np.linalg.lstsq(squares, products, rcond=None)[0]
    return lambda array: _with_one(source.to_network(array).astype(np.float64)) @ weights


def _with_one(seen: np.ndarray) -> np.ndarray:
    return np.concatenate([seen, np.ones((*seen.shape[:-1], 1))], axis=-1)
