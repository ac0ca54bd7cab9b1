"""A stored picture in the networks' channels: of data_prep's sets as stored, of others by the rules
of `intake`.
"""

from PIL import Image

from tfcyclegan.data import images, intake
from tfcyclegan.data.source import DataSource
from tfcyclegan.errors import RunError

MAX_PIXELS = 100_000_000


def decode(
    source: DataSource, encoded: bytes, channels: int, recoloured: set[str] | None = None
) -> tuple[Image.Image, intake.Decoded | None]:
    """The picture in gray or RGB; and what `intake` tells of it, where it was not data_prep that
    stored it.

    Adds to `recoloured` what the number of channels does to its colours, as `images.decode` does.

    Raises:
        RunError: not a whole JPEG or PNG, or one that cannot be used.
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
