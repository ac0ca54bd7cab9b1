"""Derived DICOM series: made here of series by pydicom, and read back by pydicom."""

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut
from pydicom.sequence import Sequence

from tests.dicom_files import (
    FRAME_OF_REFERENCE,
    STUDY,
    dataset,
    enhanced,
    save,
    save_series,
    volume,
)
from tests.identity import translated, values_of
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError
from tfcyclegan.formats import open_measurement
from tfcyclegan.formats.dicom import Dicom

HU = {"RescaleSlope": 1, "RescaleIntercept": -1024}


def headers(directory):
    """The files of a series, by their height."""
    return sorted(
        (pydicom.dcmread(path) for path in directory.iterdir()),
        key=lambda each: each.ImagePositionPatient[2],
    )


def values_in(directory):
    return np.stack([apply_modality_lut(each.pixel_array, each) for each in headers(directory)])


@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint8"])
def test_whole_numbers_come_back_as_they_were(tmp_path, dtype):
    pixels = volume(3, dtype) if dtype != "uint8" else volume(3, "uint16").astype(np.uint8)
    with open_measurement(save_series(tmp_path / "in", pixels)) as series:
        assert series.dtype == dtype
        values = values_of(series, -1000 if dtype == "int16" else 0, 3000)
        out = translated(series, tmp_path / "out", values)
    np.testing.assert_array_equal(values_in(out), pixels)
    assert {float(each.RescaleSlope) for each in headers(out)} == {1}


def test_floats_are_stored_in_steps_of_their_range_by_16_characters(tmp_path):
    pixels = volume(3, "uint16")
    with open_measurement(save_series(tmp_path / "in", pixels, **HU)) as series:
        assert series.units == "HU" and series.dtype == np.float32
        low, high = -1024 - 1 / 3, 2000 / 3 + 2000
        out = translated(series, tmp_path / "out", values_of(series, low, high))
    found = headers(out)
    error = np.abs(values_in(out) - (pixels.astype(float) - 1024)).max()
    assert error <= 0.5 * (high - low) / 65535 * 1.001
    for each in found:
        slope, intercept = each["RescaleSlope"].value, each["RescaleIntercept"].value
        assert len(str(slope)) <= 16 and len(str(intercept)) <= 16
        assert each.RescaleType == "HU" and each.BitsStored == 16


def test_geometry_is_equal_and_identity_is_new(tmp_path):
    """Same patient, study and space; other series and instances, which name their sources."""
    step = 2.0625
    with open_measurement(save_series(tmp_path / "in", volume(3), step=step)) as series:
        out = translated(series, tmp_path / "out", values_of(series, -1000, 3000))
        affine = series.stack.affine
    before, after = headers(tmp_path / "in"), headers(out)
    for old, new in zip(before, after, strict=True):
        for name in (
            *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "PatientID"),
            *("SliceThickness", "StudyInstanceUID", "FrameOfReferenceUID", "PatientName"),
            *("SOPClassUID", "Modality", "InstanceNumber"),
        ):
            assert new[name].value == old[name].value
        assert new.SOPInstanceUID == new.file_meta.MediaStorageSOPInstanceUID
        (source,) = new.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == old.SOPInstanceUID
        assert list(new.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
        assert "tfcyclegan" in new.DerivationDescription
    uids = {each.SOPInstanceUID for each in (*before, *after)}
    assert len(uids) == 6 and len({each.SeriesInstanceUID for each in (*before, *after)}) == 2
    with open_measurement(out) as again:
        np.testing.assert_array_equal(again.stack.affine, affine)
        assert (
            after[0].StudyInstanceUID,
            after[0].FrameOfReferenceUID,
        ) == (STUDY, FRAME_OF_REFERENCE)


def test_what_describes_the_old_values_is_dropped(tmp_path):
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [2, 0, 16], [1, 2]
    for name in ("LUTDescriptor", "LUTData"):
        table[name].VR = "US"
    old = {
        "VOILUTSequence": Sequence([table]),
        "WindowCenterWidthExplanation": "bone",
        "SmallestImagePixelValue": 3,
        "LargestImagePixelValue": 4,
        "PixelPaddingValue": 0,
        "PresentationLUTShape": "IDENTITY",
    }
    made = dataset(volume(1, "uint16")[0] + 1, PhotometricInterpretation="MONOCHROME1", **old)
    for name in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
        made[name].VR = "US"
    made.private_block(0x0029, "SCANNER", create=True).add_new(1, "LO", "slope 3")
    made.add_new(0x60000010, "US", 5)
    path = save(made, tmp_path / "in" / "one.dcm")
    with open_measurement(path) as series:
        out = translated(series, tmp_path / "out.dcm", values_of(series, 0, 65535))
    after = pydicom.dcmread(out)
    for name in (*old, "WindowCenter", "WindowWidth"):
        assert name not in after
    assert not any(tag.is_private or tag.group == 0x6000 for tag in after.keys())  # noqa: SIM118
    assert after.PhotometricInterpretation == "MONOCHROME2"


def test_gaps_are_padding(tmp_path):
    pixels = volume(2)
    pixels[1, 2, 3] = -2000
    directory = save_series(tmp_path / "in", pixels, PixelPaddingValue=-2000, **HU)
    with open_measurement(directory) as series:
        out = translated(series, tmp_path / "out", values_of(series, -2024, 2976))
    with open_measurement(out) as again:
        found = np.stack([again.read(plane) for plane in range(2)])[..., 0]
    expected = np.where(pixels == -2000, np.nan, pixels.astype(float) - 1024)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, atol=0.51 * 5000 / 65534)
    assert {each.PixelPaddingValue for each in headers(out)} == {0}


def test_turned_slices_go_back_to_where_they_were(tmp_path):
    prone = [-1, 0, 0, 0, -1, 0]
    pixels = volume(3)
    with open_measurement(
        save_series(tmp_path / "in", pixels, ImageOrientationPatient=prone)
    ) as series:
        out = translated(series, tmp_path / "out", values_of(series, -1000, 3000))
    np.testing.assert_array_equal(values_in(out), pixels)


def test_names_in_any_script_stay(tmp_path):
    made = dataset(volume(1)[0], SpecificCharacterSet="ISO_IR 192", PatientName="山田^太郎")
    with open_measurement(save(made, tmp_path / "one.dcm")) as series:
        out = translated(series, tmp_path / "out.dcm", values_of(series, -1000, 3000))
    assert pydicom.dcmread(out).PatientName == "山田^太郎"


def test_an_enhanced_file_stays_one(tmp_path):
    pixels = volume(3, "uint16")
    path = save(enhanced(pixels, [8.0, 2.0, 5.0]), tmp_path / "in.dcm")
    with open_measurement(path) as series:
        planes = np.stack([series.read(plane) for plane in range(3)])[..., 0]
        out = translated(series, tmp_path / "out.dcm", values_of(series, 0, 7000))
    after = pydicom.dcmread(out)
    frames = after.PerFrameFunctionalGroupsSequence
    heights = [each.PlanePositionSequence[0].ImagePositionPatient[2] for each in frames]
    assert heights == [2, 5, 8] and after.NumberOfFrames == 3
    rescaling = frames[0].PixelValueTransformationSequence[0]
    found = after.pixel_array * float(rescaling.RescaleSlope) + float(rescaling.RescaleIntercept)
    np.testing.assert_allclose(found, planes, atol=0.51 * 7000 / 65535)
    assert "FrameVOILUTSequence" not in frames[0]
    shared = after.SharedFunctionalGroupsSequence[0]
    assert shared.MRImageFrameTypeSequence[0].FrameType[0] == after.ImageType[0] == "DERIVED"


def test_a_series_as_nifti_lies_where_it_was(tmp_path):
    """The affine by hand: columns to the left, rows to the back, slices upwards."""
    pixels = volume(3)
    with open_measurement(save_series(tmp_path / "in", pixels, step=2)) as series:
        out = translated(series, tmp_path / "out.nii.gz", values_of(series, -1000, 3000))
        one = series.create(tmp_path / "three.nii", Values("float32", (0.0,) * 3, (1.0,) * 3))
        one.finish()
    image = nibabel.load(out)
    expected = [[-0.5, 0, 0, 10.5], [0, -0.75, 0, 20.25], [0, 0, 2, 30.125], [0, 0, 0, 1]]
    np.testing.assert_array_equal(image.affine, expected)
    np.testing.assert_array_equal(image.get_fdata(), pixels.transpose(2, 1, 0))
    assert image.header["sform_code"] == image.header["qform_code"] == 1
    assert nibabel.load(tmp_path / "three.nii").shape == (6, 5, 3, 1, 3)


def test_what_dicom_cannot_hold_is_refused(tmp_path):
    with open_measurement(save_series(tmp_path / "in", volume(2))) as series:
        with pytest.raises(UserError, match=r"out: DICOM holds one channel, not 3; write NIfTI"):
            series.create(tmp_path / "out", Values("uint8", (0.0,) * 3, (255.0,) * 3))
        with pytest.raises(UserError, match=r"out\.dcm: a series of several files; give a dir"):
            series.create(tmp_path / "out.dcm", Values("uint8", (0.0,), (255.0,)))
    for name, heights in (("a", [2.0, 4.0]), ("b", [6.0, 8.0])):
        save(enhanced(volume(2), heights), tmp_path / "in" / "frames" / f"{name}.dcm")
    with open_measurement(tmp_path / "in" / "frames") as series:
        assert series.shape.planes == 4
        with pytest.raises(UserError, match=r"out: a series of several files of frames; write NI"):
            series.create(tmp_path / "out", values_of(series, 0, 7000))
    made = dataset(volume(1)[0], ImagePositionPatient=None)
    picture = Dicom(save(made, tmp_path / "flat.dcm"))
    with pytest.raises(UserError, match="without a position in space cannot be saved as NIfTI"):
        picture.create(tmp_path / "flat.nii", Values("uint8", (0.0,), (255.0,)))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["flat.dcm", "in"]


def test_what_is_given_up_leaves_nothing(tmp_path):
    series = open_measurement(save_series(tmp_path / "in", volume(2)))
    with pytest.raises(KeyError), series.create(tmp_path / "out", values_of(series, 0, 1)):
        raise KeyError
    assert [each.name for each in tmp_path.iterdir()] == ["in"]
