"""What is drawn onto nothing, such as dark patches in the sky."""

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
# Units of lightness above the range of real pictures. The healthy run on the tiles has .74 and
# .67, one-pixel specks have 5.2 and 1.2. Reset on the tiles after a moved limit, by one who had
# seen the street's numbers.
_LIMITS = Limits(2.0, 5.0)


@shared
def _local_deviation(picture: np.ndarray) -> np.ndarray:
    """Standard deviation of the lightness within 5x5 pixels, [H - 4, W - 4]."""
    light = lightness(picture)
    mean = ndimage.uniform_filter(light, _WINDOW)
    variance = np.maximum(ndimage.uniform_filter(light**2, _WINDOW) - mean**2, 0)
    edge = _WINDOW // 2
    return np.sqrt(variance)[edge:-edge, edge:-edge]


def flat_area_deviation(real: np.ndarray, fake: np.ndarray) -> float:
    """Mean deviation of the translation's lightness where the input is flattest: what it drew onto
    nothing (specks, bands).

    Flattest is the tenth of all 5x5 windows with the least deviation in the input, of equal ones
    all.
    """
    own = _local_deviation(real)
    return float(_local_deviation(fake)[own <= np.quantile(own, _FLAT_SHARE)].mean())


def flat_areas(scored: EvaluationSet) -> Finding | str:
    """Whether translations show something where the input shows nothing."""
    if scored.source_is_label_maps and not scored.sure_truths:
        return (
            "detector patches in flat areas: of label maps all areas are flat, and no true "
            "pictures are known"
        )
    deviation, true = of_pair(flat_area_deviation), tuple(scored.sure_truths)
    beside = (TRUTHS, true) if true else (REAL, scored.references(REALS))
    values, real = map(np.array, scored.rows((deviation, OWN), (deviation, *beside)))
    value, (low, high) = float(values.mean()), range_of_means(real, len(values))
    return Finding(
        "patches in flat areas",
        value,
        low,
        high,
        _LIMITS.verdict(value - high),
        "deviation of lightness where the input is flattest, L*",
        advise(
            scored.config, advice.SEMANTIC, advice.IDENTITY, advice.ALIKE_LAYOUTS, advice.LONGER
        ),
        worst_of(scored.own, values),
        "range: of the true pictures in the same places"
        if true
        else "range: of real pictures where they are flattest",
    )
