"""A stored picture as the networks' channels: of a data set by data_prep as it lies there, of any other by the rules of `intake`."""

from PIL import Image

from tfcyclegan.data import images, intake
from tfcyclegan.data.source import DataSource
from tfcyclegan.errors import RunError

MAX_PIXELS = 100_000_000


def decode(source: DataSource, encoded: bytes, channels: int) -> tuple[Image.Image, intake.Decoded | None]:
    """The picture in gray or RGB; and what `intake` tells of it, where it was not data_prep that stored it.

    Raises:
        RunError: not a whole JPEG or PNG, or one that cannot be used.
    """
    if not source.foreign:
        return images.decode(encoded, channels), None
    try:
        decoded = intake.decode(encoded, max_pixels=MAX_PIXELS)
    except intake.BadPicture as error:
        raise RunError(str(error)) from error
    return images.with_channels(decoded.image, channels), decoded
