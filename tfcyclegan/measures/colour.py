"""Shifts of colour and contrast, and inversion, where light areas become dark."""

import numpy as np

from tfcyclegan.measures import advice
from tfcyclegan.measures.advice import advise
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet
from tfcyclegan.measures.findings import (
    OK,
    SUSPICIOUS,
    Finding,
    Limits,
    Rows,
    SetDetector,
    range_of_means,
    worst_of,
)
from tfcyclegan.measures.lab import lab, lightness
from tfcyclegan.measures.statistics import TRUTHS, of_pair

# Lab units above the range of real pictures.
_SHIFT = Limits(4.0, 12.0)
# Below the range of the true pictures; without true pictures below 0, and then at most suspicious.
_CORRELATION = Limits(0.2, 0.6)


def _moments(picture: np.ndarray) -> np.ndarray:
    """Means of the Lab colours and of their squares, [6]."""
    values = lab(picture).reshape(-1, 3)
    sums = values.sum(axis=0), np.einsum("pc,pc->c", values, values)
    return np.concatenate(sums) / len(values)


def _deviation(moments: Rows) -> np.ndarray:
    mean = moments.mean(axis=0)
    return np.sqrt(np.maximum(mean[3:] - mean[:3] ** 2, 0))


colour_shift = SetDetector(
    "colour shift",
    "distance between the mean colour and that of real pictures, Lab",
    (advice.IDENTITY, advice.SMALLER_GAIN, advice.LONGER),
    _SHIFT,
    _moments,
    lambda rows, reals: float(np.linalg.norm(rows.mean(axis=0)[:3] - reals.mean(axis=0)[:3])),
    lambda rows, reals: np.linalg.norm(rows[:, :3] - reals.mean(axis=0)[:3], axis=-1),
)

contrast_shift = SetDetector(
    "contrast shift",
    "distance between the standard deviation of colours and that of real pictures, Lab",
    (advice.IDENTITY, advice.LONGER, advice.ALIKE_SCALES),
    _SHIFT,
    _moments,
    lambda rows, reals: float(np.linalg.norm(_deviation(rows) - _deviation(reals))),
    lambda rows, reals: np.array(
        [np.linalg.norm(_deviation(row[np.newaxis]) - _deviation(reals)) for row in rows]
    ),
)


def lightness_correlation(real: np.ndarray, fake: np.ndarray) -> float:
    """Pearson correlation between the lightness of an input and of its translation, in [-1, 1];
    negative for an inversion, 0 if either is constant.
    """
    one, other = (light - light.mean() for light in (lightness(real), lightness(fake)))
    spread = np.linalg.norm(one) * np.linalg.norm(other)
    return float((one * other).sum() / spread) if spread > 1e-6 else 0.0


def inversion(scored: EvaluationSet) -> Finding | str:
    """Whether light areas of the inputs became dark."""
    if scored.target_is_label_maps or scored.source_is_label_maps:
        return ""  # the lightness of a class colour is unrelated to the photo
    correlation = of_pair(lightness_correlation)
    values, real = map(
        np.array,
        scored.rows((correlation, OWN), (correlation, TRUTHS, tuple(scored.sure_truths))),
    )
    value = float(values.mean())
    low, high = range_of_means(real, len(values)) if scored.sure_truths else (0.0, 1.0)
    verdict = _CORRELATION.verdict(low - value)
    return Finding(
        "inversion",
        value,
        low,
        high,
        verdict if scored.sure_truths or verdict == OK else SUSPICIOUS,
        "correlation between the lightness of input and translation, mean over pictures",
        advise(scored.config, advice.IDENTITY, advice.SMALLER_GAIN, advice.SEED),
        worst_of(scored.own, -values),
        "range: of the true pictures"
        if scored.sure_truths
        else "no true pictures are known, so an inversion may be correct",
    )
