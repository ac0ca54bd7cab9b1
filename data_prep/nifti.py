"""NIfTI volumes -> TFRecords: .nii and .nii.gz files in the folders of `data_prep.measurements`.

Each slice is a picture, oriented as `tfcyclegan.formats.orientation` describes; `--neighbours=1`
adds the slices before and after it as channels.
"""

import functools
import sys
from dataclasses import dataclass

from data_prep import measurements
from data_prep.measured_files import by_endings
from tfcyclegan import formats
from tfcyclegan.cli import run_command
from tfcyclegan.config import option

SUMMARY = "prepare NIfTI volumes, .nii and .nii.gz, for training"
EXAMPLES = """
    python -m data_prep.nifti --input_dir=ROOT --output_dir=data/mr2ct --range_b=-1000:2000
    python -m data_prep.nifti --input_dir=BIDS --output_dir=data/t1_t2 --axis=coronal \\
        --neighbours=1 --group_by='sub-[^_/]+'
"""


@dataclass(frozen=True, kw_only=True)
class Config(measurements.MeasurementOptions):
    """Options of `python -m data_prep.nifti`."""

    axis: str = option(
        "auto",
        "orientation of the slices; auto uses the axis of the largest spacing, or axial slices if "
        "spacings are equal",
        choices=("auto", "axial", "coronal", "sagittal"),
    )
    without_affine: bool = option(
        False,
        "accept volumes without sform and qform, and read their axes as right, anterior and "
        "superior",
    )


def run(config: Config) -> None:
    formats.load("nifti", "data_prep.nifti")
    measurements.run(
        config,
        find=functools.partial(by_endings, endings=(".nii", ".nii.gz")),
        open_=functools.partial(
            formats.open_measurement, axis=config.axis, without_affine=config.without_affine
        ),
        command="data_prep.nifti",
    )


if __name__ == "__main__":
    sys.exit(run_command("data_prep.nifti", SUMMARY, EXAMPLES, Config, run))
