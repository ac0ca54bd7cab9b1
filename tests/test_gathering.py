"""What the translations are scored against, and what is told of it."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from data_prep import folders
from tests.test_training import config
from tfcyclegan.config import Size
from tfcyclegan.data.domains import Domains, open_domains
from tfcyclegan.data.images import Scale
from tfcyclegan.data.source import DataSource
from tfcyclegan.evaluation import gathering, scoring
from tfcyclegan.evaluation.task import Task
from tfcyclegan.training.runs import Run


def source(directory, name: str, counts: dict[str, int], **settings) -> DataSource:
    directory.mkdir()
    made = {
        "fingerprint": "x",
        "request": {
            "settings": {"content": "photos_and_labels", "sample": 0, "test_sample": 0, **settings}
        },
    }
    (directory / "manifest.json").write_text(json.dumps(made))
    fields = {field.name: None for field in dataclasses.fields(DataSource)}
    return DataSource(**fields | {"directory": directory, "name": name, "counts": counts})


def test_published_rows_are_for_the_real_cityscapes_alone(tmp_path):
    whole = {"train": 2975, "val": 500}
    real = source(tmp_path / "real", "cityscapes", whole)
    assert gathering.are_cityscapes(Domains(real, real))
    for index, other in enumerate(
        (
            source(tmp_path / "toy", "cityscapes", {"train": 800, "val": 100}),
            source(tmp_path / "name", "toy_cityscapes", whole),
            source(tmp_path / "sample", "cityscapes", whole, sample=2975),
        )
    ):
        assert not gathering.are_cityscapes(Domains(real, other)), index
    (tmp_path / "real" / "manifest.json").unlink()
    assert not gathering.are_cityscapes(Domains(real, real))


def test_other_data_and_checkpoints_than_the_best_are_told(tiles, tmp_path, monkeypatch):
    domains = open_domains(str(tiles))
    run = Run(tmp_path, config(tiles, tmp_path), "float32", "0123456789")
    assert (
        gathering._of_the_run(
            dataclasses.replace(run, data_fingerprint=domains.fingerprint), domains, "latest"
        )
        == []
    )
    monkeypatch.setattr(gathering, "newest", lambda _: "step-4")
    monkeypatch.setattr(
        gathering,
        "find_checkpoint",
        lambda _, which: f"checkpoints/step-{4 if which == 'best' else 8}",
    )
    checkpoint, other = gathering._of_the_run(run, domains, "latest")
    assert (
        checkpoint
        == "checkpoint: step-8, the latest; step-4 measured best (--checkpoint=best scores it)"
    )
    assert other.startswith("data: satellite2map (") and other.endswith(
        "not the data that the run was trained on (01234567)"
    )
    assert len(gathering._of_the_run(run, domains, "best")) == 1


@pytest.mark.parametrize("count", [4, 10], ids=["unsure", "confirmed"])
def test_pairs_of_two_sizes_are_named_and_not_compared(count, tmp_path):
    """`--preprocess=crop` keeps the sizes that pictures have."""
    generator = np.random.default_rng(0)
    for domain in "AB":
        for split in ("train", "test"):
            (tmp_path / "pictures" / f"{split}{domain}").mkdir(parents=True)
    for number in range(2 * count):
        scene = Image.fromarray(generator.integers(0, 256, (6, 8, 3), np.uint8))
        for domain, height in (("A", 60), ("B", 64)):
            folder = f"{'test' if number < count else 'train'}{domain}"
            path = tmp_path / "pictures" / folder / f"{number}.png"
            scene.resize((80, height), Image.Resampling.BICUBIC).save(path)
    folders.run(
        folders.Config(input_dir=str(tmp_path / "pictures"), output_dir=str(tmp_path / "data"))
    )
    task = Task(open_domains(str(tmp_path / "data")), "test", "ab", tmp_path, "names")
    scale = Scale("crop", Size(32, 32), Size(32, 32))
    sides, spool = task.sides({"a": 3, "b": 3}, scale), task.spool()
    inputs, held_out = (
        sides[domain].load(task.domains.require("test", domain), spool) for domain in "ab"
    )
    found = gathering.assemble(
        task, sides, inputs, inputs, held_out, spool, scale=scale, checkpoint="", cycle="none"
    )
    told = f"truth: left out, since {count} of {count} pairs differ in size, such as 0"
    assert f"{told}; prepare both domains at one size" in found.left_out
    assert not found.truths and scoring.measure(found)
