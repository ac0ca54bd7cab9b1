"""Blur: how sharp translations are beside real pictures, and beside translations of pictures that
training saw.
"""

import numpy as np
from scipy import ndimage

from tfcyclegan.data import images
from tfcyclegan.data.pixels import spread
from tfcyclegan.measures import advice
from tfcyclegan.measures.advice import advise
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet
from tfcyclegan.measures.findings import (
    DRAWS,
    TAILS,
    Finding,
    Limits,
    SetDetector,
    times_below,
    worst_of,
)
from tfcyclegan.measures.lab import lightness
from tfcyclegan.measures.statistics import INPUTS, SOURCE, InBatches, of_picture

# Training pictures, evenly spread.
_TRANSLATED = 32
# How many times lower than the lowest value of the inputs themselves.
_UNSEEN = Limits(1.15, 1.5)


def sharpness(picture: np.ndarray) -> float:
    """Deviation of the lightness's Laplacian; low in blurred pictures (Pech-Pacheco et al.
    2000).
    """
    return float(ndimage.laplace(lightness(picture)).std())


blur = SetDetector(
    "blur",
    "sharpness (deviation of the lightness's Laplacian) over real pictures'",
    (advice.LONGER, advice.LARGER_CROPS, advice.MORE_DATA, advice.WEAKER_CYCLES),
    Limits(1.5, 2.5),  # how many times lower than the lowest of real pictures
    sharpness,
    lambda rows, reals: float(rows.mean() / max(reals.mean(), 1e-9)),
    lambda rows, _: -rows,
    times_below,
)


def _once_translated(scored: EvaluationSet, pictures: list[np.ndarray]) -> list[float]:
    assert not isinstance(scored.cycle, str)
    forward = scored.cycle[0]
    seen = (forward(images.to_float(picture)[np.newaxis])[0] for picture in pictures)
    return [sharpness(images.to_uint8(fake)) for fake in seen]


def unseen_blur(scored: EvaluationSet) -> Finding | str:
    """Whether pictures that training never saw come out less sharp than those that it saw."""
    if scored.of_measurements:
        return ""  # `blur` compares measurements with real ones
    if isinstance(scored.cycle, str):
        return "detector blur of unseen pictures: needs both generators of a run"
    seen = tuple(spread(len(scored.source_train), _TRANSLATED))
    sharp = of_picture(sharpness)
    sharp_seen, sharp_unseen, real_seen, real_unseen = map(
        np.array,
        scored.rows(
            (InBatches(_once_translated), SOURCE, seen),
            (sharp, OWN),
            (sharp, SOURCE, seen),
            (sharp, INPUTS),
        ),
    )
    value = float(sharp_unseen.mean() / max(sharp_seen.mean(), 1e-9))
    generator = np.random.default_rng((0, 53))
    drawn = [
        generator.choice(real_unseen, len(real_unseen)).mean()
        / max(generator.choice(real_seen, len(real_seen)).mean(), 1e-9)
        for _ in range(DRAWS)
    ]
    low, high = map(float, np.quantile(drawn, TAILS))
    earlier = [] if scored.facts.get("chosen") == "best" else [advice.BEST_CHECKPOINT]
    return Finding(
        "blur of unseen pictures",
        value,
        low,
        high,
        _UNSEEN.verdict(low / max(value, 1e-9)),
        f"sharpness of the translations over that of {len(seen)} training pictures' translations",
        advise(scored.config, advice.MORE_DATA, *earlier, advice.FEWER_FILTERS),
        worst_of(scored.own, -sharp_unseen),
        "range: of the inputs themselves, over those training pictures",
    )
