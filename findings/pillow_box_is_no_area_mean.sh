#!/usr/bin/env bash
# Pillow's BOX filter and OpenCV's INTER_AREA both go by "the mean of the pixels that fall into the new pixel".
# Guess: they agree within a level, and with scikit-image's resize_local_mean.
# Seen (Pillow 13.0.0, OpenCV 5.0.0, scikit-image 0.26.0): equal to a level at whole factors. At 64 -> 40 pixels OpenCV and
# scikit-image give the mean over the area, to half a level; BOX is up to 117 levels away from it, and nine values of ten differ.
# Why: BOX takes whole source pixels alone, those whose middle lies in the new pixel, all with the same weight; a pixel that lies across
# a border belongs to one side. At 64 -> 40 a new pixel is the mean of one or two source pixels, never of 1.6.
# Who meets it: pictures of a common size brought to a network's (1914 to 720, 500 to 256), when a pipeline changes its library.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 opencv-python-headless==5.0.0.93 scikit-image==0.26.0
venv/bin/python - <<'END'
import cv2
import numpy as np
from PIL import Image
from skimage.transform import resize_local_mean

picture = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)


def area_mean(size: int) -> np.ndarray:
    """By the definition: each source pixel counts by the part of it that lies in the new pixel."""
    edges = np.linspace(0, 64, size + 1)
    low, high = np.maximum.outer(edges[:-1], np.arange(64)), np.minimum.outer(edges[1:], np.arange(1, 65))
    weights = np.maximum(0, high - low) * size / 64
    return weights @ picture @ weights.T


def by_box(size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BOX)).astype(float)


def by_opencv(size: int) -> np.ndarray:
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA).astype(float)


half, forty = area_mean(32), area_mean(40)
assert abs(by_box(32) - half).max() <= 1 and abs(by_opencv(32) - half).max() <= 0.5
assert abs(by_opencv(40) - forty).max() < 0.51
assert abs(resize_local_mean(picture.astype(float), (40, 40)) - forty).max() < 1e-6
off = abs(by_box(40) - forty)
print(f"64 -> 40: OpenCV {abs(by_opencv(40) - forty).max():.2f}, Pillow's BOX {off.max():.1f} levels from the area mean")
print(f"values of BOX more than a level off: {(off > 1).mean():.0%}")
assert off.max() > 100 and (off > 1).mean() > 0.85
# by hand: the first third of five pixels is one pixel of 0 and two thirds of one of 200, together 133.3 of 1.667
line = np.array([[0, 200, 0, 0, 100]], np.uint8)
small = np.asarray(Image.fromarray(line).resize((3, 1), Image.Resampling.BOX)).tolist()
print("0 200 0 0 100 -> 3 pixels: BOX", small[0], "area", [80, 40, 60])
assert small == [[100, 0, 50]]
END
