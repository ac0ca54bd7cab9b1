"""Blur: the sharpness of translations compared with real pictures, and with translations of
training pictures.
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

# Number of training pictures to translate, evenly spread.
_TRANSLATED = 32
# Lower end of the range over the value.
_UNSEEN = Limits(1.15, 1.5)


def sharpness(picture: np.ndarray) -> float:
    """Standard deviation of the Laplacian of the lightness; low in blurred pictures (Pech-Pacheco
    et al. 2000).
    """
    return float(ndimage.laplace(lightness(picture)).std())


blur = SetDetector(
    "blur",
    "sharpness (standard deviation of the Laplacian of L*) relative to real pictures",
    (
        advice.LONGER,
        advice.SHARPER_DISCRIMINATOR,
        advice.LARGER_CROPS,
        advice.MORE_DATA,
        advice.WEAKER_CYCLES,
    ),
    Limits(1.5, 2.5),  # lower end of the range of real pictures over the value
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
    """Whether translations of pictures that were not used in training are less sharp than those of
    training pictures.
    """
    if scored.of_measurements:
        return ""  # `blur` covers them
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
        f"sharpness of the translations relative to translations of {len(seen)} training pictures",
        advise(scored.config, advice.MORE_DATA, *earlier, advice.FEWER_FILTERS),
        worst_of(scored.own, -sharp_unseen),
        "range: sharpness of the inputs relative to those training pictures",
    )
