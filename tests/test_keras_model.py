"""`CycleGAN` as Keras' users drive it: `fit` and `train_on_batch` on arrays."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

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


def compiled_model() -> CycleGAN:
    settings = config(
        Path("unused"), Path("unused"), load_size=Size(16, 16), crop_size=Size(16, 16), max_steps=3
    )
    model = build_model(settings, "float32")
    model.compile(
        *[make_optimizer(settings, settings.length(9), 9, dynamic_scale=False) for _ in "ab"]
    )
    return model


def test_a_model_is_fitted_to_arrays(arrays):
    model = compiled_model()
    history = model.fit(*arrays, epochs=2, verbose=0).history
    assert (
        int(model.step.value) == 2 * 3
        and np.isfinite(history["cycle_a"]).all()
        and history["skipped"] == [0, 0]
    )
    model.fit(*arrays, batch_size=2, verbose=0)  # the last batch is of one picture
    assert int(model.step.value) == 2 * 3 + 2


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
    with pytest.raises(UserError, match=r"^sample_weight"):
        model.train_on_batch(some, some, np.ones(2))
