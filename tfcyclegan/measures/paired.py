"""Against the true picture of the same scene, where it is known: Lab error, L1, PSNR, SSIM, LPIPS;
and by class where labels are known too.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image
from skimage import metrics

from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.errors import UserError
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet, Pictures
from tfcyclegan.measures.lab import lab
from tfcyclegan.measures.tables import (
    Column,
    Interval,
    Table,
    interval_of_mean,
    mean_of_known,
    undecided,
)

SSIM_WINDOW = 11
LPIPS = "LPIPS"
_SATELLITE = "satellite2map"
# The control that stands beside the translations in the table by class.
_BESIDE = "colour matching"


def lab_error(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean CIE76 colour difference over the pixels of `mask` [H, W], or over all; NaN if the mask
    is empty.
    """
    difference = np.linalg.norm(lab(picture) - lab(truth), axis=-1)
    chosen = difference if mask is None else difference[mask]
    return float(chosen.mean()) if chosen.size else float("nan")


def absolute_error(picture: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference on the scale [-1, 1] of the training, in [0, 2]."""
    return float(np.abs(picture.astype(np.float64) - truth).mean() / 127.5)


def water(picture: np.ndarray) -> np.ndarray:
    """[H, W] true where a map or satellite picture shows water: blue over red by 25 levels."""
    return picture[..., 2].astype(int) - picture[..., 0] >= 25


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks; 1 if both are empty."""
    union = (mask | truth).sum()
    return float((mask & truth).sum() / union) if union else 1.0


def psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 pictures [H, W, C], in dB; infinite for equal
    ones.
    """
    squared = np.square(picture.astype(np.float64) - truth).mean()
    return float(10 * np.log10(255**2 / squared)) if squared else float("inf")


def ssim(picture: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004) of two uint8 pictures [H, W, C], mean over channels;
    1 for equal ones.

    With the paper's Gaussian window of 11 pixels and sigma 1.5.

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
    """Mean of `values` [H, W, D] over the pixels of each class, [C, D]; NaN where it has none.

    Args:
        values: of a picture's pixels.
        ids: ids (not train ids) of what it shows, uint8 [H, W].
        classes: the table of the ids.
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
    """By class, [C] each: "L1", the mean absolute difference of its pixels on the scale [-1, 1] of
    the training, in [0, 2]; "class colour", the CIE76 distance of its mean Lab colours: is the road
    road-coloured, whatever its texture?

    Args:
        picture: uint8 [H, W, C].
        truth: uint8 [H, W, C].
        ids: the truth's ids (not train ids), uint8 [H, W]; a class without pixels gives NaN.
        classes: the table of the ids.
    """
    differences = np.abs(picture.astype(np.float64) - truth) / 127.5
    colours, true_colours = (means_by_class(lab(one), ids, classes) for one in (picture, truth))
    return {
        "L1": means_by_class(differences, ids, classes).mean(axis=-1),
        "class colour": np.linalg.norm(colours - true_colours, axis=-1),
    }


def tables(scored: EvaluationSet) -> list[Table | str]:
    """All that there is, or reasons; of measurements `measured_errors` has them."""
    if scored.measured is not None:
        return []
    lpips = scored.tools.lpips
    left_out = lpips if isinstance(lpips, str) and scored.truths else ""
    return [table(scored), left_out, by_class(scored)]


def table(scored: EvaluationSet) -> Table | str:
    """All differences; a reason where there are none, empty if the set says why."""
    if not scored.truths:
        return ""
    land = _land(scored)
    try:
        each = {
            name: [_scores(scored, key, pictures[key], land) for key in scored.truths]
            for name, pictures in scored.sets.items()
        }
    except UserError as error:  # pictures too small for a window
        return f"truth: {error}"
    rows = {
        name: {
            column: interval_of_mean(np.array([one[column] for one in scores]))
            for column in scores[0]
        }
        for name, scores in each.items()
    }
    columns = (
        Column("Lab error", decides=not land),
        Column("L1", decides=not land),
        Column("PSNR", "higher", digits=2),
        Column("SSIM", "higher"),
        Column(LPIPS),
        Column("Lab error on land", decides=True),
        Column("water IoU", "higher"),
        Column("class colour", decides=True, digits=2),
    )
    shown = [column for column in columns if column.name in rows[OWN]]
    found = Table("Truth", _note(scored, bool(land)), shown, rows)
    return found if scored.partners.sure else undecided(found)


def _scores(
    scored: EvaluationSet, name: str, picture: np.ndarray, land: Pictures
) -> dict[str, float]:
    """Of one picture, by column."""
    true, lpips = scored.truths[name], scored.tools.lpips
    scores = {
        "Lab error": lab_error(picture, true),
        "L1": absolute_error(picture, true),
        "PSNR": psnr(picture, true),
        "SSIM": ssim(picture, true),
    }
    if not isinstance(lpips, str):
        scores[LPIPS] = lpips.distance(picture, true)
    if land:
        scores["Lab error on land"] = lab_error(picture, true, land[name])
        if scored.direction == "ab":
            scores["water IoU"] = overlap(water(picture), ~land[name])
    if scored.ids:
        colours = _class_errors(scored, name, picture)["class colour"]
        scores["class colour"] = float(mean_of_known(colours))
    return scores


def _note(scored: EvaluationSet, land: bool) -> str:
    lpips = scored.tools.lpips
    parts = [
        "Against the true picture of the same scene "
        f"({scored.partners.told or 'pairs are known'}). L1 on the scale [-1, 1]; PSNR in dB"
    ]
    if not isinstance(lpips, str):
        parts.append(f"LPIPS: {lpips.name}, weights {lpips.sha256[:12]}")
    if scored.data == _SATELLITE and not land:
        parts.append("land and water are left out, since gray maps do not tell them apart")
    if scored.ids:
        parts.append(
            "class colour: Lab distance of a class's mean colours, mean over the classes in "
            "the picture"
        )
    return "; ".join(parts) + "."


def by_class(scored: EvaluationSet) -> Table | str:
    """The same by class: how far its pixels are from the truth, and how far its mean colour."""
    if not scored.truths or not scored.ids:
        return ""
    beside = {"": OWN, f", {_BESIDE}": _BESIDE}
    columns = [
        Column(f"{measure}{suffix}", digits=digits)
        for measure, digits in (("L1", 3), ("class colour", 2))
        for suffix in beside
    ]
    each = {
        suffix: [_class_errors(scored, key, scored.sets[name][key]) for key in scored.truths]
        for suffix, name in beside.items()
    }
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
        f"Each class's own pixels, beside those of the control {_BESIDE}; n: the pictures that "
        "show the class.",
        columns,
        rows,
        "classes",
        [column.name for column in columns[:2]],
    )


def errors_of(scored: EvaluationSet, pictures: Pictures) -> dict[str, Interval]:
    """Lab error and SSIM of some of the translations that have a truth."""
    pairs = [(one, scored.truths[name]) for name, one in pictures.items() if name in scored.truths]
    if not pairs:
        return {}
    measures: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {"Lab error": lab_error}
    if min(pairs[0][0].shape[:2]) >= SSIM_WINDOW:
        measures["SSIM"] = ssim
    return {
        name: interval_of_mean(np.array([measure(*pair) for pair in pairs]))
        for name, measure in measures.items()
    }


def _class_errors(scored: EvaluationSet, name: str, picture: np.ndarray) -> dict[str, np.ndarray]:
    """`class_errors` by the ids of that name, in the size of the picture."""
    ids = Image.fromarray(scored.ids[name])
    fitted = images.to_array(images.resize(ids, Size(*picture.shape[:2]), nearest=True))[..., 0]
    return class_errors(picture, scored.truths[name], fitted, scored.table)


def _land(scored: EvaluationSet) -> Pictures:
    """By name where the map of satellite2map shows land: scored by itself, since nearly anything
    gets the sea right.
    """
    maps = scored.truths if scored.direction == "ab" else scored.inputs
    # gray tells no water
    if scored.data != _SATELLITE or next(iter(maps.values())).shape[-1] == 1:
        return {}
    return {name: ~water(picture) for name, picture in maps.items()}
