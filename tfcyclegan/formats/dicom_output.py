"""Writes DICOM series derived from those that were read, at the same positions."""

from datetime import datetime
from pathlib import Path
from typing import IO

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds

from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError
from tfcyclegan.formats import base, orientation
from tfcyclegan.formats.dicom_geometry import Stack
from tfcyclegan.formats.dicom_slices import Slice
from tfcyclegan.formats.scratch import mapped_beside, storing
from tfcyclegan.system import files

DERIVATION = "Values translated by a generative network (tfcyclegan); not measured"
DESCRIPTION = "Translated by tfcyclegan"

# elements that describe the old values, or pictures of them
_OF_OLD_VALUES = (
    *("ModalityLUTSequence", "VOILUTSequence", "RealWorldValueMappingSequence"),
    *("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction"),
    *("SmallestImagePixelValue", "LargestImagePixelValue"),
    *("SmallestPixelValueInSeries", "LargestPixelValueInSeries"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "PresentationLUTShape"),
    *("PlanarConfiguration", "IconImageSequence", "Units", "FrameVOILUTSequence"),
    *("DigitalSignaturesSequence", "MACParametersSequence"),
)
_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")
_DEEPEST = 65535


class DicomDestination(base.Destination):
    """A derived series: new UIDs, ImageType DERIVED\\SECONDARY, the patient, study and frame of
    reference of its source, without private tags and overlays.

    Integers are stored unchanged, floats as 16 bits over their range, with an error of at most half
    of 1/65535 of it (half of 1/65534 if there are missing measurements). Missing measurements
    become padding.

    Args:
        path: a directory for one file per slice, or a name ending in ".dcm" for one file.
        values: the values to be written.
        stack: the source.

    Raises:
        UserError: there is more than one channel, or several files would have one name.
    """

    def __init__(self, path: Path, values: Values, stack: Stack):
        own = values.centre
        if own.stop - own.start != 1:
            raise UserError(
                f"{path}: DICOM holds one channel, not {own.stop - own.start}; write NIfTI"
            )
        self._one_file = path.suffix.lower() == ".dcm"
        if self._one_file and stack.of_several_files:
            raise UserError(
                f"{path}: a series of several files; give a directory, whose name does not end in "
                ".dcm"
            )
        if stack.of_framed_files:
            raise UserError(f"{path}: a series of several files of frames; write NIfTI")
        self.path = path
        self._values = values
        self._stack = stack
        header = stack.slices[0].header
        shape = (len(stack.slices), int(header.Rows), int(header.Columns))
        self._file, self._stored = mapped_beside(path, values.dtype, shape)
        self._seen = orientation.turned(self._stored, stack.turn)

    def write(self, values: np.ndarray, plane: int = 0, top: int = 0, left: int = 0) -> None:
        height, width = values.shape[:2]
        self._seen[plane, top : top + height, left : left + width] = values[..., 0]

    def finish(self) -> None:
        try:
            numbers = _Numbers(self._values, any(np.isnan(part).any() for part in self._stored))
            if self._one_file:
                with storing(self.path), files.atomic_file(self.path) as stream:
                    self._write(0, numbers, generate_uid(), stream)
            else:
                with storing(self.path), files.atomic_directory(self.path) as temporary:
                    self._write_all(numbers, temporary)
        finally:
            self.abandon()

    def abandon(self) -> None:
        self._file.close()

    def _write_all(self, numbers: "_Numbers", directory: Path) -> None:
        series = generate_uid()
        count = len({part.path for part in self._stack.slices})
        for place in range(count):
            with open(directory / f"slice_{place + 1:04d}.dcm", "wb") as stream:
                self._write(place, numbers, series, stream)

    def _write(self, place: int, numbers: "_Numbers", series: str, stream: IO[bytes]) -> None:
        """Writes the file of a slice, or the file of all frames."""
        slices = self._stack.slices
        path = slices[place].path
        try:
            dataset = _derived(path, series)
            if slices[0].frame is None:
                numbers.describe(dataset, dataset)
                _set_pixels(dataset, numbers.of(self._stored[place]))
            else:
                _set_frames(dataset, slices, numbers)
                _set_pixels(dataset, numbers.of(self._stored))
            dataset.save_as(stream, enforce_file_format=True)
        except OSError:
            raise
        # pydicom raises many types for elements that break their rules
        except Exception as error:
            raise UserError(
                f"{path}: cannot derive a series from it ({' '.join(str(error).split())}); convert "
                "the series to NIfTI, and translate that"
            ) from error


class _Numbers:
    """Stores values as 16-bit integers, in the same way for all slices of a series."""

    def __init__(self, values: Values, has_gaps: bool):
        self._values = values
        self.slope, self.intercept, self.padding = "1", "0", None
        if values.is_integer:
            if values.nodata is not None:
                self.padding = int(values.nodata)
            return
        own = values.centre.start
        low, high = values.low[own], values.high[own]
        self._lowest = 1 if has_gaps else 0
        self.padding = 0 if has_gaps else None
        slope = (high - low) / (_DEEPEST - self._lowest)
        # as written, in the 16 characters that DICOM allows
        self.slope = format_number_as_ds(slope)
        self.intercept = format_number_as_ds(low - self._lowest * float(self.slope))

    def of(self, values: np.ndarray) -> np.ndarray:
        """The 16-bit numbers to store."""
        if self._values.is_integer:
            return values.astype("<i2" if values.dtype == np.int16 else "<u2")
        scaled = (values.astype(np.float64) - float(self.intercept)) / float(self.slope)
        numbers = np.clip(np.rint(scaled), self._lowest, _DEEPEST)
        return np.where(np.isnan(values), 0, numbers).astype("<u2")

    def describe(self, dataset: Dataset, rescaling: Dataset) -> None:
        """Describes in `dataset` how pixels are stored, and in `rescaling` what they mean."""
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit = 15
        dataset.PixelRepresentation = int(self._values.dtype == "int16")
        if self.padding is not None:
            dataset.PixelPaddingValue = self.padding
        rescaling.RescaleSlope, rescaling.RescaleIntercept = self.slope, self.intercept
        rescaling.RescaleType = self._values.units[:64] or "US"


def _derived(path: Path, series: str) -> Dataset:
    """The header of a file derived from `path`."""
    source = pydicom.dcmread(path, stop_before_pixels=True)
    reference = Dataset()
    reference.ReferencedSOPClassUID = source.SOPClassUID
    reference.ReferencedSOPInstanceUID = source.SOPInstanceUID
    _drop_old(source)
    # decoded, and without the encoding of the source, which pydicom would keep
    dataset = Dataset()
    for tag in source.keys():  # noqa: SIM118 - iterating decodes
        if tag.group >> 8 not in (0x50, 0x60):  # curves and overlays
            dataset[tag] = source[tag]
    dataset.SourceImageSequence = Sequence([reference])
    dataset.SOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = series
    dataset.SeriesDescription = DESCRIPTION
    dataset.DerivationDescription = DERIVATION
    dataset.ImageType = ["DERIVED", "SECONDARY", *list(dataset.get("ImageType") or ())[2:]]
    now = datetime.now()
    dataset.InstanceCreationDate = now.strftime("%Y%m%d")
    dataset.InstanceCreationTime = now.strftime("%H%M%S")
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _drop_old(dataset: Dataset) -> None:
    """Removes what describes the old values, and private tags, which might."""
    for name in _OF_OLD_VALUES:
        if name in dataset:
            delattr(dataset, name)
    # by tag number: accessing the elements would decode them all
    for tag in [tag for tag in dataset.keys() if tag.is_private]:  # noqa: SIM118
        del dataset[tag]


def _set_pixels(dataset: Dataset, numbers: np.ndarray) -> None:
    dataset.PixelData = numbers.tobytes()
    dataset["PixelData"].VR = "OW"


def _set_frames(dataset: Dataset, slices: tuple[Slice, ...], numbers: _Numbers) -> None:
    """Adapts the header of a multi-frame file to the frames of the measurement, in its order."""
    own = dataset.PerFrameFunctionalGroupsSequence
    frames = [own[part.frame] for part in slices]
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    dataset.NumberOfFrames = len(frames)
    dataset.ImageType = ["DERIVED", "PRIMARY", *dataset.ImageType[2:]]
    for groups in (*frames, *(dataset.get("SharedFunctionalGroupsSequence") or ())):
        _drop_old(groups)
        for name in _FRAME_TYPES:
            for item in groups.get(name) or ():
                item.FrameType = ["DERIVED", *list(item.get("FrameType") or ("", "PRIMARY"))[1:]]
        if "PixelValueTransformationSequence" in groups:
            del groups.PixelValueTransformationSequence
    for groups in frames:
        rescaling = Dataset()
        numbers.describe(dataset, rescaling)
        groups.PixelValueTransformationSequence = Sequence([rescaling])
