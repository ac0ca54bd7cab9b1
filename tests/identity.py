"""A translation that changes nothing, to see what formats do to values on their way to a network
and back.
"""

from pathlib import Path

import numpy as np

from tfcyclegan.data.values import Values
from tfcyclegan.formats.base import Measurement


def values_of(measurement: Measurement, low: float, high: float, dtype: str = "") -> Values:
    """Values in one range for all channels, of the measurement's type or another."""
    count = measurement.shape.channels
    return Values(
        dtype or measurement.dtype.name,
        (low,) * count,
        (high,) * count,
        measurement.nodata,
        measurement.units,
    )


def translated(measurement: Measurement, path: Path, values: Values) -> Path:
    """Writes the measurement at `path` through float32 in [-1, 1], plane by plane."""
    with measurement.create(path, values) as destination:
        for plane in range(measurement.shape.planes):
            array = measurement.read(plane)
            seen = values.to_network(array)
            back = values.from_network(np.nan_to_num(seen), np.isnan(seen))
            destination.write(back, plane)
    return path
