"""NumPy, HDF5 and MATLAB arrays -> TFRecords: `.npy`, `.npz`, `.h5`, `.hdf5` and `.mat` (version
7.3) files in the folders of `data_prep.measurements`.
"""

import functools
import sys
from dataclasses import dataclass

from data_prep import measurements
from data_prep.measured_files import by_endings
from tfcyclegan.cli import run_command
from tfcyclegan.config import option
from tfcyclegan.formats import open_measurement

SUMMARY = "prepare arrays of measurements (NumPy, HDF5, MATLAB) for training"
EXAMPLES = """
    python -m data_prep.arrays --input_dir=ROOT --output_dir=data/fields --range_a=-1000:2000
    python -m data_prep.arrays --input_dir=ROOT --output_dir=data/volumes --axes=NHW --neighbours=1
    python -m data_prep.arrays --input_dir=ROOT --output_dir=data/jets --dataset=events/image
"""
ENDINGS = (".npy", ".npz", ".h5", ".hdf5", ".mat")


@dataclass(frozen=True, kw_only=True)
class Config(measurements.MeasurementOptions):
    """Options of `python -m data_prep.arrays`."""

    axes: str = option(
        "",
        "axes of the arrays in order, of N (planes), H, W and C (channels), such as NHW; default "
        "by the number of axes: HW, HWC (NHW if the last is too long for channels), NHWC",
    )
    dataset: str = option("", "name of the array in files that hold several")


def run(config: Config) -> None:
    measurements.run(
        config,
        find=functools.partial(by_endings, endings=ENDINGS),
        open_=functools.partial(open_measurement, axes=config.axes, dataset=config.dataset),
        command="data_prep.arrays",
    )


if __name__ == "__main__":
    sys.exit(run_command("data_prep.arrays", SUMMARY, EXAMPLES, Config, run))
