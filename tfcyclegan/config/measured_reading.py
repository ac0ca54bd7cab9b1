"""Options of `tfcyclegan translate` for files of measurements: how they are opened, and what is
written beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfcyclegan.config.base import Options, option
from tfcyclegan.config.display import DisplayOptions
from tfcyclegan.config.reading import AS_DATA

ARRAY_ENDINGS = ("npy", "tif")
OPENING: dict[str, Any] = {
    "axis": "auto",
    "without_affine": False,
    "gaps": "refuse",
    "axes": "",
    "dataset": "",
    "alpha_band": "refuse",
    "stack": "planes",
}
"""The options of `OpeningOptions` with the defaults of the formats: data_prep's scripts have them
too, and a manifest records them in its settings.
"""


def parted(reading: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`Domains.reading` in two: how pictures were read, how files of measurements were opened."""
    opening = {name: value for name, value in reading.items() if name in OPENING}
    return {name: value for name, value in reading.items() if name not in OPENING}, opening


@dataclass(frozen=True, kw_only=True)
class OpeningOptions(Options):
    """How files of measurements are opened; each option applies to the formats that have it."""

    axis: str = option(
        "",
        "slices of NIfTI volumes: axial, coronal, sagittal, or auto for the axis of the largest "
        f"spacing; default: {AS_DATA}, or auto",
        choices=("", "auto", "axial", "coronal", "sagittal"),
    )
    without_affine: bool = option(
        False,
        "accept NIfTI volumes whose header gives no orientation, and read their axes as right, "
        "anterior and superior",
    )
    gaps: str = option(
        "",
        "DICOM series in which slices seem to be missing: refuse or keep them; default: "
        f"{AS_DATA}, or refuse",
        choices=("", "refuse", "keep"),
    )
    axes: str = option(
        "",
        f"axes of arrays (.npy, .npz, .h5, .mat), such as NHW of volumes; default: {AS_DATA}, or "
        "by the number of axes",
    )
    dataset: str = option("", "name of the array in files that hold several")
    alpha_band: str = option(
        "",
        "a band of a TIFF or PNG that is declared as transparency: values reads it as a "
        f"measurement, mask as the mask of valid pixels, drop leaves it out; default: {AS_DATA}, "
        "or refuse",
        choices=("", "refuse", "values", "mask", "drop"),
    )
    stack: str = option(
        "",
        "the pages of a TIFF without information on its axes: planes, or channels of one plane; "
        f"default: {AS_DATA}, or planes",
        choices=("", "planes", "channels"),
    )

    @property
    def opening(self) -> dict[str, Any]:
        """The options that were given, as arguments of the formats."""
        return {name: getattr(self, name) for name in OPENING if getattr(self, name)}


@dataclass(frozen=True, kw_only=True)
class MeasuredOptions(DisplayOptions, OpeningOptions):
    """All options for measurements."""

    arrays: str = option(
        "npy",
        "file format of translations that are measurements but come from pictures or --data_dir, "
        "which have no format to keep",
        choices=ARRAY_ENDINGS,
    )
    previews: bool = option(
        False,
        "also write PNGs of translated measurements to OUTPUT/previews, scaled by --display_range",
    )
