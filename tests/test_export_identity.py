"""What an export is known by, and what its card says of it."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from data_prep import folders
from tests.exports import picture, read_metadata
from tests.test_training import config
from tfcyclegan import cli
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.data.domains import Domains
from tfcyclegan.data.source import open_source
from tfcyclegan.exporting import model_card
from tfcyclegan.exporting.exporter import export
from tfcyclegan.training.runs import read_run
from tfcyclegan.training.trainer import train

GRAPH_ALONE = {"formats": ("saved_model",)}


@pytest.fixture(scope="module")
def run_dir(tiles, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "run"
    train(config(tiles, directory, max_steps=1))
    return directory


@pytest.fixture(scope="module")
def exported(run_dir, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("models") / "model"
    return export(read_run(run_dir), "latest", "ab", output, None, **GRAPH_ALONE)


@pytest.mark.parametrize("remembered", [True, False])
def test_other_data_are_only_measured_on(run_dir, tmp_path, monkeypatch, remembered):
    """How pictures are read, and what the card says of data, are the run's own; older runs know it
    from their data alone.
    """
    for split in ("trainA", "trainB", "testA"):
        (tmp_path / "root" / split).mkdir(parents=True)
        Image.fromarray(picture(40, 40)).save(tmp_path / "root" / split / "one.png")
    place = {"input_dir": str(tmp_path / "root"), "output_dir": str(tmp_path / "other")}
    folders.run(folders.Config(**place))
    run, known = read_run(run_dir), {"max_value": 4095}
    run = dataclasses.replace(run, reading={"a": known, "b": {}} if remembered else None)
    monkeypatch.setattr(
        Domains,
        "reading",
        lambda self, domain: (
            known if not remembered and self.fingerprint == run.data_fingerprint else {}
        ),
    )
    other = str(tmp_path / "other")
    version = export(run, "latest", "ab", tmp_path / "model", None, data_dir=other, **GRAPH_ALONE)
    metadata = read_metadata(version)
    assert metadata["reading"] == {"max_value": 4095}
    assert metadata["measured_on"] == open_source(tmp_path / "other").fingerprint
    assert "NASA Earth Observatory" in (version / "MODEL_CARD.md").read_text()


def test_another_versions_translations_are_not_taken_for_this_ones(run_dir, tmp_path, capsys):
    """Two checkpoints of a run, exported in two processes, have equal graphs; their weights are in
    other files.
    """
    run, model, out = read_run(run_dir), tmp_path / "model", tmp_path / "out"
    (tmp_path / "in").mkdir()
    Image.fromarray(picture(36, 44)).save(tmp_path / "in" / "one.png")
    command = ["translate", f"--model={model}", f"--input={tmp_path / 'in'}", f"--output={out}"]
    first = export(run, "0", "ab", model, None, **GRAPH_ALONE)
    assert cli.main(command) == 0
    second = export(run, "latest", "ab", model, None, **GRAPH_ALONE)
    shutil.copy(first / "saved_model.pb", second)
    assert cli.main(command) == 2
    assert "holds translations of another model" in capsys.readouterr().err
    record = json.loads((out / "translation.json").read_text())
    del record["weights"]  # as 0.2.0 wrote it
    (out / "translation.json").write_text(json.dumps(record))
    assert cli.main(command) == 0
    assert "1 already existed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"method": "pix2pix"}, "pix2pix generator (Isola et al. 2017), trained on pairs"),
        ({"method": "cut"}, "A CUT generator (Park et al. 2020), trained on unpaired pictures"),
        ({"lambda_paired": 10.0, "pairs": "names"}, "of which some are known pairs"),
    ],
)
def test_the_card_names_method_and_losses(run_dir, exported, options, told):
    settings = {"data_dir": "d", "run_dir": "r", **options}
    run = dataclasses.replace(read_run(run_dir), config=TrainConfig(**settings))
    card = model_card.render(run, None, exported, read_metadata(exported))
    head = card.split("## ")[0]
    assert told in head and ("CycleGAN" in head) == ("method" not in options)
    (losses,) = [line for line in card.splitlines() if line.startswith("| losses |")]
    named = dict(one.split() for one in losses.split(";")[1].strip(" |").split(", "))
    assert named and all(
        float(value) == getattr(run.config, name.strip("`")) for name, value in named.items()
    )


@pytest.mark.parametrize(
    ("options", "told", "untold"),
    [
        (
            {"max_steps": 9, "antialias_up": True, "noise_inputs": True, "separable": True},
            ("learning rate 0.0002, constant,", "separable blocks, antialiased upsampling, noise"),
            ("schedule", "upsampling transposed", "lambda_semantic"),
        ),
        (
            {"epochs": 3, "preprocess": "crop", "crop_size": Size(48, 48)},
            ("linear schedule", "upsampling transposed", "| crop, crop size 48 |"),
            ("constant", "load size"),
        ),
        (
            {"max_steps": 9, "lambda_a": 0.0, "lambda_b": 0.0, "preprocess": "scale_width"},
            ("`lambda_gan` 1", "scale_width, load size 286, crop size 256"),  # the least height
            ("lambda_identity", "lambda_a"),
        ),
        (
            {"max_steps": 9, "lambda_gan": 0.0, "lambda_paired": 1.0, "pairs": "names"},
            ("| losses | `", "`lambda_paired` 1", "64 filters"),
            ("lsgan",),
        ),
        (
            {"max_steps": 9, "generator": "mine.json"},
            ("lsgan; `lambda_gan` 1",),
            ("filters",),
        ),
    ],
)
def test_the_card_tells_only_what_had_an_effect(run_dir, exported, options, told, untold):
    run = dataclasses.replace(
        read_run(run_dir), config=TrainConfig(data_dir="d", run_dir="r", **options)
    )
    metadata = {**read_metadata(exported), "variants": {}}
    card = model_card.render(run, None, exported, metadata)
    rows = card[card.index("| network") : card.index("| weights")]
    assert [part for part in told if part not in rows] == []
    assert [part for part in untold if part in rows] == []
    assert "TFLite" not in card and "| file |" not in card and "scores above" not in card
