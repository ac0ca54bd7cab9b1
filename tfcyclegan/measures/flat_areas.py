"""Patches in flat areas: structure drawn where the input has none, such as spots in the sky."""

import numpy as np
from scipy import ndimage

from tfcyclegan.measures import advice
from tfcyclegan.measures.advice import advise
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet
from tfcyclegan.measures.findings import REALS, Finding, Limits, range_of_means, worst_of
from tfcyclegan.measures.lab import lightness
from tfcyclegan.measures.shared import shared
from tfcyclegan.measures.statistics import REAL, TRUTHS, of_pair

_WINDOW = 5
_FLAT_SHARE = 0.1
# L* above the range of real pictures. The healthy run on the tiles is at .74 and .67, tiles with
# one-pixel specks at 5.2 and 1.2. These limits were revised on the tiles by someone who had already
# seen the numbers of the street.
_LIMITS = Limits(2.0, 5.0)


@shared
def _local_deviation(picture: np.ndarray) -> np.ndarray:
    """Standard deviation of the lightness in 5x5 windows, [H - 4, W - 4]."""
    light = lightness(picture)
    mean = ndimage.uniform_filter(light, _WINDOW)
    variance = np.maximum(ndimage.uniform_filter(light**2, _WINDOW) - mean**2, 0)
    edge = _WINDOW // 2
    return np.sqrt(variance)[edge:-edge, edge:-edge]


def flat_area_deviation(real: np.ndarray, fake: np.ndarray) -> float:
    """Mean standard deviation of the translation's lightness where the input is flattest: what was
    drawn where there was nothing (specks, bands).

    The flattest areas are the tenth of all 5x5 windows of the input with the lowest deviation,
    including ties.
    """
    own = _local_deviation(real)
    return float(_local_deviation(fake)[own <= np.quantile(own, _FLAT_SHARE)].mean())


def flat_areas(scored: EvaluationSet) -> Finding | str:
    """Whether translations show structure where the input is flat."""
    if scored.source_is_label_maps and not scored.sure_truths:
        return (
            "detector patches in flat areas: label maps are flat everywhere, and no true pictures "
            "are known"
        )
    deviation, true = of_pair(flat_area_deviation), tuple(scored.sure_truths)
    beside = (TRUTHS, true) if true else (REAL, scored.references(REALS))
    values, real = map(np.array, scored.rows((deviation, OWN), (deviation, *beside)))
    value, (low, high) = float(values.mean()), range_of_means(real, len(values))
    semantic = () if scored.displays else (advice.SEMANTIC,)  # segmenters read pictures
    return Finding(
        "patches in flat areas",
        value,
        low,
        high,
        _LIMITS.verdict(value - high),
        "standard deviation of L* where the input is flattest",
        advise(scored.config, *semantic, advice.IDENTITY, advice.ALIKE_LAYOUTS, advice.LONGER),
        worst_of(scored.own, values),
        "range: the true pictures at the same places"
        if true
        else "range: real pictures where they are flattest",
    )
