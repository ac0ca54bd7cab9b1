"""Real pictures for measurements: NASA's Blue Marble, whole and in tiles. Needs no TensorFlow."""

from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.satellite_map import SATELLITE, find_input


def blue_marble(width: int, height: int) -> np.ndarray:
    """The picture at the given size, uint8 [H, W, 3]."""
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(find_input("") / SATELLITE) as image:
        return np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))


def cut_tiles(
    folder: Path, count: int, height: int, width: int, *, ending: str = ".jpg", seed: int = 0
) -> None:
    """Writes `count` tiles of the given size, drawn by `seed`, into a new folder."""
    folder.mkdir(parents=True)
    marble = blue_marble(5400, 2700)
    draw = np.random.default_rng(seed)
    for number in range(count):
        top, left = draw.integers(300, 2400 - height), draw.integers(5400 - width)
        Image.fromarray(marble[top : top + height, left : left + width]).save(
            folder / f"{number:05d}{ending}", quality=92
        )
