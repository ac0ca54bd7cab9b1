"""The fading blur of what discriminators see, beside sums written out by NumPy, and in a step."""

import numpy as np
import pytest
import tensorflow as tf

from tests.test_known_pairs import make, pictures
from tfcyclegan.methods.base import FAKE, JUDGED, REAL
from tfcyclegan.methods.pix2pix import Pix2Pix
from tfcyclegan.networks import Discriminator, make_generator
from tfcyclegan.networks.fading_blur import blurred, fading


def by_numpy(images: np.ndarray, sigma: float) -> np.ndarray:
    """The weighted mean of all pixels of a picture, for each pixel."""
    found = np.empty_like(images)
    for y, x in np.ndindex(images.shape[1:3]):
        rows, columns = np.indices(images.shape[1:3])
        weights = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))
        found[:, y, x] = np.einsum("yx,byxc->bc", weights / weights.sum(), images)
    return found


@pytest.mark.parametrize("sigma", [0.4, 1.0, 3.0])
def test_a_blur_is_a_weighted_mean_of_the_picture(sigma):
    images = np.random.default_rng(0).uniform(-1, 1, (2, 7, 10, 3))
    found = blurred(tf.constant(images), sigma)
    assert found.shape == images.shape
    np.testing.assert_allclose(found, by_numpy(images, sigma), atol=1e-12)
    np.testing.assert_allclose(blurred(tf.ones([1, 5, 6, 1]), sigma), np.ones([1, 5, 6, 1]), 1e-6)


def test_it_fades_out_step_by_step():
    images = np.random.default_rng(1).uniform(-1, 1, (1, 8, 8, 3))
    for step, sigma in ((0, 2.0), (5, 1.0), (9, 0.2)):
        found = fading(tf.constant(images), tf.constant(step, tf.int64), sigma=2.0, steps=10)
        np.testing.assert_allclose(found, by_numpy(images, sigma), atol=1e-12)
    for step in (10, 11, 1000):
        found = fading(tf.constant(images), tf.constant(step, tf.int64), sigma=2.0, steps=10)
        np.testing.assert_array_equal(found, images)


def test_gradients_go_back_to_the_images():
    """The blur is linear: a step along any direction changes a weighted sum by the direction times
    the gradient.
    """
    random = np.random.default_rng(2)
    images, weights, direction = (random.normal(size=(1, 6, 5, 2)) for _ in range(3))
    shown = tf.constant(images)
    for step, sigma in ((3, 1.4), (20, 1e-9)):
        with tf.GradientTape() as tape:
            tape.watch(shown)
            now = tf.constant(step, tf.int64)
            total = tf.reduce_sum(fading(shown, now, sigma=2.0, steps=10) * weights)
        slope = (tape.gradient(total, shown).numpy() * direction).sum()
        moved = by_numpy(images + direction, sigma) - by_numpy(images, sigma)
        assert slope == pytest.approx((moved * weights).sum())


def test_xla_gives_the_same():
    images = tf.constant(np.random.default_rng(3).uniform(-1, 1, (1, 8, 8, 3)))
    compiled = tf.function(fading, autograph=False, jit_compile=True)
    for step in (4, 12):
        now = tf.constant(step, tf.int64)
        found, wanted = (make(images, now, sigma=1.5, steps=10) for make in (compiled, fading))
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_all_that_discriminators_see_is_blurred_then_augmented():
    plain = make(diffaugment=("translation",), seed=4)
    model = make(diffaugment=("translation",), seed=4, discriminator_blur=2.0)
    picture = pictures(1)[0]
    for step, sigma in ((0, 2.0), (500, 1.0)):
        for each in (plain, model):
            each.step.assign(step)
        for domain in "ab":
            for purpose in (REAL, FAKE, JUDGED):
                wanted = plain.as_shown(blurred(picture, sigma), domain, purpose)
                np.testing.assert_allclose(
                    model.as_shown(picture, domain, purpose), wanted, atol=1e-6
                )
    model.step.assign(1000)
    plain.step.assign(1000)
    seen, as_without = (each.as_shown(picture, "a", REAL) for each in (model, plain))
    np.testing.assert_array_equal(seen, as_without)
    assert model.get_config()["discriminator_blur"] == 2.0


def test_both_pictures_that_pix2pix_shows_are_blurred():
    size = {"base_filters": 4, "dtype": "float64"}
    judge = Discriminator(**size, layers=1, in_channels=6)
    model = Pix2Pix(make_generator("resnet_1blocks", **size), judge, discriminator_blur=1.0)
    pair = tf.concat(pictures(2), axis=-1)
    np.testing.assert_allclose(model.as_shown(pair, "b", FAKE), blurred(pair, 1.0), atol=1e-6)
