"""The page of a run: what is on it, and the sliders over its strips."""

import base64
import io
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.test_training import config
from tfcyclegan import cli, pages
from tfcyclegan.config import TrainConfig
from tfcyclegan.config.methods import CONTRASTIVE, METHODS
from tfcyclegan.methods.factory import build_model
from tfcyclegan.networks import make_generator
from tfcyclegan.training import figures, run_page, strips, whole_pictures
from tfcyclegan.training.trainer import train

COLUMNS = ["real", "translated", "cycled", "identity"]


def strip(side: int, columns: int, rows: int = 2, seed: int = 0) -> np.ndarray:
    """A strip of noise; pictures are `side` high and wide."""
    random = np.random.default_rng(seed)
    noise = [random.uniform(-1, 1, (side, side, 3)) for _ in range(rows)]
    back = None if columns == 2 else lambda images: images * 0.5
    return strips.strip(noise, lambda images: -images, back, identity=columns == 4)


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def pixels_in(picture: pages.Picture) -> np.ndarray:
    pixels = pixels_of(base64.b64decode(picture.url.split(",")[1]))
    assert pixels.shape[:2] == (picture.height, picture.width)
    return pixels


@pytest.mark.parametrize("columns", [2, 3, 4])
@pytest.mark.parametrize("side", [24, 36, 64, 256])
def test_sliders_have_the_pictures_of_their_columns_and_rows(side, columns):
    drawn = strip(side, columns)
    enlarged = pixels_of(strips.png_bytes(drawn, enlarge_below=600))
    assert enlarged.shape[1] == max(1, 600 // drawn.shape[1]) * drawn.shape[1]
    np.testing.assert_array_equal(strips.at_own_size(enlarged), drawn)
    found = run_page.sliders(drawn, COLUMNS[:columns])
    assert list(found) == ["translated", "cycled"][: columns - 1]
    for index, pairs in enumerate(found.values(), start=1):
        assert len(pairs) == 2
        for row, pair in enumerate(pairs):
            top = row * (side + strips.GAP)
            for cell, column in zip(pair, (0, index), strict=True):
                left = column * (side + strips.GAP)
                np.testing.assert_array_equal(
                    pixels_in(cell), drawn[top : top + side, left : left + side]
                )


def test_white_translations_have_sliders():
    """Those of a training that diverged: rows cannot be told apart by their gaps."""
    random = np.random.default_rng(0)
    pictures = [random.uniform(-1, 1, (24, 24, 3)) for _ in range(2)]
    drawn = strips.strip(pictures, np.ones_like, lambda images: images, identity=False)
    found = run_page.sliders(drawn, COLUMNS[:3])
    assert [len(pairs) for pairs in found.values()] == [2, 2]
    assert all((pixels_in(white) == 255).all() for _, white in found["translated"])


def test_pictures_of_several_widths_have_no_sliders():
    random = np.random.default_rng(0)
    pictures = [random.uniform(-1, 1, (24, width, 3)) for width in (24, 32)]
    drawn = strips.strip(pictures, lambda images: -images, lambda images: images, identity=False)
    assert run_page.sliders(drawn, COLUMNS[:3]) == {}


@pytest.mark.parametrize("method", METHODS)
def test_every_loss_of_every_method_has_its_curve(method):
    teachers = {}
    options = {"base_filters": 2, "discriminator_filters": 2, "lambda_paired": 1.0}
    if method == "distill":
        options["teacher"] = "runs/t"
        teachers = {way: make_generator("resnet_1blocks", base_filters=2) for way in ("ab", "ba")}
    elif method == "pix2pix":
        options["generator"], options["lambda_paired"] = "resnet", 0.0
    elif method in CONTRASTIVE:
        options["nce_layers"] = "0,4"
    settings = TrainConfig(data_dir="d", run_dir="r", method=method, residual_blocks=1, **options)
    names = build_model(settings, "float32", teachers=teachers).loss_names
    lines, _ = figures.joined([], [{"step": 1, "epoch": 1.0} | dict.fromkeys(names, 1.0)])
    assert lines[0]["generators"] == sum(not name.startswith("disc_") for name in names)
    assert {figures.group_of(name) for name in names} <= figures.CURVES.keys()


@pytest.fixture(scope="module")
def run_dir(tiles, tmp_path_factory):
    directory = tmp_path_factory.mktemp("report") / "run"
    train(config(tiles, directory, max_steps=4, eval_every_steps=2, eval_images=8))
    return directory


def test_the_page_tells_what_the_run_is_and_how_to_go_on(run_dir):
    page = (run_dir / "report.html").read_text()
    assert page.count('class="card slider"') == 4, "two for each direction, of test pictures"
    assert "each row: real | translated | cycled | identity." in page
    assert "Not scored yet" in page and f"tfcyclegan evaluate --run_dir={run_dir}" in page
    for words in (
        "Model card",
        "4 steps",
        "resnet_1blocks of 4 filters",
        "by appearance over both directions",
        "--crop_size",
    ):
        assert words in page
    assert (
        "http://www.w3.org" not in page.split("<svg")[0]
        and "<script src" not in page
        and "<link" not in page
    )


def test_failures_that_the_evaluation_suspects_stand_at_the_top(run_dir):
    def finding(name: str, verdict: str) -> dict[str, str]:
        return {"name": name, "verdict": verdict, "helps": f"mend of {name}"}

    detectors = [
        finding("blur", "suspicious"),
        finding("colour shift", "ok"),
        finding("mode collapse", "bad"),
    ]
    result = {
        "direction": "ab",
        "title": "A to B",
        "reached": True,
        "verdict": "fine",
        "tables": [],
        "left_out": [],
        "count": 1,
    }
    metrics = {"split": "test", "note": "", "directions": [{**result, "detectors": detectors}]}
    path = run_dir / run_page.METRICS
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(metrics))
    page = run_page.write_report(run_dir).read_text()
    assert (
        page.index("bad: mode collapse")
        < page.index("suspicious: blur")
        < page.index("mend of blur")
        < page.index("Model card")
    )
    assert "colour shift" not in page and "Not scored yet" not in page
    metrics["directions"][0]["detectors"] = detectors[1:2]
    path.write_text(json.dumps(metrics))
    assert "found none of the failures" in run_page.write_report(run_dir).read_text()


def test_pictures_of_like_names_stay_apart_in_the_report(tmp_path):
    for name in ("a/b", "a_b"):
        cells = {"input": np.zeros((4, 4, 3), np.uint8)}
        whole_pictures.write(tmp_path, name, "ab", cells, checkpoint="step-1")
    assert {picture.name for picture in whole_pictures.read(tmp_path)} == {"a/b", "a_b"}


def test_damaged_files_end_no_report(run_dir, tmp_path, capsys):
    """A training writes it again and again."""
    copy = shutil.copytree(run_dir, tmp_path / "run")
    cells = {"input": np.zeros((4, 4, 3), np.uint8)}
    whole = whole_pictures.write(copy, "whole", "ab", cells, checkpoint="step-1")
    strip = max((copy / "samples").glob("test-*-ab.png"))
    metrics = copy / "evaluation" / "metrics.json"
    metrics.parent.mkdir(exist_ok=True)
    metrics.write_text("{}")
    for path in (whole, strip, metrics):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    run_page.write_report(copy)
    told = capsys.readouterr().out
    assert all(f"{path}: " in told for path in (whole, strip, metrics))
    assert told.count("the report does not show it") == 3


def test_translated_pictures_come_whole_into_the_report(run_dir, tmp_path, capsys):
    random = np.random.default_rng(0)
    inputs, truths = tmp_path / "in", tmp_path / "truth"
    for folder, names in ((inputs, ("one", "two")), (truths, ("two",))):
        folder.mkdir()
        for name in names:
            noise = random.integers(0, 256, (20, 40, 3), np.uint8)
            Image.fromarray(noise).save(folder / f"{name}.png")
    words = ["translate", f"--run_dir={run_dir}", "--scale=original", f"--output={tmp_path}/out"]
    given = [*words, f"--input={inputs}", "--report"]
    assert cli.main([*given, f"--truth={truths}"]) == 0
    assert "shows 2 of 2 pictures whole, 1 of all have no truth" in capsys.readouterr().out
    shown = {picture.name: picture for picture in whole_pictures.read(run_dir)}
    assert shown["one"].columns == ["input", "translated"]
    assert shown["two"].columns == ["input", "translated", "truth"]
    cells = shown["two"].tiles
    for column, path in zip(shown["two"].columns, (inputs, tmp_path / "out", truths), strict=True):
        expected = np.asarray(Image.open(path / "two.png"))
        np.testing.assert_array_equal(pixels_in(cells[column]), expected)
    page = (run_dir / "report.html").read_text()
    assert page.index("<h2>Whole pictures") < page.index("<h2>Verdict")
    assert page.count("A to B, checkpoint step-4") == 2 and cells["truth"].url in page
    assert cli.main([*given, f"--truth={inputs / 'one.png'}"]) == 0  # replaces, adds nothing
    assert [p.columns[-1] for p in whole_pictures.read(run_dir)] == ["truth", "translated"]
    within = [*given, f"--truth={truths}", f"--output={inputs / 'out'}"]
    for _ in range(2):  # results inside the input are no pictures of it
        assert cli.main(within) == 0
        assert "shows 2 of 2 pictures whole, 1 of all have" in capsys.readouterr().out
    content = (truths / "two.png").read_bytes()
    (truths / "two.png").write_bytes(content[: len(content) // 2])
    again = [*given, f"--truth={truths}", f"--output={tmp_path}/again"]
    assert cli.main(again) == 2
    assert re.search(
        rf"^tfcyclegan translate: --truth={truths}: two: damaged.*; repair or remove it$",
        capsys.readouterr().err,
        re.MULTILINE,
    )
    assert not (tmp_path / "again").exists()
    kept = (inputs / "two.png").read_bytes()
    (inputs / "two.png").write_bytes(kept[: len(kept) // 2])
    assert cli.main(given) == 2, "its translation is there, so that only the report reads it"
    assert f"--input={inputs}: two: damaged" in capsys.readouterr().err
    (inputs / "two.png").write_bytes(kept)
    (truths / "two.png").rename(truths / "three.png")
    assert cli.main(again) == 2
    assert f"--truth={truths}: has no picture called" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()
