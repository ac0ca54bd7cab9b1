"""GeoTIFF written by rasterio (GDAL), through an identity, read back by rasterio."""

import dataclasses
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

rasterio = pytest.importorskip("rasterio")

from rasterio.control import GroundControlPoint  # noqa: E402
from rasterio.enums import ColorInterp, Resampling  # noqa: E402
from rasterio.rpc import RPC  # noqa: E402
from rasterio.transform import Affine  # noqa: E402

from data_prep import folders  # noqa: E402
from data_prep import geotiff as script  # noqa: E402
from tests.identity import translated, values_of  # noqa: E402
from tfcyclegan.config import Size  # noqa: E402
from tfcyclegan.data.intake import BadPicture  # noqa: E402
from tfcyclegan.data.source import open_source  # noqa: E402
from tfcyclegan.data.values import Values  # noqa: E402
from tfcyclegan.errors import UserError  # noqa: E402
from tfcyclegan.formats import open_measurement  # noqa: E402
from tfcyclegan.formats.base import Window  # noqa: E402
from tfcyclegan.formats.geotiff import GeoTiff  # noqa: E402

ROTATED = Affine(9.999, 0.1, 500000.123, 0.2, -10.0, 5100000.7)
UTM = "EPSG:32632"


def written(path, samples, after=None, **options):
    """A file of samples [C, H, W] by rasterio."""
    count, height, width = samples.shape
    shape = {"count": count, "height": height, "width": width}
    options = {"crs": UTM, "transform": ROTATED, "dtype": samples.dtype, **shape, **options}
    with rasterio.open(path, "w", driver="GTiff", **options) as file:
        file.write(samples)
        if after:
            after(file)
    return path


def read(path):
    """Samples, and everything else that a file says."""
    with rasterio.open(path) as file:
        said = {
            **file.profile,
            "tags": file.tags(),
            "structure": file.tags(ns="IMAGE_STRUCTURE"),
            "roles": file.colorinterp,
            "names": file.descriptions,
            "units": file.units,
            "scales": file.scales,
            "points": [point.asdict() for point in file.gcps[0]],
            "points_crs": file.gcps[1],
            "rpcs": file.rpcs,
            "blocks": file.block_shapes,
        }
        return file.read(), said


def through_identity(path, out, low, high, **options):
    with open_measurement(path, **options) as scene:
        values = dataclasses.replace(values_of(scene, low, high), names=scene.names)
        translated(scene, out, values)


def samples(*shape, dtype="uint16", seed=0):
    drawn = np.random.default_rng(seed).random(shape)
    return (drawn * 60000).astype(dtype) if dtype != "float32" else drawn.astype(dtype)


LAYOUTS = {
    "strips": {},
    "tiles": {"tiled": True, "blockxsize": 32, "blockysize": 16, "compress": "zstd"},
    "planar": {"interleave": "band", "compress": "lzw", "predictor": 2},
    "big-endian": {"ENDIANNESS": "BIG", "nodata": 7},
    "lerc": {"compress": "lerc"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_integers_come_back_with_geometry_and_layout(tmp_path, layout):
    def describe(file):
        file.update_tags(AREA_OR_POINT="Point", MISSION="five", STATISTICS_MEAN="1")
        file.update_tags(1, STATISTICS_MEAN="1")
        file.descriptions = ("blue", "green", "red", "near infrared")
        file.colorinterp = (
            ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined,
        )  # fmt: skip

    source = written(
        tmp_path / "in.tif", samples(4, 50, 40), describe, photometric="MINISBLACK",
        **LAYOUTS[layout],
    )  # fmt: skip
    through_identity(source, tmp_path / "out.tif", 0, 65535)
    before, said = read(source)
    after, says = read(tmp_path / "out.tif")
    np.testing.assert_array_equal(after, before)
    del said["tags"]["STATISTICS_MEAN"]
    assert says == said
    order = [(tmp_path / name).read_bytes()[:2] for name in ("in.tif", "out.tif")]
    assert order[0] == order[1]


def test_floats_come_back_to_a_millionth_of_the_range_and_gaps_stay(tmp_path):
    given = samples(2, 20, 30, dtype="float32") * 500 - 200
    given[0, :3] = -9999
    given[1, 4, 5] = np.nan
    source = written(
        tmp_path / "in.tif", given, nodata=-9999, tiled=True, blockxsize=16, blockysize=16,
        compress="deflate", predictor=3,
    )  # fmt: skip
    through_identity(source, tmp_path / "out.tif", -200, 300)
    after, says = read(tmp_path / "out.tif")
    gaps = (given == -9999) | np.isnan(given)
    assert np.abs(after - given)[~gaps].max() <= 1e-6 * 500
    assert (after[gaps] == -9999).all() and says["nodata"] == -9999
    assert says["structure"]["PREDICTOR"] == "3"


def test_gaps_below_lerc_are_gaps(tmp_path):
    """tifffile would read them as 0; its own files go to GDAL too."""
    given = samples(1, 20, 30, dtype="float32")[0]
    given[:3] = np.nan
    tifffile.imwrite(tmp_path / "in.tif", given, compression="lerc")
    with open_measurement(tmp_path / "in.tif") as scene:
        np.testing.assert_array_equal(scene.read()[..., 0], given)


def test_half_precision_is_read_and_written_as_such(tmp_path):
    given = samples(1, 8, 9, dtype="float32").astype(np.float16)
    source = written(tmp_path / "in.tif", given.astype(np.float32), NBITS=16)
    with open_measurement(source) as scene:
        assert scene.dtype == np.float16
        np.testing.assert_array_equal(scene.read()[..., 0], given[0])
    through_identity(source, tmp_path / "out.tif", 0, 1)
    with rasterio.open(tmp_path / "out.tif") as file:
        assert file.tags(1, ns="IMAGE_STRUCTURE")["NBITS"] == "16"
        assert np.abs(file.read(1) - given[0]).max() <= 2**-11


def test_scale_and_offset_are_applied_and_written_no_more(tmp_path):
    def scale(file):
        file.scales, file.offsets, file.units = (0.01, 0.5), (-5, 0), ("K", "K")

    raw = samples(2, 6, 7)
    raw[0, 0, 0] = 3
    source = written(tmp_path / "in.tif", raw, scale, nodata=3)
    with open_measurement(source) as scene:
        assert (scene.dtype, scene.units) == (np.float32, "K")
        found = scene.read()
        assert np.isnan(found[0, 0, 0]) and np.isnan(scene.nodata)
        np.testing.assert_allclose(found[1:, :, 0], raw[0, 1:] * 0.01 - 5, rtol=1e-6)
        np.testing.assert_allclose(found[1:, :, 1], raw[1, 1:] * 0.5, rtol=1e-6)
        assert "scale and offset of the file applied, read as float32" in scene.notes
    through_identity(source, tmp_path / "out.tif", -5, 40000)
    after, says = read(tmp_path / "out.tif")
    assert says["scales"] == (1, 1) and says["units"] == ("K", "K") and np.isnan(says["nodata"])
    assert np.isnan(after[0, 0, 0])


def test_overviews_of_other_values_are_never_read(tmp_path):
    ids = np.repeat(np.repeat(np.arange(16, dtype=np.uint8).reshape(1, 4, 4), 8, 1), 8, 2) * 10
    source = written(tmp_path / "in.tif", ids, tiled=True, blockxsize=16, blockysize=16)
    with rasterio.open(source, "r+") as file:
        file.build_overviews([2, 4], Resampling.average)
    with open_measurement(source) as scene:
        np.testing.assert_array_equal(scene.read()[..., 0], ids[0])
        window = Window(3, 5, 20, 31)
        np.testing.assert_array_equal(scene.read(0, window)[..., 0], ids[0, 3:20, 5:31])
        assert "overviews" in scene.notes


def test_a_mask_beside_the_bands_makes_gaps(tmp_path):
    given = samples(3, 6, 8)
    hidden = np.zeros((6, 8), bool)
    hidden[:2, :3] = True
    source = written(tmp_path / "in.tif", given, lambda file: file.write_mask(~hidden))
    with open_measurement(source) as scene:
        found = scene.read()
    assert found.dtype == np.float32 and np.isnan(found[hidden]).all()
    np.testing.assert_array_equal(found[~hidden], np.moveaxis(given, 0, -1)[~hidden])


def test_near_infrared_that_is_declared_transparency_hides_nothing_unless_asked(tmp_path):
    given = samples(4, 5, 6, dtype="uint8", seed=1)
    given[3, 0] = 0
    source = written(tmp_path / "in.tif", given)  # GDAL declares the fourth of four bytes alpha
    with pytest.raises(BadPicture, match="band 4 of 4 is declared as transparency; --alpha_band"):
        open_measurement(source)
    with open_measurement(source, alpha_band="values") as scene:
        np.testing.assert_array_equal(scene.read(), np.moveaxis(given, 0, -1))
    with open_measurement(source, alpha_band="mask") as scene:
        found = scene.read()
        assert scene.shape.channels == 3 and np.isnan(found[0]).all()
        assert not np.isnan(found[given[3] > 0]).any()
    through_identity(source, tmp_path / "out.tif", 0, 255, alpha_band="values")
    after, says = read(tmp_path / "out.tif")
    np.testing.assert_array_equal(after, given)
    assert ColorInterp.alpha not in says["roles"] and ColorInterp.red in says["roles"]
    assert says["roles"][3] == ColorInterp.undefined


def test_bands_that_are_not_rgba_get_no_colours(tmp_path):
    source = written(tmp_path / "in.tif", samples(1, 5, 6))
    with open_measurement(source) as scene:
        values = Values("uint8", (0.0,) * 4, (255.0,) * 4)
        with scene.create(tmp_path / "out.tif", values) as out:
            out.write(np.full((5, 6, 4), 9, np.uint8))
    with rasterio.open(tmp_path / "out.tif") as file:
        assert ColorInterp.alpha not in file.colorinterp
        assert file.dataset_mask().all() and (file.read(4) == 9).all()


def test_control_points_and_rpcs_are_kept(tmp_path):
    points = [
        GroundControlPoint(row, column, 7 + column / 9, 45 - row / 7, 100.5)
        for row, column in ((0, 0), (0, 5), (6, 0), (6, 5))
    ]
    coefficients = list(np.linspace(-1, 1, 20))
    rpcs = RPC(
        err_bias=1.5, err_rand=0.5, height_off=1, height_scale=2, lat_off=3, lat_scale=4,
        line_den_coeff=coefficients, line_num_coeff=coefficients, line_off=5, line_scale=6,
        long_off=7, long_scale=8, samp_den_coeff=coefficients, samp_num_coeff=coefficients,
        samp_off=9, samp_scale=10,
    )  # fmt: skip

    def place(file):
        file.gcps = points, rasterio.crs.CRS.from_epsg(4326)
        file.rpcs = rpcs

    source = written(tmp_path / "in.tif", samples(2, 6, 5), place, crs=None, transform=None)
    through_identity(source, tmp_path / "out.tif", 0, 65535)
    said, says = read(source)[1], read(tmp_path / "out.tif")[1]
    assert says == said and len(says["points"]) == 4 and says["rpcs"].samp_scale == 10
    with open_measurement(source) as scene:
        assert scene.identity() == {"coordinate system": "EPSG:4326"}
        assert "no coordinate system" not in scene.notes


def test_lossy_compression_is_not_used_again_which_is_told(tmp_path):
    source = written(
        tmp_path / "in.tif", samples(3, 16, 16, dtype="uint8"), compress="jpeg", photometric="RGB"
    )
    before = read(source)[0]
    through_identity(source, tmp_path / "out.tif", 0, 255)
    after, says = read(tmp_path / "out.tif")
    np.testing.assert_array_equal(after, before)
    assert says["compress"] == "deflate"
    with open_measurement(source) as scene:
        assert "jpeg compression, written back as deflate, which loses nothing" in scene.notes


def test_numbers_that_float32_cannot_hold_are_refused(tmp_path):
    wide = np.full((1, 4, 4), 16_777_217, np.int32)
    wide[0, 0] = -2147483648
    source = written(tmp_path / "in.tif", wide, nodata=-2147483648)
    with open_measurement(source) as scene:
        assert np.isnan(scene.read(0, Window(0, 0, 1, 4))).all()
        with pytest.raises(BadPicture, match="holds 16777217"):
            scene.read()


def test_values_out_of_range_end_at_its_limits_and_never_wrap(tmp_path):
    source = written(tmp_path / "in.tif", samples(1, 1, 4))
    with open_measurement(source) as scene:
        values = values_of(scene, 0, 65535)
        with scene.create(tmp_path / "out.tif", values) as out:
            seen = np.array([-3, 0.0, 1, 1.5], np.float32).reshape(1, 4, 1)
            out.write(values.from_network(seen))
            with pytest.raises(TypeError, match="values of float64 for a file of uint16"):
                out.write(np.full((1, 4, 1), 70000.0))
    assert read(tmp_path / "out.tif")[0].tolist() == [[[0, 32768, 65535, 65535]]]


def test_windows_are_read_by_several_threads_at_once(tmp_path):
    given = samples(2, 64, 64)
    source = written(tmp_path / "in.tif", given, tiled=True, blockxsize=16, blockysize=16)
    places = [Window(top, 5, top + 9, 60) for top in range(0, 55, 2)] * 4
    with open_measurement(source) as scene, ThreadPoolExecutor(4) as executor:
        for place, found in zip(
            places, executor.map(lambda place: scene.read(0, place), places), strict=True
        ):
            wanted = given[:, place.top : place.bottom, place.left : place.right]
            np.testing.assert_array_equal(found, np.moveaxis(wanted, 0, -1))


def test_an_unfinished_file_leaves_nothing(tmp_path):
    source = written(tmp_path / "in.tif", samples(1, 4, 4))
    with (
        open_measurement(source) as scene,
        pytest.raises(ZeroDivisionError),
        scene.create(tmp_path / "out.tif", values_of(scene, 0, 1)) as out,
    ):
        out.write(scene.read())
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["in.tif"]


def test_damaged_files_and_tables_of_colours_are_refused(tmp_path):
    source = written(tmp_path / "in.tif", samples(1, 40, 40), compress="deflate")
    content = source.read_bytes()
    cut = tmp_path / "cut.tif"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadPicture, match="damaged") as error, GeoTiff(cut) as scene:
        scene.read()
    assert "\n" not in str(error.value)
    coloured = written(
        tmp_path / "ids.tif", samples(1, 4, 4, dtype="uint8"),
        lambda file: file.write_colormap(1, {0: (1, 2, 3, 255)}),
    )  # fmt: skip
    with pytest.raises(BadPicture, match="class ids with a colour table"):
        open_measurement(coloured)


# of the whole data path: data_prep.geotiff


def prepare(root, out, **options):
    script.run(script.Config(input_dir=str(root), output_dir=str(out), **options))
    return json.loads((out / "manifest.json").read_text())


def scenes(root, **of_b):
    for name, options in (("trainA", {}), ("trainB", of_b)):
        (root / name).mkdir(parents=True)
        written(root / name / "s.tif", samples(4, 20, 26), photometric="MINISBLACK", **options)
    return root


def test_scenes_are_cut_by_windows_that_miss_no_pixel(tmp_path):
    manifest = prepare(
        scenes(tmp_path / "in"), tmp_path / "out", tile=Size(8, 8), stride=Size(6, 8)
    )
    with rasterio.open(tmp_path / "in/trainA/s.tif") as file:
        whole = np.moveaxis(file.read(), 0, -1)
    seen = np.zeros(whole.shape[:2], bool)
    stored = dict(open_source(tmp_path / "out").arrays("trainA"))
    for name, array in stored.items():
        top, left = (int(part[1:]) for part in name.removesuffix(".tif").split("_")[1:])
        np.testing.assert_array_equal(array, whole[top : top + 8, left : left + 8])
        seen[top : top + 8, left : left + 8] = True
    assert seen.all() and len(stored) == 3 * 4  # rows at 0, 6, 12; columns at 0, 8, 16, 18
    assert manifest["groups"]["trainA"] == ["trainA/s"]


def test_a_scene_is_closed_once_no_thread_reads_it(tmp_path, monkeypatch):
    """As when one tile is damaged while others are being read."""
    events, reading, go_on = [], threading.Event(), threading.Event()
    scene = open_measurement(written(tmp_path / "s.tif", samples(1, 8, 8)))
    file = scene._file

    class Slow:
        def read(self, *bands, **window):
            reading.set()
            assert go_on.wait(60)
            array = file.read(*bands, **window)
            events.append("read")
            return array

        def close(self):
            file.close()
            events.append("closed")

    monkeypatch.setattr(scene, "_file", Slow())
    with ThreadPoolExecutor(2) as pool:
        read = pool.submit(scene.read)
        assert reading.wait(60)
        closed = pool.submit(scene.close)
        with pytest.raises(TimeoutError):
            closed.result(0.2)
        go_on.set()
        np.testing.assert_array_equal(read.result()[..., 0], samples(1, 8, 8)[0])
    assert events == ["read", "closed"]
    with pytest.raises(BadPicture, match=r"Dataset is closed"):
        scene.read()


def test_coordinate_systems_that_differ_are_refused_by_name(tmp_path):
    root = scenes(tmp_path / "in")
    written(root / "trainA/t.tif", samples(4, 20, 26), photometric="MINISBLACK", crs="EPSG:32633")
    with pytest.raises(UserError, match=r"trainA/t.tif: coordinate system is EPSG:32633") as error:
        prepare(root, tmp_path / "out")
    assert "EPSG:32632 in trainA/s.tif" in str(error.value) and "\n" not in str(error.value)


def test_scenes_without_any_measurement_are_refused_by_name(tmp_path):
    root = scenes(tmp_path / "in", nodata=0)
    empty = np.zeros((4, 20, 26), np.uint16)
    written(root / "trainB/t.tif", empty, photometric="MINISBLACK", nodata=0)
    with pytest.raises(UserError, match=r"trainB/t.tif: holds no measurement at all"):
        prepare(root, tmp_path / "out", tile=Size(8, 8))


def test_a_stride_between_whose_windows_pixels_would_be_lost_is_refused():
    with pytest.raises(UserError, match="--stride=9"):
        script.Config(input_dir="in", output_dir="out", tile=Size(8, 8), stride=Size(9, 9))


def test_complex_numbers_of_whole_parts_are_refused(tmp_path):
    """A type that NumPy lacks, as radar has it."""
    radar = written(tmp_path / "slc.tif", samples(1, 4, 4), dtype="complex_int16")
    with pytest.raises(BadPicture, match="values of complex_int16, no real numbers"):
        open_measurement(radar)


def test_a_nodata_that_some_files_do_not_tell_is_told(tmp_path, capsys):
    scenes(tmp_path / "root")
    written(tmp_path / "root/trainA/t.tif", samples(4, 20, 26, seed=1), nodata=7,
            photometric="MINISBLACK")  # fmt: skip
    prepare(tmp_path / "root", tmp_path / "out", name="scenes")
    told = "1 of 2 files tell no nodata, such as trainA/s.tif; 7 is taken for a gap there too"
    assert told in capsys.readouterr().out


def test_aligned_scenes_lie_at_one_place(tmp_path):
    scenes(tmp_path / "root", transform=ROTATED @ ROTATED.translation(0, 5))
    with pytest.raises(UserError, match=r"trainB/s\.tif lies \S+ pixels away"):
        prepare(tmp_path / "root", tmp_path / "out", aligned=True)


@pytest.mark.parametrize("ending", [".tif.msk", ".tif.aux.xml", ".tfw"])
def test_a_file_beside_a_scene_is_used_and_part_of_the_request(tmp_path, capsys, ending):
    scenes(tmp_path / "root")
    prepare(tmp_path / "root", tmp_path / "out")
    (tmp_path / "root/trainA/notes.txt").touch()
    beside = tmp_path / f"root/trainA/s{ending}"
    if ending == ".tfw":
        beside.write_text("1\n0\n0\n-1\n0\n0\n")
    elif ending == ".tif.msk":
        hidden = np.full((1, 20, 26), 255, np.uint8)
        hidden[0, :10] = 0
        written(beside, hidden, lambda file: file.update_tags(INTERNAL_MASK_FLAGS_1=2))
    else:
        nodata = int(samples(4, 20, 26)[0, 0, 0])
        beside.write_text(
            f'<PAMDataset><PAMRasterBand band="1"><NoDataValue>{nodata}</NoDataValue>'
            "</PAMRasterBand></PAMDataset>"
        )
    with pytest.raises(UserError, match="trainA: the input has changed"):
        prepare(tmp_path / "root", tmp_path / "out")
    capsys.readouterr()
    made = prepare(tmp_path / "root", tmp_path / "new")
    assert made["left_out"] == {".txt files": 1}
    assert beside.name not in capsys.readouterr().out
    assert ("invalid" in made["counted_values"]["trainA"]) == (ending != ".tfw")


def test_a_mask_beside_a_plain_tiff_is_used_by_folders(tmp_path):
    for name in ("trainA", "trainB"):
        (tmp_path / "root" / name).mkdir(parents=True)
        tifffile.imwrite(tmp_path / "root" / name / "s.tif", samples(20, 26))
        (tmp_path / "root" / name / "s.png.aux.xml").touch()  # of no TIFF
    hidden = np.full((1, 20, 26), 255, np.uint8)
    hidden[0, 0, :4] = 0
    mask = tmp_path / "root/trainA/s.tif.msk"
    written(mask, hidden, lambda file: file.update_tags(INTERNAL_MASK_FLAGS_1=2))
    folders.run(
        folders.Config(input_dir=f"{tmp_path}/root", output_dir=f"{tmp_path}/out", depth="keep")
    )
    made = json.loads((tmp_path / "out/manifest.json").read_text())
    assert made["left_out"] == {".xml files": 2}
    assert made["counted_values"]["trainA"]["invalid"] == 4
