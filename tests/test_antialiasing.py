"""Blurs against numbers worked out by hand; the official program's are in test_golden."""

import numpy as np
import pytest
import tensorflow as tf

from tests.test_layers import noise
from tfcyclegan.networks.antialiasing import BlurDown, BlurUp


def row(*values: float) -> np.ndarray:
    """Four equal rows, so that only the columns blur: [1, 4, W, 1]."""
    return np.tile(
        np.array(values, np.float64)[np.newaxis, np.newaxis, :, np.newaxis], (1, 4, 1, 1)
    )


def test_blur_down_by_hand():
    """Each second pixel and its neighbours by 1 2 1; 4 is mirrored before the 0, not the 0."""
    even = BlurDown(1, dtype="float64")(row(0, 4, 8, 0))
    np.testing.assert_array_equal(even[0, 0, :, 0], [(4 + 0 + 4) / 4, (4 + 16 + 0) / 4])
    odd = BlurDown(1, dtype="float64")(row(0, 4, 8, 0, 12))
    np.testing.assert_array_equal(odd[0, :, :, 0], [[2, 5, (0 + 24 + 0) / 4]] * 2)


def test_blur_up_by_hand():
    doubled = BlurUp(1, dtype="float64")(row(0, 4, 8))
    np.testing.assert_array_equal(doubled[0, 0, :, 0], [0, 1, 3, 5, 7, 8])
    assert doubled.shape == (1, 8, 6, 1)


@pytest.mark.parametrize("layer", [BlurDown, BlurUp])
@pytest.mark.parametrize("sides", [(8, 10), (9, 7), (2, 3)], ids=str)
def test_every_form_gives_the_same(layer, sides):
    """For TFLite, and of sizes that are not known; small sides too."""
    x = tf.constant(noise(2, *sides, 3), tf.float32)
    whole = layer(3)(x)
    free = tf.function(layer(3).__call__, input_signature=[tf.TensorSpec([None, None, None, 3])])
    np.testing.assert_allclose(free(x), whole, atol=1e-6)
    np.testing.assert_allclose(layer(3, tflite_ops=True)(x), whole, atol=1e-6)


@pytest.mark.parametrize("layer", [BlurDown, BlurUp])
@pytest.mark.parametrize("sides", [(4, 5), (7, 6)], ids=str)
def test_gradients_are_those_of_the_map(layer, sides):
    """A linear map's gradient is its transpose: <u, blur(x)> = <gradient(u), x>."""
    x = tf.constant(noise(1, *sides, 2), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(2, dtype="float64")(x)
    upstream = tf.constant(noise(*y.shape), tf.float64)
    gradient = tape.gradient(y, x, upstream)
    assert float(tf.reduce_sum(upstream * y)) == pytest.approx(
        float(tf.reduce_sum(gradient * x)), rel=1e-12
    )
