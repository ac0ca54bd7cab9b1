"""Translations into label maps: the nearest palette colour gives the class, and the scores of the
paper's Table 3 follow, by two protocols.

The CycleGAN paper does not say whether classes were assigned before or after enlarging, so both are
reported. The truth is never resized, except for the ceiling: the score of a perfect translation at
the network's size, resized back in the same way.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from tfcyclegan.config import Size
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.errors import UserError
from tfcyclegan.measures import confusion
from tfcyclegan.measures.confusion import (
    Cells,
    Confusion,
    cells_of,
    confusion_matrix,
    intervals_of_confusion,
)
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet
from tfcyclegan.measures.statistics import Row, View
from tfcyclegan.measures.tables import Column, Interval, Table, decided_if

CEILING = "ceiling (truth through the protocol)"
SHUFFLED = f"{OWN}, labels of other pictures"
RAW, MATCHED, LEFT_OUT = "class IoU", "class IoU, classes matched", "class IoU, absent left out"
PREFIX = "Labels"
COLUMNS = (
    Column("pixel accuracy", "higher", decides=True),
    Column("class accuracy", "higher", decides=True),
    Column(RAW, "higher", decides=True),
    Column(MATCHED, "higher"),
    Column(LEFT_OUT, "higher"),
)
CONVENTIONS = (
    "Classes absent from both sides count as 0, as in the paper's table (official pix2pix); the "
    "last column ignores them (cityscapesScripts). 'Classes matched': after the best one-to-one "
    "relabelling (Hungarian algorithm); its gain is due to permuted classes."
)
# Published pixel accuracy, class accuracy and class IoU on Cityscapes at 128x128; absent classes
# count as 0.
Published = Mapping[str, tuple[float, float, float]]
# Photos to labels: Zhu et al. 2017, Table 3.
PUBLISHED: Published = {
    "CoGAN": (0.45, 0.11, 0.08),
    "BiGAN/ALI": (0.41, 0.13, 0.07),
    "SimGAN": (0.47, 0.11, 0.07),
    "feature loss + GAN": (0.50, 0.10, 0.06),
    "CycleGAN, paper": (0.58, 0.22, 0.16),
    "CycleGAN, an independent reproduction (batch 20)": (0.51, 0.16, 0.10),
    "pix2pix (paired, upper bound)": (0.85, 0.40, 0.32),
}


def resized(array: np.ndarray, size: Size, filter_: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(array).resize((size.width, size.height), filter_))


def classify_then_resize(picture: np.ndarray, size: Size, classes: ClassTable) -> np.ndarray:
    """uint8 [h, w, 1 or 3] to train ids [H, W]: nearest colour, then nearest-neighbour resizing
    (the order of the two does not matter).
    """
    return resized(classes.nearest_class(picture), size, Image.Resampling.NEAREST)


def resize_then_classify(picture: np.ndarray, size: Size, classes: ClassTable) -> np.ndarray:
    """uint8 [h, w, 1 or 3] to train ids [H, W]: bicubic resizing of colours, then nearest colour;
    blended colours at edges may become other classes.
    """
    colors = np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))
    return classes.nearest_class(resized(colors, size, Image.Resampling.BICUBIC))


PROTOCOLS: dict[str, Callable[[np.ndarray, Size, ClassTable], np.ndarray]] = {
    "classify, then resize": classify_then_resize,
    "resize, then classify": resize_then_classify,
}


def ceiling(ids: np.ndarray, size: Size, classes: ClassTable) -> dict[str, np.ndarray]:
    """The train ids [H, W] of the truth `ids` [H, W] after resizing to the network's `size` and
    back, by protocol.

    Scored against `classes.to_train_ids(ids)`, they give the score of a perfect translator.
    """
    perfect = classes.colorize(resized(ids, size, Image.Resampling.NEAREST))
    return {
        name: protocol(perfect, Size(*ids.shape), classes) for name, protocol in PROTOCOLS.items()
    }


def other_frames(count: int, *, seed: int) -> np.ndarray:
    """For each of `count` frames, the index of another one, [N], each used once: a random cyclic
    permutation (Sattolo 1986).

    Raises:
        UserError: fewer than two frames.
    """
    if count < 2:
        raise UserError(
            "the shuffled-label control needs at least 2 frames; give more test pictures"
        )
    generator = np.random.default_rng((seed, 11))
    order = np.arange(count)
    for last in range(count - 1, 0, -1):
        other = generator.integers(last)
        order[last], order[other] = order[other], order[last]
    return order


def tables(scored: EvaluationSet) -> Sequence[Table] | str:
    """The table of scores by protocol, then by class; a reason if there are none, "" if
    translations are not label maps.
    """
    if not scored.target_is_label_maps:
        return ""
    if not scored.ids:
        return f"label scores: {no_labels(scored)}"
    if not scored.tells_classes:
        return (
            "label scores: the translations are gray but the class colours are not; train with "
            "--channels_a=3 or --channels_b=3"
        )
    confusions = _confusions(scored)
    found = [
        label_table(
            f"{PREFIX}: {name}",
            "The class is that of the nearest palette colour, at the labels' own size. "
            f"{CONVENTIONS}",
            of_protocol,
            PUBLISHED if scored.is_cityscapes else {},
        )
        for name, of_protocol in confusions.items()
    ]
    found[1].confusion = None  # one matrix is enough for the page
    first, of_first = next(iter(confusions.items()))
    shown = (OWN, "identity", SHUFFLED, CEILING)
    found.append(by_class(f"{PREFIX} by class: {first}", of_first, shown, scored.table.names))
    return [decided_if(scored.sure_labels, table) for table in found]


def no_labels(scored: EvaluationSet) -> str:
    """Why a set without ids has no scores by class."""
    if scored.target_is_label_maps and scored.classes is None:
        return (
            "the label maps have no class table; prepare them again with "
            "data_prep.folders --classes=FILE.csv"
        )
    return (
        "the test pictures of neither domain have labels; prepare them with "
        "--content=photos_and_labels or label_maps, or as folders such as testA_labels"
    )


def _seen(view: View, name: str | None = None) -> dict[str, Cells]:
    """Confusion matrix of the picture, or of another picture of its set, at the size of the ids, by
    protocol.
    """
    scored = view.scored
    picture, size = view.look(scored.all_sets[view.of], name), Size(*view.train_ids.shape)
    return {
        key: against_ids(view, protocol(picture, size, scored.table))
        for key, protocol in PROTOCOLS.items()
    }


def _ceilings(view: View) -> dict[str, Cells]:
    size = Size(*view.picture.shape[:2])
    seen = ceiling(view.look(view.scored.ids), size, view.scored.table)
    return {key: against_ids(view, ids) for key, ids in seen.items()}


def against_ids(view: View, seen: np.ndarray) -> Cells:
    """Confusion matrix of predicted train ids [H, W] against those of the picture's scene."""
    return cells_of(confusion_matrix(seen, view.train_ids, classes=view.scored.table.count))


@dataclass(frozen=True)
class OfAnother:
    """The control SHUFFLED: what `statistic` gives for another picture of the set, which it gets as
    its second argument. None if there is no other one or its ids have a different size.
    """

    statistic: Callable[[View, str], Row]

    def __call__(self, view: View) -> Row:
        ids = view.scored.ids
        if len(ids) < 2:
            return None
        other = view.scored.once(_others)[view.name]
        fits = view.look(ids, other).shape == view.look(ids).shape
        return self.statistic(view, other) if fits else None


def _others(scored: EvaluationSet) -> dict[str, str]:
    names = list(scored.ids)
    return {
        name: names[one] for name, one in zip(names, other_frames(len(names), seed=0), strict=True)
    }


# Requests to `EvaluationSet.rows`, by row of a table.
Asked = dict[str, tuple[Any, ...]]


def _confusions(scored: EvaluationSet) -> dict[str, dict[str, Confusion]]:
    """The confusion matrices by protocol and row of its table."""
    names = tuple(scored.ids)
    asked: Asked = {name: (_seen, name, names) for name in scored.sets}
    asked |= {SHUFFLED: (OfAnother(_seen), OWN, names), CEILING: (_ceilings, OWN, names)}
    found = rows_of_all(scored, asked)
    return {
        protocol: {
            name: confusion_of((row[protocol] for row in rows), scored.table.count)
            for name, rows in found.items()
        }
        for protocol in PROTOCOLS
    }


def rows_of_all(scored: EvaluationSet, asked: Asked) -> dict[str, list[Row]]:
    """The requested rows, by row of a table, without those that are missing for some pictures."""
    found = dict(zip(asked, scored.rows(*asked.values()), strict=True))
    return {name: rows for name, rows in found.items() if all(row is not None for row in rows)}


def confusion_of(matrices: Iterable[Cells], classes: int) -> Confusion:
    """The confusion matrix of all pictures, from sparse ones."""
    confusion = Confusion(classes=classes, absent="pix2pix")
    for cells in matrices:
        confusion.add_cells(cells)
    return confusion


def label_table(
    title: str, note: str, confusions: Mapping[str, Confusion], published: Published
) -> Table:
    """A row of scores for each confusion matrix, and rows of published scores, which have no n and
    no interval.
    """
    rows = {name: row(found) for name, found in confusions.items()} | {
        f"published: {name}": {
            column.name: Interval(value) for column, value in zip(COLUMNS, values, strict=False)
        }
        for name, values in published.items()
    }
    return Table(
        title,
        note,
        COLUMNS,
        rows,
        to_beat=("constant colour", SHUFFLED),
        confusion=confusions[OWN].counts,
    )


def row(found: Confusion) -> dict[str, Interval]:
    """Scores for all `COLUMNS`."""
    # Matched once: matching every resample separately would fit its noise.
    order = confusion.hungarian(found.counts, absent="pix2pix")

    def scores(counts: np.ndarray) -> np.ndarray:
        values = (
            confusion.pixel_accuracy(counts),
            confusion.class_accuracy(counts, absent="pix2pix"),
            confusion.class_iou(counts, absent="pix2pix"),
            confusion.class_iou(confusion.relabelled(counts, order), absent="pix2pix"),
            confusion.class_iou(counts, absent="cityscapes"),
        )
        return np.stack(values, axis=-1)

    names = [column.name for column in COLUMNS]
    return dict(zip(names, intervals_of_confusion(found.pictures, scores), strict=True))


def by_class(
    title: str, confusions: Mapping[str, Confusion], shown: Sequence[str], classes: Sequence[str]
) -> Table:
    """IoU of each class, with the rows of `confusions` that are in `shown` as columns; without
    classes that no truth has.
    """
    some = {name: confusions[name] for name in shown if name in confusions}
    first = confusions[OWN].pictures
    truth = first.sum(axis=-1)  # [N, C]
    columns = {
        "share": intervals_of_confusion(
            first, lambda counts: counts.sum(axis=-1) / counts.sum(axis=(-2, -1))[..., np.newaxis]
        )
    } | {
        name: intervals_of_confusion(found.pictures, confusion.class_ious)
        for name, found in some.items()
    }
    rows = {
        class_name: {
            name: dataclasses.replace(of[index], pictures=int((truth[:, index] > 0).sum()))
            for name, of in columns.items()
        }
        for index, class_name in enumerate(classes)
        if truth[:, index].any()
    }
    return Table(
        title,
        "IoU of each class in the truth; share: the class's share of the truth's pixels; n: the "
        "number of pictures that show the class.",
        [Column("share", ""), *(Column(name, "higher") for name in some)],
        rows,
        "classes",
        [name for name in some if name != SHUFFLED],
        ("constant colour", SHUFFLED),
    )


def confusion_of_names(scored: EvaluationSet, names: Sequence[str]) -> Confusion:
    """Confusion matrix of some of the labelled translations, by the first protocol."""
    rows, first = scored.rows_by_name(_seen, tuple(scored.ids)), next(iter(PROTOCOLS))
    return confusion_of((rows[name][first] for name in names), scored.table.count)


def accuracies_of(scored: EvaluationSet, names: Sequence[str]) -> dict[str, Interval]:
    """Pixel accuracy and class IoU of some of the translations, if any of them have labels."""
    labelled = [name for name in names if name in scored.ids]
    if not scored.tells_classes or not labelled:
        return {}
    scores = row(confusion_of_names(scored, labelled))
    return {name: scores[name] for name in ("pixel accuracy", RAW)}
