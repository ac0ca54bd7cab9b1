"""Confusion matrices of label maps, the accuracies and IoU computed from them with intervals over
pictures, and the permutation of classes that a translation may have learned.

Labels are train ids, uint8 [H, W]; pixels that are IGNORED in the truth are not counted. A
confusion matrix is [C, C + 1], with any leading axes: rows are true classes, and the last column,
the misses, counts predictions outside all classes. Misses count in their row, whereas the official
pix2pix's `fast_hist` drops a whole frame if a single prediction is out of range.

There are two conventions for absent classes, and every printed score names the one it uses
(`ABSENT`). "cityscapes" ignores a class (NaN) that occurs in neither truth nor prediction, as
cityscapesScripts does. "pix2pix" counts it as 0, as the official `get_scores` does by adding 1e-12
to each denominator. The published CycleGAN tables use the second.
"""

import warnings
from collections.abc import Callable

import numpy as np
from scipy.optimize import linear_sum_assignment

from tfcyclegan.errors import UserError
from tfcyclegan.measures.tables import Interval, mean_of_known

ABSENT = ("cityscapes", "pix2pix")
_RESAMPLES = 1000
_TAIL = (1 - 0.95) / 2
_PARTS = 10
"""Resamples are drawn in parts to limit memory: each one holds a number per picture."""


def confusion_matrix(prediction: np.ndarray, truth: np.ndarray, *, classes: int) -> np.ndarray:
    """Pixel counts by true and predicted class, int64 [C, C + 1].

    Args:
        prediction: train ids, uint8 [H, W]; those outside 0..C-1 are misses.
        truth: train ids, uint8 [H, W]; those outside 0..C-1, such as IGNORED, are not counted.
        classes: number of train ids, C.

    Raises:
        UserError: prediction and truth differ in size.
    """
    if prediction.shape != truth.shape:
        raise UserError(
            f"prediction {prediction.shape} and truth {truth.shape} differ in size; resize the "
            "prediction to the truth's size"
        )

    pairs = truth.astype(np.uint16) << 8 | prediction
    counts = np.bincount(pairs.ravel(), minlength=1 << 16).reshape(256, 256)[:classes]
    misses = counts[:, classes:].sum(axis=1, keepdims=True)
    return np.concatenate([counts[:, :classes], misses], axis=1)


# A sparse confusion matrix, uint32 [entries, 2]: flat indices of its few nonzero entries, and their
# values. One array, since many small ones weigh more than what they hold.
Cells = np.ndarray


def cells_of(matrix: np.ndarray) -> Cells:
    """The sparse form of one picture's matrix."""
    places = np.flatnonzero(matrix)
    return np.stack([places, matrix.ravel()[places]], axis=1).astype(np.uint32)


def _check(absent: str) -> None:
    if absent not in ABSENT:
        raise UserError(f"absent classes {absent!r}: unknown choice; valid are {', '.join(ABSENT)}")


def _parts(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correct pixels, true pixels and predicted pixels of each class, [..., C] each."""
    square = counts[..., :-1]
    return np.diagonal(square, axis1=-2, axis2=-1), counts.sum(axis=-1), square.sum(axis=-2)


def _share(part: np.ndarray, whole: np.ndarray, absent: str = "cityscapes") -> np.ndarray:
    _check(absent)
    if absent == "pix2pix":
        return part / (whole + 1e-12)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def class_accuracies(counts: np.ndarray, *, absent: str = "cityscapes") -> np.ndarray:
    """Share of each class's true pixels that are predicted correctly, [..., C] in [0, 1]; with
    "cityscapes", NaN if there are none.
    """
    right, true, _ = _parts(counts)
    return _share(right, true, absent)


def class_ious(counts: np.ndarray, *, absent: str = "cityscapes") -> np.ndarray:
    """Intersection over union of each class, [..., C] in [0, 1]; with "cityscapes", NaN for a class
    that occurs in neither truth nor prediction.
    """
    right, true, predicted = _parts(counts)
    return _share(right, true + predicted - right, absent)


def pixel_accuracy(counts: np.ndarray) -> np.ndarray:
    """Share of the counted pixels that are predicted correctly, [...]; NaN if there are none."""
    return _share(_parts(counts)[0].sum(axis=-1), counts.sum(axis=(-2, -1)))


def class_accuracy(counts: np.ndarray, *, absent: str = "cityscapes") -> np.ndarray:
    """Mean of `class_accuracies`, [...]."""
    return mean_of_known(class_accuracies(counts, absent=absent))


def class_iou(counts: np.ndarray, *, absent: str = "cityscapes") -> np.ndarray:
    """Mean of `class_ious` ("mIoU"), [...]."""
    return mean_of_known(class_ious(counts, absent=absent))


class Confusion:
    """A confusion matrix accumulated picture by picture; each picture's own matrix is kept for
    intervals over pictures.

    Args:
        classes: number of train ids.
        absent: "cityscapes" or "pix2pix", see above.
    """

    def __init__(self, *, classes: int, absent: str = "cityscapes"):
        _check(absent)
        self.classes = classes
        self.absent = absent
        self._pictures: list[Cells] = []

    def add(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        """Adds one picture; see `confusion_matrix`."""
        self.add_cells(cells_of(confusion_matrix(prediction, truth, classes=self.classes)))

    def add_cells(self, cells: Cells) -> None:
        """Adds one picture's sparse matrix."""
        self._pictures.append(cells)

    @property
    def pictures(self) -> np.ndarray:
        """The matrix of each picture, int64 [N, C, C + 1]."""
        matrices = np.zeros((len(self._pictures), self.classes, self.classes + 1), np.int64)
        for matrix, cells in zip(matrices, self._pictures, strict=True):
            matrix.flat[cells[:, 0]] = cells[:, 1]
        return matrices

    @property
    def counts(self) -> np.ndarray:
        """The matrix of all pictures, int64 [C, C + 1]."""
        return self.pictures.sum(axis=0)

    @property
    def pixel_accuracy(self) -> float:
        return float(pixel_accuracy(self.counts))

    @property
    def class_iou(self) -> float:
        return float(class_iou(self.counts, absent=self.absent))

    @property
    def class_ious(self) -> np.ndarray:
        return class_ious(self.counts, absent=self.absent)


def relabelled(counts: np.ndarray, drawn_as: np.ndarray) -> np.ndarray:
    """The matrices [..., C, C + 1] after predictions of class drawn_as[i] are renamed to i."""
    return counts[..., [*drawn_as, len(drawn_as)]]


def hungarian(counts: np.ndarray, *, absent: str = "cityscapes") -> np.ndarray:
    """The one-to-one relabelling of predicted classes that maximises the mean IoU (Kuhn 1955), [C]:
    pixels of true class i were predicted as class drawn_as[i]. Misses stay misses.

    With "cityscapes" the mean is a ratio, because the number of ignored classes depends on the
    relabelling. Dinkelbach's method (1967) reduces it to a few linear assignments, starting from
    the score without relabelling, so the result is never below that.
    """
    square = counts[:, :-1]
    union = counts.sum(axis=1)[:, np.newaxis] + square.sum(axis=0) - square
    present = (union > 0).astype(float)
    iou = square / np.maximum(union, 1)
    drawn_as, best = np.arange(len(counts)), class_iou(counts, absent=absent)
    while not np.isnan(best):
        order = linear_sum_assignment(iou - best * present, maximize=True)[1]
        score = class_iou(relabelled(counts, order), absent=absent)
        if score <= best + 1e-12:
            break
        drawn_as, best = order, score
    return drawn_as


def intervals_of_confusion(
    matrices: np.ndarray, scores: Callable[[np.ndarray], np.ndarray], *, seed: int = 0
) -> list[Interval]:
    """Several scores of the summed confusion matrix, with 95% bootstrap intervals over pictures.

    A score such as the mean IoU is not a mean over pictures. Each resample therefore sums the
    matrices of the drawn pictures, weighted by how often they were drawn; for all resamples this is
    one matrix product.

    Args:
        matrices: one per picture, [N, C, C + 1], see `Confusion.pictures`.
        scores: maps [..., C, C + 1] to scores [..., K], such as `class_ious`; NaN values, for
            example of a class that a resample lacks, are ignored.
        seed: seed of the resampling.
    """
    count = len(matrices)
    values = scores(matrices.sum(axis=0))
    low = high = np.full(len(values), np.nan)
    if count > 1:
        generator, flat = np.random.default_rng((seed, 22)), matrices.reshape(count, -1)
        drawn = (
            generator.multinomial(count, np.full(count, 1 / count), size=len(part))
            for part in np.array_split(np.arange(_RESAMPLES), _PARTS)
        )
        sums = np.concatenate([part.astype(np.float64) @ flat for part in drawn])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # classes absent from all pictures
            low, high = np.nanquantile(
                scores(sums.reshape(-1, *matrices.shape[1:])), (_TAIL, 1 - _TAIL), axis=0
            )
    return [
        Interval(float(value), float(a), float(b), count)
        for value, a, b in zip(values, low, high, strict=True)
    ]
