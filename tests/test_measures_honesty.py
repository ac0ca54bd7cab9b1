"""A translator that hides its source in noise is told from an honest one; degradations and paired
scores by hand.
"""

import io
import math

import numpy as np
import pytest
from PIL import Image
from scipy import signal
from skimage import metrics
from tfcyclegan.measures.degrade import cycle_honesty

from tfcyclegan.data import labels
from tfcyclegan.errors import UserError
from tfcyclegan.measures import degrade, similarity
from tfcyclegan.measures.appearance import lab


def picture(seed: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 196, (side, side, 3), dtype=np.uint8)


REAL, OTHER = [picture(index) for index in range(4)], [picture(10 + index) for index in range(4)]


def rows(honesty) -> dict:
    return {row.name: row for row in honesty.rows}


def test_degradations_by_hand():
    grey = np.full((64, 64, 3), 100, np.uint8)
    for name, levels in (
        ("noise 1/255", 1),
        ("noise 2/255", 2),
        ("noise 4/255", 4),
        ("noise 8/255", 8),
    ):
        noisy = degrade.FOR_PICTURES[name](grey, 5)
        assert noisy.std() == pytest.approx(math.sqrt(levels**2 + 1 / 12), rel=0.02), (
            "the noise and the rounding of it"
        )
        assert (noisy == degrade.FOR_PICTURES[name](grey, 5)).all() and (
            noisy != degrade.FOR_PICTURES[name](grey, 6)
        ).any()
    black, white = (
        degrade.FOR_PICTURES["noise 8/255"](np.full_like(grey, level), 5) for level in (0, 255)
    )
    assert (black.min(), white.max()) == (0, 255) and black.max() < 60 and white.min() > 195, (
        "nothing wraps around"
    )
    point = np.zeros((9, 9, 1), np.uint8)
    point[4, 4] = 255
    # 255 exp(-(x^2 + y^2) / 2) / (2 pi)
    assert degrade.blur(point, 0)[4, 4:7, 0].tolist() == [41, 25, 5]
    assert (degrade.jpeg(grey, 0) == 100).all() and degrade.jpeg(point, 0).shape == (9, 9, 1)
    stream = io.BytesIO()
    Image.fromarray(REAL[0]).save(stream, "JPEG")  # whose quality is 75 where none is named
    np.testing.assert_array_equal(degrade.jpeg(REAL[0], 0), np.asarray(Image.open(stream)))
    assert degrade.palette_snap(labels.CITYSCAPES)(
        np.array([[[130, 60, 125]]], np.uint8), 0
    ).tolist() == [[[128, 64, 128]]]
    assert degrade.rounding(grey, 0) is grey
    assert (
        list(degrade.for_label_maps(labels.CITYSCAPES))[-1] == "palette snap"
        and "palette snap" not in degrade.FOR_PICTURES
    )


def test_an_honest_cycle():
    """Negation moves just as the picture does: noise of sigma 4 levels by 4 sqrt(2/pi) / 127.5, for
    real pictures too.
    """
    honesty = cycle_honesty(REAL, np.negative, np.negative, other_real=OTHER, seed=0)
    assert honesty.clean == 0
    by_name = rows(honesty)
    assert by_name["8-bit rounding"].cycle_error == pytest.approx(0, abs=1e-6)
    assert by_name["noise 4/255"].cycle_error == pytest.approx(
        4 * math.sqrt(2 / math.pi) / 127.5, rel=0.02
    )
    assert math.isnan(by_name["8-bit rounding"].ratio), "no real picture is moved by it"
    for row in honesty.rows[1:]:
        assert row.added == row.cycle_error == row.moved_fake
        assert row.ratio == pytest.approx(1, abs=0.05)
    off = cycle_honesty(REAL, np.negative, lambda batch: 0.25 - batch, seed=0)
    assert off.clean == pytest.approx(0.25)
    assert rows(off)["8-bit rounding"].added == pytest.approx(0, abs=1e-6), (
        "what the cycle costs anyhow is not added"
    )
    unrelated = (
        np.mean([np.abs(REAL[i].astype(float) - REAL[i - 1]).mean() for i in range(1, 4)]) / 127.5
    )
    assert honesty.unrelated == pytest.approx(unrelated, rel=1e-5)


def test_each_picture_has_noise_of_its_own():
    one, two = (
        rows(
            cycle_honesty(REAL[:1] * n, np.negative, np.negative, other_real=OTHER[:1] * n, seed=0)
        )
        for n in (1, 2)
    )
    assert one["blur"] == two["blur"]
    assert one["noise 4/255"].moved_fake != two["noise 4/255"].moved_fake
    assert one["noise 4/255"].moved_real != two["noise 4/255"].moved_real


def hiding(levels: float):
    """Every fake is the same grey with the source on it, `levels` strong; the way back reads those
    and nothing else.
    """

    def forward(batch: np.ndarray) -> np.ndarray:
        return batch * np.float32(levels / 127.5)

    def backward(batch: np.ndarray) -> np.ndarray:
        return np.clip(batch / np.float32(levels / 127.5), -1, 1)

    return forward, backward


def test_a_hidden_source_is_found():
    """A perfect cycle in float; noise of as many levels as hide the source leaves about as little
    as another picture's fake.
    """
    honesty = cycle_honesty(REAL, *hiding(4), other_real=OTHER, seed=0)
    assert honesty.clean == pytest.approx(0, abs=1e-6)
    by_name = rows(honesty)
    assert (
        by_name["8-bit rounding"].cycle_error
        < by_name["noise 1/255"].cycle_error
        < by_name["noise 4/255"].cycle_error
    )
    assert (
        by_name["noise 8/255"].cycle_error
        > honesty.unrelated
        > by_name["8-bit rounding"].cycle_error
        > 0
    )
    for name in ("noise 1/255", "noise 2/255"):
        assert by_name[name].ratio > 5
    below_a_level = rows(cycle_honesty(REAL, *hiding(0.4), seed=0))["8-bit rounding"]
    assert (
        below_a_level.added > 0.2
        and math.isnan(below_a_level.moved_real)
        and math.isnan(below_a_level.ratio)
    )


def test_palette_snap_of_a_label_map():
    """Labels with the source in their last levels: the snap takes those away and leaves the
    labels.
    """
    classes = labels.PALETTE[np.random.default_rng(0).integers(0, 19, (32, 32))]
    marked = np.clip(
        classes.astype(int) + np.random.default_rng(1).integers(-3, 4, classes.shape), 0, 255
    ).astype(np.uint8)
    assert (degrade.palette_snap(labels.CITYSCAPES)(marked, 0) == classes).all()


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
    assert similarity.psnr(base + 5, base) == pytest.approx(34.1514, abs=1e-4)
    assert similarity.psnr(base, base) == math.inf
    constant = (0.01 * 255) ** 2
    assert similarity.ssim(base + 50, base) == pytest.approx(
        (2 * 150 * 100 + constant) / (150**2 + 100**2 + constant), rel=1e-6
    )
    assert similarity.ssim(REAL[0][:11, :11], REAL[0][:11, :11]) == pytest.approx(1)
    by_channel = [ssim_of_wang(one, other) for one, other in zip(REAL[0].T, REAL[1].T, strict=True)]
    assert similarity.ssim(REAL[0], REAL[1]) == pytest.approx(np.mean(by_channel))
    assert similarity.psnr(REAL[0], REAL[1]) == pytest.approx(
        metrics.peak_signal_noise_ratio(REAL[1], REAL[0])
    )
    with pytest.raises(UserError, match="picture of 10 x 16: SSIM needs at least 11"):
        similarity.ssim(base[:, :10], base[:, :10])


def test_errors_by_class():
    """Road grey for grey, sky 51 levels off in one of three channels; what is ignored does not
    count.
    """
    ids = np.array([[7, 7], [23, 0]], np.uint8)
    truth = np.full((2, 2, 3), 100, np.uint8)
    fake = truth.copy()
    fake[1, 0, 2] = 151
    fake[1, 1] = 0
    errors = similarity.class_absolute_errors(fake, truth, ids, labels.CITYSCAPES)
    assert errors[0] == 0 and errors[10] == pytest.approx(51 / 127.5 / 3)
    assert np.isnan(np.delete(errors, [0, 10])).all()
    colours = similarity.class_colour_differences(fake, truth, ids, labels.CITYSCAPES)
    step = np.linalg.norm(lab(fake[1:, :1]) - lab(truth[1:, :1]))
    assert (
        colours[0] == 0
        and colours[10] == pytest.approx(step)
        and np.isnan(np.delete(colours, [0, 10])).all()
    )
    assert similarity.class_colour_difference(fake, truth, ids, labels.CITYSCAPES) == pytest.approx(
        step / 2
    )
    assert math.isnan(
        similarity.class_colour_difference(fake, truth, np.zeros_like(ids), labels.CITYSCAPES)
    )
    swapped = np.array([[[0] * 3, [200] * 3], [[100] * 3, [100] * 3]], np.uint8)
    mirrored = swapped[:, ::-1]
    assert similarity.class_colour_differences(swapped, mirrored, ids, labels.CITYSCAPES)[0] == 0, (
        "texture within a class does not count"
    )
