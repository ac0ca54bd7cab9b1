"""Failures that show beside the training: the discriminator's course, and what the training never
saw.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfcyclegan.data import images
from tfcyclegan.data.pixels import spread
from tfcyclegan.evaluation import advice, limits
from tfcyclegan.evaluation.advice import advise
from tfcyclegan.evaluation.detectors.finding import DRAWS, TAILS, WORST, Finding, worst_of
from tfcyclegan.evaluation.limits import BAD, SUSPICIOUS
from tfcyclegan.evaluation.material import OWN, Material
from tfcyclegan.evaluation.strata import Luminance
from tfcyclegan.measures import failures

_TRANSLATED = 32
"""Training pictures, evenly spread."""
_NEAR_ONE = (advice.LEAST_SQUARES, advice.POOL, advice.SMALLER_DISCRIMINATOR)
_AT_ONE_HALF = (advice.IS_IT_TRAINING, advice.LARGER_DISCRIMINATOR, advice.LOWER_RATE)


def unseen_blur(material: Material) -> Finding | str:
    """Whether pictures that training never saw come out less sharp than those that it saw."""
    if isinstance(material.cycle, str):
        return "detector blur of unseen pictures: needs both generators of a run"
    seen = [
        material.source_train[index] for index in spread(len(material.source_train), _TRANSLATED)
    ]
    forward = material.cycle[0]
    translated = [
        images.to_uint8(forward(images.to_float(picture)[np.newaxis])[0]) for picture in seen
    ]
    own = material.sets[OWN]
    sharp_seen, sharp_unseen, real_seen, real_unseen = (
        np.array([np.sqrt(failures.laplacian_variance(picture)) for picture in pictures])
        for pictures in (translated, own.values(), seen, material.inputs.values())
    )
    value = float(sharp_unseen.mean() / max(sharp_seen.mean(), 1e-9))
    generator = np.random.default_rng((0, 53))
    drawn = [
        generator.choice(real_unseen, len(real_unseen)).mean()
        / max(generator.choice(real_seen, len(real_seen)).mean(), 1e-9)
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(drawn, TAILS)
    earlier = [] if material.facts.get("chosen") == "best" else [advice.BEST_CHECKPOINT]
    return Finding(
        "blur of unseen pictures",
        value,
        float(low),
        float(high),
        limits.UNSEEN.verdict(float(low) / max(value, 1e-9)),
        f"sharpness of the translations over that of {len(seen)} training pictures' translations",
        advise(material.config, advice.MORE_DATA, *earlier, advice.FEWER_FILTERS),
        worst_of(own, -sharp_unseen),
        "range: of the inputs themselves, over those training pictures",
    )


def outside(material: Material, light: Luminance) -> Finding:
    """Night, dusk, glare: inputs that training hardly saw."""
    count = len(material.inputs)
    share = len(light.outside) / count
    expected = 0.02  # beyond the training's 1% and 99%
    high = expected + 2 * np.sqrt(expected * (1 - expected) / count)
    listed = [f"{name} ({what})" for name, what in list(light.outside.items())[:8]]
    return Finding(
        "night, dusk and glare",
        share,
        0.0,
        float(high),
        limits.OUTSIDE.verdict(share - high),
        f"share of inputs whose mean lightness is outside the training's {light.known[0]:.0f} to "
        f"{light.known[1]:.0f}",
        advise(material.config, advice.BALANCE),
        tuple(list(light.outside)[:WORST]),
        ", ".join(listed) + (", ..." if len(light.outside) > len(listed) else ""),
    )


def discriminator(material: Material, history: Sequence[Mapping[str, Any]]) -> Finding | str:
    """Of the discriminator that judges this direction's fakes."""
    domain, direction = material.direction[1], material.direction
    accuracies = [
        line[f"accuracy_disc_{domain}"]
        for line in history
        if line.get(f"accuracy_disc_{domain}") is not None
    ]
    if len(accuracies) < 4:
        return "detector discriminator: no history of accuracies"
    value = float(np.mean(accuracies[-max(1, len(accuracies) // 4) :]))
    flat = _is_flat(history, direction)
    guesses = value <= 0.5 + limits.GUESSING
    verdict = limits.CERTAIN.verdict(value)
    note = ""
    if guesses:
        verdict = BAD if flat else SUSPICIOUS
        note = (
            "it guesses" if value >= 0.5 - limits.GUESSING else "it is fooled more often than not"
        ) + (
            " and the distance to real pictures does not fall"
            if flat
            else "; no curve says that the pictures do not improve"
        )
    return Finding(
        "discriminator",
        value,
        0.5,
        limits.CERTAIN.suspicious,
        verdict,
        f"accuracy of disc_{domain} over the last quarter of training; the range is of healthy "
        "runs",
        advise(material.config, *(_AT_ONE_HALF if guesses else _NEAR_ONE)),
        note=note,
    )


def _is_flat(history: Sequence[Mapping[str, Any]], direction: str) -> bool:
    """Whether a distance to real pictures was measured in training, and did not fall in its second
    half.

    Nor is it said to fall while the translations look no nearer to real pictures than the inputs
    do, whose "appearance" is 1.
    """
    for name, of_inputs in ((f"kid_{direction}", np.inf), (f"appearance_{direction}", 1.0)):
        values = [line[name] for line in history if line.get(name) is not None]
        if len(values) >= 4:
            half = len(values) // 2
            least = min(values[half:])
            return least >= min(limits.FLAT_CURVE * min(values[:half]), of_inputs)
    return False
