#!/usr/bin/env bash
# cv2.cvtColor(picture, COLOR_RGB2Lab) of float32, against the formula of CIE Lab with OpenCV's own matrix and white.
# Guess: floats are computed, so the error is that of float32, 1e-3 at the most.
# Seen (OpenCV 5.0.0): 0.15 off on average and 0.55 at the most (CIE76). 65536 grays have 513 values of L, and an a and b of up to 0.125. One level
# more of green is 0.60 on average, as it should be, but between 0.77 and 1.52 of the right distance, of red between 0.50 and 1.67.
# COLOR_LRGB2Lab of values that one has made linear is 0.02 off at the most, COLOR_Lab2RGB 0.0001 of 1.
# Why: of sRGB, floats too, the conversion interpolates in a table of 33 values per channel, whose entries are 16-bit integers, at 16 places
# between two of them (modules/imgproc/src/color_lab.cpp): 513 levels per channel, whatever the type.
# Who meets it: colour differences of close pictures (a cycle's or a codec's error), Reinhard's colour transfer in float, and 16-bit colours, of
# which nine bits are left. scikit-image computes the formula. Known: opencv/opencv issue 12808 (of dark values), pull request 8967.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 opencv-python-headless==5.0.0.93
venv/bin/python - <<'END_PYTHON'
import cv2
import numpy as np

MATRIX = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
WHITE = np.array([0.950456, 1.0, 1.088754])


def linear(picture: np.ndarray) -> np.ndarray:
    wide = picture.astype(np.float64)
    return np.where(wide <= 0.04045, wide / 12.92, ((wide + 0.055) / 1.055) ** 2.4)


def lab(picture: np.ndarray) -> np.ndarray:
    ratio = linear(picture) @ MATRIX.T / WHITE
    x, y, z = np.moveaxis(np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(one - other.astype(np.float64), axis=-1)


print("OpenCV", cv2.__version__)
picture = np.random.default_rng(0).random((128, 128, 3), dtype=np.float32)
exact = lab(picture)
direct = distance(exact, cv2.cvtColor(picture, cv2.COLOR_RGB2Lab))
by_linear = distance(exact, cv2.cvtColor(linear(picture).astype(np.float32), cv2.COLOR_LRGB2Lab))
back = np.abs(cv2.cvtColor(exact.astype(np.float32), cv2.COLOR_Lab2RGB) - picture)
print(f"RGB2Lab off by {direct.mean():.3f} on average, {direct.max():.3f} at the most (CIE76)")
print(f"LRGB2Lab of linear values {by_linear.max():.5f} at the most; Lab2RGB {back.max():.5f} of 1")
assert 0.1 < direct.mean() < 0.2 and 0.4 < direct.max() < 1
assert by_linear.max() < 0.05 and back.max() < 0.001

grays = np.linspace(0, 1, 65536, dtype=np.float32)
converted = cv2.cvtColor(np.repeat(grays[np.newaxis, :, np.newaxis], 3, axis=2), cv2.COLOR_RGB2Lab)[0]
levels = len(np.unique(converted[:, 0]))
assert levels == 513 and np.abs(converted[:, 1:]).max() > 0.1
print(f"65536 grays have {levels} values of L, and a and b from {converted[:, 1:].min():.3f} to {converted[:, 1:].max():.3f}")

bytes_ = np.random.default_rng(1).integers(0, 255, (128, 128, 3)).astype(np.float32)
for channel, name in enumerate(("red", "green", "blue")):
    step = np.zeros(3, np.float32)
    step[channel] = 1
    pair = [(bytes_ + amount * step) / np.float32(255) for amount in (0, 1)]
    truth = distance(*(lab(one) for one in pair))
    found = distance(*(cv2.cvtColor(one, cv2.COLOR_RGB2Lab).astype(np.float64) for one in pair))
    share = found / truth
    print(
        f"one level of 255 more {name}: {truth.mean():.3f} on average, by OpenCV {found.mean():.3f};"
        f" pixel by pixel {share.min():.2f} to {share.max():.2f} of the right one"
    )
    assert share.min() < 0.85 and share.max() > 1.4
END_PYTHON
