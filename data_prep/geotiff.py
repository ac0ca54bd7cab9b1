"""Georeferenced scenes -> TFRecords: GeoTIFF files in the folders of `data_prep.measurements`, read
by windows, so that no scene is read whole.

A scene is a group by itself: its windows are all in one split. Windows without any measurement are
left out and counted. Files of one domain must share their coordinate system unless `--allow_mixed`
is given.
"""

import functools
import sys
from dataclasses import dataclass

from data_prep import measurements
from data_prep.measured_files import by_endings
from tfcyclegan.cli import run_command
from tfcyclegan.config import Size, option
from tfcyclegan.config.reading import alpha_band_option
from tfcyclegan.formats import open_measurement
from tfcyclegan.formats.tiff_tags import names_beside

SUMMARY = "prepare GeoTIFF scenes of any number of bands for training"
EXAMPLES = """
    python -m data_prep.geotiff --input_dir=ROOT --output_dir=data/sar2optical --tile=256
    python -m data_prep.geotiff --input_dir=ROOT --output_dir=data/seasons --range_a=0:10000 \\
        --range_b=0:10000 --stride=128
"""


@dataclass(frozen=True, kw_only=True)
class Config(measurements.MeasurementOptions):
    """Options of `python -m data_prep.geotiff`."""

    tile: Size | None = option(Size(256, 256), "scenes are cut into windows of this size")
    alpha_band: str = alpha_band_option()


def run(config: Config) -> None:
    measurements.run(
        config,
        find=functools.partial(by_endings, endings=(".tif", ".tiff"), names_beside=names_beside),
        open_=functools.partial(open_measurement, alpha_band=config.alpha_band),
        command="data_prep.geotiff",
    )


if __name__ == "__main__":
    sys.exit(run_command("data_prep.geotiff", SUMMARY, EXAMPLES, Config, run))
