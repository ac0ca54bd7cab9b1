"""translate, export and what they refuse, of a run on measurements."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.conftest import ROOT
from tests.measured_runs import bands, make_data, make_run
from tests.test_translating_measurements import identity
from tfcyclegan import cli
from tfcyclegan.data.domains import open_domains
from tfcyclegan.data.source import open_source
from tfcyclegan.data.values import Values
from tfcyclegan.exporting import proof_pictures
from tfcyclegan.training.runs import read_run
from tfcyclegan.translation.data_sets import translate_data
from tfcyclegan.translation.translators import from_run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("measured"))


@pytest.fixture(scope="module")
def run_dir(data, tmp_path_factory):
    return make_run(data, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def translator(run_dir):
    return from_run(read_run(run_dir), "latest", "ab")


@pytest.fixture
def translate(run_dir, tmp_path):
    """The command, with what it says."""

    def called(*flags: str) -> int:
        return cli.main(["translate", f"--run_dir={run_dir}", *flags])

    return called


def test_a_folder_of_files(translate, translator, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    scene = bands(5, 30, 26)
    np.save(tmp_path / "in" / "scene.npy", scene)
    flags = (f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}")
    assert translate(*flags, "--previews", "--display_range=-10:30", "--scale=original") == 0
    told = capsys.readouterr().out
    assert "previews: window -10 to 30" in told
    expected = translator(scene)[..., 0]
    np.testing.assert_allclose(np.load(tmp_path / "out" / "scene.npy"), expected, atol=1e-4)
    shown = np.asarray(Image.open(tmp_path / "out" / "previews" / "scene.npy.png"))
    assert np.abs(shown - np.clip((expected + 10) / 40 * 255, 0, 255)).max() < 1
    assert translate(*flags) == 2, "at another scale"


def test_a_split_becomes_arrays(translate, data, translator, tmp_path, capsys):
    out = tmp_path / "out"
    assert translate(f"--data_dir={data}", f"--output={out}", "--arrays=tif") == 0
    told = capsys.readouterr().out
    assert "translating split testA" in told
    assert f"{out}: 4 of 6144 values are missing measurements and remain missing" in told
    arrays = dict(open_source(data).arrays("testA"))
    assert sorted(path.name for path in out.glob("*.tif")) == ["bands0.tif", "bands1.tif"]
    for name in ("bands0", "bands1"):
        found = tifffile.imread(out / f"{name}.tif")
        expected = translator(arrays[f"testA/{name}.npy"])[..., 0]
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.isnan(tifffile.imread(out / "bands0.tif")).sum() == 1


def test_a_data_set_keeps_values(translate, data, translator, tmp_path):
    out = tmp_path / "made"
    assert translate(f"--data_dir={data}", f"--output_data={out}", "--split=testA,trainA") == 0
    made, source = open_source(out), open_source(data)
    assert made.values["A"] == source.values["B"] and made.counts == {"testA": 2, "trainA": 2}
    for split in ("testA", "trainA"):
        for (name, array), (_, given) in zip(made.arrays(split), source.arrays(split), strict=True):
            np.testing.assert_allclose(array, translator(given), atol=1e-4, err_msg=name)
    assert json.loads((out / "manifest.json").read_text())["counted_values"]["testA"] == {
        "all": 1536,
        "invalid": 1,
    }


def test_a_data_set_that_cannot_mark_gaps_says_so(data, tmp_path, capsys):
    source, out = open_source(data), tmp_path / "made"
    bytes_of_two = Values("uint8", (-9.0, 4.0), (90.0, 9.0))
    translator = identity(source.values["A"], bytes_of_two, slice(2))
    translate_data([translator], source, ["testA"], out, scale=None)
    told = "with missing measurements, which are 0, 4 in the translation: its type has no NaN, and"
    assert f"{out}: {told} its domain no nodata: 1 array\n" in capsys.readouterr().out
    pairs = zip(source.arrays("testA"), open_source(out).arrays("testA"), strict=True)
    gaps = [made[source.values["A"].invalid(array).any(axis=-1)] for (_, array), (_, made) in pairs]
    assert np.concatenate(gaps).tolist() == [[0, 4]]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--alpha=drop"], "--alpha: not for measurements"),
        (["--pages=first"], "--pages: not for measurements"),
        (["--direction=ba", "--max_value=9"], "--max_value: not for measurements"),
        (
            ["--tile=64", "--previews", "--display_range=p1:p99"],
            "--display_range=p1:p99: all pictures of a domain share one window",
        ),
    ],
)
def test_flags_of_the_other_kind(translate, tmp_path, capsys, flags, told):
    np.save(tmp_path / "scene.npy", bands(1))
    given = (f"--input={tmp_path / 'scene.npy'}", f"--output={tmp_path / 'out'}")
    assert translate(*given, *flags) == 2
    assert told in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_data_of_the_other_kind(translate, tiles, tmp_path, capsys):
    assert translate(f"--data_dir={tiles}", f"--output={tmp_path / 'out'}") == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "split testA holds 8-bit pictures, but the model needs uint16, 4 channels" in told


def test_an_export(run_dir, translator, data, tmp_path, capsys):
    """Proven on test arrays; its metadata and card say what its numbers mean."""
    out = tmp_path / "model"
    formats = "--formats=saved_model,onnx"
    assert cli.main(["export", f"--run_dir={run_dir}", f"--output={out}", formats]) == 0
    told = capsys.readouterr().out
    assert "takes uint16, 4 channels, range 0:4000, nodata 0" in told
    metadata = json.loads((out / "1" / "metadata.json").read_text())
    assert metadata["values"]["from"] == open_source(data).values["A"].to_json()
    assert metadata["compared"] == f"on 2 of 2 pictures of {data}, split testA"
    assert metadata["runtimes"]["onnx_float32"]["psnr_worst"] > 90
    card = (out / "1" / "MODEL_CARD.md").read_text()
    assert "- It gives float32, 1 channel, range -20:40." in card
    np.save(tmp_path / "scene.npy", bands(7))
    model = f"--model={out}/1/onnx/float32.onnx"
    given = [f"--input={tmp_path / 'scene.npy'}", f"--output={tmp_path / 'out'}"]
    assert cli.main(["translate", model, *given]) == 0
    np.testing.assert_allclose(
        np.load(tmp_path / "out" / "scene.npy"), translator(bands(7))[..., 0], atol=1e-2
    )


def test_an_export_is_not_measured_on_data_of_the_other_kind(
    run_dir, data, tiles, tmp_path, capsys
):
    """Calibrated on them, int8 files would be made for other numbers."""
    shutil.copytree(ROOT / "tests" / "compatibility" / "0.1.0" / "run", tmp_path / "pictures")
    out = tmp_path / "model"
    for run, given, told in (
        (tmp_path / "pictures", data, "uint16, 4 channels, range 0:4000, nodata 0, but the model"),
        (run_dir, tiles, "8-bit pictures, but the model needs uint16, 4 channels"),
    ):
        command = ["export", f"--run_dir={run}", f"--data_dir={given}", f"--output={out}"]
        assert cli.main([*command, "--formats=saved_model"]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert f"--data_dir={given}: split trainA holds {told}" in error
        assert error.endswith("; give data prepared like those of its training")
        assert not out.exists()


def test_an_export_tells_that_its_data_have_other_ranges(data, capsys):
    domains = open_domains(str(data))
    trained = dataclasses.replace(domains.values["A"], high=(3000.0,) * 4)
    proof_pictures.check_kind(domains, "a", trained)
    told = "the data of A have range 0:4000, the run was trained on range 0:3000"
    assert told in capsys.readouterr().out
    proof_pictures.check_kind(domains, "a", domains.values["A"])
    assert capsys.readouterr().out == ""
