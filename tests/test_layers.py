"""Layers against naive NumPy loops and PyTorch's definitions; networks by their published counts
and shapes.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.networks import InstanceNormalization
from tfcyclegan.networks.layers import (
    Conv2D,
    ResizeConv2D,
    UpConv2D,
    leaky_relu,
    reflect_pad,
    weight_initializers,
)
from tfcyclegan.networks.norms import FUSED_PIXELS, make_norm

NORMAL = keras.initializers.RandomNormal(0.0, 1.0, seed=0)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def filled(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The layer with random numbers in every weight, biases too."""
    for index, weight in enumerate(layer.trainable_variables):
        weight.assign(noise(*weight.shape, seed=100 + index))
    return layer


# --- convolutions
# --------------------------------------------------------------------------------------------------


def naive_convolution(x, kernel, bias, stride, padding, mode):
    around = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
    x = np.pad(x, around, mode="reflect") if mode == "reflect" else np.pad(x, around)
    k = kernel.shape[0]
    height, width = (x.shape[1] - k) // stride + 1, (x.shape[2] - k) // stride + 1
    out = np.zeros((x.shape[0], height, width, kernel.shape[3]))
    for i in range(height):
        for j in range(width):
            window = x[:, i * stride : i * stride + k, j * stride : j * stride + k]
            out[:, i, j] = np.einsum("bhwi,hwio->bo", window, kernel) + bias
    return out


def naive_transposed(x, kernel, bias, padding, output_padding):
    """PyTorch's conv_transpose2d of stride 2: every pixel stamps the kernel, then `padding` is cut
    off all round.
    """
    batch, height, width, _ = x.shape
    k = kernel.shape[0]
    full = np.zeros(
        (
            batch,
            2 * (height - 1) + k + output_padding,
            2 * (width - 1) + k + output_padding,
            kernel.shape[2],
        )
    )
    for i in range(height):
        for j in range(width):
            full[:, 2 * i : 2 * i + k, 2 * j : 2 * j + k] += np.einsum(
                "bi,hwoi->bhwo", x[:, i, j], kernel
            )
    return full[:, padding : full.shape[1] - padding, padding : full.shape[2] - padding] + bias


@pytest.mark.parametrize("tflite_ops", [False, True])
@pytest.mark.parametrize("mode", ["zeros", "reflect"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(3, 2, 1), (4, 2, 1), (4, 1, 1), (3, 1, 1), (7, 1, 3), (1, 1, 0)],
    ids=lambda value: str(value),
)
def test_convolution(kernel, stride, padding, mode, tflite_ops):
    options = {"stride": stride, "padding": padding, "padding_mode": mode, "tflite_ops": tflite_ops}
    layer = filled(Conv2D(2, 3, kernel, NORMAL, **options, dtype="float64"))
    x = noise(2, 6, 8, 2)
    expected = naive_convolution(
        x, np.array(layer.kernel), np.array(layer.bias), stride, padding, mode
    )
    np.testing.assert_allclose(layer(x), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("kernel", "output_padding"), [(3, 1), (4, 0)])
def test_transposed_convolution(kernel, output_padding):
    layer = filled(UpConv2D(2, 3, kernel, NORMAL, dtype="float64"))
    x = noise(2, 3, 5, 2)
    expected = naive_transposed(x, np.array(layer.kernel), np.array(layer.bias), 1, output_padding)
    assert expected.shape == (2, 6, 10, 3)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-11, atol=1e-12)
    unknown_size = tf.function(
        layer.__call__, input_signature=[tf.TensorSpec([None, None, None, 2], tf.float64)]
    )
    np.testing.assert_allclose(unknown_size(x), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("tflite_ops", [False, True])
def test_resize_convolution(tflite_ops):
    layer = filled(ResizeConv2D(2, 3, NORMAL, tflite_ops=tflite_ops, dtype="float64"))
    x = noise(2, 3, 5, 2)
    doubled = np.kron(x, np.ones((1, 2, 2, 1)))
    kernel, bias = np.array(layer.convolution.kernel), np.array(layer.convolution.bias)
    np.testing.assert_allclose(
        layer(x), naive_convolution(doubled, kernel, bias, 1, 1, "reflect"), rtol=1e-11, atol=1e-12
    )


@pytest.mark.parametrize("layer", [Conv2D, ResizeConv2D, UpConv2D])
def test_bias_can_be_left_out(layer):
    arguments = (2, 3, NORMAL) if layer is ResizeConv2D else (2, 3, 3, NORMAL)
    assert [weight.shape for weight in layer(*arguments, use_bias=False).weights] == [
        (3, 3, 3, 2) if layer is UpConv2D else (3, 3, 2, 3)
    ]


@pytest.mark.parametrize("amount", [1, 2, 3])
def test_tflite_reflection_is_tf_pad(amount):
    x = noise(2, 4, 5, 3)
    expected = tf.pad(x, [[0, 0], [amount] * 2, [amount] * 2, [0, 0]], "REFLECT")
    np.testing.assert_array_equal(reflect_pad(tf.constant(x), amount), expected)
    np.testing.assert_array_equal(reflect_pad(tf.constant(x), amount, tflite_ops=True), expected)


@pytest.mark.parametrize("amount", [1, 2, 3])
# the last is too small for slices of its own but for amount 1
@pytest.mark.parametrize("sides", [(8, 9), (12, 8), (4, 5)])
def test_the_gradient_of_reflection_is_that_of_tf_pad(amount, sides):
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(2, *sides, 3)))
    upstream = tf.constant(random.normal(size=(2, sides[0] + 2 * amount, sides[1] + 2 * amount, 3)))
    around = [[0, 0], [amount, amount], [amount, amount], [0, 0]]
    ways = lambda x: reflect_pad(x, amount), lambda x: tf.pad(x, around, mode="REFLECT")

    def gradients(way):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = tf.reduce_sum(way(x) ** 2 * upstream)
            first = tape.gradient(value, x)
            squared = tf.reduce_sum(first**2)
        return first, outer.gradient(squared, x)

    for own, tensorflow in zip(*map(gradients, ways), strict=True):
        np.testing.assert_allclose(own, tensorflow, rtol=1e-12, atol=1e-12)


def test_reflection_by_hand():
    x = tf.reshape(tf.constant([[1, 2, 3], [4, 5, 6]]), [1, 2, 3, 1])
    expected = [[5, 4, 5, 6, 5], [2, 1, 2, 3, 2], [5, 4, 5, 6, 5], [2, 1, 2, 3, 2]]
    for tflite_ops in (False, True):
        assert reflect_pad(x, 1, tflite_ops=tflite_ops)[0, :, :, 0].numpy().tolist() == expected


def test_tflite_reflection_needs_a_fixed_size():
    with pytest.raises(UserError, match="fixed image size"):
        tf.function(
            lambda x: reflect_pad(x, 1, tflite_ops=True), autograph=False
        ).get_concrete_function(tf.TensorSpec([1, None, 8, 1]))


@pytest.mark.parametrize("kind", [tf.float32, tf.float64])
def test_leaky_relu(kind):
    np.testing.assert_array_equal(
        leaky_relu(tf.constant([-2.0, 0.0, 3.0], kind)), tf.constant([-0.4, 0.0, 3.0], kind)
    )


# --- instance normalisation
# ------------------------------------------------------------------------------------------


def naive_normalization(x, epsilon, gamma=1.0, beta=0.0):
    x = np.asarray(x, np.float64)
    mean, variance = x.mean(axis=(1, 2), keepdims=True), x.var(axis=(1, 2), keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])
@pytest.mark.parametrize("batch", [1, 3])
def test_instance_normalization_on_both_paths(batch, epsilon, affine):
    x = (noise(batch, 5, 4, 3) * [1.0, 0.01, 30.0] + [0.0, 0.2, -5.0]).astype(np.float32)
    # samples of different spread must not mix
    x[:, :, :, 0] *= np.arange(1, batch + 1).reshape(-1, 1, 1)
    layer = InstanceNormalization(3, epsilon=epsilon, affine=affine)
    tflite_ops = InstanceNormalization(3, epsilon=epsilon, affine=affine, tflite_ops=True)
    gamma, beta = (noise(3, seed=1), noise(3, seed=2)) if affine else (1.0, 0.0)
    if affine:
        layer.set_weights([gamma, beta])
        tflite_ops.set_weights([gamma, beta])
    assert len(layer.weights) == (2 if affine else 0)
    expected = naive_normalization(x, epsilon, gamma, beta)
    unknown_batch = tf.function(layer.__call__, input_signature=[tf.TensorSpec([None, 5, 4, 3])])
    for output in (layer(x), tflite_ops(x), unknown_batch(x)):
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("affine", [False, True])
def test_instance_normalization_is_exact_in_float64(affine):
    x = noise(2, 5, 4, 3) + 3
    layer = InstanceNormalization(3, affine=affine, dtype="float64")
    gamma, beta = (noise(3, seed=1), noise(3, seed=2)) if affine else (1.0, 0.0)
    if affine:
        layer.set_weights([gamma, beta])
    np.testing.assert_allclose(
        layer(x), naive_normalization(x, 1e-5, gamma, beta), rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize("tflite_ops", [False, True])
def test_the_gradients_of_both_paths_are_those_of_float64(tflite_ops):
    x, upstream = noise(2, 4, 4, 3).astype(np.float32), noise(2, 4, 4, 3, seed=5).astype(np.float32)
    results = []
    for layer, kind in [
        (InstanceNormalization(3, tflite_ops=tflite_ops), tf.float32),
        (InstanceNormalization(3, dtype="float64"), tf.float64),
    ]:
        image = tf.constant(x, kind)
        with tf.GradientTape() as tape:
            tape.watch(image)
            output = layer(image)
        results.append(tape.gradient(output, image, tf.constant(upstream, kind)).numpy())
    np.testing.assert_allclose(*results, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("tflite_ops", [False, True])
@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_statistics_of_half_precision_are_float32(kind, tflite_ops):
    """Great mean, small spread: half-precision sums of 4096 values near 100 would stop growing long
    before the end.
    """
    x = tf.cast(noise(2, 64, 64, 2) * 0.5 + [100.0, -3.0], kind)
    layer = InstanceNormalization(2, tflite_ops=tflite_ops, dtype=f"mixed_{kind}")
    output = layer(x)
    assert output.dtype == x.dtype
    expected = naive_normalization(tf.cast(x, tf.float64), 1e-5)
    # Only the output's own rounding is left: 8 bits of bfloat16, 11 of float16.
    np.testing.assert_allclose(
        tf.cast(output, tf.float64),
        expected,
        rtol=2**-8 if kind == "bfloat16" else 2**-10,
        atol=1e-3,
    )


@pytest.mark.parametrize("way", ["fixed size", "free size", "tflite_ops"])
def test_large_maps_keep_their_digits(way):
    """Sums of a million float32 values, one after the other, lose 2 to 4 digits of the mean; of a
    thousand, and of these sums, none.
    """
    x = np.random.default_rng(0).normal(0.5, 0.05, (1, 1024, 1024, 2)).astype(np.float32)
    layer = InstanceNormalization(2, tflite_ops=way == "tflite_ops")
    free = tf.TensorSpec([None, None, None, 2])
    normalize = (
        tf.function(layer.__call__, input_signature=[free], autograph=False)
        if way == "free size"
        else layer
    )
    # 0.01 levels of 8 bits
    np.testing.assert_allclose(normalize(x), naive_normalization(x, 1e-5), atol=1e-4)


def test_the_gradient_through_a_large_map_is_that_of_float64():
    sides = FUSED_PIXELS // 256 + 1, 256  # one row more than the fused norm gets
    x, upstream = (
        noise(1, *sides, 1).astype(np.float32),
        noise(1, *sides, 1, seed=5).astype(np.float32),
    )
    results = []
    for kind in ("float32", "float64"):
        image, layer = tf.constant(x, kind), InstanceNormalization(1, dtype=kind)
        with tf.GradientTape() as tape:
            tape.watch(image)
            output = layer(image)
        results.append(tape.gradient(output, image, tf.constant(upstream, kind)).numpy())
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-4)


def test_constant_channels_become_zero():
    for tflite_ops in (False, True):
        output = InstanceNormalization(2, tflite_ops=tflite_ops)(tf.fill([1, 4, 4, 2], 7.0))
        np.testing.assert_allclose(output, np.zeros([1, 4, 4, 2]), atol=1e-4)


def test_batch_norm_is_pytorch_s():
    """epsilon 1e-5; momentum 0.1 there is 0.9 here: the running mean of ones after one batch of 11s
    is 0.9 * 0 + 0.1 * 11.
    """
    weights = weight_initializers("normal", 0.02, 0)
    layer = make_norm("batch", 2, gain=0.02, weights=weights, tflite_ops=False, dtype="float32")
    x = tf.fill([1, 2, 2, 2], 11.0)
    expected = np.broadcast_to(11 / np.sqrt(1 + 1e-5) * np.array(layer.gamma), [1, 2, 2, 2])
    np.testing.assert_allclose(layer(x, training=False), expected, rtol=1e-6)
    layer(x, training=True)
    np.testing.assert_allclose(np.array(layer.moving_mean), [1.1, 1.1], rtol=1e-6)
    wide = make_norm("batch", 4000, gain=0.02, weights=weights, tflite_ops=False, dtype="float32")
    assert np.mean(wide.gamma) == pytest.approx(1, abs=1e-3) and np.std(
        wide.gamma
    ) == pytest.approx(0.02, rel=0.05)


# --- initial weights
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "gain", "std"),
    [
        ("normal", 0.02, 0.02),
        # gain * sqrt(2 / (fan_in + fan_out))
        ("xavier", 0.5, 0.5 * np.sqrt(2 / (9 * 40 + 9 * 60))),
        ("kaiming", 0.02, np.sqrt(2 / (9 * 40))),  # sqrt(2 / fan_in), whatever the gain
        ("orthogonal", 0.5, 0.5 / np.sqrt(9 * 40)),  # 60 unit columns of 360 numbers
    ],
)
def test_spread_of_initial_weights(name, gain, std):
    kernel = np.array(next(weight_initializers(name, gain, 3))((3, 3, 40, 60)))
    assert kernel.std() == pytest.approx(std, rel=0.02)  # 21,600 draws: 0.5 % standard error
    assert abs(kernel.mean()) < std / 30
    if name != "orthogonal":
        beyond = (np.abs(kernel) > 2 * std).mean()
        assert beyond == pytest.approx(0.0455, abs=0.006), "normal, not truncated"


def test_transposed_convolutions_have_pytorch_s_fans():
    """PyTorch takes the fan in from axis 1 of [in, out, k, k]: the output channels."""
    layer = UpConv2D(80, 40, 3, next(weight_initializers("kaiming", 1.0, 3)))
    assert np.array(layer.kernel).std() == pytest.approx(np.sqrt(2 / (9 * 40)), rel=0.02)


@pytest.mark.parametrize("shape", [(3, 3, 4, 10), (1, 1, 4, 10)])
def test_orthogonal(shape):
    """The kernel as PyTorch flattens it, [out, in * k * k], has rows or columns of length `gain`,
    at right angles.
    """
    rows = (
        np.array(next(weight_initializers("orthogonal", 0.5, 3))(shape), np.float64)
        .reshape(-1, shape[-1])
        .T
    )
    product = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
    np.testing.assert_allclose(product, 0.25 * np.eye(len(product)), atol=1e-6)


def test_great_seeds_differ_too():
    kernels = [
        next(weight_initializers("normal", 1.0, seed))((4,))
        for seed in (2**23, 2**23 + 1, 2**24 - 1)
    ]
    assert len({tuple(np.array(kernel)) for kernel in kernels}) == 3
