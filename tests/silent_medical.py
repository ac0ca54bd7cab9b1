"""Rows of tests/test_nothing_silent.py about volumes and series."""

from pathlib import Path

import nibabel
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.dicom_files import dataset, save
from tests.silent_cases import Case, Line, done, unused

MANIFEST = "{o}/manifest.json"
OPTIONS = "--input_dir={i} --output_dir={o} --range_a=0:9 --range_b=0:9"


def volumes(folder: Path, shared: Path) -> None:
    """A of one channel each, B of two."""
    values = np.arange(24).reshape(2, 3, 4)
    thick = np.diag([-1.0, 1, 2, 1])
    described = nibabel.Nifti1Image(values.astype(np.int16), thick)
    described.header["descrip"] = b"of Jane Roe"
    apart = nibabel.Nifti1Image(values.astype(np.float64), thick)
    apart.set_qform(np.diag([-1.0, 1, 3, 1]), 1)
    nowhere = nibabel.Nifti1Image(values.astype(np.int16), np.eye(4))
    nowhere.set_sform(np.eye(4), 0)
    times = nibabel.Nifti1Image(np.stack([values] * 2, axis=-1).astype(np.int16), thick)
    times.header.set_xyzt_units("mm", "sec")
    for name, image in (
        ("trainA/described.nii", described),
        ("trainA/apart.nii", apart),
        ("trainA/nowhere.nii", nowhere),
        ("trainB/times.nii.gz", times),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(image, folder / name)
    (folder / "trainA" / "scan.mgz").write_bytes(b"of another program")


def series(folder: Path, shared: Path) -> None:
    """A of slices, each series with something of its own; B of pictures without a place."""
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    mapping = Dataset()
    mapping.RealWorldValueSlope = 2.0
    cases = {
        "tilted": [(0, 0), (2, 1), (4, 2)],
        "uneven": [(0, 0), (2, 0), (4.2, 0)],
        "gap": [(0, 0), (2, 0), (6, 0)],
        "lossy": [(0, 0)],
        "mapped": [(0, 0)],
        "overlaid": [(0, 0)],
        "negative": [(0, 0)],
        "nobody": [(0, 0)],
        "padded": [(0, 0)],
    }
    tags: dict[str, dict[str, object]] = {
        "lossy": {"LossyImageCompression": "01"},
        "mapped": {"RealWorldValueMappingSequence": Sequence([mapping])},
        "negative": {"PhotometricInterpretation": "MONOCHROME1"},
        "nobody": {"PatientID": ""},
        "padded": {"PixelPaddingValue": 3},
    }
    for number, (name, places) in enumerate(cases.items()):
        for place, (height, back) in enumerate(places):
            made = dataset(
                pixels,
                SeriesInstanceUID=f"1.2.{number + 1}",
                ImagePositionPatient=[0, back, height],
                **tags.get(name, {}),
            )
            if name == "padded":
                made["PixelPaddingValue"].VR = "US"
            if name == "overlaid":
                made.add_new(0x60000010, "US", 3)
            save(made, folder / "trainA" / name / f"{place}.dcm")
    save(dataset(pixels, Rows=None), folder / "trainA" / "report")
    scout = dataset(pixels, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    save(scout, folder / "trainA" / "scout.dcm")
    (folder / "trainA" / "copy").write_bytes((folder / "trainA/lossy/0.dcm").read_bytes())
    (folder / "trainA" / "words.txt").write_text("words")
    flat = dataset(
        pixels,
        ImagePositionPatient=None,
        PhotometricInterpretation="MONOCHROME1",
        RescaleType="HU",
        SeriesInstanceUID="1.2.99",
    )
    save(flat, folder / "trainB" / "flat.dcm")


def file(about: str, what: str) -> Line:
    """A conversion of one file."""
    return Line(about, f"{what}: 1 file", "conversions", f'"{what}": 1')


# fmt: off
CASES = [
    Case(volumes, f"data_prep.nifti {OPTIONS} --without_affine --allow_mixed", MANIFEST, [
        done("largest spacing", "axial slices, across the largest spacing", 3),
        file("equal spacings", "axial slices, a choice among equal spacings"),
        file("sform and qform", "sform and qform differ; the sform is used"),
        file("no affine", "no affine, axes read as right, anterior, superior"),
        file("time", "a time series of volumes, read as channels"),
        file("float64", "float64, read as float32"),
        unused("header", "description, intent, display range and extensions of NIfTI headers", 1),
        Line("other volumes", "scan.mgz (1 .mgz)", "left_out", '".mgz files": 1'),
    ]),
    Case(series, f"data_prep.dicom {OPTIONS} --gaps=keep", MANIFEST, [
        file("tilted gantry", "slices sheared against their normal (a tilted gantry)"),
        file("uneven spacing", "slices at uneven spacing"),
        file("missing slice", "slices missing between others"),
        file("lossy", "DICOM files that lossy compression has changed"),
        file("MONOCHROME1", "MONOCHROME1, inverted so that larger values are brighter"),
        file("MONOCHROME1 of a unit", "MONOCHROME1, its values kept, since they are in a unit"),
        file("no place", "pictures without a position in space, read one by one"),
        file("no person", "no PatientID, so that its study counts as its subject"),
        file("padding", "missing measurements among integers (uint16), read as float32"),
        unused("overlays", "overlays of DICOM files", 1),
        unused("mappings", "real-world value mappings of DICOM files", 1),
        Line("copies", "1 copies of DICOM", "left_out", '"copies of DICOM files": 1'),
        Line("localizers", "1 localizers, by their ImageType", "left_out", 'ImageType": 1'),
        Line("no pixels", "1 DICOM files without pixels", "left_out", 'without pixels": 1'),
        Line("no DICOM", "1 files that are not DICOM", "left_out", 'that are not DICOM": 1'),
    ]),
]
# fmt: on
