"""Files of measurements through a translator: values, gaps, geometry and names come out as they
came in.
"""

import errno
import json
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from data_prep import arrays
from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.source import open_source
from tfcyclegan.data.values import Values
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.networks import make_generator
from tfcyclegan.translation.measured_files import MeasuredFile
from tfcyclegan.translation.measured_splits import translate_measured_split
from tfcyclegan.translation.measurements import Previews, translate_measurements
from tfcyclegan.translation.tiling import Tiler
from tfcyclegan.translation.translators import Translator, as_function, translate_path
from tfcyclegan.translation.value_pair import ValuePair


def identity(source: Values, target: Values | None, take: slice = slice(None)) -> Translator:
    """Gives what it gets, of the channels `take`."""
    return Translator(
        {"checkpoint": "step-1"},
        source.channels,
        4,
        lambda batch: batch[..., take],
        values=ValuePair(source, target),
    )


def values(dtype: str, low: float, high: float, channels: int = 1, **more) -> Values:
    return Values(dtype, (low,) * channels, (high,) * channels, **more)


def read(path: Path) -> np.ndarray:
    return np.load(path)


@pytest.fixture
def given(tmp_path) -> Path:
    """The input folder."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def record(folder: Path) -> dict:
    return json.loads((folder / "translation.json").read_text())


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("uint16", 0, 65535), ("int16", -1024, 3071), ("uint8", 0, 255), ("float32", -3.5, 1e4)],
)
def test_values_come_back_as_they_were(dtype, low, high, tmp_path):
    """Half a step of integers, 1e-6 of the range of floats."""
    numbers = np.random.default_rng(0).uniform(low, high, (3, 9, 13, 2)).astype(dtype)
    np.save(tmp_path / "in.npy", numbers)
    model = identity(*[values(dtype, low, high, 2)] * 2)
    translate_measurements([model], tmp_path / "in.npy", tmp_path / "out")
    found = read(tmp_path / "out" / "in.npy")
    assert found.dtype == dtype and found.shape == numbers.shape
    bound = 1e-6 * (high - low) if dtype == "float32" else 0
    assert np.abs(found.astype(np.float64) - numbers).max() <= bound


def test_from_units_to_units_with_gaps_and_what_is_clipped(given, tmp_path, capsys):
    """By hand: 0..10 counts to -100..100 degrees; what is outside is clipped, gaps stay gaps."""
    scene = np.array([[0, 5, 10], [20, 65535, 2]], np.uint16)
    np.save(given / "scene.npy", scene)
    model = identity(
        values("uint16", 0, 10, nodata=65535), values("float32", -100, 100, units="degrees")
    )
    translate_measurements([model], given, tmp_path / "out")
    np.testing.assert_allclose(
        read(tmp_path / "out" / "scene.npy"), [[-100, 0, 100], [100, np.nan, -60]], atol=1e-4
    )
    assert record(tmp_path / "out")["counted_values"] == {"all": 6, "invalid": 1, "clipped": 1}
    told = capsys.readouterr().out
    assert "1 of 5 values (20 %) were outside the training's range" in told
    assert "1 of 6 values are missing measurements and remain missing" in told
    # a rerun keeps what is there, and tells the same
    translate_measurements([model], given, tmp_path / "out")
    assert "0 files translated, 1 already existed" in capsys.readouterr().out
    assert record(tmp_path / "out")["counted_values"] == {"all": 6, "invalid": 1, "clipped": 1}


def test_results_inside_the_input_are_not_translated_again(given, capsys):
    np.save(given / "a.npy", np.zeros((4, 4), np.float32))
    model = identity(*[values("float32", 0, 1)] * 2)
    for _ in range(2):
        translate_measurements([model], given, given / "out", previews=Previews())
    made = sorted(path.name for path in (given / "out").rglob("*[a-z]") if path.is_file())
    assert [name for name in made if "a.npy" in name] == ["a.npy", "a.npy.png"]
    told = capsys.readouterr().out
    assert told.count("not used: 1 folders of results (--output)") == 1
    assert "0 files translated, 1 already existed" in told


@pytest.mark.parametrize(
    ("target", "written", "told"),
    [
        (("int16", -1024, 100), [100, -1024], "are -1024 in the translation: its type has no NaN"),
        (("uint8", -1000, 100), [100, 0], "are 0 in the translation: its type has no NaN"),
        (("float32", 0, 9), [9, np.nan], "remain missing"),
        (None, [255, 0], "are black in the translation"),
    ],
)
def test_what_becomes_of_a_gap_is_told(target, written, told, given, tmp_path, capsys):
    """Also where a translation's type can neither mark it nor hold the end of its range."""
    np.save(given / "a.npy", np.array([[1, np.nan]], np.float32))
    translate_measurements(
        [identity(values("float32", 0, 1), target and values(*target))], given, tmp_path / "out"
    )
    (made,) = (tmp_path / "out").glob("a.[np]*")
    found = np.asarray(Image.open(made)) if target is None else read(made)
    np.testing.assert_array_equal(found, [written])
    assert f"1 of 2 values are missing measurements and {told}" in capsys.readouterr().out
    notes = [n for n in record(tmp_path / "out")["conversions"] if "missing" in n]
    assert bool(notes) == ("its type" in told)
    assert all(note.startswith(f"with missing measurements, which {told}") for note in notes)


def test_planes_with_neighbours_give_the_plane_in_the_middle(given, tmp_path):
    """Beyond the ends the first and last plane stand, as in preparing."""
    volume = np.arange(4, dtype=np.float32)[:, None, None, None] * np.ones((4, 6, 5, 1), np.float32)
    np.save(given / "v.npy", volume)
    stack = values("float32", 0, 3, 3, neighbours=1)
    model = identity(stack, values("float32", 0, 3), slice(2, 3))  # the plane behind
    translate_measurements([model], given, tmp_path / "behind")
    assert read(tmp_path / "behind" / "v.npy")[:, 0, 0, 0].tolist() == [1, 2, 3, 3]
    translate_measurements([identity(stack, stack)], given, tmp_path / "middle")
    np.testing.assert_allclose(read(tmp_path / "middle" / "v.npy"), volume, atol=1e-6)


def test_pictures_of_a_target_without_values(given, tmp_path, capsys):
    np.save(given / "v.npy", np.stack([np.zeros((5, 4, 3)), np.full((5, 4, 3), 9)]).astype("f4"))
    np.save(given / "one.npy", np.full((5, 4, 3), np.nan, np.float32))
    model = identity(values("float32", 0, 9, 3), None)
    translate_measurements([model], given, tmp_path / "out")
    found = {
        path.name: images.to_array(images.Image.open(path))
        for path in (tmp_path / "out").glob("*.png")
    }
    assert sorted(found) == ["one.png", "v_0001.png", "v_0002.png"]
    assert [int(found[name].max()) for name in sorted(found)] == [0, 0, 255]
    translate_measurements([model], given, tmp_path / "out")
    assert "0 files translated, 2 already existed" in capsys.readouterr().out


def test_two_files_of_one_result_are_refused(given, tmp_path):
    """Plane 1 of v.npy, and v_0001.npy."""
    np.save(given / "v.npy", np.zeros((2, 5, 4, 1), np.float32))
    np.save(given / "v_0001.npy", np.zeros((5, 4), np.float32))
    told = r"v.npy and v_0001.npy would both become v_0001.png; rename one"
    with pytest.raises(UserError, match=told):
        translate_measurements([identity(values("float32", 0, 1), None)], given, tmp_path / "out")


@pytest.mark.parametrize("ending", [".npy", ".tif"])
def test_pictures_become_arrays(given, tmp_path, ending):
    """Of the first channel by hand: 0, 51 and 255 of 255 are -10, 0 and 40."""
    picture = np.zeros((4, 3, 3), np.uint8)
    picture[..., 0] = [0, 51, 255]
    images.to_image(picture).save(given / "a.png")
    model = Translator(
        {}, 3, 4, lambda batch: batch[..., :1], values=ValuePair(None, values("float32", -10, 40))
    )
    translate_path([model], given, tmp_path / "out", arrays=ending)
    path = tmp_path / "out" / f"a{ending}"
    found = read(path)[..., 0] if ending == ".npy" else tifffile.imread(path)
    np.testing.assert_allclose(found, [[-10, 0, 40]] * 4, atol=1e-5)


def test_bad_files_are_named_when_the_others_are_done(given, tmp_path, capsys):
    np.save(given / "good.npy", np.zeros((4, 4), np.float32))
    np.save(given / "two.npy", np.zeros((4, 4, 2), np.float32))
    (given / "cut.npy").write_bytes(b"\x93NUMPY")
    (given / "notes.txt").write_text("")
    model = identity(*[values("float32", 0, 1)] * 2)
    with pytest.raises(UserError, match="2 of 3 files could not be read") as raised:
        translate_measurements([model], given, tmp_path / "out")
    assert str(raised.value).startswith("cut.npy: not a NumPy array")
    assert "two.npy: has 2 channels, but the model needs 1" in capsys.readouterr().out
    assert (tmp_path / "out" / "good.npy").exists()
    assert record(tmp_path / "out")["left_out"] == {
        ".txt files": 1,
        "files that could not be read": 2,
    }
    with pytest.raises(UserError, match=r"has 2 channels, but the model needs 1"):
        translate_measurements([model], given / "two.npy", tmp_path / "two")


def test_a_volume_that_turns_out_to_be_damaged_stops_no_other(given, tmp_path, monkeypatch):
    """Its later planes are still being read when the first is known to be bad."""
    read_plane = MeasuredFile.read

    def late(file: MeasuredFile, plane: int, window=None) -> np.ndarray:
        time.sleep(0.2 if file.name.startswith("cut") and plane > 5 else 0)
        return read_plane(file, plane, window)

    monkeypatch.setattr(MeasuredFile, "read", late)
    noise = np.random.default_rng(0).normal(0, 1, (8, 8, 12)).astype(np.float32)
    for name in ("cut.nii.gz", "good.nii.gz"):
        nibabel.save(nibabel.Nifti1Image(noise, np.eye(4)), given / name)
    content = (given / "cut.nii.gz").read_bytes()
    (given / "cut.nii.gz").write_bytes(content[: len(content) // 2])
    model = identity(*[values("float32", -9, 9)] * 2)
    with pytest.raises(
        UserError, match=r"cut\.nii\.gz: damaged, .* 1 of 2 files could not be read"
    ):
        translate_measurements([model], given, tmp_path / "out")
    made = nibabel.load(tmp_path / "out" / "good.nii.gz").get_fdata()
    np.testing.assert_allclose(made, noise, atol=1e-5)
    assert not (tmp_path / "out" / "cut.nii.gz").exists()


def test_nothing_is_left_of_a_file_whose_model_gives_no_numbers(given, tmp_path):
    np.save(given / "v.npy", np.zeros((3, 4, 4, 1), np.float32))
    source = values("float32", 0, 1)

    def broken(batch: np.ndarray) -> np.ndarray:
        return batch * np.nan

    model = Translator({}, 1, 4, broken, values=ValuePair(source, source))
    with pytest.raises(
        RunError, match=r"v\.npy, plane [123]: the model's output has values that are not finite"
    ):
        translate_measurements([model], given, tmp_path / "out")
    assert not [path for path in (tmp_path / "out").iterdir() if "npy" in path.name]


def test_training_s_scale_keeps_the_pixels_of_the_input(given, tmp_path):
    """Resized for the network, and back."""
    slope = np.linspace(0, 1, 24, dtype=np.float32)[None, :] * np.ones((16, 1), np.float32)
    np.save(given / "slope.npy", slope)
    source, sizes = values("float32", 0, 1), []

    def seen(batch: np.ndarray) -> np.ndarray:
        sizes.append(batch.shape[1:3])
        return batch

    model = Translator({}, 1, 4, seen, values=ValuePair(source, source))
    scale = images.Scale("resize_and_crop", Size(32, 48), Size(32, 32))
    translate_measurements([model], given, tmp_path / "out", scale=scale)
    assert sizes == [(32, 48)]
    np.testing.assert_allclose(read(tmp_path / "out" / "slope.npy"), slope, atol=0.02)
    (note,) = record(tmp_path / "out")["conversions"]
    assert note == "resized as in training, and the translation resized back"


def test_a_training_that_resized_nothing_leaves_sides_alone(given, tmp_path):
    """They are no multiples of 4, and mirrored up to one inside."""
    np.save(given / "odd.npy", np.zeros((17, 21), np.float32))
    source, sizes = values("float32", 0, 1), []

    def seen(batch: np.ndarray) -> np.ndarray:
        sizes.append(batch.shape[1:3])
        return batch

    model = Translator({}, 1, 4, seen, values=ValuePair(source, source))
    scale = images.Scale("none", Size(32, 48), Size(32, 32))
    translate_measurements([model], given, tmp_path / "out", scale=scale)
    assert sizes == [(20, 24)] and read(tmp_path / "out" / "odd.npy").shape == (17, 21)
    assert record(tmp_path / "out")["conversions"] == {}


def test_nodata_of_the_training_that_a_file_cannot_hold_is_none_of_it(given, tmp_path):
    """-32768 as uint8 would be 0."""
    np.save(given / "a.npy", np.array([[0, 200]], np.uint8))
    model = identity(values("int16", 0, 200, nodata=-32768), values("float32", 0, 1))
    translate_measurements([model], given, tmp_path / "out")
    np.testing.assert_allclose(read(tmp_path / "out" / "a.npy"), [[0, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "declared", "gaps"),
    [
        ("float32", None, [False, True, False, False]),
        ("float32", np.nan, [False, True, False, False]),
        ("float32", 5, [False, True, True, False]),
        ("int16", 5, [False, True, True, False]),
        ("uint8", 5, [False, False, True, False]),
    ],
)
def test_gaps_are_the_training_s_and_those_that_the_file_declares(
    given, tmp_path, dtype, declared, gaps
):
    """As in preparation, where both become gaps; uint8 cannot hold the training's."""
    scene = np.array([[1, 2 if dtype == "uint8" else -9999, 5, 2]], dtype)
    rasterio = pytest.importorskip("rasterio")
    profile = {"driver": "GTiff", "height": 1, "width": 4, "count": 1, "dtype": dtype}
    place = rasterio.transform.from_origin(500_000, 5_000_000, 10, 10)
    with rasterio.open(
        given / "a.tif", "w", nodata=declared, crs="EPSG:32633", transform=place, **profile
    ) as file:
        file.write(scene[np.newaxis])
    model = identity(values("float32", 0, 10, nodata=-9999), values("float32", 0, 10))
    translate_measurements([model], given, tmp_path / "out")
    with rasterio.open(tmp_path / "out" / "a.tif") as file:
        np.testing.assert_allclose(file.read(1), np.where(gaps, np.nan, scene), atol=1e-5)
    notes = record(tmp_path / "out")["conversions"]
    told = [note for note in notes if "nodata" in note]
    both = declared == 5 and dtype != "uint8"
    assert told == (["of nodata 5, where the training's was -9999; both are gaps"] if both else [])


@pytest.mark.parametrize("tiled", [False, True])
def test_a_full_disk_is_not_blamed_on_the_file(given, tmp_path, monkeypatch, tiled):
    def full(self, values, plane, top=0):
        raise OSError(errno.ENOSPC, "No space left on device")

    np.save(given / "scene.npy", np.random.default_rng(0).random((40, 40)).astype(np.float32))
    network = make_generator("resnet_1blocks", base_filters=4, in_channels=1, out_channels=1)
    pair = ValuePair(values("float32", 0, 1), values("float32", 0, 1))
    tiler = Tiler(network, 24) if tiled else None
    model = Translator({}, 1, 4, as_function(network), tiler, values=pair)
    monkeypatch.setattr("tfcyclegan.translation.measured_files.MeasuredFile.write", full)
    with pytest.raises(OSError, match="No space left on device"):
        translate_measurements([model], given, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir() if path.suffix == ".npy"] == []


def test_scenes_in_tiles_are_those_of_the_whole_network(given, tmp_path):
    """Four channels of uint16 of an odd size, read and written by windows; seams within 1e-4."""
    network = make_generator(
        "resnet_1blocks",
        in_channels=4,
        out_channels=2,
        base_filters=4,
        init="kaiming",
        init_gain=1.0,
        seed=0,
    )
    scene = np.random.default_rng(0).integers(1, 10_000, (61, 75, 4)).astype(np.uint16)
    scene[20:30, 40:50] = 0
    np.save(given / "scene.npy", scene)
    pair = ValuePair(values("uint16", 0, 10_000, 4, nodata=0), values("float32", -1, 1, 2))
    for name, tiler in (("whole", None), ("tiled", Tiler(network, 24))):
        model = Translator({}, 4, 4, as_function(network), tiler, values=pair)
        translate_measurements([model], given / "scene.npy", tmp_path / name, previews=Previews())
    whole, tiled = (read(tmp_path / name / "scene.npy") for name in ("whole", "tiled"))
    assert tiled.shape == (61, 75, 2) and np.nanstd(whole) > 0.1
    assert np.isnan(whole[20:30, 40:50]).all() and np.isnan(whole).sum() == 200
    np.testing.assert_allclose(tiled, whole, atol=2e-4)
    counts = [record(tmp_path / name)["counted_values"] for name in ("whole", "tiled")]
    assert counts[0] == counts[1] == {"all": 61 * 75 * 4, "invalid": 400, "clipped": 0}
    shown = [
        images.to_array(images.Image.open(tmp_path / name / "previews" / "scene.npy.png"))
        for name in ("whole", "tiled")
    ]
    assert shown[0].shape == (61, 75, 3) and (shown[0][25, 45] == (255, 0, 255)).all()
    assert np.abs(shown[0].astype(int) - shown[1]).max() <= 1
    with pytest.raises(UserError, match="--scale=original keeps their size"):
        translate_measurements(
            [model],
            given / "scene.npy",
            tmp_path / "scaled",
            scale=images.Scale("resize_and_crop", Size(32, 32), Size(32, 32)),
        )


@pytest.mark.parametrize("ending", [".npy", ".nii"])
def test_scenes_are_as_large_as_before_where_a_u_net_sees_them_mirrored_over_whole_tiles(
    given, tmp_path, ending
):
    """Of a plane of 260x70, which it sees as 512x256, 22 of 32 tiles of 64 lie beyond."""
    network = make_generator(
        "unet_256",
        base_filters=1,
        in_channels=1,
        out_channels=1,
        init="kaiming",
        init_gain=1.0,
        seed=0,
    )
    scene = np.random.default_rng(0).normal(0, 1, (260, 70)).astype(np.float32)
    if ending == ".npy":
        np.save(given / "scene.npy", scene)
    else:
        nibabel.save(nibabel.Nifti1Image(scene[..., np.newaxis], np.eye(4)), given / "scene.nii")
    pair = ValuePair(*[values("float32", -3, 3)] * 2)
    for name, tiler in (("whole", None), ("tiled", Tiler(network, 64))):
        model = Translator({}, 1, 256, as_function(network), tiler, values=pair)
        translate_measurements([model], given, tmp_path / name, previews=Previews())
    load = read if ending == ".npy" else lambda path: nibabel.load(path).get_fdata()
    whole, tiled = (load(tmp_path / name / f"scene{ending}") for name in ("whole", "tiled"))
    assert np.squeeze(tiled).shape == (260, 70) and whole.std() > 0.1
    np.testing.assert_allclose(tiled, whole, atol=2e-4)
    counts = [record(tmp_path / name)["counted_values"] for name in ("whole", "tiled")]
    assert counts[0] == counts[1]


def test_previews_of_a_split_are_thinned_as_those_of_files(tmp_path):
    """Every second row and column of 6x1030."""
    scene = np.random.default_rng(0).uniform(0, 9, (6, 1030)).astype(np.float32)
    for split in ("trainA", "trainB", "testA"):
        (tmp_path / "in" / split).mkdir(parents=True)
        np.save(tmp_path / "in" / split / "scene.npy", scene + (split == "testA"))
    arrays.run(
        arrays.Config(
            input_dir=str(tmp_path / "in"),
            output_dir=str(tmp_path / "data"),
            range_a="0:10",
            range_b="0:10",
        )
    )
    source = open_source(tmp_path / "data")
    model = identity(source.values["A"], source.values["B"])
    options = {"previews": Previews()}
    translate_measured_split([model], source, "testA", tmp_path / "split", **options)
    translate_measurements([model], tmp_path / "in" / "testA", tmp_path / "files", **options)
    of_split, of_file = (
        images.to_array(images.Image.open(tmp_path / place))
        for place in ("split/previews/scene.png", "files/previews/scene.npy.png")
    )
    assert read(tmp_path / "split" / "scene.npy").shape[:2] == (6, 1030)
    assert of_split.shape[:2] == (3, 515)
    np.testing.assert_array_equal(of_split, of_file)
