"""Label scores against hand-computed numbers and cityscapesScripts' own evaluation; intervals
against closed forms.
"""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from tfcyclegan.measures.segmentation import Confusion, class_iou, confusion_matrix, hungarian

from tfcyclegan.config import Size
from tfcyclegan.data import labels
from tfcyclegan.errors import UserError
from tfcyclegan.measures import label_protocols, segmentation, statistics

TRUTH = np.array([[0, 0, 1], [1, 2, 255]], np.uint8)
PREDICTION = np.array([[0, 1, 1], [1, 200, 0]], np.uint8)


def test_confusion_by_hand():
    """Class 0: one of two right; 1: both; 2: missed out of range; the ignored pixel counts nowhere;
    3 is absent.
    """
    counts = confusion_matrix(PREDICTION, TRUTH, classes=4)
    assert counts.tolist() == [[1, 1, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    assert segmentation.pixel_accuracy(counts) == pytest.approx(3 / 5)
    np.testing.assert_allclose(segmentation.class_ious(counts), [1 / 2, 2 / 3, 0, np.nan])
    np.testing.assert_allclose(segmentation.class_accuracies(counts), [1 / 2, 1, 0, np.nan])
    assert class_iou(counts) == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert class_iou(counts, absent="pix2pix") == pytest.approx((1 / 2 + 2 / 3) / 4)
    assert segmentation.class_accuracy(counts, absent="pix2pix") == pytest.approx(1.5 / 4)
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
    matching = hungarian(confusion_matrix(prediction, truth, classes=4))
    assert matching.drawn_as.tolist() == [0, 2, 1, 3]
    assert (
        matching.matched_iou == 1
        and matching.raw_iou == pytest.approx(0.5)
        and matching.permutation == pytest.approx(0.5)
    )
    assert segmentation.pixel_accuracy(matching.counts) == 1


@pytest.mark.parametrize("absent", segmentation.ABSENT)
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
        matching = hungarian(counts, absent=absent)
        assert matching.matched_iou == pytest.approx(np.nanmax(every), abs=1e-12)
        assert matching.raw_iou == pytest.approx(every[0], nan_ok=True)


def test_protocols():
    """Two classes side by side, enlarged to double: nearest is exact, bicubic puts pole and bus
    between car and terrain.
    """
    picture = labels.PALETTE[np.array([[13, 13, 9, 9]] * 4)]
    expected = np.array([[13, 13, 13, 13, 9, 9, 9, 9]] * 8)
    size = Size(8, 8)
    assert (
        label_protocols.classify_then_resize(picture, size, labels.CITYSCAPES) == expected
    ).all()
    blended = label_protocols.resize_then_classify(picture, size, labels.CITYSCAPES)
    assert (
        set(blended[:, 0]) == {13}
        and set(blended[:, -1]) == {9}
        and set(blended.ravel()) - {9, 13} == {5, 15}
    )
    assert (
        label_protocols.resize_then_classify(picture, Size(4, 4), labels.CITYSCAPES)
        == labels.nearest_class(picture)
    ).all()


def test_ceiling():
    """At the truth's own size the ceiling is 1; at half of it blocks of 4 survive the nearest way
    and edges suffer the bicubic one.
    """
    ids = random_maps(4, 1, 64)[0]
    train_ids = labels.to_train_ids(ids)
    scores = {
        (name, side): class_iou(confusion_matrix(prediction, train_ids, classes=19))
        for side in (64, 32, 16, 8)
        for name, prediction in label_protocols.ceiling(
            ids, Size(side, side), labels.CITYSCAPES
        ).items()
    }
    for name in label_protocols.PROTOCOLS:
        assert scores[name, 64] == 1
        assert scores[name, 8] < scores[name, 16]
    assert scores["classify, then resize", 16] == 1
    assert scores["resize, then classify", 16] < scores["resize, then classify", 32] < 1


def test_shuffled_labels():
    """A permutation that leaves no frame its own."""
    for count in (2, 3, 10):
        order = segmentation.other_frames(count, seed=3)
        assert sorted(order) == list(range(count)) and (order != np.arange(count)).all()
    with pytest.raises(UserError, match="at least 2 frames"):
        segmentation.other_frames(1, seed=0)


def test_interval_of_mean_is_the_normal_one_for_many_pictures():
    values = np.random.default_rng(0).normal(3, 2, 400)
    interval = statistics.interval_of_mean(np.append(values, np.nan), seed=1)
    half = stats.norm.ppf(0.975) * values.std() / 20
    assert interval.pictures == 400 and interval.value == pytest.approx(values.mean())
    assert (interval.low, interval.high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.03
    )
    assert (
        interval
        == statistics.interval_of_mean(values, seed=1)
        != statistics.interval_of_mean(values, seed=2)
    )
    for few in ([5.0], [np.inf, 1.0]):
        interval = statistics.interval_of_mean(np.array(few), seed=0)
        assert interval.value == few[0] and math.isnan(interval.low) and math.isnan(interval.high)
    same = statistics.interval_of_mean(np.full(6, 0.5), seed=0)
    assert (same.low, same.value, same.high) == (0.5, 0.5, 0.5)


def test_interval_of_confusion_is_that_of_the_mean_for_pixel_accuracy():
    """Pixel accuracy over pictures of one size is a mean, so both ways must agree."""
    generator = np.random.default_rng(0)
    confusion = Confusion(classes=3)
    for _ in range(60):
        truth = generator.integers(0, 3, (12, 12))
        confusion.add(
            np.where(generator.random(truth.shape) < generator.uniform(0.3, 0.9), truth, 2), truth
        )
    shares = np.array([segmentation.pixel_accuracy(matrix) for matrix in confusion.pictures])
    ours = statistics.interval_of_confusion(confusion.pictures, segmentation.pixel_accuracy, seed=0)
    other = statistics.interval_of_mean(shares, seed=0)
    assert ours.value == pytest.approx(other.value)
    assert (ours.low, ours.high) == pytest.approx((other.low, other.high), abs=0.006)
    assert ours.low < ours.value < ours.high
    iou = statistics.interval_of_confusion(confusion.pictures, class_iou, seed=0)
    assert iou.value == confusion.class_iou and iou.low < iou.value < iou.high
    by_class = statistics.intervals_of_confusion(
        confusion.pictures, segmentation.class_ious, seed=0
    )
    np.testing.assert_allclose([one.value for one in by_class], confusion.class_ious)
    assert all(one.low < one.value < one.high and one.pictures == 60 for one in by_class)
    for few in (0, 1):
        alone = statistics.interval_of_confusion(confusion.pictures[:few], class_iou, seed=0)
        assert math.isnan(alone.low) and math.isnan(alone.high) and alone.pictures == few
    rare = confusion.pictures.copy()
    rare[1:, 1] = 0
    rare[:, :, 1] = 0  # one picture alone shows class 1, and misses it
    assert statistics.intervals_of_confusion(rare, segmentation.class_ious, seed=0)[1].high == 0


def test_interval_of_ratio():
    """Of two independent means, by the delta method."""
    generator = np.random.default_rng(0)
    over, under = generator.normal(6, 1, 300), generator.normal(3, 0.5, 200)
    interval = statistics.interval_of_ratio(over, under, seed=0)
    deviation = 2 * math.hypot(over.std() / 6 / math.sqrt(300), under.std() / 3 / math.sqrt(200))
    assert interval.value == pytest.approx(over.mean() / under.mean()) and interval.pictures == 300
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * deviation, rel=0.1)
    assert math.isnan(statistics.interval_of_ratio(over[:1], under, seed=0).low)


def test_interval_of_halves_by_hand():
    """The halves' quantiles about their mean of 20, moved onto the value; a distance is never below
    0.
    """
    halves = np.array([10.0, 30, 20, 15, 25])
    assert statistics.interval_of_halves(8, halves, 7, level=0.5) == statistics.Interval(
        8, 3, 13, 7
    )
    assert statistics.interval_of_halves(8, halves, 7, level=1) == statistics.Interval(8, 0, 18, 7)
