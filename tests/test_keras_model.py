"""`CycleGAN` as Keras' users drive it: `fit` with callbacks, `train_on_batch`, saving and
loading.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcyclegan
from tests.test_training import config
from tfcyclegan.config import Size
from tfcyclegan.errors import UserError
from tfcyclegan.methods.cyclegan import CycleGAN
from tfcyclegan.methods.factory import build_model
from tfcyclegan.training.trainer import make_optimizer


@pytest.fixture(scope="module")
def arrays() -> tuple[np.ndarray, np.ndarray]:
    """Pictures of both domains; there are more of b."""
    random = np.random.default_rng(0)
    return tuple(random.uniform(-1, 1, (count, 16, 16, 3)).astype(np.float32) for count in (2, 3))  # type: ignore[return-value]


def compiled_model(**changes) -> CycleGAN:
    size = {"load_size": Size(16, 16), "crop_size": Size(16, 16)}
    settings = config(Path("unused"), Path("unused"), **size, max_steps=3, **changes)
    model = build_model(settings, "float32")
    model.compile(
        *[make_optimizer(settings, settings.length(9), 9, dynamic_scale=False) for _ in "ab"]
    )
    return model


@pytest.fixture(scope="module")
def fitted(arrays, tmp_path_factory) -> tuple[CycleGAN, keras.callbacks.History, Path]:
    """A model fitted with Keras' callbacks, and the folder of their files."""
    model, place = compiled_model(ema_decay=0.5), tmp_path_factory.mktemp("fitted")
    monitor = {"monitor": "cycle_a", "mode": "min"}
    callbacks = [
        keras.callbacks.TensorBoard(place / "board"),
        keras.callbacks.ModelCheckpoint(place / "model.keras"),
        keras.callbacks.ModelCheckpoint(place / "{epoch}.weights.h5", save_weights_only=True),
        # nothing is as much better as that, so that it ends after the second of nine epochs
        keras.callbacks.EarlyStopping(**monitor, min_delta=1e9, start_from_epoch=0),
    ]
    history = model.fit(*arrays, epochs=9, verbose=0, callbacks=callbacks)
    return model, history, place


def test_callbacks_of_keras(fitted):
    _, history, place = fitted
    assert history.epoch == [0, 1], "EarlyStopping ended it"
    events = list((place / "board" / "train").iterdir())
    tags = {
        value.tag
        for path in events
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {"epoch_cycle_a", "epoch_disc_b"} <= tags
    assert sorted(path.name for path in place.glob("*.h5")) == ["1.weights.h5", "2.weights.h5"]


def test_a_saved_model_comes_back_whole_without_optimizers(fitted, arrays, monkeypatch):
    model, _, place = fitted
    again = keras.models.load_model(place / "model.keras")
    assert type(again) is CycleGAN and not again.compiled
    assert not hasattr(again, "generator_optimizer")
    options = ("gan_mode", "lambda_a", "lambda_identity", "pool_size", "ema_decay", "seed")
    assert [getattr(again, n) for n in options] == [getattr(model, n) for n in options]
    other = compiled_model(ema_decay=0.5)
    other.load_weights(place / "2.weights.h5")
    for loaded in (again, other):
        for weight, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, expected)
        for direction in "ab", "ba":  # by the running means
            mean, expected = (one.generator(direction)(arrays[0]) for one in (loaded, model))
            np.testing.assert_array_equal(mean, expected)
    assert np.abs(again.generator("ab")(arrays[0]) - again(arrays[0])).max() > 0
    monkeypatch.setattr(model, "segment", tf.identity)
    with pytest.raises(UserError, match=r"^CycleGAN: its segmenter or teachers cannot be saved"):
        model.get_config()


def test_all_methods_come_back_by_their_config():
    small = {"base_filters": 4, "seed": 1}
    generator = tfcyclegan.ResnetGenerator(blocks=1, **small)
    judge, of_pairs = (tfcyclegan.Discriminator(in_channels=n, layers=1, **small) for n in (3, 6))
    layers = (0, 4)
    sampler = tfcyclegan.PatchSampler(generator.feature_channels(layers), width=8, seed=1)
    options = {"lambda_gan": 0.5, "pool_size": 2, "seed": 3, "diffaugment": ("color",)}
    methods = [
        tfcyclegan.CUT(generator, judge, sampler, nce_layers=layers, num_patches=7, **options),
        tfcyclegan.Pix2Pix(generator, of_pairs, lambda_l1=9.0, **options),
    ]
    for method in methods:
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(method))
        assert type(again) is type(method) and again.get_config() == method.get_config()
        assert {n: type(x) for n, x in again.networks.items()} == {
            n: type(x) for n, x in method.networks.items()
        }
        assert (again.lambda_gan, again.diffaugment) == (0.5, ("color",))
    assert methods[0].get_config()["num_patches"] == 7


def test_summaries_count_the_weights(fitted, capsys):
    model = fitted[0]
    for network in (model, model.gen_ab, model.disc_a):
        network.summary()
        assert f"Total params: {network.count_params():,}" in capsys.readouterr().out


def test_a_model_is_fitted_to_arrays(fitted, arrays):
    model, history, _ = fitted
    step = int(model.step.value)
    assert step == 2 * 3 and np.isfinite(history.history["cycle_a"]).all()
    assert history.history["skipped"] == [0, 0]
    model.fit(*arrays, batch_size=2, verbose=0)  # the last batch is of one picture
    assert int(model.step.value) == step + 2


def test_training_on_a_batch_is_the_step(arrays):
    given = arrays[0], arrays[1][:2]
    by_keras, by_step = compiled_model(), compiled_model()
    by_step.make_pools((16, 16, 3), (16, 16, 3))
    found = by_keras.train_on_batch(*given, return_dict=True)
    expected = tf.function(by_step.train_step, autograph=False)(tuple(map(tf.constant, given)))
    assert found == pytest.approx(
        {name: float(value) for name, value in expected.items()}, abs=1e-5
    )


def test_what_keras_cannot_be_given_is_named(arrays):
    model, (some, others) = compiled_model(), arrays
    for work in (model.fit, model.train_on_batch):
        with pytest.raises(UserError, match=r"^y: must be pictures \[N, H, W, C\]"):
            work(some)
        with pytest.raises(UserError, match=r"^x: pictures must be floats in \[-1, 1\]"):
            work(np.zeros((2, 16, 16, 3), np.uint8), some)
        with pytest.raises(UserError, match=r"^y: pictures must be floats in \[-1, 1\]"):
            work(some, others * 255)
    with pytest.raises(UserError, match=r"^validation_data, evaluate: .* tfcyclegan.evaluate"):
        model.evaluate(some, some, verbose=0)
    with pytest.raises(UserError, match=r"^sample_weight"):
        model.train_on_batch(some, some, np.ones(2))


class Counting(CycleGAN):
    """Reports the number of the step."""

    def train_step(self, data):
        self.step.assign_add(1)
        return {"cycle_a": tf.cast(self.step.value, tf.float32)}


def test_the_history_holds_means_over_the_steps_of_an_epoch(arrays):
    networks = [tfcyclegan.ResnetGenerator(blocks=1, base_filters=4) for _ in "ab"]
    networks += [tfcyclegan.Discriminator(base_filters=4, layers=1) for _ in "ab"]
    model = Counting(*networks, pool_size=0)
    model.compile(tfcyclegan.Adam(), tfcyclegan.Adam())
    history = model.fit(*arrays, epochs=2, verbose=0).history
    assert history == {"cycle_a": [(1 + 2 + 3) / 3, (4 + 5 + 6) / 3]}
    assert model.train_on_batch(arrays[0], arrays[1][:2], return_dict=True) == {"cycle_a": 7}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"validation_data": (1, 1)}, r"^validation_data, evaluate: .* tfcyclegan.evaluate"),
        ({"validation_split": 0.5}, r"^validation_data, evaluate: "),
        (
            {"callbacks": keras.callbacks.ReduceLROnPlateau("cycle_a", mode="min")},
            r"^callbacks: ReduceLROnPlateau sets the rate of one optimizer.*schedules",
        ),
        (
            {"callbacks": [keras.callbacks.TerminateOnNaN()]},
            r"^callbacks: TerminateOnNaN .*skipped",
        ),
    ],
)
def test_what_would_fail_after_an_epoch_is_refused_before_it(arrays, given, message):
    with pytest.raises(UserError, match=message):
        compiled_model().fit(*arrays, verbose=0, **given)


def test_sides_that_do_not_fit_are_refused_before_the_first_step(arrays):
    model, (some, others) = compiled_model(), arrays
    twice = [np.tile(pictures, (1, 2, 2, 1)) for pictures in arrays]
    for work in (model.fit, model.train_on_batch):
        with pytest.raises(UserError, match=r"15x16 and 15x16: .* multiples of 4; crop"):
            work(some[:, :15], others[:, :15])
        with pytest.raises(UserError, match=r"32x32 and 16x16: with an image pool both domains"):
            work(twice[0], others)
    model.make_pools((16, 16, 3), (16, 16, 3))
    with pytest.raises(UserError, match=r"^x: pictures of 32x32: this model's .* hold 16x16"):
        model.fit(*twice)


@pytest.mark.parametrize(
    ("given", "mend"),
    [
        ({"loss_weights": {"cycle_a": 20}}, "lambda_a"),
        ({"metrics": ["mae"]}, "tfcyclegan.evaluate"),
        ({"steps_per_execution": 4}, "means of an epoch"),
    ],
)
def test_arguments_of_compile_without_effect_are_refused(given, mend):
    (name,) = given
    with pytest.raises(UserError, match=f"^compile: {name}: has no effect .*{mend}"):
        compiled_model().compile(tfcyclegan.Adam(), tfcyclegan.Adam(), **given)


def test_float16_needs_a_scaled_loss(arrays):
    networks = [
        tfcyclegan.ResnetGenerator(blocks=1, base_filters=4, dtype="mixed_float16") for _ in "ab"
    ]
    networks += [
        tfcyclegan.Discriminator(base_filters=4, layers=1, dtype="mixed_float16") for _ in "ab"
    ]
    model = CycleGAN(*networks, pool_size=0)
    model.compile(tfcyclegan.Adam(), tfcyclegan.Adam())
    with pytest.raises(
        UserError, match=r"^compile: gen_ab computes in float16.*dynamic_scale=True"
    ):
        model.train_on_batch(*arrays)


def test_an_optimizer_of_keras_is_refused():
    with pytest.raises(UserError, match=r"^compile: takes tfcyclegan.Adam\(.*not Adam of Keras$"):
        compiled_model().compile(tfcyclegan.Adam(), keras.optimizers.Adam())
