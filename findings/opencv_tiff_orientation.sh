#!/usr/bin/env bash
# Cameras and scanners note how a picture is to be turned. OpenCV turns it, unless IMREAD_UNCHANGED or IMREAD_IGNORE_ORIENTATION is given.
# Guess: so for every format that OpenCV turns.
# Seen (OpenCV 5.0.0): so for PNG, JPEG and WebP. A TIFF is turned under both flags, too; AVIF is not turned under any.
# Why: TIFF's tag is not EXIF's; libtiff itself turns what it paints, and no flag reaches it.
# Who meets it: label maps are read by IMREAD_UNCHANGED, photos by IMREAD_COLOR. As TIFF both are turned, as PNG the photo alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 opencv-python-headless==5.0.0.93
venv/bin/python - <<'END'
import cv2
import numpy as np
from PIL import Image

upside_down = Image.Exif()
upside_down[0x0112] = 3
ramp = Image.fromarray(np.tile(np.arange(0, 256, 8, dtype=np.uint8)[None, :, None], (16, 1, 3)))
turned = {}
for ending in ("png", "jpg", "webp", "tif", "avif"):
    name = f"ramp.{ending}"
    ramp.save(name, exif=upside_down)
    for flag in ("COLOR", "UNCHANGED", "IGNORE"):
        flags = {"COLOR": cv2.IMREAD_COLOR, "UNCHANGED": cv2.IMREAD_UNCHANGED, "IGNORE": cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION}[flag]
        row = cv2.imread(name, flags)[0, :, 0]
        turned[ending, flag] = bool(row[0] > row[-1])
    print(ending, {flag: turned[ending, flag] for flag in ("COLOR", "UNCHANGED", "IGNORE")})
for ending in ("png", "jpg", "webp"):
    assert [turned[ending, flag] for flag in ("COLOR", "UNCHANGED", "IGNORE")] == [True, False, False]
assert [turned["tif", flag] for flag in ("COLOR", "UNCHANGED", "IGNORE")] == [True, True, True]
assert [turned["avif", flag] for flag in ("COLOR", "UNCHANGED", "IGNORE")] == [False, False, False]
END
