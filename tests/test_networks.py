"""Generators and discriminators beyond the contract (test_contract.py): seeds, published sizes, and
what they refuse.
"""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.test_contract import small_graph
from tests.test_layers import NORMAL, filled, noise
from tfcyclegan.config import ARCHITECTURES
from tfcyclegan.errors import UserError
from tfcyclegan.networks import (
    Discriminator,
    GraphGenerator,
    InstanceNormalization,
    ResnetGenerator,
    UnetGenerator,
    make_generator,
)
from tfcyclegan.networks.graph import LAYERS
from tfcyclegan.networks.layers import UpConv2D, weight_initializers
from tfcyclegan.networks.norms import make_norm

SMALL = {"base_filters": 4, "seed": 5}


def make_small(name: str, **settings) -> keras.Model:
    makers = {
        "resnet": lambda **options: ResnetGenerator(blocks=2, **options),
        "unet": lambda **options: UnetGenerator(**{"depth": 5, **options}),
        "patch": lambda **options: Discriminator(layers=2, **options),
        "pixel": lambda **options: Discriminator(architecture="pixel", **options),
    }
    return makers[name](**{**SMALL, **settings})


@pytest.mark.parametrize("init", ["normal", "xavier", "kaiming", "orthogonal"])
@pytest.mark.parametrize("name", ["resnet", "unet", "patch", "pixel"])
def test_seeds(name, init):
    one, same, other = (make_small(name, init=init, seed=seed).get_weights() for seed in (5, 5, 6))
    kernels = [index for index, value in enumerate(one) if value.ndim == 4]
    for index, value in enumerate(one):
        np.testing.assert_array_equal(value, same[index])
        if index in kernels:
            assert not np.array_equal(value, other[index])
        else:
            assert not value.any(), "biases start at 0"
    starts = {tuple(np.sort(one[index].ravel())[:3]) for index in kernels}
    assert len(starts) == len(kernels), "no two layers have the same draws"


def test_a_network_with_its_input_learns_a_difference_from_none():
    network = ResnetGenerator(blocks=1, base_filters=4, input_skip=True, seed=5)
    pictures = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 3)), tf.float32)
    np.testing.assert_array_equal(network(pictures), pictures)
    network.head.bias.assign([0.5, 0, -0.5])
    expected = np.clip(pictures + np.float32([0.5, 0, -0.5]), -1, 1)
    np.testing.assert_allclose(network(pictures), expected, atol=1e-6)
    translated, (features,) = network.with_features(pictures, [4])
    np.testing.assert_array_equal(translated, network(pictures))
    np.testing.assert_array_equal(features, network.features(pictures, [4])[0])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_options_know_which_sides_a_generator_takes(name):
    generator = make_generator(name, base_filters=2)
    assert generator.size_multiple == ARCHITECTURES[name].size_multiple


def test_published_parameter_counts():
    nine, six = make_generator("resnet_9blocks"), make_generator("resnet_6blocks")
    discriminator = Discriminator()
    assert (nine.count_params(), six.count_params(), discriminator.count_params()) == (
        11_378_179,
        7_837_699,
        2_764_737,
    )
    assert 2 * (nine.count_params() + discriminator.count_params()) == 28_285_832


def test_discriminator_gives_30_x_30_scores_for_256_x_256():
    patch, pixel = (
        Discriminator(base_filters=1),
        Discriminator(architecture="pixel", base_filters=1),
    )
    assert patch(tf.zeros([1, 256, 256, 3])).shape == (1, 30, 30, 1)
    assert pixel(tf.zeros([1, 32, 20, 3])).shape == (1, 32, 20, 1)


def test_a_patch_is_70_pixels_wide():
    """The score in the middle depends on 70 x 70 pixels and no more."""
    network = Discriminator(base_filters=2, norm="none", init_gain=0.5, seed=0)
    x = tf.Variable(noise(1, 128, 128, 3).astype(np.float32))
    with tf.GradientTape() as tape:
        score = network(x)[0, 7, 7, 0]
    touched = np.abs(tape.gradient(score, x).numpy()).sum(axis=(0, 3)) > 0
    rows, columns = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
    assert (rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1) == (70, 70)


def test_residual_blocks_add_to_their_input():
    """A block whose second convolution is 0 changes nothing."""
    network, bare = (
        ResnetGenerator(blocks=blocks, norm="none", init="kaiming", **SMALL) for blocks in (1, 0)
    )
    for ours, theirs in zip(
        [*network.down, *network.up, network.head], [*bare.down, *bare.up, bare.head], strict=True
    ):
        theirs.set_weights(ours.get_weights())
    network.block_second[0].kernel.assign(tf.zeros_like(network.block_second[0].kernel))
    x = tf.constant(noise(1, 12, 12, 3), tf.float32)
    np.testing.assert_array_equal(network(x), bare(x))


@pytest.mark.parametrize("name", ["resnet", "unet"])
def test_dropout_works_in_training_alone_and_differs_between_calls(name):
    # a U-Net of depth 5 has no inner block of full width
    depth = {"depth": 6} if name == "unet" else {}
    network, plain = (
        make_small(name, dropout=True, init_gain=0.3, **depth),
        make_small(name, init_gain=0.3, **depth),
    )
    x = tf.constant(noise(1, 64, 64, 3), tf.float32)
    np.testing.assert_array_equal(network(x), plain(x))
    first, second = network(x, training=True).numpy(), network(x, training=True).numpy()
    assert np.abs(first - plain(x)).max() > 1e-3 and np.abs(first - second).max() > 1e-3


def test_residual_blocks_drop_different_values():
    network = ResnetGenerator(blocks=3, dropout=True, **SMALL)
    masks = {
        tuple((layer(tf.ones([1, 64]), training=True).numpy() > 0).ravel())
        for layer in network.dropouts
    }
    assert len(masks) == 3


@pytest.mark.parametrize(("name", "dtype"), [("resnet", "float64"), ("patch", "mixed_bfloat16")])
def test_saved_networks_keep_their_precision(name, dtype, tmp_path):
    network = filled(make_small(name, dtype=dtype))
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    assert again.dtype_policy.name == dtype
    x = tf.constant(noise(1, 32, 32, 3), network.compute_dtype)
    np.testing.assert_array_equal(tf.cast(again(x), tf.float64), tf.cast(network(x), tf.float64))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_every_layer_of_a_graph_takes_pictures_of_free_sizes(interpolation):
    """As `translate` and the SavedModel of `export` give them; Keras enlarges by other ways than
    "nearest" where sides are known alone.
    """
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(keras.layers.ZeroPadding2D(2)(inputs))
    x = keras.layers.Add()(
        [keras.layers.ReLU()(x), keras.layers.LeakyReLU()(InstanceNormalization(4)(x))]
    )
    small = keras.layers.BatchNormalization()(
        keras.layers.AveragePooling2D(2)(keras.layers.Dropout(0.5)(x))
    )
    small = keras.layers.Concatenate()([small, keras.layers.MaxPooling2D(2)(x)])
    x = keras.layers.Activation("tanh")(
        keras.layers.UpSampling2D((4, 4), interpolation=interpolation)(small)
    )
    x = keras.layers.Conv2DTranspose(3, 3, padding="same")(keras.layers.Cropping2D(2)(x))
    graph = json.loads(json.dumps(keras.Model(inputs, x).get_config()))
    assert {layer["class_name"] for layer in graph["layers"]} == LAYERS.keys()
    network = filled(GraphGenerator(graph=graph))
    free = tf.function(
        network.__call__, input_signature=[tf.TensorSpec([None, None, None, 3])], autograph=False
    )
    for sides in ((16, 24), (20, 16)):
        images = tf.constant(noise(2, *sides, 3), tf.float32)
        assert network(images).shape == (2, *sides, 3)
        np.testing.assert_allclose(free(images), network(images), atol=1e-4)


def test_tflite_copies_of_a_graph_have_norms_for_tflite():
    plain = GraphGenerator(graph=small_graph())
    tflite_ops = GraphGenerator(graph=plain.settings["graph"], tflite_ops=True)
    norms = [
        [
            layer.tflite_ops
            for layer in model.graph.layers
            if isinstance(layer, InstanceNormalization)
        ]
        for model in (plain, tflite_ops)
    ]
    assert norms == [[False], [True]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: make_norm(
                "layer",
                3,
                gain=1,
                weights=weight_initializers("normal", 0.02, 0),
                tflite_ops=False,
                dtype=None,
            ),
            "norm 'layer': unknown choice; valid are instance, batch, none",
        ),
        (
            lambda: ResnetGenerator(norm="layer"),
            "norm 'layer': unknown choice; valid are instance, batch, none",
        ),
        (
            lambda: Discriminator(init="he"),
            "init 'he': unknown choice; valid are normal, xavier, kaiming, orthogonal",
        ),
        (
            lambda: ResnetGenerator(upsampling="bilinear"),
            "upsampling 'bilinear': unknown choice; valid are transposed, resize",
        ),
        (
            lambda: Discriminator(architecture="patchy"),
            "discriminator 'patchy': unknown choice; valid are patch, pixel",
        ),
        (
            lambda: Discriminator(padding_mode="same"),
            "padding_mode 'same': unknown choice; valid are zeros, reflect",
        ),
        (
            lambda: make_generator("resnet"),
            "generator 'resnet': unknown choice; valid are resnet_Nblocks .*, unet_128, unet_256",
        ),
        (
            lambda: make_generator("unet_512"),
            "generator 'unet_512': unknown choice; valid are resnet_Nblocks .*, unet_128, unet_256",
        ),
        (
            lambda: make_generator("nowhere.json"),
            "--generator=nowhere.json: cannot be read as a generator's graph",
        ),
        (lambda: UpConv2D(1, 1, 5, NORMAL), "kernel_size 5: must be 3 or 4"),
        (
            lambda: ResnetGenerator(blocks=1, in_channels=1, input_skip=True),
            "input_skip: needs as many channels out as in, not 3 and 1",
        ),
        (lambda: UnetGenerator(depth=4), "depth 4: must be at least 5"),
        (
            lambda: GraphGenerator(graph={"layers": [{"class_name": "Lambda"}]}),
            "has layers Lambda; supported are InputLayer, Conv2D",
        ),
    ],
)
def test_unknown_choices_name_the_valid_ones(make, message):
    with pytest.raises(UserError, match=message):
        make()
