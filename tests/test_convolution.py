"""The gradients that convolutions have on machines without oneDNN equal TensorFlow's."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcyclegan.networks import convolution
from tfcyclegan.networks.convolution import conv2d, tensorflow_gradients
from tfcyclegan.networks.layers import Conv2D

SHAPES = {  # kernel, channels in and out, the output's height and width
    "few outputs": (7, 9, 3, 10, 12),
    "one output": (4, 6, 1, 7, 9),
    "few inputs": (7, 3, 9, 12, 10),
    "few of both": (3, 3, 2, 6, 7),
    "many of both": (3, 5, 8, 9, 6),
    "an even kernel": (4, 5, 6, 8, 9),
}


@pytest.fixture
def by_eigen(monkeypatch):
    """As on a machine without oneDNN, with all layers taken for large ones."""
    monkeypatch.setattr(convolution, "by_eigen", lambda: True)
    monkeypatch.setattr(convolution, "_LARGE", 0)


def drawn(*shape: int, seed: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=shape))


def given(batch: int, length: int, source: int, target: int, height: int, width: int):
    return (
        drawn(batch, height + length - 1, width + length - 1, source, seed=0),
        drawn(length, length, source, target, seed=1),
        drawn(batch, height, width, target, seed=2),
    )


def gradients(x, kernel, upstream, context=contextlib.nullcontext):
    with context(), tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = conv2d(x, kernel)
    return y, *tape.gradient(y, [x, kernel], upstream)


def operations(x, kernel, upstream, context=contextlib.nullcontext) -> set[str]:
    """Kinds of operations in the graph of a gradient."""
    traced = tf.function(lambda *given: gradients(*given, context=context), autograph=False)
    return {
        op.type for op in traced.get_concrete_function(x, kernel, upstream).graph.get_operations()
    }


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_equals_tensorflows_gradients(by_eigen, shape, batch):
    tensors = given(batch, *shape)
    for ours, theirs in zip(
        gradients(*tensors), gradients(*tensors, context=tensorflow_gradients), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_a_batch_of_unknown_size(by_eigen):
    x, kernel, upstream = given(2, *SHAPES["few outputs"])
    unknown = tf.function(
        gradients,
        input_signature=[
            tf.TensorSpec([None, *x.shape[1:]], x.dtype),
            tf.TensorSpec(kernel.shape, x.dtype),
            tf.TensorSpec([None, *upstream.shape[1:]], x.dtype),
        ],
    )
    for ours, theirs in zip(
        unknown(x, kernel, upstream), gradients(x, kernel, upstream), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_gradients_of_gradients_equal_tensorflows(by_eigen):
    """As a gradient penalty would need them."""
    x, kernel, upstream = given(2, *SHAPES["few outputs"])

    def second(context=contextlib.nullcontext):
        with context(), tf.GradientTape() as tape:
            tape.watch(kernel)
            _, of_input, of_kernel = gradients(x, kernel, upstream)
            size = tf.reduce_sum(of_input**2) + tf.reduce_sum(of_kernel**2)
        return tape.gradient(size, kernel)

    np.testing.assert_allclose(second(), second(tensorflow_gradients), rtol=1e-10)


def test_slow_operations_are_gone(by_eigen):
    tensors = given(1, *SHAPES["few outputs"])
    assert not operations(*tensors) & {"Conv2DBackpropFilter", "Conv2DBackpropInput"}
    plain = operations(*tensors, context=tensorflow_gradients)
    assert plain >= {"Conv2DBackpropFilter", "Conv2DBackpropInput"}


def test_small_layers_of_many_channels_keep_tensorflows_gradient(monkeypatch):
    monkeypatch.setattr(convolution, "by_eigen", lambda: True)
    kinds = operations(*given(1, *SHAPES["many of both"]))
    assert kinds >= {"Conv2DBackpropFilter", "Conv2DBackpropInput"}


def test_with_onednn_the_gradient_is_tensorflows(monkeypatch):
    monkeypatch.setattr(convolution, "by_eigen", lambda: False)
    kinds = operations(*given(1, *SHAPES["few outputs"]))
    assert kinds >= {"Conv2DBackpropFilter", "Conv2DBackpropInput"}


@pytest.mark.parametrize("tflite_ops", [False, True])
def test_exported_graphs_hold_plain_convolutions(by_eigen, tflite_ops):
    """A converter does not know the operation that carries a gradient of its own."""
    layer = Conv2D(6, 3, 3, keras.initializers.RandomNormal(seed=0), tflite_ops=tflite_ops)
    traced = tf.function(layer).get_concrete_function(tf.zeros([1, 9, 9, 6]))
    kinds = {op.type for op in traced.graph.get_operations()}
    assert ("IdentityN" in kinds) is not tflite_ops
