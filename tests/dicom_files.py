"""Series of DICOM files made by pydicom, for tests."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    generate_uid,
)

AXIAL = (1, 0, 0, 0, 1, 0)
STUDY, FRAME_OF_REFERENCE = generate_uid(), generate_uid()
PERSON = ("Roe^Jane", "4711", "19700102")


def dataset(pixels: np.ndarray, **tags: object) -> Dataset:
    """A CT slice of whole numbers with some of a scanner's tags; `tags` are set last, those of
    value None removed.
    """
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, generate_uid()
    made.PatientName, made.PatientID, made.PatientBirthDate = PERSON
    made.StudyInstanceUID, made.SeriesInstanceUID = STUDY, generate_uid(entropy_srcs=["one"])
    made.FrameOfReferenceUID = FRAME_OF_REFERENCE
    made.Modality, made.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.ImageOrientationPatient, made.ImagePositionPatient = list(AXIAL), [-10.5, -20.25, 30.125]
    made.PixelSpacing, made.SliceThickness = [0.75, 0.5], 2
    made.WindowCenter, made.WindowWidth = 40, 400
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = pixels.shape[-2:]
    made.BitsAllocated = made.BitsStored = 8 * pixels.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    for name, value in tags.items():
        if value is None:
            delattr(made, name)
        else:
            setattr(made, name, value)
    if "BitsStored" in tags and "HighBit" not in tags:
        made.HighBit = made.BitsStored - 1
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OW"
    return made


def save(made: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Writes a file; pixels are to be in the order of bytes of `syntax`."""
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def big_endian(made: Dataset, path: Path) -> Path:
    return save(made, path, ExplicitVRBigEndian)


def volume(count: int = 4, dtype: str = "int16", shape: tuple[int, int] = (5, 6)) -> np.ndarray:
    """Values of a CT as they are stored, [count, *shape]."""
    random = np.random.default_rng(5)
    low = -1000 if np.dtype(dtype).kind == "i" else 0
    return random.integers(low, 3000, (count, *shape)).astype(dtype)


def save_series(directory: Path, pixels: np.ndarray, *, step: float = 2, **tags: object) -> Path:
    """A file a slice, upwards by `step`; names and instance numbers run the other way."""
    count = len(pixels)
    for place, each in enumerate(pixels):
        position = [-10.5, -20.25, 30.125 + step * place]
        made = dataset(
            each, **{"ImagePositionPatient": position, "InstanceNumber": count - place} | tags
        )
        save(made, directory / f"IM{count - place:03d}.dcm")
    return directory


def enhanced(pixels: np.ndarray, positions: list[float], **tags: object) -> Dataset:
    """An enhanced MR file of frames at these heights, each with its own intercept."""
    made = dataset(pixels, SOPClassUID=EnhancedMRImageStorage, Modality="MR", **tags)
    made.NumberOfFrames = len(pixels)
    made.ImageType = ["ORIGINAL", "PRIMARY", "T1", "NONE"]
    for name in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"):
        delattr(made, name)

    def group(**items: object) -> Sequence:
        item = Dataset()
        for name, value in items.items():
            setattr(item, name, value)
        return Sequence([item])

    shared = Dataset()
    shared.PixelMeasuresSequence = group(PixelSpacing=[0.75, 0.5])
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=list(AXIAL))
    shared.MRImageFrameTypeSequence = group(FrameType=["ORIGINAL", "PRIMARY", "T1", "NONE"])
    made.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for place, height in enumerate(positions):
        frame = Dataset()
        frame.PlanePositionSequence = group(ImagePositionPatient=[-10.5, -20.25, height])
        frame.PixelValueTransformationSequence = group(
            RescaleSlope=2, RescaleIntercept=10 * place, RescaleType="US"
        )
        frame.FrameVOILUTSequence = group(WindowCenter=40, WindowWidth=400)
        frames.append(frame)
    made.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return made
