"""A plane with its neighbours as channels ("2.5D"), for preparation and translation."""

from collections.abc import Callable

import numpy as np

from tfcyclegan.formats.base import Measurement, Window


def read_stack(
    measurement: Measurement, plane: int, neighbours: int, window: Window | None = None
) -> np.ndarray:
    """The planes from `plane - neighbours` to `plane + neighbours`, see `stacked`."""
    return stacked(
        lambda place: measurement.read(place, window), measurement.shape.planes, plane, neighbours
    )


def stacked(
    read: Callable[[int], np.ndarray], planes: int, plane: int, neighbours: int
) -> np.ndarray:
    """Planes one after another as channels, [h, w, (2 neighbours + 1) C]: all channels of the
    first, then those of the next. Beyond the ends, the first or last plane is repeated.

    Args:
        read: returns a plane [h, w, C].
        planes: number of planes.
        plane: the plane in the middle.
        neighbours: number on either side; 0 gives only the plane.
    """
    if not neighbours:
        return read(plane)
    places = np.clip(np.arange(plane - neighbours, plane + neighbours + 1), 0, planes - 1)
    arrays = {place: read(place) for place in sorted(set(places.tolist()))}
    return np.concatenate([arrays[place] for place in places.tolist()], axis=-1)
