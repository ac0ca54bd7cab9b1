"""Noise inputs: drawn in training, the same for every picture otherwise."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.errors import UserError
from tfcyclegan.exporting import tflite
from tfcyclegan.measures.checkerboard import spectrum
from tfcyclegan.networks import ResnetGenerator
from tfcyclegan.networks.noise import SIDES, NoiseChannel, squares

SIZE = Size(88, 136)  # more than one square


def generator(**more) -> ResnetGenerator:
    settings = {"blocks": 1, "base_filters": 4, "init_gain": 0.3, "seed": 5} | more
    return ResnetGenerator(antialias_up=True, noise_inputs=True, **settings)


def pictures(count: int) -> tf.Tensor:
    shape = (count, SIZE.height, SIZE.width, 3)
    return tf.constant(np.random.default_rng(0).uniform(-1, 1, shape), tf.float32)


def test_every_picture_gets_the_same_noise_outside_training():
    made = NoiseChannel(3)(pictures(2)).numpy()
    np.testing.assert_array_equal(made[..., :3], pictures(2))
    one, other = made[..., 3]
    np.testing.assert_array_equal(one, other)
    assert abs(one.mean()) < 0.05 and abs(one.std() - 1) < 0.05
    # it repeats in size, not in sign
    np.testing.assert_array_equal(np.abs(one[:, SIDES[0] :]), np.abs(one[:, : -SIDES[0]]))
    assert abs(np.corrcoef(one[:, SIDES[0] :].ravel(), one[:, : -SIDES[0]].ravel())[0, 1]) < 0.05
    # trained networks depend on these very numbers
    np.testing.assert_allclose(squares()[0][0, :3], [1.7640524, 0.4001572, 0.978738], rtol=1e-6)
    assert squares()[1].sum() == -85


def test_the_noise_has_no_grid():
    """A square that is repeated has: all its power lies at multiples of one frequency."""
    noise = NoiseChannel(1)(tf.zeros([1, 768, 768, 1])).numpy()[0, ..., 1]
    windows = [
        noise[top : top + 384, left : left + 384]
        for top in range(0, 385, 64)
        for left in range(0, 385, 64)
    ]
    grid, of_repeated = (
        np.mean([spectrum(picture(one))[:2] for one in some], axis=0)
        for some in (windows, [np.tile(noise[:64, :64], (6, 6))])
    )
    assert np.abs(grid).max() < 2 and of_repeated.min() > 6


def picture(noise: np.ndarray) -> np.ndarray:
    return (128 + 30 * noise[..., np.newaxis]).clip(0, 255).astype(np.uint8)


def test_a_window_gets_the_noise_of_its_place():
    layer, picture = NoiseChannel(3), pictures(1)
    window = picture[:, 30:80, 50:136]
    np.testing.assert_array_equal(layer.at(window, 30, 50), layer(picture)[:, 30:80, 50:136])


def test_training_draws_noise_for_each_picture_and_each_call():
    layer, again = (NoiseChannel(3, seed=4) for _ in range(2))
    first, second = (layer(pictures(2), training=True)[..., 3].numpy() for _ in range(2))
    drawn = [*first, *second]
    for index, one in enumerate(drawn):
        assert abs(one.mean()) < 0.05 and abs(one.std() - 1) < 0.05
        for other in drawn[:index]:
            assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.05
    np.testing.assert_array_equal(again(pictures(2), training=True)[..., 3], first)


def test_each_replica_draws_its_own():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        layer = NoiseChannel(3, seed=4)
    made = strategy.run(lambda: layer(tf.zeros([1, 8, 8, 3]), training=True))
    one, other = strategy.experimental_local_results(made)
    assert abs(one - other).numpy().max() > 0.1


def test_a_generator_uses_both_noises_and_is_saved_with_them(tmp_path):
    network = generator()
    picture = pictures(1)
    trained, plain = network(picture, training=True), network(picture)
    assert np.abs(trained - plain).max() > 0.05
    for convolution in network.up:
        kernel = convolution.kernel.numpy()
        convolution.kernel.assign(np.concatenate([kernel[:, :, :-1], 0 * kernel[:, :, -1:]], 2))
        assert np.abs(network(picture) - plain).max() > 1e-3
        plain = network(picture)
    # with kernels of 0 on the noise, training draws it in vain
    np.testing.assert_allclose(network(picture, training=True), plain, atol=1e-5)
    network = generator()
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(again(picture), network(picture))


def test_tflite_has_the_same_noise():
    network = generator()
    expected = network(pictures(1)).numpy()
    off = {}
    for variant in ("float32", "dynamic_int8"):
        content = tflite.convert(network, variant, SIZE)
        tflite.check_operators(content, variant)
        off[variant] = np.abs(tflite.run(content, pictures(1).numpy()) - expected)
    assert off["float32"].max() < 1e-4 and off["dynamic_int8"].mean() < 0.1 * expected.std()


def test_onnx_and_openvino_have_the_same_noise():
    pytest.importorskip("onnx")
    from tfcyclegan.exports import onnx_graph
    from tfcyclegan.exports.runtimes import ONNX, OPENVINO, open_program

    network = generator()
    content = onnx_graph.convert(network).SerializeToString()
    for program in (open_program(content, ONNX), open_program(content, OPENVINO, exact=True)):
        np.testing.assert_allclose(program(pictures(2).numpy()), network(pictures(2)), atol=5e-4)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"noise_inputs": True}, "--noise_inputs: requires --antialias_up"),
        (
            {"noise_inputs": True, "generator": "unet_256"},
            "--noise_inputs: requires ResNet generators",
        ),
        (
            {"noise_inputs": True, "antialias_up": True, "remat": True},
            "--remat: requires ResNet generators without dropout, noise and batch norm",
        ),
    ],
)
def test_where_noise_is_refused(options, error):
    with pytest.raises(UserError, match=error):
        TrainConfig(data_dir="data", run_dir="run", **options)


def test_a_generator_refuses_noise_without_blurs():
    with pytest.raises(UserError, match="noise_inputs: needs antialias_up"):
        ResnetGenerator(blocks=1, noise_inputs=True)
