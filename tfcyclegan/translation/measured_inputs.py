"""What lies below a folder to be translated as measurements: files by their endings, and series of
DICOM files.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfcyclegan import formats
from tfcyclegan.data import picture_files
from tfcyclegan.data.manifest import printable
from tfcyclegan.errors import UserError
from tfcyclegan.system.progress import log


@dataclass(frozen=True)
class Input:
    """One measurement.

    Attributes:
        path: its file, or the folder that holds a series.
        options: with which it is opened, beside those of all.
    """

    path: Path
    options: Mapping[str, Any] = field(default_factory=dict)


def find_inputs(path: Path, output: Path | None = None) -> tuple[dict[str, Input], Counter[str]]:
    """What is to be translated, by its name below `path`, and what else lies there; without what
    lies in `output`, the folder of results, if that is below `path`.

    The DICOM files of a folder are one series, of the folder's name; or several, which is told,
    called by pseudonyms of their SeriesInstanceUIDs in a folder of that name, as `data_prep.dicom`
    calls them.

    Raises:
        UserError: there is nothing.
    """
    left_out: Counter[str] = Counter()
    if not path.is_dir():
        return {path.name: Input(path)}, left_out
    found: dict[str, Input] = {}
    slices: dict[Path, list[Path]] = {}
    for entry in picture_files.walk(path, left_out, output):
        place = Path(entry.path)
        if _is_dicom(place):
            slices.setdefault(place.parent, []).append(place)
        elif formats.is_measurement(place):
            found[place.relative_to(path).as_posix()] = Input(place)
        else:
            left_out[picture_files.kind_of(entry.name)] += 1
    for folder, files in slices.items():
        name = _name_of(path) if folder == path else folder.relative_to(path).as_posix()
        series = _series_of(folder, name, sorted(files), left_out)
        if taken := found.keys() & series.keys():
            raise UserError(
                f"--input={path}: two series are called {printable(taken.pop())}, after {path} and "
                "a folder in it; rename one"
            )
        found |= series
    if not found:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))
        raise UserError(f"--input={path}: no files of measurements found{kinds and f' ({kinds})'}")
    return dict(sorted(found.items())), left_out


def _name_of(folder: Path) -> str:
    """The name of the input folder; a link keeps its own.

    Raises:
        UserError: it has none, as the root of a file system.
    """
    # "." and ".." would put a series in place of the folder of results, or beside it
    name = folder.resolve().name if folder.name in ("", "..") else folder.name
    if not name:
        raise UserError(
            f"--input={folder}: holds DICOM files, but has no name, which their series would get; "
            "move the files into a folder"
        )
    return name


def _is_dicom(path: Path) -> bool:
    """By its ending, or by its mark where it has none that is known."""
    if formats.is_measurement(path):
        return path.suffix.lower() == ".dcm"
    try:
        with picture_files.opened(path) as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _series_of(
    folder: Path, name: str, files: Sequence[Path], left_out: Counter[str]
) -> dict[str, Input]:
    """The series of the DICOM files of a folder."""
    passed: Counter[str] = Counter()
    several = formats.load("dicom_slices", folder).group(files, passed)
    # a file that cannot be read may be of any of them, and opening the folder names it
    if len(several) == 1 or any(not series.subject for series in several):
        return {name: Input(folder)}
    left_out.update(passed)
    if several:
        counts = [
            f"{series.name} ({'not usable' if series.problem else f'{len(series.slices)} slices'})"
            for series in several
        ]
        log(f"{printable(name)}: {len(several)} series, each by itself: {', '.join(counts)}")
    return {f"{name}/{series.name}": Input(folder, {"series": series}) for series in several}
