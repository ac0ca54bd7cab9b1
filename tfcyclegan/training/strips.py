"""Sample strips: fixed pictures as real | translated | cycled | identity, one row per picture; for
a method with one direction only real | translated, and with several answers to a picture as real |
translated | cycled | identity | other answers.
"""

import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from tfcyclegan.data.display import in_rgb
from tfcyclegan.data.images import to_uint8

GAP = 2
ANSWERS = 3
"""Further answers in a row, where a picture has several."""

Translate = Callable[[np.ndarray], np.ndarray]
Show = Callable[[np.ndarray], np.ndarray]
"""Converts networks' inputs, [H, W, C] in [-1, 1] with NaN where there is no measurement, to uint8
[H, W, 1 or 3].
"""


def strip(
    pictures: Sequence[np.ndarray],
    forward: Translate,
    backward: Translate | None,
    *,
    identity: bool,
    answers: Sequence[Translate] = (),
    shows: tuple[Show, Show] = (to_uint8, to_uint8),
) -> np.ndarray:
    """Draws the strip of some pictures of one domain.

    Args:
        pictures: float [H, W, C] in [-1, 1], of one size or several; NaN marks missing
            measurements, which networks see as -1.
        forward: the generator to the other domain, for batches.
        backward: the generator back, if there is one.
        identity: whether to show `backward` of the real picture, which should change nothing.
        answers: what makes other translations of a picture.
        shows: how to show pictures of their domain and of the other.

    Returns:
        uint8 [H, W, 3].
    """
    own, other = shows
    rows = []
    for picture in pictures:
        gaps = np.isnan(picture).any(axis=-1, keepdims=True)
        real = np.nan_to_num(picture, nan=-1)[np.newaxis]
        translated = np.where(gaps, np.float32(-1), forward(real))
        cells = [(own, picture), (other, translated[0])]
        if backward is not None:
            cells.append((own, backward(translated)[0]))
            if identity:
                cells.append((own, backward(real)[0]))
        cells += [(other, np.where(gaps, np.float32(-1), each(real))[0]) for each in answers]
        rows.append(
            join([in_rgb(show(np.where(gaps, np.nan, cell))) for show, cell in cells], axis=1)
        )
    width = max(row.shape[1] for row in rows)
    return join(
        [
            np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255)
            for row in rows
        ],
        axis=0,
    )


def join(images: Sequence[np.ndarray], *, axis: int) -> np.ndarray:
    """Joins uint8 [H, W, 3] side by side (`axis` 1) or one below the other (0), with a white gap
    of GAP pixels.
    """
    gap_shape = list(images[0].shape)
    gap_shape[axis] = GAP
    gap = np.full(gap_shape, 255, np.uint8)
    return np.concatenate([part for image in images for part in (image, gap)][:-1], axis=axis)


def columns_of(image: np.ndarray, count: int) -> list[np.ndarray]:
    """Cuts what `join` put side by side, `count` pictures of one width; empty if there are no
    white gaps between such.
    """
    width, rest = divmod(image.shape[1] - (count - 1) * GAP, count)
    starts = [index * (width + GAP) for index in range(count)]
    gaps = [image[:, start - GAP : start] for start in starts[1:]]
    if rest or width < 1 or any(gap.min() < 255 for gap in gaps):
        return []
    return [image[:, start : start + width] for start in starts]


def rows_of(image: np.ndarray) -> list[np.ndarray]:
    """Cuts what `join` put one below the other: into as many rows of one height, of at least 8
    pixels, as have white gaps between them.
    """
    turned = image.swapaxes(0, 1)
    most = (turned.shape[1] + GAP) // (8 + GAP)
    cut = (columns_of(turned, count) for count in range(most, 1, -1))
    return [row.swapaxes(0, 1) for row in next(filter(None, cut), [turned])]


def at_own_size(image: np.ndarray) -> np.ndarray:
    """The picture that `png_bytes` enlarged, or the picture itself."""
    height, width = image.shape[:2]
    for factor in range(min(height, width) // 8, 1, -1):
        if height % factor == 0 and width % factor == 0:
            small = image[::factor, ::factor]
            if np.array_equal(small.repeat(factor, axis=0).repeat(factor, axis=1), image):
                return small
    return image


def png_bytes(image: np.ndarray, *, enlarge_below: int = 0) -> bytes:
    """Encodes uint8 [H, W, 3] as PNG; pictures narrower than `enlarge_below` are enlarged by an
    integer factor.
    """
    picture = Image.fromarray(image)
    factor = max(1, enlarge_below // picture.width) if enlarge_below else 1
    if factor > 1:
        picture = picture.resize(
            (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
        )
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()
