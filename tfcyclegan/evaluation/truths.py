"""Against the true picture of the same scene, where it is known: by picture, and by class where
labels are known too.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation.material import OWN, Material, Pictures
from tfcyclegan.evaluation.tables import Column, Table, undecided
from tfcyclegan.measures import paired, similarity
from tfcyclegan.measures.features import Lpips
from tfcyclegan.measures.statistics import interval_of_mean

LPIPS = "LPIPS"
_SATELLITE = "satellite2map"
_BESIDE = "colour matching"
"""The control that stands beside the translations in the table by class."""

Score = Callable[[str, np.ndarray, np.ndarray], float]


def table(material: Material, lpips: Lpips | None) -> Table | str:
    """The family's table; a reason where there is none, empty if the material says why.

    Args:
        material: what is scored.
        lpips: the network of the LPIPS column, or None to leave it out.
    """
    if not material.truths:
        return ""
    try:
        columns, scores = _measures(material, lpips)
        found = Table("Truth", _note(material, lpips), columns)
        for name, pictures in material.sets.items():
            found.rows[name] = {
                column: interval_of_mean(
                    np.array(
                        [score(key, pictures[key], true) for key, true in material.truths.items()],
                        np.float64,
                    ),
                    seed=0,
                )
                for column, score in scores.items()
            }
    except UserError as error:  # pictures too small for a window
        return f"truth: {error}"
    return found if material.partners.sure else undecided(found)


def _measures(material: Material, lpips: Lpips | None) -> tuple[list[Column], dict[str, Score]]:
    truths = material.truths
    land = _land(material)
    columns = [
        Column("Lab error", decides=not land),
        Column("L1", decides=not land),
        Column("PSNR", "higher", digits=2),
        Column("SSIM", "higher"),
    ]
    scores: dict[str, Score] = {
        "Lab error": lambda _, picture, true: paired.lab_error(picture, true),
        "L1": lambda _, picture, true: paired.absolute_error(picture, true),
        "PSNR": lambda _, picture, true: similarity.psnr(picture, true),
        "SSIM": lambda _, picture, true: similarity.ssim(picture, true),
    }
    if lpips is not None:
        columns.append(Column(LPIPS))
        scores[LPIPS] = lambda _, picture, true: lpips.distance(picture, true)
    if land:
        columns.append(Column("Lab error on land", decides=True))
        scores["Lab error on land"] = lambda name, picture, true: paired.lab_error(
            picture, true, land[name]
        )
        if material.direction == "ab":
            columns.append(Column("water IoU", "higher"))
            scores["water IoU"] = lambda name, picture, true: paired.overlap(
                paired.water(picture), ~land[name]
            )
    if material.ids:
        columns.append(Column("class colour", decides=True, digits=2))
        regions = {name: _fitted(material.ids[name], true) for name, true in truths.items()}
        scores["class colour"] = lambda name, picture, true: similarity.class_colour_difference(
            picture, true, regions[name], material.table
        )
    return columns, scores


def _note(material: Material, lpips: Lpips | None) -> str:
    note = (
        "Against the true picture of the same scene "
        f"({material.partners.told or 'pairs are known'}). L1 on the scale [-1, 1]; PSNR in dB"
    )
    if lpips is not None:
        note += f"; LPIPS: {lpips.name}, weights {lpips.sha256[:12]}"
    if material.data == _SATELLITE and not _land(material):
        note += "; land and water are left out, since gray maps do not tell them apart"
    if material.ids:
        note += (
            "; class colour: Lab distance of a class's mean colours, mean over the classes in "
            "the picture"
        )
    return note + "."


def by_class(material: Material) -> Table | str:
    """The same by class: how far its pixels are from the truth, and how far its mean colour."""
    if not material.truths or not material.ids:
        return ""
    columns = [
        Column(f"{measure}{beside}", digits=digits)
        for measure, digits in (("L1", 3), ("class colour", 2))
        for beside in ("", f", {_BESIDE}")
    ]
    found = Table(
        "Truth by class",
        f"Each class's own pixels, beside those of the control {_BESIDE}; n: the pictures that "
        "show the class.",
        columns,
    )
    measures = {
        "L1": similarity.class_absolute_errors,
        "class colour": similarity.class_colour_differences,
    }
    values: dict[str, np.ndarray] = {}
    for measure, score in measures.items():
        for name, beside in ((OWN, ""), (_BESIDE, f", {_BESIDE}")):
            pictures = material.sets[name]
            values[f"{measure}{beside}"] = np.array(
                [
                    score(pictures[key], true, _fitted(material.ids[key], true), material.table)
                    for key, true in material.truths.items()
                ]
            )
    for index, class_name in enumerate(material.table.names):
        if not np.isnan(values["L1"][:, index]).all():
            found.rows[class_name] = {
                column: interval_of_mean(of_all[:, index], seed=0)
                for column, of_all in values.items()
            }
    return found


def _fitted(ids: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Ids in the size of the picture."""
    return images.to_array(
        images.resize(Image.fromarray(ids), Size(*picture.shape[:2]), nearest=True)
    )[..., 0]


def _land(material: Material) -> Pictures:
    """By name where the map of satellite2map shows land: scored by itself, since nearly anything
    gets the sea right.
    """
    maps = material.truths if material.direction == "ab" else material.inputs
    # gray tells no water
    if material.data != _SATELLITE or next(iter(maps.values())).shape[-1] == 1:
        return {}
    return {name: ~paired.water(picture) for name, picture in maps.items()}
