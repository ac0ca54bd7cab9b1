"""A file of measurements as sources of arrays: its planes, or windows of them, with masked pixels
as missing measurements, in the type of its domain.
"""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from data_prep.request import Origin, TakenArray
from data_prep.value_options import Tiles
from tfcyclegan.data import picture_files
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.manifest import ALL, CLIPPED, INVALID
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.data.records import StoredArray
from tfcyclegan.data.values import Values
from tfcyclegan.formats import ending_of, grids
from tfcyclegan.formats.base import Measurement, Shape, Window
from tfcyclegan.formats.stacks import stacked

EMPTY = LeftOut("planes and windows without any measurement (NaN, nodata, mask)")
_NOTHING = "holds no measurement at all: every value is NaN, nodata or masked"
_SOURCE_BYTES = 32_000_000  # bytes that a thread holds at a time, at most

Open = Callable[[Path], Measurement]


@dataclass(frozen=True)
class Found:
    """The measurements below a folder, and what else was found there.

    Attributes:
        paths: arguments of `Open`, in order.
        left_out: entries that are not used: {kind: count}.
        examples: some of their paths.
        groups: the group of each path, if the format stores it.
        inside: the files behind a path that is a series, or that has files beside it.
    """

    paths: list[Path]
    left_out: Counter[str]
    examples: list[str]
    groups: Mapping[Path, str] = field(default_factory=dict)
    inside: Mapping[Path, Sequence[Path]] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        """Files and directories on disk."""
        return [each for path in self.paths for each in self.inside.get(path, [path])]


def by_endings(
    directory: Path,
    endings: Sequence[str],
    names_beside: Callable[[Path], Sequence[Path]] = lambda path: (),
) -> Found:
    """Files below a folder by their extensions, in upper or lower case; those of `names_beside`
    that are there count as parts of a file.
    """
    left_out: Counter[str] = Counter()
    there = [Path(entry.path) for entry in picture_files.walk(directory, left_out)]
    paths = sorted(path for path in there if path.name.lower().endswith(tuple(endings)))
    others = set(there) - set(paths)
    beside = {path: [each for each in names_beside(path) if each in others] for path in paths}
    unused = others.difference(*beside.values())
    left_out.update(picture_files.kind_of(path.name) for path in unused)
    examples = sorted(path.relative_to(directory).as_posix() for path in unused)
    inside = {path: [path, *parts] for path, parts in beside.items() if parts}
    return Found(paths, left_out, examples, inside=inside)


class Place(NamedTuple):
    """A plane of a file, or a window of one."""

    plane: int
    window: Window | None


@dataclass(frozen=True)
class MeasuredFile:
    """A file of measurements that has been opened once.

    Attributes:
        split: the split, such as "trainA".
        name: path below the split's folder, with "/" between the parts.
        path: the file's path.
        group: the subject or scene that it belongs to.
        open_: function that opens it.
        mask: the file whose zeros mark missing measurements, or None.
        shape: see `Measurement`, also for the following attributes.
    """

    split: str
    name: str
    path: Path
    group: str
    open_: Open
    mask: Path | None
    shape: Shape
    dtype: str
    nodata: float | None
    units: str
    names: tuple[str, ...]
    notes: tuple[str, ...]
    identity: Mapping[str, object]
    grid: np.ndarray | None = None

    @property
    def told(self) -> str:
        """Its name in messages."""
        return f"{self.split}/{self.name}"

    @property
    def stem(self) -> str:
        return stem_of(self.path)

    def places(self, tiles: Tiles | None) -> list[Place]:
        """Its planes or, with `tiles`, windows over each plane; those at the right and lower edges
        are moved inwards.
        """
        if tiles is None:
            return [Place(plane, None) for plane in range(self.shape.planes)]
        size, stride = tiles.size, tiles.stride
        height, width = min(size.height, self.shape.height), min(size.width, self.shape.width)
        return [
            Place(plane, Window(top, left, top + height, left + width))
            for plane in range(self.shape.planes)
            for top in _starts(self.shape.height, height, stride.height)
            for left in _starts(self.shape.width, width, stride.width)
        ]

    @contextlib.contextmanager
    def opened(
        self, dtype: str, gap: float | None
    ) -> Iterator[Callable[[int, Window | None], np.ndarray]]:
        """Opens it for reading planes of type `dtype`, with `gap` in place of missing measurements.

        Raises:
            BadPicture: it cannot be read, or its mask does not fit.
        """
        with contextlib.ExitStack() as stack:
            measured = stack.enter_context(self.open_(self.path))
            mask = self._opened_mask(stack, measured)

            def read(plane: int, window: Window | None) -> np.ndarray:
                array = measured.read(plane, window)
                invalid = _invalid(array, measured.nodata)
                if mask is not None:
                    shown = mask.read(plane if mask.shape.planes > 1 else 0, window)
                    invalid |= (shown == 0) | ~np.isfinite(shown)
                array = array.astype(dtype)
                if gap is not None:
                    array[invalid] = gap
                return array

            yield read

    def _opened_mask(
        self, stack: contextlib.ExitStack, measured: Measurement
    ) -> Measurement | None:
        if self.mask is None:
            return None
        try:
            mask = stack.enter_context(self.open_(self.mask))
        except BadPicture as error:
            raise BadPicture(f"its mask: {error}") from error
        except OSError as error:
            raise OSError(f"its mask: {error.strerror or error}") from error
        _check_mask(measured.shape, mask.shape)
        if away := grids_apart((measured.grid(), measured.shape), (mask.grid(), mask.shape)):
            raise BadPicture(f"its mask lies {away:.3g} pixels away; resample it onto the file")
        return mask


@dataclass(frozen=True)
class MeasuredSource(Origin):
    """Some planes or windows of a file, to be stored.

    Attributes:
        file: the file.
        places: planes or windows of it, in order; at least one.
        values: the meaning of its numbers.
        stored: the type in which its values are stored.
        tiles: see `MeasuredFile.places`.
        first: whether the notes on the file are reported with these places.
    """

    file: MeasuredFile
    places: tuple[Place, ...]
    values: Values
    stored: str
    tiles: Tiles | None
    first: bool

    def identity(self) -> Any:
        """The domain's values and the stored type follow from the files that could be opened."""
        return [self.filename, self.places, self.values.to_json(), self.stored]

    def take_all(self, max_pixels: int) -> list[TakenArray]:
        """Arrays of those places that hold a measurement; BadPicture if the file has none."""
        gap = self.values.gap_or_none
        taken = []
        with self.file.opened(self.values.dtype, gap) as read:
            for place in self.places:
                taken.append(self._take(place, self._read(read, place)))
            if all(each.picture is None for each in taken) and not any(
                (~self.values.invalid(self._read(read, place))).any()
                for place in self.file.places(self.tiles)
            ):
                raise BadPicture(_NOTHING)
        if self.first:
            notes = taken[0].notes | {*self.file.notes}
            taken[0] = dataclasses.replace(taken[0], notes=notes)
        return taken

    def _read(self, read: Callable[[int, Window | None], np.ndarray], place: Place) -> np.ndarray:
        planes, neighbours = self.file.shape.planes, self.values.neighbours
        return stacked(lambda plane: read(plane, place.window), planes, place.plane, neighbours)

    def _take(self, place: Place, array: np.ndarray) -> TakenArray:
        invalid = self.values.invalid(array)
        missing = int(np.count_nonzero(invalid))
        tally = {ALL: array.size, INVALID: missing, CLIPPED: self.values.outside(array)}
        tally = {what: count for what, count in tally.items() if count}
        if missing == array.size:
            return TakenArray(None, frozenset([EMPTY]))
        name = f"{self.file.split}/{self.file.name}"
        stored = StoredArray.of(
            array,
            self.stored,
            filename=place_name(name, self.file, place),
            group=self.file.group,
            plane=place.plane,
        )
        known = array[~invalid]
        return TakenArray(stored, frozenset(), tally, plain=bool((known == known[0]).all()))


def sources_of(
    file: MeasuredFile, values: Values, stored: str, tiles: Tiles | None
) -> list[MeasuredSource]:
    """A file's places, in parts of bounded size."""
    places = file.places(tiles)
    window = places[0].window
    height, width = (
        (window.bottom - window.top, window.right - window.left)
        if window
        else (file.shape.height, file.shape.width)
    )
    size = height * width * values.channels * np.dtype(stored).itemsize
    count = max(1, _SOURCE_BYTES // size)
    return [
        MeasuredSource(
            file.told,
            size * len(places[start : start + count]),
            file,
            tuple(places[start : start + count]),
            values,
            stored,
            tiles,
            start == 0,
        )
        for start in range(0, len(places), count)
    ]


def place_name(name: str, file: MeasuredFile, place: Place) -> str:
    """The name of an array: its file's, with the numbers of its plane (from 1) and window if there
    are several: scan_0012.nii.gz, scene_y0000_x0512.tif.
    """
    path, ending = PurePosixPath(name), ending_of_path(file.path)
    plane = f"_{place.plane + 1:04d}" if file.shape.planes > 1 else ""
    window = place.window
    whole = window is None or window == (0, 0, file.shape.height, file.shape.width)
    where = "" if window is None or whole else f"_y{window.top:04d}_x{window.left:04d}"
    return path.with_name(f"{file.stem}{plane}{where}{ending}").as_posix()


def ending_of_path(path: Path) -> str:
    return ending_of(path.name) or ("" if path.is_dir() else path.suffix)


def stem_of(path: Path) -> str:
    """A path's last part without its extension."""
    return path.name.removesuffix(ending_of_path(path))


def _starts(length: int, size: int, stride: int) -> list[int]:
    return sorted({*range(0, length - size + 1, stride), length - size})


def grids_apart(
    one: tuple[np.ndarray | None, Shape], other: tuple[np.ndarray | None, Shape]
) -> float:
    """How many pixels two files of as many pixels lie apart; 0 where it is the same place, or one
    tells none or has other planes.
    """
    (grid, shape), (other_grid, other_shape) = one, other
    if grid is None or other_grid is None or grid.shape != other_grid.shape:
        return 0
    if shape.planes != other_shape.planes:
        return 0
    away = grids.apart(grid, other_grid, (shape.planes, shape.height, shape.width))
    return away if away > grids.SAME else 0


def _invalid(array: np.ndarray, nodata: float | None) -> np.ndarray:
    one = (0.0,) * array.shape[-1]
    return Values(array.dtype.name, one, (1.0,) * len(one), nodata).invalid(array)


def _check_mask(shape: Shape, mask: Shape) -> None:
    fits = (
        (mask.height, mask.width) == (shape.height, shape.width)
        and mask.planes in (1, shape.planes)
        and mask.channels in (1, shape.channels)
    )
    if not fits:
        raise BadPicture(
            f"its mask has {mask.planes} planes {mask.height}x{mask.width} of {mask.channels} "
            f"channels, the file {shape.planes} planes {shape.height}x{shape.width} of "
            f"{shape.channels} channels"
        )
