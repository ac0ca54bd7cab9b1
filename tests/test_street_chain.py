"""Both reports' experiments from data on disk to their figures, at a tiny size: every command as a
user types it.
"""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from tfcyclegan import cli
from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.source import open_source
from tfcyclegan.translation.translators import Translator, translate_split

TINY = (
    "--max_steps=4",
    "--load_size=32x64",
    "--crop_size=32x64",
    "--residual_blocks=1",
    "--base_filters=4",
    "--discriminator_filters=4",
)
OFTEN = (
    "--log_every_steps=2",
    "--checkpoint_every_steps=4",
    "--sample_every_steps=4",
    "--eval_every_steps=4",
    "--sample_images=2",
)
FEW = (
    *TINY,
    *OFTEN,
    "--discriminator_layers=1",
    "--eval_images=8",
    "--epochs=1",
    "--decay_epochs=0",
)


def do(*arguments: str) -> None:
    assert cli.main(list(arguments)) == 0, arguments


def tables(run_dir, direction: int) -> dict[str, dict]:
    metrics = json.loads((run_dir / "evaluation" / "metrics.json").read_text())
    return {table["title"]: table["rows"] for table in metrics["directions"][direction]["tables"]}


@pytest.mark.slow  # CI runs it by itself
def test_gta2city_from_raw_data_to_figures(street, monkeypatch):
    monkeypatch.chdir(street)
    counts = open_source("data/toy_gta5").counts
    assert counts == {"train": 9, "val": 2, "test": 4}, "one training frame lacks its label"
    do("train", "--flagfile=configs/toy_gta2city.cfg", *FEW)
    do(
        "translate",
        "--run_dir=runs/toy_gta2city",
        "--data_dir=data/toy_gta5",
        "--split=test",
        "--output=translated",
    )
    assert len(list((street / "translated").glob("*.png"))) == 4
    do(
        "evaluate",
        "--run_dir=runs/toy_gta2city",
        "--pairs=data/toy_street/pairs.csv",
        "--direction=both",
    )
    run_dir = street / "runs" / "toy_gta2city"
    truth = tables(run_dir, 0)["Truth"]
    for page in ("evaluation/index.html", "report.html"):
        assert "(synthetic)" in (run_dir / page).read_text(), (
            "what is measured on drawn data says so"
        )
    assert truth["identity"]["L1"]["n"] == 4 and truth["identity"]["class colour"]["value"] > 5
    for name in ("accuracy", "discriminators", "cycle", "generators", "adversarial"):
        with Image.open(run_dir / "figures" / f"{name}.png") as figure:
            assert figure.width > 500
    with open(run_dir / "figures" / "history.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == ["2", "4"]
    losses = sum(
        float(rows[0][name] or 0)
        for name in ("gan_ab", "gan_ba", "cycle_a", "cycle_b", "identity_a", "identity_b")
    )
    assert float(rows[0]["generators"]) == pytest.approx(losses)
    assert {path.name for path in (run_dir / "samples").iterdir()} == {
        f"{purpose}-000000{step}-{direction}.png"
        for purpose in ("test", "train")
        for step in (0, 4)
        for direction in ("ab", "ba")
    }


def test_label_maps_are_resized_by_nearest_pixels_for_a_translator(street, tmp_path):
    source, seen = open_source(street / "data" / "toy_label_maps"), []

    def keep(batch: np.ndarray) -> np.ndarray:
        seen.append({tuple(colour) for colour in images.to_uint8(batch[0]).reshape(-1, 3).tolist()})
        return batch

    translator = Translator({"model": "keeps"}, 3, 1, keep)
    translate_split(
        [translator],
        source,
        "val",
        tmp_path / "png",
        scale=images.Scale("resize_and_crop", Size(24, 40), Size(24, 40)),
    )
    stored = [images.to_array(images.decode(encoded, 3)) for _, encoded in source.pictures("val")]
    palette = {tuple(colour) for picture in stored for colour in picture.reshape(-1, 3).tolist()}
    assert len(seen) == 4 and all(colours <= palette for colours in seen)


@pytest.mark.slow  # CI runs it by itself
def test_city2labels_run_1_then_run_2_with_identity(street, monkeypatch):
    """Fadaeinejad 2022: the second run starts from the first one's weights, and both are one
    curve.
    """
    monkeypatch.chdir(street)
    first = ("--data_dir=data/toy_cityscapes,data/toy_label_maps", *FEW, "--generator=resnet")
    do("train", "--flagfile=configs/city2labels_report.cfg", *first)
    do("train", "--flagfile=configs/city2labels_report_identity.cfg", *first)
    before, after = (
        street / "runs" / "city2labels_report",
        street / "runs" / "city2labels_report_identity",
    )
    with open(after / "figures" / "history.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    with open(before / "figures" / "history.csv", newline="") as stream:
        assert rows[:2] == list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == ["2", "4", "6", "8"]
    epochs = [float(row["epoch"]) for row in rows]
    assert epochs == sorted(epochs) and epochs[3] == pytest.approx(2 * epochs[1])
    assert "this run starts" in (after / "report.html").read_text()
    do("evaluate", f"--run_dir={before}")
    labels = tables(before, 0)["Labels: classify, then resize"]
    assert labels["ceiling (truth through the protocol)"]["pixel accuracy"]["value"] == 1, (
        "stored at the size of the training"
    )
    assert labels["translated"]["pixel accuracy"]["value"] < 0.9 and "constant colour" in labels
