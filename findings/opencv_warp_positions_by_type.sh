#!/usr/bin/env bash
# cv2.warpAffine, warpPerspective and remap: between which positions do they interpolate, by type of the picture?
# Guess: as documented for years, positions are rounded to 1/32 pixel (INTER_BITS), for all types and interpolations alike; or, if that is gone,
# for none. float64 is at least as exact as float32.
# Seen (OpenCV 5.0.0; x86): INTER_LINEAR of float32 and uint16 is exact; of float64 and int16, or of float32 with two channels, it knows 33
# positions from 0 to 1, so that a shift of 0.01 pixel is none. INTER_CUBIC is exact for all of them, INTER_LANCZOS4 for none. OpenCV 4.12 rounds
# all. The same field of waves turned by 3 degrees as float64 and as float32 differs by 5 of 1000.
# Why: 5.0 has new kernels for some types and interpolations (linear: of uint16 and float32 with 1, 3 or 4 channels, not of int16 and float64);
# all others take the old way, with its table of 32 x 32 weights.
# Who meets it: registration and augmentation of CT in HU (int16), of displacement or flow fields (two channels) and of whatever NumPy made
# float64; two builds of one dataset, one with 4.x; search for a shift by its smallest error, which moves by steps of 1/32.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > positions.py <<'END_PYTHON'
import cv2
import numpy as np

SHIFTS = np.arange(0, 1, 1 / 256)
ramp = np.tile(np.arange(64.0), (64, 1)) * 500
NAMES = {cv2.INTER_LINEAR: "linear", cv2.INTER_CUBIC: "cubic", cv2.INTER_LANCZOS4: "lanczos4"}


def shifted(picture: np.ndarray, shift: float, by: str, flag: int) -> np.ndarray:
    matrix = np.array([[1, 0, -shift], [0, 1, 0], [0, 0, 1]])
    if by == "warpAffine":
        return cv2.warpAffine(picture, matrix[:2], (64, 64), flags=flag)
    if by == "warpPerspective":
        return cv2.warpPerspective(picture, matrix, (64, 64), flags=flag)
    x, y = np.meshgrid(np.arange(64, dtype=np.float32), np.arange(64, dtype=np.float32))
    return cv2.remap(picture, x + np.float32(shift), y, flag)


def positions(dtype: str, flag: int, by: str, channels: int = 1) -> int:
    """The number of different results of 256 shifts between 0 and 1 pixel."""
    picture = np.repeat(ramp[..., np.newaxis], channels, axis=2).astype(dtype)
    return len({float(shifted(picture, shift, by, flag).reshape(64, 64, -1)[32, 32, 0]) for shift in SHIFTS})


print("OpenCV", cv2.__version__)
new = cv2.__version__.startswith("5")
for dtype in ("uint16", "int16", "float32", "float64"):
    for flag, name in NAMES.items():
        found = {by: positions(dtype, flag, by) for by in ("warpAffine", "warpPerspective", "remap")}
        print(dtype, name, found)
        # a step of 500 from pixel to pixel has room for 256 whole numbers
        exact = new and (flag == cv2.INTER_CUBIC or (flag == cv2.INTER_LINEAR and dtype in ("uint16", "float32")))
        assert all(count > 200 if exact else count == 33 for count in found.values())
by_channels = {count: positions("float32", cv2.INTER_LINEAR, "warpAffine", count) for count in (1, 2, 3, 4)}
print("float32 linear, by channels", by_channels)
assert by_channels == {1: 256, 2: 33, 3: 256, 4: 256} if new else set(by_channels.values()) == {33}
down, across = np.mgrid[:512, :512]
waves = np.sin(across / 3) * np.sin(down / 4) * 1000
turn = cv2.getRotationMatrix2D((256, 256), 3, 1)
wide, narrow = (cv2.warpAffine(waves.astype(dtype), turn, (512, 512)) for dtype in ("float64", "float32"))
largest = np.abs(wide - narrow)[60:-60, 60:-60].max()
print(f"waves of 1000 turned, float64 against float32: {largest:.2f} at the most")
assert 3 < largest < 8 if new else largest < 0.01
print("ok")
END_PYTHON
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
for version in 4.12.0.88 5.0.0.93; do
  venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --target "$version" "opencv-python-headless==$version"
  PYTHONPATH=$version venv/bin/python positions.py
done
