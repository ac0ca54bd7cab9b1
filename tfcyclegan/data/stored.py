"""Stored pictures with the networks' number of channels: from data_prep's sets as stored, from
others converted by `intake`.
"""

from PIL import Image

from tfcyclegan.data import images, intake
from tfcyclegan.data.source import DataSource
from tfcyclegan.errors import RunError

MAX_PIXELS = 100_000_000


def decode(
    source: DataSource, encoded: bytes, channels: int, recoloured: set[str] | None = None
) -> tuple[Image.Image, intake.Decoded | None]:
    """The picture in gray or RGB and, if data_prep did not store it, the result of `intake`.

    Adds to `recoloured` the effects of the number of channels on its colours, like `images.decode`.

    Raises:
        RunError: not a complete JPEG or PNG, or one that cannot be used.
    """
    if not source.foreign:
        return images.decode(encoded, channels, recoloured), None
    try:
        decoded = intake.decode(encoded, max_pixels=MAX_PIXELS)
    except intake.BadPicture as error:
        raise RunError(str(error)) from error
    if recoloured is not None:
        recoloured |= images.colour_notes(decoded.image.mode, channels)
    return images.with_channels(decoded.image, channels), decoded
