"""The known ways in which translations fail, each with a value, its range on real pictures, a verdict, the worst pictures and a mend."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.evaluation import cycles, limits
from tfcyclegan.evaluation.limits import BAD, OK, SUSPICIOUS
from tfcyclegan.evaluation.material import OWN, Material
from tfcyclegan.evaluation.strata import Luminance
from tfcyclegan.evaluation.tables import Table
from tfcyclegan.measures import failures
from tfcyclegan.measures.appearance import lab

_REALS = 200
_WORST = 3
_DRAWS, _DRAWS_OF_PAIRS = 200, 30
_PAIRED_AT_MOST = 40
_TAILS = (0.025, 0.975)

Rows = np.ndarray
"""A row a picture, [N, ...]."""


@dataclass(frozen=True)
class Finding:
    """What one detector says.

    Attributes:
        name: of the failure.
        value: of the translations.
        low: lower end of the range on real pictures; NaN if there is none.
        high: upper end.
        verdict: OK, SUSPICIOUS or BAD.
        measures: what the value is.
        helps: what usually does.
        worst: names of the inputs whose translations show it most.
        note: what else to know; may be empty.
    """

    name: str
    value: float
    low: float
    high: float
    verdict: str
    measures: str
    helps: str
    worst: tuple[str, ...] = ()
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        numbers = {key: float(value) if np.isfinite(value) else None for key, value in self._numbers().items()}
        told = {"verdict": self.verdict, "measures": self.measures, "helps": self.helps, "worst": list(self.worst), "note": self.note}
        return {"name": self.name, **numbers, **told}

    def _numbers(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class _OfSets:
    """A detector that compares the translations as a set with real pictures of the target.

    Attributes:
        rows: of one picture.
        distance: of two sets' rows.
        one: how bad a single picture's row is, beside the real ones'.
        excess: by value, low and high of the range on real pictures.
        draws: how many random parts of the real pictures make the range.
    """

    name: str
    measures: str
    helps: str
    limits: limits.Limits
    rows: Callable[[np.ndarray], Any]
    distance: Callable[[Rows, Rows], float]
    one: Callable[[Rows, Rows], Rows]
    excess: Callable[[float, float, float], float]
    draws: int = _DRAWS


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
        "--upsampling=resize; longer training; a pool (--pool_size=50)",
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
        "--upsampling=resize; a pool; longer training",
        limits.SPECTRUM,
        failures.radial_spectrum,
        lambda rows, reals: float(np.abs(rows.mean(axis=0) - reals.mean(axis=0)).mean()),
        lambda rows, reals: np.abs(rows - reals.mean(axis=0)).mean(axis=-1),
        _above,
    ),
    _OfSets(
        "blur",
        "sharpness (deviation of the lightness's Laplacian) over real pictures'",
        "more epochs; larger crops; more data; a lower --lambda_a and --lambda_b",
        limits.BLUR,
        lambda picture: np.sqrt(failures.laplacian_variance(picture)),
        _ratio,
        lambda rows, _: -rows,
        _times_below,
    ),
    _OfSets(
        "colour shift",
        "distance of the mean colours from real ones', Lab",
        "identity losses (--lambda_identity=0.5); a smaller --init_gain; more epochs",
        limits.COLOUR,
        _moments,
        lambda rows, reals: float(np.linalg.norm(rows.mean(axis=0)[:3] - reals.mean(axis=0)[:3])),
        lambda rows, reals: np.linalg.norm(rows[:, :3] - reals.mean(axis=0)[:3], axis=-1),
        _above,
    ),
    _OfSets(
        "contrast shift",
        "distance of the colours' deviations from real ones', Lab",
        "identity losses; more epochs; check that both domains are scaled alike",
        limits.COLOUR,
        _moments,
        lambda rows, reals: float(np.linalg.norm(_deviation(rows) - _deviation(reals))),
        lambda rows, reals: np.array([np.linalg.norm(_deviation(row[np.newaxis]) - _deviation(reals)) for row in rows]),
        _above,
    ),
    _OfSets(
        "mode collapse",
        "mean distance of any two translations over that of real pictures",
        "both cycle losses; a pool; a lower learning rate",
        limits.DIVERSITY,
        failures.shrunk,
        lambda rows, reals: failures.diversity_ratio(list(rows[:_PAIRED_AT_MOST]), list(reals[:_PAIRED_AT_MOST])),
        lambda rows, _: -np.abs(rows.astype(float) - rows.astype(float).mean(axis=0)).mean(axis=(1, 2, 3)),
        _times_below,
        _DRAWS_OF_PAIRS,
    ),
)


def findings(
    material: Material, light: Luminance, honesty: Table | None, history: Sequence[Mapping[str, Any]]
) -> tuple[list[Finding], list[str]]:
    """What all detectors say, and why some are left out.

    Args:
        material: what is scored.
        light: how light the inputs are.
        honesty: the table of `cycles`, if there is one.
        history: of the run; empty if there is none.
    """
    found: list[Finding] = []
    left_out: list[str] = []
    reals = material.target_train[:: max(1, -(-len(material.target_train) // _REALS))]
    for detector in _SETS:
        try:
            found.append(_of_sets(detector, material, reals))
        except UserError as error:
            left_out.append(f"detector {detector.name}: {error}")
    for one in (_flat_areas(material), _inversion(material), lost_content(honesty), discriminator(material, history)):
        if isinstance(one, str):
            left_out.append(one)
        else:
            found.append(one)
    found.append(_outside(material, light))
    return found, [reason for reason in left_out if reason]


def _of_sets(detector: _OfSets, material: Material, reals: Sequence[np.ndarray]) -> Finding:
    own = material.sets[OWN]
    rows, real_rows, held_out = (
        np.array([detector.rows(picture) for picture in pictures]) for pictures in (own.values(), reals, material.held_out.values())
    )
    value = detector.distance(rows, real_rows)
    size = min(len(rows), len(real_rows) // 2)
    generator = np.random.default_rng((0, 51))
    drawn = []
    for _ in range(detector.draws if size else 0):
        order = generator.permutation(len(real_rows))
        drawn.append(detector.distance(real_rows[order[:size]], real_rows[order[size:]]))
    low, high = np.quantile(drawn, _TAILS) if drawn else (np.nan, np.nan)
    if len(held_out) > 1:  # other real pictures, of the scenes that are translated where pairs are known
        other = detector.distance(held_out, real_rows)
        low, high = min(low, other), max(high, other)
    worst = np.argsort(-detector.one(rows, real_rows), kind="stable")[:_WORST]
    verdict = detector.limits.verdict(detector.excess(value, low, high))
    names = list(own)
    return Finding(
        detector.name, value, float(low), float(high), verdict, detector.measures, detector.helps, tuple(names[i] for i in worst)
    )


def _range_of_means(values: np.ndarray, size: int) -> tuple[float, float]:
    drawn = np.random.default_rng((0, 52)).choice(values, (_DRAWS, size)).mean(axis=1)
    low, high = np.quantile(drawn, _TAILS)
    return float(low), float(high)


def _flat_areas(material: Material) -> Finding | str:
    """What is drawn onto nothing, such as dark patches in the sky."""
    if material.source_is_label_maps and not material.truths:
        return "detector patches in flat areas: of label maps all areas are flat, and no true pictures are known"
    own = material.sets[OWN]
    values = np.array([failures.flat_area_deviation(material.inputs[name], picture) for name, picture in own.items()])
    if material.truths:
        real = np.array([failures.flat_area_deviation(material.inputs[name], true) for name, true in material.truths.items()])
    else:
        reals = material.target_train[:: max(1, -(-len(material.target_train) // _REALS))]
        real = np.array([failures.flat_area_deviation(picture, picture) for picture in reals])
    low, high = _range_of_means(real, len(values))
    value = float(values.mean())
    return Finding(
        "patches in flat areas",
        value,
        low,
        high,
        limits.FLAT.verdict(value / max(high, 1.0)),
        "deviation of lightness where the input is flattest, L*",
        "a semantic loss; identity losses; crops whose layouts match in both domains; longer training",
        _names_of(own, values),
        "range: of the true pictures in the same places" if material.truths else "range: of real pictures where they are flattest",
    )


def _inversion(material: Material) -> Finding | str:
    if material.target_is_label_maps or material.source_is_label_maps:
        return ""  # the lightness of a class's colour says nothing of the photo's
    own = material.sets[OWN]
    values = np.array([failures.lightness_correlation(material.inputs[name], picture) for name, picture in own.items()])
    value = float(values.mean())
    helps = "identity losses; a smaller --init_gain; another --seed"
    measures = "correlation of the input's lightness with its translation's, mean over pictures"
    if material.truths:
        real = np.array([failures.lightness_correlation(material.inputs[name], true) for name, true in material.truths.items()])
        low, high = _range_of_means(real, len(values))
        verdict = limits.CORRELATION.verdict(low - value)
        note = "range: of the true pictures"
    else:
        low, high, note = 0.0, 1.0, "no true pictures are known, so whether an inversion is right cannot be told"
        verdict = SUSPICIOUS if limits.CORRELATION.verdict(-value) != OK else OK
    return Finding("inversion", value, low, high, verdict, measures, helps, _names_of(own, -values), note)


def lost_content(honesty: Table | None) -> Finding | str:
    """Whether the translation still tells what it is a translation of."""
    if honesty is None or cycles.UNRELATED not in honesty.rows:
        return ""
    saved = honesty.rows["8-bit rounding"][cycles.ERROR].value
    value = saved / max(honesty.rows[cycles.UNRELATED][cycles.ERROR].value, 1e-9)
    return Finding(
        "content lost",
        value,
        np.nan,
        np.nan,
        limits.CYCLE.verdict(value),
        "cycle error of the saved fakes over that of another picture's fake; 1: the fake tells nothing of its input",
        "both cycle losses (--lambda_a, --lambda_b); longer training; see the table of cycle honesty",
    )


def _outside(material: Material, light: Luminance) -> Finding:
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
        f"share of inputs whose mean lightness is outside the training's {light.known[0]:.0f} to {light.known[1]:.0f}",
        "balance the training pictures by luminance, or leave such inputs out; read the scores by luminance",
        tuple(list(light.outside)[:_WORST]),
        ", ".join(listed) + (", ..." if len(light.outside) > len(listed) else ""),
    )


def discriminator(material: Material, history: Sequence[Mapping[str, Any]]) -> Finding | str:
    """Of the discriminator that judges this direction's fakes."""
    domain, direction = material.direction[1], material.direction
    accuracies = [line[f"accuracy_disc_{domain}"] for line in history if line.get(f"accuracy_disc_{domain}") is not None]
    if len(accuracies) < 4:
        return "detector discriminator: no history of accuracies"
    value = float(np.mean(accuracies[-max(1, len(accuracies) // 4) :]))
    flat = _is_flat(history, direction)
    guesses = abs(value - 0.5) <= limits.GUESSING
    verdict = limits.CERTAIN.verdict(value)
    note = ""
    if guesses:
        verdict = BAD if flat else SUSPICIOUS
        note = "it guesses" + (
            " and the distance to real pictures does not fall" if flat else "; no curve says that the pictures do not improve"
        )
    return Finding(
        "discriminator",
        value,
        0.5,
        limits.CERTAIN.suspicious,
        verdict,
        f"accuracy of disc_{domain} over the last quarter of training; the range is of healthy runs",
        "near 1: halve the discriminator's loss, --gan_mode=lsgan, a pool; at one half: is it training at all? a larger one, a lower rate",
        note=note,
    )


def _is_flat(history: Sequence[Mapping[str, Any]], direction: str) -> bool:
    """Whether a distance to real pictures was measured in training, and did not fall in its second half."""
    for name in (f"kid_{direction}", f"appearance_{direction}"):
        values = [line[name] for line in history if line.get(name) is not None]
        if len(values) >= 4:
            half = len(values) // 2
            return min(values[half:]) >= limits.FLAT_CURVE * min(values[:half])
    return False


def _names_of(pictures: Mapping[str, np.ndarray], badness: np.ndarray) -> tuple[str, ...]:
    names = list(pictures)
    return tuple(names[index] for index in np.argsort(-badness, kind="stable")[:_WORST])
