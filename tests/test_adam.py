"""Adam against the update that PyTorch documents, in NumPy float64, and the steps that it must not
take.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.optimization.schedules import EpochRates

START = [np.array([0.5, -1.0, 2.0]), np.array([[1e-3, 3.0], [-0.25, 0.0]])]


def reference(
    start: list[np.ndarray],
    gradients: list[list[np.ndarray]],
    rates: list[float],
    beta_1: float,
    beta_2: float,
    epsilon: float,
):
    """torch.optim.Adam: m / (1 - b1^t) over sqrt(v) / sqrt(1 - b2^t) + epsilon; yields the weights
    after each step.
    """
    weights = [value.copy() for value in start]
    m, v = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        for i, g in enumerate(gradient):
            m[i] = beta_1 * m[i] + (1 - beta_1) * g
            v[i] = beta_2 * v[i] + (1 - beta_2) * g * g
            denominator = np.sqrt(v[i]) / np.sqrt(1 - beta_2**t) + epsilon
            weights[i] = weights[i] - rate / (1 - beta_1**t) * m[i] / denominator
        yield [w.copy() for w in weights]


def random_gradients(steps: int) -> list[list[np.ndarray]]:
    """Of very different sizes, some so small that epsilon matters."""
    generator = np.random.default_rng(7)
    return [
        [generator.normal(size=w.shape) * 10.0 ** generator.integers(-9, 3, w.shape) for w in START]
        for _ in range(steps)
    ]


def variables(dtype: str = "float64") -> list[keras.Variable]:
    return [keras.Variable(value, dtype=dtype) for value in START]


def state(optimizer: Adam, weights: list[keras.Variable]) -> list[np.ndarray]:
    return [
        np.array(variable)
        for variable in [
            *weights,
            *optimizer._momentums,
            *optimizer._velocities,
            optimizer.iterations,
        ]
    ]


@pytest.mark.parametrize("guarded", [False, True], ids=["apply", "apply_if_finite"])
@pytest.mark.parametrize("graph", [False, True], ids=["eager", "tf.function"])
@pytest.mark.parametrize(
    ("beta_1", "beta_2", "epsilon"), [(0.5, 0.999, 1e-8), (0.9, 0.99, 1e-3), (0.0, 0.999, 1e-8)]
)
def test_equals_pytorch_over_20_steps(beta_1, beta_2, epsilon, graph, guarded):
    rates = [2e-4] * 10 + [1e-4 / 3] * 10
    weights, gradients = variables(), random_gradients(20)
    optimizer = Adam(EpochRates(rates, epoch_images=1, batch_size=1), beta_1, beta_2, epsilon)
    optimizer.build(weights)

    def step(gradient):
        if guarded:
            return optimizer.apply_if_finite(tf.constant(1.0, tf.float64), gradient, weights)
        optimizer.apply(gradient, weights)
        return tf.constant(True)

    step = tf.function(step) if graph else step
    for number, expected in enumerate(
        reference(START, gradients, rates, beta_1, beta_2, epsilon), start=1
    ):
        assert bool(step([tf.constant(g) for g in gradients[number - 1]]))
        assert int(optimizer.iterations) == number
        for ours, theirs in zip(weights, expected, strict=True):
            np.testing.assert_allclose(np.array(ours), theirs, rtol=1e-13, atol=1e-16)


def test_first_step_by_hand():
    """After one step m / (1 - b1) = g and sqrt(v / (1 - b2)) = |g|, so the weight moves by rate * g
    / (|g| + epsilon).
    """
    weight = keras.Variable([1.0, 1.0], dtype="float64")
    optimizer = Adam(EpochRates([0.25], epoch_images=1, batch_size=1), epsilon=1.0)
    optimizer.apply([tf.constant([3.0, -1.0], tf.float64)], [weight])
    np.testing.assert_allclose(np.array(weight), [1 - 0.25 * 3 / 4, 1 + 0.25 / 2], rtol=1e-14)


def test_the_defaults_are_the_papers():
    """A rate of 0.0002 and a first moment that halves (Zhu et al. 2017, section 4); the rest as in
    PyTorch.
    """
    weights, gradients = variables(), random_gradients(3)
    optimizer = Adam()
    for gradient, expected in zip(
        gradients, reference(START, gradients, [2e-4] * 3, 0.5, 0.999, 1e-8), strict=True
    ):
        optimizer.apply([tf.constant(g) for g in gradient], weights)
        for ours, theirs in zip(weights, expected, strict=True):
            np.testing.assert_allclose(np.array(ours), theirs, rtol=1e-9, atol=1e-9)


def test_moments_are_zero_and_as_many_as_weights():
    weights = variables()
    optimizer = Adam()
    optimizer.build(weights)
    assert (
        [m.shape for m in optimizer._momentums]
        == [v.shape for v in optimizer._velocities]
        == [w.shape for w in weights]
    )
    assert not any(
        np.array(moment).any() for moment in [*optimizer._momentums, *optimizer._velocities]
    )


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "tf.function"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_nothing_changes_at_a_non_finite_step(bad, where, graph):
    """The steps around it are those of a run without it."""
    weights, gradients = variables("float32"), random_gradients(4)
    rates = [0.1, 0.2, 0.3, 0.4]
    optimizer = Adam(EpochRates(rates, epoch_images=1, batch_size=1))
    optimizer.build(weights)

    def step(loss, gradient):
        return optimizer.apply_if_finite(loss, gradient, weights)

    step = tf.function(step) if graph else step
    good = [[tf.constant(g, tf.float32) for g in gradient] for gradient in gradients]
    for gradient in good[:2]:
        assert bool(step(tf.constant(1.0), gradient))
    before = state(optimizer, weights)
    spoilt = [good[2][0], tf.constant([[0.0, 1.0], [bad, 2.0]])] if where == "gradient" else good[2]
    assert not bool(step(tf.constant(bad if where == "loss" else 1.0, tf.float32), spoilt))
    for ours, theirs in zip(state(optimizer, weights), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)

    assert bool(step(tf.constant(1.0), good[3]))
    assert int(optimizer.iterations) == 3
    expected = list(
        reference(START, [gradients[i] for i in (0, 1, 3)], rates[:3], 0.5, 0.999, 1e-8)
    )[-1]
    for ours, theirs in zip(weights, expected, strict=True):
        np.testing.assert_allclose(np.array(ours), theirs, rtol=2e-5, atol=1e-7)


def test_a_non_finite_first_step_leaves_zero_moments():
    weights = variables("float32")
    optimizer = Adam(0.1)
    assert not bool(
        optimizer.apply_if_finite(
            tf.constant(np.nan, tf.float32), [tf.ones(w.shape) for w in weights], weights
        )
    )
    assert not any(value.any() for value in state(optimizer, weights)[2:])
    for ours, theirs in zip(weights, START, strict=True):
        np.testing.assert_array_equal(np.array(ours), theirs.astype(np.float32))


def test_scale_goes_on_the_loss_and_off_the_gradients():
    """Powers of two scale without rounding, so the weights are the same to the last bit."""
    plain, scaled = variables("float32"), variables("float32")
    rates = EpochRates([0.1], epoch_images=1, batch_size=1)
    optimizers = Adam(rates), Adam(rates, dynamic_scale=True)
    for optimizer, weights in zip(optimizers, (plain, scaled), strict=True):
        optimizer.build(weights)
    assert float(optimizers[0].scale_loss(tf.constant(3.0))) == 3.0
    assert float(optimizers[1].scale_loss(tf.constant(3.0))) == 3.0 * 2**13
    for gradient in random_gradients(3):
        narrow = [tf.constant(g, tf.float32) for g in gradient]
        optimizers[0].apply_if_finite(tf.constant(1.0), narrow, plain)
        assert bool(
            optimizers[1].apply_if_finite(tf.constant(1.0), [g * 2**13 for g in narrow], scaled)
        )
    for one, other in zip(plain, scaled, strict=True):
        np.testing.assert_array_equal(np.array(one), np.array(other))


def test_scale_halves_on_overflow_and_doubles_after_2000_good_steps():
    weight = keras.Variable([1.0])
    optimizer = Adam(0.1, dynamic_scale=True)
    optimizer.build([weight])
    step = tf.function(
        lambda gradient: optimizer.apply_if_finite(tf.constant(1.0), [gradient], [weight])
    )
    good, bad = tf.constant([1.0]), tf.constant([np.inf], tf.float32)

    def after(gradient: tf.Tensor) -> tuple[float, int]:
        step(gradient)
        return float(optimizer.scale.value), int(optimizer.good_steps.value)

    assert after(good) == (2.0**13, 1)
    assert after(bad) == (2.0**12, 0)
    assert after(bad) == (2.0**11, 0)
    optimizer.good_steps.assign(1998)
    assert after(good) == (2.0**11, 1999)
    assert after(good) == (2.0**12, 0)
    optimizer.good_steps.assign(1999)
    assert after(bad) == (2.0**11, 0), "an overflow at the limit does not grow the scale"


def test_a_saved_optimizer_is_equal():
    optimizer = Adam(
        EpochRates([0.1, 0.2], epoch_images=3, batch_size=2), 0.4, 0.99, 1e-7, dynamic_scale=True
    )
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert (again.beta_1, again.beta_2, again.epsilon, again.dynamic_scale) == (
        0.4,
        0.99,
        1e-7,
        True,
    )


@pytest.mark.parametrize(
    "option", ["clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps"]
)
def test_what_keras_would_do_to_each_replica_alone_is_refused(option):
    with pytest.raises(UserError, match=option):
        Adam(**{option: 2})
