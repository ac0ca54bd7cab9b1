"""Specks in flat areas of real maps."""

import numpy as np
import pytest

from tfcyclegan.measures.flat_areas import flat_area_deviation


def test_artefacts_in_flat_areas(maps):
    """Specks on what the input shows as one colour; a picture with texture elsewhere and its own
    flat areas kept has none.
    """
    specks = np.random.default_rng(0).random(maps[0].shape[:2]) < 0.05
    for picture in maps:
        speckled = picture.copy()
        speckled[specks] += 128  # wraps around, so every value moves by half the range
        assert flat_area_deviation(picture, speckled) > flat_area_deviation(picture, picture) + 1
    half = np.full((20, 20, 1), 90, np.uint8)
    textured = half.copy()
    textured[10:] = np.random.default_rng(1).integers(0, 256, (10, 20, 1))
    assert flat_area_deviation(textured, textured) == pytest.approx(0, abs=1e-4)
    assert flat_area_deviation(half, textured) > 5
