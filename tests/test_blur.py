"""Sharpness on real tiles."""

from scipy import ndimage

from tests.defects import changed
from tfcyclegan.measures.blur import sharpness


def test_blur(satellite):
    blurred = changed(satellite, lambda picture: ndimage.gaussian_filter(picture, (1, 1, 0)))
    for clean, soft in zip(satellite, blurred, strict=True):
        assert sharpness(soft) < sharpness(clean)
