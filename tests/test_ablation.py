"""Parts of the objective left out (the paper's Tables 4 and 5), and noise between the
generators.
"""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.test_training import config
from tfcyclegan.errors import UserError
from tfcyclegan.methods.factory import build_model
from tfcyclegan.training.trainer import make_optimizer

BATCH = tuple(
    tf.constant(np.random.default_rng(domain).uniform(-1, 1, (1, 32, 32, 3)), tf.float32)
    for domain in range(2)
)


def step(
    discriminator_shift: float = 0.0, segment=None, **changes
) -> tuple[dict[str, float], list[np.ndarray]]:
    """What one eager step reports, and the generators' weights after it."""
    settings = config(
        Path("unused"),
        Path("unused"),
        max_steps=1,
        **{"lambda_identity": 0.0, "pool_size": 0, **changes},
    )
    model = build_model(settings, "float32", segment)
    model.compile(
        *[make_optimizer(settings, settings.length(1), 1, dynamic_scale=False) for _ in "gd"]
    )
    for variable in model.discriminator_variables:
        variable.assign_add(tf.fill(variable.shape, discriminator_shift))
    values = {name: float(value) for name, value in model.train_step(BATCH).items()}
    return values, [
        weight for network in (model.gen_ab, model.gen_ba) for weight in network.get_weights()
    ]


def equal(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    "left_out, losses",
    [
        ({"lambda_gan": 0.0}, {"cycle_a", "cycle_b"}),
        ({"lambda_a": 0.0, "lambda_b": 0.0}, {"gan_ab", "gan_ba"}),
        ({"lambda_b": 0.0}, {"gan_ab", "gan_ba", "cycle_a"}),
        ({"lambda_a": 0.0}, {"gan_ab", "gan_ba", "cycle_b"}),
    ],
    ids=["cycle alone", "GAN alone", "GAN and forward", "GAN and backward"],
)
def test_what_is_left_out_is_not_there_and_the_rest_is_as_before(left_out, losses):
    full, _ = step()
    values, _ = step(**left_out)
    generators = ("gan_ab", "gan_ba", "cycle_a", "cycle_b")
    assert {name for name in generators if values[name]} == losses
    assert all(values[name] == pytest.approx(full[name], rel=1e-6) for name in losses)
    assert values["disc_a"] == pytest.approx(full["disc_a"], rel=1e-6), (
        "the discriminators go on learning"
    )


def test_without_the_adversarial_loss_the_discriminators_have_no_say():
    assert equal(step(lambda_gan=0.0)[1], step(0.01, lambda_gan=0.0)[1])
    assert not equal(step()[1], step(0.01)[1])


def test_noise_reaches_the_cycle_alone_and_follows_from_the_seed():
    plain, _ = step()
    noisy, weights = step(cycle_noise=0.5)
    again, same_weights = step(cycle_noise=0.5)
    other, _ = step(cycle_noise=0.5, seed=1)
    assert abs(noisy["cycle_a"] - plain["cycle_a"]) > 1e-4 * plain["cycle_a"]
    assert noisy["disc_b"] == pytest.approx(plain["disc_b"], rel=1e-6) and noisy[
        "gan_ab"
    ] == pytest.approx(plain["gan_ab"], rel=1e-6)
    assert noisy == again and equal(weights, same_weights) and noisy["cycle_a"] != other["cycle_a"]


def test_nothing_left_is_refused():
    with pytest.raises(UserError, match="no loss is left"):
        config(Path("unused"), Path("unused"), lambda_gan=0.0, lambda_a=0.0, lambda_b=0.0)


def test_the_semantic_loss_keeps_what_a_segmenter_sees():
    """With a segmenter that tells light from dark and no other loss to speak of, a few steps make
    translations keep them.
    """

    def light_or_dark(images: tf.Tensor) -> tf.Tensor:
        lightness = tf.reduce_mean(images, axis=-1, keepdims=True)
        return tf.concat([20 * lightness, -20 * lightness], axis=-1)

    values, weights = step(segment=light_or_dark)
    plain, plain_weights = step()
    assert (
        values["semantic_a"] > 0.1
        and plain["semantic_a"] == 0
        and not equal(weights, plain_weights)
    )
    assert values["cycle_a"] == pytest.approx(plain["cycle_a"], rel=1e-6)
    settings = config(
        Path("unused"),
        Path("unused"),
        max_steps=1,
        lambda_identity=0.0,
        lambda_gan=0.001,
        lambda_a=0.001,
        lambda_b=0.001,
    )
    model = build_model(settings, "float32", light_or_dark)
    model.compile(
        *[make_optimizer(settings, settings.length(1), 1, dynamic_scale=False) for _ in "gd"]
    )
    model.make_pools((32, 32, 3), (32, 32, 3))
    train_step = tf.function(model.train_step, autograph=False)
    losses = [float(train_step(BATCH)["semantic_a"]) for _ in range(60)]
    assert losses[-1] < 0.7 * losses[0]
