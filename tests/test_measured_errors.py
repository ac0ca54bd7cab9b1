"""Errors of measurements in units: hand-computed numbers, scikit-image and NumPy in float64 as the
reference, and the traps of a fresh implementation.
"""

import numpy as np
import pytest
from skimage import metrics

from tfcyclegan.data.values import Values
from tfcyclegan.measures.evaluation_set import OWN
from tfcyclegan.measures.measured_errors import Moments, moments, tables
from tfcyclegan.measures.measured_set import MeasuredSet
from tfcyclegan.measures.tables import Interval

CT = Values("int16", (-1000,), (3000,), nodata=-2000, units="HU")
GENERATOR = np.random.default_rng(3)


def scores(picture, truth, values) -> dict[str, float]:
    return moments(picture, truth, values)[0].scores(values)


def column(*numbers, dtype=np.int16) -> np.ndarray:
    return np.array(numbers, dtype).reshape(1, -1, 1)


def test_by_hand():
    found = scores(column(0, 100, 300, 400), column(0, 200, 300, 600), CT)
    assert found["MAE"] == 75  # HU: (0 + 100 + 0 + 200) / 4
    assert found["RMSE"] == pytest.approx(np.sqrt(12_500))
    assert found["PSNR"] == pytest.approx(10 * np.log10(4000**2 / 12_500))
    assert found["correlation"] == pytest.approx(
        np.corrcoef([0, 100, 300, 400], [0, 200, 300, 600])[0, 1]
    )
    assert np.isnan(found["SSIM"]), "one row holds no window"


def test_unsigned_errors_do_not_wrap():
    values = Values("uint16", (0,), (65535,))
    found = scores(column(0, 10, dtype=np.uint16), column(2, 7, dtype=np.uint16), values)
    assert found["MAE"] == 2.5


@pytest.mark.parametrize("gaps", ["of both", "nodata", "nan"])
def test_what_is_invalid_in_either_is_left_out(gaps):
    picture, truth, values = column(0, 100, 7, 400), column(0, 200, 9, 0), CT
    if gaps == "nodata":
        truth[0, 2:] = -2000
    elif gaps == "of both":
        picture[0, 2], truth[0, 3] = -2000, -2000
    else:
        picture, truth = picture.astype(np.float32), truth.astype(np.float32)
        picture[0, 2:], values = np.nan, Values("float32", (-1000,), (3000,))
    found = scores(picture, truth, values)
    assert found["MAE"] == 50 and found["correlation"] == pytest.approx(1)
    nothing = scores(np.full((1, 2, 1), -2000, np.int16), column(1, 2), CT)
    assert all(np.isnan(value) for value in nothing.values())


def test_far_from_zero_they_are_those_of_the_same_data_near_zero():
    """SSIM and correlation in float32 of such values are anything."""
    truth = GENERATOR.normal(0.5, 0.1, (24, 20, 1))
    picture = truth + GENERATOR.normal(0, 0.05, truth.shape)
    truth, picture = (np.round(array * 256) / 256 for array in (truth, picture))
    near = scores(
        picture.astype(np.float32), truth.astype(np.float32), Values("float32", (0,), (1,))
    )
    offset = 2.0**15
    far = scores(
        (picture + offset).astype(np.float32),
        (truth + offset).astype(np.float32),
        Values("float32", (offset,), (offset + 1,)),
    )
    assert far == pytest.approx(near, rel=1e-9)
    reference = metrics.structural_similarity(
        truth[..., 0],
        picture[..., 0],
        data_range=1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert near["SSIM"] == pytest.approx(reference, abs=1e-12)
    assert near["PSNR"] == pytest.approx(
        metrics.peak_signal_noise_ratio(truth, picture, data_range=1)
    )


def test_ssim_is_taken_where_its_whole_window_is_valid():
    truth = GENERATOR.integers(-1000, 3000, (30, 32, 1)).astype(np.int16)
    picture = (truth // 2).astype(np.int16)
    whole = scores(picture, truth, CT)["SSIM"]
    wild = truth.copy()
    wild[:, 26:] = -2000  # a gap: its windows reach 5 columns to the left of it
    found = moments(picture, wild, CT)[0]
    assert found.windows == 20 * (21 - 5)
    assert found.scores(CT)["SSIM"] == pytest.approx(
        scores(picture[:, :26], truth[:, :26], CT)["SSIM"], abs=1e-12
    )
    assert found.scores(CT)["SSIM"] != pytest.approx(whole, abs=1e-9)


def test_pooling_is_scoring_the_volume_at_once():
    values = Values("float32", (100, 0), (500, 10))
    low, width = np.array(values.low), np.array([400, 10])
    truths = [low + width * GENERATOR.random((12, 14, 2)) * share for share in (0.1, 0.9, 0.5)]
    pictures = [truth + width * GENERATOR.normal(0, 0.1, truth.shape) for truth in truths]
    truths[1][:6] = np.nan
    pooled = Moments.pooled(
        [moments(*pair, values)[0] for pair in zip(pictures, truths, strict=True)]
    )
    known = np.isfinite(np.concatenate(truths)[..., 0])
    one, other = np.concatenate(pictures)[known], np.concatenate(truths)[known]
    found = pooled.scores(values)
    mean_squared = np.square(one - other).mean(axis=0)
    assert found["MAE"] == pytest.approx(np.abs(one - other).mean())
    assert found["RMSE"] == pytest.approx(np.sqrt(mean_squared).mean())
    assert found["PSNR"] == pytest.approx(-10 * np.log10((mean_squared / width**2).mean()))
    assert found["correlation"] == pytest.approx(
        np.mean([np.corrcoef(one[:, i], other[:, i])[0, 1] for i in range(2)])
    )


def test_a_constant_has_no_correlation_and_equal_ones_infinite_decibels():
    values = Values("float32", (0,), (1,))
    flat = np.full((12, 12, 1), 1 / 3, np.float32)
    assert np.isnan(scores(flat, GENERATOR.random((12, 12, 1)), values)["correlation"])
    equal = scores(flat, flat, values)
    assert (equal["PSNR"], equal["SSIM"], equal["MAE"]) == (np.inf, 1, 0)


@pytest.fixture(scope="module")
def measured() -> MeasuredSet:
    """Two subjects of two and one picture, with constant errors of 10, 30 and 80 HU."""
    truths = {
        name: GENERATOR.integers(0, 1000, (12, 12, 1)).astype(np.int16)
        for name in ("a1", "a2", "b")
    }
    errors = dict(zip(truths, (10, 30, 80), strict=True))
    regions = np.zeros((12, 12), np.uint8)
    regions[:6] = 4
    own = {name: (truth + errors[name]).astype(np.int16) for name, truth in truths.items()}
    own["b"][:6] += 20
    return MeasuredSet(
        CT,
        {OWN: own, "identity": {name: np.zeros_like(truth) for name, truth in truths.items()}},
        truths=truths,
        subjects={"a1": "a", "a2": "a"},
        regions={"b": regions},
        to_beat=("identity",),
    )


def test_subjects_are_pooled_then_averaged_and_told_by_themselves(measured):
    truth, medians, each, by_region = tables(measured, "pairs are known")
    assert truth.rows[OWN]["MAE"].value == pytest.approx((20 + 90) / 2)
    assert truth.rows[OWN]["MAE"].pictures == 2, "subjects"
    pooled = 10 * np.log10(4000**2 / ((10**2 + 30**2) / 2))
    assert each.rows["a"]["PSNR"].value == pytest.approx(pooled)
    assert each.rows["a"]["PSNR"].pictures == 2 and each.rows["b"]["MAE"].value == 90
    assert medians.rows[OWN]["MAE"] == Interval(55, 20 + 70 / 4, 90 - 70 / 4, 2)
    assert by_region.rows == {"region 4": by_region.rows["region 4"]}
    assert by_region.rows["region 4"]["MAE"].value == 100
    assert "correlation" not in truth.rows["identity"], "of a constant"
    assert truth.lost(OWN) == [] and truth.to_beat == ("identity",)
    assert "in HU; the range is -1000 to 3000" in truth.note
    assert truth.shown(OWN)[0].startswith("55.0 [")


def test_channels_have_a_row_each():
    values = Values("uint8", (0, 0), (255, 100), names=("red",))
    truth = np.zeros((11, 11, 2), np.uint8)
    own = truth + np.array([3, 10], np.uint8)
    found = tables(MeasuredSet(values, {OWN: {"x": own}}, truths={"x": truth}), "")
    assert [table.title for table in found] == ["Truth", "Truth by channel"]
    rows = found[1].rows
    assert rows["red"]["MAE"].value == 3 and rows["channel 2"]["MAE"].value == 10
    assert rows["channel 2"]["PSNR"].value == pytest.approx(20)
    assert tables(MeasuredSet(values, {OWN: {}}), "") == []
