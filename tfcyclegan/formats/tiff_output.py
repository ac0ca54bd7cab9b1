"""Writes TIFF files with tifffile, in the kind and layout of another file. Imports no TensorFlow.

Photometric interpretation, planar layout and axes are always given: tifffile's guess from an
array's shape would make a different file.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from tfcyclegan.data.values import Values
from tfcyclegan.formats.base import Destination, Shape
from tfcyclegan.formats.scratch import Scratch
from tfcyclegan.formats.tiff_tags import (
    LOSSLESS,
    NONE,
    RGB,
    YCBCR,
    has_codecs,
    pixels_of,
)

if TYPE_CHECKING:
    from tfcyclegan.formats.tiff import Tiff


class TiffDestination(Scratch):
    """A TIFF file.

    Args:
        path: its path.
        dtype: type of its numbers.
        sizes: sizes of the axes, by letter.
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
    """A file with a layout of its own, with planes as pages, for values that another format cannot
    hold.
    """
    sizes = {"Q": shape.planes, "Y": shape.height, "X": shape.width, "S": values.channels}
    axes = "Q" * (shape.planes > 1) + "YX" + "S" * (values.channels > 1)
    options: dict[str, Any] = {"photometric": "minisblack", "metadata": {"axes": axes}}
    options["compression"] = "zlib"
    if "S" in axes:
        options |= {"planarconfig": "contig", "extrasamples": _unspecified(values.channels - 1)}
    writer = {"byteorder": "<", "bigtiff": False}
    return TiffDestination(path, np.dtype(values.dtype), sizes, axes, writer, options)


def _unspecified(count: int) -> list[str]:
    """Extra samples that readers must not mistake for transparency."""
    return ["unspecified"] * count


def like(path: Path, source: "Tiff", values: Values) -> Destination:
    """A file of the kind and layout of `source`; types that OME and ImageJ do not know become
    float32, which holds them exactly.
    """
    page, file = source.page, source.file
    kind = "ome" if file.is_ome else "imagej" if file.is_imagej else "plain"
    sizes = dict(zip(source.axes, source.series.shape, strict=True))
    count = math.prod(sizes[axis] for axis in source.channel_axes)
    axes = source.axes
    if count != values.channels:
        axes = _axes_of(axes, values.channels, kind)
        sizes |= {"C": values.channels, "S": values.channels}
    unknown = values.dtype == "float16" and kind != "plain"
    dtype = np.dtype("float32" if unknown else values.dtype)
    if kind == "imagej" and "S" in axes and dtype != np.uint8:
        # its colours are of 8 bit alone
        axes = axes.replace("S", "").replace("YX", "CYX")
        sizes |= {"C": values.channels}
    is_same = source.shape.channels == values.channels
    is_rgb = is_same and int(page.photometric) in (RGB, YCBCR) and "S" in axes
    options = _options(file, page, dtype, is_rgb=is_rgb)
    if "S" in axes:
        options["planarconfig"] = "contig" if axes.endswith("S") else "separate"
        options["extrasamples"] = _unspecified(sizes["S"] - (3 if is_rgb else 1))
    if source.is_inverted and is_same:
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
    """The axes for another number of channels: one channel axis, or none for one channel."""
    if channels == 1:
        return axes.replace("C", "").replace("S", "")
    if "C" in axes:
        return axes.replace("S", "")
    if kind == "plain":
        return axes if "S" in axes else axes + "S"
    return axes.replace("S", "").replace("YX", "CYX")


def _options(file: Any, page: Any, dtype: np.dtype, *, is_rgb: bool) -> dict[str, Any]:
    """Options that lay out values of `dtype` as in `page`."""
    options: dict[str, Any] = {"photometric": "rgb" if is_rgb else "minisblack"}
    compression = int(page.compression)
    if compression != NONE and not file.is_imagej:
        options["compression"] = LOSSLESS.get(compression, "zlib")
        if int(page.predictor) != 1 and has_codecs():
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
    """The description of axes and pixel sizes, in the format of its kind."""
    if kind == "ome":
        pixels = pixels_of(file)
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
        found = {key: _escaped(told[key]) for key in kept if key in told}
        return {"metadata": {"axes": axes, **found}}
    if file.is_shaped:
        # its axes are in the last description, the user's own may be before it
        own = {"description": _own_description(file)} if file.pages.first.description1 else {}
        return {"metadata": {"axes": axes}, **own}
    # the user's description of the picture; axes are the pages, as before
    return {"description": _own_description(file), "metadata": None}


def _escaped(told: Any) -> Any:
    """An entry of ImageJ's metadata with text in ASCII, escaped as ImageJ does: tifffile writes no
    other.
    """
    if not isinstance(told, str):
        return told
    return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], told)


def _own_description(file: Any) -> bytes:
    """The first description, in UTF-8, since tifffile takes text in ASCII only but any bytes; as it
    is if it is no text.
    """
    told = file.pages.first.tags.valueof("ImageDescription", "")
    if isinstance(told, str):
        return told.encode()
    return told if isinstance(told, bytes) else b""
