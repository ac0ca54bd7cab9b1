"""The main scores by how light the input is, and the inputs that are darker or brighter than nearly
all of the training's.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.evaluation import distances, label_scores, looks
from tfcyclegan.evaluation.distances import Features
from tfcyclegan.evaluation.material import OWN, Material
from tfcyclegan.evaluation.tables import Column, Table
from tfcyclegan.measures import failures, label_protocols, paired, similarity
from tfcyclegan.measures.appearance import Appearance
from tfcyclegan.measures.statistics import Interval, interval_of_mean

TITLE = "By luminance of the input"
DARK, MID, BRIGHT = "dark", "mid", "bright"
SHARE = 0.2
"""Of the training pictures that count as dark, and of those that count as bright."""


@dataclasses.dataclass(frozen=True)
class Luminance:
    """How light the inputs are.

    Attributes:
        strata: names of the inputs by stratum.
        outside: names of inputs beyond the training's range, with "dark" or "bright".
        bounds: luminance between dark and mid, and between mid and bright.
        known: the training's range, without its outermost 1% on each side.
    """

    strata: dict[str, list[str]]
    outside: dict[str, str]
    bounds: tuple[float, float]
    known: tuple[float, float]


def luminance(material: Material) -> Luminance:
    """Sorts the inputs by their mean lightness."""
    bounds = failures.luminance_range(material.source_train, tail=SHARE)
    known = failures.luminance_range(material.source_train)
    strata: dict[str, list[str]] = {DARK: [], MID: [], BRIGHT: []}
    outside = {}
    for name, picture in material.inputs.items():
        value = failures.luminance(picture)
        strata[DARK if value < bounds[0] else BRIGHT if value > bounds[1] else MID].append(name)
        if failures.outside(picture, known):
            outside[name] = failures.outside(picture, known)
    return Luminance(strata, outside, bounds, known)


def table(
    material: Material, light: Luminance, look: Appearance, features: Features | None
) -> Table:
    """The main scores of the translations, a row a stratum."""
    found = Table(
        TITLE,
        "The translations' scores by the input's mean lightness (L*): dark below "
        f"{light.bounds[0]:.1f}, bright above "
        f"{light.bounds[1]:.1f}, which are the darkest and the brightest {SHARE:.0%} of the "
        "training pictures. Distances of fewer "
        "pictures are larger by themselves.",
        [],
    )
    for stratum, names in light.strata.items():
        found.rows[stratum] = (
            _row(material, names, look, features)
            if names
            else {"pictures": Interval(0, np.nan, np.nan, 0)}
        )
    seen = dict.fromkeys(column for row in found.rows.values() for column in row)
    found.columns = [_COLUMNS[name] for name in _COLUMNS if name in seen]
    return found


_COLUMNS = {
    column.name: column
    for column in (
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
}


def _row(
    material: Material, names: Sequence[str], look: Appearance, features: Features | None
) -> dict[str, Interval]:
    own = {name: material.sets[OWN][name] for name in names}
    pictures = list(own.values())
    row = {
        "pictures": Interval(len(names), np.nan, np.nan, len(names)),
        **looks.row(look, pictures),
    }
    if features is not None and len(names) >= distances.LEAST_FOR_KID:
        row["KID x 1000"] = distances.kid_interval(
            features(pictures), features(distances.references(material))
        )
    true = {name: material.truths[name] for name in names if name in material.truths}
    if true:
        row["Lab error"] = interval_of_mean(
            np.array([paired.lab_error(own[name], picture) for name, picture in true.items()]),
            seed=0,
        )
        if min(pictures[0].shape[:2]) >= similarity.SSIM_WINDOW:
            row["SSIM"] = interval_of_mean(
                np.array([similarity.ssim(own[name], picture) for name, picture in true.items()]),
                seed=0,
            )
    ids = {
        name: material.table.to_train_ids(material.ids[name])
        for name in names
        if name in material.ids
    }
    if material.tells_classes and ids:
        seen = {
            name: label_protocols.classify_then_resize(
                own[name], Size(*truth.shape), material.table
            )
            for name, truth in ids.items()
        }
        scored = label_scores.row(label_scores.confusion_of(seen, ids, material.table.count))
        row |= {name: scored[name] for name in ("pixel accuracy", "class IoU")}
    row["lightness change"] = interval_of_mean(
        np.array([failures.luminance_shift(material.inputs[name], own[name]) for name in names]),
        seed=0,
    )
    return row
