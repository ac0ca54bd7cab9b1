"""From a translated RGB label map to classes at the truth's resolution, and what the way there
costs by itself.

The CycleGAN paper does not say whether it took classes before or after enlarging, so both are
reported. The truth is never resized, except to find the ceiling: a perfect translator's picture at
the network's size, brought back in the same ways.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from tfcyclegan.config import Size
from tfcyclegan.data.labels import ClassTable


def _resized(array: np.ndarray, size: Size, filter_: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(array).resize((size.width, size.height), filter_))


def classify_then_resize(picture: np.ndarray, size: Size, classes: ClassTable) -> np.ndarray:
    """uint8 [h, w, 1 or 3] to train ids [H, W]: nearest colour, then nearest pixel (which
    commute).
    """
    return _resized(classes.nearest_class(picture), size, Image.Resampling.NEAREST)


def resize_then_classify(picture: np.ndarray, size: Size, classes: ClassTable) -> np.ndarray:
    """uint8 [h, w, 1 or 3] to train ids [H, W]: bicubic in colour, then nearest colour; blends at
    edges may become third classes.
    """
    colors = np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))
    return classes.nearest_class(_resized(colors, size, Image.Resampling.BICUBIC))


PROTOCOLS: dict[str, Callable[[np.ndarray, Size, ClassTable], np.ndarray]] = {
    "classify, then resize": classify_then_resize,
    "resize, then classify": resize_then_classify,
}


def perfect_translation(ids: np.ndarray, size: Size, classes: ClassTable) -> np.ndarray:
    """Ids of the truth (not train ids), uint8 [H, W], to the picture that a perfect translator
    would give, uint8 [h, w, 3].
    """
    return classes.colorize(_resized(ids, size, Image.Resampling.NEAREST))


def ceiling(ids: np.ndarray, size: Size, classes: ClassTable) -> dict[str, np.ndarray]:
    """By protocol the train ids [H, W] that the truth `ids` [H, W] gets by going through the
    network's `size` and back.

    Scored against `classes.to_train_ids(ids)` it is the protocol ceiling: the score of a perfect
    translator.
    """
    full = Size(*ids.shape)
    return {
        name: protocol(perfect_translation(ids, size, classes), full, classes)
        for name, protocol in PROTOCOLS.items()
    }
