"""Measurements in another size: by the mean, without wrapping, smearing or a type's noise."""

import numpy as np
import pytest
from PIL import Image

from tfcyclegan.config import Size
from tfcyclegan.data.interpolation import NEAREST
from tfcyclegan.data.resampling import resize_values
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError


def values(dtype: str, channels: int = 1, nodata: float | None = None) -> Values:
    return Values(dtype, (0.0,) * channels, (1.0,) * channels, nodata)


def test_channels_are_those_that_pillow_makes_of_each_in_float():
    array = np.random.default_rng(0).normal(1000, 300, (9, 11, 5)).astype(np.float32)
    made = resize_values(array, values("float32", 5), Size(6, 4), "bicubic")
    for channel in range(5):
        expected = Image.fromarray(array[..., channel]).resize((4, 6), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(made[..., channel], expected)
    assert made.dtype == np.float32


@pytest.mark.parametrize(("dtype", "low", "high"), [("uint16", 0, 65535), ("int16", -32768, 32767)])
def test_overshoot_is_clipped_and_never_wraps(dtype, low, high):
    edge = np.full((8, 8, 1), low, dtype)
    edge[:, 4:] = high
    made = resize_values(edge, values(dtype), Size(8, 16), "bicubic")[0, :, 0].astype(int)
    assert made.min() == low and made.max() == high and made.dtype == int
    assert (
        (np.diff(made[5:11]) >= 0).all() and (made[:4] == low).all() and (made[-4:] == high).all()
    )


def test_halves_are_rounded_once():
    array = np.array([[1, 2], [2, 4]], np.int16)[..., None]
    assert resize_values(array, values("int16"), Size(1, 1), "area").item() == 2  # of 2.25
    assert resize_values(array - 3, values("int16"), Size(1, 1), "area").item() == -1  # of -0.75


@pytest.mark.parametrize(("dtype", "gap"), [("float32", np.nan), ("int16", -999)])
def test_gaps_do_not_smear(dtype, gap):
    """Of four pixels that become one, the valid ones are averaged; with one of four left it is a
    gap.
    """
    array = np.array([[10, 20, gap, gap], [30, gap, gap, 40], [gap, gap, 1, 2], [gap, gap, 3, 4]])
    known = values(dtype, nodata=-999)
    made = resize_values(array.astype(dtype)[..., None], known, Size(2, 2), "area")[..., 0]
    expected = np.array([[20, -999], [-999, 2.5]]).astype(dtype)
    if dtype == "int16":
        expected[1, 1] = 2
    np.testing.assert_array_equal(made, expected)
    assert known.invalid(made[..., None])[..., 0].tolist() == [[False, True], [True, False]]


def test_a_valid_value_does_not_become_a_gap_by_rounding():
    array = np.array([[-1, 1]], np.int16)[..., None]
    known = values("int16", nodata=0)
    assert resize_values(array, known, Size(1, 1), "area").item() == 1
    assert not known.invalid(resize_values(array, known, Size(1, 1), "bilinear")).any()


def test_nearest_takes_values_as_they_are_and_a_right_size_is_left_alone():
    array = np.array([[1.5, np.nan], [2.5, 3.5]], np.float32)[..., None]
    made = resize_values(array, values("float32"), Size(4, 4), NEAREST)[..., 0]
    np.testing.assert_array_equal(made, np.repeat(np.repeat(array[..., 0], 2, 0), 2, 1))
    assert resize_values(array, values("float32"), Size(2, 2)) is array
    with pytest.raises(UserError, match="--interpolation=bilinear_opencv"):
        resize_values(array, values("float32"), Size(4, 4), "bilinear_opencv")
