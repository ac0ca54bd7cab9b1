#!/usr/bin/env bash
# pydicom.pixels.pixel_array and iter_pixels by the path of a file, which pydicom's documentation recommends to save memory, and by its data set.
# Guess: the same array for every transfer syntax that pydicom decodes without a plugin.
# Seen (pydicom 3.0.2): of a file in Deflated Explicit VR Little Endian both raise AttributeError by the path, "has no 'Pixel Data', 'Float
# Pixel Data' or 'Double Float Pixel Data' element", while the data set of the same file gives the pixels.
# Why: by the path the elements are parsed straight from the file, without inflating it as dcmread does first; what looks like the end of
# the elements is taken for a file without pixels.
# Who meets it: preparation that reads slices by path and passes over files "without pixels", as reports and plans are; deflated series
# are then left out whole, and the error names the wrong cause.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 pydicom==3.0.2
venv/bin/python - <<'END_PYTHON'
import warnings

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import iter_pixels, pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

warnings.simplefilter("ignore")  # of what the deflated bytes look like
pixels = np.arange(64, dtype=np.uint16).reshape(8, 8)


def read(function, source) -> str:
    try:
        found = function(source)
    except AttributeError as error:
        return str(error)
    return "equal" if np.array_equal(np.squeeze(found), pixels) else "other values"


by_path = {}
for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, DeflatedExplicitVRLittleEndian):
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 0
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OW"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    if syntax == RLELossless:
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.compress(RLELossless)
    made.save_as("file.dcm", enforce_file_format=True)
    dataset = pydicom.dcmread("file.dcm")
    by_path[syntax] = read(pixel_array, "file.dcm"), read(lambda path: list(iter_pixels(path)), "file.dcm")
    print(f"{syntax.name}: data set {read(pixel_array, dataset)}; path {by_path[syntax][0]}")
    assert dataset.file_meta.TransferSyntaxUID == syntax and read(pixel_array, dataset) == "equal"
lacking = "has no 'Pixel Data', 'Float Pixel Data' or 'Double Float Pixel Data' element"
assert all(lacking in told for told in by_path.pop(DeflatedExplicitVRLittleEndian))
assert set(by_path.values()) == {("equal", "equal")}
END_PYTHON
