#!/usr/bin/env bash
# cv2.createCLAHE(clipLimit, tiles).apply of uint16, as in preprocessing of CT, X-ray, MR and thermal pictures.
# Guess: 16 bits are supported, so clipLimit means what it means of 8 bits: 40, the default, hardly limits, 2 limits strongly.
# Seen (OpenCV 5.0.0): a picture of 256x256 with 12-bit values in uint16, in 8x8 tiles, comes out the same to the bit for limits 1, 2, 40 and 64;
# the limit begins to act at 128. The same picture in 8 bits has a standard deviation of 32 levels at limit 1, 44 at 2 and 74 at 40.
# Why: the limit is clipLimit * pixels of a tile / bins, and at least 1; uint16 has 65536 bins, whatever the values: 40 * 1024 / 65536 is below 1.
# It is a whole number, so it acts only where a tile has 2 * 65536 / clipLimit pixels: from 58x58 on for the default of 40, from 256x256 for 2.
# Who meets it: limits tuned on 8 bits and used on 16 (always the strongest); a search over limits that finds no difference. scikit-image's
# equalize_adapthist takes its limit as a share of a tile's pixels, and the number of bins as an argument.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 opencv-python-headless==5.0.0.93
venv/bin/python - <<'END_PYTHON'
import cv2
import numpy as np

LIMITS = (1.0, 2.0, 40.0, 64.0, 128.0, 1000.0)
print("OpenCV", cv2.__version__)
picture = np.random.default_rng(0).normal(2000, 300, (256, 256)).clip(0, 4095).astype(np.uint16)


def equalized(of: np.ndarray) -> dict[float, np.ndarray]:
    return {limit: cv2.createCLAHE(limit, (8, 8)).apply(of) for limit in LIMITS}


deep, shallow = equalized(picture), equalized((picture // 16).astype(np.uint8))
for limit in LIMITS:
    print(f"clipLimit {limit:g}: standard deviation {deep[limit].std():.0f} of 65535, {shallow[limit].std():.1f} of 255")
assert all(np.array_equal(deep[1.0], deep[limit]) for limit in (2.0, 40.0, 64.0))
assert not np.array_equal(deep[1.0], deep[128.0])
assert len({shallow[limit].tobytes() for limit in (1.0, 2.0, 40.0, 64.0)}) > 2
for side, acts in ((57, False), (58, True)):
    large = np.random.default_rng(1).normal(2000, 300, (8 * side, 8 * side)).clip(0, 4095).astype(np.uint16)
    one, usual = (cv2.createCLAHE(limit, (8, 8)).apply(large) for limit in (1.0, 40.0))
    print(f"tiles of {side}x{side}: clipLimit 40 differs from 1: {not np.array_equal(one, usual)}")
    assert np.array_equal(one, usual) != acts
print("ok")
END_PYTHON
