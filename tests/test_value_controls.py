"""Controls of measurements, by hand."""

import numpy as np
import pytest

from tfcyclegan.data.values import Values
from tfcyclegan.measures import value_controls
from tfcyclegan.measures.value_controls import make_value_controls, picture_values

MR = Values("float32", (0,), (4,))
CT = Values("int16", (-1000,), (3000,), nodata=-2000, units="HU")
GENERATOR = np.random.default_rng(5)


def ct(array) -> np.ndarray:
    return np.asarray(array, np.int16)[..., np.newaxis]


@pytest.fixture(scope="module")
def made():
    real = [ct(GENERATOR.integers(-1000, 3001, (16, 16))), ct([[-2000] * 16] * 16)]
    truth = ct(GENERATOR.integers(-1000, 3001, (16, 16)))
    pair = (3 - truth.astype(np.float32) / 1000, truth)
    return make_value_controls(MR, CT, real, train_pairs=[pair]), real, pair


def test_identity_is_the_place_in_the_range_or_the_number_where_units_agree(made):
    controls = made[0].controls
    array = np.float32([0, 1, 4, 9, np.nan]).reshape(1, 5, 1)
    found = controls["identity"](array)
    assert found.dtype == np.int16 and found.ravel().tolist() == [-1000, 0, 3000, 3000, -2000]
    assert "identity keeps a value's position in its range" in made[0].told[0]
    cone = Values("int16", (-500,), (500,), units="HU")
    same = make_value_controls(cone, CT, made[1])
    assert same.controls["identity"](ct([[-900, 700]])).ravel().tolist() == [-900, 700]
    assert same.told == []


def test_matching_takes_moments_and_histograms_of_the_target(made):
    ramp = np.linspace(1, 2, 16 * 16, dtype=np.float32).reshape(16, 16, 1)
    real = made[1][0].astype(np.float64)
    moved = made[0].controls["mean and deviation matching"](ramp)
    # clipped at the ends of the range, which a uniform ramp only touches
    assert moved.mean() == pytest.approx(real.mean(), abs=5)
    assert moved.std() == pytest.approx(real.std(), abs=10)
    matched = made[0].controls["histogram matching"](ramp).ravel()
    # values that share one of the histogram's steps of 4 HU share their ranks
    np.testing.assert_allclose(matched, np.sort(real.ravel()), atol=16)
    assert (np.diff(matched) >= 0).all()


def test_linear_fit_of_training_pairs_undoes_an_inversion(made):
    (controls, _, (array, truth)) = made
    np.testing.assert_allclose(controls.controls["linear fit"](array), truth, atol=1)
    assert "linear fit" in controls.to_beat
    test = make_value_controls(MR, CT, made[1], test_pairs=[(array, truth)])
    assert value_controls.LINEAR_OF_TEST in test.controls and "linear fit" not in test.to_beat
    assert any("a ceiling that no verdict relies on" in line for line in test.told)


def test_nearest_real_is_a_training_measurement_and_constant_their_mean(made):
    dark, bright = (np.full((16, 16, 1), value, np.int16) for value in (0, 2000))
    bright[:, :8] = 0
    controls = make_value_controls(MR, CT, [dark, bright]).controls
    half = np.ones((16, 16, 1), np.float32)
    half[:, :8] = 0
    np.testing.assert_array_equal(controls["nearest real"](half), bright)
    assert np.unique(controls["constant"](half)).tolist() == [502]  # 500, to the histogram's steps
    other_size = controls["nearest real"](np.ones((4, 4, 1), np.float32))
    assert np.unique(other_size).tolist() == [502]


def test_other_channels_leave_out_what_starts_from_the_input():
    scene = Values("uint16", (0,) * 4, (100,) * 4)
    array = GENERATOR.integers(0, 101, (12, 12, 4)).astype(np.uint16)
    truth = ct(array[..., 0] * 20.0 - array[..., 3] * 10.0)
    made = make_value_controls(scene, CT, [truth], train_pairs=[(array, truth)])
    assert set(made.controls) == {"constant", "linear fit"} == set(made.to_beat)
    assert "the inputs have 4 channels, the targets 1" in made.left_out[0]
    np.testing.assert_allclose(made.controls["linear fit"](array), truth, atol=1)


def test_pictures_are_values_of_8_bit():
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    made = make_value_controls(picture_values(1), MR, [np.zeros((4, 4, 1), np.float32)])
    np.testing.assert_allclose(
        made.controls["identity"](gray), gray / np.float32(255) * 4, rtol=1e-5
    )
