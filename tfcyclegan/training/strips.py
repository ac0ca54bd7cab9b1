"""Sample strips: fixed pictures as real | translated | cycled | identity, one row a picture; of a
method of one direction real | translated alone.
"""

import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from tfcyclegan.data.images import to_uint8

GAP = 2

Translate = Callable[[np.ndarray], np.ndarray]


def strip(
    pictures: Sequence[np.ndarray],
    forward: Translate,
    backward: Translate | None,
    *,
    identity: bool,
) -> np.ndarray:
    """Draws the strip of some pictures of one domain.

    Args:
        pictures: float [H, W, C] in [-1, 1], of one size or several.
        forward: the generator to the other domain, for batches.
        backward: the generator back, if there is one.
        identity: whether to show `backward` of the real picture, which should change nothing.

    Returns:
        uint8 [H, W, 3].
    """
    rows = []
    for picture in pictures:
        real = picture[np.newaxis]
        translated = forward(real)
        cells = [real, translated]
        if backward is not None:
            cells += [backward(translated)] + ([backward(real)] if identity else [])
        rows.append(_join([_rgb(cell[0]) for cell in cells], axis=1))
    width = max(row.shape[1] for row in rows)
    return _join(
        [
            np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255)
            for row in rows
        ],
        axis=0,
    )


def _rgb(image: np.ndarray) -> np.ndarray:
    return np.broadcast_to(to_uint8(image), (*image.shape[:2], 3))


def _join(images: Sequence[np.ndarray], *, axis: int) -> np.ndarray:
    gap_shape = list(images[0].shape)
    gap_shape[axis] = GAP
    gap = np.full(gap_shape, 255, np.uint8)
    return np.concatenate([part for image in images for part in (image, gap)][:-1], axis=axis)


def png_bytes(image: np.ndarray, *, enlarge_below: int = 0) -> bytes:
    """Encodes uint8 [H, W, 3] as PNG; pictures narrower than `enlarge_below` are enlarged by a
    whole factor.
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
