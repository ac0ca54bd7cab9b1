#!/usr/bin/env bash
# A scene with one pixel of NaN (no measurement) is resized by SciPy's `zoom` and scikit-image's `resize` with the cubic that is zoom's default.
# Guess: NaN spreads as far as the kernel reaches, a few pixels, as in OpenCV and Pillow.
# Seen (SciPy 1.17.1, scikit-image 0.26.0): all of the result is NaN, 16384 of 16384 pixels, as by `rotate`; with order=1 or prefilter=False 16 to 64 are. OpenCV's and Pillow's cubic give 64 or fewer.
# Why: splines of order 2 and more first solve for coefficients by a recursive filter along each row and column, and a recursion keeps NaN:
# it fills its row, and then all columns.
# Who meets it: slices and scenes with NaN as their nodata, of which a single one is left as nothing; with nan_to_num before, a wrong rim.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
    numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0 opencv-python-headless==5.0.0.93 Pillow==13.0.0
venv/bin/python -W ignore - <<'END_OF_PYTHON'
import cv2
import numpy as np
import scipy
import skimage
from PIL import Image
from scipy import ndimage
from skimage.transform import resize

print("SciPy", scipy.__version__, "scikit-image", skimage.__version__, "OpenCV", cv2.__version__)
scene = np.random.default_rng(0).random((64, 64)).astype(np.float32)
scene[32, 32] = np.nan
found = {
    "scipy zoom": ndimage.zoom(scene, 2),
    "skimage resize, order=3": resize(scene, (128, 128), order=3),
    "scipy rotate by 0": ndimage.rotate(scene, 0),
    "scipy zoom, order=1": ndimage.zoom(scene, 2, order=1),
    "scipy zoom, prefilter=False": ndimage.zoom(scene, 2, prefilter=False),
    "OpenCV, cubic": cv2.resize(scene, (128, 128), interpolation=cv2.INTER_CUBIC),
    "Pillow, bicubic": np.asarray(Image.fromarray(scene).resize((128, 128), Image.Resampling.BICUBIC)),
}
for name, array in found.items():
    gaps = int(np.isnan(array).sum())
    print(f"{name:28} {gaps:5} of {array.size} pixels are NaN")
    assert gaps == array.size if list(found).index(name) < 3 else 0 < gaps <= 64, name
END_OF_PYTHON
