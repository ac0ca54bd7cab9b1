"""The orientation of slices through a body: the radiological convention in which scanners show
them, whatever the order of axes in the file.

    axial       planes from inferior to superior, rows from anterior to posterior, columns from
                right to left
    coronal     planes from anterior to posterior, rows from superior to inferior, columns from
                right to left
    sagittal    planes from left to right, rows from superior to inferior, columns from anterior to
                posterior

Axes are only swapped and reversed, to the closest match with the affine; nothing is resampled.
Affines are those of nibabel, in mm towards right, anterior, superior.
"""

import numpy as np
from nibabel import orientations
from nibabel.affines import voxel_sizes

SLICES = {"axial": "SPL", "coronal": "PIL", "sagittal": "RIP"}
"""The directions of planes, rows and columns for each kind of slices."""

_ACROSS = ("sagittal", "coronal", "axial")  # right, anterior, superior
_EQUAL = 1e-3  # relative difference of spacings


def kinds(affine: np.ndarray) -> tuple[str, ...]:
    """The kind of slices across each of the three axes."""
    return tuple(_ACROSS[int(axis)] for axis in orientations.io_orientation(affine)[:, 0])


def widest(affine: np.ndarray) -> tuple[str, str]:
    """The kind of slices across the axis of the largest spacing, and a note on the choice."""
    spacings = voxel_sizes(affine)
    largest = {
        kind
        for kind, spacing in zip(kinds(affine), spacings, strict=True)
        if spacing >= spacings.max() * (1 - _EQUAL)
    }
    kind = next(kind for kind in SLICES if kind in largest)
    why = "a choice among equal spacings" if len(largest) > 1 else "across the largest spacing"
    return kind, f"{kind} slices, {why}"


def turn(affine: np.ndarray, kind: str) -> np.ndarray:
    """nibabel's orientation that maps the axes of `affine` to planes, rows and columns."""
    return orientations.ornt_transform(
        orientations.io_orientation(affine), orientations.axcodes2ornt(SLICES[kind])
    )


def turned(array: np.ndarray, by: np.ndarray) -> np.ndarray:
    """A view of the array with its first three axes reoriented."""
    return orientations.apply_orientation(array, by)
