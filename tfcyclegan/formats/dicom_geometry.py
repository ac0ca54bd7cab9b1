"""The position of a DICOM series' slices in space: sorted along their normal, not by their numbers,
and checked for completeness.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfcyclegan.data.intake import BadPicture
from tfcyclegan.formats import orientation
from tfcyclegan.formats.dicom_slices import Slice

REFUSE, KEEP = "refuse", "keep"
UNEVEN = "slices at uneven spacing"
MISSING = "slices missing between others"
TILTED = "slices sheared against their normal (a tilted gantry)"
NO_PLACE = "pictures without a position in space, read one by one"

_SAME_PLACE = 1e-3  # mm
_UNEVEN, _MISSING = 0.01, 0.5  # beyond the usual spacing, relative to it
_SKEW = 0.01  # of cosines
_SHEARED = 0.1  # of a slice's spacing
_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Stack:
    """Slices in spatial order.

    Attributes:
        slices: in the order of a measurement's planes.
        affine: of (columns, rows, slices) of the pixels as stored, in nibabel's convention; None
            for a picture without a position.
        kind: such as "axial"; empty without a position.
        turn: nibabel's orientation that maps stored (planes, rows, columns) to those of
            `formats.orientation`.
        is_sheared: whether the axes of `affine` are not at right angles.
        notes: notes to report.
    """

    slices: tuple[Slice, ...]
    affine: np.ndarray | None
    kind: str
    turn: np.ndarray
    is_sheared: bool
    notes: tuple[str, ...]

    @property
    def of_several_files(self) -> bool:
        return len({part.path for part in self.slices}) > 1

    @property
    def of_framed_files(self) -> bool:
        """Whether it is of several files of frames, from which no series can be derived."""
        return self.of_several_files and any(part.frame is not None for part in self.slices)


_AS_STORED = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])


def arrange(slices: Sequence[Slice], gaps: str = REFUSE) -> Stack:
    """Sorts parallel slices along their normal.

    Args:
        slices: slices of one series and orientation.
        gaps: REFUSE slices between which some seem to be missing, or KEEP them with a note.

    Raises:
        BadPicture: sizes differ, two slices have the same position, or one is missing; the message
            names the files.
    """
    first = slices[0]
    for name in ("Rows", "Columns"):
        require_alike(
            slices, f"number of {name.lower()}", [int(part.header[name].value) for part in slices]
        )
    if len(slices) == 1 and (first.position is None or first.directions is None):
        return Stack((first,), None, "", _AS_STORED, False, (NO_PLACE,))
    require_alike(
        slices,
        "pixel spacing",
        [None if part.spacing is None else part.spacing.tolist() for part in slices],
    )
    _require_directions(first)
    positions = np.array([part.position for part in slices])
    normal = first.normal
    order = np.argsort(positions @ normal, kind="stable")
    stack, notes = [slices[place] for place in order], []
    positions = positions[order]
    steps = np.diff(positions @ normal)
    if len(stack) > 1:
        notes += _spacing_notes(stack, steps, gaps)
    # from the first to the last slice, with full accuracy; a single slice has no step
    spacing = (1.0, 1.0) if first.spacing is None else tuple(first.spacing)
    step = (positions[-1] - positions[0]) / (len(stack) - 1) if len(stack) > 1 else normal
    aside = step - (step @ normal) * normal
    is_sheared = bool(np.linalg.norm(aside) > _SHEARED * np.linalg.norm(step))
    if is_sheared:
        notes.append(TILTED)
    assert first.directions is not None
    columns, rows = first.directions[0] * spacing[1], first.directions[1] * spacing[0]
    affine = np.eye(4)
    affine[:3, :3] = _TO_RAS @ np.stack([columns, rows, step], axis=1)
    affine[:3, 3] = _TO_RAS @ positions[0]
    # the normal is used, since a strong tilt would swap axes
    upright = affine.copy()
    upright[:3, 2] = _TO_RAS @ normal * np.linalg.norm(step)
    stored = upright[:, [2, 1, 0, 3]]
    kind = orientation.kinds(stored)[0]
    turn = orientation.turn(stored, kind)
    return Stack(tuple(stack), affine, kind, turn, is_sheared, tuple(notes))


def _require_directions(part: Slice) -> None:
    assert part.directions is not None
    skew = part.directions @ part.directions.T - np.eye(2)
    if np.abs(skew).max() > _SKEW:
        raise BadPicture(f"{part.name}: ImageOrientationPatient has no perpendicular directions")
    if part.spacing is not None and part.spacing.min() <= 0:
        raise BadPicture(f"{part.name}: PixelSpacing is not positive")


def require_alike(slices: Sequence[Slice], what: str, values: Sequence[object]) -> None:
    """Raises BadPicture, naming two files, if `values` of slices differ."""
    for part, value in zip(slices, values, strict=True):
        if value != values[0]:
            raise BadPicture(
                f"{slices[0].name} and {part.name} differ in their {what}: {values[0]}, {value}; "
                "they are not slices of one volume"
            )


def _spacing_notes(stack: Sequence[Slice], steps: np.ndarray, gaps: str) -> list[str]:
    """Notes on the steps from slice to slice, in mm."""
    same = np.flatnonzero(steps < _SAME_PLACE)
    if same.size:
        one, other = stack[same[0]], stack[same[0] + 1]
        many = f" ({same.size} such pairs)" if same.size > 1 else ""
        raise BadPicture(
            f"{one.name} and {other.name} have the same position{many}: several echoes, phases or "
            "times in one series; move each into a folder and series of its own"
        )
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])  # of two, the smaller one
    wide = np.flatnonzero(steps > usual * (1 + _MISSING))
    if wide.size:
        if gaps != REFUSE:
            return [MISSING]
        one, other = stack[wide[0]], stack[wide[0] + 1]
        many = f", and {wide.size - 1} more such gaps" if wide.size > 1 else ""
        raise BadPicture(
            f"a slice is missing: {steps[wide[0]]:g} mm from {one.name} to {other.name}, but "
            f"{usual:g} mm is usual{many}; --gaps=keep uses the existing slices"
        )
    return [UNEVEN] if np.abs(steps - usual).max() > usual * _UNEVEN else []
