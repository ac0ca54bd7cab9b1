"""DICOM series: written by pydicom, read here; what comes out is in test_dicom_output."""

from collections import Counter

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    RTDoseStorage,
    generate_uid,
)

from tests.dicom_files import big_endian, dataset, enhanced, save, save_series, volume
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.formats import dicom_slices, open_measurement
from tfcyclegan.formats.base import Window


def read_all(path, **options):
    """All planes [planes, height, width], and the measurement."""
    with open_measurement(path, **options) as series:
        return np.stack([series.read(k) for k in range(series.shape.planes)])[..., 0], series


def refusal(path, **options):
    with pytest.raises(BadPicture) as caught:
        read_all(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_slices_are_sorted_in_space_and_each_is_rescaled_by_itself(tmp_path):
    """A PET series has a slope a slice; names and numbers run against the normal."""
    pixels = volume(4, "uint16")
    for place, each in enumerate(pixels):
        made = dataset(
            each,
            ImagePositionPatient=[0, 0, 3.0 * place],
            InstanceNumber=9 - place,
            RescaleSlope=0.5 + place,
            RescaleIntercept=-place,
            Modality="PT",
            Units="BQML",
        )
        save(made, tmp_path / f"{9 - place}.dcm")
    found, series = read_all(tmp_path)
    expected = [each * (0.5 + place) - place for place, each in enumerate(pixels)]
    assert found.dtype == np.float32 and series.units == "BQML"
    np.testing.assert_allclose(found, expected, rtol=1e-7)
    with open_measurement(tmp_path) as series:
        np.testing.assert_array_equal(
            series.read(2, Window(1, 2, 3, 5))[..., 0], found[2, 1:3, 2:5]
        )


@pytest.mark.parametrize(
    ("stored", "bits", "signed", "high_bit", "values"),
    [
        ([0x0FFF, 0x0800, 5], 12, 1, 11, [-1, -2048, 5]),  # the sign is bit 11
        ([0x1FFF, 0xF000, 5], 12, 0, 11, [4095, 0, 5]),  # what lies above is none of the value
        ([0xFFF0, 0x0010, 0x80], 12, 0, 15, [4095, 1, 8]),  # from the upper end
        ([0xFFF0, 0x8000, 0x50], 12, 1, 15, [-1, -2048, 5]),
        ([0xFFFF, 0x8000, 5], 16, 1, 15, [-1, -32768, 5]),
        ([0xFFFF, 0x8000, 5], 16, 0, 15, [65535, 32768, 5]),
    ],
)
def test_bits_and_signs(tmp_path, stored, bits, signed, high_bit, values):
    made = dataset(
        np.array([stored], np.uint16), BitsStored=bits, PixelRepresentation=signed, HighBit=high_bit
    )
    found, series = read_all(save(made, tmp_path / "one.dcm"))
    assert found[0, 0].tolist() == values
    assert series.dtype == ("int16" if signed else "uint16")


def test_a_series_has_the_type_that_all_slices_need(tmp_path):
    """SimpleITK takes that of the first and cuts the others off."""
    save(dataset(np.full((2, 3), 60000, np.uint16)), tmp_path / "a.dcm")
    signed = dataset(np.full((2, 3), -5, np.int16), ImagePositionPatient=[-10.5, -20.25, 32.125])
    save(signed, tmp_path / "b.dcm")
    found, series = read_all(tmp_path)
    assert series.dtype == np.float32 and found[:, 0, 0].tolist() == [60000, -5]


@pytest.mark.parametrize(
    ("signed", "unit"), [(False, None), (True, "US"), (False, "OD"), (False, "OD REL")]
)
def test_monochrome1_of_a_radiograph_is_inverted(tmp_path, signed, unit):
    pixels = np.array([[0, 5, 1000]], np.int16 if signed else np.uint16)
    made = dataset(
        pixels,
        SOPClassUID=DigitalXRayImageStorageForPresentation,
        Modality="DX",
        PhotometricInterpretation="MONOCHROME1",
        BitsStored=12,
        **({"RescaleType": unit} if unit else {}),
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
    )
    found, series = read_all(save(made, tmp_path / "one.dcm"))
    assert found[0, 0].tolist() == ([-1, -6, -1001] if signed else [4095, 4090, 3095])
    assert "MONOCHROME1, inverted so that larger values are brighter" in series.notes
    assert series.units == ""
    assert "pictures without a position in space, read one by one" in series.notes


def test_monochrome1_of_hounsfield_units_is_how_they_are_shown(tmp_path):
    made = dataset(
        np.array([[0, 24, 1024]], np.uint16),
        PhotometricInterpretation="MONOCHROME1",
        RescaleSlope=1,
        RescaleIntercept=-1024,
    )
    found, series = read_all(save(made, tmp_path / "one.dcm"))
    assert found[0, 0].tolist() == [-1024, -1000, 0] and series.units == "HU"
    assert "MONOCHROME1, its values kept, since they are in a unit" in series.notes


def test_padding_is_no_value(tmp_path):
    """A negative padding is often written as an unsigned number; a limit makes it a range."""
    pixels = np.array([[-2000, -1999, 0, 7]], np.int16)
    made = dataset(pixels, PixelPaddingValue=63536, RescaleSlope=1, RescaleIntercept=-24)
    made["PixelPaddingValue"].VR = "US"
    found, series = read_all(save(made, tmp_path / "one.dcm"))
    np.testing.assert_array_equal(found[0, 0], [np.nan, -2023, -24, -17])
    made.PixelPaddingRangeLimit = 63537
    made["PixelPaddingRangeLimit"].VR = "US"
    found, _ = read_all(save(made, tmp_path / "two.dcm"))
    np.testing.assert_array_equal(found[0, 0], [np.nan, np.nan, -24, -17])
    assert series.dtype == np.float32 and series.nodata is None


def test_a_modality_table_is_applied(tmp_path):
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [3, 10, 16], "OD"
    table["LUTDescriptor"].VR = "US"
    table.LUTData = [100, 300, 700]
    table["LUTData"].VR = "US"
    made = dataset(
        np.array([[9, 10, 11, 12, 99]], np.uint16), ModalityLUTSequence=Sequence([table])
    )
    found, _ = read_all(save(made, tmp_path / "one.dcm"))
    assert found[0, 0].tolist() == [100, 100, 300, 700, 700]


@pytest.mark.parametrize(
    ("orientation", "step", "kind", "rows"),
    [
        # where pixel (row 0, column 0), (0, 1) and (1, 0) of the file are seen
        ((1, 0, 0, 0, 1, 0), (0, 0, 2), "axial", [[0, 1, 2], [3, 4, 5]]),
        ((-1, 0, 0, 0, -1, 0), (0, 0, 2), "axial", [[5, 4, 3], [2, 1, 0]]),  # prone
        ((1, 0, 0, 0, 0, -1), (0, 2, 0), "coronal", [[0, 1, 2], [3, 4, 5]]),
        ((0, 1, 0, 0, 0, -1), (-2, 0, 0), "sagittal", [[0, 1, 2], [3, 4, 5]]),
        ((0, 1, 0, 1, 0, 0), (0, 0, 2), "axial", [[0, 3], [1, 4], [2, 5]]),  # rows to the left
    ],
)
def test_slices_are_seen_in_the_radiological_convention(tmp_path, orientation, step, kind, rows):
    pixels = np.arange(6, dtype=np.uint16).reshape(2, 3)
    for place in range(3):
        made = dataset(
            pixels + 10 * place,
            ImageOrientationPatient=list(orientation),
            ImagePositionPatient=[place * each for each in step],
        )
        save(made, tmp_path / f"{place}.dcm")
    found, series = read_all(tmp_path)
    assert series.identity() == {"modality": "CT", "orientation of slices": kind}
    # planes upwards, backwards, or to the right, whatever the normal of the files
    assert found[:, 0, 0].tolist() == [rows[0][0] + 10 * place for place in range(3)]
    assert found[0].tolist() == rows


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEG2000Lossless],
)
def test_encodings(tmp_path, syntax):
    pixels = volume(1, shape=(40, 48))[0]  # OpenJPEG encodes none below 32 pixels
    made = dataset(pixels, RescaleSlope=1, RescaleIntercept=0)
    path = save(made, tmp_path / "one.dcm")
    if syntax.is_encapsulated:
        made.compress(syntax)
        made.save_as(path, enforce_file_format=True)
    else:
        save(made, path, syntax)
    np.testing.assert_array_equal(read_all(path)[0][0], pixels)


def test_big_endian_is_read_in_the_own_order_of_bytes(tmp_path):
    pixels = volume(1)[0]
    path = big_endian(dataset(pixels.astype(">i2")), tmp_path / "one.dcm")
    found, _ = read_all(path)
    np.testing.assert_array_equal(found[0], pixels)
    assert found.dtype.isnative


def test_enhanced_files_hold_frames_in_any_order(tmp_path):
    pixels = volume(3, "uint16")
    path = save(enhanced(pixels, [8.0, 2.0, 5.0]), tmp_path / "one.dcm")
    found, series = read_all(path)
    expected = [2.0 * pixels[place] + 10 * place for place in (1, 2, 0)]
    np.testing.assert_array_equal(found, expected)
    assert series.units == "" and series.stack.kind == "axial"
    path = save(enhanced(pixels, [8.0, 2.0, 8.0]), tmp_path / "two.dcm")
    assert refusal(path).startswith(
        "two.dcm (frame 1) and two.dcm (frame 3) have the same position"
    )


def test_series_are_found_in_a_tree_whatever_the_folders(tmp_path):
    """Two series in one folder, one in two folders, orientations apart, and other files."""
    pixels = volume(2)
    other = generate_uid()
    save_series(tmp_path / "one", pixels)
    save_series(tmp_path / "one" / "more", volume(2), SeriesInstanceUID=other)
    for number, orientation in enumerate([(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1)]):
        made = dataset(
            pixels[0],
            SeriesInstanceUID=other,
            ImageOrientationPatient=list(orientation),
            ImagePositionPatient=[0, 0, 99 + number],
        )
        save(made, tmp_path / "one" / f"scout{number}")
    (tmp_path / "notes.txt").write_text("no DICOM file")
    report = dataset(pixels[0], Rows=None)
    save(report, tmp_path / "report.dcm")
    save(dataset(pixels[0], SOPInstanceUID="1.2.3"), tmp_path / "x" / "a.dcm")
    (tmp_path / "x" / "b.dcm").write_bytes((tmp_path / "x" / "a.dcm").read_bytes())
    left_out = Counter()
    found = dicom_slices.find(tmp_path, left_out)
    assert sorted(len(series.slices) for series in found) == [1, 3, 3]
    assert left_out == {
        "files that are not DICOM": 1,
        "DICOM files without pixels": 1,
        "copies of DICOM files": 1,
    }
    assert len({series.name for series in found}) == 3
    assert all(series.path.is_relative_to(tmp_path) for series in found)


def test_persons_are_pseudonyms(tmp_path):
    """The same in all studies and folders, and none of what names them."""
    one = dicom_slices.subject_of(dataset(volume(1)[0]))
    assert one == dicom_slices.subject_of(dataset(volume(1)[0], StudyInstanceUID="1.2.3"))
    assert one != dicom_slices.subject_of(dataset(volume(1)[0], PatientID="4712"))
    assert one != dicom_slices.subject_of(dataset(volume(1)[0], IssuerOfPatientID="clinic"))
    assert one.startswith("subject_") and "4711" not in one
    nobody = dicom_slices.subject_of(dataset(volume(1)[0], PatientID=""))
    assert nobody.startswith("study_")
    _, series = read_all(save_series(tmp_path, volume(2), PatientID=""))
    assert "no PatientID, so that its study counts as its subject" in series.notes


def test_a_missing_slice_is_named(tmp_path):
    save_series(tmp_path, volume(5))
    (tmp_path / "IM003.dcm").unlink()
    told = refusal(tmp_path)
    assert told.startswith(
        "a slice is missing: 4 mm from IM004.dcm to IM002.dcm, but 2 mm is usual"
    )
    found, series = read_all(tmp_path, gaps="keep")
    assert len(found) == 4 and "slices missing between others" in series.notes


def test_uneven_spacing_is_told(tmp_path):
    for place, height in enumerate([0, 2, 4.1, 6]):
        made = dataset(volume(1)[0], ImagePositionPatient=[0, 0, height])
        save(made, tmp_path / f"{place}.dcm")
    assert "slices at uneven spacing" in read_all(tmp_path)[1].notes


def test_a_tilted_gantry_is_told(tmp_path):
    for place in range(3):
        made = dataset(volume(1)[0], ImagePositionPatient=[0, 0.6 * place, 2 * place])
        save(made, tmp_path / f"{place}.dcm")
    told = "slices sheared against their normal (a tilted gantry)"
    assert told in read_all(tmp_path)[1].notes


def test_slices_that_do_not_go_together_are_named(tmp_path):
    one = dataset(volume(1)[0])
    other = {"ImagePositionPatient": [-10.5, -20.25, 32.125]}
    cases = {
        "have the same position": dataset(volume(1)[0]),
        "differ in their number of columns: 6, 7": dataset(volume(1, shape=(5, 7))[0], **other),
        "differ in their pixel spacing: [0.75, 0.5], [0.75, 0.6]": dataset(
            volume(1)[0], PixelSpacing=[0.75, 0.6], **other
        ),
        "differ in their unit: none, OD": dataset(volume(1)[0], RescaleType="OD", **other),
    }
    for number, (reason, made) in enumerate(cases.items()):
        save(one, tmp_path / str(number) / "a.dcm")
        save(made, tmp_path / str(number) / "b.dcm")
        told = refusal(tmp_path / str(number))
        assert told.startswith("a.dcm and b.dcm ") and reason in told


def refused_files():
    gray = volume(1)[0]
    colours = dataset(
        np.zeros((2, 2), np.uint8), SamplesPerPixel=3, PhotometricInterpretation="RGB"
    )
    film = dataset(volume(3))
    film.NumberOfFrames = 3
    return {
        "x.dcm: colours (RGB); save them as PNG": colours,
        "x.dcm: 3 frames without functional groups": film,
        "x.dcm: an RT Dose, whose scaling is not supported": dataset(
            gray, SOPClassUID=RTDoseStorage
        ),
        "x.dcm: pixels that are not 8-bit, 16-bit or 32-bit integers": dataset(
            gray, PixelRepresentation=None
        ),
        "holds no DICOM slices (1 DICOM files without pixels)": dataset(gray, Rows=None),
        "x.dcm: has no size or no bit depth": dataset(gray, Columns=0),
        "x.dcm: ImageOrientationPatient has no perpendicular directions": dataset(
            gray, ImageOrientationPatient=[1, 0, 0, 1, 1, 0]
        ),
        "x.dcm: PixelSpacing is not positive": dataset(gray, PixelSpacing=[0, 1]),
        "x.dcm: damaged: The number of bytes of pixel data is less": dataset(gray, Rows=6),
    }


@pytest.mark.parametrize("reason", refused_files())
def test_what_cannot_be_read_is_told_on_one_line(tmp_path, reason):
    assert reason in refusal(save(refused_files()[reason], tmp_path / "x.dcm"))


@pytest.mark.parametrize(
    ("syntax", "reason"),
    [
        (JPEGLSLossless, "JPEG-LS Lossless Image Compression, for which no decoder is installed; "
         "pip install pyjpegls"),
        (MPEG2MPML, "which cannot be read here; unpack it"),
    ],
)  # fmt: skip
def test_a_missing_decoder_is_named(tmp_path, monkeypatch, syntax, reason):
    from pydicom.pixels.decoders import JPEGLSLosslessDecoder

    monkeypatch.setattr(JPEGLSLosslessDecoder, "_available", {})
    made = dataset(volume(1)[0])
    made.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    told = refusal(save(made, tmp_path / "x.dcm", syntax))
    assert told.startswith("x.dcm: compressed as ") and reason in told


def test_damage_in_a_header_is_told_by_the_file(tmp_path):
    path = save(dataset(volume(1)[0], ImagePositionPatient=[0, 0, 12345]), tmp_path / "x.dcm")
    path.write_bytes(path.read_bytes().replace(b"12345", b"12e4x"))
    told = refusal(path)
    assert told == "x.dcm: damaged: ImagePositionPatient is 12e4x.0, not a number"


def test_files_without_the_mark_and_folders_of_several_series(tmp_path):
    (tmp_path / "x.dcm").write_bytes(b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100")
    assert refusal(tmp_path / "x.dcm").startswith("x.dcm: lacks the DICOM signature")
    save_series(tmp_path / "two", volume(2))
    save(dataset(volume(1)[0], SeriesInstanceUID="1.2.3"), tmp_path / "two" / "other.dcm")
    assert refusal(tmp_path / "two") == "holds 2 series; move each into a folder of its own"


def test_hidden_files_beside_a_series_are_none_of_it(tmp_path):
    """macOS puts ._IM001.dcm beside IM001.dcm on disks that are not its own."""
    save_series(tmp_path / "ct", volume(2))
    (tmp_path / "ct" / "._IM001.dcm").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X")
    found, series = read_all(tmp_path / "ct")
    np.testing.assert_array_equal(found, volume(2))
    assert len(series.series.slices) == 2
    (tmp_path / "hidden").mkdir()
    (tmp_path / "ct" / "._IM001.dcm").rename(tmp_path / "hidden" / "._IM001.dcm")
    told = "holds no DICOM slices (1 hidden files and folders)"
    assert refusal(tmp_path / "hidden") == told
