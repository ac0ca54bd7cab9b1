#!/usr/bin/env bash
# A TIFF may say that 0 is white (MINISWHITE), as scanned radiographs and microscopes' files do.
# Guess: a reader either honours that or does not, whatever the flags and the depth.
# Seen (OpenCV 5.0.0): of one and the same 16-bit file, IMREAD_GRAYSCALE and IMREAD_COLOR give the picture turned around (0 becomes 255),
# IMREAD_UNCHANGED and IMREAD_ANYDEPTH give it as stored (0 stays 0): the polarity follows the flag. 8-bit files are turned by all flags.
# Why: where it makes 8 bit of a TIFF OpenCV lets libtiff paint the picture, and libtiff honours the tag; where it keeps 16 bit it copies
# the samples.
# Who meets it: a training set read as 8 bit and a test set read as 16 bit, of the same files, are negatives of each other.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python-headless==5.0.0.93 tifffile==2026.3.3
venv/bin/python - <<'END'
import cv2
import numpy as np
import tifffile

ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (16, 1))
flags = ("IMREAD_UNCHANGED", "IMREAD_ANYDEPTH", "IMREAD_GRAYSCALE", "IMREAD_COLOR")
rising = {}
for bits, samples in ((8, ramp), (16, ramp.astype(np.uint16) * 257)):
    tifffile.imwrite("white.tif", samples, photometric="miniswhite")
    for flag in flags:
        row = cv2.imread("white.tif", getattr(cv2, flag))[0].reshape(32, -1)[:, 0].astype(int)
        rising[bits, flag] = bool(row[-1] > row[0])
        print(f"{bits} bit, stored 0 .. 248, {flag}: {row[0]} .. {row[-1]} of {row.max()}")
assert [rising[8, flag] for flag in flags] == [False] * 4
assert [rising[16, flag] for flag in flags] == [True, True, False, False]
END
