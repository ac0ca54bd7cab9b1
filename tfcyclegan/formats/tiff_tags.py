"""TIFF tags, OME names and the files beside a TIFF. Imports no TensorFlow."""

import importlib.util
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tfcyclegan.data.intake import BadPicture

GEO_TAGS = (33550, 33922, 34264, 34735, 42112, 42113)
"""Scale, tie points, transformation and keys of GeoTIFF; metadata and nodata of GDAL."""
MINISWHITE, MINISBLACK, RGB, YCBCR = 0, 1, 2, 6  # values of PhotometricInterpretation
NONE, JPEG, DEFLATE, LERC = 1, (6, 7), (8, 32946), 34887  # values of Compression
LOSSLESS = {5: "lzw", 8: "zlib", 32773: "packbits", 32946: "zlib", 34925: "lzma", 50000: "zstd"}
"""Values of Compression, with tifffile's names."""
ALPHA = (1, 2)  # values of ExtraSamples
KEPT_TAGS = {"ImageDescription", "XResolution", "YResolution", "ResolutionUnit", "Software"}
LAYOUT_TAGS = {
    *("NewSubfileType", "SubfileType", "ImageWidth", "ImageLength", "BitsPerSample", "Compression"),
    *("PhotometricInterpretation", "FillOrder", "StripOffsets", "Orientation", "SamplesPerPixel"),
    *("RowsPerStrip", "StripByteCounts", "PlanarConfiguration", "PageNumber", "Predictor"),
    *("TileWidth", "TileLength", "TileOffsets", "TileByteCounts", "SubIFDs", "ExtraSamples"),
    *("SampleFormat", "JPEGTables", "IJMetadata", "IJMetadataByteCounts", "YCbCrSubSampling"),
    *("YCbCrPositioning", "ReferenceBlackWhite", "ImageDescription1"),
}


def has_codecs() -> bool:
    """Whether imagecodecs is installed, which most compressions need."""
    return importlib.util.find_spec("imagecodecs") is not None


def names_beside(path: Path) -> list[Path]:
    """Where GDAL looks for a TIFF file's mask, its nodata, scale and offset, and its place."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return []
    names = [Path(f"{path}{ending}") for ending in (".msk", ".MSK", ".aux.xml")]
    places = (".tfw", ".tifw", ".wld")
    return names + [path.with_suffix(case) for each in places for case in (each, each.upper())]


def pixels_of(file: Any) -> ElementTree.Element:
    """The first `Pixels` of OME's metadata."""
    found = ElementTree.fromstring(file.ome_metadata).find("{*}Image/{*}Pixels")
    if found is None:
        raise BadPicture("its OME metadata describes no pixels")
    return found
