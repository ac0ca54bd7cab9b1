#!/usr/bin/env bash
# SimpleITK.Shrink makes a volume smaller by a whole factor, and gives it a new origin and spacing.
# Guess: each value still lies where its voxel is said to lie: of a volume that holds its own coordinate in mm, so does the smaller one.
# Seen (SimpleITK 2.5.7): by 3 and 5 so. By 2, 4 and 6 every value lies half a voxel of the source from where the geometry says, along every
# axis: at spacing 1.5 mm 0.75 mm, in 3-D 1.3 mm along the diagonal. BinShrink, Expand and Resample onto the very grid are exact.
# Why: the new origin is the middle of the block, which for an even factor lies between two voxels; the value is not interpolated there but
# is the voxel after it.
# Who meets it: pyramids of registrations and faster trials, where a volume that was shrunk and one that was resampled, or a label by Shrink
# and its scan by BinShrink, lie half a voxel apart though their headers agree to the digit.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 SimpleITK==2.5.7
venv/bin/python - <<'END_OF_PYTHON'
import numpy as np
import SimpleITK as sitk

print("SimpleITK", sitk.Version_VersionString())
SPACING, ORIGIN, SIDE = 1.5, 10.0, 60


def coordinates(image: sitk.Image, axis: int) -> np.ndarray:
    """Where the voxels along the axis lie by the header, in mm."""
    points = []
    for place in range(image.GetSize()[axis]):
        index = [0, 0, 0]
        index[axis] = place
        points.append(image.TransformIndexToPhysicalPoint(index)[axis])
    return np.array(points)


def shift(image: sitk.Image, axis: int) -> np.ndarray:
    """Values minus coordinates along the middle of the volume, without the outermost voxels."""
    middle = [size // 2 for size in image.GetSize()]
    where: list[slice | int] = [*middle]
    where[axis] = slice(None)
    values = sitk.GetArrayFromImage(image).transpose(2, 1, 0)[tuple(where)]
    return (values - coordinates(image, axis))[1:-1]


for axis, name in enumerate("xyz"):
    places = ORIGIN + SPACING * np.arange(SIDE, dtype=np.float32)
    shape = [1, 1, 1]
    shape[axis] = SIDE
    volume = np.broadcast_to(places.reshape(shape), (SIDE,) * 3).transpose(2, 1, 0)
    source = sitk.GetImageFromArray(np.ascontiguousarray(volume))
    source.SetSpacing([SPACING] * 3)
    source.SetOrigin([ORIGIN] * 3)
    for factor in (2, 3, 4, 5, 6):
        shrunk = sitk.Shrink(source, [factor] * 3)
        binned = sitk.BinShrink(source, [factor] * 3)
        assert np.allclose(shrunk.GetOrigin(), binned.GetOrigin())
        assert np.allclose(shrunk.GetSpacing(), binned.GetSpacing())
        resampled = sitk.Resample(source, shrunk, sitk.Transform(), sitk.sitkLinear)
        found = shift(shrunk, axis)
        print(f"by {factor} along {name}: Shrink is off by {found.mean():+.3f} mm, BinShrink by {shift(binned, axis).mean():+.3f}, Resample by {shift(resampled, axis).mean():+.3f}")
        np.testing.assert_allclose(found, SPACING / 2 if factor % 2 == 0 else 0, atol=1e-3)
        np.testing.assert_allclose(shift(binned, axis), 0, atol=1e-3)
        np.testing.assert_allclose(shift(resampled, axis), 0, atol=1e-3)
    np.testing.assert_allclose(shift(sitk.Expand(source, [2] * 3), axis), 0, atol=1e-3)
END_OF_PYTHON
