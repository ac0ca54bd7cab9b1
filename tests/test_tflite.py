"""TFLite files without a run: what converts, what is refused, and which are called usable."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcyclegan.errors import RunError
from tfcyclegan.exporting import quality, tflite
from tfcyclegan.exporting.proof_pictures import Pictures
from tfcyclegan.networks import InstanceNormalization

QUANTIZED = quality.Candidate({}, lambda batch: batch, quantized=True)


@pytest.mark.parametrize(
    ("psnrs", "count", "unseen", "status"),
    [
        ((40, 30), 32, True, "usable"),
        ((40, 29.9), 32, True, "rejected"),
        ((40, 30), 31, True, "unproven"),
        ((40, 30), 32, False, "unproven"),
    ],
)
def test_mean_and_worst_must_pass_on_enough_unseen_pictures(psnrs, count, unseen, status):
    pictures = Pictures(
        np.zeros((count, 16, 16, 3), np.float32), ["one"] * count, "", real=True, unseen=unseen
    )
    assert quality.status_of(QUANTIZED, pictures, *psnrs, 30.0) == status


def test_a_file_that_phones_cannot_run_is_refused():
    inputs = keras.Input(batch_shape=(1, 8, 8, 3))
    model = keras.Model(inputs, keras.layers.Lambda(tf.image.rgb_to_hsv)(inputs))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    with pytest.raises(RunError, match="FlexRGBToHSV, which phones do not support"):
        tflite.check_operators(converter.convert(), "float32")


def test_values_that_are_no_numbers_are_refused():
    inputs = keras.Input(batch_shape=(1, 16, 16, 3))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: tf.sqrt(x - 2))(inputs))
    batch = np.zeros((1, 16, 16, 3), np.float32)
    pictures = Pictures(batch, ["testA/one.png"], "", real=False, unseen=False)
    content = tflite.convert_model(model, "float32")
    contents = {"float32": tflite.candidate("float32", content)}
    said = r"^testA/one.png: float32: the model's output has values that are not finite"
    with pytest.raises(RunError, match=said):
        quality.measure(contents, lambda batch: batch, pictures, 30.0)
    said = (
        r"^testA/one.png: the model's output has values that are not finite .* earlier --checkpoint"
    )
    with pytest.raises(RunError, match=said):
        quality.measure(contents, lambda batch: batch + np.inf, pictures, 30.0)


def test_the_norm_of_a_large_map_keeps_its_digits_and_is_the_delegate_s():
    """A mean over both sides at once is 4e-3 off here: LiteRT sums up a million values one after
    the other.
    """
    values = np.random.default_rng(0).normal(0.5, 0.05, (1, 1024, 1024, 1))
    inputs = keras.Input(batch_shape=values.shape)
    program = tflite.Program(
        tflite.convert_model(
            keras.Model(inputs, InstanceNormalization(1, tflite_ops=True)(inputs)), "float32"
        )
    )
    np.testing.assert_allclose(
        program(values.astype(np.float32)),
        (values - values.mean()) / np.sqrt(values.var() + 1e-5),
        atol=1e-4,
    )
    assert program.outside_delegate() == {}
