"""CUT's networks, losses and options by hand; the official program's numbers are in test_golden."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.test_config import config
from tests.test_layers import filled, noise
from tfcyclegan import losses
from tfcyclegan.config import TranslateConfig
from tfcyclegan.errors import UserError
from tfcyclegan.methods.cut import CUT
from tfcyclegan.methods.factory import build_model
from tfcyclegan.methods.pix2pix import Pix2Pix
from tfcyclegan.networks import Discriminator, PatchSampler, make_generator
from tfcyclegan.networks.patch_sampler import patches_of, unit_vectors
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.training.checkpoints import Checkpoints
from tfcyclegan.training.history import Window
from tfcyclegan.training.runs import Run, check_resumable, read_run
from tfcyclegan.translation.translators import as_function, from_run

LAYERS = (0, 4, 8, 12)


def generator(**settings):
    blurs = {"antialias": True, "antialias_up": True}
    return filled(make_generator("resnet_1blocks", base_filters=4, seed=0, **blurs, **settings))


def small_cut(**options) -> CUT:
    network = generator(dtype="float32")
    return CUT(
        network,
        Discriminator(base_filters=4, layers=2, antialias=True, seed=1),
        PatchSampler(network.feature_channels(LAYERS), width=8, init_gain=1.0, seed=2),
        nce_layers=LAYERS,
        num_patches=12,
        **options,
    )


def test_published_parameter_counts():
    network = make_generator("resnet_9blocks", antialias=True, antialias_up=True)
    sampler = PatchSampler(network.feature_channels((0, 4, 8, 12, 16)))
    assert (network.count_params(), sampler.count_params()) == (11_378_179, 560_384)
    assert Discriminator(antialias=True).count_params() == 2_764_737
    assert Discriminator(in_channels=6, norm="batch").count_params() - 2 * 896 == 2_768_705


def test_a_patch_of_an_antialiased_discriminator_is_84_pixels_wide():
    network = Discriminator(base_filters=2, norm="none", init_gain=0.5, seed=0, antialias=True)
    x = tf.Variable(noise(1, 128, 128, 3).astype(np.float32))
    with tf.GradientTape() as tape:
        scores = network(x)
        score = scores[0, 7, 7, 0]
    touched = np.abs(tape.gradient(score, x).numpy()).sum(axis=(0, 3)) > 0
    rows = np.flatnonzero(touched.any(axis=1))
    assert scores.shape == Discriminator(base_filters=2)(x).shape
    assert rows[-1] - rows[0] + 1 == 84


def test_features_of_the_pass_that_translates_are_those_of_the_encoder():
    network, x = generator(), tf.constant(noise(1, 16, 20, 3), tf.float32)
    picture, features = network.with_features(x, LAYERS)
    np.testing.assert_array_equal(picture, network(x))
    for one, other, channels in zip(
        features, network.features(x, LAYERS), network.feature_channels(LAYERS), strict=True
    ):
        np.testing.assert_array_equal(one, other)
        assert one.shape[-1] == channels
    # the index of a norm and that of the activation behind it are one map; the last is the picture
    norm, activation, last = network.features(x, (5, 6, 23))
    np.testing.assert_array_equal(norm, activation)
    np.testing.assert_array_equal(last, picture)


@pytest.mark.parametrize("layers", [(), (4, 0), (4, 4), (-1,), (0, 24)])
def test_layers_that_are_not_there(layers):
    with pytest.raises(UserError, match="must be in ascending order, from 0 to 23 at most"):
        generator().feature_channels(layers)


def test_recomputing_gives_the_same_gradients():
    x, gradients = tf.constant(noise(1, 16, 16, 3), tf.float32), []
    for recompute in (False, True):
        network = generator()
        network.recompute = recompute
        with tf.GradientTape() as tape:
            picture, features = network.with_features(x, LAYERS, training=True)
            loss = tf.reduce_sum(picture**2) + sum(tf.reduce_sum(each**2) for each in features)
        gradients.append(tape.gradient(loss, network.trainable_variables))
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(one).max())


def test_patches_come_picture_by_picture():
    maps = tf.reshape(tf.range(2 * 2 * 3 * 1), [2, 2, 3, 1])
    np.testing.assert_array_equal(patches_of(maps, tf.constant([5, 0]))[:, 0], [5, 0, 6 + 5, 6 + 0])


def test_unit_vectors_by_hand():
    vectors = unit_vectors(tf.constant([[3.0, 4.0], [3e-7, 4e-7], [0.0, 0.0]], tf.float64))
    expected = [[3 / (5 + 1e-7), 4 / (5 + 1e-7)], [3 / 6, 4 / 6], [0, 0]]
    np.testing.assert_allclose(vectors, expected, rtol=1e-12)


def test_the_patch_sampler_computes_in_float32():
    """Vectors of 1e-5 are unit vectors even where the networks are of float16."""
    sampler = PatchSampler([3], width=4, init_gain=1e-3, seed=0, dtype="mixed_float16")
    (vectors,) = sampler([tf.ones([1, 2, 2, 3], tf.float16)], [tf.range(4)])
    assert vectors.dtype == tf.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=0.1)


def test_patch_nce_by_hand():
    """Two patches, temperature 1: e^1 against e^0 for each query; the sum's mean is the layers'."""
    unit = tf.constant([[1.0, 0.0], [0.0, 1.0]], tf.float64)
    right = -np.log(np.e / (np.e + 1 + np.exp(-10)))
    swapped = -np.log(1 / (1 + np.e + np.exp(-10)))
    settings = {"pictures": 1, "temperature": 1.0}
    loss = losses.patch_nce_loss([unit, unit], [unit, unit[::-1]], **settings)
    assert float(loss) == pytest.approx((right + swapped) / 2, rel=1e-12)


def test_negatives_come_from_the_same_picture_unless_from_all():
    vectors = tf.constant([[1.0, 0.0], [1.0, 0.0]], tf.float64)  # one patch of each of two pictures
    alone = losses.patch_nce_loss([vectors], [vectors], pictures=2)
    both = losses.patch_nce_loss([vectors], [vectors], pictures=2, all_negatives=True)
    assert float(alone) == pytest.approx(0, abs=1e-12)
    assert float(both) == pytest.approx(np.log(2), rel=1e-12)


def test_positions_do_not_repeat_and_follow_from_the_step():
    model = small_cut()
    first = model.patch_positions("a", 0, 100).numpy()
    assert len(set(first)) == 12 and first.min() >= 0 and first.max() < 100
    assert sorted(model.patch_positions("a", 0, 5).numpy()) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(first, small_cut().patch_positions("a", 0, 100))
    others = [
        model.patch_positions("b", 0, 100).numpy(),
        model.patch_positions("a", 1, 100).numpy(),
        small_cut(seed=1).patch_positions("a", 0, 100).numpy(),
    ]
    coins = []
    for _ in range(64):
        model.step.assign_add(1)
        coins.append(bool(model.is_mirrored()))
    others.append(model.patch_positions("a", 0, 100).numpy())
    assert all(set(other) != set(first) for other in others)
    assert 16 < sum(coins) < 48


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_mirrored_step_compares_the_same_places(mirrored):
    """Of a generator that gives back what it is given, each query is its own key, mirrored or not:
    PatchNCE is the least that it can be.
    """

    same = SimpleNamespace(
        features=lambda x, layers, training: [x],
        with_features=lambda x, layers, training: (x, [x]),
    )
    model = small_cut(flip_equivariance=True)
    object.__setattr__(model, "gen_ab", same)
    model.nce_layers = (0,)
    model.patch_sampler = lambda features, ids: [
        unit_vectors(patches_of(*pair)) for pair in zip(features, ids, strict=True)
    ]
    real = tf.constant(noise(1, 6, 5, 3), tf.float32)
    coin = tf.constant(mirrored)
    fake, keys = model._translated(real, coin)
    np.testing.assert_array_equal(fake, real[:, :, ::-1] if mirrored else real)
    np.testing.assert_array_equal(keys[0], real)
    aligned = model._patch_nce("a", real, fake, keys, coin)
    astray = model._patch_nce("a", real, fake, keys, tf.constant(not mirrored))
    assert float(aligned) < 0.5 * float(astray)


def test_one_step_in_bfloat16_moves_all_networks():
    model = build_model(
        config(
            method="fastcut", residual_blocks=1, base_filters=4, discriminator_filters=4,
            nce_identity=True, num_patches=16, ema_decay=0.9, init_gain=0.5,
        ),
        "mixed_bfloat16",
    )  # fmt: skip
    assert model.reported == ("gan_ab", "nce_a", "nce_b", "disc_b", "accuracy_disc_b", "skipped")
    model.compile(Adam(1e-3), Adam(1e-3))
    before = {name: network.get_weights() for name, network in model.networks.items()}
    pictures = [tf.constant(noise(1, 24, 24, 3), tf.float32) for _ in range(2)]
    values = model.train_step(pictures)
    assert float(values["skipped"]) == 0 and float(values["nce_b"]) > 0
    for name, network in model.networks.items():
        moved = [
            not np.array_equal(*pair)
            for pair in zip(before[name], network.get_weights(), strict=True)
        ]
        assert np.mean(moved) > 0.7, name


DEFAULTS = {
    # method: lambda_nce, identity, mirrored, epochs, decaying, init, pool, blurs, load, gan, norm
    "cyclegan": (None, None, None, 100, 100, "normal", 50, False, "same", "lsgan", "instance"),
    "cut": (1.0, True, False, 200, 200, "xavier", 0, True, "crop", "lsgan", "instance"),
    "fastcut": (10.0, False, True, 150, 50, "xavier", 0, True, "crop", "lsgan", "instance"),
    "pix2pix": (None, None, None, 100, 100, "normal", 0, False, "same", "vanilla", "batch"),
}


@pytest.mark.parametrize("method", DEFAULTS)
def test_defaults_are_the_official_ones_of_the_method(method):
    made = config(method=method)
    length = made.length(10)
    assert DEFAULTS[method] == (
        made.lambda_nce, made.nce_identity, made.flip_equivariance, length.epochs,
        length.decay_epochs, made.init, made.pool_size, made.antialias, made.decay_load_size,
        made.gan_mode, made.norm,
    )  # fmt: skip
    assert made.antialias_up == made.antialias
    assert made.generator == ("unet_256" if method == "pix2pix" else "resnet")


def test_a_flag_that_is_given_wins():
    made = config(method="fastcut", epochs=5, init="normal", antialias=False, lambda_nce=2.0)
    assert (made.length(1).epochs, made.init, made.antialias, made.lambda_nce) == (
        5,
        "normal",
        False,
        2.0,
    )


REFUSED = {
    "cycle": ({"method": "cut", "lambda_a": 10.0}, "--lambda_a=10.0: requires --method=cyclegan"),
    "nce": ({"nce_identity": True}, "--nce_identity=true: requires --method=cut or fastcut, not"),
    "l1": ({"method": "cut", "lambda_l1": 1.0}, "--lambda_l1=1.0: requires --method=pix2pix"),
    "order": (
        {"method": "cut", "nce_layers": "16,0"},
        "--nce_layers=16,0: must be in ascending order",
    ),
    "twice": (
        {"method": "cut", "nce_layers": "4,4"},
        "--nce_layers=4,4: must be in ascending order",
    ),
    "far": ({"method": "cut", "nce_layers": "0,32"}, "the generator's last layer is 31"),
    "words": ({"method": "cut", "nce_layers": "0,x"}, "must be numbers separated by commas"),
    "unet": ({"method": "cut", "generator": "unet_256"}, "needs a ResNet generator"),
    "gray": ({"method": "cut", "channels_a": 1}, "needs domains with the same number of channels"),
    "xla": ({"method": "cut", "xla": True}, "--xla: not with --method=cut"),
    "resize": ({"method": "cut", "upsampling": "resize"}, "give --noantialias_up"),
    "nothing": ({"method": "pix2pix", "lambda_gan": 0.0, "lambda_l1": 0.0}, "no loss is left"),
    "no nce": ({"method": "cut", "lambda_nce": 0.0}, "--lambda_nce=0.0: must be greater than 0"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_options_that_do_not_go_with_the_method(options, message):
    with pytest.raises(UserError) as caught:
        config(**options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_the_discriminator_of_pairs_sees_both_pictures():
    network = make_generator("unet_128", base_filters=2)
    with pytest.raises(UserError, match="takes 3 channels, but judges pairs of 6"):
        Pix2Pix(network, Discriminator(base_filters=2))
    model = build_model(
        config(method="pix2pix", base_filters=2, channels_a=1, discriminator_filters=2), "float32"
    )
    assert model.disc_b.settings["in_channels"] == 4 and model.takes_pairs


def test_a_restored_training_goes_on_as_if_nothing_had_happened(tmp_path):
    """The sampler's weights and moments, the running means, positions and coins included."""
    model = build_model(
        config(
            method="fastcut", residual_blocks=1, base_filters=4, discriminator_filters=4,
            discriminator_layers=2, num_patches=8, ema_decay=0.9, nce_layers="0,12",
        ),
        "float32",
    )  # fmt: skip
    model.compile(Adam(1e-3), Adam(1e-3))
    step = tf.function(model.train_step, autograph=False)

    def steps(first: int) -> list[dict]:
        pictures = [
            tuple(tf.constant(noise(1, 16, 16, 3, seed=seed), tf.float32) for seed in (n, n + 50))
            for n in range(first, first + 3)
        ]
        return [{name: float(value) for name, value in step(pair).items()} for pair in pictures]

    steps(0)
    checkpoints = Checkpoints(tmp_path, model, Window(len(model.reported)), keep=1)
    checkpoints.save()
    checkpoints.wait()
    undisturbed = steps(3)
    weights = {name: network.get_weights() for name, network in model.networks.items()}
    assert checkpoints.restore_latest() == []
    assert int(model.step.numpy()) == 3 and steps(3) == undisturbed
    for name, network in model.networks.items():
        for one, other in zip(weights[name], network.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_run_of_one_method_is_not_resumed_as_another(tmp_path):
    runs = [
        Run(tmp_path, config(method=method), "float32", "data") for method in ("cut", "fastcut")
    ]
    with pytest.raises(UserError, match=r"a run with --method=cut, not fastcut; choose another"):
        check_resumable(*runs)


def test_the_training_mode_takes_each_pictures_own_statistics():
    network = make_generator("resnet_1blocks", base_filters=4, norm="batch", init="kaiming", seed=0)
    picture = noise(1, 16, 16, 3).astype(np.float32)
    translated = as_function(network, training=True)(picture)
    np.testing.assert_allclose(translated, network(picture, training=True), atol=1e-5)
    assert np.abs(translated - network(picture)).max() > 0.1


def test_the_training_mode_is_refused_where_it_changes_nothing(imported):
    with pytest.raises(UserError, match="--training_mode: has no effect on"):
        from_run(read_run(imported), "latest", "ab", training_mode=True)
    with pytest.raises(UserError, match="--training_mode: requires --run_dir and no --tile"):
        TranslateConfig(run_dir="r", input="i", output="o", training_mode=True, tile=64)
