"""NIfTI volumes: written by nibabel, read and written here, and read back by nibabel."""

import gzip
from concurrent.futures import ThreadPoolExecutor

import nibabel
import numpy as np
import pytest

from tests.identity import translated, values_of
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.data.values import Values
from tfcyclegan.formats import open_measurement
from tfcyclegan.formats.base import Window

OBLIQUE = nibabel.affines.from_matvec(
    nibabel.eulerangles.euler2mat(0.1, -0.2, 0.15) @ np.diag([-0.9, 1.1, 2.5]), [31.7, -42.1, 7.3]
)


def random_values(dtype, shape=(5, 6, 7)):
    random = np.random.default_rng(3)
    if np.dtype(dtype).kind == "f":
        return random.uniform(-1000, 2000, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return random.integers(max(limits.min, -1000), min(limits.max, 3000), shape).astype(dtype)


def save(path, values, affine=OBLIQUE, *, sform=1, qform=1, other_qform=None):
    """A file by nibabel, with codes of sform and qform."""
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, sform)
    image.set_qform(affine if other_qform is None else other_qform, qform)
    nibabel.save(image, path)
    return path


def marked(axcodes):
    """A volume of 3x4x5 voxels along right, anterior, superior whose values tell where they are,
    100 right + 10 anterior + superior, stored along the axes of `axcodes`.
    """
    right, anterior, superior = np.meshgrid(range(3), range(4), range(5), indexing="ij")
    image = nibabel.Nifti1Image(
        (100 * right + 10 * anterior + superior).astype(np.int16), np.diag([1, 1, 2, 1])
    )
    return image.as_reoriented(
        nibabel.orientations.ornt_transform(
            nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(axcodes)
        )
    )


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "LAS", "PIR", "ASL", "SRP"])
@pytest.mark.parametrize(
    ("axis", "planes", "first_row", "second_row"),
    [
        # planes upwards; rows begin at the front, columns at the patient's right
        ("axial", 5, [230, 130, 30], [220, 120, 20]),
        # planes backwards; rows begin above, columns at the right
        ("coronal", 4, [234, 134, 34], [233, 133, 33]),
        # planes to the right; rows begin above, columns at the front
        ("sagittal", 3, [34, 24, 14, 4], [33, 23, 13, 3]),
    ],
)
def test_slices_are_in_the_radiological_convention(
    tmp_path, axcodes, axis, planes, first_row, second_row
):
    path = tmp_path / "scan.nii"
    nibabel.save(marked(axcodes), path)
    with open_measurement(path, axis=axis) as volume:
        assert volume.shape.planes == planes
        seen = volume.read(0)
        assert seen.shape == (volume.shape.height, volume.shape.width, 1)
        assert seen[0, :, 0].tolist() == first_row and seen[1, :, 0].tolist() == second_row
        np.testing.assert_array_equal(volume.read(0, Window(1, 1, 3, 3)), seen[1:3, 1:3])
        back = translated(volume, tmp_path / "out.nii", values_of(volume, -500, 500))
    np.testing.assert_array_equal(nibabel.load(back).dataobj, nibabel.load(path).dataobj)


def test_slices_are_those_across_the_largest_spacing(tmp_path):
    thick = save(tmp_path / "thick.nii", random_values("int16"), np.diag([1, 3, 1, 1]))
    even = save(tmp_path / "even.nii", random_values("int16"), np.diag([1, 1, 1.0001, 1]))
    with open_measurement(thick) as volume:
        assert volume.slices == "coronal"
        assert "coronal slices, across the largest spacing" in volume.notes
    with open_measurement(even) as volume:
        assert volume.slices == "axial"
        assert "axial slices, a choice among equal spacings" in volume.notes


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_values_and_geometry_come_back(tmp_path, dtype, ending):
    given = random_values(dtype)
    path = save(tmp_path / f"scan{ending}", given, sform=4, qform=2)
    with open_measurement(path) as volume:
        assert volume.dtype == dtype and volume.shape.channels == 1
        low, high = (-1000, 3000) if np.dtype(dtype).kind != "u" else (0, 3000)
        out = translated(volume, tmp_path / f"out{ending}", values_of(volume, low, high))
    before, after = nibabel.load(path), nibabel.load(out)
    assert after.get_data_dtype() == dtype and after.dataobj.slope == 1
    error = np.abs(after.get_fdata() - before.get_fdata()).max()
    assert error == 0 if np.dtype(dtype).kind != "f" else error <= 1e-6 * (high - low)
    for key in ("srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d"):
        np.testing.assert_array_equal(after.header[key], before.header[key])
    for key in ("qoffset_x", "qoffset_y", "qoffset_z", "sform_code", "qform_code", "xyzt_units"):
        assert after.header[key] == before.header[key]
    np.testing.assert_array_equal(after.header["pixdim"][:4], before.header["pixdim"][:4])
    np.testing.assert_array_equal(after.affine, before.affine)
    assert not list(tmp_path.glob(".*"))


def test_threads_may_read(tmp_path):
    path = save(tmp_path / "scan.nii.gz", random_values("int16", (30, 40, 50)))
    with open_measurement(path) as volume, ThreadPoolExecutor(4) as executor:
        planes = list(executor.map(volume.read, range(volume.shape.planes)))
        for number, plane in enumerate(planes):
            np.testing.assert_array_equal(plane, volume.read(number))


def test_microns_stay_microns(tmp_path):
    image = nibabel.Nifti1Image(random_values("int16"), np.diag([4, 4, 40, 1]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "scan.nii")
    with open_measurement(tmp_path / "scan.nii") as volume:
        out = translated(volume, tmp_path / "out.nii", values_of(volume, -1000, 3000))
    after = nibabel.load(out).header
    assert after.get_xyzt_units()[0] == "micron" and after.get_zooms() == (4, 4, 40)


def test_equal_results_are_equal_files(tmp_path):
    path = save(tmp_path / "scan.nii.gz", random_values("int16"))
    with open_measurement(path) as volume:
        values = values_of(volume, -1000, 3000)
        both = [translated(volume, tmp_path / f"{name}.nii.gz", values) for name in "ab"]
    assert both[0].read_bytes() == both[1].read_bytes()


def test_scaling_is_applied_and_does_not_reach_the_result(tmp_path):
    """nibabel would write the result under the slope of the source, and move whole numbers."""
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(0.4, -1024)
    nibabel.save(image, tmp_path / "scan.nii")
    slope = float(np.float32(0.4))
    expected = np.arange(24).reshape(2, 3, 4) * slope - 1024
    with open_measurement(tmp_path / "scan.nii", axis="axial") as volume:
        assert volume.dtype == np.float32
        # rows run to posterior and columns to left
        np.testing.assert_allclose(volume.read(1)[..., 0], expected[::-1, ::-1, 1].T, rtol=1e-7)
        whole = values_of(volume, -1024, -1000, "int16")
        out = translated(volume, tmp_path / "whole.nii", whole)
    after = nibabel.load(out)
    assert (after.dataobj.slope, after.dataobj.inter) == (1, 0)
    np.testing.assert_array_equal(after.get_fdata(), np.rint(expected))


def test_the_type_is_the_result_s_not_the_source_s(tmp_path):
    path = save(tmp_path / "ids.nii", random_values("uint8"))
    with open_measurement(path) as volume:
        for dtype, stored in (("float32", "float32"), ("float16", "float32"), ("uint16", "uint16")):
            values = Values(dtype, (0.0,), (2000.0,))
            with volume.create(tmp_path / f"{dtype}.nii", values) as out:
                out.write(np.full((volume.shape.height, volume.shape.width, 1), 1999, dtype), 2)
            after = nibabel.load(tmp_path / f"{dtype}.nii")
            assert after.get_data_dtype() == stored and after.get_fdata().max() == 1999


@pytest.mark.parametrize("form", [(4, 5, 6, 3), (4, 5, 6, 1, 3), (4, 5, 6, 3, 1)])
def test_channels_along_the_fourth_and_the_fifth_axis_are_alike(tmp_path, form):
    given = random_values("float32", (4, 5, 6, 3)).reshape(form)
    path = save(tmp_path / "scan.nii.gz", given, np.diag([-1, -1, 2, 1]))
    with open_measurement(path) as volume:
        assert (volume.shape.planes, volume.shape.height, volume.shape.width) == (6, 5, 4)
        np.testing.assert_array_equal(
            volume.read(2), given.reshape(4, 5, 6, 3)[:, :, 2].transpose(1, 0, 2)
        )
        time = "a time series of volumes, read as channels"
        assert (time in volume.notes) == (len(form) == 4)
        out = translated(volume, tmp_path / "out.nii", values_of(volume, -1000, 2000))
        one = volume.create(tmp_path / "one.nii", Values("uint8", (0.0,), (255.0,)))
        one.finish()
    after = nibabel.load(out)
    assert after.shape == (form[:4] if form[-1] == 1 else form)
    np.testing.assert_allclose(after.get_fdata(), given.reshape(after.shape), atol=3e-3)
    assert nibabel.load(tmp_path / "one.nii").shape == (4, 5, 6)


def test_several_channels_of_one_are_a_vector(tmp_path):
    path = save(tmp_path / "scan.nii", random_values("int16"))
    with open_measurement(path) as volume:
        values = Values("float32", (0.0,) * 3, (1.0,) * 3)
        with volume.create(tmp_path / "out.nii", values) as out:
            out.write(np.ones((volume.shape.height, volume.shape.width, 3), np.float32))
    after = nibabel.load(tmp_path / "out.nii")
    assert after.shape == (5, 6, 7, 1, 3) and after.header.get_intent()[0] == "vector"


def test_gaps_come_back(tmp_path):
    given = random_values("float32")
    given[1, 2, 3] = np.nan
    path = save(tmp_path / "scan.nii", given)
    with open_measurement(path) as volume:
        out = translated(volume, tmp_path / "out.nii", values_of(volume, -1000, 2000))
    np.testing.assert_array_equal(np.isnan(nibabel.load(out).get_fdata()), np.isnan(given))


def test_big_endian_is_read(tmp_path):
    image = nibabel.Nifti1Image(
        random_values("int16"), OBLIQUE, nibabel.Nifti1Header(endianness=">")
    )
    image.set_data_dtype(">i2")
    nibabel.save(image, tmp_path / "scan.nii")
    assert nibabel.load(tmp_path / "scan.nii").header.endianness == ">"
    with open_measurement(tmp_path / "scan.nii") as volume:
        assert volume.read(0).dtype.isnative
        translated(volume, tmp_path / "out.nii", values_of(volume, -1000, 3000))
    before, after = (nibabel.load(tmp_path / name) for name in ("scan.nii", "out.nii"))
    assert after.header.endianness == "<"
    np.testing.assert_array_equal(after.dataobj, before.dataobj)
    np.testing.assert_array_equal(after.affine, before.affine)


def test_nifti_2_stays_nifti_2(tmp_path):
    nibabel.save(nibabel.Nifti2Image(random_values("int16"), OBLIQUE), tmp_path / "scan.nii")
    with open_measurement(tmp_path / "scan.nii") as volume:
        out = translated(volume, tmp_path / "out.nii", values_of(volume, -1000, 3000))
    after = nibabel.load(out)
    assert isinstance(after, nibabel.Nifti2Image)
    np.testing.assert_array_equal(after.affine, OBLIQUE)


def test_what_the_header_says_beside_is_told_and_left(tmp_path):
    """Descriptions and extensions may name a person."""
    image = nibabel.Nifti1Image(random_values("int16"), OBLIQUE)
    image.header["descrip"] = b"Jane Roe 1970"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Jane Roe"))
    nibabel.save(image, tmp_path / "scan.nii")
    with open_measurement(tmp_path / "scan.nii") as volume:
        (note,) = [note for note in volume.notes if isinstance(note, LeftOut)]
        out = translated(volume, tmp_path / "out.nii", values_of(volume, -1000, 3000))
    assert "extensions of NIfTI headers" in note and b"Roe" not in out.read_bytes()


def test_a_difference_of_sform_and_qform_is_told(tmp_path):
    shifted = OBLIQUE.copy()
    shifted[0, 3] += 4
    path = save(tmp_path / "scan.nii", random_values("int16"), other_qform=shifted)
    with open_measurement(path) as volume:
        assert "sform and qform differ; the sform is used" in volume.notes
        out = translated(volume, tmp_path / "out.nii", values_of(volume, -1000, 3000))
    np.testing.assert_array_equal(nibabel.load(out).get_qform(), nibabel.load(path).get_qform())
    same = save(tmp_path / "same.nii", random_values("int16"))
    with open_measurement(same) as volume:
        assert not any("sform" in note for note in volume.notes)


def test_a_volume_without_an_affine_is_read_by_a_flag_alone(tmp_path):
    path = save(tmp_path / "scan.nii", random_values("int16"), sform=0, qform=0)
    with pytest.raises(BadPicture, match=r"has no affine .* --without_affine"):
        open_measurement(path)
    with open_measurement(path, without_affine=True, axis="axial") as volume:
        assert "no affine, axes read as right, anterior, superior" in volume.notes
        given = np.asarray(nibabel.load(path).dataobj)
        np.testing.assert_array_equal(volume.read(0)[..., 0], given[::-1, ::-1, 0].T)
        out = translated(volume, tmp_path / "out.nii", values_of(volume, -1000, 3000))
    header = nibabel.load(out).header
    assert header["sform_code"] == header["qform_code"] == 0


def test_reading_a_plane_reads_no_more_of_a_large_file(tmp_path):
    """A volume of 8 GB on paper, most of it a hole on the disk."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape((2048, 1024, 1024))
    header.set_sform(np.eye(4), 1)
    with open(tmp_path / "scan.nii", "wb") as stream:
        header.write_to(stream)
        stream.truncate(352 + 4 * 2**31)
    with open_measurement(tmp_path / "scan.nii") as volume:
        assert volume.read(1000, Window(0, 0, 4, 8)).shape == (4, 8, 1)


BAD = {
    "an empty file": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no volume\n" * 99),
    "colours": lambda path: save(path, np.zeros((4, 4, 4), [(name, "u1") for name in "RGB"])),
    "complex": lambda path: save(path, np.zeros((4, 4, 4), np.complex64)),
    "times": lambda path: save(path, np.zeros((2, 2, 2, 65), np.int16)),
    "six axes": lambda path: save(path, np.zeros((2, 2, 2, 3, 2), np.int16)),
    "a cut file": lambda path: path.write_bytes(
        save(path, random_values("int16")).read_bytes()[:-9]
    ),
    "a singular affine": lambda path: _edit(path, srow_y=[0, 0, 0, 0]),
    "a qform that is none": lambda path: _edit(path, quatern_b=3),
}
REASONS = {
    "a qform that is none": "its qform is not a rotation",
    "an empty file": "damaged, or not NIfTI",
    "text": "damaged, or not NIfTI",
    "colours": "holds colours (24-bit RGB); save its slices as PNG",
    "complex": "values of type complex64",
    "times": "has 65 volumes along its fourth axis",
    "six axes": "has the axes 2x2x2x3x2; save each volume",
    "a cut file": "damaged: 763 bytes, but its header declares 772",
    "a singular affine": "its affine is singular",
}


def _edit(path, **fields):
    """A file whose header has these fields, whatever nibabel would say."""
    content = bytearray(save(path, random_values("int16")).read_bytes())
    header = nibabel.load(path).header
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.binaryblock
    path.write_bytes(content)


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_read_is_told_on_one_line(tmp_path, what):
    path = tmp_path / "scan.nii"
    BAD[what](path)
    with pytest.raises(BadPicture) as caught:
        open_measurement(path)
    assert REASONS[what] in str(caught.value) and "\n" not in str(caught.value)


def test_a_cut_archive_is_told_when_it_is_read(tmp_path):
    path = save(tmp_path / "scan.nii.gz", random_values("float32", (20, 20, 20)))
    path.write_bytes(path.read_bytes()[:9000])
    with open_measurement(path) as volume, pytest.raises(BadPicture, match="damaged"):
        volume.read(0)
    path.write_bytes(
        gzip.compress(gzip.decompress(save(path, random_values("int16")).read_bytes())[:-9])
    )
    with open_measurement(path) as volume, pytest.raises(BadPicture, match="9 of 420 bytes"):
        volume.read(0)


@pytest.mark.parametrize("place", [-8, -4, -100])
def test_a_changed_bit_of_an_archive_is_told_when_it_is_read(tmp_path, place):
    path = tmp_path / "scan.nii.gz"
    plain = save(tmp_path / "plain.nii", random_values("float32", (20, 20, 20))).read_bytes()
    packed = bytearray(gzip.compress(plain, 0))  # stored as it is, so that all of it unpacks
    packed[place] ^= 1
    path.write_bytes(packed)
    with open_measurement(path) as volume, pytest.raises(BadPicture, match="damaged"):
        volume.read(0)


def test_bytes_behind_an_archive_are_left_alone(tmp_path):
    values = random_values("float32", (8, 8, 8))
    plain = save(tmp_path / "plain.nii", values).read_bytes()
    (tmp_path / "scan.nii.gz").write_bytes(gzip.compress(plain) + b"more")
    with (
        open_measurement(tmp_path / "plain.nii") as one,
        open_measurement(tmp_path / "scan.nii.gz") as other,
    ):
        np.testing.assert_array_equal(one.read(0), other.read(0))


def test_two_forms_of_one_name_are_refused(tmp_path):
    save(tmp_path / "scan.nii", random_values("int16"))
    packed = save(tmp_path / "scan.nii.gz", random_values("int16"))
    with pytest.raises(BadPicture, match=r"scan\.nii is in the same folder"):
        open_measurement(packed)
    with pytest.raises(BadPicture, match=r"scan\.nii\.gz is in the same folder"):
        open_measurement(tmp_path / "scan.nii")


def test_what_is_given_up_leaves_nothing(tmp_path):
    path = save(tmp_path / "scan.nii", random_values("int16"))
    with (
        open_measurement(path) as volume,
        pytest.raises(KeyError),
        volume.create(tmp_path / "out.nii.gz", values_of(volume, 0, 1)),
    ):
        raise KeyError
    assert [each.name for each in tmp_path.iterdir()] == ["scan.nii"]
