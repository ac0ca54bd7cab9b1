"""What every generator and every discriminator keeps to. A network is tested by one line:

    class TestUnet(GeneratorContract, make=UnetGenerator, depth=5, base_filters=4, seed=5): ...

`make` is its class and the rest are its settings, small ones. What it makes of a batch in
TensorFlow's eager mode is what all other ways must come to.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.test_layers import noise
from tfcyclegan.config import Size
from tfcyclegan.errors import UserError
from tfcyclegan.exporting import tflite
from tfcyclegan.translation.tiling import Tiler
from tfcyclegan.translation.translators import Translator, as_function

# How far half precision may be off, of the standard deviation of what comes out.
HALF = {"mixed_bfloat16": 0.1, "mixed_float16": 0.03}


def assert_close(found: Any, expected: Any) -> None:
    """But for the roundings of float32, in another order."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * max(1, expected.std()))


class NetworkContract:
    make: ClassVar[Callable[..., keras.Model]]
    settings: ClassVar[dict[str, Any]]

    def __init_subclass__(cls, make: Callable[..., keras.Model] | None = None, **settings: Any):
        if make is not None:
            cls.make, cls.settings = staticmethod(make), settings  # type: ignore[assignment]

    @pytest.fixture(scope="class")
    def network(self) -> keras.Model:
        """With weights by which values fill the range, biases among them."""
        network = self.make(**self.settings)
        for index, weight in enumerate(network.trainable_variables):
            fan_in = np.prod(weight.shape[:-1]) if len(weight.shape) > 1 else 25
            weight.assign(noise(*weight.shape, seed=100 + index) / np.sqrt(fan_in))
        return network

    @pytest.fixture(scope="class")
    def side(self, network) -> int:
        return max(24, getattr(network, "size_multiple", 1))

    @pytest.fixture(scope="class")
    def batch(self, network, side) -> tf.Tensor:
        """[2, side, side, C] in [-1, 1]."""
        channels = network.settings["in_channels"]
        values = np.random.default_rng(0).uniform(-1, 1, (2, side, side, channels))
        return tf.constant(values, tf.float32)

    @pytest.fixture(scope="class")
    def expected(self, network, batch) -> np.ndarray:
        return network(batch).numpy()

    def check_size(self, given: tf.Tensor, made: tf.Tensor, network: keras.Model) -> None:
        raise NotImplementedError

    def test_sizes(self, network, batch, side, expected):
        """Of three sizes; and what becomes of a picture does not depend on its neighbours."""
        step = getattr(network, "size_multiple", 1)
        wide, high = tf.tile(batch, [1, 1, 2, 1]), tf.tile(batch, [1, 2, 1, 1])
        for given in (batch, wide[:, :, : side + step], high[:1, : side + step]):
            self.check_size(given, network(given), network)
        assert expected.std() > 0.1
        assert_close(network(batch[1:]), expected[1:])

    def test_config(self, network):
        """Makes the same network, with the same weights where it has a seed."""
        again = type(network).from_config(network.get_config())
        assert again.settings == network.settings and again.name == network.name
        first = self.make(**self.settings)
        for weight, drawn in zip(again.get_weights(), first.get_weights(), strict=True):
            assert weight.shape == drawn.shape
            if "seed" in self.settings:
                np.testing.assert_array_equal(weight, drawn)

    def test_saving_and_loading(self, network, batch, expected, tmp_path):
        network.save(tmp_path / "network.keras")
        again = keras.models.load_model(tmp_path / "network.keras")
        assert type(again) is type(network) and again.settings == network.settings
        assert again.dtype_policy.name == network.dtype_policy.name
        np.testing.assert_array_equal(again(batch), expected)

    @pytest.mark.parametrize("policy", HALF)
    def test_half_precision(self, network, batch, expected, policy):
        """Weights stay float32, and so do their gradients; a copy by the config keeps it."""
        half = self.make(**self.settings, dtype=policy)
        half.set_weights(network.get_weights())
        assert type(half).from_config(half.get_config()).dtype_policy.name == policy
        off = np.abs(tf.cast(half(batch), tf.float32) - expected)
        with tf.GradientTape() as tape:
            made = half(batch, training=True)
            loss = tf.reduce_mean(tf.cast(made, tf.float32) ** 2) / expected.var()
        assert made.dtype == half.compute_dtype
        assert 0 < off.mean() < HALF[policy] * expected.std()
        for gradient in tape.gradient(loss, [weight.value for weight in half.trainable_variables]):
            assert gradient.dtype == tf.float32 and np.isfinite(gradient).all()

    def test_graphs_of_fixed_and_of_free_sizes(self, network, batch, expected):
        for shape in (batch.shape, (None, None, None, batch.shape[-1])):
            spec = tf.TensorSpec(shape, tf.float32)
            function = tf.function(network.__call__, input_signature=[spec], autograph=False)
            assert_close(function(batch), expected)

    def test_xla(self, network, batch, expected):
        function = tf.function(network.__call__, autograph=False, jit_compile=True)
        assert_close(function(batch), expected)


class GeneratorContract(NetworkContract):
    def check_size(self, given, made, network):
        assert made.shape == (*given.shape[:3], network.settings["out_channels"])
        assert np.abs(made).max() <= 1

    def test_recomputation(self, network, batch):
        """Has the same gradients, where a network computes the same twice."""
        once = self.settings.get("dropout") or self.settings.get("noise_inputs")
        if not once and self.settings.get("norm") != "batch":
            plain, again = (self._gradients(network, batch, recompute) for recompute in (0, 1))
            for gradient, other in zip(plain, again, strict=True):
                np.testing.assert_allclose(gradient, other, atol=1e-5 * np.abs(gradient).max())

    @staticmethod
    def _gradients(network, batch, recompute):
        network.recompute = bool(recompute)
        try:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(network(batch, training=True) ** 2)
            return tape.gradient(loss, [weight.value for weight in network.trainable_variables])
        finally:
            network.recompute = False

    def test_tiles(self, network, side, tmp_path):
        """Are the whole picture, to a level of 8 bits at few places; or are refused."""
        if not network.is_written_on_operations():
            with pytest.raises(
                UserError, match=r"--tile: .* can only be computed whole; leave --tile out"
            ):
                Tiler(network, 64)
            return
        channels = network.settings["in_channels"]
        picture = uneven_picture(3 * side + 3, 2 * side + 5, channels)
        whole, tiled = (
            Translator({}, channels, network.size_multiple, as_function(network), tiler)
            for tiler in (None, Tiler(network, side + 6))
        )
        expected, found = whole(picture), tiled(picture, tmp_path)
        differences = np.abs(found.astype(int) - expected)
        assert expected.std() > 5 and found.shape == expected.shape
        assert differences.max() <= 1 and (differences > 0).mean() < 1e-3
        assert list(tmp_path.iterdir()) == []

    def test_tflite(self, network, batch, side, expected):
        """Its copy of operations that delegates take is the same, and so is a file, of sides that
        differ.
        """
        copy = type(network).from_config({**network.get_config(), "tflite_ops": True})
        copy.set_weights(network.get_weights())
        assert_close(copy(batch), expected)
        size = Size(side, side + network.size_multiple)
        content = tflite.convert(network, "float32", size)
        tflite.check_operators(content, "float32")
        given = tf.tile(batch, [1, 1, 2, 1])[:1, :, : size.width]
        found = tflite.run(content, given.numpy())
        assert_close(found, network(given))


class DiscriminatorContract(NetworkContract):
    def check_size(self, given, made, network):
        assert made.shape[0] == given.shape[0] and made.shape[3] == 1
        assert all(
            1 <= ours <= side for ours, side in zip(made.shape[1:3], given.shape[1:3], strict=True)
        )


def digits(expected: np.ndarray) -> float:
    """What float32 may differ by where the order of sums does: a discriminator's scores go into the
    hundreds with these weights.
    """
    return 1e-4 * max(1.0, float(np.abs(expected).max()))


def uneven_picture(height: int, width: int, channels: int) -> np.ndarray:
    """Unlike itself from place to place, so that a tile's own statistics would show."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, channels))
    slope = np.linspace(0, 1, width)[np.newaxis, :] * np.linspace(0.2, 1, height)[:, np.newaxis]
    return (noise * slope[..., np.newaxis]).astype(np.uint8)
