"""Files that other libraries wrote, translated by the identity, read back by the same libraries:
values within half a step of an integer type and 1e-6 of the range of floats, geometry to the bit.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.dicom_files import dataset, enhanced, save, save_series
from tests.test_translating_measurements import identity, values
from tfcyclegan.errors import UserError
from tfcyclegan.networks import make_generator
from tfcyclegan.translation.measured_inputs import find_inputs
from tfcyclegan.translation.measurements import Previews, translate_measurements
from tfcyclegan.translation.tiling import Tiler

nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")
rasterio = pytest.importorskip("rasterio")
tifffile = pytest.importorskip("tifffile")
h5py = pytest.importorskip("h5py")

MediaStorageDirectoryStorage = "1.2.840.10008.1.3.10"

VOLUME = np.random.default_rng(0).integers(-1000, 3000, (5, 6, 7)).astype(np.int16)


def through(place: Path, model, **options) -> Path:
    translate_measurements([model], place / "in", place / "out", **options)
    return place / "out"


def same(low: float, high: float, dtype: str, channels: int = 1, **more):
    known = values(dtype, low, high, channels, **more)
    return identity(known, known)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_nifti(tmp_path, dtype):
    affine = np.array([[0.5, 0.1, 0, -7], [-0.1, 0.5, 0, 3], [0, 0, 2.5, 11], [0, 0, 0, 1.0]])
    given = nibabel.Nifti1Image(VOLUME.astype(dtype), affine)
    (tmp_path / "in" / "sub-01").mkdir(parents=True)
    nibabel.save(given, tmp_path / "in" / "sub-01" / "scan.nii.gz")
    out = through(tmp_path, same(-1000, 3000, dtype), previews=Previews())
    found = nibabel.load(out / "sub-01" / "scan.nii.gz")
    assert found.get_data_dtype() == dtype
    stored = nibabel.load(tmp_path / "in" / "sub-01" / "scan.nii.gz").affine
    np.testing.assert_array_equal(found.affine, stored)
    bound = 0 if dtype == "int16" else 4000 * 1e-6
    assert np.abs(np.asanyarray(found.dataobj) - VOLUME.astype(dtype)).max() <= bound
    assert len(list((out / "previews" / "sub-01").glob("scan.nii.gz_*.png"))) == 7


def test_geotiff(tmp_path):
    (tmp_path / "in").mkdir()
    bands = np.random.default_rng(1).integers(1, 10_000, (4, 70, 50)).astype(np.uint16)
    bands[:, 5:9, :] = 0
    profile = {
        "driver": "GTiff",
        "width": 50,
        "height": 70,
        "count": 4,
        "dtype": "uint16",
        "crs": "EPSG:32633",
        "transform": rasterio.transform.from_origin(500_000, 5_000_000, 10, 10),
        "nodata": 0,
        "tiled": True,
        "blockxsize": 32,
        "blockysize": 16,
        "compress": "deflate",
        "photometric": "MINISBLACK",
    }
    with rasterio.open(tmp_path / "in" / "scene.tif", "w", **profile) as file:
        file.write(bands)
    out = through(tmp_path, same(0, 10_000, "uint16", 4, nodata=0))
    with rasterio.open(out / "scene.tif") as found:
        np.testing.assert_array_equal(found.read(), bands)
        kept = ("crs", "transform", "nodata", "dtype", "blockxsize", "blockysize", "compress")
        with rasterio.open(tmp_path / "in" / "scene.tif") as given:
            for name in kept:
                assert found.profile[name] == given.profile[name], name


def test_dicom_without_endings(tmp_path):
    """A folder of files of 12 bits with a slope and an intercept, in Hounsfield units."""
    pixels = np.random.default_rng(2).integers(0, 4000, (3, 5, 6)).astype(np.uint16)
    scaled = {"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "HU"}
    series = save_series(tmp_path / "in" / "study" / "ct", pixels, **scaled)
    for file in series.iterdir():
        file.rename(file.with_suffix(""))
    out = through(tmp_path, same(-1024, 2976, "int16", units="HU"))
    found = sorted(
        (pydicom.dcmread(path) for path in (out / "study" / "ct").iterdir()),
        key=lambda each: each.ImagePositionPatient[2],
    )
    for each, plane in zip(found, pixels, strict=True):
        units = each.pixel_array * float(each.RescaleSlope) + float(each.RescaleIntercept)
        np.testing.assert_array_equal(units, plane.astype(int) - 1024)
        assert list(each.ImageType[:2]) == ["DERIVED", "SECONDARY"]
        assert [float(side) for side in each.PixelSpacing] == [0.75, 0.5]


def test_several_series_in_a_folder_and_a_directory_of_the_medium(tmp_path, capsys):
    """Each becomes one of its own; DICOMDIR, which has no pixels, is none."""
    pixels = np.random.default_rng(2).integers(0, 4000, (2, 5, 6)).astype(np.uint16)
    for number in range(2):
        save_series(tmp_path / f"{number}", pixels + number, SeriesInstanceUID=f"1.2.{number}")
        for file in (tmp_path / f"{number}").iterdir():
            (tmp_path / "in" / "ct").mkdir(parents=True, exist_ok=True)
            file.rename(tmp_path / "in" / "ct" / f"{number}_{file.name}")
    listed = dataset(pixels[0], SOPClassUID=MediaStorageDirectoryStorage)
    del listed.PixelData, listed.Rows
    save(listed, tmp_path / "in" / "DICOMDIR")
    out = through(tmp_path, same(0, 4001, "uint16"))
    names = sorted(path.name for path in (out / "ct").iterdir())
    assert [path.name for path in out.iterdir() if path.is_dir()] == ["ct"]
    read = {}
    for name in names:
        found = [pydicom.dcmread(path) for path in sorted((out / "ct" / name).iterdir())]
        assert len({each.SeriesInstanceUID for each in found}) == 1
        read[name] = np.stack([each.pixel_array for each in found])
    assert sorted(each[0, 0, 0] - pixels[0, 0, 0] for each in read.values()) == [0, 1]
    told = capsys.readouterr().out
    assert "ct: 2 series, each by itself: " in told and f"{names[0]} (2 slices)" in told
    assert "not used: 1 DICOM files without pixels" in told
    # the names are those of data_prep, and stay
    translate_measurements([same(0, 4001, "uint16")], tmp_path / "in", out)
    assert "0 files translated, 2 already existed" in capsys.readouterr().out


@pytest.mark.parametrize("given", [".", "deeper/.."])
def test_the_current_folder_as_a_series_has_its_own_name(tmp_path, monkeypatch, given):
    """A path of no name of its own would be written over the folder of results, or beside it."""
    pixels = np.random.default_rng(2).integers(0, 4000, (2, 5, 6)).astype(np.uint16)
    series = save_series(tmp_path / "ct", pixels)
    (series / "deeper").mkdir()
    monkeypatch.chdir(series)
    translate_measurements([same(0, 4001, "uint16")], Path(given), tmp_path / "out")
    assert len(list((tmp_path / "out" / "ct").iterdir())) == 2
    for file in save_series(tmp_path / "other", pixels, SeriesInstanceUID="1.2").iterdir():
        file.rename(series / f"other_{file.name}")
    names = list(find_inputs(Path(given))[0])
    assert len(names) == 2 and all(name.startswith("ct/series_") for name in names)


def test_two_series_of_one_name_are_refused(tmp_path):
    for number, folder in enumerate(("ct", "ct/ct")):
        save_series(tmp_path / folder, VOLUME[:2], SeriesInstanceUID=f"1.2.{number}")
    with pytest.raises(UserError, match=r"two series are called ct, .*; rename one"):
        find_inputs(tmp_path / "ct")


def test_a_series_in_a_folder_without_a_name_is_refused(tmp_path, monkeypatch):
    save_series(tmp_path, VOLUME[:2])
    monkeypatch.setattr(Path, "resolve", lambda path: Path("/"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"--input=\.: .* move the files into a folder"):
        find_inputs(Path())


def test_tiff_and_hdf5(tmp_path):
    (tmp_path / "in").mkdir()
    floats = np.random.default_rng(3).uniform(-2, 5, (3, 12, 14)).astype(np.float32)
    tifffile.imwrite(
        tmp_path / "in" / "stack.ome.tif",
        floats,
        photometric="minisblack",
        metadata={"axes": "ZYX", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm"},
    )
    with h5py.File(tmp_path / "in" / "field.h5", "w") as file:
        file["field"] = floats[..., np.newaxis]
    out = through(tmp_path, same(-2, 5, "float32"), options={"axes": "NHWC"})
    with tifffile.TiffFile(out / "stack.ome.tif") as found:
        assert np.abs(found.asarray() - floats).max() <= 7e-6
        assert found.series[0].axes == "ZYX" and 'PhysicalSizeX="0.25"' in found.ome_metadata
    with h5py.File(out / "field.h5") as found:
        assert np.abs(np.squeeze(found["field"][...]) - floats).max() <= 7e-6


def test_a_format_that_cannot_hold_the_result_becomes_another(tmp_path):
    """Floats have no PNG; it is told."""
    imagecodecs = pytest.importorskip("imagecodecs")
    (tmp_path / "in").mkdir()
    given = np.arange(20, dtype=np.uint16).reshape(4, 5) * 100
    (tmp_path / "in" / "deep.png").write_bytes(imagecodecs.png_encode(given))
    out = through(tmp_path, identity(values("uint16", 0, 2000), values("float32", 0, 1)))
    np.testing.assert_allclose(tifffile.imread(out / "deep.tif"), given / 2000, atol=1e-6)
    told = json.loads((out / "translation.json").read_text())["conversions"]
    assert "written as .tif, since .png cannot hold it" in told


def test_a_series_of_several_files_of_frames_becomes_nifti(tmp_path):
    """No series can be derived from it; the files beside it are translated."""
    pixels = np.random.default_rng(2).integers(0, 3000, (2, 5, 6)).astype(np.uint16)
    for number, height in enumerate((4.0, 2.0)):
        frame = enhanced(pixels[number : number + 1], [height], SeriesInstanceUID="1.2.3")
        save(frame, tmp_path / "in" / "a" / f"{number}.dcm")
    np.save(tmp_path / "in" / "b.npy", np.full((5, 6), 7, np.uint16))
    out = through(tmp_path, same(0, 7000, "float32"))
    found = nibabel.load(out / "a.nii.gz")
    assert found.affine[2, 2:].tolist() == [2, 2]
    np.testing.assert_allclose(found.get_fdata().T, 2.0 * pixels[::-1], atol=7e-3)
    np.testing.assert_allclose(np.load(out / "b.npy"), 7, atol=7e-3)
    told = json.loads((out / "translation.json").read_text())["conversions"]
    assert told["written as .nii.gz, since DICOM cannot hold it"] == 1


@pytest.mark.parametrize("tiled", [False, True])
def test_a_series_that_cannot_be_written_stops_no_other(tmp_path, capsys, tiled):
    """Neither one that is refused before its first plane, nor one after its last."""
    pixels = np.random.default_rng(2).integers(0, 4000, (2, 40, 40)).astype(np.uint16)
    for name in ("a.dcm", "c"):
        save_series(tmp_path / "in" / name, pixels)
    nameless = next((tmp_path / "in" / "c").iterdir())
    header = pydicom.dcmread(nameless)
    del header.SOPInstanceUID
    header.save_as(nameless)
    for name in ("b", "d"):
        np.save(tmp_path / "in" / f"{name}.npy", pixels[0])
    network = make_generator("resnet_1blocks", base_filters=4, in_channels=1, out_channels=1)
    tiler = Tiler(network, 24) if tiled else None
    model = dataclasses.replace(same(0, 4000, "float32"), tiler=tiler)
    with pytest.raises(UserError, match=r"^a\.dcm: a series of several files; .* 2 of 4 files"):
        through(tmp_path, model)
    assert sorted(path.name for path in (tmp_path / "out").glob("[a-z]*")) == [
        "b.npy",
        "d.npy",
        "translation.json",
    ]
    told = capsys.readouterr().out
    assert "c: " in told and "cannot derive a series from it" in told
    counted = json.loads((tmp_path / "out" / "translation.json").read_text())["counted_values"]
    assert counted["all"] == 2 * 40 * 40, "of what was written"


def test_a_file_in_other_units_is_refused(tmp_path):
    save_series(tmp_path / "in", VOLUME[:2] + 1000, RescaleSlope=1, RescaleIntercept=-1024)
    with pytest.raises(UserError, match="has values in HU, but the model needs mm"):
        through(tmp_path, same(0, 1, "int16", units="mm"))
