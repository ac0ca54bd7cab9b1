"""Runs, data sets and exports of earlier versions are read for ever. What they are:
tests/compatibility/README.md.
"""

import dataclasses
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.servers import serving
from tfcyclegan import api
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import UserError
from tfcyclegan.serving import client
from tfcyclegan.system import files
from tfcyclegan.training.history import read_history
from tfcyclegan.translation.data_sets import translate_data
from tfcyclegan.translation.translators import Translator

KEPT = ROOT / "tests" / "compatibility"
VERSIONS = sorted(path.name for path in KEPT.iterdir() if path.is_dir())
ONE_LEVEL = 1


@pytest.fixture(params=VERSIONS)
def place(request, tmp_path, monkeypatch) -> Path:
    """A copy of what a version made, as the working directory."""
    shutil.copytree(KEPT / request.param, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def assert_as_expected(made: Path, expected: Path) -> None:
    names = sorted(path.name for path in expected.glob("*.png"))
    assert names and names == sorted(path.name for path in made.glob("*.png"))
    for name in names:
        assert np.abs(pixels(made / name) - pixels(expected / name)).max() <= ONE_LEVEL, name


def test_a_run_goes_on(place):
    before = len(read_history(place / "run" / "history.jsonl"))
    api.train(flagfile=place / "run" / "flags.cfg", max_steps=12)
    lines, expected = (read_history(place / path / "history.jsonl") for path in ("run", "expected"))
    assert [line["step"] for line in lines] == [line["step"] for line in expected]
    assert len(lines) > before
    for line, other in zip(lines, expected, strict=True):
        for name in ("learning_rate", "gan_ab", "cycle_a", "cycle_b", "identity_a", "disc_b"):
            # two steps in float32, on any processor
            assert line[name] == pytest.approx(other[name], rel=1e-3), (line["step"], name)


@pytest.mark.parametrize(("direction", "split"), [("ab", "testA"), ("ba", "testB")])
def test_a_run_translates_its_data(place, direction, split):
    api.translate(
        run_dir="run", data_dir="data", direction=direction, split=split, output="translated"
    )
    assert_as_expected(place / "translated", place / "expected" / direction)


def test_a_run_is_evaluated(place):
    found = api.evaluate(run_dir="run", features="none")
    assert (
        found.metrics["data"] == "tiles"
        and found.metrics["directions"][0]["checkpoint"] == "step-8"
    )


def test_a_run_is_exported(place):
    """Into the folder of the kept export, whose metadata say what it is."""
    made = api.export(run_dir="run", output="export")
    kept = files.read_json(place / "export" / "1" / "metadata.json")
    for name in ("weights", "direction", "domains", "interface"):
        assert made.metadata[name] == kept[name]


def test_an_export_translates(place):
    api.translate(model="export/1", data_dir="data", split="testA", output="translated")
    assert_as_expected(place / "translated", place / "expected" / "export")


def test_a_tflite_file_translates(place):
    """The run's pictures at the size of the file: float32 on one side and on the other."""
    (place / "small").mkdir()
    for filename, encoded in open_source("data").pictures("testA"):
        Image.open(io.BytesIO(encoded)).resize((32, 32)).save(place / "small" / Path(filename).name)
    api.translate(model="export/1/float32.tflite", input="small", output="by_file")
    api.translate(model="export/1", input="small", output="by_saved_model")
    assert_as_expected(place / "by_file", place / "by_saved_model")


def test_pictures_that_a_version_translated_are_done(place, capsys):
    """0.1.0 told no direction of an exported model."""
    record = {"scale": "original"}
    (place / "in").mkdir()
    Image.new("RGB", (32, 32)).save(place / "in" / "one.png")
    model = "export/1/float32.tflite"
    files.write_json(
        place / "out" / "translation.json", record | {"model": files.sha256_of(place / model)}
    )
    Image.new("RGB", (32, 32)).save(place / "out" / "one.png")
    api.translate(model=model, input="in", output="out")
    assert "0 pictures translated, 1 already existed" in capsys.readouterr().out
    assert files.read_json(place / "out" / "translation.json")["direction"] == "ab"
    source = open_source("data")
    request = {
        "name": "tiles_translated",
        "settings": record | {"model": "its hash"},
        "inputs": {"testA": source.fingerprint},
    }
    splits = {"testA": {"records": 3}}
    files.write_json(place / "set" / "manifest.json", {"request": request, "splits": splits})
    exported = Translator({"model": "its hash", "direction": "ab"}, 3, 4, lambda batch: batch)
    translate_data([exported], source, ["testA"], place / "set", scale=None)
    assert "already complete: testA 3 pictures" in capsys.readouterr().out
    other = dataclasses.replace(exported, identity={"model": "another", "direction": "ab"})
    with pytest.raises(UserError, match="another model or scale"):
        translate_data([other], source, ["testA"], place / "set", scale=None)


@pytest.mark.parametrize(
    ("file", "use"),
    [
        (
            "run/config.json",
            lambda: api.translate(run_dir="run", data_dir="data", output="translated"),
        ),
        (
            "data/manifest.json",
            lambda: api.translate(run_dir="run", data_dir="data", output="translated"),
        ),
        (
            "export/1/metadata.json",
            lambda: api.translate(model="export", data_dir="data", output="translated"),
        ),
    ],
)
def test_a_later_format_is_refused(place, file, use):
    files.write_json(place / file, files.read_json(place / file) | {"format": files.FORMAT + 1})
    with pytest.raises(
        UserError, match=rf"{file}: has format {files.FORMAT + 1} of a later tfcyclegan"
    ):
        use()
    assert not (place / "translated").exists()


@pytest.mark.slow  # the server takes 15 s to start
def test_an_export_is_served(place):
    pictures = list(open_source("data").pictures("testA"))
    with serving(place / "export" / "1") as server:
        answers = client.translate(server.url, [encoded for _, encoded in pictures])
    (place / "served").mkdir()
    for (filename, _), png in zip(pictures, answers, strict=True):
        (place / "served" / Path(filename).name).write_bytes(png)
    assert_as_expected(place / "served", place / "expected" / "export")
