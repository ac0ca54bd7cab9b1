"""Where the pixels of a measurement lie, as a matrix [k, 4] that takes (plane, row, column, 1) to k
coordinates, such as millimetres or metres east and north. Imports no TensorFlow.
"""

from collections.abc import Sequence

import numpy as np

SAME = 0.1
"""Of a pixel: grids that are less apart show the same."""


def apart(one: np.ndarray, other: np.ndarray, sizes: Sequence[int]) -> float:
    """How far the same pixel lies apart in two grids at most, in pixels of the first.

    Args:
        one: matrix.
        other: matrix.
        sizes: planes, rows and columns that both have.
    """
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in sizes])).reshape(3, -1)
    difference = one - other
    steps = np.linalg.norm(one[:, :3], axis=0)
    away = np.abs(difference[:, :3] @ corners + difference[:, 3:]).max()
    return float(away / steps[steps > 0].min())
