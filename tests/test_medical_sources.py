"""data_prep.nifti and data_prep.dicom: volumes and series in, records and a manifest out."""

import json

import nibabel
import numpy as np
import pytest

from data_prep import dicom, nifti
from tests.dicom_files import PERSON, dataset, save, save_series, volume
from tfcyclegan import formats
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import UserError
from tfcyclegan.formats import open_measurement


def nifti_tree(root):
    """Two subjects a domain; A of thick axial slices, B of four scaled ones."""
    random = np.random.default_rng(1)
    for split, names in (("trainA", "ab"), ("trainB", "cd"), ("testA", "e")):
        for name in names:
            values = random.integers(-1000, 2000, (6, 5, 4)).astype(np.int16)
            image = nibabel.Nifti1Image(values, np.diag([-1, 1, 3, 1]))
            if split == "trainB":
                image.header.set_slope_inter(0.5, 10)
            place = root / split / f"sub-{name}" / "scan.nii.gz"
            place.parent.mkdir(parents=True)
            nibabel.save(image, place)
    return root


def prepare(script, root, out, **options):
    script.run(script.Config(input_dir=str(root), output_dir=str(out), **options))
    return json.loads((out / "manifest.json").read_text())


def arrays_of(directory, split):
    return [array for _, array in open_source(directory).arrays(split)]


def test_volumes_become_records(tmp_path):
    root = nifti_tree(tmp_path / "root")
    manifest = prepare(
        nifti, root, tmp_path / "out", group_by="sub-[^_/]+", range_a="-1000:2000", neighbours="1,0"
    )
    assert manifest["groups"]["trainA"] == ["sub-a", "sub-b"]
    values = manifest["values"]
    assert (values["A"]["dtype"], values["B"]["dtype"]) == ("int16", "float32")
    assert len(values["A"]["low"]) == 3 and values["A"]["low"][0] == -1000
    found = arrays_of(tmp_path / "out", "trainB")
    assert len(found) == 8
    stored = nibabel.load(root / "trainB/sub-c/scan.nii.gz").get_fdata()
    # the first slice of the first file; rows run from the front, columns from the right
    np.testing.assert_array_equal(found[0][..., 0], stored[:, ::-1, 0].T)


def test_volumes_of_other_slices_do_not_go_together(tmp_path):
    root = nifti_tree(tmp_path / "root")
    nibabel.save(
        nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.diag([9, 1, 1, 1])),
        root / "trainA" / "wide.nii",
    )
    with pytest.raises(
        UserError,
        match=r"wide\.nii: orientation of slices \(--axis\) is sagittal, .*; make them ag",
    ):
        prepare(nifti, root, tmp_path / "out")


def dicom_tree(root, *, test_person="4713"):
    for split, person, modality in (
        ("trainA", "4711", "MR"),
        ("trainB", "4712", "CT"),
        ("testA", test_person, "MR"),
    ):
        directory = root / split / f"Roe^Jane_{person}"
        save_series(
            directory,
            volume(3),
            PatientID=person,
            Modality=modality,
            SeriesInstanceUID=f"1.2.{person}.{len(split)}",
        )
    return root


def test_series_become_records_and_no_person_is_named(tmp_path, capsys):
    root = dicom_tree(tmp_path / "root")
    (root / "trainA" / "readme.txt").write_text("none")
    manifest = prepare(dicom, root, tmp_path / "out", range_a="-1000:3000")
    found = arrays_of(tmp_path / "out", "trainA")
    np.testing.assert_array_equal(np.stack(found)[..., 0], volume(3))
    groups = [group for split in manifest["groups"].values() for group in split]
    assert len(set(groups)) == 3 and all(group.startswith("subject_") for group in groups)
    assert manifest["left_out"] == {"files that are not DICOM": 1}
    everything = b"".join(
        each.read_bytes() for each in (tmp_path / "out").iterdir() if each.is_file()
    )
    for tag in (*PERSON, "4712", "4713", "Roe"):
        assert tag.encode() not in everything, tag


def test_a_person_in_two_splits_is_refused_and_found(tmp_path):
    root = dicom_tree(tmp_path / "root", test_person="4711")
    told = "of one subject, in train and test; move all of its series into one"
    with pytest.raises(UserError, match=told) as caught:
        prepare(dicom, root, tmp_path / "out")
    assert "trainA/Roe^Jane_4711" in str(caught.value)
    manifest = prepare(dicom, root, tmp_path / "out", group_by="file")
    assert manifest["group_by"] == "file"


def test_a_series_with_a_missing_slice_is_a_bad_one(tmp_path, capsys):
    root = dicom_tree(tmp_path / "root")
    for name, height in {"IM001": 0, "IM002": 2, "IM003": 6}.items():
        made = dataset(
            volume(1)[0],
            SeriesInstanceUID="1.2.99",
            PatientID="99",
            ImagePositionPatient=[0, 0, height],
        )
        save(made, root / "trainA" / "holes" / f"{name}.dcm")
    with pytest.raises(UserError, match="a slice is missing: 4 mm from IM002") as caught:
        prepare(dicom, root, tmp_path / "out")
    assert "is in" in capsys.readouterr().out and "\n" not in str(caught.value)
    prepare(dicom, root, tmp_path / "out", max_bad=1)
    assert "a slice is missing" in (tmp_path / "out" / "quarantine.jsonl").read_text()


@pytest.mark.parametrize("option", ["mask", "aligned"])
def test_options_that_do_not_go_with_series(option):
    with pytest.raises(UserError, match=f"--{option}: not for DICOM series"):
        dicom.Config(input_dir="a", output_dir="b", **{option: True})


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz", "x.dcm"])
def test_what_the_system_cannot_read_is_not_called_damaged(tmp_path, name):
    """It is tried again by a rerun, after a repair; damaged files are not."""
    script, make = (dicom, dicom_tree) if name == "x.dcm" else (nifti, nifti_tree)
    root = make(tmp_path / "root")
    (root / "trainA" / name).symlink_to("/proc/self/mem")  # whose start the system does not read
    with pytest.raises(UserError, match=rf"{name}: cannot be read: .*Input/output error; 1 bad"):
        prepare(script, root, tmp_path / "out")
    manifest = prepare(script, root, tmp_path / "out", max_bad=1)
    assert manifest["splits"]["trainA"]["quarantined"] == 1


@pytest.mark.parametrize("ending", formats.ENDINGS)
def test_every_format_leaves_errors_of_the_system_as_they_are(tmp_path, ending):
    (tmp_path / f"x{ending}").symlink_to("/proc/self/mem")
    with pytest.raises(OSError, match="Input/output error"):
        open_measurement(tmp_path / f"x{ending}")


def volume_at(path, *, origin=0.0, affine=None, dtype=np.uint8):
    values = np.random.default_rng(1).integers(1, 99, (4, 4, 4)).astype(dtype)
    place = np.diag([1.0, 3, 1, 1]) if affine is None else affine.copy()
    place[0, 3] += origin
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, place), path)


def test_aligned_volumes_lie_at_one_place(tmp_path):
    """As stored the axes may differ: slices are turned the same way."""
    root, flipped = tmp_path / "root", np.diag([-1.0, 3, 1, 1])
    volume_at(root / "trainA" / "a.nii")
    volume_at(root / "trainB" / "a.nii", affine=flipped, origin=3)
    grids = []
    for split in ("trainA", "trainB"):
        with open_measurement(root / split / "a.nii") as volume:
            grids.append(volume.grid())
    np.testing.assert_array_equal(*grids)
    volume_at(root / "trainB" / "a.nii", origin=2)
    told = r"trainA/a\.nii: --aligned: trainB/a\.nii lies 2 pixels away"
    with pytest.raises(UserError, match=told):
        prepare(nifti, root, tmp_path / "moved", aligned=True)


def test_masks_lie_where_their_volumes_do_and_others_are_counted(tmp_path):
    """A mask without a place would be cut along another axis, as it happens of a cube unseen."""
    root = tmp_path / "root"
    for split in ("trainA", "trainB"):
        volume_at(root / split / "a.nii")
        volume_at(root / f"{split}_mask" / "a.nii")
    volume_at(root / "trainB_mask" / "none.nii")
    manifest = prepare(nifti, root, tmp_path / "out", mask=True, nodata_a=0, nodata_b=0)
    assert manifest["left_out"] == {"files in trainB_mask that are masks of none": 1}
    volume_at(root / "trainA_mask" / "a.nii", affine=np.eye(4))
    with pytest.raises(UserError, match=r"a\.nii: its mask lies 9 pixels away; resample it"):
        prepare(nifti, root, tmp_path / "moved", mask=True, nodata_a=0, nodata_b=0)
