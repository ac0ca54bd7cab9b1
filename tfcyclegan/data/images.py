"""Pure operations on single images: decoding, the resizing of the five preprocess modes, random
windows.

On disk and in caches images are uint8 [H, W, C] with C 1 or 3; networks see float32 in [-1, 1].
`to_float` and `to_uint8` convert; graphs of TensorFlow do the same in `data.batches` and
`exporting.saved_model`. Resizing is Pillow's antialiased bicubic, as in the official program,
unless another `interpolation` is given.
"""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tfcyclegan.config import MODES_WITH_CROP, PREPROCESS_MODES, Size
from tfcyclegan.data.interpolation import NEAREST, interpolate
from tfcyclegan.errors import RunError, UserError

STORED_FORMATS = ("JPEG", "PNG")  # only these: some of Pillow's plugins start other programs
_PILLOW_MODES = {1: "L", 3: "RGB"}
GRAY_IN_COLOUR = "gray pictures shown in colour"
COLOUR_MADE_GRAY = "colour pictures made gray"
ENLARGED = "enlarged pictures"
RESHAPED = "pictures whose shape changes"
RESIZED = "resized as the training resized its pictures"
FITTED = "resized to the model's size, and the translation back"
NO_NUMBERS = "the model's output has values that are not finite (NaN or infinite)"
# sides are rounded to pixels or to multiples of 4; smaller changes do not count as a change of
# shape
_SEEN_STRETCH = 1.05


def decode(encoded: bytes, channels: int, notes: set[str] | None = None) -> Image.Image:
    """Decodes a stored picture to `channels` 1 or 3; adds to `notes` what that does to its colours.

    Raises:
        RunError: not a complete JPEG or PNG.
    """
    with _opened(encoded) as image:
        if notes is not None:
            notes |= colour_notes(image.mode, channels)
        return with_channels(image, channels)


def header(encoded: bytes) -> tuple[str, Size]:
    """Pillow's mode and the size of a stored picture, without decoding it.

    Raises:
        RunError: not a JPEG or PNG.
    """
    with _opened(encoded) as image:
        return image.mode, Size(image.height, image.width)


@contextlib.contextmanager
def _opened(encoded: bytes) -> Iterator[Image.Image]:
    """Raises RunError if the picture cannot be opened, or what is done with it fails."""
    try:
        with Image.open(io.BytesIO(encoded), formats=STORED_FORMATS) as image:
            if image.mode.startswith("I"):  # Pillow would clip them at 255
                raise RunError(
                    "a stored picture has more than 8 bits per sample; prepare the data with "
                    "data_prep"
                )
            yield image
    except (MemoryError, RunError):
        raise
    except Exception as error:  # on damaged input Pillow's decoders may raise almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RunError(
            f"a stored picture is not a complete JPEG or PNG ({reason}); prepare the data again"
        ) from error


def with_channels(image: Image.Image, channels: int) -> Image.Image:
    """The picture in gray or RGB for `channels` 1 or 3."""
    return image.convert(_PILLOW_MODES[channels])


def colour_notes(mode: str, channels: int) -> set[str]:
    """The effect of `with_channels` on the colours of a picture of Pillow's `mode`: GRAY_IN_COLOUR,
    COLOUR_MADE_GRAY or nothing.
    """
    gray = mode in ("1", "L", "LA") or mode.startswith("I")
    return (
        {GRAY_IN_COLOUR}
        if gray and channels == 3
        else {COLOUR_MADE_GRAY}
        if not gray and channels == 1
        else set()
    )


def stretch(before: Size, after: Size) -> float:
    """The factor by which the aspect ratio changes: 1 if it is kept, otherwise above 1."""
    ratio = (after.width * before.height) / (after.height * before.width)
    return max(ratio, 1 / ratio)


def size_notes(before: Size, after: Size) -> set[str]:
    """The visible effects of resizing: ENLARGED, RESHAPED, both or none."""
    enlarged = after.height > before.height or after.width > before.width
    return ({ENLARGED} if enlarged else set()) | (
        {RESHAPED} if stretch(before, after) > _SEEN_STRETCH else set()
    )


def decode_ids(encoded: bytes) -> np.ndarray:
    """Decodes a stored map of class ids, uint8 [H, W].

    Raises:
        RunError: not a complete JPEG or PNG.
    """
    return np.asarray(decode(encoded, 1))


def encode_png(image: np.ndarray, *, alpha: np.ndarray | None = None) -> bytes:
    """Encodes uint8 [H, W, 1 or 3] as PNG, with `alpha` [H, W] as its transparency."""
    stream = io.BytesIO()
    picture = to_image(image)
    if alpha is not None:
        picture.putalpha(Image.fromarray(alpha))
    picture.save(stream, "PNG")
    return stream.getvalue()


def to_image(array: np.ndarray) -> Image.Image:
    """The picture of uint8 [H, W, 1 or 3]."""
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


def to_array(image: Image.Image) -> np.ndarray:
    """uint8 [H, W, C]."""
    array = np.asarray(image)
    return array[..., np.newaxis] if array.ndim == 2 else array


def to_float(image: np.ndarray) -> np.ndarray:
    """uint8 to float32 in [-1, 1]."""
    return image.astype(np.float32) / np.float32(127.5) - np.float32(1)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """[-1, 1] to uint8, rounded to the nearest level; values outside are clipped."""
    return np.clip(np.rint((np.asarray(image, np.float32) + 1) * 127.5), 0, 255).astype(np.uint8)


def require_numbers(values: np.ndarray) -> np.ndarray:
    """A model's output; RunError if it is not finite, which would become black or white."""
    if not np.isfinite(values).all():
        raise RunError(
            f"{NO_NUMBERS}: its weights are damaged, or too large for its type; use an earlier "
            "--checkpoint, or an export of one"
        )
    return values


def numbers_to_uint8(image: np.ndarray) -> np.ndarray:
    """`to_uint8` of a model's output; RunError if that is not finite."""
    return to_uint8(require_numbers(image))


def resized_size(size: Size, mode: str, load_size: Size, crop_size: Size) -> Size:
    """The size to which `mode` resizes a picture of `size` before any crop.

    "resize_and_crop" gives `load_size`; "scale_width..." gives its width and keeps the shape, with
    at least the crop's height; "crop" and "none" keep the size. Without a crop the sides are
    rounded to multiples of 4, which the ResNet generator needs (the official program does so only
    for "none" and fails on odd "scale_width" sizes).

    Raises:
        UserError: unknown mode.
    """
    if mode not in PREPROCESS_MODES:
        raise UserError(
            f"preprocess {mode!r}: unknown choice; valid are {', '.join(PREPROCESS_MODES)}"
        )
    if mode == "resize_and_crop":
        return load_size
    if mode.startswith("scale_width") and not (
        size.width == load_size.width and size.height >= crop_size.height
    ):
        size = Size(
            max(load_size.width * size.height // size.width, crop_size.height), load_size.width
        )
    if mode in MODES_WITH_CROP:
        return size
    return Size(max(4, round(size.height / 4) * 4), max(4, round(size.width / 4) * 4))


def resize(
    image: Image.Image, size: Size, interpolation: str = "bicubic", *, nearest: bool = False
) -> Image.Image:
    """Resizes by one of INTERPOLATIONS, or by nearest neighbour for label maps; returns the same
    object if it has that size already.
    """
    if image.size == (size.width, size.height):
        return image
    return interpolate(image, size, NEAREST if nearest else interpolation)


@dataclass(frozen=True)
class Scale:
    """The size to which training resizes whole pictures before cropping, and the method of
    resizing.
    """

    mode: str
    load_size: Size
    crop_size: Size
    interpolation: str = "bicubic"

    def size_of(self, size: Size) -> Size:
        """The size to which a picture of `size` is resized."""
        mode = self.mode if self.mode == "resize_and_crop" else self.mode.removesuffix("_and_crop")
        return resized_size(size, mode, self.load_size, self.crop_size)

    @property
    def keeps_sizes(self) -> bool:
        """Whether no picture is resized."""
        return self.mode == "crop"

    def __call__(self, image: Image.Image, *, nearest: bool = False) -> Image.Image:
        """The picture resized to that size."""
        return resize(
            image,
            self.size_of(Size(image.height, image.width)),
            self.interpolation,
            nearest=nearest,
        )

    def __str__(self) -> str:
        return f"{self.mode} {self.load_size}" + (
            "" if self.interpolation == "bicubic" else f" {self.interpolation}"
        )


def notes_of(
    image: Image.Image, channels: int, scale: Scale | None, fit: Size | None = None
) -> set[str]:
    """Notes on changes to a picture before its translation that show in the result.

    Args:
        image: the decoded picture.
        channels: number of channels of the translator's input.
        scale: how it will be resized, or None.
        fit: otherwise the only size that the translator accepts, or None.
    """
    size = Size(image.height, image.width)
    taken = scale.size_of(size) if scale else fit or size
    resized = {RESIZED if scale else FITTED} if taken != size else set()
    return colour_notes(image.mode, channels) | resized | (size_notes(size, taken) - {ENLARGED})


def random_window(
    image: np.ndarray, crop_size: Size | None, flip: bool, generator: np.random.Generator
) -> np.ndarray:
    """A random crop, which is a view of `image`, or its mirror image, which is a copy.

    Args:
        image: [H, W, C].
        crop_size: at most the image's size; None means the whole image.
        flip: whether to mirror half of the images.
        generator: makes three draws, whatever the options, so that the streams of different
            settings stay aligned.
    """
    height, width = image.shape[:2]
    crop = crop_size or Size(height, width)
    down, right, mirror = generator.random(3)
    top, left = int(down * (height - crop.height + 1)), int(right * (width - crop.width + 1))
    window = image[top : top + crop.height, left : left + crop.width]
    return _mirrored(window) if flip and mirror < 0.5 else window


def _mirrored(image: np.ndarray) -> np.ndarray:
    """Mirrors channel by channel: NumPy copies a mirrored view pixel by pixel, which takes four
    times as long.
    """
    mirrored = np.empty_like(image)
    for channel in range(image.shape[2]):
        mirrored[..., channel] = image[:, ::-1, channel]
    return mirrored
