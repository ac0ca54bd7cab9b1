"""Folders for the Hugging Face Hub: read by the Hub's own package, and models out of them and out
of its cache on this machine.
"""

import importlib.util
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tfcyclegan import api, cli
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.exporting import hub_folder
from tfcyclegan.exports import hub
from tfcyclegan.training.checkpoints import load_generator
from tfcyclegan.training.runs import read_run

KEPT = ROOT / "tests" / "compatibility" / "0.1.0"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def scores(column: str, value: float) -> dict:
    interval = {"value": value, "low": None, "high": None, "n": 3}
    return {
        "title": "look",
        "columns": [
            {"name": column, "better": "lower", "decides": True},
            {"name": "share", "better": "higher", "decides": False},
        ],
        "rows": {"translated": {column: interval, "share": interval}},
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 0.1.0 that was scored in both directions."""
    directory = tmp_path_factory.mktemp("hub") / "run"
    shutil.copytree(KEPT / "run", directory)
    results = [
        {"direction": way, "checkpoint": "step-8", "tables": [scores("KID x 1000", value)]}
        for way, value in (("ba", 1.5), ("ab", 2.5))
    ]
    metrics = {"data": "Tiles (drawn)", "split": "test", "note": "", "directions": results}
    (directory / "evaluation").mkdir()
    (directory / "evaluation" / "metrics.json").write_text(json.dumps(metrics))
    return read_run(directory)


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory) -> Path:
    pytest.importorskip("huggingface_hub")
    pytest.importorskip("safetensors")
    path = tmp_path_factory.mktemp("hub") / "mine"
    hub_folder.write(run, "latest", "ab", KEPT / "export" / "1", path)
    return path


def test_the_hub_reads_the_card(folder):
    from huggingface_hub import ModelCard

    card = ModelCard.load(folder / "README.md")
    assert (card.data.library_name, card.data.pipeline_tag) == ("tfcyclegan", "image-to-image")
    assert card.data.tags == ["tensorflow", "keras", "gan", "cyclegan"]
    assert card.text.strip() == (KEPT / "export" / "1" / "MODEL_CARD.md").read_text().strip()
    (result,) = card.data.eval_results
    assert (result.dataset_type, result.dataset_name, result.dataset_split) == (
        "tiles_drawn",
        "Tiles (drawn)",
        "test",
    )
    assert (result.metric_type, result.metric_value) == ("kid_x_1000", 2.5)


def test_the_weights_are_the_networks_and_the_files_the_exports(folder, run):
    from safetensors.numpy import load_file

    generator = load_generator(run, "latest", "ab")
    weights = load_file(folder / "model.safetensors")
    again = keras.saving.deserialize_keras_object(json.loads((folder / "network.json").read_text()))
    assert sorted(weights)[:2] == ["000.kernel", "001.bias"]
    for name, own, other in zip(sorted(weights), generator.variables, again.variables, strict=True):
        np.testing.assert_array_equal(weights[name], own.numpy())
        other.assign(weights[name])
    pictures = np.random.default_rng(0).uniform(-1, 1, (1, 8, 12, 3)).astype(np.float32)
    np.testing.assert_array_equal(again(pictures), generator(pictures))
    version = KEPT / "export" / "1"
    expected = {path.relative_to(version) for path in version.rglob("*") if path.is_file()}
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert found - expected == {Path("README.md"), Path("model.safetensors"), Path("network.json")}
    assert expected - found == {Path("MODEL_CARD.md")}


def test_a_folder_that_is_there_is_left_as_it_is(folder, run, tmp_path, capfd):
    shutil.copytree(folder, tmp_path / "mine")
    (tmp_path / "mine" / "README.md").write_text("edited")
    hub_folder.write(run, "latest", "ab", KEPT / "export" / "1", tmp_path / "mine")
    assert (tmp_path / "mine" / "README.md").read_text() == "edited"
    assert "its README.md is left as it is" in capfd.readouterr().out
    shutil.copytree(KEPT / "export", tmp_path / "export")
    metadata = json.loads((tmp_path / "export" / "1" / "metadata.json").read_text())
    (tmp_path / "export" / "1" / "metadata.json").write_text(json.dumps(metadata | {"threads": 9}))
    with pytest.raises(UserError, match="holds another export"):
        hub_folder.write(run, "latest", "ab", tmp_path / "export" / "1", tmp_path / "mine")
    with pytest.raises(RunError, match="has been trained on since"):
        hub_folder.write(run, "4", "ab", KEPT / "export" / "1", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    command = ["export", f"--run_dir={run.directory}", f"--output={tmp_path / 'out'}"]
    assert cli.main([*command, f"--hub_dir={tmp_path / 'full'}"]) == 2
    assert "is not empty" in capfd.readouterr().err and not (tmp_path / "out").exists()


def test_a_run_that_was_trained_on_is_refused_before_it_is_exported(tmp_path, capfd):
    """Servers take a new version at once, so a command that fails must not leave one."""
    pytest.importorskip("huggingface_hub")
    run, output, hub_dir = tmp_path / "run", tmp_path / "out", tmp_path / "hub"
    shutil.copytree(KEPT / "run", run)
    command = ["export", f"--run_dir={run}", f"--output={output}", f"--hub_dir={hub_dir}"]
    command.append("--formats=saved_model")
    assert cli.main([*command, "--checkpoint=4"]) == 0
    assert cli.main([*command, "--checkpoint=4"]) == 0, "the folder holds this export already"
    assert cli.main([*command, "--checkpoint=8"]) == 2
    assert f"--hub_dir={hub_dir}: holds another export; remove it" in capfd.readouterr().err
    assert sorted(path.name for path in output.iterdir() if path.is_dir()) == ["1"]
    shutil.rmtree(hub_dir)
    assert cli.main([*command, "--checkpoint=8"]) == 0
    assert json.loads((hub_dir / "metadata.json").read_text())["checkpoint"] == "step-8"


@pytest.fixture
def cache(folder, tmp_path, monkeypatch) -> Path:
    """A cache that holds the folder as a user's repository, as files linked to by their hashes."""
    from huggingface_hub import constants

    repository = tmp_path / "cache" / "models--me--tiles2maps"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    shutil.copytree(folder, repository / "blobs")
    for path in (repository / "blobs").rglob("*"):
        if path.is_file():
            name = path.relative_to(repository / "blobs")
            link = repository / "snapshots" / COMMIT / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return repository / "snapshots" / COMMIT


def test_models_out_of_folder_and_cache_translate_alike(folder, cache, tmp_path, capfd):
    command = ["translate", f"--input={KEPT / 'expected' / 'ab'}"]
    results = {}
    for place in (
        KEPT / "export",
        f"hf:{folder}",
        "hf:me/tiles2maps",
        f"hf:me/tiles2maps@{COMMIT}",
    ):
        output = tmp_path / f"out{len(results)}"
        assert cli.main([*command, f"--model={place}", f"--output={output}"]) == 0
        results[place] = [np.asarray(Image.open(path)) for path in sorted(output.glob("*.png"))]
    first, *others = results.values()
    assert len(first) > 2
    for other in others:
        np.testing.assert_array_equal(first, other)
    assert f"--model=hf:me/tiles2maps@{COMMIT}: {cache}" in capfd.readouterr().out
    pictures = np.random.default_rng(1).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    whole = api.load_generator(f"hf:{folder}", direction="ab")(pictures)
    lite = api.load_generator("hf:me/tiles2maps/float32.tflite")(pictures)
    np.testing.assert_allclose(whole, lite, atol=1e-4)


def test_names_that_a_server_gives(folder, cache):
    assert hub.name_and_version(Path("saved_models/mine/3")) == ("mine", "3")
    assert hub.name_and_version(folder) == ("mine", "1")
    assert hub.name_and_version(cache) == ("tiles2maps", "1")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("hf:me/nothing@v2", "get it by: hf download me/nothing --revision v2"),
        ("hf:me/nothing/float32.tflite", "get it by: hf download me/nothing"),
        ("hf:nothing", "no name of the form OWNER/NAME"),
        ("hf:-me/--nothing", "Repo id must"),
    ],
)
def test_what_is_not_there(cache, given, said, capfd):
    assert cli.main(["translate", f"--model={given}", "--input=x", "--output=y"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert f"--model={given}: " in line and said in line
    assert cli.main(["serve", f"--model_dir={given}"]) == 2
    assert cli.main(["demo", f"--model={given}"]) == 2


def test_without_the_extra(run, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    command = ["export", f"--run_dir={run.directory}", f"--output={tmp_path / 'out'}"]
    assert cli.main([*command, f"--hub_dir={tmp_path / 'hub'}"]) == 2
    assert "pip install 'tfcyclegan[hub]'" in capfd.readouterr().err
    assert cli.main(["serve", "--model_dir=hf:me/mine"]) == 2
    assert "pip install 'tfcyclegan[hub]'" in capfd.readouterr().err
