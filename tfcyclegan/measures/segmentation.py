"""Scores of label maps: confusion matrix, accuracies, IoU, and the permutation that a translation
may have learned.

Labels are train ids, uint8 [H, W]; the truth's IGNORED pixels are left out. A confusion matrix is
int64 [C, C + 1]: rows are the truth; the last column, the misses, holds what was predicted as none
of the classes. Misses count in their row, so that a frame is never dropped as the official
pix2pix's `fast_hist` does when one prediction is out of range.

A class that does not occur is treated in one of two ways, and a printed score names which
(`ABSENT`): "cityscapes" leaves out (NaN) what is in neither truth nor prediction, as
cityscapesScripts does; "pix2pix" counts it as 0, as the official `get_scores` does, which adds
1e-12 to each denominator. The published CycleGAN tables are of the second kind.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from tfcyclegan.errors import UserError

ABSENT = ("cityscapes", "pix2pix")


def confusion_matrix(prediction: np.ndarray, truth: np.ndarray, *, classes: int) -> np.ndarray:
    """Pixels by truth and prediction, int64 [C, C + 1].

    Args:
        prediction: integer ids [H, W]; those outside 0..C-1 are misses.
        truth: integer ids [H, W]; those outside 0..C-1, IGNORED among them, are left out.
        classes: number of train ids, C.

    Raises:
        UserError: the two differ in size.
    """
    if prediction.shape != truth.shape:
        raise UserError(
            f"prediction {prediction.shape} and truth {truth.shape} differ in size; bring the "
            "prediction to the truth's size"
        )
    scored = (truth >= 0) & (truth < classes)
    column = prediction[scored].astype(np.int64)
    column[(column < 0) | (column >= classes)] = classes
    cells = truth[scored].astype(np.int64) * (classes + 1) + column
    return np.bincount(cells, minlength=classes * (classes + 1)).reshape(classes, classes + 1)


def _check(absent: str) -> None:
    if absent not in ABSENT:
        raise UserError(f"absent classes {absent!r}: unknown choice; valid are {', '.join(ABSENT)}")


def _parts(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right pixels, pixels of the truth, pixels of the prediction, [C] each."""
    square = counts[:, : len(counts)]
    return np.diagonal(square), counts.sum(axis=1), square.sum(axis=0)


def _share(part: np.ndarray, whole: np.ndarray, absent: str) -> np.ndarray:
    _check(absent)
    if absent == "pix2pix":
        return part / (whole + 1e-12)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _mean(values: np.ndarray) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")


def class_accuracies(counts: np.ndarray, *, absent: str = "cityscapes") -> np.ndarray:
    """Share of each class's true pixels that are right, [C] in [0, 1]; "cityscapes" gives NaN where
    the truth has none.
    """
    right, true, _ = _parts(counts)
    return _share(right, true, absent)


def class_ious(counts: np.ndarray, *, absent: str = "cityscapes") -> np.ndarray:
    """Intersection over union of each class, [C] in [0, 1]; "cityscapes" gives NaN where neither
    side has it.
    """
    right, true, predicted = _parts(counts)
    return _share(right, true + predicted - right, absent)


def pixel_accuracy(counts: np.ndarray) -> float:
    """Share of the scored pixels that are right; NaN if there are none."""
    total = counts.sum()
    return float(_parts(counts)[0].sum() / total) if total else float("nan")


def class_accuracy(counts: np.ndarray, *, absent: str = "cityscapes") -> float:
    """Mean of `class_accuracies`."""
    return _mean(class_accuracies(counts, absent=absent))


def class_iou(counts: np.ndarray, *, absent: str = "cityscapes") -> float:
    """Mean of `class_ious`, the "mIoU"."""
    return _mean(class_ious(counts, absent=absent))


class Confusion:
    """A confusion matrix that grows picture by picture and keeps each picture's own, for intervals
    over pictures.

    Args:
        classes: number of train ids.
        absent: "cityscapes" or "pix2pix", see above.
    """

    def __init__(self, *, classes: int, absent: str = "cityscapes"):
        _check(absent)
        self.classes = classes
        self.absent = absent
        self._pictures: list[np.ndarray] = []

    def add(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        """Counts one picture; see `confusion_matrix`."""
        self._pictures.append(confusion_matrix(prediction, truth, classes=self.classes))

    @property
    def pictures(self) -> np.ndarray:
        """The matrix of each picture, int64 [N, C, C + 1]."""
        return np.array(self._pictures, np.int64).reshape(-1, self.classes, self.classes + 1)

    @property
    def counts(self) -> np.ndarray:
        """The matrix of all pictures, int64 [C, C + 1]."""
        return self.pictures.sum(axis=0)

    @property
    def pixel_accuracy(self) -> float:
        return pixel_accuracy(self.counts)

    @property
    def class_accuracy(self) -> float:
        return class_accuracy(self.counts, absent=self.absent)

    @property
    def class_iou(self) -> float:
        return class_iou(self.counts, absent=self.absent)

    @property
    def class_accuracies(self) -> np.ndarray:
        return class_accuracies(self.counts, absent=self.absent)

    @property
    def class_ious(self) -> np.ndarray:
        return class_ious(self.counts, absent=self.absent)


@dataclass(frozen=True)
class Matching:
    """The best one-to-one relabelling of the predictions.

    Attributes:
        drawn_as: [C]; the truth's class i was predicted as class drawn_as[i].
        counts: the confusion matrix after relabelling, [C, C + 1].
        raw_iou: mean IoU before.
        matched_iou: mean IoU after; never less.
    """

    drawn_as: np.ndarray
    counts: np.ndarray
    raw_iou: float
    matched_iou: float

    @property
    def permutation(self) -> float:
        """How much of the mean IoU was lost to classes that were swapped consistently."""
        return self.matched_iou - self.raw_iou


def hungarian(counts: np.ndarray, *, absent: str = "cityscapes") -> Matching:
    """The relabelling with the highest mean IoU (Kuhn 1955), misses staying misses.

    With "cityscapes" the mean is a ratio, since the number of classes left out depends on the
    relabelling; Dinkelbach's method (1967) turns that into a few assignments, starting from the raw
    score so that the result is never below it.
    """
    square = counts[:, : len(counts)]
    union = counts.sum(axis=1)[:, np.newaxis] + square.sum(axis=0) - square
    present = (union > 0).astype(float)
    iou = square / np.maximum(union, 1)
    raw = best = class_iou(counts, absent=absent)
    drawn_as, matched = np.arange(len(counts)), counts
    while not np.isnan(best):
        order = linear_sum_assignment(iou - best * present, maximize=True)[1]
        relabelled = np.concatenate([square[:, order], counts[:, len(counts) :]], axis=1)
        score = class_iou(relabelled, absent=absent)
        if score <= best + 1e-12:
            break
        drawn_as, matched, best = order, relabelled, score
    return Matching(drawn_as, matched, raw, best)


def other_frames(count: int, *, seed: int) -> np.ndarray:
    """For each of `count` frames the index of another one, each used once, [N]: a random cycle
    (Sattolo 1986).

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
