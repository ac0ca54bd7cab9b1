"""Differentiable augmentation against NumPy, by given draws; what is drawn; gradients; XLA."""

import numpy as np
import pytest
import tensorflow as tf

from tfcyclegan.networks.diffaugment import (
    COLOUR,
    CUTOUT,
    TRANSLATION,
    cut_out,
    diffaugment,
    recoloured,
    translated,
)

SIDE = (6, 7)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, *SIDE, 3))
DRAWS = {
    recoloured: ([-0.3, 0.0, 0.4], [0.2, 1.0, 1.7], [0.6, 1.0, 1.4]),
    translated: ([-2, 0, 9], [3, -7, 1]),
    cut_out: ([-1, 2, 5], [0, 4, 6], 3, 4),
}


def by_numpy(function, image: np.ndarray, draws) -> np.ndarray:
    if function is recoloured:
        brightness, saturation, contrast = draws
        image = image + brightness
        gray = image.mean(axis=2, keepdims=True)
        image = gray * (1 - saturation) + image * saturation
        return image.mean() * (1 - contrast) + image * contrast
    result = np.zeros_like(image)
    for y in range(SIDE[0]):
        for x in range(SIDE[1]):
            if function is translated:
                row, column = y - draws[0], x - draws[1]
                if 0 <= row < SIDE[0] and 0 <= column < SIDE[1]:
                    result[y, x] = image[row, column]
            else:
                top, left, rows, columns = draws
                hidden = top <= y < top + rows and left <= x < left + columns
                result[y, x] = 0 if hidden else image[y, x]
    return result


def of_image(draws, index: int) -> list:
    return [draw[index] if isinstance(draw, list) else draw for draw in draws]


@pytest.mark.parametrize("function", DRAWS)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_each_image_as_by_numpy(function, jit_compile):
    draws = DRAWS[function]
    compiled = tf.function(function, autograph=False, jit_compile=jit_compile)
    found = compiled(IMAGES, *map(tf.constant, draws)).numpy()
    for index, image in enumerate(IMAGES):
        expected = by_numpy(function, image, of_image(draws, index))
        np.testing.assert_allclose(found[index], expected, atol=1e-7)


@pytest.mark.parametrize("function", DRAWS)
def test_gradients_go_back_to_the_images(function):
    """All three are affine in the image: a step along any direction changes a weighted sum by that
    direction times the gradient, however large it is.
    """
    random = np.random.default_rng(1)
    weights, direction = (random.normal(size=IMAGES.shape) for _ in range(2))
    images, draws = tf.constant(IMAGES), list(map(tf.constant, DRAWS[function]))
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(function(images, *draws) * weights)
    slope = (tape.gradient(total, images).numpy() * direction).sum()
    moved = [by_numpy(function, *each) for each in _shifted(function, IMAGES + direction)]
    still = [by_numpy(function, *each) for each in _shifted(function, IMAGES)]
    assert slope == pytest.approx(((np.array(moved) - np.array(still)) * weights).sum())


def _shifted(function, images):
    return [(image, of_image(DRAWS[function], index)) for index, image in enumerate(images)]


def drawn(policy: str, images: np.ndarray, seed=(5, 6)) -> np.ndarray:
    return diffaugment(tf.constant(images), policy.split(","), tf.constant(seed)).numpy()


def test_translations_go_an_eighth_of_the_side_either_way_and_are_equally_frequent():
    places = np.arange(1, 16 * 24 + 1, dtype=np.float64).reshape(1, 16, 24, 1)
    moved = drawn(TRANSLATION, np.repeat(places, 600, axis=0))
    centre = moved[:, 8, 12, 0].astype(int) - 1
    down, right = 8 - centre // 24, 12 - centre % 24
    assert set(down) == set(range(-2, 3)) and set(right) == set(range(-3, 4))
    assert np.bincount(down + 2).min() > 80 and np.bincount(right + 3).min() > 50
    assert np.corrcoef(down, right)[0, 1] < 0.2
    assert len(np.unique(np.stack([down, right]), axis=1).T) == 35


@pytest.mark.parametrize("side, half", [(8, 4), (10, 5)])
def test_cutouts_have_their_centre_anywhere(side, half):
    hidden = drawn(CUTOUT, np.ones((800, side, side, 1)))[..., 0] == 0
    rows, columns = hidden.any(axis=2), hidden.any(axis=1)
    np.testing.assert_array_equal(hidden, rows[:, :, None] & columns[:, None, :])
    shown = rows.sum(axis=1)
    assert shown.max() == half and shown.min() == (half + 1) // 2
    counts = np.bincount(np.argmax(rows, axis=1) + 100 * shown)
    places = side + 1 - half % 2
    assert (counts > 0).sum() == places and counts[counts > 0].min() > 0.5 * 800 / places


def test_colours_are_drawn_in_the_ranges_of_the_paper():
    """Of an image with two grays and no colour brightness and contrast show by themselves; of one
    with colours and no contrast between pixels, saturation times contrast.
    """
    grays = np.concatenate([np.zeros((900, 1, 1, 3)), np.ones((900, 1, 1, 3))], axis=2)
    found = drawn(COLOUR, grays)
    contrast = (found[:, 0, 1] - found[:, 0, 0]).mean(axis=1)
    brightness = found.mean(axis=(1, 2, 3)) - 0.5
    colours = drawn(COLOUR, np.tile([[[[0.0, 0.5, 1.0]]]], (900, 1, 1, 1)))[:, 0, 0]
    saturation = (colours[:, 2] - colours[:, 0]) / contrast
    for values, low, high in (
        (brightness, -0.5, 0.5),
        (saturation, 0, 2),
        (contrast, 0.5, 1.5),
    ):
        assert low <= values.min() + 1e-6 < low + 0.02 and high - 0.02 < values.max() <= high + 1e-6
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.06)


def test_draws_follow_from_the_seed_and_policies_do_not_move_each_other():
    images = np.random.default_rng(2).uniform(-1, 1, (4, 8, 8, 3))
    every = ",".join((CUTOUT, TRANSLATION, COLOUR))
    np.testing.assert_array_equal(drawn(every, images), drawn(every, images))
    assert not np.allclose(drawn(every, images), drawn(every, images, seed=(5, 7)))
    in_turn = drawn(CUTOUT, drawn(TRANSLATION, drawn(COLOUR, images)))
    np.testing.assert_allclose(drawn(every, images), in_turn, atol=1e-12)
    compiled = tf.function(diffaugment, autograph=False, jit_compile=True)
    by_xla = compiled(tf.constant(images), every.split(","), tf.constant((5, 6)))
    np.testing.assert_allclose(by_xla, drawn(every, images), atol=1e-6)
    same = drawn(every, np.repeat(images[:1], 2, axis=0))
    assert not np.allclose(same[0], same[1]), "each image has draws of its own"
