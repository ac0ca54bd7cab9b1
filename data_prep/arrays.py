"""Arrays of NumPy -> TFRecords: files of `.npy` in the folders of `data_prep.measurements`."""

import functools
import sys
from dataclasses import dataclass

from data_prep import measurements
from data_prep.measured_files import by_endings
from tfcyclegan.cli import run_command
from tfcyclegan.config import option
from tfcyclegan.formats import arrays

SUMMARY = "prepare arrays of measurements, .npy, for training"
EXAMPLES = """
    python -m data_prep.arrays --input_dir=ROOT --output_dir=data/fields --range_a=-1000:2000
    python -m data_prep.arrays --input_dir=ROOT --output_dir=data/volumes --axes=NHW --neighbours=1
"""


@dataclass(frozen=True, kw_only=True)
class Config(measurements.MeasurementOptions):
    """Options of `python -m data_prep.arrays`."""

    axes: str = option(
        "",
        "axes of the arrays, N (planes), H, W and C (channels) in their order, such as NHW; "
        "default HW, HWC or NHWC by their number",
    )


def run(config: Config) -> None:
    measurements.run(
        config,
        find=functools.partial(by_endings, endings=(".npy",)),
        open_=functools.partial(arrays.open_file, axes=config.axes),
        command="data_prep.arrays",
    )


if __name__ == "__main__":
    sys.exit(run_command("data_prep.arrays", SUMMARY, EXAMPLES, Config, run))
