"""GeoTIFF, with rasterio: georeferenced scenes, read and written by windows. Imports no TensorFlow.

- Only full resolution is read: overviews may be averages, or values of other classes.
- Scale and offset of each band are applied, in float32; results are written without them.
- A mask beside the bands makes the values float32, with NaN where they are masked.
- Kept in results: coordinate system, transform or control points or RPCs, pixel-is-point, blocks,
  interleaving, byte order, lossless compression with its predictor, and tags, except those that
  describe the old values.
"""

import contextlib
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import tifffile
from rasterio import windows
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.data.values import Values, own_plane
from tfcyclegan.formats import alpha
from tfcyclegan.formats.base import Destination, Measurement, Shape, Window
from tfcyclegan.formats.scratch import require_type, storing
from tfcyclegan.formats.stored_numbers import StoredNumbers
from tfcyclegan.system import files

_CACHE_BYTES = 128 << 20  # GDAL's cache; its own default is a twentieth of the memory
_LOSSLESS = {"deflate", "lzw", "zstd", "packbits", "lzma", "lerc", "lerc_deflate", "lerc_zstd"}
_OF_COLOURS = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
_OLD_VALUES = ("STATISTICS_", "TIFFTAG_MINSAMPLEVALUE", "TIFFTAG_MAXSAMPLEVALUE")
_OWN_SPACES = {"IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "RPC", "COLOR_PROFILE"}

# reported as a note instead; set globally, since threads share the warning filters
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


class GeoTiff(Measurement):
    """A scene, which is one plane.

    Args:
        path: the file.
        alpha_band: one of `config.reading.ALPHA_BANDS`.

    Raises:
        intake.BadPicture: it is not a TIFF, or does not hold measurements.
    """

    def __init__(self, path: Path, *, alpha_band: str = "refuse"):
        self.path = path
        self._lock = threading.Lock()
        with _reading():
            # not by OVERVIEW_LEVEL=NONE, which loses the names of bands: windows are read at full
            # resolution, for which GDAL takes no overview
            self._file = rasterio.open(path.absolute(), driver="GTiff")
        try:
            with _reading():
                self._describe(alpha_band)
        except BaseException:
            self.close()
            raise

    def _describe(self, alpha_band: str) -> None:
        file = self._file
        roles = file.colorinterp
        if ColorInterp.palette in roles:
            raise BadPicture("holds class ids with a colour table, not measurements")
        if any("complex" in dtype for dtype in file.dtypes):
            raise BadPicture(
                f"values of {file.dtypes[0]}, no real numbers; save their amplitude, or real and "
                "imaginary parts as bands"
            )
        if len(set(file.dtypes)) > 1:
            raise BadPicture(f"bands of types {', '.join(file.dtypes)}; save them as one type")
        transparent = [place for place, role in enumerate(roles) if role == ColorInterp.alpha]
        self._bands = alpha.decide(alpha_band, file.count, transparent[0] if transparent else None)
        kept = list(self._bands.kept)
        flags = file.mask_flag_enums[kept[0]]
        self._has_mask = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        stored = np.dtype(file.dtypes[0])
        if stored == np.float32 and file.tags(1, ns="IMAGE_STRUCTURE").get("NBITS") == "16":
            stored = np.dtype(np.float16)
        self._numbers = StoredNumbers(
            stored,
            nodata=file.nodata,
            scale=np.array(file.scales)[kept],
            offset=np.array(file.offsets)[kept],
            has_mask=self._has_mask or self._bands.mask is not None,
        )
        self.dtype, self.nodata = self._numbers.dtype, self._numbers.nodata
        notes = [*self._bands.notes, *self._numbers.notes]
        self.shape = Shape(1, file.height, file.width, len(kept))
        units = {file.units[place] or "" for place in kept}
        self.units = units.pop() if len(units) == 1 else ""
        if units:
            notes.append("units that differ from band to band")
        names = [file.descriptions[place] for place in kept]
        self.names = (
            tuple(name or f"band {place + 1}" for place, name in zip(kept, names, strict=True))
            if any(names)
            else ()
        )
        self.notes = (*notes, *self._told_of_the_rest())

    def _told_of_the_rest(self) -> Iterator[str]:
        """Notes on parts of the file that are not used or not written back."""
        file = self._file
        if file.crs is None and not file.gcps[0] and file.rpcs is None:
            yield "no coordinate system"
        if file.overviews(1):
            yield LeftOut("overviews")
        if file.subdatasets:
            yield LeftOut("pictures of a file behind its first")
        compression = self._compression
        if compression and compression not in _LOSSLESS:
            yield f"{compression} compression, written back as deflate, which loses nothing"
        if any(space.startswith("xml:") for space in file.tag_namespaces()):
            yield LeftOut("XML metadata")

    @property
    def _compression(self) -> str:
        return str(self._file.profile.get("compress", "")).lower()

    def read(self, plane: int = 0, window: Window | None = None) -> np.ndarray:
        area = None
        if window is not None:
            area = windows.Window(
                window.left,
                window.top,
                window.right - window.left,
                window.bottom - window.top,
            )
        with self._lock, _reading():
            bands = [place + 1 for place in self._bands.kept]
            raw = np.moveaxis(self._file.read(bands, window=area), 0, -1)
            hidden = None
            if self._bands.mask is not None:
                hidden = self._file.read(self._bands.mask + 1, window=area) == 0
            elif self._has_mask:
                hidden = self._file.read_masks(bands[0], window=area) == 0
        return self._numbers.read(raw, None if hidden is None else hidden[..., np.newaxis])

    def identity(self) -> Mapping[str, object]:
        crs = self._file.crs or self._file.gcps[1]
        return {"coordinate system": "none" if crs is None else _name_of(crs)}

    def grid(self) -> np.ndarray | None:
        transform = self._file.transform
        if transform.is_identity:
            return None
        a, b, c, d, e, f = tuple(transform)[:6]
        return np.array([[0, b, a, c], [0, e, d, f]])

    def create(self, path: Path, values: Values) -> Destination:
        values, file = own_plane(values), self._file
        kept_bands = self.shape.channels == values.channels and self.names == values.names
        roles = [file.colorinterp[place] for place in self._bands.kept] if kept_bands else []
        is_float = not values.is_integer
        options: dict[str, Any] = {
            "width": file.width,
            "height": file.height,
            "count": values.channels,
            "dtype": "float32" if values.dtype == "float16" else values.dtype,
            "crs": file.crs,
            "interleave": file.profile.get("interleave", "pixel"),
            "photometric": "RGB" if roles[:3] == _OF_COLOURS else "MINISBLACK",
            "nodata": _nodata_of(values, gaps=self.nodata is not None),
            "BIGTIFF": "IF_SAFER",
            "ENDIANNESS": "BIG" if _is_big_endian(self.path) else "LITTLE",
        }
        if values.dtype == "float16":
            options["NBITS"] = 16
        if not file.transform.is_identity:
            options["transform"] = file.transform
        block_height, block_width = file.block_shapes[0]
        options["blockysize"] = block_height
        if file.profile["tiled"]:
            options |= {"tiled": True, "blockxsize": block_width}
        compression = self._compression
        if compression:
            options["compress"] = compression if compression in _LOSSLESS else "deflate"
            predictor = file.tags(ns="IMAGE_STRUCTURE").get("PREDICTOR", "1")
            if (
                predictor != "1"
                and values.dtype != "float16"
                and not compression.startswith("lerc")
            ):
                options["predictor"] = 3 if is_float else 2
        return _GeoTiffDestination(path, self, values, options, roles)

    def close(self) -> None:
        with self._lock:  # GDAL crashes if a file is closed while another thread reads it
            self._file.close()


def open_file(path: Path, *, alpha_band: str = "refuse") -> GeoTiff:
    return GeoTiff(path, alpha_band=alpha_band)


class _GeoTiffDestination(Destination):
    def __init__(
        self,
        path: Path,
        source: GeoTiff,
        values: Values,
        options: dict[str, Any],
        roles: list[ColorInterp],
    ):
        self.path = path
        self._temporary = files.temporary_name(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with source._lock, _writing(path):
            self._file = rasterio.open(self._temporary.absolute(), "w", driver="GTiff", **options)
            _copy_description(source._file, self._file)
            if roles:
                self._file.colorinterp = [
                    ColorInterp.undefined if role == ColorInterp.alpha else role for role in roles
                ]
            for band, name in enumerate(values.names, 1):
                self._file.set_band_description(band, name)
            if values.units:
                self._file.units = [values.units] * values.channels

    def write(self, values: np.ndarray, plane: int = 0, top: int = 0, left: int = 0) -> None:
        require_type(values, np.dtype(self._file.dtypes[0]))
        height, width = values.shape[:2]
        bands = np.moveaxis(values, -1, 0).astype(self._file.dtypes[0], copy=False)
        with _writing(self.path):
            self._file.write(bands, window=windows.Window(left, top, width, height))

    def finish(self) -> None:
        try:
            with _writing(self.path):
                self._file.close()
                _require_whole(self._temporary)
                files.flush(self._temporary)
            files.into_place(self._temporary, self.path)
        finally:
            self.abandon()

    def abandon(self) -> None:
        with contextlib.suppress(RasterioError, OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)


def _require_whole(path: Path) -> None:
    """Raises OSError if parts are missing: closing a file, GDAL says nothing of a full disk."""
    size = path.stat().st_size
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            blocks = zip(page.dataoffsets, page.databytecounts, strict=True)
            is_whole = all(count and start + count <= size for start, count in blocks)
    except Exception:  # tifffile raises many types on a file without its directory
        is_whole = False
    if not is_whole:
        raise OSError("parts of it are missing")


def _copy_description(source: Any, target: Any) -> None:
    """Copies tags, control points and RPCs, which `profile` does not include."""
    for space in (None, *(set(source.tag_namespaces()) - _OWN_SPACES)):
        if space is not None and space.startswith("xml:"):
            continue
        tags = {
            key: text
            for key, text in source.tags(ns=space).items()
            if not key.startswith(_OLD_VALUES)
        }
        if tags:
            target.update_tags(ns=space, **tags)
    points, crs = source.gcps
    if points:
        target.gcps = points, crs
    if source.rpcs is not None:
        target.rpcs = source.rpcs


def _name_of(crs: Any) -> str:
    """Its code, or its name with a few digits of a hash."""
    text = str(crs.to_string())
    if text.startswith("EPSG:"):
        return text
    name = text.split('"')[1] if '"' in text else text[:40]
    return f"{name} ({files.sha256_of_bytes(text.encode())[:8]})"


def _nodata_of(values: Values, *, gaps: bool) -> float | None:
    """The nodata value that the file declares: the one that `Values.gap` writes."""
    if values.nodata is not None and not (values.is_integer and np.isnan(values.nodata)):
        return values.nodata
    return float("nan") if gaps and not values.is_integer else None


def _is_big_endian(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(2) == b"MM"


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """GDAL with a bounded cache; turns read errors into BadPicture."""
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
        try:
            yield
        except RasterioError as error:
            raise BadPicture(f"damaged or not a TIFF: {_reason(error)}") from error


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """GDAL with a bounded cache; turns write errors into RunError with the file's name."""
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES), storing(path):
        try:
            yield
        except RasterioError as error:
            raise OSError(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """The innermost cause, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__
