"""How slices through a body are turned: in the radiological convention, the way in which scanners
show them, whatever the order of axes in their file.

    axial       planes from inferior to superior, rows from anterior to posterior, columns from
                right to left
    coronal     planes from anterior to posterior, rows from superior to inferior, columns from
                right to left
    sagittal    planes from left to right, rows from superior to inferior, columns from anterior to
                posterior

Axes are only exchanged and reversed for it, to the nearest by the affine; nothing is resampled.
Affines are those of nibabel, in mm towards right, anterior, superior.
"""

import numpy as np
from nibabel import orientations
from nibabel.affines import voxel_sizes

SLICES = {"axial": "SPL", "coronal": "PIL", "sagittal": "RIP"}
"""Where planes, rows and columns of each kind of slices lead to: towards superior, ..."""

_ACROSS = ("sagittal", "coronal", "axial")  # right, anterior, superior
_EQUAL = 1e-3  # spacings, as a share


def kinds(affine: np.ndarray) -> tuple[str, ...]:
    """The slices across each of the three axes."""
    return tuple(_ACROSS[int(axis)] for axis in orientations.io_orientation(affine)[:, 0])


def widest(affine: np.ndarray) -> tuple[str, str]:
    """The slices across the axis of the largest spacing, and a note that says so."""
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
    """nibabel's orientation that makes the axes of `affine` planes, rows and columns."""
    return orientations.ornt_transform(
        orientations.io_orientation(affine), orientations.axcodes2ornt(SLICES[kind])
    )


def turned(array: np.ndarray, by: np.ndarray) -> np.ndarray:
    """A view of the array's first three axes, turned."""
    return orientations.apply_orientation(array, by)
