"""Which pictures a file holds: the pages of a TIFF, the frames of an animation. Imports no
TensorFlow.
"""

import io
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image

from tfcyclegan.data import intake, tiff

# JPEG, whose further pictures are previews and gain maps, and BMP
_SINGLE = (b"\xff\xd8\xff", b"BM")
_HEAD = 16


@dataclass(frozen=True)
class Pages:
    """The pictures of a file.

    Attributes:
        places: of each, as `intake.decode` takes it; [None] of a file with one picture.
        copies: whether there are smaller copies or masks besides, which do not count.
    """

    places: list[int] | list[None]
    copies: bool = False

    def name(self, stem: str, number: int) -> str:
        """The name of picture `number`, from 0, of the file `stem`: STEM_0001, STEM_0002, ..., or
        STEM for an only one.
        """
        return stem if len(self.places) == 1 else f"{stem}_{number + 1:04d}"


ONE = Pages([None])


def of(stream: BinaryIO) -> Pages:
    """From the headers, where they say; ONE for an unreadable file, whose decoding gives the
    reason.
    """
    head = stream.read(_HEAD)
    stream.seek(0)
    if head.startswith(_SINGLE):
        return ONE
    try:
        if tiff.is_tiff(head):
            indices, copies = tiff.list_pages(stream)
            return Pages(indices, copies > 0) if len(indices) > 1 else ONE
        Image.init()
        with Image.open(stream, formats=intake.FORMATS) as image:
            count = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            return Pages(list(range(count))) if count > 1 else ONE
    except Exception:  # damaged files make the libraries raise anything
        return ONE


def of_bytes(content: bytes) -> Pages:
    """Likewise."""
    return of(io.BytesIO(content))
