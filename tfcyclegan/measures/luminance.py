"""The main scores by the luminance of the input, and the inputs that are darker or brighter than
nearly all training pictures: night, dusk and glare.

Luminance is mean CIE L*, in [0, 100].
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfcyclegan.measures import advice, appearance, kid_fid, label_maps, paired
from tfcyclegan.measures.advice import advise
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet
from tfcyclegan.measures.findings import WORST, Finding, Limits
from tfcyclegan.measures.lab import lightness
from tfcyclegan.measures.statistics import INPUTS, SOURCE, of_pair, of_picture
from tfcyclegan.measures.tables import Column, Interval, Table, interval_of_mean

# Share of the training pictures that count as dark, and that count as bright.
SHARE = 0.2
# Share of inputs outside the luminance range of training, less what chance explains.
_OUTSIDE = Limits(0.05, 0.25)
# Share of the training pictures beyond each end of the range.
_TAIL = 0.01
_LISTED = 8


@dataclass(frozen=True)
class Luminance:
    """The luminance of the inputs.

    Attributes:
        groups: names of the dark, mid and bright inputs.
        outside: names of the inputs outside the training range, with "dark" or "bright".
        bounds: luminance between dark and mid, and between mid and bright.
        known: the training range, without the outermost 1% on either side.
    """

    groups: dict[str, list[str]]
    outside: dict[str, str]
    bounds: tuple[float, float]
    known: tuple[float, float]


def luminance(picture: np.ndarray) -> float:
    """Mean lightness of the picture, in [0, 100]."""
    return float(lightness(picture).mean())


def outside(value: float, known: tuple[float, float]) -> str:
    """ "dark" (night, dusk) or "bright" for a luminance outside the range, else ""."""
    return "dark" if value < known[0] else "bright" if value > known[1] else ""


def luminance_shift(real: np.ndarray, fake: np.ndarray) -> float:
    """Mean absolute difference between the lightness of an input and of its translation, in [0,
    100].
    """
    return float(np.abs(lightness(real) - lightness(fake)).mean())


_LIGHT = ((of_picture(luminance), SOURCE), (of_picture(luminance), INPUTS))
_SHIFT = (of_pair(luminance_shift), OWN)


def by_luminance(scored: EvaluationSet) -> Luminance:
    """Groups the inputs by luminance, with bounds from the training pictures."""
    train, inputs = scored.rows(*_LIGHT)
    bounds, known = (
        (float(low), float(high))
        for low, high in (np.quantile(train, (tail, 1 - tail)) for tail in (SHARE, _TAIL))
    )
    values = dict(zip(scored.inputs, inputs, strict=True))
    groups = {
        group: [
            name for name, value in values.items() if (outside(value, bounds) or "mid") == group
        ]
        for group in ("dark", "mid", "bright")
    }
    beyond = {name: where for name, value in values.items() if (where := outside(value, known))}
    return Luminance(groups, beyond, bounds, known)


def table(scored: EvaluationSet) -> Table | str:
    """The main scores of the translations, one row per group; a reason for measurements."""
    if scored.of_measurements:
        return "by luminance: only for pictures; measurements have no luminance"
    scored.rows(*_LIGHT, _SHIFT)
    light = scored.once(by_luminance)
    drawn = [(appearance.drawn, OWN, names) for names in light.groups.values() if names]
    scored.rows(*drawn)
    rows = {
        group: {"pictures": Interval(len(names), pictures=len(names))} | _row(scored, names)
        for group, names in light.groups.items()
    }
    return Table(
        "By luminance of the input",
        "Scores of the translations by the input's mean lightness (L*): dark below "
        f"{light.bounds[0]:.1f}, bright above {light.bounds[1]:.1f} (the darkest and brightest "
        f"{SHARE:.0%} of the training pictures). Distances are biased upwards for fewer pictures.",
        [column for column in _COLUMNS if any(column.name in row for row in rows.values())],
        rows,
        plot="",
    )


_COLUMNS = (
    Column("pictures", "", digits=0),
    Column("colour"),
    Column("texture"),
    Column("KID x 1000"),
    Column("Lab error"),
    Column("SSIM", "higher"),
    Column("pixel accuracy", "higher"),
    Column("class IoU", "higher"),
    Column("lightness change", digits=2),
)


def _row(scored: EvaluationSet, names: Sequence[str]) -> dict[str, Interval]:
    """Scores of some of the translations."""
    if not names:
        return {}
    (drawn,) = scored.rows((appearance.drawn, OWN, names))
    shift = scored.rows_by_name(_SHIFT[0])
    return {
        **scored.once(appearance.look).intervals(drawn),
        **kid_fid.kid_of(scored, names),
        **paired.errors_of(scored, names),
        **label_maps.accuracies_of(scored, names),
        "lightness change": interval_of_mean(np.array([shift[name] for name in names])),
    }


def outside_training(scored: EvaluationSet) -> Finding | str:
    """Inputs at night, at dusk or with glare, which training hardly saw; "" for measurements."""
    if scored.of_measurements:
        return ""
    light, count = scored.once(by_luminance), len(scored.inputs)
    share, expected = len(light.outside) / count, 2 * _TAIL
    high = float(expected + 2 * np.sqrt(expected * (1 - expected) / count))
    listed = [f"{name} ({what})" for name, what in light.outside.items()]
    return Finding(
        "night, dusk and glare",
        share,
        0.0,
        high,
        _OUTSIDE.verdict(share - high),
        "share of inputs whose mean lightness is outside the training range, "
        f"{light.known[0]:.0f} to {light.known[1]:.0f}",
        advise(scored.config, advice.BALANCE),
        tuple(list(light.outside)[:WORST]),
        ", ".join([*listed[:_LISTED], *(["..."] if len(listed) > _LISTED else [])]),
    )
