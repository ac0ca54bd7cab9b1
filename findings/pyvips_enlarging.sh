#!/usr/bin/env bash
# pyvips' Image.resize to more pixels than there were, against the other libraries that resize by the middles of pixels.
# Guess: resize(2) lies where Pillow's and OpenCV's do, and resize(0.5) then resize(2) brings a ramp back in place.
# Seen (libvips 8.18.7, from pyvips-binary): shrinking is exact. Enlarging by any kernel but nearest lies half a new pixel down and to the
# right, at every factor: a quarter of an old pixel at 2, a third at 1.5, and so does thumbnail_image where it enlarges. There and back again
# moves a ramp by half a pixel. Nearest is exact at whole factors; at 1.5 44 % of random labels differ from Pillow's.
# Why: new pixel x is taken at x / s - 1/2 of the old ones instead of (x + 1/2) / s - 1/2: half an old pixel is taken off to get from corners
# to middles, and half a new one is not added. The documentation speaks of the middles of pixels; the source of 8.19, not released yet, has
# the second form.
# Who meets it: results of a network brought back to the size of their source by pyvips and compared with it, laid over it or over labels
# that another library enlarged; PSNR and SSIM of enlarged pictures where the baseline was made by another library.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 opencv-python-headless==5.0.0.93 pyvips==3.2.0 pyvips-binary==8.18.7
venv/bin/python - <<'END_OF_PYTHON'
import cv2
import numpy as np
import pyvips
from PIL import Image

print("libvips", ".".join(str(pyvips.version(part)) for part in range(3)))
SIDE = 96
ramp = np.tile(np.arange(SIDE, dtype=np.float32), (SIDE, 1))


def shift(enlarged: np.ndarray, scale: float) -> float:
    """How far the values of a ramp lie from their place, in old pixels, far from the edges."""
    middles = (np.arange(enlarged.shape[1]) + 0.5) / scale - 0.5
    off = (enlarged[len(enlarged) // 2] - middles)[len(middles) // 3 : -len(middles) // 3]
    assert np.ptp(off) < 0.02, np.ptp(off)
    return float(off.mean())


for scale in (2, 3, 4, 1.5):
    size = round(SIDE * scale)
    by_pillow = shift(np.asarray(Image.fromarray(ramp).resize((size, size), Image.Resampling.BICUBIC)), scale)
    by_opencv = shift(cv2.resize(ramp, (size, size), interpolation=cv2.INTER_LINEAR), scale)
    assert abs(by_pillow) < 0.01 and abs(by_opencv) < 0.01
    for kernel in ("linear", "cubic", "lanczos3"):
        for image in (ramp, ramp.T):
            turned = pyvips.Image.new_from_array(np.ascontiguousarray(image)).resize(scale, kernel=kernel).numpy()
            found = shift(turned if image is ramp else turned.T, scale)
            assert abs(found + 0.5 / scale) < 0.01, found
    print(f"by {scale}: Pillow {by_pillow:+.3f}, OpenCV {by_opencv:+.3f}, libvips {found:+.3f} old pixels, {found * scale:+.2f} new ones")

vips_ramp = pyvips.Image.new_from_array(ramp)
assert abs(shift(vips_ramp.resize(0.5).numpy(), 0.5)) < 0.01
back = shift(vips_ramp.resize(0.5).resize(2).numpy(), 1)
print(f"by 0.5 and by 2 again: {back:+.3f} pixels")
assert abs(back + 0.5) < 0.01
thumbnail = shift(pyvips.Image.new_from_array(ramp.astype(np.uint8) * 2).thumbnail_image(2 * SIDE).numpy().astype(float) / 2, 2)
print(f"thumbnail_image to twice the size: {thumbnail:+.3f}")
assert abs(thumbnail + 0.25) < 0.01

# by hand: a new pixel x is what lies at x / 2 - 1/2
line = np.tile(np.float32([0, 10, 20, 30, 40, 50]), (6, 1))
seen = pyvips.Image.new_from_array(line).resize(2, kernel="linear").numpy()[6].tolist()
by_pillow = np.asarray(Image.fromarray(line).resize((12, 12), Image.Resampling.BILINEAR))[6].tolist()
print("0 10 20 30 40 50 by 2: libvips", seen, "Pillow", by_pillow)
assert seen == [0, 0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50]
assert by_pillow == [0, 2.5, 7.5, 12.5, 17.5, 22.5, 27.5, 32.5, 37.5, 42.5, 47.5, 50]

labels = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
vips_labels = pyvips.Image.new_from_array(labels)
assert (vips_labels.resize(2, kernel="nearest").numpy() == labels.repeat(2, 0).repeat(2, 1)).all()
seen = vips_labels.resize(1.5, kernel="nearest").numpy()
differ = (seen != np.asarray(Image.fromarray(labels).resize((96, 96), Image.Resampling.NEAREST))).mean()
print(f"labels by 1.5: {differ:.0%} differ from Pillow's nearest")
assert 0.4 < differ < 0.6
END_OF_PYTHON
