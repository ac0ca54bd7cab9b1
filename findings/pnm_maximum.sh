#!/usr/bin/env bash
# A PGM says itself which value is white: its third number, 100 or 1023 as well as 255 and 65535.
# Guess: readers go by it, at least for bytes: 100 of 100 is 255. (Pillow does, known before.)
# Seen (OpenCV 5.0.0, Pillow 13.0.0, GDAL in rasterio 1.4.4): OpenCV and GDAL pass it over: 100 of 100 is 100, 1023 of 1023 is 1023, and
# OpenCV's IMREAD_GRAYSCALE and IMREAD_COLOR make 3 of that, a black picture. Pillow scales, to 255 or to 65535 as int32. Colours of
# more than a byte become bytes in Pillow, cut: 511 of 1023 is 127 there.
# Who meets it: cameras and simulators that write 10- and 12-bit PGM, class maps with their largest class as the maximum (where the scaling is
# what breaks ids: 0, 1, 2 of 2 become 0, 128, 255).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 opencv-python-headless==5.0.0.93 rasterio==1.4.4
venv/bin/python -W ignore - <<'END'
import cv2
import numpy as np
import rasterio
from PIL import Image

EXPECTED = {2: [0, 128, 255], 100: [0, 128, 255], 1023: [0, 32735, 65535], 65535: [0, 32767, 65535]}
for white, by_pillow in EXPECTED.items():
    values = [0, white // 2, white]
    samples = np.array(values).astype(">u2" if white > 255 else np.uint8)
    with open("x.pgm", "wb") as file:
        file.write(b"P5 3 1 %d\n" % white + samples.tobytes())
    with rasterio.open("x.pgm") as file:
        of_gdal = file.read(1)[0].tolist()
    kept = cv2.imread("x.pgm", cv2.IMREAD_UNCHANGED)[0].tolist()
    gray = cv2.imread("x.pgm", cv2.IMREAD_GRAYSCALE)[0].tolist()
    scaled = np.asarray(Image.open("x.pgm"))
    print(f"{values} of {white}: OpenCV {kept}, as 8-bit gray {gray}; GDAL {of_gdal}; Pillow {scaled[0].tolist()} {scaled.dtype}")
    assert kept == of_gdal == values and scaled[0].tolist() == by_pillow
    assert gray == [value >> 8 if white > 255 else value for value in values]
with open("x.ppm", "wb") as file:
    file.write(b"P6 3 1 1023\n" + np.repeat([0, 511, 1023], 3).astype(">u2").tobytes())
colour = np.asarray(Image.open("x.ppm"))
print("colours 0, 511, 1023 of 1023: OpenCV", cv2.imread("x.ppm", cv2.IMREAD_UNCHANGED)[0, :, 0].tolist(), "Pillow", colour[0, :, 0].tolist(), colour.dtype)
assert colour[0, :, 0].tolist() == [0, 127, 255] and colour.dtype == np.uint8
END
