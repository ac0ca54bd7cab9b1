"""Differences from a known truth, by hand and against other programs."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import signal
from skimage import metrics

from tests.street_set import street_set
from tfcyclegan.data import labels
from tfcyclegan.errors import UserError
from tfcyclegan.measures import paired
from tfcyclegan.measures.lab import lab
from tfcyclegan.measures.tables import mean_of_known


def picture(seed: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 196, (side, side, 3), dtype=np.uint8)


REAL = [picture(index) for index in range(2)]


def test_paired_errors():
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert paired.absolute_error(black, white) == pytest.approx(2.0)
    assert paired.lab_error(black, white) == pytest.approx(100.0, abs=1e-3)
    assert paired.absolute_error(white, white) == paired.lab_error(white, white) == 0
    half = black.copy()
    half[0] = 255
    mask = np.array([[True, True], [False, False]])
    assert paired.lab_error(half, black, mask) == pytest.approx(100.0, abs=1e-3)
    assert paired.lab_error(half, black, ~mask) == 0
    assert np.isnan(paired.lab_error(half, black, np.zeros((2, 2), bool)))
    assert paired.overlap(mask, mask) == 1 and paired.overlap(mask, ~mask) == 0
    assert paired.overlap(mask, np.ones((2, 2), bool)) == 0.5
    assert paired.overlap(mask & ~mask, mask & ~mask) == 1
    sea = np.array([[[10, 20, 35], [10, 20, 34], [10, 20, 200], [200, 20, 10]]], np.uint8)
    assert paired.water(sea).tolist() == [[True, False, True, False]]


def ssim_of_wang(one: np.ndarray, other: np.ndarray) -> float:
    """Wang et al. 2004, Eq. 13 to 17, of one channel [H, W]: where the whole window lies inside the
    picture.
    """
    line = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2

    def mean(values: np.ndarray) -> np.ndarray:
        return signal.convolve2d(values, window, "valid")

    x, y = one.astype(float), other.astype(float)
    x_mean, y_mean = mean(x), mean(y)
    x_variance, y_variance, covariance = (
        mean(x * x) - x_mean**2,
        mean(y * y) - y_mean**2,
        mean(x * y) - x_mean * y_mean,
    )
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    numerator = (2 * x_mean * y_mean + c1) * (2 * covariance + c2)
    return float(
        (numerator / ((x_mean**2 + y_mean**2 + c1) * (x_variance + y_variance + c2))).mean()
    )


def test_psnr_and_ssim():
    """A difference of 5 levels is 10 log10(255^2 / 25) dB; SSIM of a constant shift is its
    luminance term alone.
    """
    base = np.full((16, 16, 3), 100, np.uint8)
    assert paired.psnr(base + 5, base) == pytest.approx(34.1514, abs=1e-4)
    assert paired.psnr(base, base) == math.inf
    constant = (0.01 * 255) ** 2
    assert paired.ssim(base + 50, base) == pytest.approx(
        (2 * 150 * 100 + constant) / (150**2 + 100**2 + constant), rel=1e-6
    )
    assert paired.ssim(REAL[0][:11, :11], REAL[0][:11, :11]) == pytest.approx(1)
    by_channel = [ssim_of_wang(one, other) for one, other in zip(REAL[0].T, REAL[1].T, strict=True)]
    assert paired.ssim(REAL[0], REAL[1]) == pytest.approx(np.mean(by_channel))
    assert paired.psnr(REAL[0], REAL[1]) == pytest.approx(
        metrics.peak_signal_noise_ratio(REAL[1], REAL[0])
    )
    with pytest.raises(UserError, match="picture of 10 x 16: SSIM needs at least 11"):
        paired.ssim(base[:, :10], base[:, :10])


def test_errors_by_class():
    """Road grey for grey, sky 51 levels off in one of three channels; what is ignored does not
    count.
    """
    ids = np.array([[7, 7], [23, 0]], np.uint8)
    truth = np.full((2, 2, 3), 100, np.uint8)
    fake = truth.copy()
    fake[1, 0, 2] = 151
    fake[1, 1] = 0
    found = paired.class_errors(fake, truth, ids, labels.CITYSCAPES)
    errors, colours = found["L1"], found["class colour"]
    assert errors[0] == 0 and errors[10] == pytest.approx(51 / 127.5 / 3)
    assert np.isnan(np.delete(errors, [0, 10])).all()
    step = np.linalg.norm(lab(fake[1:, :1]) - lab(truth[1:, :1]))
    assert (
        colours[0] == 0
        and colours[10] == pytest.approx(step)
        and np.isnan(np.delete(colours, [0, 10])).all()
    )
    assert mean_of_known(colours) == pytest.approx(step / 2)
    nothing = paired.class_errors(fake, truth, np.zeros_like(ids), labels.CITYSCAPES)
    assert math.isnan(mean_of_known(nothing["class colour"]))
    swapped = np.array([[[0] * 3, [200] * 3], [[100] * 3, [100] * 3]], np.uint8)
    mirrored = swapped[:, ::-1]
    moved = paired.class_errors(swapped, mirrored, ids, labels.CITYSCAPES)
    assert moved["class colour"][0] == 0, "texture within a class does not count"


@pytest.fixture(scope="module")
def truthful():
    """Translations that are the truths themselves, a little darker."""
    return street_set(lambda _, picture, true: (true * 0.9).astype(np.uint8), count=8)


def test_truth_by_class(truthful):
    table = paired.by_class(truthful)
    assert {"road", "sky", "building"} <= table.rows.keys()
    road = table.rows["road"]
    assert road["L1"].value < road["L1, colour matching"].value and road["L1"].pictures <= 8
    assert paired.by_class(dataclasses.replace(truthful, ids={})) == ""
    columns = {column.name for column in paired.table(truthful).columns}
    assert "class colour" in columns and paired.LPIPS not in columns
    small = {name: picture[:8, :8] for name, picture in truthful.truths.items()}
    tiny = dataclasses.replace(
        truthful, truths=small, ids={}, sets=dict.fromkeys(truthful.sets, small)
    )
    assert paired.table(tiny).startswith("truth: picture of 8 x 8: SSIM needs")
