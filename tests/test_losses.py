"""Losses against numbers worked out by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfcyclegan import losses
from tfcyclegan.config import GAN_MODES
from tfcyclegan.errors import UserError

LN3 = math.log(3)  # sigmoid(ln 3) = 3/4, sigmoid(-ln 3) = 1/4; 1 + e^-ln3 = 4/3


def scores(*values: float) -> tf.Tensor:
    return tf.reshape(tf.constant(values, tf.float64), [1, 1, -1, 1])


GENERATOR_CASES = [
    ("lsgan", (0.0, 4.0), (1 + 9) / 2),
    ("lsgan_sigmoid", (LN3, -LN3), (1 / 16 + 9 / 16) / 2),
    ("vanilla", (LN3, -LN3), (math.log(4 / 3) + math.log(4)) / 2),
    ("hinge", (0.5, -2.0), 0.75),
]
DISCRIMINATOR_CASES = [
    ("lsgan", (0.0, 4.0), (1.0, 2.0), ((1 + 9) / 2 + (1 + 4) / 2) / 2),
    ("lsgan", (1.0, 1.0), (0.0, 0.0), 0.0),
    ("lsgan_sigmoid", (LN3, LN3), (0.0, LN3), (1 / 16 + (1 / 4 + 9 / 16) / 2) / 2),
    ("vanilla", (LN3,), (0.0,), (math.log(4 / 3) + math.log(2)) / 2),
    ("vanilla", (0.0,), (LN3,), (math.log(2) + math.log(4)) / 2),
    ("hinge", (0.5, 2.0), (-3.0, 1.0), ((0.5 + 0) / 2 + (0 + 2) / 2) / 2),
]


@pytest.mark.parametrize(("mode", "fake", "expected"), GENERATOR_CASES)
def test_generator_loss(mode, fake, expected):
    loss = losses.generator_loss(mode, scores(*fake))
    assert loss.shape == [] and loss.dtype == tf.float64
    assert float(loss) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(("mode", "real", "fake", "expected"), DISCRIMINATOR_CASES)
def test_discriminator_loss(mode, real, fake, expected):
    loss = losses.discriminator_loss(mode, scores(*real), scores(*fake))
    assert loss.shape == [] and loss.dtype == tf.float64
    assert float(loss) == pytest.approx(expected, rel=1e-14, abs=1e-15)


def test_every_mode_has_a_case():
    assert (
        {mode for mode, *_ in GENERATOR_CASES}
        == {mode for mode, *_ in DISCRIMINATOR_CASES}
        == set(GAN_MODES)
    )


def test_vanilla_survives_great_scores():
    """-log sigmoid(-1000) is 1000, which exp(1000) would not give."""
    assert float(losses.generator_loss("vanilla", scores(-1000.0))) == 1000
    assert float(losses.discriminator_loss("vanilla", scores(1000.0), scores(1000.0))) == 500


@pytest.mark.parametrize("mode", GAN_MODES)
def test_vanilla_and_its_kin_pull_fakes_towards_real(mode):
    """The generator's gradient raises a score that is low; the discriminator's lowers it."""
    fake = tf.Variable(scores(-0.5))
    with tf.GradientTape(persistent=True) as tape:
        generator = losses.generator_loss(mode, fake)
        # one beyond the least-squares target of fakes, so that every mode wants it lower
        discriminator = losses.discriminator_loss(mode, scores(0.0), fake + 1)
    assert (
        float(tf.squeeze(tape.gradient(generator, fake)))
        < 0
        < float(tf.squeeze(tape.gradient(discriminator, fake)))
    )


@pytest.mark.parametrize(
    ("mode", "real", "fake", "expected"),
    [
        ("lsgan", (0.6, 0.4, 0.51, 0.5), (0.4, 0.5, 0.51, 0.0), (2 / 4 + 3 / 4) / 2),
        ("vanilla", (0.1, -0.1, 0.0, 3.0), (0.4, -0.5, 0.0, -9.0), (2 / 4 + 3 / 4) / 2),
        ("hinge", (0.1, 0.2), (-0.1, -0.2), 1.0),
        ("lsgan_sigmoid", (-0.1, -0.2), (0.1, 0.2), 0.0),
    ],
)
def test_discriminator_accuracy(mode, real, fake, expected):
    assert float(losses.discriminator_accuracy(mode, scores(*real), scores(*fake))) == expected


def test_accuracy_weighs_real_and_fake_alike():
    assert float(losses.discriminator_accuracy("lsgan", scores(1.0), scores(1.0, 1.0, 1.0))) == 0.5


def test_absolute_error():
    image = tf.constant([[[[0.5, -1.0]], [[0.25, 0.0]]]], tf.float64)
    target = tf.constant([[[[1.0, 1.0]], [[0.0, 0.0]]]], tf.float64)
    assert float(losses.absolute_error(image, target)) == (0.5 + 2 + 0.25 + 0) / 4


def test_the_semantic_loss_by_hand():
    """Two pixels whose picture is of class 1, which the translation gives 1/2 and 1/2, then 1/4 and
    3/4.
    """
    reference = tf.constant([[[[1.0, 5.0], [2.0, 3.0]]]])
    assert float(losses.semantic_loss(tf.zeros([1, 1, 2, 2]), reference)) == pytest.approx(
        math.log(2)
    )
    logits = tf.constant([[[[LN3, 0.0], [0.0, LN3]]]], tf.float64)
    assert float(losses.semantic_loss(logits, reference)) == pytest.approx(
        (math.log(4) + math.log(4 / 3)) / 2, rel=1e-14
    )


@pytest.mark.parametrize("kind", [tf.bfloat16, tf.float16])
def test_half_precision_is_averaged_in_float32(kind):
    """2^14 scores of 0.9: a half-precision sum would be far off. float32 of the rounded score gives
    the exact mean.
    """
    half = tf.fill([1, 128, 128, 1], tf.cast(0.9, kind))
    value = float(half[0, 0, 0, 0])
    wide = tf.fill([1, 128, 128, 1], tf.constant(value, tf.float64))
    for mode in GAN_MODES:
        for found, expected in [
            (losses.generator_loss(mode, half), losses.generator_loss(mode, wide)),
            (
                losses.discriminator_loss(mode, half, half),
                losses.discriminator_loss(mode, wide, wide),
            ),
        ]:
            assert found.dtype == tf.float32
            assert float(found) == pytest.approx(float(expected), rel=1e-5)
        assert losses.discriminator_accuracy(mode, half, half).dtype == tf.float32
    mixed = losses.absolute_error(half, tf.fill([1, 128, 128, 1], 0.4))
    assert mixed.dtype == tf.float32
    np.testing.assert_allclose(mixed, value - 0.4, rtol=1e-5)


@pytest.mark.parametrize("mode", ["dcgan", "wgan"])
def test_unknown_modes_name_the_valid_ones(mode):
    message = f"gan_mode '{mode}': unknown choice; valid are lsgan, vanilla, hinge, lsgan_sigmoid"
    with pytest.raises(UserError, match=message):
        losses.generator_loss(mode, scores(1.0))
    with pytest.raises(UserError, match=message):
        losses.discriminator_loss(mode, scores(1.0), scores(1.0))
