"""Arrays in a folder, named like a split's measurements: translations of another program, or maps
of regions. Files hold one plane, or all planes of a volume or windows of a scene, like the files
that the split was prepared from.
"""

import contextlib
import importlib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from tfcyclegan.data import picture_files
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError
from tfcyclegan.formats import ENDINGS, FORMATS, ending_of, open_measurement
from tfcyclegan.formats.base import Measurement, Window
from tfcyclegan.measures.pictures import Pictures, Renamed

_LISTED = 5
# NAME, the number of a plane from 1, the place of a window: as `data_prep` names arrays
_PLACE = re.compile(r"(?P<name>.*?)(?:_(?P<plane>\d{4,}))?(?:_y(?P<top>\d{4,})_x(?P<left>\d{4,}))?")


@dataclass(frozen=True)
class ReadArrays:
    """The arrays that a folder holds for a split.

    Attributes:
        arrays: by the name of the measurement that each belongs to, [H, W, C]; NaN where the file
            has no measurement.
        told: what was skipped and how the files were read, one line each.
        facts: the same in machine-readable form.
    """

    arrays: Pictures
    told: list[str]
    facts: dict[str, Any]


def read_arrays(
    folder: Path,
    wanted: Mapping[str, tuple[int, int]],
    flag: str,
    *,
    channels: int,
    settings: Mapping[str, Any],
    suffix: str = "",
    keep: Callable[[Iterable[tuple[str, np.ndarray]]], Pictures] = dict,
) -> ReadArrays:
    """Reads the array of each of a split's measurements.

    Args:
        folder: holds files of any format of measurements, in the same subfolders as the split.
        wanted: the measurements' names and their sizes (height, width), which the arrays must have.
        flag: the flag that names the folder, for messages.
        channels: number of channels that the arrays must have.
        settings: how the split was prepared, such as along which axis its volumes were cut.
        suffix: what follows a measurement's name in the files' names.
        keep: keeps arrays, each with its name, as they are read.

    Raises:
        UserError: the folder is missing, files cannot be read or do not fit, or names are missing
            or ambiguous.
    """
    there, passed = _files(folder, flag, suffix)
    places = {
        name: place
        for name, size in wanted.items()
        if (place := _place(_bare(name), size, there)) is not None
    }
    if missing := [name for name in wanted if name not in places]:
        some = ", ".join(missing[:_LISTED]) + (", ..." if len(missing) > _LISTED else "")
        raise UserError(
            f"{flag}={folder}: {len(missing)} of {len(wanted)} measurements of the split have no "
            f"file: {some}; name each file like its measurement, or like its volume or scene"
        )
    names_in: dict[Path, list[str]] = {}
    for name, (path, _, _) in places.items():
        names_in.setdefault(path, []).append(name)
    notes: Counter[str] = Counter()

    def arrays() -> Iterator[tuple[str, np.ndarray]]:
        """File by file, since an open one may hold all that it has decoded."""
        for path, names in names_in.items():
            alone = wanted[names[0]] if places[names[0]][1] is None else None
            with _explaining(path), _open(path, settings, alone) as opened:
                notes.update(opened.notes)
                for name in names:
                    _, plane, window = places[name]
                    yield name, _read(opened, plane, window, wanted[name], channels)

    kept = keep(arrays())
    unused = [path for path in there.values() if path not in names_in]
    label = flag.removeprefix("--")
    told = [f"{label}: {count} files: {note}" for note, count in notes.items()]
    if unused or passed:
        examples = ", ".join(path.relative_to(folder).as_posix() for path in unused[:_LISTED])
        kinds = ", ".join(f"{count} {kind}" for kind, count in passed.items())
        what = "; ".join(part for part in (examples, kinds) if part)
        told.append(f"{label}: {len(unused) + passed.total()} files skipped ({what})")
    return ReadArrays(
        Renamed(kept, {name: name for name in wanted}),  # in their order, not in that of the files
        told,
        {
            "folder": str(folder),
            "suffix": suffix,
            "formats": dict(Counter(ending_of(path.name).lower() for path in names_in)),
            "passed_over": len(unused) + passed.total(),
            "lossy": 0,
            "notes": dict(notes),
        },
    )


def sizes_of(arrays: Pictures) -> dict[str, tuple[int, int]]:
    """The height and width of each."""
    return {name: (array.shape[0], array.shape[1]) for name, array in arrays.items()}


def told_of_values(arrays: Mapping[str, np.ndarray], values: Values) -> list[str]:
    """Lines on what is conspicuous in another program's translations: values on another scale, and
    missing measurements of their own.
    """
    low, high = np.inf, -np.inf
    outside = missing = count = 0
    for array in arrays.values():
        invalid = values.invalid(array)
        count += array.size
        missing += int(np.count_nonzero(invalid))
        outside += values.outside(array)
        if not invalid.all():
            known = array[~invalid]
            low, high = min(low, float(known.min())), max(high, float(known.max()))
    told = [
        f"translations: values from {low:g} to {high:g} {values.units}".rstrip()
        + f", assumed to be in the units of the data ({values.ranges()})"
    ]
    if outside:
        told.append(
            f"translations: {outside} of {count} values are outside the range and are scored "
            "unchanged"
        )
    if missing:
        told.append(
            f"translations: {missing} of {count} values are missing (NaN or nodata); they are left "
            "out of the translations' scores, and of the controls' only where the input is missing "
            "too"
        )
    return told


def _files(folder: Path, flag: str, suffix: str) -> tuple[dict[str, Path], Counter[str]]:
    """Files of measurements by name without extension and suffix; other entries, counted by
    kind.
    """
    if not folder.is_dir():
        raise UserError(f"{flag}={folder}: no such folder")
    passed: Counter[str] = Counter()
    found: dict[str, Path] = {}
    for path in sorted(Path(entry.path) for entry in picture_files.walk(folder, passed)):
        ending = ending_of(path.name)
        stem = path.relative_to(folder).as_posix().removesuffix(ending)
        if not ending:
            passed[picture_files.kind_of(path.name)] += 1
        elif not stem.endswith(suffix):
            passed[f"without {suffix} at the end of their names"] += 1
        elif (name := stem.removesuffix(suffix)) in found:
            raise UserError(
                f"{flag}={folder}: two files for {name}: {found[name].name} and {path.name}; keep "
                "one of them"
            )
        else:
            found[name] = path
    if not found:
        kinds = f"; {', '.join(f'{count} {kind}' for kind, count in passed.items())}"
        raise UserError(
            f"{flag}={folder}: no files of measurements found ({', '.join(sorted(ENDINGS))})"
            + (kinds if passed else "")
        )
    return found, passed


def _bare(name: str) -> str:
    path = PurePosixPath(name)
    return path.with_name(path.name.removesuffix(ending_of(path.name)) or path.name).as_posix()


def _place(
    name: str, size: tuple[int, int], there: Mapping[str, Path]
) -> tuple[Path, int | None, Window | None] | None:
    """The file, plane (None for its only one) and window of the measurement `name`; None if there
    is no file.
    """
    if name in there:
        return there[name], None, None
    found = _PLACE.fullmatch(name)
    assert found is not None
    window = None
    if found["top"]:
        top, left = int(found["top"]), int(found["left"])
        window = Window(top, left, top + size[0], left + size[1])
        plane_alone = name[: found.start("top") - len("_y")]
        if plane_alone in there:
            return there[plane_alone], None, window
    if found["plane"] and found["name"] in there:
        return there[found["name"]], int(found["plane"]) - 1, window
    return None


def _read(
    measured: Measurement,
    plane: int | None,
    window: Window | None,
    size: tuple[int, int],
    channels: int,
) -> np.ndarray:
    shape = measured.shape
    if plane is None and shape.planes != 1:
        raise BadPicture(f"has {shape.planes} planes, but the measurement of this name has one")
    if plane is not None and plane >= shape.planes:
        raise BadPicture(f"has {shape.planes} planes, but the split needs plane {plane + 1}")
    whole = (shape.height, shape.width)
    if window is None and whole != size:
        raise BadPicture(
            f"is {whole[1]}x{whole[0]}, the measurement {size[1]}x{size[0]}; values are not "
            "resampled"
        )
    if window is not None and (window.bottom > whole[0] or window.right > whole[1]):
        raise BadPicture(f"is {whole[1]}x{whole[0]}, smaller than its measurement")
    if shape.channels != channels:
        raise BadPicture(f"has {shape.channels} channels, not {channels}")
    array = measured.read(plane or 0, window)
    known = Values(array.dtype.name, (0.0,) * channels, (1.0,) * channels, measured.nodata)
    invalid = known.invalid(array)
    if invalid.any():
        array = array.astype(np.float64)
        array[invalid] = np.nan
    return array


def _open(path: Path, settings: Mapping[str, Any], alone: tuple[int, int] | None) -> Measurement:
    """Opens a file with the split's `settings`, but a single plane of the size `alone` without
    them, since they may be for whole volumes.
    """
    options = _options(path, settings)
    if not options or alone is None:
        return open_measurement(path, **options)
    try:
        plain = open_measurement(path)
    except BadPicture:
        return open_measurement(path, **options)
    if (plain.shape.planes, plain.shape.height, plain.shape.width) != (1, *alone):
        with contextlib.suppress(BadPicture):
            as_the_set = open_measurement(path, **options)
            plain.close()
            return as_the_set
    return plain


def _options(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The split's settings for reading files of this format."""
    name = f"tfcyclegan.formats.{FORMATS[ending_of(path.name).lower()]}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError:  # opening the file explains it
        return {}
    known = inspect.signature(module.open_file).parameters
    return {name: value for name, value in settings.items() if name in known and value}


@contextlib.contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except BadPicture as error:
        raise UserError(f"{path}: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
