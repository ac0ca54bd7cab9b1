"""Tiles with defects put on."""

import numpy as np

from tfcyclegan.data import images
from tfcyclegan.data.source import open_source


def land_tiles(tiles, split: str) -> list[np.ndarray]:
    """Up to 40 tiles with land, since the open sea is one colour."""
    found = [
        images.to_array(images.decode(encoded, 3))
        for _, encoded in open_source(tiles).pictures(split)
    ]
    textured = [picture for picture in found if picture.std(axis=(0, 1)).mean() > 8]
    assert len(textured) >= 40
    return textured[:40]


def changed(tiles: list[np.ndarray], change) -> list[np.ndarray]:
    return [
        np.clip(np.rint(change(picture.astype(float))), 0, 255).astype(np.uint8)
        for picture in tiles
    ]


def pattern(period: int, strength: float):
    """What an uneven transposed convolution adds: one pixel in each period x period block
    brighter.
    """

    def add(picture: np.ndarray) -> np.ndarray:
        bright = np.zeros(picture.shape[:2])
        bright[::period, ::period] = strength
        return picture + bright[..., np.newaxis]

    return add
