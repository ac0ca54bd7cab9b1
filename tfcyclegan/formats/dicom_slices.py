"""DICOM files in a folder tree -> the slices of each series. Reads only headers, with pydicom.

Data that names or could identify a person is read only to determine which series are of one
subject, and leaves this module only as a pseudonym (`subject_of`).
"""

import collections
import functools
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from tfcyclegan.data import picture_files
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.manifest import printable
from tfcyclegan.system import files

NO_DICOM = "files that are not DICOM"
NO_PICTURE = "DICOM files without pixels"
COPIES = "copies of DICOM files"
LOCALIZERS = "localizers, by their ImageType"

OVERLAY_ROWS = 0x60000010

_TAGS: Any = [
    "ImageType",
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"),
    *("FrameOfReferenceUID", "PatientID", "IssuerOfPatientID", "Modality", "Units"),
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "LossyImageCompression"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    "RealWorldValueMappingSequence",
    OVERLAY_ROWS,
]
_RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
_SAME_DIRECTION = 1e-3  # of cosines


@dataclass(frozen=True, eq=False)
class Slice:
    """One picture of a file.

    Attributes:
        path: the file.
        header: the file's header, only `_TAGS`.
        frame: the index in a file of several pictures; None in a file of one.
        groups: the functional groups of the frame, its own before shared ones.
    """

    path: Path
    header: Any
    frame: int | None = None
    groups: tuple[Any, ...] = ()

    def get(self, name: str, sequence: str = "") -> Any:
        """A value of the frame's functional group `sequence`, or of the header; None if it is
        absent or empty.
        """
        items = [group[sequence].value[0] for group in self.groups if group.get(sequence)]
        found = (item.get(name) for item in (*items, self.header))
        return next((value for value in found if value is not None and value != ""), None)

    @functools.cached_property
    def position(self) -> np.ndarray | None:
        """The centre of the first pixel, in mm towards left, posterior, superior."""
        return self._numbers("ImagePositionPatient", "PlanePositionSequence", 3)

    @functools.cached_property
    def directions(self) -> np.ndarray | None:
        """[2, 3]: the directions in which columns and rows are counted."""
        found = self._numbers("ImageOrientationPatient", "PlaneOrientationSequence", 6)
        return None if found is None else found.reshape(2, 3)

    @property
    def normal(self) -> np.ndarray:
        assert self.directions is not None
        return np.cross(*self.directions)

    @property
    def spacing(self) -> np.ndarray | None:
        """Spacing of rows, then of columns, in mm."""
        return self._numbers("PixelSpacing", "PixelMeasuresSequence", 2)

    @functools.cached_property
    def rescaling(self) -> tuple[float, float]:
        """Slope and intercept."""
        slope = self.get("RescaleSlope", "PixelValueTransformationSequence")
        intercept = self.get("RescaleIntercept", "PixelValueTransformationSequence")
        return (
            self._number("RescaleSlope", 1 if slope is None else slope),
            self._number("RescaleIntercept", intercept or 0),
        )

    @property
    def name(self) -> str:
        """The name in messages."""
        frame = "" if self.frame is None else f" (frame {self.frame + 1})"
        return printable(self.path.name) + frame

    def _numbers(self, name: str, sequence: str, count: int) -> np.ndarray | None:
        found = self.get(name, sequence)
        if found is None or np.size(found) != count:
            return None
        numbers = np.array([self._number(name, number) for number in np.ravel(found)])
        return numbers if np.isfinite(numbers).all() else None

    def _number(self, name: str, value: Any) -> float:
        """pydicom returns an invalid decimal as text."""
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            told = printable(str(value))
            raise BadPicture(f"{self.name}: damaged: {name} is {told}, not a number") from error


@dataclass(frozen=True)
class Series:
    """Slices of one series and one orientation, or a picture without a position in space.

    Attributes:
        name: a pseudonym, a hash of the SeriesInstanceUID.
        subject: a pseudonym of the person, see `subject_of`.
        path: the directory that holds all of its files, or its one file.
        slices: in no order.
        problem: BadPicture or OSError, why it cannot be used; None if it can.
    """

    name: str
    subject: str
    path: Path
    slices: tuple[Slice, ...]
    problem: Exception | None = None


def find(directory: Path, left_out: Counter[str]) -> list[Series]:
    """All series below `directory`, in the order of their first files' paths; counts other files in
    `left_out`.
    """
    paths = sorted(Path(entry.path) for entry in picture_files.walk(directory, left_out))
    return group(paths, left_out)


def group(paths: Iterable[Path], left_out: Counter[str]) -> list[Series]:
    """The series of the given files; otherwise like `find`."""
    by_series: dict[str, list[tuple[Path, Any]]] = {}
    series = []
    for path in paths:
        try:
            header = _read_header(path, left_out)
        except (BadPicture, OSError) as error:
            series.append(Series(path.name, "", path, (), error))
            continue
        if header is not None:
            uid = str(header.get("SeriesInstanceUID") or path)
            by_series.setdefault(uid, []).append((path, header))
    for uid, found in by_series.items():
        series += _of_one_series(uid, found, left_out)
    return sorted(series, key=lambda one: one.slices[0].path if one.slices else one.path)


def subject_of(header: Any) -> str:
    """The pseudonym of the person, the same in all series: from the PatientID and its issuer, or
    from the StudyInstanceUID if there is no PatientID.

    It hides the PatientID from anyone who sees a data set; whoever knows the PatientID can compute
    the pseudonym.
    """
    person, issuer = (str(header.get(name) or "") for name in ("PatientID", "IssuerOfPatientID"))
    if not person:
        return f"study_{_pseudonym(str(header.get('StudyInstanceUID') or ''))}"
    return f"subject_{_pseudonym(f'{issuer}/{person}')}"


@functools.cache
def _pseudonym(person: str) -> str:
    """12 hexadecimal digits from scrypt: a plain hash of a short number can be reversed by trying
    all numbers.
    """
    return hashlib.scrypt(person.encode(), salt=b"tfcyclegan", n=2**14, r=8, p=1, dklen=6).hex()


def _read_header(path: Path, left_out: Counter[str]) -> Any:
    """The header of a file of slices; None for others, which are counted."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        collections.deque(header.iterall(), maxlen=0)  # decodes all, so that damage shows here
    except InvalidDicomError:
        if path.suffix.lower() == ".dcm":
            raise BadPicture(
                f"{printable(path.name)}: lacks the DICOM signature after 128 bytes; write it "
                "again, for example with dcmconv"
            ) from None
        left_out[NO_DICOM] += 1
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    # pydicom raises many types on damaged headers; all mean the same here
    except Exception as error:
        raise BadPicture(f"{printable(path.name)}: {damage(error)}") from error
    if "Rows" not in header:
        left_out[NO_PICTURE] += 1
        return None
    if "LOCALIZER" in (header.get("ImageType") or ()):
        left_out[LOCALIZERS] += 1
        return None
    return header


def unreadable(path: Path, error: OSError) -> OSError:
    """The system's error with the name of a file that may be one of many."""
    return OSError(f"{printable(path.name)}: {error.strerror or error}")


def damage(error: Exception) -> str:
    """The meaning of a pydicom failure, on one line."""
    return f"damaged: {' '.join(str(error).split()) or type(error).__name__}"


def _of_one_series(
    uid: str, found: list[tuple[Path, Any]], left_out: Counter[str]
) -> Iterator[Series]:
    """Its parts: slices of one orientation each, and pictures without a position one by one."""
    name = f"series_{hashlib.sha256(uid.encode()).hexdigest()[:12]}"
    subject = subject_of(found[0][1])
    parts: list[list[Slice]] = []
    try:
        for path, header in _without_copies(found, left_out):
            for one in _slices(path, header):
                part = next((part for part in parts if _are_parallel(part[0], one)), None)
                if part is None:
                    parts.append([one])
                else:
                    part.append(one)
    except (BadPicture, OSError) as error:
        yield Series(name, subject, _common([path for path, _ in found]), (), error)
        return
    for place, part in enumerate(parts, 1):
        part_name = name if len(parts) == 1 else f"{name}_{place}"
        yield Series(part_name, subject, _common([one.path for one in part]), tuple(part))


def _without_copies(
    found: list[tuple[Path, Any]], left_out: Counter[str]
) -> Iterator[tuple[Path, Any]]:
    """Each file once; files that claim to be the same instance are copies if their bytes are
    equal.
    """
    first: dict[str, Path] = {}
    for path, header in found:
        uid = str(header.get("SOPInstanceUID") or path)
        seen = first.setdefault(uid, path)
        if seen != path and files.sha256_of(seen) == files.sha256_of(path):
            left_out[COPIES] += 1
        else:
            yield path, header


def _slices(path: Path, header: Any) -> list[Slice]:
    """The pictures of a file.

    Raises:
        BadPicture: they are not gray pictures of integers, or they are frames without a position.
    """
    name = printable(path.name)
    kind = str(header.get("PhotometricInterpretation") or "")
    if str(header.get("SOPClassUID")) == _RT_DOSE:
        raise BadPicture(f"{name}: an RT Dose, whose scaling is not supported; save it as NIfTI")
    if kind not in ("MONOCHROME1", "MONOCHROME2") or header.get("SamplesPerPixel", 1) != 1:
        raise BadPicture(
            f"{name}: colours ({printable(kind)}); save them as PNG for data_prep.folders"
        )
    signed = header.get("PixelRepresentation")
    if header.get("BitsAllocated") not in (8, 16, 32) or signed not in (0, 1):
        raise BadPicture(
            f"{name}: pixels that are not 8-bit, 16-bit or 32-bit integers; save them as NIfTI"
        )
    sizes = [header.get(key) for key in ("Rows", "Columns", "BitsStored", "HighBit")]
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise BadPicture(f"{name}: has no size or no bit depth of its pixels")
    frames = str(header.get("NumberOfFrames") or 1)
    if not frames.isdigit():
        raise BadPicture(f"{name}: damaged: NumberOfFrames is {printable(frames)}, not a number")
    count = int(frames)
    own = header.get("PerFrameFunctionalGroupsSequence")
    if own is None and count == 1:
        return [Slice(path, header)]
    if own is None:
        raise BadPicture(
            f"{name}: {count} frames without functional groups, as of a film; save each as a file"
        )
    if len(own) != count:
        raise BadPicture(f"{name}: damaged: {count} frames, but functional groups for {len(own)}")
    shared = tuple(header.get("SharedFunctionalGroupsSequence") or ())
    return [Slice(path, header, place, (groups, *shared)) for place, groups in enumerate(own)]


def _are_parallel(one: Slice, other: Slice) -> bool:
    """Whether two slices have the same frame of reference and are parallel."""
    if any(part.position is None or part.directions is None for part in (one, other)):
        return False
    difference = np.subtract(one.directions, other.directions)  # type: ignore[arg-type]
    spaces = [part.header.get("FrameOfReferenceUID") for part in (one, other)]
    return spaces[0] == spaces[1] and bool(np.abs(difference).max() < _SAME_DIRECTION)


def _common(paths: list[Path]) -> Path:
    """The single file, or the directory that holds all files."""
    if len(set(paths)) == 1:
        return paths[0]
    return Path(os.path.commonpath([path.parent for path in paths]))
