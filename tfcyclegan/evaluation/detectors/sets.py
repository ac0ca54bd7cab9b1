"""Failures that show in the translations as a set, beside real pictures of the target domain."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.evaluation import advice, limits
from tfcyclegan.evaluation.advice import Advice, advise
from tfcyclegan.evaluation.detectors.finding import DRAWS, TAILS, Finding, reals_of, worst_of
from tfcyclegan.evaluation.material import OWN, Material
from tfcyclegan.measures import failures
from tfcyclegan.measures.appearance import lab

_DRAWS_OF_PAIRS = 30
_PAIRED_AT_MOST = 40

Rows = np.ndarray
"""A row a picture, [N, ...]."""


@dataclass(frozen=True)
class _OfSets:
    """A detector that compares the translations as a set with real pictures of the target.

    Attributes:
        helps: what usually does.
        rows: of one picture.
        distance: of two sets' rows.
        one: how bad a single picture's row is, beside the real ones'.
        excess: by value, low and high of the range on real pictures.
        draws: how many random parts of the real pictures make the range.
    """

    name: str
    measures: str
    helps: tuple[Advice, ...]
    limits: limits.Limits
    rows: Callable[[np.ndarray], Any]
    distance: Callable[[Rows, Rows], float]
    one: Callable[[Rows, Rows], Rows]
    excess: Callable[[float, float, float], float]
    draws: int = DRAWS


def _above(value: float, low: float, high: float) -> float:
    return value - high


def _times_below(value: float, low: float, high: float) -> float:
    return low / max(value, 1e-9)


def _moments(picture: np.ndarray) -> np.ndarray:
    values = lab(picture).reshape(-1, 3)
    return np.concatenate([values.mean(axis=0), np.square(values).mean(axis=0)])


def _deviation(moments: Rows) -> np.ndarray:
    mean = moments.mean(axis=0)
    return np.sqrt(np.maximum(mean[3:] - mean[:3] ** 2, 0))


def _ratio(rows: Rows, reals: Rows) -> float:
    return float(rows.mean() / max(reals.mean(), 1e-9))


def _checkerboard(period: int) -> _OfSets:
    return _OfSets(
        f"checkerboard, stride {period}",
        f"power at the frequencies of stride {period} above their neighbours', dB",
        (advice.RESIZE, advice.LONGER, advice.POOL),
        limits.CHECKERBOARD,
        lambda picture: failures.checkerboard([picture])[f"stride {period}"],
        lambda rows, _: float(rows.mean()),
        lambda rows, _: rows,
        _above,
    )


_SETS = (
    _checkerboard(2),
    _checkerboard(4),
    _OfSets(
        "artefacts",
        "mean difference of the radial spectra from real ones', dB",
        (advice.RESIZE, advice.POOL, advice.LONGER),
        limits.SPECTRUM,
        failures.radial_spectrum,
        lambda rows, reals: float(np.abs(rows.mean(axis=0) - reals.mean(axis=0)).mean()),
        lambda rows, reals: np.abs(rows - reals.mean(axis=0)).mean(axis=-1),
        _above,
    ),
    _OfSets(
        "blur",
        "sharpness (deviation of the lightness's Laplacian) over real pictures'",
        (advice.LONGER, advice.LARGER_CROPS, advice.MORE_DATA, advice.WEAKER_CYCLES),
        limits.BLUR,
        lambda picture: np.sqrt(failures.laplacian_variance(picture)),
        _ratio,
        lambda rows, _: -rows,
        _times_below,
    ),
    _OfSets(
        "colour shift",
        "distance of the mean colours from real ones', Lab",
        (advice.IDENTITY, advice.SMALLER_GAIN, advice.LONGER),
        limits.COLOUR,
        _moments,
        lambda rows, reals: float(np.linalg.norm(rows.mean(axis=0)[:3] - reals.mean(axis=0)[:3])),
        lambda rows, reals: np.linalg.norm(rows[:, :3] - reals.mean(axis=0)[:3], axis=-1),
        _above,
    ),
    _OfSets(
        "contrast shift",
        "distance of the colours' deviations from real ones', Lab",
        (advice.IDENTITY, advice.LONGER, advice.ALIKE_SCALES),
        limits.COLOUR,
        _moments,
        lambda rows, reals: float(np.linalg.norm(_deviation(rows) - _deviation(reals))),
        lambda rows, reals: np.array(
            [np.linalg.norm(_deviation(row[np.newaxis]) - _deviation(reals)) for row in rows]
        ),
        _above,
    ),
    _OfSets(
        "mode collapse",
        "how far any two translations are apart, for the strength of their colours, over that of "
        "real pictures",
        (advice.BOTH_CYCLES, advice.POOL, advice.LOWER_RATE),
        limits.DIVERSITY,
        failures.shrunk,
        lambda rows, reals: failures.diversity_ratio(
            list(rows[:_PAIRED_AT_MOST]), list(reals[:_PAIRED_AT_MOST])
        ),
        lambda rows, _: (
            -np.abs(rows.astype(float) - rows.astype(float).mean(axis=0)).mean(axis=(1, 2, 3))
        ),
        _times_below,
        _DRAWS_OF_PAIRS,
    ),
)


def findings(material: Material) -> list[Finding | str]:
    """What these detectors say, or why one is left out."""
    said: list[Finding | str] = []
    for detector in _SETS:
        try:
            said.append(_finding(detector, material))
        except UserError as error:
            said.append(f"detector {detector.name}: {error}")
    return said


def _finding(detector: _OfSets, material: Material) -> Finding:
    own, reals = material.sets[OWN], reals_of(material)
    rows, real_rows, held_out = (
        np.array([detector.rows(picture) for picture in pictures])
        for pictures in (own.values(), reals, material.held_out.values())
    )
    value = detector.distance(rows, real_rows)
    size = min(len(rows), len(real_rows) // 2)
    generator = np.random.default_rng((0, 51))
    drawn = []
    for _ in range(detector.draws if size else 0):
        order = generator.permutation(len(real_rows))
        drawn.append(detector.distance(real_rows[order[:size]], real_rows[order[size:]]))
    low, high = np.quantile(drawn, TAILS) if drawn else (np.nan, np.nan)
    # other real pictures, of the scenes that are translated where pairs are known
    if len(held_out) > 1:
        other = detector.distance(held_out, real_rows)
        low, high = min(low, other), max(high, other)
    worst = worst_of(own, detector.one(rows, real_rows))
    verdict = detector.limits.verdict(detector.excess(value, low, high))
    helps = advise(material.config, *detector.helps)
    return Finding(
        detector.name, value, float(low), float(high), verdict, detector.measures, helps, worst
    )
