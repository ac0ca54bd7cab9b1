#!/usr/bin/env bash
# PFM, the float format of depth, disparity and optical flow: rows from the bottom up, a scale whose sign tells the order of bytes.
# Guess: all readers give the top row first and the stored values; the size of the scale is of no account.
# Seen (OpenCV 5.0.0, Pillow 13.0.0, netpbmfile 2026.1.29): netpbmfile gives the picture upside down. OpenCV divides by the scale:
# at -0.5 values are doubled, at -2 halved; Pillow and netpbmfile give them as stored. At scale 1, what OpenCV and Pillow write, it agrees.
# Who meets it: depth maps beside photographs, turned over without an error; files whose writer put the largest value into the scale.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 opencv-python-headless==5.0.0.93 netpbmfile==2026.1.29
venv/bin/python - <<'END'
import cv2
import netpbmfile
import numpy as np
from PIL import Image

depth = np.array([[1, 2, 3, 4], [50, 60, 70, 80]], np.float32)  # top row first
for scale in (-1, -0.5, -2):
    with open("x.pfm", "wb") as file:
        file.write(b"Pf\n4 2\n%g\n" % scale + depth[::-1].astype("<f4").tobytes())
    found = {
        "Pillow": np.asarray(Image.open("x.pfm")),
        "OpenCV": cv2.imread("x.pfm", cv2.IMREAD_UNCHANGED),
        "netpbmfile": netpbmfile.imread("x.pfm"),
    }
    for reader, picture in found.items():
        print(f"scale {scale}: {reader:10}", picture.tolist())
    assert (found["Pillow"] == depth).all()
    assert (found["netpbmfile"] == depth[::-1]).all()
    assert np.allclose(found["OpenCV"], depth / abs(scale))
cv2.imwrite("written.pfm", depth)
assert (np.asarray(Image.open("written.pfm")) == depth).all() and (netpbmfile.imread("written.pfm") == depth[::-1]).all()
END
