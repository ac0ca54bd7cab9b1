"""How many pictures a file holds: the pages of a TIFF, the frames of an animation. Imports no TensorFlow."""

import io
from typing import BinaryIO

from PIL import Image

from tfcyclegan.data import intake, tiff

CHOICES = ("all", "first")
_SINGLE = (b"\xff\xd8\xff", b"BM")  # JPEG, whose further pictures are previews and gain maps, and BMP
_HEAD = 16


def count(stream: BinaryIO) -> int:
    """The number of pictures, by headers as far as they tell it; 1 for what is not readable, which decoding it explains."""
    head = stream.read(_HEAD)
    stream.seek(0)
    if head.startswith(_SINGLE):
        return 1
    try:
        if tiff.is_tiff(head):
            return max(1, len(tiff.list_pages(stream)[0]))
        Image.init()
        with Image.open(stream, formats=intake.FORMATS) as image:
            return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    except Exception:  # whatever a damaged file makes the libraries raise
        return 1


def count_in(content: bytes) -> int:
    """Likewise, of a file's bytes."""
    return count(io.BytesIO(content))


def name(stem: str, page: int) -> str:
    """What the picture at `page`, from 0, of the file `stem` is called: STEM_0001, STEM_0002, ..."""
    return f"{stem}_{page + 1:04d}"
