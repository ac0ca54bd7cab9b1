"""Files of measurements: how each format is read into arrays with their geometry, and written back.

One module per format, listed in `data.measured_endings` by its file extensions; its library is an
extra, imported when a file of that format is opened. A format is a subclass of `base.Measurement`,
and its module has a function `open_file(path, **options)` that opens one.

    with open_measurement(Path("scan.nii.gz")) as scan:
        array = scan.read(plane=12)  # [h, w, C]; `stacks.read_stack` adds neighbouring planes
        with scan.create(Path("out.nii.gz"), values) as out:
            out.write(array, plane=12)
"""

import contextlib
import importlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tfcyclegan.data import picture_files
from tfcyclegan.data.measured_endings import ENDINGS as ENDINGS
from tfcyclegan.data.measured_endings import FORMATS as FORMATS
from tfcyclegan.data.measured_endings import ending_of as ending_of
from tfcyclegan.errors import UserError

if TYPE_CHECKING:
    from tfcyclegan.formats.base import Measurement

_SERIES = ".dcm"


def is_measurement(path: Path) -> bool:
    """Whether a path has an extension of measurements."""
    return bool(ending_of(path.name))


def open_measurement(path: Path, **options: Any) -> "Measurement":
    """Opens a file according to its extension, or a directory with a DICOM series.

    Args:
        path: the file.
        options: options of its format, see the module's `open_file`.

    Raises:
        UserError: the extension is of no format, or its library is not installed.
        intake.BadPicture: it is damaged or not such a file, with the reason.
        OSError: the system cannot read it; it may be repaired before a rerun.
    """
    with _needing(path):
        module = _module_of(path)
        if not path.is_dir():  # libraries take for damaged what the system refuses to read
            with picture_files.opened(path) as stream:
                stream.read(1)
        opened: Measurement = module.open_file(path, **options)
    return opened


def options_among(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a data set that are options of the format of `path`; raises the errors of
    `open_measurement`.
    """
    with _needing(path):
        known = inspect.signature(_module_of(path).open_file).parameters
    return {name: value for name, value in settings.items() if name in known}


def load(module: str, needed_for: object) -> ModuleType:
    """A module of this package; UserError if its library is not installed.

    Args:
        module: such as "nifti".
        needed_for: the file or script to name in that case.
    """
    with _needing(needed_for):
        return importlib.import_module(f"tfcyclegan.formats.{module}")


def _module_of(path: Path) -> Any:
    ending = _SERIES if path.is_dir() else ending_of(path.name).lower()
    if not ending:
        raise UserError(
            f"{path}: not a file of measurements by its extension; valid are "
            f"{', '.join(sorted(ENDINGS))}"
        )
    return importlib.import_module(f"tfcyclegan.formats.{FORMATS[ending]}")


@contextlib.contextmanager
def _needing(needed_for: object) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"{needed_for}: needs {error.name}, which is not installed; "
            "pip install 'tfcyclegan[measurements]'"
        ) from error
