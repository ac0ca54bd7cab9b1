"""Translations that are label maps: nearest palette colour, then the scores of the paper's Table 3,
by both protocols.

The scores of confusion matrices here serve the judge's family too.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.evaluation.material import OWN, Material, Pictures
from tfcyclegan.evaluation.tables import Column, Table
from tfcyclegan.measures import label_protocols, segmentation
from tfcyclegan.measures.segmentation import Confusion
from tfcyclegan.measures.statistics import Interval, interval_of_confusion, intervals_of_confusion

CEILING = "ceiling (truth through the protocol)"
SHUFFLED = "CycleGAN, labels of other pictures"
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
    "Classes absent from both sides count as 0, as in the paper's table (official pix2pix), but "
    "for the last column, which leaves "
    "them out (cityscapesScripts). 'Classes matched': after the best one-to-one relabelling "
    "(Hungarian); what it gains is permutation."
)

Published = Mapping[str, tuple[float, float, float]]


@dataclass
class LabelScores:
    """What the family found.

    Attributes:
        tables: the scores by protocol, then by class.
        confusions: by row of the first table.
    """

    tables: list[Table]
    confusions: dict[str, Confusion]


def scores(material: Material, published: Published) -> LabelScores | str:
    """The family's tables; a reason where there are none, empty where translations are no label
    maps.

    Args:
        material: what is scored.
        published: rows of other programs on the very data; empty on any other.
    """
    if not material.target_is_label_maps:
        return ""
    if not material.ids:
        return f"label scores: {no_labels(material)}"
    if reason := _looks_alike(material):
        return f"label scores: {reason}"
    truths = {name: material.table.to_train_ids(ids) for name, ids in material.ids.items()}
    tables, confusions = [], {}
    for protocol in label_protocols.PROTOCOLS:
        found, confusions[protocol] = _by_protocol(material, protocol, truths)
        add_published(found, published)
        tables.append(found)
    first = next(iter(label_protocols.PROTOCOLS))
    shown = {
        name: confusions[first][name]
        for name in (OWN, "identity", SHUFFLED, CEILING)
        if name in confusions[first]
    }
    tables.append(by_class(f"{PREFIX} by class: {first}", shown, material.table.names))
    return LabelScores(tables, confusions[first])


def no_labels(material: Material) -> str:
    """Why there are no scores by class: `material` has no ids."""
    if material.target_is_label_maps and material.classes is None:
        return (
            "the label maps have no table of classes; prepare them again with "
            "data_prep.folders --classes=FILE.csv"
        )
    return (
        "neither domain's test pictures have labels; prepare them with "
        "--content=photos_and_labels or label_maps, or as folders such "
        "as testA_labels"
    )


def _looks_alike(material: Material) -> str:
    """Why gray translations cannot tell the classes apart; empty where they can."""
    palette = material.table.palette
    if next(iter(material.sets[OWN].values())).shape[-1] == 3 or (palette == palette[:, :1]).all():
        return ""
    return (
        "the translations are gray, the classes' colours are not; train with --channels_a=3 or "
        "--channels_b=3"
    )


def add_published(table: Table, published: Published) -> None:
    """Rows of others, which have no n and no interval."""
    for name, values in published.items():
        table.rows[f"published: {name}"] = {
            column.name: Interval(value, np.nan, np.nan, 0)
            for column, value in zip(table.columns, values, strict=False)
        }


def _by_protocol(
    material: Material, protocol: str, truths: Pictures
) -> tuple[Table, dict[str, Confusion]]:
    table = Table(
        f"{PREFIX}: {protocol}",
        f"Nearest palette colour gives the class, brought to the labels' own size. {CONVENTIONS}",
        COLUMNS,
    )
    classify, classes = label_protocols.PROTOCOLS[protocol], material.table
    classified = {
        name: {key: classify(pictures[key], Size(*truths[key].shape), classes) for key in truths}
        for name, pictures in material.sets.items()
    }
    own = material.sets[OWN]
    perfect = {
        name: label_protocols.ceiling(ids, Size(*own[name].shape[:2]), classes)[protocol]
        for name, ids in material.ids.items()
    }
    shuffled = of_other_pictures(classified[OWN], truths)
    confusions = {
        name: confusion_of(predictions, truths, classes.count)
        for name, predictions in classified.items()
    }
    if shuffled:
        confusions[SHUFFLED] = confusion_of(shuffled, truths, classes.count)
    confusions[CEILING] = confusion_of(perfect, truths, classes.count)
    table.rows |= {name: row(confusion) for name, confusion in confusions.items()}
    return table, confusions


def of_other_pictures(predictions: Pictures, truths: Pictures) -> Pictures:
    """Each truth's name with another picture's prediction; empty where there is no other, or sizes
    differ.
    """
    names = list(truths)
    if len(names) < 2:
        return {}
    others = segmentation.other_frames(len(names), seed=0)
    moved = {name: predictions[names[other]] for name, other in zip(names, others, strict=True)}
    return moved if all(moved[name].shape == truths[name].shape for name in names) else {}


def confusion_of(predictions: Pictures, truths: Pictures, classes: int) -> Confusion:
    """Of all pictures that have a truth, both in train ids [H, W] of so many classes."""
    confusion = Confusion(classes=classes, absent="pix2pix")
    for name, truth in truths.items():
        confusion.add(predictions[name], truth)
    return confusion


def row(confusion: Confusion) -> dict[str, Interval]:
    """The values of `COLUMNS`."""
    pictures = confusion.pictures
    order = segmentation.hungarian(confusion.counts, absent="pix2pix").drawn_as
    # once for all: matching each resample anew would fit its chance
    relabelled = pictures[:, :, [*order, len(order)]]

    def iou(absent: str) -> Callable[[np.ndarray], float]:
        return lambda counts: segmentation.class_iou(counts, absent=absent)

    return {
        "pixel accuracy": interval_of_confusion(pictures, segmentation.pixel_accuracy, seed=0),
        "class accuracy": interval_of_confusion(
            pictures, lambda counts: segmentation.class_accuracy(counts, absent="pix2pix"), seed=0
        ),
        RAW: interval_of_confusion(pictures, iou("pix2pix"), seed=0),
        MATCHED: interval_of_confusion(relabelled, iou("pix2pix"), seed=0),
        LEFT_OUT: interval_of_confusion(pictures, iou("cityscapes"), seed=0),
    }


def by_class(title: str, confusions: Mapping[str, Confusion], classes: Sequence[str]) -> Table:
    """IoU of each class, in sets of `confusions` as columns; classes that no truth has are left
    out.
    """
    table = Table(
        title,
        "IoU of each class that the truth has; share: of all scored pixels, in the truth; n: the "
        "pictures that show the class.",
        [Column("share", ""), *(Column(name, "higher") for name in confusions)],
    )
    first = next(iter(confusions.values())).pictures
    truth = first.sum(axis=-1)  # [N, C]
    columns = {"share": intervals_of_confusion(first, _shares, seed=0)} | {
        name: intervals_of_confusion(confusion.pictures, segmentation.class_ious, seed=0)
        for name, confusion in confusions.items()
    }
    for index, class_name in enumerate(classes):
        if truth[:, index].any():
            showing = int((truth[:, index] > 0).sum())
            table.rows[class_name] = {
                name: dataclasses.replace(of[index], pictures=showing)
                for name, of in columns.items()
            }
    return table


def _shares(counts: np.ndarray) -> np.ndarray:
    """Of each class in the truth's pixels, [C]."""
    return counts.sum(axis=1) / counts.sum()
