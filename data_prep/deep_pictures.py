"""`data_prep.folders --depth=keep`: TIFF and PNG files as measurements, with their own type and
channels. The pages of a stack are planes; those of a TIFF without information on its axes are
planes or channels as `--stack` says.
"""

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep import measurements
from data_prep.measured_files import by_endings
from tfcyclegan.config import Options, option
from tfcyclegan.config.reading import alpha_band_option, stack_option
from tfcyclegan.formats import open_measurement, options_among
from tfcyclegan.formats.base import Measurement
from tfcyclegan.formats.tiff_tags import names_beside

ENDINGS = (".tif", ".tiff", ".png")


@dataclass(frozen=True, kw_only=True)
class _Config(measurements.MeasurementOptions):
    """The options of `data_prep.folders` that apply here."""

    depth: str = option("8", "as in data_prep.folders", choices=("8", "keep"))
    alpha_band: str = alpha_band_option()
    stack: str = stack_option()


NAMES = tuple(field.name for field in dataclasses.fields(_Config))
"""The names of the options that apply here."""


def run(given: Options) -> None:
    """Prepares a data set with the options of `data_prep.folders`."""
    config = _Config(**{name: getattr(given, name) for name in NAMES})
    reading = {"alpha_band": config.alpha_band, "stack": config.stack}
    measurements.run(
        config,
        find=functools.partial(by_endings, endings=ENDINGS, names_beside=names_beside),
        open_=functools.partial(_open, reading=reading),
        command="data_prep.folders",
    )


def _open(path: Path, reading: dict[str, Any]) -> Measurement:
    return open_measurement(path, **options_among(path, reading))
