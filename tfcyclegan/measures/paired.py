"""Errors against the true picture of the same scene, where it is known: Lab error, L1, PSNR, SSIM
and LPIPS; also by class if there are labels.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from skimage import metrics

from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.errors import UserError
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet
from tfcyclegan.measures.lab import lab
from tfcyclegan.measures.statistics import Statistic, View, against_truth
from tfcyclegan.measures.tables import (
    Column,
    Interval,
    Table,
    decided_if,
    interval_of_mean,
    mean_of_known,
)

SSIM_WINDOW = 11
LPIPS = "LPIPS"
_SATELLITE = "satellite2map"
# The control shown next to the translations in the table by class.
_BESIDE = "colour matching"


def lab_error(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean CIE76 colour difference over all pixels or those in `mask` [H, W]; NaN if the mask is
    empty.
    """
    difference = np.linalg.norm(lab(picture) - lab(truth), axis=-1)
    chosen = difference if mask is None else difference[mask]
    return float(chosen.mean()) if chosen.size else float("nan")


def absolute_error(picture: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference on the scale [-1, 1] used in training, in [0, 2]."""
    return float(np.abs(picture.astype(np.float64) - truth).mean() / 127.5)


def water(picture: np.ndarray) -> np.ndarray:
    """[H, W], true where a map or satellite picture shows water: blue exceeds red by at least 25
    levels.
    """
    return picture[..., 2].astype(int) - picture[..., 0] >= 25


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks; 1 if both are empty."""
    union = (mask | truth).sum()
    return float((mask & truth).sum() / union) if union else 1.0


def psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 pictures [H, W, C], in dB; infinite if they are
    equal.
    """
    squared = np.square(picture.astype(np.float64) - truth).mean()
    return float(10 * np.log10(255**2 / squared)) if squared else float("inf")


def ssim(picture: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004) of two uint8 pictures [H, W, C], mean over channels,
    with the paper's Gaussian window of 11 pixels and sigma 1.5; 1 if they are equal.

    Raises:
        UserError: a side is below 11 pixels.
    """
    if min(truth.shape[:2]) < SSIM_WINDOW:
        raise UserError(
            f"picture of {truth.shape[1]} x {truth.shape[0]}: SSIM needs at least {SSIM_WINDOW} "
            "pixels a side"
        )
    return float(
        metrics.structural_similarity(
            truth,
            picture,
            channel_axis=-1,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def means_by_class(values: np.ndarray, ids: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Mean of `values` [H, W, D] over the pixels of each class, [C, D]; NaN for a class without
    pixels.

    Args:
        values: one vector per pixel.
        ids: ids (not train ids) of the scene, uint8 [H, W].
        classes: the class table of the ids.
    """
    train_ids = classes.to_train_ids(ids).ravel()
    pixels = np.bincount(train_ids, minlength=256)[: classes.count, np.newaxis]
    sums = [
        np.bincount(train_ids, of_all.ravel(), minlength=256)[: classes.count]
        for of_all in np.moveaxis(values, -1, 0)
    ]
    nothing = np.full((classes.count, len(sums)), np.nan)
    return np.divide(np.stack(sums, axis=-1), pixels, out=nothing, where=pixels > 0)


def class_errors(
    picture: np.ndarray, truth: np.ndarray, ids: np.ndarray, classes: ClassTable
) -> dict[str, np.ndarray]:
    """Errors of each class, [C] each: "L1", the mean absolute difference of its pixels on the scale
    [-1, 1] used in training, in [0, 2]; "class colour", the CIE76 distance between its mean Lab
    colours: is the road road-coloured, whatever its texture?

    Args:
        picture: uint8 [H, W, C].
        truth: uint8 [H, W, C].
        ids: ids (not train ids) of the truth, uint8 [H, W]; a class without pixels gets NaN.
        classes: the class table of the ids.
    """
    differences = np.abs(picture.astype(np.float64) - truth) / 127.5
    colours, true_colours = (means_by_class(lab(one), ids, classes) for one in (picture, truth))
    return {
        "L1": means_by_class(differences, ids, classes).mean(axis=-1),
        "class colour": np.linalg.norm(colours - true_colours, axis=-1),
    }


def tables(scored: EvaluationSet) -> list[Table | str]:
    """All tables, or the reasons why they are missing; for measurements see `measured_errors`."""
    if scored.measured is not None:
        return []
    lpips = scored.tools.lpips
    left_out = lpips if isinstance(lpips, str) and scored.truths else ""
    return [table(scored), left_out, by_class(scored)]


def _land_error(view: View) -> float:
    return lab_error(view.picture, view.truth, _land(view))


def _water_overlap(view: View) -> float:
    return overlap(water(view.picture), ~_land(view))


def _lpips(view: View) -> float:
    lpips = view.scored.tools.lpips
    assert not isinstance(lpips, str)
    return lpips.distance(view.picture, view.truth)


def _class_errors(view: View) -> dict[str, np.ndarray]:
    """`class_errors`, with the ids resized to the picture."""
    ids = Image.fromarray(view.look(view.scored.ids))
    size = Size(*view.picture.shape[:2])
    fitted = images.to_array(images.resize(ids, size, nearest=True))[..., 0]
    return class_errors(view.picture, view.truth, fitted, view.scored.table)


LAB_ERROR, SSIM = against_truth(lab_error), against_truth(ssim)


def _columns(scored: EvaluationSet) -> dict[Column, Statistic]:
    """The columns that the data allow, each with its statistic."""
    land = _tells_land(scored)
    columns: dict[Column, Statistic] = {
        Column("Lab error", decides=not land): LAB_ERROR,
        Column("L1", decides=not land): against_truth(absolute_error),
        Column("PSNR", "higher", digits=2): against_truth(psnr),
        Column("SSIM", "higher"): SSIM,
    }
    if not isinstance(scored.tools.lpips, str):
        columns[Column(LPIPS)] = _lpips
    if land:
        columns[Column("Lab error on land", decides=True)] = _land_error
        if scored.direction == "ab":
            columns[Column("water IoU", "higher")] = _water_overlap
    if _labelled(scored):
        columns[Column("class colour", decides=True, digits=2)] = _class_errors
    return columns


def _labelled(scored: EvaluationSet) -> tuple[str, ...]:
    """The translations that have a truth and labels."""
    return tuple(name for name in scored.truths if name in scored.ids)


def table(scored: EvaluationSet) -> Table | str:
    """The table of all errors; a reason if there are none, "" if the evaluation set gives it."""
    if not scored.truths:
        return ""
    columns, names = _columns(scored), tuple(scored.truths)
    cells = [(row, column) for row in scored.sets for column in columns]
    of_classes = _labelled(scored)
    asked = (
        (columns[column], row, of_classes if columns[column] is _class_errors else names)
        for row, column in cells
    )
    try:
        found = scored.rows(*asked)
    except UserError as error:  # smaller than the SSIM window
        return f"truth: {error}"
    rows: dict[str, dict[str, Interval]] = {row: {} for row in scored.sets}
    for (row, column), values in zip(cells, found, strict=True):
        if columns[column] is _class_errors:
            values = [mean_of_known(one["class colour"]) for one in values]
        rows[row][column.name] = interval_of_mean(np.array(values))
    made = Table("Truth", _note(scored), list(columns), rows)
    return decided_if(scored.partners.sure, made)


def _note(scored: EvaluationSet) -> str:
    lpips = scored.tools.lpips
    parts = [
        "Against the true picture of the same scene "
        f"({scored.partners.told or 'pairs are known'}). L1 on the scale [-1, 1]; PSNR in dB"
    ]
    if not isinstance(lpips, str):
        parts.append(f"LPIPS: {lpips.name}, weights {lpips.sha256[:12]}")
    if scored.data == _SATELLITE and not _tells_land(scored):
        parts.append("land and water are not scored, since gray maps do not tell them apart")
    if _labelled(scored):
        parts.append(
            "class colour: Lab distance between mean colours of a class, mean over the classes in "
            "the picture"
        )
    return "; ".join(parts) + "."


def by_class(scored: EvaluationSet) -> Table | str:
    """The errors by class: L1 of its pixels, and distance of its mean colour."""
    if not (names := _labelled(scored)):
        return ""
    beside = {"": OWN, f", {_BESIDE}": _BESIDE}
    columns = [
        Column(f"{measure}{suffix}", digits=digits)
        for measure, digits in (("L1", 3), ("class colour", 2))
        for suffix in beside
    ]
    found = scored.rows(*((_class_errors, row, names) for row in beside.values()))
    each = dict(zip(beside, found, strict=True))
    values = {
        f"{measure}{suffix}": np.array([one[measure] for one in each[suffix]])
        for measure in ("L1", "class colour")
        for suffix in beside
    }
    rows = {
        class_name: {
            column: interval_of_mean(of_all[:, index]) for column, of_all in values.items()
        }
        for index, class_name in enumerate(scored.table.names)
        if not np.isnan(values["L1"][:, index]).all()
    }
    return Table(
        "Truth by class",
        f"Errors over the pixels of each class, next to those of the control {_BESIDE}; n: the "
        "number of pictures that show the class.",
        columns,
        rows,
        "classes",
        [column.name for column in columns[:2]],
    )


def errors_of(scored: EvaluationSet, names: Sequence[str]) -> dict[str, Interval]:
    """Lab error and SSIM of some of the translations, if any of them have truths."""
    if not (chosen := [name for name in names if name in scored.truths]):
        return {}
    statistics = {"Lab error": LAB_ERROR}
    if min(scored.own[chosen[0]].shape[:2]) >= SSIM_WINDOW:
        statistics["SSIM"] = SSIM
    known = tuple(scored.truths)
    found = {column: scored.rows_by_name(one, known) for column, one in statistics.items()}
    return {
        column: interval_of_mean(np.array([values[name] for name in chosen]))
        for column, values in found.items()
    }


def _tells_land(scored: EvaluationSet) -> bool:
    """Whether the satellite2map map distinguishes land from water. Land is then scored separately,
    because nearly any translation gets the sea right. Gray maps do not show water.
    """
    if scored.data != _SATELLITE or not scored.truths:
        return False
    maps = scored.truths if scored.direction == "ab" else scored.inputs
    return maps[next(iter(maps))].shape[-1] == 3


def _land(view: View) -> np.ndarray:
    """[H, W], true on land."""
    return ~water(view.truth if view.scored.direction == "ab" else view.input)
