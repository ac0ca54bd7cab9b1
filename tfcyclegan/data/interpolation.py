"""The resizing of pictures by `--interpolation`, and of label maps by nearest neighbour.

bicubic and bilinear are Pillow's filters, which are antialiased: when shrinking, every pixel of the
source counts. area is the mean over the area of the new pixel, including fractions of pixels, like
OpenCV's INTER_AREA; Pillow's BOX uses whole pixels. bilinear_opencv is the default of `cv2.resize`
and thus of albumentations: a weighted mean of four source pixels, so that most pixels are skipped
when a picture shrinks by more than two.
"""

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from tfcyclegan.config import Size

NEAREST = "nearest"
"""For label maps: no pixel gets a value that did not occur before."""
_PILLOW = {
    "bicubic": Resampling.BICUBIC,
    "bilinear": Resampling.BILINEAR,
    NEAREST: Resampling.NEAREST,
}
# OpenCV's fixed-point weights; 4 bits of a row's sum are dropped before the columns are weighted
_COEFFICIENT_BITS = 11
_DROPPED_BITS = 4


def interpolate(image: Image.Image, size: Size, interpolation: str) -> Image.Image:
    """Resizes a picture of mode L or RGB, or of any mode with NEAREST."""
    if interpolation in _PILLOW:
        return image.resize((size.width, size.height), _PILLOW[interpolation])
    return Image.fromarray(
        (area_mean if interpolation == "area" else opencv_bilinear)(np.asarray(image), size)
    )


def area_mean(image: np.ndarray, size: Size) -> np.ndarray:
    """uint8 [H, W] or [H, W, C] to uint8 [h, w] or [h, w, C]: each new pixel is the mean over its
    area, rounded.
    """
    if image.ndim == 3:
        return np.stack(
            [area_mean(image[..., channel], size) for channel in range(image.shape[2])], axis=-1
        )
    return np.floor(exact_area_mean(image, size) + 0.5).astype(np.uint8)


def exact_area_mean(channel: np.ndarray, size: Size) -> np.ndarray:
    """[H, W] to float64 [h, w]: each new pixel is the mean over its area."""
    rows = _means(channel.astype(np.float64), size.height)
    return _means(rows.T, size.width).T


def _means(lines: np.ndarray, target: int) -> np.ndarray:
    """The means of `target` equal parts of the first axis, [n, m] to [target, m], as differences of
    cumulative sums at their edges.
    """
    edges = np.arange(target + 1) * (len(lines) / target)
    whole = np.minimum(edges.astype(np.int64), len(lines) - 1)
    sums = np.cumsum(lines, axis=0) - lines
    up_to = sums[whole] + (edges - whole)[:, np.newaxis] * lines[whole]
    means: np.ndarray = np.diff(up_to, axis=0) * (target / len(lines))
    return means


def opencv_bilinear(image: np.ndarray, size: Size) -> np.ndarray:
    """uint8 [H, W] or [H, W, C] to uint8 [h, w] or [h, w, C]: bit for bit `cv2.resize(image, (w,
    h))`, in its fixed-point arithmetic.
    """
    height, width = image.shape[:2]
    # in this case OpenCV uses the mean of 2x2 pixels
    if (height, width) == (2 * size.height, 2 * size.width):
        blocks = image.reshape(size.height, 2, size.width, 2, *image.shape[2:]).astype(np.uint16)
        return ((blocks.sum(axis=(1, 3), dtype=np.uint16) + 2) >> 2).astype(np.uint8)
    columns, across = _taps(width, size.width)
    at_edge = (columns < 0) | (columns >= width - 1)
    across[:, at_edge] = np.array([[1 << _COEFFICIENT_BITS], [0]])
    # not so at the upper and lower edge, where both weights meet the same row
    rows, down = _taps(height, size.height)
    trailing = (1,) * (image.ndim - 2)
    weighted = [
        _row_sums(
            image[(rows + step).clip(0, height - 1)], columns, across.reshape(2, -1, *trailing)
        )
        * down[step].reshape(-1, 1, *trailing)
        for step in (0, 1)
    ]
    return (((weighted[0] >> 16) + (weighted[1] >> 16) + 2) >> 2).astype(np.uint8)


def _taps(source: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """The first of the two source pixels of each target pixel, and the weights of both, int32 [2,
    target].
    """
    places = ((np.arange(target) + 0.5) * (1 / (target / source)) - 0.5).astype(np.float32)
    first = np.floor(places).astype(np.int64)
    share = places - first.astype(np.float32)
    return first, np.rint(np.stack([1 - share, share]) * np.float32(1 << _COEFFICIENT_BITS)).astype(
        np.int32
    )


def _row_sums(rows: np.ndarray, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    last = rows.shape[1] - 1
    left, right = rows[:, columns.clip(0, last)], rows[:, (columns + 1).clip(0, last)]
    sums: np.ndarray = (left * weights[0] + right * weights[1]) >> _DROPPED_BITS
    return sums
