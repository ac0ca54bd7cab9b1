"""Small pictures of every kind, to be damaged by the fuzz tests."""

import io
from typing import Any

import numpy as np
import tifffile
from PIL import Image

MAX_PIXELS = 1_000_000


def encoded(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 4), np.uint8)
    picture = Image.fromarray(pixels).convert(
        "RGB" if mode == "P" else "L" if mode == "I;16" else mode
    )
    picture = (
        picture.quantize(16)
        if mode == "P"
        else picture.convert("I").convert("I;16")
        if mode == "I;16"
        else picture
    )
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def planes() -> bytes:
    """A TIFF that is not for Pillow."""
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        np.arange(3 * 24 * 32, dtype=np.uint16).reshape(3, 24, 32),
        photometric="rgb",
        planarconfig="separate",
    )
    return stream.getvalue()


EXIF = Image.Exif()
EXIF[0x0112] = 6
PNGS = (
    *(encoded("PNG", mode) for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")),
    encoded("PNG", "P", transparency=3),
    encoded("PNG", exif=EXIF),
)
PICTURES = (
    *PNGS,
    *(encoded("JPEG", mode) for mode in ("RGB", "L", "CMYK")),
    encoded("JPEG", exif=EXIF),
    encoded("JPEG", progressive=True),
    *(
        encoded("TIFF", compression=compression)
        for compression in ("raw", "tiff_lzw", "tiff_deflate", "jpeg", "packbits")
    ),
    *(encoded("TIFF", mode) for mode in ("I;16", "CMYK", "P", "RGBA")),
    encoded("GIF", "P", save_all=True, append_images=[Image.new("P", (32, 24))]),
    *(encoded("WEBP", mode) for mode in ("RGB", "RGBA")),
    *(encoded(kind) for kind in ("BMP", "TGA", "PPM", "JPEG2000", "AVIF")),
    *(
        encoded(kind, save_all=True, append_images=[Image.new("RGB", (32, 24))])
        for kind in ("TIFF", "PNG", "WEBP")
    ),
    planes(),
)
