#!/usr/bin/env bash
# A DICOM file whose PhotometricInterpretation is MONOCHROME1 (small values are to be shown bright), read by SimpleITK and by pydicom.
# Guess: values are what the file stores, rescaled; MONOCHROME1 says how to show them, and the reader leaves it to the program, as pydicom,
# dcm2niix and dicom2nifti do.
# Seen (SimpleITK 2.5.7): the stored numbers come back inverted, 4095 - v for 12 bit, 65535 - v for 16 bit, -1 - v for signed ones, and
# are rescaled after that: a CT of -1000, 0, 40 HU (which may be MONOCHROME1 by PS3.3 C.8.2.1) becomes 64487, 63487, 63447 or, signed,
# 999, -1, -41. The image's metadata still say MONOCHROME1.
# Why: ITK's GDCM reader undoes MONOCHROME1 on the raw buffer, before slope and intercept, and leaves the tag.
# Who meets it: mammography and radiographs (CR, DX, MG), many of which are MONOCHROME1. Code that inverts by the tag inverts twice; a set
# read half by pydicom and half by SimpleITK (or MONAI and TorchIO through it) holds negatives of itself; HU of such a CT are no HU.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 simpleitk==2.5.7 pydicom==3.0.2
venv/bin/python - <<'END_PYTHON'
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def read(stored: np.ndarray, bits: int, intercept: int, photometric: str) -> tuple[list[int], list[int], str]:
    """The values of one CT slice by pydicom, by SimpleITK, and what SimpleITK says of them."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
    made.Modality, made.PixelSpacing = "CT", [1, 1]
    made.ImageOrientationPatient, made.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 0]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, photometric
    made.Rows, made.Columns = stored.shape
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, bits, bits - 1
    made.PixelRepresentation = int(stored.dtype.kind == "i")
    made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, intercept, "HU"
    made.PixelData = stored.tobytes()
    made["PixelData"].VR = "OW"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.save_as("slice.dcm", enforce_file_format=True)
    dataset = pydicom.dcmread("slice.dcm")
    image = sitk.ReadImage("slice.dcm")
    by_pydicom = apply_modality_lut(dataset.pixel_array, dataset).ravel().astype(int).tolist()
    return by_pydicom, sitk.GetArrayFromImage(image).ravel().tolist(), image.GetMetaData("0028|0004").strip()


hounsfield = np.array([[-1000, 0, 40]])
unsigned, signed = (hounsfield + 1024).astype(np.uint16), hounsfield.astype(np.int16)
expected = {
    "12 bit": (unsigned, 12, -1024, [3047, 2047, 2007]),
    "16 bit": (unsigned, 16, -1024, [64487, 63487, 63447]),
    "16 bit signed": (signed, 16, 0, [999, -1, -41]),
}
for name, (stored, bits, intercept, inverted) in expected.items():
    usual = read(stored, bits, intercept, "MONOCHROME2")
    other = read(stored, bits, intercept, "MONOCHROME1")
    print(f"{name:14} MONOCHROME2 pydicom {usual[0]} SimpleITK {usual[1]}; MONOCHROME1 pydicom {other[0]} SimpleITK {other[1]}")
    assert usual[0] == usual[1] == other[0] == [-1000, 0, 40]
    assert other[1] == inverted and other[2] == "MONOCHROME1"
END_PYTHON
