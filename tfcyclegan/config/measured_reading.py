"""Options of `tfcyclegan translate` on files of measurements: how they are opened, and what is
written beside them.
"""

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
too, and the settings of a manifest tell them.
"""


@dataclass(frozen=True, kw_only=True)
class OpeningOptions(Options):
    """How files of measurements are opened, each option for the formats that know it."""

    axis: str = option(
        "",
        "slices of NIfTI volumes: axial, coronal, sagittal, or auto across the largest spacing; "
        f"default: {AS_DATA}, or auto",
        choices=("", "auto", "axial", "coronal", "sagittal"),
    )
    without_affine: bool = option(
        False,
        "take NIfTI volumes whose header tells no place in space, with their axes for right, "
        "anterior and superior",
    )
    gaps: str = option(
        "",
        "DICOM series of which slices seem to be missing: refuse or keep them; "
        f"default: {AS_DATA}, or refuse",
        choices=("", "refuse", "keep"),
    )
    axes: str = option(
        "",
        "axes of arrays (.npy, .npz, .h5, .mat), such as NHW of volumes; "
        f"default: {AS_DATA}, or by their number",
    )
    dataset: str = option("", "name of the array, in files that hold several")
    alpha_band: str = option(
        "",
        "a band of a TIFF or PNG that is declared transparency: values takes it as a measurement, "
        f"mask as where there is one, drop leaves it out; default: {AS_DATA}, or refuse",
        choices=("", "refuse", "values", "mask", "drop"),
    )
    stack: str = option(
        "",
        "the pages of a TIFF that tells no axes: planes, or channels of one plane; "
        f"default: {AS_DATA}, or planes",
        choices=("", "planes", "channels"),
    )

    @property
    def opening(self) -> dict[str, Any]:
        """Those that were given, as the formats take them."""
        return {name: getattr(self, name) for name in OPENING if getattr(self, name)}


@dataclass(frozen=True, kw_only=True)
class MeasuredOptions(DisplayOptions, OpeningOptions):
    """All options on measurements."""

    arrays: str = option(
        "npy",
        "files of translations that are measurements and come from pictures or from --data_dir, "
        "which have no format to keep",
        choices=ARRAY_ENDINGS,
    )
    previews: bool = option(
        False,
        "PNGs of translated measurements beside them, in OUTPUT/previews, in the window of "
        "--display_range",
    )
