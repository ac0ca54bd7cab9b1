"""`--interpolation`: OpenCV's bilinear to the bit, Pillow's filters by name, and that every way of
a run meets pictures alike.
"""

import hashlib
import json
import types
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from data_prep import gta5
from tests.conftest import GOLDEN
from tests.street_folders import gta_config, id_map, made, make_gta, out_of, photo, read
from tests.test_training import config
from tests.test_unpaired import data, open_trained, picture, prepare  # noqa: F401 - a fixture
from tfcyclegan.commands import train_segmenter
from tfcyclegan.config import INTERPOLATIONS, SegmenterOptions, Size, TrainSegmenterConfig
from tfcyclegan.data import images
from tfcyclegan.data.domains import Split
from tfcyclegan.data.interpolation import opencv_bilinear
from tfcyclegan.data.labels import CITYSCAPES
from tfcyclegan.data.source import DataSource, open_source
from tfcyclegan.errors import UserError
from tfcyclegan.exporting import proof_pictures
from tfcyclegan.segmentation import training
from tfcyclegan.segmentation.runs import SegmenterRun, interpolation_for, read_segmenter_run
from tfcyclegan.segmentation.segmenter import Segmenter
from tfcyclegan.training.runs import check_resumable, read_run
from tfcyclegan.translation.translators import scale_of

_OPENCV = np.load(GOLDEN / "opencv_bilinear.npz")
_NAMES = sorted({name.partition("/")[0] for name in _OPENCV})
_OPENCV_FRAME = "9536b97bb2a9016605394c26326ae4588dae82c63bba5bcebcb96dba995587ee"


@pytest.mark.parametrize("name", _NAMES)
def test_bilinear_opencv_is_opencv_s_to_the_bit(name):
    """Outputs of opencv-python-headless 5.0.0 and 4.14.0: shrinking, enlarging, halving (which
    OpenCV does otherwise), single lines.
    """
    expected = _OPENCV[f"{name}/output"]
    np.testing.assert_array_equal(
        opencv_bilinear(_OPENCV[f"{name}/input"], Size(*expected.shape[:2])), expected
    )


def test_a_frame_of_gta5_s_size_becomes_what_opencv_makes_of_it():
    y, x = np.indices((1052, 1914))
    frame = np.stack(
        [(x * y // 7 + x * channel + 3 * y) % 256 for channel in (1, 2, 5)], axis=-1
    ).astype(np.uint8)
    assert (
        hashlib.sha256(opencv_bilinear(frame, Size(180, 360)).tobytes()).hexdigest()
        == _OPENCV_FRAME
    )


def test_bilinear_opencv_is_that_of_the_opencv_at_hand():
    cv2 = pytest.importorskip("cv2")
    generator = np.random.default_rng(1)
    for _ in range(300):
        height, width, new_height, new_width = map(int, generator.integers(1, 90, 4))
        for channels in ((), (3,)):
            image = generator.integers(0, 256, (height, width, *channels), dtype=np.uint8)
            expected = cv2.resize(
                image, (new_width, new_height), interpolation=cv2.INTER_LINEAR
            ).reshape(new_height, new_width, *channels)
            np.testing.assert_array_equal(
                opencv_bilinear(image, Size(new_height, new_width)), expected
            )


@pytest.mark.parametrize(
    "interpolation, filter_",
    [("bicubic", Image.BICUBIC), ("bilinear", Image.BILINEAR)],
    ids=lambda value: str(value),
)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_others_are_pillow_s_filters(interpolation, filter_, mode):
    image = Image.fromarray(picture(7, 21, 33)).convert(mode)
    resized = images.resize(image, Size(9, 40), interpolation)
    np.testing.assert_array_equal(np.asarray(resized), np.asarray(image.resize((40, 9), filter_)))


def test_only_opencv_s_bilinear_sees_a_fine_checkerboard():
    """By hand: a target pixel of 60 -> 20 lies on the middle of its three source pixels, so that
    nothing is averaged.
    """
    board = Image.fromarray((np.indices((60, 60)).sum(axis=0) % 2 * 255).astype(np.uint8))
    inside = {
        name: np.asarray(images.resize(board, Size(20, 20), name))[2:-2, 2:-2].astype(int)
        for name in INTERPOLATIONS
    }
    assert set(np.unique(inside["bilinear_opencv"])) == {0, 255}
    assert all(np.abs(inside[name] - 127.5).max() < 64 for name in ("bicubic", "bilinear", "area"))


def test_pixels_and_their_cache_follow_it_and_label_maps_do_not(data, tmp_path):  # noqa: F811
    settings = {"mode": "resize_and_crop", "load_size": Size(7, 9), "crop_size": Size(4, 4)}
    opened = {
        name: open_trained(data, tmp_path, interpolation=name, **settings)
        for name in INTERPOLATIONS
    }
    assert len({pixels.directory for pixels in opened.values()}) == len(INTERPOLATIONS)
    for name, pixels in opened.items():
        np.testing.assert_array_equal(
            pixels[0], np.asarray(images.resize(Image.fromarray(picture(0)), Size(7, 9), name))
        )
    image = Image.fromarray(picture(0))
    assert images.resize(image, Size(7, 9), "area", nearest=True) == image.resize(
        (9, 7), Image.NEAREST
    )


def test_a_run_keeps_it(tmp_path):
    """Translating and scoring meet pictures as training did; a resumed run may not change it; runs
    that do not name it are bicubic.
    """
    from tfcyclegan.training.runs import Run, write_run

    (tmp_path / "run").mkdir()
    run = Run(
        tmp_path / "run",
        config("data", tmp_path / "run", interpolation="bilinear_opencv"),
        "float32",
        "x",
    )
    write_run(run)
    scale = scale_of(read_run(run.directory))
    assert scale.interpolation == "bilinear_opencv" and str(scale).endswith(" bilinear_opencv")
    image = Image.fromarray(picture(3, 90, 70))
    size = scale.size_of(Size(90, 70))
    np.testing.assert_array_equal(
        np.asarray(scale(image)), opencv_bilinear(np.asarray(image), size)
    )
    assert scale(image, nearest=True) == image.resize((size.width, size.height), Image.NEAREST)
    other = Run(run.directory, config("data", run.directory, interpolation="area"), "float32", "x")
    with pytest.raises(UserError, match="--interpolation was bilinear_opencv, now area"):
        check_resumable(run, other)
    stored = json.loads((run.directory / "config.json").read_text())
    del stored["options"]["interpolation"]
    (run.directory / "config.json").write_text(json.dumps(stored))
    assert read_run(run.directory).config.interpolation == "bicubic"
    assert str(scale_of(read_run(run.directory))) == f"resize_and_crop {run.config.load_size}"


def test_area_is_the_mean_over_the_area_also_of_parts_of_pixels():
    """By hand: of 0 200 0 0 100 the first third has one pixel and two thirds of the next, 133.3 of
    1.667. Pillow's BOX gives 100 0 50.
    """
    line = Image.fromarray(np.array([[0, 200, 0, 0, 100]], np.uint8))
    assert np.asarray(images.resize(line, Size(1, 3), "area")).tolist() == [[80, 40, 60]]
    assert (
        np.asarray(images.resize(line, Size(2, 10), "area")).tolist()
        == [[0, 0, 200, 200, 0, 0, 0, 0, 100, 100]] * 2
    )
    colour = picture(3, 33, 21)
    # whole parts of whole pixels
    common = (
        colour.repeat(20, axis=0).repeat(16, axis=1).reshape(20, 33, 16, 21, 3).mean(axis=(1, 3))
    )
    assert (
        np.abs(
            np.asarray(images.resize(Image.fromarray(colour), Size(20, 16), "area")) - common
        ).max()
        <= 0.5 + 1e-9
    )


def test_data_prep_resizes_as_asked_and_the_manifest_says_how(tmp_path):
    root = make_gta(tmp_path / "GTA5")
    gta5.run(gta_config(root, size=Size(16, 24), interpolation="bilinear_opencv"))
    for number, record in enumerate(read(out_of(root))["train"], start=1):
        np.testing.assert_array_equal(
            record["image"]["encoded"], opencv_bilinear(np.asarray(photo(number)), Size(16, 24))
        )
        nearest = Image.fromarray(id_map(number)).resize((24, 16), Image.NEAREST)
        np.testing.assert_array_equal(record["label"]["encoded"][..., 0], np.asarray(nearest))
    assert made(out_of(root))["request"]["settings"]["interpolation"] == "bilinear_opencv"
    with pytest.raises(UserError, match="--interpolation=area: nothing is resized without --size"):
        gta_config(root, interpolation="area")


@pytest.fixture(scope="module")
def averaged(tmp_path_factory) -> DataSource:
    """Photos with labels that data_prep resized by area."""
    root = make_gta(tmp_path_factory.mktemp("averaged") / "gta")
    gta5.run(gta_config(root, size=Size(16, 24), interpolation="area"))
    return open_source(out_of(root))


def by_area(source: DataSource, size: Size) -> list[np.ndarray]:
    return [
        np.asarray(images.resize(images.decode(encoded, 3), size, "area"))
        for _, encoded in source.pictures("train")
    ]


def test_a_segmenter_follows_its_data(averaged, tmp_path, monkeypatch, capsys):
    seen = {}
    monkeypatch.setattr(
        training,
        "train_segmenter",
        lambda options, parts, *_, **more: seen.update(more, parts=parts),
    )
    config = TrainSegmenterConfig(
        data_dir=str(averaged.directory),
        run_dir=str(tmp_path / "run"),
        load_size=Size(8, 12),
        cache_dir=str(tmp_path / "cache"),
    )
    train_segmenter.run(config)
    (part,) = seen["parts"]
    assert seen["interpolation"] == "area" and part.identity.endswith("8x12 area")
    assert "pictures are resized by area, as in their preparation" in capsys.readouterr().out
    for pixels, expected in zip(part.pictures, by_area(averaged, Size(8, 12)), strict=True):
        np.testing.assert_array_equal(pixels, expected)


def test_what_it_labels_and_its_run_keep_it(averaged, tmp_path, monkeypatch):
    made = Segmenter(None, Size(8, 12), Size(8, 12), CITYSCAPES, {}, "area")
    monkeypatch.setattr(Segmenter, "predict", lambda _, pixels: pixels)
    _, encoded = next(averaged.pictures("train"))
    labelled = made.label(images.decode(encoded, 3), Size(8, 12))
    np.testing.assert_array_equal(labelled, by_area(averaged, Size(8, 12))[0])
    assert made.scale == "8x12 area" and replace(made, interpolation="bicubic").scale == "8x12"
    run = SegmenterRun(tmp_path, SegmenterOptions(), "float32", [], Size(8, 12), CITYSCAPES, "area")
    run.write()
    assert read_segmenter_run(tmp_path) == run
    stored = json.loads((tmp_path / "segmenter.json").read_text())
    del stored["interpolation"]  # as versions before this one wrote it, which knew bicubic alone
    (tmp_path / "segmenter.json").write_text(json.dumps(stored))
    assert interpolation_for(tmp_path, Size(8, 12), averaged) == "bicubic"
    assert interpolation_for(tmp_path / "new", Size(8, 12), averaged) == "area"
    assert interpolation_for(tmp_path / "new", None, averaged) == "bicubic"


def test_translated_data_keep_it(averaged):
    translated = replace(averaged, settings={"scale": "resize_and_crop 8x12 bilinear_opencv"})
    assert translated.interpolation == "bilinear_opencv"
    for settings in ({"scale": "resize_and_crop 8x12"}, {"scale": "original"}, {}):
        assert replace(averaged, settings=settings).interpolation == "bicubic"


def test_exports_are_calibrated_and_measured_by_it(averaged):
    split = Split(averaged, "train")
    domains = types.SimpleNamespace(find=lambda *_: split, require=lambda *_: split)
    expected = images.to_float(np.stack(by_area(averaged, Size(8, 12))))
    compared = proof_pictures.comparison_pictures(domains, "a", Size(8, 12), 3, "area")
    np.testing.assert_array_equal(compared.batch, expected)
    assert compared.names[0] == "00001.png"
    calibrating = proof_pictures.calibration_pictures(domains, "a", Size(8, 12), 3, "area")
    np.testing.assert_array_equal(np.stack(calibrating), expected)
