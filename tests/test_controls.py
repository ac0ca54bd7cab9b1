"""Controls against hand-computed numbers and scikit-image."""

import numpy as np
from skimage.exposure import match_histograms

from tfcyclegan.measures.controls import make_controls


def noise(seed: int, low: int = 0, high: int = 256, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (side, side, 3), dtype=np.uint8)


def flat(*levels: int, side: int = 14) -> list[np.ndarray]:
    return [np.full((side, side, 3), level, np.uint8) for level in levels]


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
