#!/usr/bin/env bash
# cv2.imread makes 8 bit of a 16-bit picture unless IMREAD_ANYDEPTH is given.
# Guess: by the same rule for every container, the high byte, so that a picture converted from TIFF to PNG without loss reads the same.
# Seen (OpenCV 5.0.0): colour PNG, PPM and JPEG 2000 and gray files of all kinds give the high byte, v >> 8; colour TIFF gives
# round(v / 257). A quarter of all values differ by a level, and a gray TIFF differs from the same picture as a colour TIFF.
# Why: libtiff paints 16-bit colour itself and rounds; the other decoders drop the low byte.
# Who meets it: "bit-exact" copies of a data set in another container, and checks of a gray path against a colour path.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python-headless==5.0.0.93
venv/bin/python - <<'END'
import cv2
import numpy as np

deep = np.random.default_rng(0).integers(0, 65536, (64, 64, 3)).astype(np.uint16)
high, rounded = deep >> 8, np.round(deep / 257)
for ending in ("png", "ppm", "jp2", "tiff"):
    options = {"jp2": [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000], "tiff": [cv2.IMWRITE_TIFF_COMPRESSION, 1]}.get(ending, [])
    assert cv2.imwrite(f"deep.{ending}", deep, options)
    assert (cv2.imread(f"deep.{ending}", cv2.IMREAD_UNCHANGED) == deep).all(), "the same samples in every file"
    shallow = cv2.imread(f"deep.{ending}", cv2.IMREAD_COLOR)
    print(f"colour {ending}: equal to v >> 8 {(shallow == high).mean():.1%}, to round(v / 257) {(shallow == rounded).mean():.1%}")
    assert (shallow == (rounded if ending == "tiff" else high)).all()
assert 0.2 < (high != rounded).mean() < 0.3
for ending in ("png", "pgm", "tiff"):
    cv2.imwrite(f"gray.{ending}", deep[..., 0])
    assert (cv2.imread(f"gray.{ending}", cv2.IMREAD_GRAYSCALE) == high[..., 0]).all()
print("gray png, pgm, tiff: v >> 8")
END
