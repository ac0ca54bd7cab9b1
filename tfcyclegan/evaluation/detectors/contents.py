"""Failures that show beside the picture that was translated: what was added to it, changed in it,
or lost.
"""

from collections.abc import Sequence

import numpy as np

from tfcyclegan.config import TrainConfig
from tfcyclegan.evaluation import advice, cycles, judge, limits
from tfcyclegan.evaluation.advice import advise
from tfcyclegan.evaluation.detectors.finding import Finding, range_of_means, reals_of, worst_of
from tfcyclegan.evaluation.label_scores import SHUFFLED, LabelScores
from tfcyclegan.evaluation.limits import OK, SUSPICIOUS
from tfcyclegan.evaluation.material import OWN, Material
from tfcyclegan.evaluation.tables import Table
from tfcyclegan.measures import failures, segmentation
from tfcyclegan.measures.segmentation import Confusion

_CHANGES_TOLD = 3


def flat_areas(material: Material) -> Finding | str:
    """What is drawn onto nothing, such as dark patches in the sky."""
    if material.source_is_label_maps and not material.sure_truths:
        return (
            "detector patches in flat areas: of label maps all areas are flat, and no true "
            "pictures are known"
        )
    own = material.sets[OWN]
    values = np.array(
        [
            failures.flat_area_deviation(material.inputs[name], picture)
            for name, picture in own.items()
        ]
    )
    if material.sure_truths:
        real = np.array(
            [
                failures.flat_area_deviation(material.inputs[name], true)
                for name, true in material.sure_truths.items()
            ]
        )
    else:
        real = np.array(
            [failures.flat_area_deviation(picture, picture) for picture in reals_of(material)]
        )
    low, high = range_of_means(real, len(values))
    value = float(values.mean())
    return Finding(
        "patches in flat areas",
        value,
        low,
        high,
        limits.FLAT.verdict(value - high),
        "deviation of lightness where the input is flattest, L*",
        advise(
            material.config, advice.SEMANTIC, advice.IDENTITY, advice.ALIKE_LAYOUTS, advice.LONGER
        ),
        worst_of(own, values),
        "range: of the true pictures in the same places"
        if material.sure_truths
        else "range: of real pictures where they are flattest",
    )


def inversion(material: Material) -> Finding | str:
    """Whether what is light in the input came out dark."""
    if material.target_is_label_maps or material.source_is_label_maps:
        return ""  # the lightness of a class's colour says nothing of the photo's
    own = material.sets[OWN]
    values = np.array(
        [
            failures.lightness_correlation(material.inputs[name], picture)
            for name, picture in own.items()
        ]
    )
    value = float(values.mean())
    helps = advise(material.config, advice.IDENTITY, advice.SMALLER_GAIN, advice.SEED)
    measures = "correlation of the input's lightness with its translation's, mean over pictures"
    if material.sure_truths:
        real = np.array(
            [
                failures.lightness_correlation(material.inputs[name], true)
                for name, true in material.sure_truths.items()
            ]
        )
        low, high = range_of_means(real, len(values))
        verdict = limits.CORRELATION.verdict(low - value)
        note = "range: of the true pictures"
    else:
        low, high, note = (
            0.0,
            1.0,
            "no true pictures are known, so whether an inversion is right cannot be told",
        )
        verdict = SUSPICIOUS if limits.CORRELATION.verdict(-value) != OK else OK
    return Finding(
        "inversion", value, low, high, verdict, measures, helps, worst_of(own, -values), note
    )


def changed_objects(material: Material, judged: LabelScores | str) -> Finding | str:
    """Whether the translation shows other things than the input: a judge of the target's photos
    against the input's labels.

    Only a network that learned on the target's photos may read the translations; of the inputs the
    labels are known wherever a network could have been trained to read them.
    """
    if material.target_is_label_maps:
        return ""  # the label scores tell
    if isinstance(judged, str):
        needed = "needs a judge; --judge=auto trains one where the target has labelled photos"
        return f"detector changed objects: {judged or needed}"
    own, real, other = (judged.confusions.get(name) for name in (OWN, judge.CEILING, SHUFFLED))
    if real is None or own is None or other is None:
        return (
            "detector changed objects: needs labelled real photos to know the judge's own "
            "error by, and two labelled inputs"
        )
    values = _wrong(own)
    value, of_another = float(np.nanmean(values)), float(np.nanmean(_wrong(other)))
    own_errors = _wrong(real)
    low, high = range_of_means(own_errors[~np.isnan(own_errors)], len(values))
    told = ", ".join(
        f"{one} seen as {another} {share:.1%}"
        for share, one, another in _changes(own, real, material.table.names)
    )
    return Finding(
        "changed objects",
        value,
        low,
        high,
        limits.CHANGED.verdict((value - high) / max(of_another - high, 1e-9)),
        "share of pixels in which the judge sees another class in the translation than the input "
        "shows",
        advise(
            material.config, advice.SEMANTIC, advice.IDENTITY, advice.ALIKE_LAYOUTS, advice.LONGER
        ),
        worst_of(material.ids, values),
        "range: the judge's own error on real photos; with the labels of another picture "
        f"{of_another:.3f}" + (f"; {told}" if told else ""),
    )


def _wrong(confusion: Confusion) -> np.ndarray:
    """Share of each picture's labelled pixels that are wrong, [N]; NaN if it has none."""
    return np.array([1 - segmentation.pixel_accuracy(matrix) for matrix in confusion.pictures])


def _changes(own: Confusion, real: Confusion, names: Sequence[str]) -> list[tuple[float, str, str]]:
    """(share of all pixels, class, seen as) of what happens most in translations beyond what
    happens on real photos.
    """
    excess = own.counts / max(own.counts.sum(), 1) - real.counts / max(real.counts.sum(), 1)
    excess = excess[:, : len(names)]
    np.fill_diagonal(excess, 0)
    most = np.argsort(-excess, axis=None)[:_CHANGES_TOLD]
    places = [np.unravel_index(index, excess.shape) for index in most]
    return [(float(excess[i, j]), names[i], names[j]) for i, j in places if excess[i, j] > 0]


def lost_content(honesty: Table | str, config: TrainConfig | None = None) -> Finding | str:
    """Whether the translation still tells what it is a translation of."""
    if isinstance(honesty, str) or cycles.UNRELATED not in honesty.rows:
        return ""
    saved = honesty.rows["8-bit rounding"][cycles.ERROR].value
    value = saved / max(honesty.rows[cycles.UNRELATED][cycles.ERROR].value, 1e-9)
    return Finding(
        "content lost",
        value,
        np.nan,
        np.nan,
        limits.CYCLE.verdict(value),
        "cycle error of the saved fakes over that of another picture's fake; 1: the fake tells "
        "nothing of its input",
        advise(config, advice.BOTH_CYCLES, advice.CYCLE_NOISE, advice.LONGER)
        + "; see the table of cycle honesty",
    )
