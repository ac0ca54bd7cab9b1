"""What a segmenter of real photos sees in translations: the FCN-score of the paper's Table 2 with a
judge of our own.

The judge was trained on real training photos of the target domain, never on translations. The truth
is never resized.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from PIL import Image

from tfcyclegan.evaluation import label_scores
from tfcyclegan.evaluation.label_scores import (
    COLUMNS,
    CONVENTIONS,
    SHUFFLED,
    LabelScores,
    Published,
)
from tfcyclegan.evaluation.material import OWN, Material, Pictures
from tfcyclegan.evaluation.tables import Table

PREFIX = "Labels by the judge"
CEILING = "real photos (ceiling)"


class Judge(Protocol):
    """A segmenter of real photos."""

    @property
    def name(self) -> str:
        """Network, and what it was trained on, to be printed beside every number."""
        ...

    def predict(self, pictures: Sequence[np.ndarray], /) -> list[np.ndarray]:
        """uint8 [H, W, 3] each to train ids, uint8 [h, w]; of another size than the truth they are
        enlarged by nearest pixel.
        """
        ...


def scores(material: Material, judge: Judge, published: Published) -> LabelScores | str:
    """The family's tables; a reason where it cannot be had, empty where the target is no photo.

    Args:
        material: what is scored.
        judge: of real photos of the target domain.
        published: rows of other programs on the very data; empty on any other. Theirs had another
            judge, Caffe's FCN-8s.
    """
    if material.target_is_label_maps:
        return ""
    if not material.ids:
        return f"judge: {label_scores.no_labels(material)}"
    classes = material.table
    truths = {name: classes.to_train_ids(ids) for name, ids in material.ids.items()}
    seen = {name: predictions(judge, pictures, truths) for name, pictures in material.sets.items()}
    confusions = {
        name: label_scores.confusion_of(predicted, truths, classes.count)
        for name, predicted in seen.items()
    }
    shuffled = label_scores.of_other_pictures(seen[OWN], truths)
    if shuffled:
        confusions[SHUFFLED] = label_scores.confusion_of(shuffled, truths, classes.count)
    real_truths = {name: classes.to_train_ids(ids) for name, ids in material.held_out_ids.items()}
    if real_truths:
        confusions[CEILING] = label_scores.confusion_of(
            predictions(judge, material.held_out, real_truths), real_truths, classes.count
        )
    ceiling = (
        "its score on real held-out photos is the ceiling"
        if real_truths
        else "no labelled real photos are held out for a ceiling"
    )
    table = Table(
        f"{PREFIX}: {judge.name}",
        "Classes that the judge sees in each row's pictures, against the labels of what the input "
        "shows, at the labels' own size; "
        f"{ceiling}. {CONVENTIONS}",
        COLUMNS,
    )
    table.rows |= {name: label_scores.row(confusion) for name, confusion in confusions.items()}
    label_scores.add_published(
        table, {f"{name}, judged by FCN-8s": values for name, values in published.items()}
    )
    shown = {name: confusions[name] for name in (OWN, "identity", CEILING) if name in confusions}
    return LabelScores(
        [table, label_scores.by_class(f"{PREFIX}, by class", shown, classes.names)], confusions
    )


def predictions(judge: Judge, pictures: Pictures, truths: Pictures) -> Pictures:
    """What the judge sees, by name, at the truths' size."""
    names = list(truths)
    colour = [
        np.ascontiguousarray(np.broadcast_to(pictures[name], (*pictures[name].shape[:2], 3)))
        for name in names
    ]
    return {
        name: _enlarged(seen, truths[name].shape)
        for name, seen in zip(names, judge.predict(colour), strict=True)
    }


def _enlarged(seen: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if seen.shape == shape:
        return seen
    return np.asarray(
        Image.fromarray(seen.astype(np.uint8)).resize(
            (shape[1], shape[0]), Image.Resampling.NEAREST
        )
    )
