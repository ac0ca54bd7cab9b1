"""Learning rates: the official program's numbers, and others worked out by hand."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import GOLDEN
from tfcyclegan.config import SCHEDULES
from tfcyclegan.errors import UserError
from tfcyclegan.optimization.schedules import EpochRates, rate_factor, step_factor


@pytest.mark.parametrize(
    ("name", "kind", "epochs", "decay_epochs"),
    [
        ("linear", "linear", 4, 4),
        ("linear_100_100", "linear", 100, 100),
        ("step", "step", 4, 4),
        ("cosine", "cosine_official", 4, 4),
    ],
)
def test_equals_the_official_program(name, kind, epochs, decay_epochs):
    golden = np.load(GOLDEN / "learning_rates.npz")[name]
    ours = [
        2e-4 * rate_factor(kind, epoch, epochs=epochs, decay_epochs=decay_epochs, step_epochs=3)
        for epoch in range(len(golden))
    ]
    np.testing.assert_allclose(ours, golden, rtol=1e-13, atol=1e-19)


HALF = math.sqrt(0.5)


@pytest.mark.parametrize(
    ("kind", "epochs", "decay_epochs", "expected"),
    [
        ("linear", 2, 3, [1, 1, 3 / 4, 2 / 4, 1 / 4]),
        ("linear", 0, 1, [1 / 2, 0]),
        ("linear", 3, 0, [1, 1, 1]),
        ("cosine", 2, 4, [1, 1, 1, (1 + HALF) / 2, 1 / 2, (1 - HALF) / 2, 0]),
        ("cosine", 2, 1, [1, 1, 1, 0]),
        ("cosine", 2, 0, [1, 1, 1]),
        ("constant", 1, 1, [1, 1, 1, 1]),
        ("step", 1, 1, [1, 1, 0.1, 0.1, 0.01]),
        ("cosine_official", 2, 9, [1, 1 / 2, 0, 1 / 2, 1]),
    ],
)
def test_factors_by_hand(kind, epochs, decay_epochs, expected):
    found = [
        rate_factor(kind, epoch, epochs=epochs, decay_epochs=decay_epochs, step_epochs=2)
        for epoch in range(len(expected))
    ]
    assert found == pytest.approx(expected, rel=1e-14, abs=1e-15)
    assert all(type(factor) is float for factor in found)


def test_cosine_of_the_seed_report_is_constant_then_falls_to_nearly_nothing():
    """100 constant epochs, then half a cosine over 100 (Rao, Jin and Huang 2023)."""
    factors = [rate_factor("cosine", epoch, epochs=100, decay_epochs=100) for epoch in range(200)]
    assert factors[:101] == [1.0] * 101
    assert (np.diff(factors[100:]) < 0).all()
    assert factors[150] == pytest.approx(0.5, rel=1e-14)
    assert factors[199] == pytest.approx((1 - math.cos(math.pi / 100)) / 2, rel=1e-10)
    assert 0 < factors[199] < 3e-4


def test_step_falls_every_50_epochs_by_default():
    assert [
        rate_factor("step", epoch, epochs=1, decay_epochs=0) for epoch in (0, 49, 50, 99, 100)
    ] == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_unknown_kinds_name_the_valid_ones():
    with pytest.raises(
        UserError,
        match=(
            "schedule 'plateau': unknown choice; valid are linear, cosine, step, constant, "
            "cosine_official"
        ),
    ):
        rate_factor("plateau", 0, epochs=1, decay_epochs=1)
    for kind in SCHEDULES:
        assert rate_factor(kind, 0, epochs=1, decay_epochs=1) == 1.0


@pytest.mark.parametrize(
    ("kind", "steps", "warmup", "expected"),
    [
        ("poly", 4, {}, [1, 0.75**0.9, 0.5**0.9, 0.25**0.9, 0, 0]),
        ("cosine", 4, {}, [1, (1 + HALF) / 2, 1 / 2, (1 - HALF) / 2, 0, 0]),
        ("constant", 2, {}, [1, 1, 1, 1]),
        ("constant", 9, {"warmup_steps": 3}, [1 / 4, 2 / 4, 3 / 4, 1, 1]),
        ("poly", 4, {"warmup_steps": 2}, [1 / 3, 2 / 3 * 0.75**0.9, 0.5**0.9]),
        ("cosine", 4, {"warmup_steps": 2}, [1 / 3, 2 / 3 * (1 + HALF) / 2, 1 / 2]),
    ],
)
def test_step_factors_by_hand(kind, steps, warmup, expected):
    found = [step_factor(kind, step, steps=steps, **warmup) for step in range(len(expected))]
    assert found == pytest.approx(expected, rel=1e-14, abs=1e-15)
    assert all(type(factor) is float for factor in found)


def test_unknown_kinds_of_steps_name_the_valid_ones():
    with pytest.raises(
        UserError, match="schedule 'exp': unknown choice; valid are poly, cosine, constant"
    ):
        step_factor("exp", 0, steps=1)


RATES = [0.1, 2e-4, 1 / 3, 1e-300]


@pytest.mark.parametrize(
    ("epoch_images", "batch_size", "expected"),
    [
        (3, 1, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3]),
        # step k begins with image 2k: 0 2 4 | 6 8 | 10 12 14 | 16 ...
        (5, 2, [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3]),
        # 0 4 | 8 | 12 | 16 ... in epochs of 7: 0 0 1 1 2 2 3
        (7, 4, [0, 0, 1, 1, 2, 2, 3, 3, 3]),
        # batches larger than an epoch leave epochs out: images 0 5 10 15 in epochs of 2 are epochs
        # 0 2 5 7
        (2, 5, [0, 2, 3, 3]),
    ],
)
@pytest.mark.parametrize("graph", [False, True])
def test_a_step_has_the_rate_of_its_first_image(epoch_images, batch_size, expected, graph):
    schedule = EpochRates(RATES, epoch_images=epoch_images, batch_size=batch_size)
    call = tf.function(schedule.__call__) if graph else schedule
    found = [call(tf.constant(step, tf.int64)) for step in range(len(expected))]
    assert all(rate.dtype == tf.float64 for rate in found)
    assert [float(rate) for rate in found] == [RATES[epoch] for epoch in expected], (
        "exactly, to the last bit"
    )


def test_the_last_rate_holds_and_steps_do_not_overflow():
    schedule = EpochRates([1.0, 0.5], epoch_images=3, batch_size=1000)
    assert float(schedule(tf.constant(2**40, tf.int64))) == 0.5
    assert (
        float(
            EpochRates([1.0, 0.5], epoch_images=2**33, batch_size=4)(tf.constant(2**30, tf.int32))
        )
        == 1.0
    )


def test_a_saved_schedule_is_equal():
    schedule = EpochRates(RATES, epoch_images=5, batch_size=2)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert [float(again(step)) for step in range(11)] == [
        float(schedule(step)) for step in range(11)
    ]
