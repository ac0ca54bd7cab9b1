"""Distances in colours and textures, against hand-computed numbers and known answers."""

import math

import numpy as np
import pytest

from tests.street_set import street_set
from tfcyclegan.measures import appearance
from tfcyclegan.measures.appearance import Appearance, Cloud, Drawn, draw
from tfcyclegan.measures.evaluation_set import FLOOR, OWN
from tfcyclegan.measures.tables import Interval


@pytest.fixture(scope="module")
def truthful():
    """Translations that are the truths themselves, a little darker."""
    return street_set(lambda _, picture, true: (true * 0.9).astype(np.uint8))


def sliced_distance(points: np.ndarray, others: np.ndarray) -> float:
    return Cloud(others).distance(points)


def colour_distance(real: Appearance, pictures) -> float:
    return real.distances(pictures)[0]


def texture_distance(real: Appearance, pictures) -> float:
    return real.distances(pictures)[1]


def drawn(pictures) -> list[Drawn]:
    return [draw(picture, index, len(pictures), 1) for index, picture in enumerate(pictures)]


def intervals(real: Appearance, pictures) -> dict[str, Interval]:
    return real.intervals(drawn(pictures))


def noise(seed: int, low: int = 0, high: int = 256, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (side, side, 3), dtype=np.uint8)


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
    that of the half drawn.
    """
    values = np.arange(4.0)[:, np.newaxis, np.newaxis] * np.ones((4, 300, 1))
    assert set(Cloud(np.zeros((9, 1))).distances_of_halves(values, subsets=60)) == {
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
    distances = Cloud(others).distances_of_halves(clouds, subsets=5)
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
    look = Appearance.of(flat(0))
    assert colour_distance(look, flat(255)) == pytest.approx(50, rel=0.1)
    assert colour_distance(look, flat(0, 255)) == pytest.approx(
        colour_distance(look, flat(255)) / 2, rel=1e-3
    )
    assert colour_distance(look, flat(0, 0, 0)) == 0


def stripes(side: int, axis: int) -> list[np.ndarray]:
    return [(np.indices((side, side))[axis] % 2 * 255).astype(np.uint8)[..., np.newaxis]]


@pytest.mark.parametrize("axis", [0, 1], ids=["horizontal", "vertical"])
def test_texture_distance_by_hand(axis):
    """Stripes of 50 above and below their mean are patches of norm 7 x 50, of which a random
    direction in 49-D sees N(0, 50^2).
    """
    expected = 50 * math.sqrt(2 / math.pi)
    assert texture_distance(Appearance.of(flat(9)), stripes(14, axis)) == pytest.approx(
        expected, rel=0.15
    )
    assert texture_distance(Appearance.of(stripes(14, axis)), flat(9)) == pytest.approx(
        expected, rel=0.15
    )
    half = texture_distance(Appearance.of(flat(9, side=28)), stripes(28, axis))
    assert half == pytest.approx(expected / 2, rel=0.15), "the next octave is flat"


def test_pixels_and_patches_are_drawn_anew(monkeypatch):
    """So that a set against itself is as far as two draws of it; one of each picture is drawn
    however many there are.
    """
    real = [noise(index) for index in range(3)]
    look = Appearance.of(real)
    assert colour_distance(look, real) > 0 and texture_distance(look, real) > 0
    monkeypatch.setattr(appearance, "_SAMPLES", 2)
    few = Appearance.of(real)
    assert [len(cloud.points) for cloud in few._clouds] == [3, 3, 3]


@pytest.mark.parametrize(
    ("side", "octaves"), [(14, 1), (27, 1), (28, 2), (55, 2), (56, 3), (112, 3)]
)
def test_octaves_have_patches_of_7_pixels(side, octaves):
    assert [
        cloud.points.shape[1] for cloud in Appearance.of([noise(0, side=side)])._clouds[1:]
    ] == [49] * octaves


def test_spreads_are_of_colours_and_of_textures():
    """Of flat pictures the colours scatter about half of the whole range, the textures not at
    all.
    """
    look = Appearance.of(flat(9))
    colours, textures = appearance._spreads(look._against(drawn(flat(0, 255, 0, 255))), 4)
    assert colours.shape == textures.shape == (40,)
    assert colours.min() < 2 and colours.max() > 40
    np.testing.assert_allclose(textures, 0, atol=1e-3)


def test_appearance_tells_colour_from_texture():
    real = [noise(index) for index in range(8)]
    look = Appearance.of(real)
    same = [noise(100 + index) for index in range(8)]
    smooth = [np.full_like(picture, picture.mean(axis=(0, 1)).astype(np.uint8)) for picture in same]
    darker = [picture // 2 for picture in same]
    assert colour_distance(look, same) < 0.1 * colour_distance(look, darker)
    assert texture_distance(look, same) < 0.1 * texture_distance(look, smooth)


def test_look_has_intervals(truthful):
    look = Appearance.of(truthful.target_train)
    rows = appearance.table(truthful).rows
    for row in (OWN, "identity", FLOOR):
        for value in rows[row].values():
            assert 0 <= value.low <= value.value <= value.high and value.pictures == 24
    assert rows[FLOOR]["colour"].high < rows["identity"]["colour"].low
    assert rows[OWN]["colour"].value == colour_distance(look, list(truthful.sets[OWN].values()))
    few = intervals(look, list(truthful.held_out.values())[:3])
    assert np.isnan(few["colour"].low) and few["colour"].value > 0


def test_spread_of_the_look_is_that_of_new_draws(truthful):
    """The half width of the interval is about what sets of other scenes scatter by."""
    look = Appearance.of(truthful.target_train[:16])
    inputs = list(truthful.inputs.values()) + truthful.source_train
    drawn = [colour_distance(look, inputs[start : start + 11]) for start in range(0, 55, 11)]
    width = [
        (value := intervals(look, inputs[start : start + 11])["colour"]).high - value.low
        for start in range(0, 55, 11)
    ]
    assert 0.4 < np.mean(width) / (3.92 * np.std(drawn, ddof=1)) < 2.5
