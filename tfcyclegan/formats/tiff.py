"""TIFF, with tifffile: pictures, stacks, OME-TIFF and ImageJ hyperstacks, read according to their
axes. Imports no TensorFlow.

C and S are channels, C first; Y and X are rows and columns; all other axes (Z, T, pages) are
planes, in the order of the file. Results have the same kind, order of axes, planar layout, byte
order and lossless compression; tags that describe the old values are not copied.
"""

import contextlib
import io
import logging
import math
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from tfcyclegan.config.reading import STACKS
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.data.values import Values, own_plane
from tfcyclegan.errors import UserError
from tfcyclegan.formats import alpha, tiff_output
from tfcyclegan.formats.base import Destination, Measurement, Shape, Window
from tfcyclegan.formats.damage import reading
from tfcyclegan.formats.stored_numbers import StoredNumbers
from tfcyclegan.formats.tiff_tags import (
    ALPHA,
    DEFLATE,
    GEO_TAGS,
    JPEG,
    KEPT_TAGS,
    LAYOUT_TAGS,
    LERC,
    LOSSLESS,
    MINISBLACK,
    MINISWHITE,
    NONE,
    RGB,
    YCBCR,
    has_codecs,
    names_beside,
    pixels_of,
)

_OTHER_COLOURS = {3: "class ids with a table of colours", 4: "a mask", 5: "inks", 8: "CIELab"}
_NEEDS_CODECS = "needs imagecodecs, which is not installed; pip install 'tfcyclegan[measurements]'"


def open_file(path: Path, *, alpha_band: str = "refuse", stack: str = "planes") -> Measurement:
    """Opens a TIFF file, with `geotiff` if it has tags of GeoTIFF or GDAL, or LERC compression,
    whose missing values tifffile reads as 0.
    """
    if is_geotiff(path):
        from tfcyclegan.formats import geotiff  # importing rasterio is slow

        return geotiff.open_file(path, alpha_band=alpha_band)
    return Tiff(path, alpha_band=alpha_band, stack=stack)


def is_geotiff(path: Path) -> bool:
    """Whether the first picture of a TIFF file has tags of GeoTIFF or GDAL or is compressed by
    LERC, or GDAL reads a file beside it; False if it is not a TIFF.
    """
    if any(file.is_file() for file in names_beside(path)):
        return True
    try:
        with _opened(path) as file:
            page = file.pages.first
            return int(page.compression) == LERC or any(code in page.tags for code in GEO_TAGS)
    except BadPicture:
        return False


class Tiff(Measurement):
    """The first series of a file; tifffile calls pages that belong together a series.

    Args:
        path: the file.
        alpha_band: one of `config.reading.ALPHA_BANDS`.
        stack: meaning of pages without axes: one of `config.reading.STACKS`.

    Raises:
        intake.BadPicture: it is not a TIFF, or does not hold measurements.
    """

    units = ""

    def __init__(self, path: Path, *, alpha_band: str = "refuse", stack: str = "planes"):
        if stack not in STACKS:
            raise UserError(f"--stack={stack}: must be one of {', '.join(STACKS)}")
        self.path = path
        self._lock = threading.Lock()
        self._last: tuple[int, np.ndarray] | None = None
        self._contiguous: np.ndarray | None = None
        with contextlib.ExitStack() as opened:
            self.file = opened.enter_context(_opened(path))
            with _reading(path):
                self._describe(alpha_band, stack)
            self._close = opened.pop_all()

    def _describe(self, alpha_band: str, stack: str) -> None:
        series = self.file.series[0]
        page = series.keyframe
        notes = list(_told_of_the_rest(self.file, series))
        self.series, self.page = series, page
        self.axes = series.axes
        if stack == "channels":
            named = "C" in self.axes or "S" in self.axes
            if named or not any(axis in "QI" for axis in self.axes):
                raise BadPicture(
                    f"--stack=channels: its axes {self.axes} already define the channels; leave "
                    "the flag out"
                )
            self.axes = self.axes.replace("Q", "C").replace("I", "C")
        elif any(axis in "QI" for axis in self.axes):
            notes.append(
                "pages without axes, read as planes; --stack=channels reads them as channels"
            )
        if not {"Y", "X"} <= set(self.axes) or len(set(self.axes)) < len(self.axes):
            raise BadPicture(f"axes {self.axes}: needs rows Y and columns X, each once")
        if self._has_channels_as_columns():
            raise BadPicture(
                f"{series.shape[0]} pages of {series.shape[1]}x{series.shape[2]} pixels: looks "
                "like channels written as columns; save it with photometric and planarconfig given"
            )
        self._lead = len(series.shape) - len(page.shape)
        if series.shape[self._lead :] != page.shape:
            raise BadPicture(f"pages of shape {page.shape} in a series of shape {series.shape}")
        sizes = dict(zip(self.axes, series.shape, strict=True))
        self.channel_axes = "".join(axis for axis in "CS" if axis in sizes)
        self._plane_axes = "".join(axis for axis in self.axes if axis not in "CSYX")
        self._plane_sizes = tuple(sizes[axis] for axis in self._plane_axes)
        count = math.prod(sizes[axis] for axis in self.channel_axes)
        photometric = int(page.photometric)
        if photometric not in (MINISWHITE, MINISBLACK, RGB) and not (
            photometric == YCBCR and int(page.compression) in JPEG
        ):
            kind = _OTHER_COLOURS.get(photometric, f"colours of kind {photometric}")
            raise BadPicture(f"holds {kind}, not measurements")
        self.is_inverted = photometric == MINISWHITE
        if self.is_inverted:
            notes.append("its zero is white (MINISWHITE); values are read as stored")
        extra = [int(what) for what in page.extrasamples or ()]
        transparent = None
        if any(what in ALPHA for what in extra) and "C" not in sizes:
            first = next(place for place, what in enumerate(extra) if what in ALPHA)
            transparent = count - len(extra) + first
        self._bands = alpha.decide(alpha_band, count, transparent)
        _require_codecs(page)
        self._numbers = StoredNumbers(series.dtype, has_mask=self._bands.mask is not None)
        self.dtype, self.nodata = self._numbers.dtype, self._numbers.nodata
        self.shape = Shape(
            math.prod(self._plane_sizes), sizes["Y"], sizes["X"], len(self._bands.kept)
        )
        self.names = self._names()
        self.notes = (*self._bands.notes, *self._numbers.notes, *notes)
        self._require_whole()

    def _has_channels_as_columns(self) -> bool:
        """Whether it looks like tifffile's default layout of an array [H, W, C]."""
        shape = self.series.shape
        return (
            self.series.kind == "shaped"
            and self.axes == "QYX"
            and shape[2] <= 16 < min(shape[0], shape[1])
        )

    def _require_whole(self) -> None:
        """Raises BadPicture if parts of it are missing, which tifffile would fill with zeros."""
        for page in self.series.pages:
            if page is None:
                raise BadPicture("parts of it are in other files, or missing")
        size = self.path.stat().st_size
        if self.series.dataoffset is not None:
            if self.series.dataoffset + self.series.nbytes > size:
                raise BadPicture("damaged: the file ends before its values")
            return
        for page in self.series.pages:
            extents = zip(page.dataoffsets, page.databytecounts, strict=True)
            if not page.dataoffsets or any(
                not count or start + count > size for start, count in extents
            ):
                raise BadPicture("damaged: the file ends before its values, or lacks parts")

    def _names(self) -> tuple[str, ...]:
        """Names of the channels, if OME or ImageJ metadata has one for each."""
        names: list[str] = []
        if self.file.is_ome:
            names = [each.get("Name", "") for each in pixels_of(self.file).iterfind("{*}Channel")]
        elif self.file.is_imagej:
            labels = (self.file.imagej_metadata or {}).get("Labels", [])
            names = list(labels) if self.shape.planes == 1 else []
        complete = len(names) == self.shape.channels and all(names)
        return tuple(names) if complete else ()

    def read(self, plane: int = 0, window: Window | None = None) -> np.ndarray:
        with self._lock, _reading(self.path):
            raw = self._read_plane(plane)
            if window is not None:
                raw = raw[window.top : window.bottom, window.left : window.right]
            kept = self._bands.kept
            samples = raw if len(kept) == raw.shape[-1] else raw[..., kept]
            return self._numbers.read(samples, self._bands.hidden(raw))

    def _read_plane(self, plane: int) -> np.ndarray:
        """[H, W, C] as stored, a view if possible. The last plane is cached, since its windows are
        read one after another.
        """
        if self._last is not None and self._last[0] == plane:
            return self._last[1]
        place = dict(
            zip(self._plane_axes, np.unravel_index(plane, self._plane_sizes), strict=True)
            if self._plane_axes
            else ()
        )
        values = self._in_file(place) if self._is_plain() else self._of_pages(place)
        self._last = plane, values
        return values

    def _is_plain(self) -> bool:
        """Whether the file stores the values contiguously, like an array."""
        return self.series.dataoffset is not None

    def _in_file(self, place: dict[str, Any]) -> np.ndarray:
        if self._contiguous is None:
            dtype = self.series.dtype.newbyteorder(self.file.byteorder)
            self._contiguous = np.memmap(
                self.path, dtype, "r", self.series.dataoffset, self.series.shape
            )
        return self._ordered(self._contiguous, self.axes, place)

    def _of_pages(self, place: dict[str, Any]) -> np.ndarray:
        """Reads the pages that hold the plane, one for each channel or one for all."""
        lead, within = self.axes[: self._lead], self.axes[self._lead :]
        sizes = self.series.shape[: self._lead]
        channels = range(sizes[lead.index("C")]) if "C" in lead else (0,)
        found = []
        for channel in channels:
            there = {**place, "C": channel}
            index = int(np.ravel_multi_index([there[axis] for axis in lead], sizes)) if lead else 0
            samples = np.asarray(self.series.pages[index].asarray(maxworkers=1))
            found.append(self._ordered(samples, within, place))
        return np.concatenate(found, axis=-1)

    def _ordered(self, samples: np.ndarray, axes: str, place: dict[str, Any]) -> np.ndarray:
        """Rows, columns and channels of one plane, from an array with `axes`."""
        samples = samples[tuple(place.get(axis, slice(None)) for axis in axes)]
        left = [axis for axis in axes if axis not in place]
        order = [left.index(axis) for axis in ("Y", "X", "C", "S") if axis in left]
        samples = samples.transpose(order)
        return samples.reshape(*samples.shape[:2], -1)

    def identity(self) -> Mapping[str, object]:
        return {"zero of gray": "white"} if self.is_inverted else {}

    def create(self, path: Path, values: Values) -> Destination:
        return tiff_output.like(path, self, own_plane(values))

    def close(self) -> None:
        with self._lock:
            self._contiguous = self._last = None
            self._close.close()


def _told_of_the_rest(file: Any, series: Any) -> Iterator[str]:
    """Notes on parts of the file that are not used or not written back."""
    if len(file.series) > 1:
        yield LeftOut("series of a file behind its first")
    if len(series.levels) > 1:
        yield LeftOut("smaller copies beside the planes")
    compression = int(series.keyframe.compression)
    if compression != NONE and compression not in LOSSLESS:
        yield "compression written back as deflate, which loses nothing"
    orientation = series.keyframe.tags.get("Orientation")
    if orientation is not None and int(orientation.value) != 1:
        yield LeftOut("the orientation that a tag tells")
    names = {tag.name for tag in series.keyframe.tags} - KEPT_TAGS - LAYOUT_TAGS
    if names:
        yield LeftOut(f"tags {', '.join(sorted(names))}")


def _require_codecs(page: Any) -> None:
    """Raises UserError if tifffile cannot read such a picture without imagecodecs."""
    plain = int(page.compression) in (NONE, *DEFLATE)
    whole_bytes = page.bitspersample in (1, 8, 16, 32, 64)
    if not (plain and whole_bytes and int(page.predictor) in (1, 2)) and not has_codecs():
        raise UserError(f"{page.parent.filehandle.path}: {_NEEDS_CODECS}")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    # errors in a file are raised here
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        with _reading(path):
            _require_no_circle(path)
            file = stack.enter_context(tifffile.TiffFile(path, _multifile=False))
        yield file


def _require_no_circle(path: Path) -> None:
    """Raises BadPicture if the headers of pages form a cycle, which tifffile would follow for a
    long time.
    """
    seen: set[int] = set()
    with open(path, "rb") as stream:
        head = stream.read(16)
        order = "<" if head[:2] == b"II" else ">"
        is_big = head[2:4] in (b"+\0", b"\0+")
        count, entry, place = ("Q", 20, "Q") if is_big else ("H", 12, "I")
        (offset,) = struct.unpack_from(order + place, head, 8 if is_big else 4)
        while offset:
            if offset in seen:
                raise BadPicture("damaged: its pages form a cycle")
            seen.add(offset)
            stream.seek(offset)
            (tags,) = struct.unpack(order + count, stream.read(struct.calcsize(count)))
            stream.seek(tags * entry, io.SEEK_CUR)
            (offset,) = struct.unpack(order + place, stream.read(struct.calcsize(place)))


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns any tifffile error into BadPicture; the system's OSError passes."""
    try:
        with reading():
            yield
    except BadPicture as error:
        if "imagecodecs" in str(error):
            raise UserError(f"{path}: {_NEEDS_CODECS}") from error
        raise
