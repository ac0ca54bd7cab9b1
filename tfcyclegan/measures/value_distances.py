"""Distance between the values of measurements and those of real ones, for each channel, in units:
the 1-Wasserstein distance of their histograms. Needs no pairs; the counterpart of the colour
distance of pictures.
"""

from collections.abc import Iterable

import numpy as np

from tfcyclegan.data.values import Values
from tfcyclegan.measures.evaluation_set import FLOOR, OWN, EvaluationSet
from tfcyclegan.measures.measured_set import MeasuredSet
from tfcyclegan.measures.tables import Column, Interval, Table, interval_of_halves, random_halves

BINS = 1024
_LEAST_FOR_INTERVAL = 8


def counts(array: np.ndarray, values: Values) -> np.ndarray:
    """Histogram of the valid values of [H, W, C] over BINS equal bins of each channel's range, [C,
    BINS]; values outside the range count in the first or last bin.
    """
    found = np.zeros((values.channels, BINS), np.int64)
    valid = ~values.invalid(array)
    for channel, (low, high) in enumerate(zip(values.low, values.high, strict=True)):
        known = array[..., channel][valid[..., channel]].astype(np.float64)
        places = np.floor((known - low) / (high - low) * BINS)
        found[channel] = np.bincount(np.clip(places, 0, BINS - 1).astype(int), minlength=BINS)
    return found


def distances(one: np.ndarray, other: np.ndarray, values: Values) -> np.ndarray:
    """Distances between two `counts` [C, BINS], in units, [C]: the area between the cumulative
    distributions. NaN for a channel without valid values.
    """
    with np.errstate(invalid="ignore"):
        below, other_below = (
            np.cumsum(each, axis=-1) / each.sum(axis=-1, keepdims=True) for each in (one, other)
        )
    step = (np.asarray(values.high) - np.asarray(values.low)) / BINS
    return np.abs(below - other_below).sum(axis=-1) * step


def found(scored: EvaluationSet) -> list[Table]:
    """The tables, if the translations are measurements."""
    return [] if scored.measured is None else tables(scored.measured)


def tables(measured: MeasuredSet) -> list[Table]:
    """The distances of translations, controls and held-out real measurements; also by channel if
    there are several.
    """
    values = measured.values
    reference = _total(counts(array, values) for array in measured.target_train)
    sets = dict(measured.sets) | ({FLOOR: measured.held_out} if measured.held_out else {})
    each = {
        name: np.stack([counts(array, values) for array in some.values()])
        for name, some in sets.items()
    }
    made = [
        Table(
            "Values",
            "1-Wasserstein distance between the values and those of real training measurements of "
            f"the target domain, mean over channels, {measured.range_told}; from histograms with "
            f"{BINS} bins. It ignores where the values are. The floor: held-out real measurements. "
            "[low, high]: 95% interval over random halves of the measurements (delete-half "
            "jackknife).",
            (Column("distance", digits=measured.digits),),
            {name: {"distance": _interval(some, reference, values)} for name, some in each.items()},
        )
    ]
    if values.channels > 1:
        beside = [name for name in (OWN, "histogram matching", FLOOR) if name in each]
        far = {name: distances(each[name].sum(axis=0), reference, values) for name in beside}
        made.append(
            Table(
                "Values by channel",
                "The same distances.",
                [Column(name, digits=measured.digits) for name in beside],
                {
                    channel: {
                        name: Interval(float(far[name][index]), pictures=len(each[name]))
                        for name in beside
                    }
                    for index, channel in enumerate(measured.channel_names)
                },
                plot="",
            )
        )
    return made


def _total(some: Iterable[np.ndarray]) -> np.ndarray:
    return np.sum(list(some), axis=0)


def _interval(some: np.ndarray, reference: np.ndarray, values: Values) -> Interval:
    """The mean distance over channels of counts [N, C, BINS], with its interval."""

    def distance(part: np.ndarray) -> float:
        return float(np.nanmean(distances(part.sum(axis=0), reference, values)))

    count = len(some)
    if count < _LEAST_FOR_INTERVAL:
        return Interval(distance(some), pictures=count)
    halves = [distance(some[half]) for half in random_halves(count, (0, 9))]
    return interval_of_halves(distance(some), np.array(halves), count)
