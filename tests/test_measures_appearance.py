"""Measures that need no network, against hand-computed numbers and known answers: appearance,
paired pictures, controls.
"""

import math

import numpy as np
import pytest
from skimage.exposure import match_histograms

from tfcyclegan.measures import appearance, paired
from tfcyclegan.measures.appearance import (
    Appearance,
    lab,
    sliced_distance,
    sliced_distances_of_halves,
)
from tfcyclegan.measures.controls import make_controls


def noise(seed: int, low: int = 0, high: int = 256, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (side, side, 3), dtype=np.uint8)


def test_lab_of_known_colours():
    """White, black and pure red in D65, from the CIE tables."""
    image = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0]]], np.uint8)
    np.testing.assert_allclose(
        lab(image)[0], [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]], atol=0.02
    )


def test_sliced_distance_of_a_shift():
    """Shifting a cloud by s along a random unit direction moves its projections by s |cos|; the
    mean of |cos| in 3-D is 1/2.
    """
    cloud = np.random.default_rng(0).normal(size=(5000, 3))
    assert sliced_distance(cloud, cloud) == 0
    assert sliced_distance(cloud, cloud + np.array([4, 0, 0])) == pytest.approx(2.0, rel=0.1)


def test_sliced_distance_on_a_line():
    """On a line it is the area between the quantile functions: 2u up to 1/2 and 6u - 2 after it,
    and 2 + u.
    """
    points, others = np.array([[0.0], [4.0], [1.0]]), np.array([[2.0], [3.0]])
    assert sliced_distance(points, others) == pytest.approx(7 / 8 + 9 / 40 + 1 / 10, abs=1e-4)
    assert sliced_distance(others, points) == sliced_distance(points, others)
    assert sliced_distance(points[:1], others[:1]) == 2


def test_sliced_distances_of_halves():
    """Of pictures of one value each the distance from 0 is the mean of two; else it is
    `sliced_distance` of the half drawn.
    """
    values = np.arange(4.0)[:, np.newaxis, np.newaxis] * np.ones((4, 300, 1))
    assert set(sliced_distances_of_halves(values, np.zeros((9, 1)), subsets=60)) == {
        0.5,
        1,
        1.5,
        2,
        2.5,
    }
    generator = np.random.default_rng(1)
    clouds, others = (
        generator.normal(size=(6, 500, 3)) + 3 * generator.normal(size=(6, 1, 3)),
        generator.normal(size=(800, 3)),
    )
    half = np.random.default_rng((0, 8)).choice(6, 3, replace=False)
    distances = sliced_distances_of_halves(clouds, others, subsets=5)
    assert distances.shape == (5,)
    assert distances[0] == pytest.approx(
        sliced_distance(clouds[half].reshape(-1, 3), others), rel=0.01
    )


def flat(*levels: int, side: int = 14) -> list[np.ndarray]:
    return [np.full((side, side, 3), level, np.uint8) for level in levels]


def test_colour_distance_by_hand():
    """Black and white are 100 apart, of which a random direction in 3-D sees half; of a set that is
    half white, half of that.
    """
    look = Appearance(flat(0))
    assert look.colour_distance(flat(255)) == pytest.approx(50, rel=0.1)
    assert look.colour_distance(flat(0, 255)) == pytest.approx(
        look.colour_distance(flat(255)) / 2, rel=1e-3
    )
    assert look.colour_distance(flat(0, 0, 0)) == 0


def stripes(side: int, axis: int) -> list[np.ndarray]:
    return [(np.indices((side, side))[axis] % 2 * 255).astype(np.uint8)[..., np.newaxis]]


@pytest.mark.parametrize("axis", [0, 1], ids=["horizontal", "vertical"])
def test_texture_distance_by_hand(axis):
    """Stripes of 50 above and below their mean are patches of norm 7 x 50, of which a random
    direction in 49-D sees N(0, 50^2).
    """
    expected = 50 * math.sqrt(2 / math.pi)
    assert Appearance(flat(9)).texture_distance(stripes(14, axis)) == pytest.approx(
        expected, rel=0.15
    )
    assert Appearance(stripes(14, axis)).texture_distance(flat(9)) == pytest.approx(
        expected, rel=0.15
    )
    half = Appearance(flat(9, side=28)).texture_distance(stripes(28, axis))
    assert half == pytest.approx(expected / 2, rel=0.15), "the next octave is flat"


def test_pixels_and_patches_are_drawn_anew(monkeypatch):
    """So that a set against itself is as far as two draws of it; one of each picture is drawn
    however many there are.
    """
    real = [noise(index) for index in range(3)]
    look = Appearance(real)
    assert look.colour_distance(real) > 0 and look.texture_distance(real) > 0
    monkeypatch.setattr(appearance, "_SAMPLES", 2)
    few = Appearance(real)
    assert [len(few._colours), *(len(patches) for patches in few._textures)] == [3, 3, 3]


@pytest.mark.parametrize(
    ("side", "octaves"), [(14, 1), (27, 1), (28, 2), (55, 2), (56, 3), (112, 3)]
)
def test_octaves_have_patches_of_7_pixels(side, octaves):
    assert [patches.shape[1] for patches in Appearance([noise(0, side=side)])._textures] == [
        49
    ] * octaves


def test_spreads_are_of_colours_and_of_textures():
    """Of flat pictures the colours scatter about half of the whole range, the textures not at
    all.
    """
    colours, textures = Appearance(flat(9)).spreads(flat(0, 255, 0, 255))
    assert colours.shape == textures.shape == (40,)
    assert colours.min() < 2 and colours.max() > 40
    np.testing.assert_allclose(textures, 0, atol=1e-3)


def test_appearance_tells_colour_from_texture():
    real = [noise(index) for index in range(8)]
    look = Appearance(real)
    same = [noise(100 + index) for index in range(8)]
    smooth = [np.full_like(picture, picture.mean(axis=(0, 1)).astype(np.uint8)) for picture in same]
    darker = [picture // 2 for picture in same]
    assert look.colour_distance(same) < 0.1 * look.colour_distance(darker)
    assert look.texture_distance(same) < 0.1 * look.texture_distance(smooth)


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


def test_controls():
    target = [noise(index, 100, 201) for index in range(4)]
    controls = make_controls(target)
    picture = noise(9, 0, 50)
    assert controls["identity"](picture) is picture
    matched = controls["colour matching"](picture).astype(float)
    pixels = np.concatenate(target).reshape(-1, 3).astype(float)
    np.testing.assert_allclose(matched.mean(axis=(0, 1)), pixels.mean(axis=0), atol=1)
    np.testing.assert_allclose(matched.std(axis=(0, 1)), pixels.std(axis=0), atol=1)
    faint = controls["colour matching"](noise(9, 100, 102)).astype(float)
    np.testing.assert_allclose(faint.std(axis=(0, 1)), pixels.std(axis=0), atol=1)
    assert (controls["colour matching"](flat(7)[0]) == np.rint(pixels.mean(axis=0))).all()
    stark = make_controls(flat(0, 255))["colour matching"](noise(9))
    assert (stark[noise(9) > 240] == 255).all() and (stark[noise(9) < 15] == 0).all(), (
        "beyond black and white nothing wraps around"
    )
    quantiles = np.quantile(
        controls["histogram matching"](picture).reshape(-1, 3), [0.1, 0.5, 0.9], axis=0
    )
    np.testing.assert_allclose(quantiles, np.quantile(pixels, [0.1, 0.5, 0.9], axis=0), atol=3)
    assert len(np.unique(controls["constant colour"](picture).reshape(-1, 3), axis=0)) == 1


def test_histogram_matching_rounds():
    """Against scikit-image on floats: of uint8 it cuts off what is behind the point, half a level
    on average.
    """
    target, picture = [noise(index, 100, 201) for index in range(3)], noise(9, 0, 50)
    expected = match_histograms(
        picture.astype(float), np.concatenate(target).astype(float), channel_axis=-1
    )
    matched = make_controls(target)["histogram matching"](picture)
    assert (matched == np.rint(expected)).all() and abs((matched - expected).mean()) < 0.05


def test_controls_between_gray_and_colours():
    gray, colours = [noise(1)[..., :1], noise(2)[..., :1]], [noise(3), noise(4)]
    into_colours, into_gray = make_controls(colours), make_controls(gray)
    assert (into_colours["identity"](gray[0]) == np.broadcast_to(gray[0], colours[0].shape)).all()
    red = np.full((2, 2, 3), (255, 0, 0), np.uint8)
    assert into_gray["identity"](red).tolist() == [[[76]] * 2] * 2, "luminance, .299 of 255"
    for control in into_colours.values():
        assert control(gray[0]).shape == colours[0].shape and control(gray[0]).dtype == np.uint8
    for name in ("colour matching", "histogram matching"):
        np.testing.assert_allclose(
            into_colours[name](gray[0]).mean(axis=(0, 1)), np.mean(colours, axis=(0, 1, 2)), atol=2
        )
        np.testing.assert_allclose(into_gray[name](colours[0]).mean(), np.mean(gray), atol=2)
