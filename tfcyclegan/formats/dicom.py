"""DICOM series, read with pydicom 3: one file per slice, or the frames of an enhanced file.

Slices are sorted along their normal and oriented as `formats.orientation` describes. Values are
those after each slice's own slope and intercept (or modality table), such as HU, in float32;
without these they are the stored numbers in their own type. Pixels that the file declares as
padding have no value.

MONOCHROME1 says that small values are shown bright. It is undone (by subtracting from the largest
stored number) if values are brightness or optical density, as in radiographs; values in another
unit, such as HU, do not depend on how they are shown and are kept.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.pixels import apply_modality_lut, get_decoder, pixel_array
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.manifest import printable
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError
from tfcyclegan.formats import base, dicom_geometry, dicom_slices, number_types, orientation
from tfcyclegan.formats.dicom_geometry import REFUSE, Stack
from tfcyclegan.formats.dicom_slices import Series, Slice

INVERTED = "MONOCHROME1, inverted so that larger values are brighter"
NOT_INVERTED = "MONOCHROME1, its values kept, since they are in a unit"
LOSSY = "DICOM files that lossy compression has changed"
BY_STUDY = "no PatientID, so that its study counts as its subject"
OVERLAYS = LeftOut("overlays of DICOM files")
REAL_WORLD = LeftOut("real-world value mappings of DICOM files")

_BRIGHTNESS = ("", "OD")  # OD and OD REL: optical density

# the decoder packages of each family of compressions, by a word in its name
_DECODERS = {
    "JPEG-LS": "pyjpegls",
    "JPEG 2000": "pylibjpeg pylibjpeg-openjpeg",
    "JPEG": "pylibjpeg pylibjpeg-libjpeg",
}


class Dicom(base.Measurement):
    """A series.

    Args:
        path: a file, or a directory that holds one series; `dicom_slices.find` finds those of a
            directory with several.
        series: the slices, if they are known.
        gaps: "refuse" a series in which slices seem to be missing, or "keep" it.

    Raises:
        BadPicture: with the reason.
    """

    def __init__(self, path: Path, *, series: Series | None = None, gaps: str = REFUSE):
        self.path = path
        left_out: Counter[str] = Counter()
        if series is None:
            series = _only_series(path, left_out)
        if series.problem:
            raise series.problem
        self.series = series
        self.stack = dicom_geometry.arrange(series.slices, gaps)
        # the first axis determines the order of planes, the others the picture
        slices, turn = self.stack.slices, self.stack.turn
        self._planes: tuple[Slice, ...] = slices[::-1] if turn[0, 1] < 0 else slices
        header = slices[0].header
        rows, columns = int(header.Rows), int(header.Columns)
        size = orientation.turned(np.broadcast_to(np.uint8(0), (1, rows, columns)), turn).shape
        self.shape = base.Shape(len(slices), size[1], size[2], 1)
        dicom_geometry.require_alike(slices, "unit", [_unit(part) or "none" for part in slices])
        self._is_brightness = _unit(slices[0]).partition(" ")[0] in _BRIGHTNESS
        inverted = any(self._inverts(part) for part in slices)
        self.units = "" if inverted else _unit(slices[0])
        self.names = ()
        for syntax, part in {_syntax(part): part for part in slices}.items():
            _require_decoder(syntax, part)
        self.dtype, changed = self._type()
        self.nodata = None
        self.notes = (*self.stack.notes, *changed, *self._assumed(), *map(LeftOut, left_out))

    def read(self, plane: int = 0, window: base.Window | None = None) -> np.ndarray:
        """See `Measurement.read`; a file is decoded whole, whatever the window."""
        part = self._planes[plane]
        stored = _decode(part)
        values = self._values(part, stored)
        padding = _padding(part)
        if padding is not None:
            gaps = (stored >= padding[0]) & (stored <= padding[1])
            values = np.where(gaps, np.nan, values)
        seen = orientation.turned(values[np.newaxis], self.stack.turn)[0, ..., np.newaxis]
        if window is not None:
            seen = seen[window.top : window.bottom, window.left : window.right]
        return number_types.converted(seen, self.dtype)

    def create(self, path: Path, values: Values) -> base.Destination:
        """A derived series: a directory of files, one file if the source is one and `path` ends in
        ".dcm", or a NIfTI volume if it ends in ".nii" or ".nii.gz".

        Raises:
            UserError: DICOM holds one channel, NIfTI a place in space.
        """
        if path.name.lower().endswith((".nii", ".nii.gz")):
            return _nifti(path, values, self.stack, self.shape)
        from tfcyclegan.formats.dicom_output import DicomDestination

        return DicomDestination(path, values, self.stack)

    def other_ending(self, values: Values) -> str:
        """NIfTI's, of several channels and of series of several files of frames."""
        own = values.centre
        return ".nii.gz" if own.stop - own.start > 1 or self.stack.of_framed_files else ""

    def identity(self) -> Mapping[str, object]:
        modality = str(self.stack.slices[0].header.get("Modality") or "")
        return {"modality": modality} | (
            {"orientation of slices": self.stack.kind} if self.stack.kind else {}
        )

    def _type(self) -> tuple[np.dtype, tuple[str, ...]]:
        """The type of the values, and notes on it, for all slices together."""
        slices = self.stack.slices
        scaled = any(part.rescaling != (1, 0) or part.get("ModalityLUTSequence") for part in slices)
        stored = {_stored_type(part) for part in slices}
        if scaled or len(stored) > 1:
            return np.dtype(np.float32), ()
        with_gaps = any(_padding(part) is not None for part in slices)
        return number_types.read_as(stored.pop(), with_gaps=with_gaps)

    def _values(self, part: Slice, stored: np.ndarray) -> np.ndarray:
        """The values of stored numbers, in float64 if they are scaled."""
        if self._inverts(part):
            stored = _inverted(stored, int(part.header.BitsStored))
        if part.get("ModalityLUTSequence"):
            return apply_modality_lut(stored, part.header)
        slope, intercept = part.rescaling
        return stored if (slope, intercept) == (1, 0) else stored * np.float64(slope) + intercept

    def _inverts(self, part: Slice) -> bool:
        return part.header.PhotometricInterpretation == "MONOCHROME1" and self._is_brightness

    def _assumed(self) -> list[str]:
        headers = [part.header for part in self.stack.slices]
        notes = []
        if any(header.PhotometricInterpretation == "MONOCHROME1" for header in headers):
            notes.append(INVERTED if self._is_brightness else NOT_INVERTED)
        if any(header.get("LossyImageCompression") == "01" for header in headers):
            notes.append(LOSSY)
        if any(dicom_slices.OVERLAY_ROWS in header for header in headers):
            notes.append(OVERLAYS)
        if any(
            part.get("RealWorldValueMappingSequence")
            or any(group.get("RealWorldValueMappingSequence") for group in part.groups)
            for part in self.stack.slices
        ):
            notes.append(REAL_WORLD)
        if not headers[0].get("PatientID"):
            notes.append(BY_STUDY)
        return notes


def open_file(path: Path, *, series: Series | None = None, gaps: str = REFUSE) -> Dicom:
    """Opens a series; the options are those of `Dicom`."""
    return Dicom(path, series=series, gaps=gaps)


def _only_series(path: Path, left_out: Counter[str]) -> Series:
    """The series of a file, of the files in a directory or, if it holds none, below it."""
    if not path.is_dir():
        found = dicom_slices.group([path], left_out)
    else:
        # hidden files are none of it, as in `dicom_slices.find`: macOS writes ._IM001.dcm
        inside = sorted(
            each for each in path.iterdir() if each.is_file() and not each.name.startswith(".")
        )
        found = dicom_slices.group(inside, left_out) or dicom_slices.find(path, left_out)
    if not found:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))
        raise BadPicture(f"holds no DICOM slices ({kinds or 'nothing at all'})")
    if len(found) > 1:
        for series in found:
            if series.problem:
                raise series.problem
        raise BadPicture(f"holds {len(found)} series; move each into a folder of its own")
    return found[0]


def _unit(part: Slice) -> str:
    """The unit of the values after rescaling; empty if the file has none."""
    told = part.get("RescaleType", "PixelValueTransformationSequence")
    modality = part.header.get("Modality")
    if not told and modality == "CT" and part.get("RescaleIntercept"):
        told = "HU"  # PS3.3 C.8.2.1: the type is only stored if it differs
    elif not told and modality == "PT":
        told = part.header.get("Units")
    return "" if told in (None, "US") else printable(str(told))  # US: unspecified


def _syntax(part: Slice) -> UID | None:
    return part.header.file_meta.get("TransferSyntaxUID")


def _require_decoder(syntax: UID | None, part: Slice) -> None:
    if syntax is None:
        raise BadPicture(f"{part.name}: has no transfer syntax; write the file again")
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise BadPicture(
            f"{part.name}: compressed as {syntax.name}, which cannot be read here; unpack it, for "
            "example with gdcmconv --raw"
        ) from error
    if not decoder.is_available:
        raise BadPicture(
            f"{part.name}: compressed as {syntax.name}, for which no decoder is installed; pip "
            f"install {_decoder_package(syntax)}"
        )


def _decoder_package(syntax: UID) -> str:
    return next(package for word, package in _DECODERS.items() if word in syntax.name)


def _decode(part: Slice) -> np.ndarray:
    """The stored numbers of a slice, [rows, columns].

    Raises:
        BadPicture: they cannot be decoded.
        OSError: the system cannot read the file.
    """
    header, syntax = part.header, _syntax(part)
    assert syntax is not None
    options: dict[str, Any] = {"raw": True, "index": part.frame or 0}
    # old files store their bits at the upper end; pydicom reads them from the lower end
    shift = int(header.HighBit) + 1 - int(header.BitsStored)
    if shift > 0 and not syntax.is_encapsulated:
        options["bits_stored"] = int(header.HighBit) + 1
    # given a path, pydicom 3.0.2 reads frames one by one, except from a deflated file
    by_path = part.frame is not None and syntax != DeflatedExplicitVRLittleEndian
    try:
        stored = pixel_array(part.path if by_path else pydicom.dcmread(part.path), **options)
    except OSError as error:
        raise dicom_slices.unreadable(part.path, error) from error
    # decoders raise many types on damaged data; all mean the same here
    except Exception as error:
        lacking = syntax.is_encapsulated and get_decoder(syntax).missing_dependencies
        mend = f"; or pip install {_decoder_package(syntax)}" if lacking else ""
        raise BadPicture(f"{part.name}: {dicom_slices.damage(error)}{mend}") from error
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    return native >> shift if "bits_stored" in options else native


def _stored_type(part: Slice) -> np.dtype:
    signed = int(part.header.PixelRepresentation) == 1
    return np.dtype(f"{'' if signed else 'u'}int{int(part.header.BitsAllocated)}")


def _inverted(stored: np.ndarray, bits: int) -> np.ndarray:
    """The largest stored number minus each one; for signed numbers -1 minus each one."""
    return -1 - stored if stored.dtype.kind == "i" else ((1 << bits) - 1) - stored


def _padding(part: Slice) -> tuple[int, int] | None:
    """The lowest and highest stored number that are padding."""
    value = part.header.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    limit = part.header.get("PixelPaddingRangeLimit")
    ends = [value, limit if isinstance(limit, int) else value]
    stored = _stored_type(part)
    # many files write a negative one as unsigned
    low, high = sorted(int(np.int64(end).astype(stored)) for end in ends)
    return low, high


def _nifti(path: Path, values: Values, stack: Stack, shape: base.Shape) -> base.Destination:
    """A volume of the series' slices."""
    import nibabel

    from tfcyclegan.formats.nifti_output import NiftiDestination

    if stack.affine is None:
        raise UserError(f"{path}: a picture without a position in space cannot be saved as NIfTI")
    place = nibabel.Nifti1Header()
    place.set_xyzt_units("mm")
    header = stack.slices[0].header
    size = (int(header.Columns), int(header.Rows), shape.planes)
    place.set_data_shape(size)
    place.set_sform(stack.affine, code="scanner")
    place.set_qform(stack.affine, code="unknown" if stack.is_sheared else "scanner")
    return NiftiDestination(path, values, size, stack.turn[::-1], place)
