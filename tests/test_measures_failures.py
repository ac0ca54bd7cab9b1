"""Each detector on real tiles against the same tiles with the defect it is for, and on patterns
with known answers.
"""

import numpy as np
import pytest
from scipy import ndimage

from tfcyclegan.data import images
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import UserError
from tfcyclegan.measures import failures


@pytest.fixture(scope="module")
def satellite(tiles) -> list[np.ndarray]:
    return pictures(tiles, "trainA")


@pytest.fixture(scope="module")
def maps(tiles) -> list[np.ndarray]:
    return pictures(tiles, "trainB")


def pictures(tiles, split: str) -> list[np.ndarray]:
    """Up to 40 tiles with land, since the open sea is one colour."""
    found = [
        images.to_array(images.decode(encoded, 3))
        for _, encoded in open_source(tiles).pictures(split)
    ]
    textured = [picture for picture in found if picture.std(axis=(0, 1)).mean() > 8]
    assert len(textured) >= 40
    return textured[:40]


def changed(tiles: list[np.ndarray], change) -> list[np.ndarray]:
    return [
        np.clip(np.rint(change(picture.astype(float))), 0, 255).astype(np.uint8)
        for picture in tiles
    ]


def pattern(period: int, strength: float):
    """What an uneven transposed convolution adds: one pixel in each period x period block
    brighter.
    """

    def add(picture: np.ndarray) -> np.ndarray:
        bright = np.zeros(picture.shape[:2])
        bright[::period, ::period] = strength
        return picture + bright[..., np.newaxis]

    return add


@pytest.mark.parametrize("period", [2, 4])
@pytest.mark.parametrize("domain", [0, 1], ids=["satellite", "maps"])
def test_checkerboard(period, domain, satellite, maps):
    """A pattern whose pixels are 12 levels brighter (24 for one in 16) stands out; one of period 2
    leaves stride 4 alone.
    """
    clean = (satellite, maps)[domain]
    before = failures.checkerboard(clean)
    after = failures.checkerboard(changed(clean, pattern(period, 6 * period)))
    assert all(-4 < value < 1 for value in before.values())
    assert after[f"stride {period}"] > max(before[f"stride {period}"] + 5, 3)
    if period == 2:
        assert after["stride 4"] == pytest.approx(before["stride 4"], abs=1)


def test_stride_power_by_hand():
    """One peak of 60 dB over neighbours of 10 dB: off the axes, of the 3 that are stride 2's, and
    on one, of the 12 that are stride 4's.
    """
    off, on = np.ones((32, 32)), np.ones((32, 32))
    for beside in (12, 13, 19, 20):
        off[beside, 15:18] = off[15:18, beside] = 10
        on[[31, 0, 1], beside - 8] = 10
    off[15:18, 15:18] = on[[31, 0, 1], 7:10] = 1e6
    assert failures._stride_decibels(off, 2) == pytest.approx(50 / 3)
    assert failures._stride_decibels(on, 4) == pytest.approx(50 / 12)
    off[12:21, 12:21] = 1
    off[15:18, 15:18] = 1e6
    assert failures._stride_decibels(off, 4) == pytest.approx(0), (
        "what is stride 2's is not stride 4's"
    )


def test_spectrum_of_waves():
    """A wave of 8 pixels lies in the ring of 1/8 and nowhere else; white noise has no frequency of
    its own.
    """
    wave = np.broadcast_to(
        (128 + 40 * np.cos(2 * np.pi * np.arange(64) / 8))[:, np.newaxis], (64, 64)
    )
    spectrum = failures.radial_spectrum(np.rint(wave).astype(np.uint8)[..., np.newaxis])
    assert spectrum.argmax() == 6 and spectrum[6] > np.delete(spectrum, [5, 6]).max() + 10
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 1), dtype=np.uint8)
    assert np.ptp(failures.radial_spectrum(noise)[2:]) < 1.5
    assert all(
        abs(value) < 1
        for value in failures.checkerboard(
            np.random.default_rng(1).integers(0, 256, (8, 128, 128, 1), dtype=np.uint8)
        ).values()
    )
    with pytest.raises(UserError, match="picture of 40 x 20: spectra need at least 32"):
        failures.radial_spectrum(np.zeros((20, 40, 3), np.uint8))


def test_blur(satellite):
    blurred = changed(satellite, lambda picture: ndimage.gaussian_filter(picture, (1, 1, 0)))
    for clean, soft in zip(satellite, blurred, strict=True):
        assert failures.laplacian_variance(soft) < failures.laplacian_variance(clean)


def test_night_and_luminance(satellite):
    known = failures.luminance_range(satellite)
    night = changed(satellite, lambda picture: picture / 6)
    assert {failures.outside(picture, known) for picture in night} == {"dark"}
    assert {
        failures.outside(picture, known)
        for picture in changed(satellite, lambda picture: picture * 0.3 + 178)
    } == {"bright"}
    assert sum(bool(failures.outside(picture, known)) for picture in satellite) <= 2, (
        "2 % of the training itself"
    )
    assert failures.luminance_shift(satellite[0], satellite[0]) == 0
    assert failures.luminance_shift(
        np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    ) == pytest.approx(100, abs=1e-3)


def test_inversion(satellite, maps):
    for picture in satellite:
        assert failures.lightness_correlation(picture, picture) == pytest.approx(1)
        assert failures.lightness_correlation(picture, 255 - picture) < -0.9
        assert failures.lightness_correlation(picture, picture // 2 + 40) > 0.99
    assert failures.lightness_correlation(satellite[0], np.full_like(satellite[0], 7)) == 0


def test_mode_collapse(satellite):
    """One picture with a little noise for all is a fraction of the diversity; the other half of the
    reals is about all of it.
    """
    generator = np.random.default_rng(0)
    collapsed = [
        np.clip(satellite[0] + generator.normal(0, 4, satellite[0].shape), 0, 255).astype(np.uint8)
        for _ in satellite
    ]
    assert failures.diversity_ratio(satellite[::2], satellite[1::2]) == pytest.approx(1, abs=0.35)
    assert failures.diversity_ratio(collapsed, satellite) < 0.2
    faint = [picture // 4 + 96 for picture in satellite]
    assert failures.diversity(faint) == pytest.approx(failures.diversity(satellite), rel=0.1), (
        "faint colours are no collapse"
    )
    noise = list(np.random.default_rng(1).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8))
    assert failures.diversity(noise) == pytest.approx(1, rel=0.02), "pictures that share nothing"
    black = np.zeros((20, 20, 1), np.uint8)
    assert failures.diversity([black, black]) == 0
    with pytest.raises(UserError, match="at least 2 pictures"):
        failures.diversity([black])


def test_artefacts_in_flat_areas(maps):
    """Specks on what the input shows as one colour; a picture with texture elsewhere and its own
    flat areas kept has none.
    """
    specks = np.random.default_rng(0).random(maps[0].shape[:2]) < 0.05
    for picture in maps:
        speckled = picture.copy()
        speckled[specks] += 128  # wraps around, so every value moves by half the range
        assert (
            failures.flat_area_deviation(picture, speckled)
            > failures.flat_area_deviation(picture, picture) + 1
        )
    half = np.full((20, 20, 1), 90, np.uint8)
    textured = half.copy()
    textured[10:] = np.random.default_rng(1).integers(0, 256, (10, 20, 1))
    assert failures.flat_area_deviation(textured, textured) == pytest.approx(0, abs=1e-4)
    assert failures.flat_area_deviation(half, textured) > 5
