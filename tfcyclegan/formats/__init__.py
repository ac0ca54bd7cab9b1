"""Files of measurements: how each format is read into arrays with their geometry, and written back.

One module a format, named here by the endings that it reads; its library is an extra, imported when
a file of that format is opened. A format is a subclass of `base.Measurement`, and its module has a
function `open_file(path, **options)` that opens one.

    with open_measurement(Path("scan.nii.gz")) as scan:
        array = scan.read(plane=12)  # [h, w, C]; `stacks.read_stack` adds neighbouring planes
        with scan.create(Path("out.nii.gz"), values) as out:
            out.write(array, plane=12)
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfcyclegan.errors import UserError

if TYPE_CHECKING:
    from tfcyclegan.formats.base import Measurement

FORMATS = {
    ".npy": "arrays",
    ".npz": "arrays",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".mat": "hdf5",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".png": "png",
}
"""The module of each ending."""
ENDINGS = tuple(sorted(FORMATS, key=len, reverse=True))


def ending_of(name: str) -> str:
    """The ending of a file of measurements, as it is written there; empty where it is none."""
    found = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    return name[-len(found) :] if found else ""


def is_measurement(path: Path) -> bool:
    """Whether a path is that of measurements by its ending."""
    return bool(ending_of(path.name))


def open_measurement(path: Path, **options: Any) -> "Measurement":
    """Opens a file by its ending.

    Args:
        path: of the file.
        options: of its format, see the module's `open_file`.

    Raises:
        UserError: an ending of no format, or its library is not installed.
        intake.BadPicture: it cannot be read, with the reason.
    """
    ending = ending_of(path.name).lower()
    if not ending:
        raise UserError(
            f"{path}: no file of measurements by its ending; those are {', '.join(sorted(ENDINGS))}"
        )
    try:
        module = importlib.import_module(f"tfcyclegan.formats.{FORMATS[ending]}")
        opened: Measurement = module.open_file(path, **options)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{path}: needs {error.name}, which is not installed; "
            "pip install 'tfcyclegan[measurements]'"
        ) from error
    return opened
