#!/usr/bin/env bash
# 12-bit gray, 0 to 4095, in the two formats that store it as such: TIFF of 12 bits a sample (GDAL's NBITS=12) and JPEG 2000.
# Guess: whoever reads a file gives 0 to 4095 for both, or scales both. (Known before: Pillow multiplies JPEG 2000 by 16.)
# Seen (OpenCV 5.0.0, Pillow 13.0.0, GDAL in rasterio 1.4.4, imagecodecs 2026.3.6, tifffile 2026.3.3): OpenCV multiplies TIFF by 16 and
# leaves JPEG 2000 alone, Pillow the other way round; GDAL, tifffile and imagecodecs give what is stored. 4095 comes as 65520, not 65535.
# Who meets it: detectors and X-rays of 12 bit, where a threshold or a fixed range is 16 times off after a change of format or library.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 opencv-python-headless==5.0.0.93 rasterio==1.4.4 tifffile==2026.3.3 imagecodecs==2026.3.6
OPENCV_LOG_LEVEL=ERROR venv/bin/python -W ignore - <<'END'
import cv2
import imagecodecs
import numpy as np
import rasterio
import tifffile
from PIL import Image

values = np.linspace(0, 4095, 64 * 64).reshape(64, 64).astype(np.uint16)
with rasterio.open("x.tif", "w", driver="GTiff", width=64, height=64, count=1, dtype="uint16", nbits=12) as file:
    file.write(values, 1)
with open("x.jp2", "wb") as file:
    file.write(imagecodecs.jpeg2k_encode(values, bitspersample=12, level=0))


def by_rasterio(name: str) -> np.ndarray:
    with rasterio.open(name) as file:
        return file.read(1)


readers = {
    "OpenCV": (lambda name: cv2.imread(name, cv2.IMREAD_UNCHANGED), {"x.tif": 16, "x.jp2": 1}),
    "Pillow": (lambda name: np.asarray(Image.open(name)), {"x.tif": 1, "x.jp2": 16}),
    "rasterio": (by_rasterio, {"x.tif": 1, "x.jp2": 1}),
    "tifffile": (tifffile.imread, {"x.tif": 1}),
    "imagecodecs": (lambda name: imagecodecs.jpeg2k_decode(open(name, "rb").read()), {"x.jp2": 1}),
}
for reader, (read, factors) in readers.items():
    for name, factor in factors.items():
        found = read(name)
        print(f"{reader:12} {name} {found.dtype} {found.min()} to {found.max()}")
        assert found.dtype == np.uint16 and (found == values * factor).all()
END
