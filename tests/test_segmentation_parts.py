"""What a segmenter's training is made of: network, loss, rates, and what is drawn and how it is
changed.
"""

import numpy as np
import pytest
import tensorflow as tf

from tests.test_segmentation import arrays, options
from tfcyclegan.config import Size
from tfcyclegan.data.augmentation import jittered
from tfcyclegan.data.labels import CITYSCAPES
from tfcyclegan.segmentation.batches import Augmentation, LabelledBatches, class_chances
from tfcyclegan.segmentation.labelled_pictures import LabelledPictures
from tfcyclegan.segmentation.learner import class_weights, cross_entropy
from tfcyclegan.segmentation.network import logits_of, make_network


@pytest.mark.parametrize("size", [(32, 64), (17, 45), (5, 7)])
def test_logits_have_the_pictures_size(size):
    network = make_network(width=4, classes=19, seed=3)
    assert network.built and all(np.isfinite(weight).all() for weight in network.get_weights())
    pictures = np.random.default_rng(0).uniform(-1, 1, (2, *size, 3)).astype(np.float32)
    assert logits_of(network, tf.constant(pictures)).shape == (2, *size, 19)


def test_the_seed_says_all_of_the_weights():
    network, same, other = (
        make_network(width=4, classes=19, seed=seed, dtype=kind)
        for seed, kind in ((3, "float32"), (3, "mixed_bfloat16"), (4, "float32"))
    )
    equal = [
        np.array_equal(a, b) for a, b in zip(network.get_weights(), same.get_weights(), strict=True)
    ]
    assert all(equal) and not np.array_equal(network.get_weights()[0], other.get_weights()[0])
    assert same(np.zeros((1, 32, 32, 3), np.float32)).dtype == tf.float32
    plain, again, varied = (
        LabelledBatches([arrays()], options(seed=seed)).batch(5)[0] for seed in (0, 0, 1)
    )
    assert np.array_equal(plain, again) and not np.array_equal(plain, varied)


def test_cross_entropy_by_hand():
    """Two pixels count: one at chance 1/2 of weight 1, one at chance 3/4 of weight 3; the third is
    ignored.
    """
    logits = np.log(np.array([[[[1, 1], [1, 3], [5, 1]]]], np.float32))
    train_ids = np.array([[[0, 1, 255]]], np.uint8)
    total, weight = cross_entropy(
        tf.constant(logits), tf.constant(train_ids), tf.constant([1.0, 3.0])
    )
    assert float(total) == pytest.approx(-np.log(1 / 2) - 3 * np.log(3 / 4), rel=1e-6)
    assert float(weight) == 4
    nothing = cross_entropy(
        tf.constant(logits), tf.fill([1, 1, 3], tf.constant(255, tf.uint8)), tf.constant([1.0, 3.0])
    )
    assert [float(value) for value in nothing] == [0, 0]


def test_class_weights_of_enet():
    np.testing.assert_allclose(
        class_weights("enet", np.array([3, 1, 0])),
        [1 / np.log(1.77), 1 / np.log(1.27), 1 / np.log(1.02)],
        rtol=1e-6,
    )
    assert class_weights("none", np.array([3, 1])).tolist() == [1, 1]


def test_rare_classes_by_hand():
    """Shares .75, .25 and 0 at T = .5: exp(.25 / .5), exp(.75 / .5); a class that nowhere occurs is
    never drawn for.
    """
    counts = np.zeros((2, 19), np.int64)
    counts[0, 0], counts[1, :2] = 70, (5, 25)
    expected = np.exp([0.5, 1.5]) / np.exp([0.5, 1.5]).sum()
    np.testing.assert_allclose(class_chances(counts, 0.5)[:3], [*expected, 0])
    parts = [
        LabelledPictures(
            np.zeros((2, 10, 10, 3), np.uint8), np.zeros((2, 10, 10), np.uint8), "x", CITYSCAPES
        )
    ]
    object.__setattr__(parts[0], "class_counts", counts)
    batches = LabelledBatches(parts, options(rare_class_temperature=0.5))
    drawn = [batches.drawn(np.random.default_rng(seed))[1:] for seed in range(2000)]
    share = np.mean([train_id == 1 for _, train_id in drawn])
    assert abs(share - expected[1]) < 0.03
    assert all(index == 1 for index, train_id in drawn if train_id == 1), (
        "only pictures that hold the class"
    )
    assert abs(np.mean([index == 0 for index, train_id in drawn if train_id == 0]) - 0.5) < 0.06


def test_parts_are_drawn_by_their_shares_and_transforms_leave_the_crops_alone():
    class Darkened:
        def __call__(self, picture, generator):
            generator.random(7)
            return picture // 2

    part = arrays()
    plain = LabelledBatches([part], options(rare_class_temperature=0.0, color_jitter=0.0))
    dark = LabelledBatches(
        [part.transformed(Darkened(), "dark")],
        options(rare_class_temperature=0.0, color_jitter=0.0),
    )
    for number in range(4):
        np.testing.assert_array_equal(plain.sample(number)[1], dark.sample(number)[1])
    assert plain.batch(0)[0].mean() > 1.8 * dark.batch(0)[0].mean()
    two = [part, LabelledPictures(part.pictures, part.labels, "more", CITYSCAPES, share=3.0)]
    batches = LabelledBatches(two, options(rare_class_temperature=0.0))
    chosen = [batches.drawn(np.random.default_rng(seed))[0] for seed in range(1000)]
    assert abs(np.mean(chosen) - 0.75) < 0.05


def test_augmentation_moves_picture_and_label_alike():
    """A picture that says its own label, through crops, flips and enlargements."""
    ids = (
        np.random.default_rng(0).integers(0, 19, (6, 12), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    )
    picture = np.repeat(ids[..., np.newaxis] * 10, 3, -1)
    whole = Augmentation(Size(48, 96), scale_low=0.5, scale_high=1.0)
    shown, seen = whole(picture, ids, np.random.default_rng(1))
    assert seen.shape == (48, 96) and np.array_equal(shown[..., 0], seen * 10), (
        "nothing is left of the picture to shrink to"
    )
    crops = Augmentation(Size(16, 16), scale_low=0.5, scale_high=2.0)
    for seed in range(20):
        shown, seen = crops(picture, ids, np.random.default_rng(seed))
        assert shown.shape == (16, 16, 3) and seen.shape == (16, 16)
        inside = np.abs(shown[..., 0].astype(int) - seen * 10.0) < 1
        assert inside.mean() > 0.5, "all but the blended edges"
    lonely = np.zeros((48, 96), np.uint8)
    lonely[40:, 90:] = 5
    caught = [5 in crops(picture, lonely, np.random.default_rng(seed), 5)[1] for seed in range(60)]
    missed = [5 in crops(picture, lonely, np.random.default_rng(seed))[1] for seed in range(60)]
    assert np.mean(caught) > 1.5 * np.mean(missed) > 0


def test_colour_jitter_by_hand():
    picture = np.array([[[100, 100, 100], [200, 200, 200]]], np.uint8)
    assert jittered(picture, 1.1, 1, 1)[0, :, 0].tolist() == [110, 220]
    assert jittered(picture, 1, 0.5, 1)[0, :, 0].tolist() == [125, 175]
    red = np.array([[[200, 0, 0]]], np.uint8)
    gray = round(0.299 * 200)
    assert jittered(red, 1, 1, 0)[0, 0].tolist() == [gray] * 3
    assert jittered(red, 1, 1, 0.5)[0, 0].tolist() == [round(0.5 * 200 + 0.5 * 0.299 * 200), 30, 30]
