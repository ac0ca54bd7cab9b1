#!/usr/bin/env bash
# albumentations' SafeRotate, the rotation that loses no corner, at angles that need no interpolation.
# Guess: by 0 degrees nothing changes, by 90 it is np.rot90, as with Rotate.
# Seen (albumentations 2.0.8): by 0 degrees the picture moves by half a pixel down and to the right and is blurred by that; by nearest,
# which masks take, every second row and column is doubled and the others are lost. Points move along, boxes do not. Rotate and Affine
# are exact. GridDistortion and OpticalDistortion with limits of 0 change a picture, too.
# Why: the turn goes about the middle (size - 1) / 2, the shift into the new frame by size / 2.
# Who meets it: training with masks of thin classes (wires, poles, vessels): of lines one pixel wide half are gone before any rotation.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python-headless==5.0.0.93 albumentations==2.0.8
NO_ALBUMENTATIONS_UPDATE=1 venv/bin/python - <<'END'
import albumentations
import numpy as np

ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
lines = np.zeros((32, 32), np.uint8)
lines[:, ::4] = 1  # eight lines, a pixel wide
odd_lines = np.roll(lines, 1, axis=1)
boxes, points = albumentations.BboxParams("pascal_voc", label_fields=["ids"]), albumentations.KeypointParams("xy")


def applied(transform: albumentations.BasicTransform, mask: np.ndarray) -> dict:
    pipeline = albumentations.Compose([transform], bbox_params=boxes, keypoint_params=points)
    return pipeline(image=ramp, mask=mask, bboxes=[(4, 4, 20, 20)], ids=[1], keypoints=[(10, 10)])


for turn in (albumentations.Rotate((0, 0), p=1), albumentations.Affine(rotate=(0, 0), p=1)):
    same = applied(turn, lines)
    assert (same["image"] == ramp).all() and (same["mask"] == lines).all()
assert (albumentations.Rotate((90, 90), p=1)(image=ramp)["image"] == np.rot90(ramp)).all()

safe = albumentations.SafeRotate((0, 0), p=1)
found, other = applied(safe, lines), applied(safe, odd_lines)
print("a ramp of 0, 8, 16, 24 ...:", found["image"][16, :6].tolist(), "...")
widths = [result["mask"][16].sum() for result in (found, other)]
print("mask pixels of 8 lines, at even and at odd columns:", [int(width) for width in widths])
print("a point at 10, 10:", found["keypoints"], "a box 4, 4, 20, 20:", found["bboxes"])
assert found["image"][16, :6].tolist() == [0, 4, 12, 20, 28, 36]
assert sorted(widths) == [0, 15] or sorted(widths) == [0, 16]
assert np.allclose(found["keypoints"], [[10.5, 10.5]]) and np.allclose(found["bboxes"], [[4, 4, 20, 20]], atol=1e-3)
turned = albumentations.SafeRotate((90, 90), p=1)(image=ramp)["image"]
print("by 90 degrees, levels from rot90:", int(abs(turned.astype(int) - np.rot90(ramp)).max()))
assert (turned != np.rot90(ramp)).any()
for name, idle in {
    "GridDistortion": albumentations.GridDistortion(distort_limit=(0, 0), p=1),
    "OpticalDistortion": albumentations.OpticalDistortion(distort_limit=(0, 0), p=1),
}.items():
    noise = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    off = abs(idle(image=noise)["image"].astype(int) - noise).max()
    print(f"{name} of limits 0: {off} levels")
    assert off > 50
END
