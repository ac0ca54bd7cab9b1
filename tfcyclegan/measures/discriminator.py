"""The discriminator's accuracy in training: was it certain, guessing, or fooled?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfcyclegan.measures import advice
from tfcyclegan.measures.advice import advise
from tfcyclegan.measures.evaluation_set import EvaluationSet
from tfcyclegan.measures.findings import BAD, SUSPICIOUS, Finding, Limits

# Mean accuracy over the last quarter of training.
_CERTAIN = Limits(0.9, 0.95)
# Within this distance of 1/2 the discriminator is guessing; below, it is fooled.
_GUESSING = 0.02
_FEWEST_LINES = 4
# A distance to real pictures is flat if its minimum in the second half of training is at least this
# share of its minimum in the first.
_FLAT_CURVE = 0.97


def discriminator(scored: EvaluationSet) -> Finding | str:
    """Checks the discriminator that judges the fakes of this direction."""
    name = f"disc_{scored.direction[1]}"
    accuracies = _course(scored.history, f"accuracy_{name}")
    if len(accuracies) < _FEWEST_LINES:
        return (
            f"detector discriminator: the run's history has {len(accuracies)} lines of accuracies; "
            f"at least {_FEWEST_LINES} are needed"
        )
    value = float(np.mean(accuracies[-max(1, len(accuracies) // 4) :]))
    verdict, note = _CERTAIN.verdict(value), ""
    helps = (advice.LEAST_SQUARES, advice.POOL, advice.SMALLER_DISCRIMINATOR)
    if value <= 0.5 + _GUESSING:
        helps = (advice.IS_IT_TRAINING, advice.LARGER_DISCRIMINATOR, advice.LOWER_RATE)
        note = "it is guessing" if value >= 0.5 - _GUESSING else "it is fooled more often than not"
        if _is_flat(scored.history, scored.direction):
            verdict, note = BAD, f"{note}, and the distance to real pictures does not fall"
        else:
            verdict = SUSPICIOUS
            note += "; the pictures may still be improving"
    return Finding(
        "discriminator",
        value,
        0.5,
        _CERTAIN.suspicious,
        verdict,
        f"accuracy of {name} over the last quarter of training; range: healthy runs",
        advise(scored.config, *helps),
        note=note,
    )


def _course(history: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [line[name] for line in history if line.get(name) is not None]


def _is_flat(history: Sequence[Mapping[str, Any]], direction: str) -> bool:
    """Whether a distance to real pictures was measured in training and did not fall in its second
    half.

    A curve also counts as flat while the translations are no closer to real pictures than the
    inputs are, whose "appearance" is 1.
    """
    for name, of_inputs in ((f"kid_{direction}", np.inf), (f"appearance_{direction}", 1.0)):
        values = _course(history, name)
        if len(values) >= 4:
            half = len(values) // 2
            least = min(values[half:])
            return least >= min(_FLAT_CURVE * min(values[:half]), of_inputs)
    return False
