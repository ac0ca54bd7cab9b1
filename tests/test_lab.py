"""CIE Lab against its tables."""

import numpy as np

from tfcyclegan.measures.lab import lab


def test_lab_of_known_colours():
    """White, black and pure red in D65, from the CIE tables."""
    image = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0]]], np.uint8)
    np.testing.assert_allclose(
        lab(image)[0], [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]], atol=0.02
    )
