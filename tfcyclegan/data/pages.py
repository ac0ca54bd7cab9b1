"""The pictures in a file: pages of a TIFF, frames of an animation. Imports no TensorFlow."""

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
        places: the index of each picture, as an argument of `intake.decode`; [None] for a file with
            one picture.
        copies: whether there are also smaller copies or masks, which are not counted.
    """

    places: list[int] | list[None]
    copies: bool = False

    def name(self, stem: str, number: int) -> str:
        """The name of picture `number`, from 0, of the file `stem`: STEM_0001, STEM_0002, ..., or
        STEM if it is the only one.
        """
        return stem if len(self.places) == 1 else f"{stem}_{number + 1:04d}"


ONE = Pages([None])


def of(stream: BinaryIO) -> Pages:
    """The pictures according to the headers; ONE for an unreadable file, whose decoding reports the
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
    except Exception:  # on damaged files the libraries may raise anything
        return ONE


def of_bytes(content: bytes) -> Pages:
    """Likewise."""
    return of(io.BytesIO(content))
