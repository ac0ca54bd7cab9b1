"""The class ids that translations are scored against, and the table of their classes."""

from collections.abc import Iterator

import numpy as np

from tfcyclegan.data import images
from tfcyclegan.data.domains import Split
from tfcyclegan.data.labels import IGNORED, ClassTable
from tfcyclegan.data.picture_folders import picture_name
from tfcyclegan.evaluation.spool import Spool
from tfcyclegan.measures.pictures import Made, Pictures
from tfcyclegan.system.progress import log, quantity


def common_classes(split: Split, target: Split) -> tuple[ClassTable | None, str]:
    """The class table of both domains' ids and label maps, the target's if they differ; and in that
    case, why there are no scores by class.
    """
    tables = [
        one.source.require_labels(one.name)
        if one.labelled
        else one.source.classes
        if one.holds_label_maps
        else None
        for one in (target, split)
    ]
    ours, theirs = tables
    if ours is not None and theirs is not None and (difference := ours.difference(theirs)):
        return (
            ours,
            f"labels: the classes of {split} and {target} differ: {difference}; no scores by class",
        )
    return ours or theirs, ""


def read_ids(split: Split, classes: ClassTable, spool: Spool) -> Pictures:
    """Class ids by name, stored encoded: of the labels that have a pixel that counts. The others,
    which would count as pictures in means and intervals, are left out and told.
    """

    def counted() -> Iterator[tuple[str, np.ndarray]]:
        empty = 0
        for filename, _, label in split.source.labelled_pictures(split.name):
            if (classes.to_train_ids(images.decode_ids(label)) != IGNORED).any():
                yield picture_name(filename, split.name), np.frombuffer(label, np.uint8)
            else:
                empty += 1
        if empty:
            log(
                f"{split}: {quantity(empty, 'label')} of {split.count} without a pixel that "
                "counts: not in scores by class"
            )

    return Made(lambda label: images.decode_ids(label.tobytes()), spool.keep(counted()))
