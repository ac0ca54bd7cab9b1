"""TIFF by tifffile: pictures, stacks, OME-TIFF and hyperstacks of ImageJ, read by their axes.
Imports no TensorFlow.

C and S are channels, C first; Y and X rows and columns; all other axes (Z, T, pages) planes, in the
order of the file. Written back as the same kind, in the same order of axes, layout of planes, byte
order and lossless compression; tags that describe the old values are not copied.
"""

import contextlib
import importlib.util
import io
import logging
import math
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from tfcyclegan.config.reading import STACKS
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.values import Values, own_plane
from tfcyclegan.errors import UserError
from tfcyclegan.formats import alpha
from tfcyclegan.formats.base import Destination, Measurement, Shape, Window
from tfcyclegan.formats.scratch import Scratch
from tfcyclegan.formats.stored_numbers import StoredNumbers

_GEO_TAGS = (33550, 33922, 34264, 34735, 42112, 42113)
"""Scale, tie points, transformation and keys of GeoTIFF; metadata and nodata of GDAL."""
_MINISWHITE, _MINISBLACK, _RGB, _YCBCR = 0, 1, 2, 6
_OTHER_COLOURS = {3: "class ids with a table of colours", 4: "a mask", 5: "inks", 8: "CIELab"}
_NONE, _JPEG, _DEFLATE = 1, (6, 7), (8, 32946)
_LOSSLESS = {5: "lzw", 8: "zlib", 32773: "packbits", 32946: "zlib", 34925: "lzma", 50000: "zstd"}
_ALPHA = (1, 2)  # of ExtraSamples
_NEEDS_CODECS = "needs imagecodecs, which is not installed; pip install 'tfcyclegan[measurements]'"
_KEPT_TAGS = {"ImageDescription", "XResolution", "YResolution", "ResolutionUnit", "Software"}
_LAYOUT_TAGS = {
    *("NewSubfileType", "SubfileType", "ImageWidth", "ImageLength", "BitsPerSample", "Compression"),
    *("PhotometricInterpretation", "FillOrder", "StripOffsets", "Orientation", "SamplesPerPixel"),
    *("RowsPerStrip", "StripByteCounts", "PlanarConfiguration", "PageNumber", "Predictor"),
    *("TileWidth", "TileLength", "TileOffsets", "TileByteCounts", "SubIFDs", "ExtraSamples"),
    *("SampleFormat", "JPEGTables", "IJMetadata", "IJMetadataByteCounts", "YCbCrSubSampling"),
    *("YCbCrPositioning", "ReferenceBlackWhite", "ImageDescription1"),
}


def open_file(path: Path, *, alpha_band: str = "refuse", stack: str = "planes") -> Measurement:
    """Opens a TIFF file: by `geotiff` where it has tags of GeoTIFF or GDAL."""
    if is_geotiff(path):
        from tfcyclegan.formats import geotiff  # rasterio takes its time

        return geotiff.open_file(path, alpha_band=alpha_band)
    return Tiff(path, alpha_band=alpha_band, stack=stack)


def is_geotiff(path: Path) -> bool:
    """Whether the first picture of a TIFF file has tags of GeoTIFF or GDAL, or a file beside it
    says where it lies; False for what is no TIFF.
    """
    beside = (path.with_suffix(".tfw"), path.with_suffix(".wld"), Path(f"{path}.aux.xml"))
    if any(file.is_file() for file in beside):
        return True
    try:
        with _opened(path) as file:
            return any(code in file.pages.first.tags for code in _GEO_TAGS)
    except BadPicture:
        return False


class Tiff(Measurement):
    """The first series of a file, as tifffile calls what belongs together.

    Args:
        path: of the file.
        alpha_band: one of `ALPHA_BANDS of `config.reading``.
        stack: what pages without axes are: one of STACKS of
            `config.reading`.

    Raises:
        intake.BadPicture: it is no TIFF, or not one of measurements.
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
            self._file = opened.enter_context(_opened(path))
            with _reading(path):
                self._describe(alpha_band, stack)
            self._close = opened.pop_all()

    def _describe(self, alpha_band: str, stack: str) -> None:
        series = self._file.series[0]
        page = series.keyframe
        notes = list(_told_of_the_rest(self._file, series))
        self._series, self._page = series, page
        self.axes = series.axes
        if stack == "channels":
            named = "C" in self.axes or "S" in self.axes
            if named or not any(axis in "QI" for axis in self.axes):
                raise BadPicture(
                    f"--stack=channels: its axes {self.axes} say what channels are; leave the flag "
                    "out"
                )
            self.axes = self.axes.replace("Q", "C").replace("I", "C")
        elif any(axis in "QI" for axis in self.axes):
            notes.append("pages without axes, taken as planes; --stack=channels decides otherwise")
        if not {"Y", "X"} <= set(self.axes) or len(set(self.axes)) < len(self.axes):
            raise BadPicture(f"axes {self.axes}: rows Y and columns X are wanted, each once")
        if self._has_channels_as_columns():
            raise BadPicture(
                f"{series.shape[0]} pages of {series.shape[1]}x{series.shape[2]} pixels: looks "
                "like channels written as columns; save it with photometric and planarconfig given"
            )
        self._lead = len(series.shape) - len(page.shape)
        if series.shape[self._lead :] != page.shape:
            raise BadPicture(f"pages of shape {page.shape} in a series of shape {series.shape}")
        sizes = dict(zip(self.axes, series.shape, strict=True))
        self._channel_axes = "".join(axis for axis in "CS" if axis in sizes)
        self._plane_axes = "".join(axis for axis in self.axes if axis not in "CSYX")
        self._plane_sizes = tuple(sizes[axis] for axis in self._plane_axes)
        count = math.prod(sizes[axis] for axis in self._channel_axes)
        photometric = int(page.photometric)
        if photometric not in (_MINISWHITE, _MINISBLACK, _RGB) and not (
            photometric == _YCBCR and int(page.compression) in _JPEG
        ):
            kind = _OTHER_COLOURS.get(photometric, f"colours of kind {photometric}")
            raise BadPicture(f"holds {kind}, no measurements")
        self._is_inverted = photometric == _MINISWHITE
        if self._is_inverted:
            notes.append("its zero is white (MINISWHITE); values as they are stored")
        extra = [int(what) for what in page.extrasamples or ()]
        transparent = None
        if any(what in _ALPHA for what in extra) and "C" not in sizes:
            first = next(place for place, what in enumerate(extra) if what in _ALPHA)
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
        """Whether it is what tifffile makes of an array [H, W, C] without further words."""
        shape = self._series.shape
        return (
            self._series.kind == "shaped"
            and self.axes == "QYX"
            and shape[2] <= 16 < min(shape[0], shape[1])
        )

    def _require_whole(self) -> None:
        """Raises where parts of it are missing, for which tifffile would put zeros."""
        for page in self._series.pages:
            if page is None:
                raise BadPicture("parts of it are in other files, or missing")
        size = self.path.stat().st_size
        if self._series.dataoffset is not None:
            if self._series.dataoffset + self._series.nbytes > size:
                raise BadPicture("damaged: the file ends before its values do")
            return
        for page in self._series.pages:
            extents = zip(page.dataoffsets, page.databytecounts, strict=True)
            if not page.dataoffsets or any(
                not count or start + count > size for start, count in extents
            ):
                raise BadPicture("damaged: the file ends before its values do, or lacks parts")

    def _names(self) -> tuple[str, ...]:
        """Of the channels, where OME or ImageJ tell one for each."""
        names: list[str] = []
        if self._file.is_ome:
            names = [each.get("Name", "") for each in _pixels(self._file).iterfind("{*}Channel")]
        elif self._file.is_imagej:
            labels = (self._file.imagej_metadata or {}).get("Labels", [])
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
        """[H, W, C] as stored, a view where it can be one. The last plane is kept, since windows of
        it are asked for one after the other.
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
        """Whether the values lie in the file as in an array."""
        return self._series.dataoffset is not None

    def _in_file(self, place: dict[str, Any]) -> np.ndarray:
        if self._contiguous is None:
            dtype = self._series.dtype.newbyteorder(self._file.byteorder)
            self._contiguous = np.memmap(
                self.path, dtype, "r", self._series.dataoffset, self._series.shape
            )
        return self._ordered(self._contiguous, self.axes, place)

    def _of_pages(self, place: dict[str, Any]) -> np.ndarray:
        """Of the pages that hold the plane, one for each channel or for all."""
        lead, within = self.axes[: self._lead], self.axes[self._lead :]
        sizes = self._series.shape[: self._lead]
        channels = range(sizes[lead.index("C")]) if "C" in lead else (0,)
        found = []
        for channel in channels:
            there = {**place, "C": channel}
            index = int(np.ravel_multi_index([there[axis] for axis in lead], sizes)) if lead else 0
            samples = np.asarray(self._series.pages[index].asarray(maxworkers=1))
            found.append(self._ordered(samples, within, place))
        return np.concatenate(found, axis=-1)

    def _ordered(self, samples: np.ndarray, axes: str, place: dict[str, Any]) -> np.ndarray:
        """Rows, columns and channels of one plane, out of an array of `axes`."""
        samples = samples[tuple(place.get(axis, slice(None)) for axis in axes)]
        left = [axis for axis in axes if axis not in place]
        order = [left.index(axis) for axis in ("Y", "X", "C", "S") if axis in left]
        samples = samples.transpose(order)
        return samples.reshape(*samples.shape[:2], -1)

    def identity(self) -> Mapping[str, object]:
        return {"zero of gray": "white"} if self._is_inverted else {}

    def create(self, path: Path, values: Values) -> Destination:
        return _like(path, self, own_plane(values))

    def close(self) -> None:
        self._contiguous = self._last = None
        self._close.close()


class TiffDestination(Scratch):
    """A TIFF file.

    Args:
        path: of it.
        dtype: of its numbers.
        sizes: of the axes, by letter.
        axes: their order.
        writer: arguments of tifffile.TiffWriter.
        options: arguments of its `write`.
    """

    def __init__(
        self,
        path: Path,
        dtype: np.dtype,
        sizes: Mapping[str, int],
        axes: str,
        writer: Mapping[str, Any],
        options: Mapping[str, Any],
    ):
        stored = dtype.newbyteorder(writer["byteorder"])
        super().__init__(path, stored, tuple(sizes[axis] for axis in axes), axes)
        is_big = self.bytes > (1 << 32) - (1 << 25) and not writer.get("imagej")
        self._writer, self._options = {**writer, "bigtiff": is_big or writer["bigtiff"]}, options

    def _store(self, path: Path, values: np.ndarray) -> None:
        with tifffile.TiffWriter(path, **self._writer) as writer:
            writer.write(values, maxworkers=1, **self._options)


def plain(path: Path, shape: Shape, values: Values) -> Destination:
    """A file of its own layout, its planes as pages: for what another format cannot hold."""
    sizes = {"Q": shape.planes, "Y": shape.height, "X": shape.width, "S": values.channels}
    axes = "Q" * (shape.planes > 1) + "YX" + "S" * (values.channels > 1)
    options: dict[str, Any] = {"photometric": "minisblack", "metadata": {"axes": axes}}
    options["compression"] = "zlib"
    if "S" in axes:
        options |= {"planarconfig": "contig", "extrasamples": _unspecified(values.channels - 1)}
    writer = {"byteorder": "<", "bigtiff": False}
    return TiffDestination(path, np.dtype(values.dtype), sizes, axes, writer, options)


def _unspecified(count: int) -> list[str]:
    """Extra samples that nobody is to take for transparency."""
    return ["unspecified"] * count


def _like(path: Path, source: Tiff, values: Values) -> Destination:
    """A file of the kind and layout of `source`; types that OME and ImageJ do not know become
    float32, which holds them exactly.
    """
    page, file = source._page, source._file
    kind = "ome" if file.is_ome else "imagej" if file.is_imagej else "plain"
    sizes = dict(zip(source.axes, source._series.shape, strict=True))
    count = math.prod(sizes[axis] for axis in source._channel_axes)
    axes = source.axes
    if count != values.channels:
        axes = _axes_of(axes, values.channels, kind)
        sizes |= {"C": values.channels, "S": values.channels}
    unknown = values.dtype == "float16" and kind != "plain"
    dtype = np.dtype("float32" if unknown else values.dtype)
    is_same = source.shape.channels == values.channels
    is_rgb = is_same and int(page.photometric) in (_RGB, _YCBCR) and "S" in axes
    options = _options(file, page, dtype, is_rgb=is_rgb)
    if "S" in axes:
        options["planarconfig"] = "contig" if axes.endswith("S") else "separate"
        options["extrasamples"] = _unspecified(sizes["S"] - (3 if is_rgb else 1))
    elif source._is_inverted and is_same:
        options["photometric"] = "miniswhite"
    options |= _description(file, kind, axes, values)
    writer = {
        "ome": kind == "ome",
        "imagej": kind == "imagej",
        "bigtiff": bool(file.is_bigtiff) and kind != "imagej",
        "byteorder": file.byteorder,
    }
    return TiffDestination(path, dtype, sizes, axes, writer, options)


def _axes_of(axes: str, channels: int, kind: str) -> str:
    """The axes for another number of channels: one axis for all, and none for one."""
    if channels == 1:
        return axes.replace("C", "").replace("S", "")
    if "C" in axes:
        return axes.replace("S", "")
    if kind == "plain":
        return axes if "S" in axes else axes + "S"
    return axes.replace("S", "").replace("YX", "CYX")


def _options(file: Any, page: Any, dtype: np.dtype, *, is_rgb: bool) -> dict[str, Any]:
    """How values of `dtype` are laid out as in `page`."""
    options: dict[str, Any] = {"photometric": "rgb" if is_rgb else "minisblack"}
    compression = int(page.compression)
    if compression != _NONE and not file.is_imagej:
        options["compression"] = _LOSSLESS.get(compression, "zlib")
        if int(page.predictor) != 1 and _has_codecs():
            options["predictor"] = 3 if dtype.kind == "f" else 2
    if page.is_tiled:
        options["tile"] = (page.tilelength, page.tilewidth)
    elif not file.is_imagej:
        options["rowsperstrip"] = page.rowsperstrip
    if "XResolution" in page.tags and "YResolution" in page.tags:
        options["resolution"] = (page.tags["XResolution"].value, page.tags["YResolution"].value)
        options["resolutionunit"] = int(page.resolutionunit)
    return options


def _description(file: Any, kind: str, axes: str, values: Values) -> dict[str, Any]:
    """The description of axes and sizes of pixels, in the words of its kind."""
    if kind == "ome":
        pixels = _pixels(file)
        metadata: dict[str, Any] = {"axes": axes}
        for name in ("PhysicalSizeX", "PhysicalSizeY", "PhysicalSizeZ", "TimeIncrement"):
            if name in pixels.attrib:
                metadata[name] = float(pixels.attrib[name])
                unit = f"{name}Unit"
                if unit in pixels.attrib:
                    metadata[unit] = pixels.attrib[unit]
        if values.names:
            metadata["Channel"] = {"Name": list(values.names)}
        return {"metadata": metadata}
    if kind == "imagej":
        kept = ("spacing", "unit", "yunit", "zunit", "finterval", "fps", "loop", "xorigin")
        told = file.imagej_metadata or {}
        return {"metadata": {"axes": axes, **{key: told[key] for key in kept if key in told}}}
    if file.is_shaped:
        return {"metadata": {"axes": axes}}
    # what a person wrote of the picture; axes are the pages, as they were
    return {"description": file.pages.first.description, "metadata": None}


def _pixels(file: Any) -> ElementTree.Element:
    """The first `Pixels` of OME's metadata."""
    found = ElementTree.fromstring(file.ome_metadata).find("{*}Image/{*}Pixels")
    if found is None:
        raise BadPicture("its OME metadata tell of no pixels")
    return found


def _told_of_the_rest(file: Any, series: Any) -> Iterator[str]:
    """Notes on what of the file is not used or not written back."""
    if len(file.series) > 1:
        yield f"{len(file.series)} series in the file, of which the first is used"
    if len(series.levels) > 1:
        yield "smaller copies, which are not written back"
    compression = int(series.keyframe.compression)
    if compression != _NONE and compression not in _LOSSLESS:
        yield "compression written back as deflate, which loses nothing"
    orientation = series.keyframe.tags.get("Orientation")
    if orientation is not None and int(orientation.value) != 1:
        yield "an orientation tag, which is not applied"
    names = {tag.name for tag in series.keyframe.tags} - _KEPT_TAGS - _LAYOUT_TAGS
    if names:
        yield f"tags that are not written back: {', '.join(sorted(names))}"


def _has_codecs() -> bool:
    return importlib.util.find_spec("imagecodecs") is not None


def _require_codecs(page: Any) -> None:
    """Raises UserError where tifffile alone does not read such a picture."""
    plain = int(page.compression) in (_NONE, *_DEFLATE)
    whole_bytes = page.bitspersample in (1, 8, 16, 32, 64)
    if not (plain and whole_bytes and int(page.predictor) in (1, 2)) and not _has_codecs():
        raise UserError(f"{page.parent.filehandle.path}: {_NEEDS_CODECS}")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    # what is wrong with a file is raised here
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        with _reading(path):
            _require_no_circle(path)
            file = stack.enter_context(tifffile.TiffFile(path, _multifile=False))
        yield file


def _require_no_circle(path: Path) -> None:
    """Raises BadPicture where the headers of pages run in a circle, which tifffile would follow for
    long.
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
                raise BadPicture("damaged: its pages run in a circle")
            seen.add(offset)
            stream.seek(offset)
            (tags,) = struct.unpack(order + count, stream.read(struct.calcsize(count)))
            stream.seek(tags * entry, io.SEEK_CUR)
            (offset,) = struct.unpack(order + place, stream.read(struct.calcsize(place)))


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns whatever tifffile raises into BadPicture; OSError of the system stays."""
    try:
        yield
    except (BadPicture, UserError, MemoryError, OSError):
        raise
    except Exception as error:  # its decoders raise nearly every type on damaged input
        if "imagecodecs" in str(error):
            raise UserError(f"{path}: {_NEEDS_CODECS}") from error
        raise BadPicture(
            f"damaged: {' '.join(str(error).split()) or type(error).__name__}"
        ) from error
