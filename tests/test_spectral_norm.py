"""Spectral norm against NumPy's singular values and PyTorch's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcyclegan.networks import Discriminator
from tfcyclegan.networks.spectral_norm import SpectralConv2D

SHAPE = (4, 4, 3, 5)


def layer(dtype: str = "float64") -> SpectralConv2D:
    normal = keras.initializers.RandomNormal(seed=1)
    made = SpectralConv2D(3, 5, 4, normal, stride=2, padding=1, vector_seed=7, dtype=dtype)
    kernel = np.random.default_rng(0).normal(size=SHAPE)
    made.kernel.assign(kernel)
    return made


def matrix(kernel) -> np.ndarray:
    return np.asarray(kernel, np.float64).reshape(-1, SHAPE[-1])


def test_iterated_the_kernel_is_divided_by_its_largest_singular_value():
    made = layer()
    made.iterate(200)
    sigma = np.linalg.svd(matrix(made.kernel), compute_uv=False)[0]
    np.testing.assert_allclose(made.used_kernel(), made.kernel / sigma, rtol=1e-9)
    picture = np.random.default_rng(1).normal(size=(2, 8, 8, 3))
    plain = tf.nn.conv2d(
        np.pad(picture, [(0, 0), (1, 1), (1, 1), (0, 0)]), made.kernel / sigma, 2, "VALID"
    )
    np.testing.assert_allclose(made(picture), plain, atol=1e-9)


def test_a_new_layer_is_iterated_already():
    made = SpectralConv2D(3, 5, 4, keras.initializers.RandomNormal(seed=1), vector_seed=7)
    largest = np.linalg.svd(matrix(made.used_kernel()), compute_uv=False)[0]
    assert largest == pytest.approx(1, abs=0.02)


def test_value_gradient_and_iteration_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    made = layer()
    made.iterate(0)
    module = torch.nn.Conv2d(3, 5, 4, dtype=torch.float64)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(made.kernel.numpy().transpose(3, 2, 0, 1)))
    torch.nn.utils.spectral_norm(module)
    # PyTorch flattens [out, in, k, k], ours is [k, k, in, out]
    order = np.arange(np.prod(SHAPE[:3])).reshape(SHAPE[:3]).transpose(2, 0, 1).reshape(-1)
    module.weight_u.copy_(torch.tensor(made.right.numpy()))
    module.weight_v.copy_(torch.tensor(made.left.numpy()[order]))
    module.eval()(torch.zeros(1, 3, 8, 8, dtype=torch.float64))
    weights = np.random.default_rng(3).normal(size=SHAPE)
    (module.weight * torch.tensor(weights.transpose(3, 2, 0, 1))).sum().backward()
    with tf.GradientTape() as tape:
        used = made.used_kernel()
        total = tf.reduce_sum(used * weights)
    gradient = tape.gradient(total, made.kernel.value).numpy().transpose(3, 2, 0, 1)
    np.testing.assert_allclose(used.numpy().transpose(3, 2, 0, 1), module.weight.detach())
    expected = module.weight_orig.grad
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-12)
    module.train()(torch.zeros(1, 3, 8, 8, dtype=torch.float64))
    made.iterate()
    np.testing.assert_allclose(made.right.numpy(), module.weight_u, rtol=1e-9)
    np.testing.assert_allclose(made.left.numpy()[order], module.weight_v, rtol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(made.left), 1)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_sigma_is_exact_in_half_precision_and_under_xla(jit_compile):
    made, exact = layer("mixed_bfloat16"), layer()
    for each in (made, exact):
        each.iterate(50)
    picture = tf.constant(np.random.default_rng(1).normal(size=(2, 8, 8, 3)), tf.float32)
    found = tf.function(made, autograph=False, jit_compile=jit_compile)(picture)
    assert found.dtype == tf.bfloat16
    np.testing.assert_allclose(found, exact(tf.cast(picture, tf.float64)), atol=0.06)
    assert made.left.dtype == "float32" and not made.left.trainable


def test_a_discriminator_has_it_in_all_convolutions_and_keeps_its_vectors():
    settings = {"layers": 1, "base_filters": 4, "seed": 3}
    plain, made = Discriminator(**settings), Discriminator(**settings, spectral_norm=True)
    assert made.count_params() - plain.count_params() == sum(
        w.shape[0] for w in made.non_trainable_variables
    )
    assert len(made.non_trainable_variables) == 2 * len(made.convolutions) == 6
    for one, other in zip(plain.trainable_variables, made.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, other)
    again = Discriminator.from_config(made.get_config())
    again.set_weights(made.get_weights())
    made.convolutions[0].kernel.assign(2 * made.convolutions[0].kernel)
    picture = tf.constant(np.random.default_rng(1).normal(size=(1, 16, 16, 3)), tf.float32)
    before = made(picture)
    # the scale of a kernel does not matter, and a pass moves nothing
    np.testing.assert_allclose(before, again(picture), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(made(picture, training=True), before)
    vector = made.convolutions[1].right.numpy()
    made.move_singular_vectors()
    assert not np.array_equal(made.convolutions[1].right, vector)
    plain.move_singular_vectors()
