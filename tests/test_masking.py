"""Gaps of measurements: no loss and no gradient comes from pixels that were not measured."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcyclegan import losses
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.methods import masking
from tfcyclegan.methods.cyclegan import CycleGAN
from tfcyclegan.methods.factory import build_model
from tfcyclegan.methods.paired_term import paired_losses
from tfcyclegan.networks import make_generator
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.optimization.schedules import EpochRates

NAN = float("nan")


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def test_a_pixel_with_one_missing_channel_is_a_gap_in_all_but_networks_see_the_others():
    real = tf.constant([[[[0.5, NAN], [0.25, -0.5]]]])
    np.testing.assert_array_equal(masking.filled(real), [[[[0.5, -1], [0.25, -0.5]]]])
    made = tf.constant([[[[1.0, 1.0, 1.0], [0.5, 0.5, 0.5]]]])
    np.testing.assert_array_equal(masking.masked(made, real), [[[[-1] * 3, [0.5] * 3]]])
    other = tf.constant([[[[1.0], [NAN]]]])
    np.testing.assert_array_equal(masking.masked(made, real, other), [[[[-1] * 3, [-1] * 3]]])
    larger = tf.constant([[[[NAN], [NAN], [NAN]]]])
    np.testing.assert_array_equal(masking.masked(made, real, larger), masking.masked(made, real))


def test_places_of_a_feature_map_count_where_all_their_pixels_do():
    valid = np.ones((1, 8, 8, 1), bool)
    valid[0, 1, 2] = False
    halved = masking.at_size(valid, 4, 4)[0, ..., 0].numpy()
    assert np.argwhere(~halved).tolist() == [[0, 1]]
    # a padded map has the picture in its middle and its mirror image around: row 1 is at 4 and 2
    padded = masking.at_size(valid, 14, 14)[0, ..., 0].numpy()
    assert np.argwhere(~padded).tolist() == [[2, 1], [2, 5], [4, 1], [4, 5]]


def test_patches_with_gaps_have_no_loss_and_are_no_negatives():
    """Three queries at temperature 1: the third does not count, and e^-10 is as good as none."""
    vectors = tf.constant([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], tf.float64)
    found = losses.contrastive_losses(
        vectors, vectors, groups=1, temperature=1.0, valid=tf.constant([True, True, False])
    )
    expected = -np.log(np.e / (np.e + 1 + 2 * np.exp(-10)))
    np.testing.assert_allclose(found, [expected, expected, 0], rtol=1e-12)


class Pointwise(keras.Model):
    """A generator of one number: each value times a weight."""

    source_coding = target_coding = None

    def __init__(self, weight: float):
        super().__init__()
        self.settings = {"in_channels": 1, "out_channels": 1}
        self.scale = self.add_weight(shape=(), initializer=keras.initializers.Constant(weight))
        self.built = True

    def inner(self) -> "Pointwise":
        return self

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x * self.scale


def test_losses_and_gradients_are_those_of_the_measured_pixels_by_hand():
    """G = 0.5 x, F = 3 x; of A's pixels 0.2 and -0.4 are measured, of B's 0.6, beside gaps."""
    model = CycleGAN(
        Pointwise(0.5), Pointwise(3.0), *(Pointwise(1.0) for _ in "ab"),
        lambda_gan=0, lambda_identity=1.0, pool_size=0, gaps=True,
    )  # fmt: skip
    model.compile(*(Adam(EpochRates([1e-3], epoch_images=1, batch_size=1)) for _ in "ab"))
    real_a = tf.constant([0.2, NAN, -0.4, NAN], tf.float32)[None, None, :, None]
    real_b = tf.constant([NAN, NAN, 0.6, NAN], tf.float32)[None, None, :, None]
    fakes, found, _, gradients = model.generator_pass(real_a, real_b)
    # a cycle multiplies by 1.5: it is off by half of each value
    assert float(found["cycle_a"]) == pytest.approx(10 * (0.1 + 0.2) / 4)
    assert float(found["cycle_b"]) == pytest.approx(10 * 0.3 / 4)
    assert float(found["identity_a"]) == pytest.approx(10 * (0.4 + 0.8) / 4)  # F: 3 x - x
    assert float(found["identity_b"]) == pytest.approx(10 * 0.3 / 4)  # G: x - 0.5 x
    # |1.5 x - x| = |x| (g f - 1), so by g it is |x| f; |g x - x| = |x| (1 - g)
    assert float(gradients[0]) == pytest.approx(10 / 4 * (3 * (0.6 + 0.6) - 0.6), rel=1e-5)
    assert float(gradients[1]) == pytest.approx(10 / 4 * (0.5 * (0.6 + 0.6) + 0.6), rel=1e-5)
    # what discriminators see has the gaps of both
    np.testing.assert_allclose(fakes["b"][0, 0, :, 0], [-1, -1, -0.2, -1], rtol=1e-6)
    shown = model.judged_reals(real_a, real_b)
    np.testing.assert_allclose(shown["a"][0, 0, :, 0], [-1, -1, -0.4, -1], rtol=1e-6)
    np.testing.assert_allclose(shown["b"][0, 0, :, 0], [-1, -1, 0.6, -1], rtol=1e-6)
    (paired,) = paired_losses(2.0, {"ab": model.gen_ab}, True, real_a, real_b).values()
    assert float(paired) == pytest.approx(2 * 0.8 / 4)


SMALL = {
    "data_dir": "-", "run_dir": "-", "crop_size": Size(16, 16), "base_filters": 2,
    "discriminator_filters": 2, "discriminator_layers": 1, "generator": "resnet_3blocks",
    "pool_size": 0, "norm": "instance", "init_gain": 0.2, "channels_a": 2, "channels_b": 2,
}  # fmt: skip


@pytest.mark.parametrize("method", ["cyclegan", "fastcut", "pix2pix", "distill"])
def test_pictures_of_gaps_alone_teach_a_translator_nothing(method):
    options = SMALL | ({"teacher": "-", "students": "ab"} if method == "distill" else {})
    # without noise of its own, and with both terms of CUT
    options |= {"pix2pix": {"dropout": False}, "fastcut": {"nce_identity": True}}.get(method, {})
    config = TrainConfig(**options, method=method)
    teacher = make_generator(
        "resnet_3blocks", base_filters=4, seed=3, in_channels=2, out_channels=2
    )
    teachers = {"ab": teacher} if method == "distill" else None
    model = build_model(config, "float32", teachers=teachers, gaps=True)
    model.compile(*(Adam(EpochRates([1e-3], epoch_images=1, batch_size=1)) for _ in "ab"))
    before = [variable.numpy() for variable in model.generator_variables]
    missing = np.full((1, 16, 16, 2), NAN, np.float32)
    values = model.train_step((tf.constant(missing), tf.constant(missing)))
    for variable, value in zip(model.generator_variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    told = {name: float(value) for name, value in values.items()}
    assert told.pop("skipped") == 0
    adversarial = ("gan_", "disc_", "accuracy_")
    of_pixels = {name for name in told if not name.startswith(adversarial)}
    assert of_pixels and {told[name] for name in of_pixels} == {0.0}
    # with something measured it learns
    half = noise(0, 1, 16, 16, 2)
    half[:, :8] = NAN
    values = model.train_step((tf.constant(half), tf.constant(noise(1, 1, 16, 16, 2))))
    assert float(values["skipped"]) == 0
    assert any(
        (variable.numpy() != value).any()
        for variable, value in zip(model.generator_variables, before, strict=True)
    )


def test_what_lies_under_a_gap_changes_nothing_of_a_step():
    """Whether a pixel is NaN or infinite, and what the other channel of a gap holds for the
    discriminators, is not seen in their losses.
    """
    model = build_model(TrainConfig(**SMALL), "float32", gaps=True)
    model.compile(*(Adam(EpochRates([1e-3], epoch_images=1, batch_size=1)) for _ in "ab"))
    one = noise(0, 1, 16, 16, 2)
    one[:, 4:9, 3:7, 0] = NAN
    other = one.copy()
    other[:, 4:9, 3:7, 0] = np.inf
    real_b = tf.constant(noise(1, 1, 16, 16, 2))
    shown = [model.judged_reals(tf.constant(each), real_b) for each in (one, other)]
    for domain in "ab":
        np.testing.assert_array_equal(shown[0][domain], shown[1][domain])
    assert (shown[0]["b"].numpy()[:, 4:9, 3:7] == -1).all()
