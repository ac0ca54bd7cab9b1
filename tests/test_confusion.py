"""Confusion matrices against hand-computed numbers and cityscapesScripts' own evaluation; their
intervals against those of a mean.
"""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tfcyclegan.data import labels
from tfcyclegan.errors import UserError
from tfcyclegan.measures import confusion as measures
from tfcyclegan.measures.confusion import (
    Confusion,
    class_iou,
    confusion_matrix,
    hungarian,
    intervals_of_confusion,
    relabelled,
)
from tfcyclegan.measures.tables import interval_of_mean

TRUTH = np.array([[0, 0, 1], [1, 2, 255]], np.uint8)
PREDICTION = np.array([[0, 1, 1], [1, 200, 0]], np.uint8)


def test_confusion_by_hand():
    """Class 0: one of two right; 1: both; 2: missed out of range; the ignored pixel counts nowhere;
    3 is absent.
    """
    counts = confusion_matrix(PREDICTION, TRUTH, classes=4)
    assert counts.tolist() == [[1, 1, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    assert measures.pixel_accuracy(counts) == pytest.approx(3 / 5)
    np.testing.assert_allclose(measures.class_ious(counts), [1 / 2, 2 / 3, 0, np.nan])
    np.testing.assert_allclose(measures.class_accuracies(counts), [1 / 2, 1, 0, np.nan])
    assert class_iou(counts) == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert class_iou(counts, absent="pix2pix") == pytest.approx((1 / 2 + 2 / 3) / 4)
    assert measures.class_accuracy(counts, absent="pix2pix") == pytest.approx(1.5 / 4)
    with pytest.raises(UserError, match="'none': unknown choice; valid are cityscapes, pix2pix"):
        class_iou(counts, absent="none")
    with pytest.raises(UserError, match="differ in size"):
        confusion_matrix(PREDICTION, TRUTH[:1], classes=4)


def test_confusion_accumulates():
    confusion = Confusion(classes=4)
    assert math.isnan(confusion.class_iou) and math.isnan(confusion.pixel_accuracy)
    confusion.add(PREDICTION, TRUTH)
    confusion.add(TRUTH, TRUTH)
    assert confusion.pictures.shape == (2, 4, 5)
    assert confusion.pixel_accuracy == pytest.approx(8 / 10)
    assert confusion.class_iou == pytest.approx((3 / 4 + 4 / 5 + 1 / 2) / 3)


def random_maps(seed: int, count: int = 3, side: int = 24) -> list[np.ndarray]:
    """Ids of the table without license plates, in blocks, some classes rare or absent."""
    generator = np.random.default_rng(seed)
    ids = [
        entry.id for entry in labels.CLASSES if entry.id >= 0 and entry.name not in ("train", "bus")
    ]
    weights = generator.dirichlet(np.full(len(ids), 0.3))
    return [
        np.kron(generator.choice(ids, (side // 4, side // 4), p=weights), np.ones((4, 4))).astype(
            np.uint8
        )
        for _ in range(count)
    ]


def cityscapes_scores(folder, predictions, truths) -> tuple[float, dict[int, float], float]:
    """Mean IoU, IoU by id and pixel accuracy by cityscapesScripts' own functions, from PNGs of
    ids.
    """
    official = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    options = SimpleNamespace(evalInstLevelScore=False, evalPixelAccuracy=False)
    options.evalLabels = [label.id for label in official.labels if label.id >= 0]
    matrix = np.zeros((max(options.evalLabels) + 1,) * 2, np.ulonglong)
    for index, pair in enumerate(zip(predictions, truths, strict=True)):
        paths = [str(folder / f"{index}_{kind}.png") for kind in ("prediction", "labelIds")]
        for path, ids in zip(paths, pair, strict=True):
            Image.fromarray(ids).save(path)
        official.evaluatePair(*paths, matrix, {}, {}, options)
    scores = {
        label: official.getIouScoreForLabel(label, matrix, options) for label in options.evalLabels
    }
    counted = [label for label in options.evalLabels if not official.id2label[label].ignoreInEval]
    accuracy = sum(matrix[label, label] for label in counted) / matrix[counted].sum()
    return official.getScoreAverage(scores, options), scores, float(accuracy)


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_cityscapesscripts(tmp_path, seed):
    """Predictions hold ignored ids too, which are wrong there and a miss here."""
    truths = random_maps(seed)
    predictions = [
        np.where(np.random.default_rng(9).random(t.shape) < 0.6, t, p)
        for t, p in zip(truths, random_maps(seed + 50), strict=True)
    ]
    confusion = Confusion(classes=19)
    for prediction, truth in zip(predictions, truths, strict=True):
        confusion.add(labels.to_train_ids(prediction), labels.to_train_ids(truth))
    mean, scores, accuracy = cityscapes_scores(tmp_path, predictions, truths)
    assert confusion.class_iou == pytest.approx(mean, abs=1e-12)
    assert confusion.pixel_accuracy == pytest.approx(accuracy, abs=1e-12)
    np.testing.assert_allclose(
        confusion.class_ious, [scores[entry.id] for entry in labels.TRAIN_CLASSES], atol=1e-12
    )
    assert np.isnan(confusion.class_ious).any() and confusion.counts[:, -1].any()


def test_hungarian_undoes_a_swap():
    """Classes 1 and 2 swapped throughout: nothing is lost but their names."""
    truth = np.random.default_rng(0).integers(0, 4, (16, 16))
    prediction = np.array([0, 2, 1, 3])[truth]
    counts = confusion_matrix(prediction, truth, classes=4)
    drawn_as = hungarian(counts)
    assert drawn_as.tolist() == [0, 2, 1, 3]
    matched = relabelled(counts, drawn_as)
    assert class_iou(matched) == 1 and class_iou(counts) == pytest.approx(0.5)
    assert measures.pixel_accuracy(matched) == 1


@pytest.mark.parametrize("absent", measures.ABSENT)
def test_hungarian_is_the_best_of_all_relabellings(absent):
    """Against all 120 relabellings of 5 classes, with empty rows and columns."""
    for seed in range(20):
        generator = np.random.default_rng(seed)
        counts = generator.integers(0, 20, (5, 6)) * (generator.random((5, 6)) < 0.4)
        counts[generator.integers(5)] = 0
        counts[:, generator.integers(5)] = 0
        every = [
            class_iou(counts[:, [*order, 5]], absent=absent)
            for order in itertools.permutations(range(5))
        ]
        matched = relabelled(counts, hungarian(counts, absent=absent))
        assert class_iou(matched, absent=absent) == pytest.approx(np.nanmax(every), abs=1e-12)
        assert class_iou(counts, absent=absent) == pytest.approx(every[0], nan_ok=True)


def interval(matrices, score, seed):
    """Of one score."""
    return intervals_of_confusion(
        matrices, lambda counts: score(counts)[..., np.newaxis], seed=seed
    )[0]


def test_interval_of_confusion_is_that_of_the_mean_for_pixel_accuracy():
    """Pixel accuracy over pictures of one size is a mean, so both ways must agree."""
    generator = np.random.default_rng(0)
    confusion = Confusion(classes=3)
    for _ in range(60):
        truth = generator.integers(0, 3, (12, 12))
        confusion.add(
            np.where(generator.random(truth.shape) < generator.uniform(0.3, 0.9), truth, 2), truth
        )
    shares = np.array([measures.pixel_accuracy(matrix) for matrix in confusion.pictures])
    ours = interval(confusion.pictures, measures.pixel_accuracy, seed=0)
    other = interval_of_mean(shares, seed=0)
    assert ours.value == pytest.approx(other.value)
    assert (ours.low, ours.high) == pytest.approx((other.low, other.high), abs=0.006)
    assert ours.low < ours.value < ours.high
    iou = interval(confusion.pictures, class_iou, seed=0)
    assert iou.value == confusion.class_iou and iou.low < iou.value < iou.high
    by_class = intervals_of_confusion(confusion.pictures, measures.class_ious, seed=0)
    np.testing.assert_allclose([one.value for one in by_class], confusion.class_ious)
    assert all(one.low < one.value < one.high and one.pictures == 60 for one in by_class)
    for few in (0, 1):
        alone = interval(confusion.pictures[:few], class_iou, seed=0)
        assert math.isnan(alone.low) and math.isnan(alone.high) and alone.pictures == few
    rare = confusion.pictures.copy()
    rare[1:, 1] = 0
    rare[:, :, 1] = 0  # one picture alone shows class 1, and misses it
    assert intervals_of_confusion(rare, measures.class_ious, seed=0)[1].high == 0
