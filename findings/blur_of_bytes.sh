#!/usr/bin/env bash
# A Gaussian of sigma 1 over a picture of bytes, by three libraries.
# Guess: bytes come back rounded, the mean unchanged, from each.
# Seen (SciPy 1.17.1, SimpleITK 2.5.7, OpenCV 5.0.0): scipy.ndimage.gaussian_filter and SimpleITK's DiscreteGaussian
# are a whole level dark on average, up to 1.9; SimpleITK's Mean and Resample (linear) half a level; uniform_filter two thirds. OpenCV's
# GaussianBlur keeps the mean. scipy.ndimage.zoom rounds, though it is of the same package.
# Why: the result of every pass, along rows and then along columns, is cut to a byte: half a level each time. A flat
# picture stays as it is, so the usual quick test shows nothing.
# Who meets it: blur as a control or as augmentation, downsampling after a blur, differences of blurs: an offset that no filter has.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 simpleitk==2.5.7 opencv-python-headless==5.0.0.93
venv/bin/python - <<'END'
from collections.abc import Callable

import cv2
import numpy as np
import SimpleITK
from scipy import ndimage

picture = np.random.default_rng(0).integers(0, 256, (128, 128), dtype=np.uint8)


def by_simpleitk(function: Callable, *arguments: object) -> Callable:
    return lambda array: SimpleITK.GetArrayFromImage(function(SimpleITK.GetImageFromArray(array), *arguments))


half_pixel = SimpleITK.TranslationTransform(2, (0.5, 0.5))
FILTERS = {
    "SciPy gaussian_filter": (lambda array: ndimage.gaussian_filter(array, 1), -1.0),
    "SciPy uniform_filter 3": (lambda array: ndimage.uniform_filter(array, 3), -2 / 3),
    "SimpleITK DiscreteGaussian": (by_simpleitk(SimpleITK.DiscreteGaussian, 1.0), -1.0),
    "SimpleITK Mean 3": (by_simpleitk(SimpleITK.Mean), -4 / 9),
    "SimpleITK Resample by half a pixel": (by_simpleitk(SimpleITK.Resample, half_pixel, SimpleITK.sitkLinear), -3 / 8),
    "OpenCV GaussianBlur": (lambda array: cv2.GaussianBlur(array, (0, 0), 1), 0.0),
    "SciPy zoom 1.7": (lambda array: np.clip(ndimage.zoom(array, 1.7, order=1), 0, 255), 0.0),
}
for name, (function, expected) in FILTERS.items():
    off = function(picture).astype(float) - function(picture.astype(np.float64))
    print(f"{name:36} {off.mean():+.2f} on average, {off.min():+.2f} to {off.max():+.2f}")
    assert abs(off.mean() - expected) < 0.05
flat = np.full_like(picture, 200)
assert (ndimage.gaussian_filter(flat, 1) == 200).all()
END
