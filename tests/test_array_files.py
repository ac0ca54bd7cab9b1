"""Arrays written by NumPy and h5py, through an identity, read back by the same libraries."""

import json

import h5py
import numpy as np
import pytest

from data_prep import arrays as script
from tests.identity import translated, values_of
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.notes import left_out
from tfcyclegan.data.source import open_source
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError
from tfcyclegan.formats import open_measurement, options_among
from tfcyclegan.formats.base import Shape, Window


def field(*shape, dtype="float32"):
    drawn = np.random.default_rng(0).random(shape)
    return drawn.astype(dtype) if dtype[0] == "f" else (drawn * 60000).astype(dtype)


def through_identity(path, out, low, high, **options):
    with open_measurement(path, **options) as array:
        return translated(array, out, values_of(array, low, high))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [">u2", "uint8", "int16"])
def test_npy_of_any_order_comes_back(tmp_path, dtype, order):
    given = np.asarray(field(3, 5, 6, 2, dtype="uint16") // 2, order=order).astype(dtype)
    np.save(tmp_path / "in.npy", given)
    with open_measurement(tmp_path / "in.npy") as array:
        assert array.shape == Shape(3, 5, 6, 2) and array.read().dtype.isnative
        np.testing.assert_array_equal(array.read(2, Window(1, 2, 4, 6)), given[2, 1:4, 2:6])
    limits = np.iinfo(dtype)
    through_identity(tmp_path / "in.npy", tmp_path / "out.npy", limits.min, limits.max)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), given)


@pytest.mark.parametrize(
    ("axes", "sizes", "shape"),
    [
        ("", (5, 6), Shape(1, 5, 6, 1)),
        ("", (80, 70, 13), Shape(1, 80, 70, 13)),
        ("", (70, 80, 90), Shape(70, 80, 90, 1)),
        ("chw", (3, 5, 6), Shape(1, 5, 6, 3)),
        ("NCHW", (2, 3, 5, 6), Shape(2, 5, 6, 3)),
        ("WHN", (6, 5, 2), Shape(2, 5, 6, 1)),
    ],
)
def test_axes_are_guessed_by_their_sizes_or_given(tmp_path, axes, sizes, shape):
    given = field(*sizes)
    np.save(tmp_path / "in.npy", given)
    with open_measurement(tmp_path / "in.npy", axes=axes) as array:
        assert array.shape == shape
        assert any("--axes" in note for note in array.notes) == (not axes and len(sizes) > 2)
        letters = axes.upper() or array.axes
        order = [letters.index(axis) for axis in "NHWC" if axis in letters]
        wanted = given.transpose(order).reshape(tuple(vars(shape).values()))
        np.testing.assert_array_equal(array.read(shape.planes - 1), wanted[-1])
    through_identity(tmp_path / "in.npy", tmp_path / "out.npy", 0, 1, axes=axes)
    assert np.abs(np.load(tmp_path / "out.npy") - given).max() <= 1e-6


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_by_name(tmp_path, save):
    given = field(2, 5, 6, dtype="uint16")
    save(tmp_path / "in.npz", energy=given, labels=given[0])
    with pytest.raises(
        BadPicture, match=r"holds 2 arrays \(energy, labels\); choose one with --dataset=NAME"
    ):
        open_measurement(tmp_path / "in.npz")
    options = {"axes": "NHW", "dataset": "energy"}
    through_identity(tmp_path / "in.npz", tmp_path / "out.npz", 0, 65535, **options)
    with np.load(tmp_path / "out.npz") as found:
        assert found.files == ["energy"]
        np.testing.assert_array_equal(found["energy"], given)
    with open_measurement(tmp_path / "in.npz", **options) as array:
        assert left_out(array.notes) == ["other arrays of a file"]


def test_float64_is_read_as_float32_which_is_told(tmp_path):
    np.save(tmp_path / "in.npy", field(5, 6, dtype="float64"))
    with open_measurement(tmp_path / "in.npy") as array:
        assert array.dtype == np.float32 and array.notes == ("float64, read as float32",)
    np.save(tmp_path / "in.npy", np.full((5, 6), 1e300))
    with (
        open_measurement(tmp_path / "in.npy") as array,
        pytest.raises(BadPicture, match=r"holds 1e\+300"),
    ):
        array.read()


def test_one_channel_becomes_three_and_none(tmp_path):
    np.save(tmp_path / "in.npy", field(2, 5, 6))
    values = Values("uint8", (0.0,) * 3, (1.0,) * 3)
    with (
        open_measurement(tmp_path / "in.npy", axes="NHW") as array,
        array.create(tmp_path / "out.npy", values) as out,
    ):
        out.write(np.full((2, 6, 3), 7, np.uint8), 1, top=3)
    found = np.load(tmp_path / "out.npy")
    assert found.shape == (2, 5, 6, 3) and (found[1, 3:] == 7).all() and found.sum() == 7 * 36


def hdf5(path, array, name="images", attributes=(), **options):
    with h5py.File(path, "w") as file:
        made = file.create_dataset(name, data=array, **options)
        for key, value in dict(attributes).items():
            made.attrs[key] = value
    return path


def test_hdf5_comes_back_with_chunks_compression_and_attributes(tmp_path):
    given = field(4, 9, 10)
    layout = {"chunks": (1, 4, 5), "compression": "gzip", "compression_opts": 7, "shuffle": True}
    said = {
        "units": np.array([b"GeV"]),
        "element_size_um": [1.0, 0.5, 0.5],
        "valid_range": [0.0, 1.0],
    }
    hdf5(tmp_path / "in.h5", given, "jets/energy", said, **layout)
    with open_measurement(tmp_path / "in.h5", axes="NHW") as array:
        assert array.units == "GeV"
        assert "ranges of valid values" in str(left_out(array.notes))
        np.testing.assert_array_equal(array.read(2, Window(1, 2, 8, 9))[..., 0], given[2, 1:8, 2:9])
    through_identity(tmp_path / "in.h5", tmp_path / "out.h5", 0, 1, axes="NHW")
    with h5py.File(tmp_path / "out.h5") as file:
        made = file["jets/energy"]
        assert np.abs(made[()] - given).max() <= 1e-6
        assert {name: getattr(made, name) for name in layout} == layout
        assert dict(made.attrs)["units"] == "GeV" and "valid_range" not in made.attrs
        assert list(made.attrs["element_size_um"]) == [1.0, 0.5, 0.5]


def test_what_matlab_wrote_has_its_axes_the_other_way_round(tmp_path):
    matlab = field(5, 6, 3, dtype="uint16")  # rows, columns, channels, as MATLAB has them
    attributes = {"MATLAB_class": np.bytes_("uint16")}
    hdf5(tmp_path / "in.mat", matlab.transpose(), attributes=attributes)
    with open_measurement(tmp_path / "in.mat", axes="HWC") as array:
        assert array.shape == Shape(1, 5, 6, 3)
        np.testing.assert_array_equal(array.read(), matlab)
        assert "written by MATLAB: axes reversed" in array.notes
        with array.create(tmp_path / "half.mat", Values("float16", (0.0,) * 2, (1.0,) * 2)) as out:
            out.write(np.full((5, 6, 2), 0.5, np.float16))
    through_identity(tmp_path / "in.mat", tmp_path / "out.mat", 0, 65535, axes="HWC")
    with h5py.File(tmp_path / "out.mat") as file:
        np.testing.assert_array_equal(file["images"][()].transpose(), matlab)
        assert file["images"].attrs["MATLAB_class"] == b"uint16"
    with h5py.File(tmp_path / "half.mat") as file:
        assert (file["images"].shape, file["images"].dtype) == ((2, 6, 5), np.float32)
        assert file["images"].attrs["MATLAB_class"] == b"single"


def test_scale_and_gaps_by_the_conventions_of_netcdf(tmp_path):
    raw = np.array([[-32768, 0], [100, 200]], np.int16)
    said = {"scale_factor": 0.5, "add_offset": 10.0, "_FillValue": np.int16(-32768)}
    hdf5(tmp_path / "in.h5", raw, attributes=said)
    with open_measurement(tmp_path / "in.h5") as array:
        found = array.read()[..., 0]
    np.testing.assert_array_equal(found, np.float32([[np.nan, 10], [60, 110]]))
    hdf5(tmp_path / "whole.h5", raw, attributes={"_FillValue": np.int16(-32768)})
    with open_measurement(tmp_path / "whole.h5") as array:
        assert (array.nodata, array.dtype) == (-32768, np.int16)
    through_identity(tmp_path / "whole.h5", tmp_path / "out.h5", -10, 300)
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_array_equal(file["images"][()], raw)
        assert file["images"].attrs["_FillValue"] == -32768


def test_half_precision_comes_back(tmp_path):
    given = field(5, 6, dtype="float16")
    hdf5(tmp_path / "in.h5", given)
    through_identity(tmp_path / "in.h5", tmp_path / "out.h5", 0, 1)
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["images"].dtype == np.float16
        assert np.abs(file["images"][()] - given).max() <= 2**-12


def bfloat16(path):
    """A type that NumPy has not: h5py reads its bits by way of float32."""
    kind = h5py.h5t.IEEE_F16LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_ebias(127)
    with h5py.File(path, "w") as file:
        h5py.h5d.create(file.id, b"images", kind, h5py.h5s.create_simple((5, 6)))


def opaque(path):
    hdf5(path, np.zeros((5, 6), "V2"))


def missing_chunk(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (8, 8), "f4", chunks=(4, 4))[:4] = 1


def never_written(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (8, 8), "f4")


def elsewhere(path):
    layout = h5py.VirtualLayout((5, 6), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (5, 6))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("images", layout)


def two_gaps(path):
    hdf5(path, field(5, 6), attributes={"_FillValue": -99.0, "missing_value": 1e20})


def unsigned(path):
    hdf5(path, np.full((5, 6), -25536, np.int16), attributes={"_Unsigned": "true"})


def several(path):
    with h5py.File(path, "w") as file:
        file["a/x"], file["y"], file["list"] = field(5, 6), field(5, 6), field(5)


REFUSED = {
    "bfloat16.h5": (bfloat16, "floats of 16 bit with 8 of exponent"),
    "opaque.h5": (opaque, "not plain numbers"),
    "missing.h5": (missing_chunk, "2 of 4 chunks were never written and would read as 0.0"),
    "unwritten.h5": (never_written, "1 of 1 chunks were never written"),
    "elsewhere.h5": (elsewhere, "stores its values in other files"),
    "gaps.h5": (two_gaps, "/images: _FillValue is -99, missing_value 1e+20; write one of"),
    "unsigned.h5": (unsigned, "stores unsigned numbers as signed (_Unsigned); save it as uint16"),
    "several.h5": (several, "holds 2 datasets (a/x, y); choose one with --dataset=NAME"),
    "text.h5": (lambda path: path.write_text("no"), "not an HDF5 file"),
    "old.mat": (lambda path: path.write_bytes(b"MATLAB 5.0 MAT-file"), "save it with -v7.3"),
    "pickle.npy": (lambda path: np.save(path, np.array([{}, {}])), "not a NumPy array"),
    "pickle.npz": (lambda path: np.savez(path, x=np.full((5, 6), None)), "values of type object"),
    "empty.npy": (lambda path: path.write_bytes(b""), "not a NumPy array"),
    "cut.npy": (lambda path: path.write_bytes(b"\x93NUMPY\x01\0"), "not a NumPy array"),
    "text.npz": (lambda path: path.write_text("no"), "not an archive of NumPy arrays"),
    "complex.npy": (
        lambda path: np.save(path, np.zeros((5, 6), np.complex64)),
        "of type complex64",
    ),
    "one.npy": (lambda path: np.save(path, np.zeros(5)), "an array 5, not HW to NHWC"),
    "either.npy": (lambda path: np.save(path, np.zeros((6, 99, 99), np.uint8)), "--axes=CHW"),
    "many.npy": (lambda path: np.save(path, np.zeros((2, 5, 6, 99), np.uint8)), "99 channels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_right_is_refused(tmp_path, name):
    make, message = REFUSED[name]
    make(tmp_path / name)
    with pytest.raises(BadPicture) as error:
        open_measurement(tmp_path / name)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_damaged_archive_is_refused_when_it_is_read(tmp_path):
    path = tmp_path / "in.npz"
    np.savez_compressed(path, x=field(50, 60))
    content = bytearray(path.read_bytes())
    content[4000:4100] = bytes(100)
    path.write_bytes(bytes(content))
    with open_measurement(path) as array, pytest.raises(BadPicture, match="damaged"):
        array.read()


def test_axes_that_are_none_are_the_flags_fault(tmp_path):
    np.save(tmp_path / "in.npy", field(5, 6))
    for axes in ("HC", "HWX", "HWW"):
        with pytest.raises(UserError, match=f"--axes={axes}"):
            open_measurement(tmp_path / "in.npy", axes=axes)


def test_each_format_takes_its_own_of_a_data_sets_settings(tmp_path):
    settings = {"axes": "HW", "dataset": "x", "stack": "planes", "alpha_band": "drop", "tile": "64"}
    assert options_among(tmp_path / "a.h5", settings) == {"axes": "HW", "dataset": "x"}
    assert options_among(tmp_path / "a.PNG", settings) == {"alpha_band": "drop"}
    assert options_among(tmp_path / "a.tif", settings).keys() == {"stack", "alpha_band"}


def test_hdf5_is_prepared_by_the_script(tmp_path):
    for name in ("trainA", "trainB"):
        (tmp_path / "in" / name).mkdir(parents=True)
    given = field(3, 8, 9, dtype="uint16")
    hdf5(tmp_path / "in/trainA/x.h5", given)  # 3 rows, 8 columns, 9 channels
    np.savez(tmp_path / "in/trainB/y.npz", x=field(8, 9))
    options = {"input_dir": str(tmp_path / "in"), "output_dir": str(tmp_path / "out")}
    (tmp_path / "in/trainA/x.dat").touch()
    script.run(script.Config(**options))
    source = open_source(tmp_path / "out")
    stored = [array for _, array in source.arrays("trainA")]
    np.testing.assert_array_equal(stored, given[None])
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["conversions"] and manifest["left_out"] == {".dat files": 1}
