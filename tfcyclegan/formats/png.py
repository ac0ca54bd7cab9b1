"""PNG with 8 or 16 bits per sample, read without conversion. Imports no TensorFlow.

Pillow only reads 16-bit gray; `data.bit_depth` reads 16-bit colours. imagecodecs writes.
"""

import importlib.util
from pathlib import Path

import numpy as np

from tfcyclegan.data import bit_depth, intake, picture_files
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.data.values import Values, own_plane
from tfcyclegan.errors import UserError
from tfcyclegan.formats import alpha
from tfcyclegan.formats.base import Destination, Measurement, Shape, Window
from tfcyclegan.formats.scratch import Scratch
from tfcyclegan.formats.stored_numbers import StoredNumbers

_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_MOST_PIXELS = 1 << 30  # a PNG is read whole, into memory
# entries of a file besides its pixels, and their names in notes
_NOT_USED = {"gamma": "gamma", "icc_profile": "a colour profile", "dpi": "the size of its pixels"}


class Png(Measurement):
    """One picture, which is one plane.

    Args:
        path: the file.
        alpha_band: one of `config.reading.ALPHA_BANDS`.

    Raises:
        intake.BadPicture: it is not a PNG, or holds palette indices.
    """

    units = ""
    names = ()

    def __init__(self, path: Path, *, alpha_band: str = "refuse"):
        self.path = path
        content = picture_files.read(path)
        with intake.reading(content):
            image = intake.open_picture(content, _MOST_PIXELS)
            if image.format != "PNG":
                raise BadPicture(f"a {image.format} file with the extension of a PNG")
            bits, self._mode = bit_depth.png_bits(content), image.mode
            if bits == 16:
                kind = bit_depth.raw_mode(image)
                self._mode = kind.partition(";")[0] if kind.partition(";")[0] in _CHANNELS else "L"
            if bits < 8 or self._mode not in _CHANNELS or "transparency" in image.info:
                raise BadPicture(
                    f"a PNG of {bits} bits and mode {image.mode}, or with a transparent colour; "
                    "save it as gray or RGB with 8 or 16 bits"
                )
            height, width, told = image.height, image.width, image.info.keys()
        count = _CHANNELS[self._mode]
        self._bands = alpha.decide(alpha_band, count, None if count % 2 else count - 1)
        self._is_deep = bits == 16
        self._numbers = StoredNumbers(
            np.dtype(np.uint16 if self._is_deep else np.uint8),
            has_mask=self._bands.mask is not None,
        )
        self.dtype, self.nodata = self._numbers.dtype, self._numbers.nodata
        self.shape = Shape(1, height, width, len(self._bands.kept))
        unused = tuple(LeftOut(_NOT_USED[key]) for key in sorted(_NOT_USED) if key in told)
        self.notes = (*self._bands.notes, *self._numbers.notes, *unused)

    def read(self, plane: int = 0, window: Window | None = None) -> np.ndarray:
        content = picture_files.read(self.path)
        with intake.reading(content):
            image = intake.open_picture(content, _MOST_PIXELS)
            if self._is_deep:
                again = intake.open_picture(content, _MOST_PIXELS)
                samples = bit_depth.values(image, again).astype(np.uint16)
            else:
                image.load()
                samples = np.asarray(image)
            samples = samples.reshape(*samples.shape[:2], -1)
            if window is not None:
                samples = samples[window.top : window.bottom, window.left : window.right]
            return self._numbers.read(samples[..., self._bands.kept], self._bands.hidden(samples))

    def other_ending(self, values: Values) -> str:
        values = own_plane(values)
        fits = values.dtype in ("uint8", "uint16") and values.channels in (1, 3)
        return "" if fits else ".tif"

    def create(self, path: Path, values: Values) -> Destination:
        values = own_plane(values)
        if path.suffix.lower() == ".png":
            if self.other_ending(values):
                raise UserError(
                    f"{path}: PNG cannot hold {values.dtype} with {values.channels} channels; use "
                    "a .tif name"
                )
            return _PngDestination(path, self, values)
        from tfcyclegan.formats import tiff_output

        return tiff_output.plain(path, self.shape, values)


def open_file(path: Path, *, alpha_band: str = "refuse") -> Png:
    return Png(path, alpha_band=alpha_band)


class _PngDestination(Scratch):
    def __init__(self, path: Path, source: Png, values: Values):
        if importlib.util.find_spec("imagecodecs") is None:
            raise UserError(
                f"{path}: needs imagecodecs, which is not installed; pip install "
                "'tfcyclegan[measurements]'"
            )
        shape = source.shape
        super().__init__(
            path, np.dtype(values.dtype), (shape.height, shape.width, values.channels), "YXS"
        )

    def _store(self, path: Path, values: np.ndarray) -> None:
        import imagecodecs

        pixels = values[..., 0] if values.shape[-1] == 1 else values
        path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))
