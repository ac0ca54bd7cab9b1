"""Domain adaptation as a user meets it, on the toy street at a tiny size."""

import csv
import dataclasses
import json
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import eagerly
from tests.test_street_chain import FEW
from tfcyclegan import cli
from tfcyclegan.adaptation import arms as arms_module
from tfcyclegan.adaptation.arms import Arms
from tfcyclegan.config import AdaptConfig, TrainConfig
from tfcyclegan.data.domains import Split
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import UserError
from tfcyclegan.training.runs import read_run

SMALL = ("--load_size=32x64", "--width=4", "--batch_size=2")
QUICK = (
    *SMALL,
    "--steps=2",
    "--warmup_steps=1",
    "--semantic_steps=2",
    "--log_every_steps=1",
    "--deterministic",
)


@pytest.fixture(scope="module")
def place(street):
    """The street's directory with a translator in it."""
    with pytest.MonkeyPatch.context() as patch, eagerly():
        patch.chdir(street)
        assert (
            cli.main(
                [
                    "train",
                    "--flagfile=configs/toy_gta2city.cfg",
                    *FEW,
                    "--run_dir=runs/translator",
                    "--max_steps=2",
                ]
            )
            == 0
        )
    return street


@pytest.fixture(autouse=True)
def in_place(place, monkeypatch):
    monkeypatch.chdir(place)


def adapt(output: str, *arguments: str) -> int:
    return cli.main(
        [
            "adapt",
            "--flagfile=configs/toy_uda.cfg",
            "--translator=runs/translator",
            f"--output_dir={output}",
            *QUICK,
            *arguments,
        ]
    )


def arms_of(output: str, **options: Any) -> Arms:
    config = AdaptConfig(
        source_dir="a", target_dir="b", output_dir=output, translator="runs/translator", **options
    )
    source, target = open_source("data/toy_gta5"), open_source("data/toy_cityscapes")
    return Arms(config, Split(source, "train"), Split(target, "train"))


def weights(output, arm: str, seed: int = 0) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(output / "arms" / arm / f"seed-{seed}" / "checkpoints"))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    }


def test_arms_seeds_and_the_report(place, capsys, eager):
    assert adapt("uda", "--arms=oracle,source_only", "--seeds=0") == 0
    output = place / "uda"
    results = json.loads((output / "results.json").read_text())
    assert [row["name"] for row in results["arms"]] == ["source only", "target oracle"]
    source, oracle = (row["scores"]["0"] for row in results["arms"])
    assert results["arms"][1]["gain"] == pytest.approx(oracle - source)
    assert 0 < oracle < 100 and results["class_ious"]["target oracle"].keys() >= {"road", "sky"}
    with open(output / "results.csv", newline="") as stream:
        assert [float(row["mean_iou"]) for row in csv.DictReader(stream)] == pytest.approx(
            [source, oracle]
        )
    page = (output / "report.html").read_text()
    assert page.count("<img") == 4 * 4 and "gap recovered" in page and "Synthetic data." in page
    times = {path: path.stat().st_mtime_ns for path in output.glob("arms/*/*/checkpoints/*")}
    capsys.readouterr()
    assert adapt("uda", "--arms=source_only,fda,oracle", "--seeds=0") == 0, (
        "another subset goes on in the same directory"
    )
    printed = capsys.readouterr().out
    assert "source + FDA, seed 0" in printed and "source only, seed 0" not in printed
    assert all(path.stat().st_mtime_ns == time for path, time in times.items()), (
        "finished arms are not trained again"
    )
    assert adapt("uda", "--steps=5") == 2
    assert "--steps was 2, now 5" in capsys.readouterr().err


def test_every_arm_but_the_oracle_is_kept_from_the_targets_labels(place):
    arms = arms_of("unused")
    assert arms._labelled_target.source.labelled and not arms.target.source.labelled
    with pytest.raises(UserError, match="has no labels"):
        arms.target.source.labelled_pictures("train")
    assert len(arms.parts("oracle", 0)[0]) == 10


def test_the_semantic_translator_starts_anew_and_keeps_its_length(place, monkeypatch):
    """Whatever the translator's own training began with, and though it has gone on since."""
    run = read_run(place / "runs" / "translator")
    before = dataclasses.replace(run.config, init_from="runs/gone", max_steps=7)
    trained: list[TrainConfig] = []
    monkeypatch.setattr(arms_module, "train", lambda config, **_: trained.append(config))
    monkeypatch.setattr(Arms, "segmenter", lambda *_: SimpleNamespace(logits=None, identity=None))
    monkeypatch.setattr(Arms, "translator_run", dataclasses.replace(run, config=before))
    monkeypatch.setattr(arms_module, "read_run", lambda directory: run)
    _ = arms_of("semantic")._semantic_run
    assert (trained[0].init_from, trained[0].max_steps) == ("", 7)
    begun = dataclasses.replace(trained[0], max_steps=5)
    monkeypatch.setattr(
        arms_module, "read_run", lambda directory: dataclasses.replace(run, config=begun)
    )
    monkeypatch.setattr(Arms, "_semantic_begun", True)
    _ = arms_of("semantic")._semantic_run
    assert trained[1].max_steps == 5


def test_a_threshold_that_leaves_no_label_is_named(place):
    arms = arms_of("unsure", pseudo_kept=0.0)
    classes = arms.source_pictures.classes

    def probabilities(batch: np.ndarray) -> np.ndarray:
        return np.full((*batch.shape[:3], classes.count), 1 / classes.count)

    unsure: Any = SimpleNamespace(probabilities=probabilities, classes=classes)
    with pytest.raises(UserError, match=r"--pseudo_threshold=0\.95: .* is as sure of no"):
        arms._pseudo_labels(unsure, place / "unsure" / "labels.npy")
    assert not list((place / "unsure").iterdir())


@pytest.mark.slow
def test_other_labels_of_the_target_change_the_oracle_alone(place):
    """Bit for bit, all arms and all that they are made of."""
    from PIL import Image

    from data_prep import cityscapes

    if not (place / "data" / "noise").exists():
        raw = place / "raw_noise"
        shutil.copytree(place / "data" / "toy_street" / "cityscapes", raw)
        generator = np.random.default_rng(0)
        for path in raw.glob("gtFine/train/*/*_labelIds.png"):
            Image.fromarray(generator.integers(7, 34, (32, 64)).astype(np.uint8)).save(path)
        cityscapes.run(
            cityscapes.Config(
                input_dir=str(raw),
                output_dir="data/noise",
                name="toy_cityscapes",
                content="photos_and_labels",
            )
        )
    assert (
        adapt("uda_true", "--seeds=0") == 0
        and adapt("uda_noise", "--seeds=0", "--target_dir=data/noise") == 0
    )
    for arm in (
        "source_only",
        "colour_matching",
        "fda",
        "translated",
        "translated_semantic",
        "self_training",
        "oracle",
    ):
        first, second = (weights(place / output, arm) for output in ("uda_true", "uda_noise"))
        equal = all(np.array_equal(first[name], second[name]) for name in first)
        assert equal == (arm != "oracle"), arm


def test_arms_are_of_one_translator(place, capfd, eager):
    """The same path, trained further; the step before is still there."""
    shutil.copytree(place / "runs" / "translator", place / "runs" / "further")
    by = ("--translator=runs/further", "--arms=translated", "--seeds=0")
    assert adapt("one_of", *by) == 0
    further = ["--flagfile=configs/toy_gta2city.cfg", *FEW, "--run_dir=runs/further"]
    assert cli.main(["train", *further, "--max_steps=3"]) == 0
    assert adapt("one_of", *by) == 2
    assert "--translator=runs/further has other weights than" in capfd.readouterr().err
    assert adapt("one_of", *by, "--checkpoint=2") == 0


@pytest.mark.slow
def test_a_seed_before_the_first_one_goes_on(place, eager):
    """With the segmenter of the translator with semantic losses that is there."""
    assert adapt("seeds", "--arms=translated_semantic", "--seeds=1") == 0
    assert adapt("seeds", "--arms=translated_semantic", "--seeds=0,1") == 0


@pytest.mark.slow
def test_killed_in_every_part_it_goes_on_to_the_same_scores_and_weights(place):
    arms = ("source_only", "translated", "self_training")
    options = (f"--arms={','.join(arms)}", "--seeds=0", "--steps=12", "--checkpoint_every_steps=4")
    assert adapt("uda_whole", *options) == 0
    command = [
        sys.executable,
        "-m",
        "tfcyclegan.cli",
        "adapt",
        "--flagfile=configs/toy_uda.cfg",
        "--translator=runs/translator",
    ]
    command += ["--output_dir=uda_killed", *QUICK, *options]
    whole, killed = place / "uda_whole", place / "uda_killed"
    # what is there once a part has begun, or just ended: its process is killed when that appears
    for part in (
        "request.json",
        *(
            f"arms/{arm}/seed-0/{what}"
            for arm in arms
            for what in ("checkpoints/*.index", "scores.json")
        ),
    ):
        if part == f"arms/{arms[-1]}/seed-0/scores.json":
            break  # nothing would be left to do
        process = subprocess.Popen(
            command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not list(killed.glob(part)):
            assert process.poll() is None, f"ended before {part} was there"
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL, part
    assert subprocess.run(command, cwd=place).returncode == 0
    for arm in arms:
        first, second = weights(whole, arm), weights(killed, arm)
        assert all(np.array_equal(first[name], second[name]) for name in first), arm
    scores = [
        json.loads((output / "results.json").read_text())["arms"] for output in (whole, killed)
    ]
    assert scores[0] == scores[1]


BAD = {
    "no source": (("--source_dir=data/nowhere",), "data/nowhere: not found; make toy_uda"),
    "no translator": (
        ("--translator=runs/nowhere",),
        "--translator=runs/nowhere: holds no run; make toy_uda",
    ),
    "none named": (
        ("--translator=",),
        "--translator: the arms translated, translated_semantic, self_training need a translator",
    ),
    "an arm that is none": (
        ("--arms=source_only,magic",),
        "--arms=source_only,magic: unknown magic; valid are",
    ),
    "seeds that are none": (("--seeds=0,x",), "--seeds=0,x: write numbers"),
    "one seed for all": (
        ("--seed=3",),
        "--seed=3: segmenters are trained with several seeds; give --seeds",
    ),
    "no such split": (("--target_score_split=test",), "no pictures in split test"),
    "not empty": (("--output_dir=configs",), "--output_dir=configs: is not empty"),
}


@pytest.mark.parametrize("arguments, message", BAD.values(), ids=BAD)
def test_bad_requests(arguments, message, capfd):
    assert adapt("bad", *arguments) == 2
    error = capfd.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_a_source_without_labels_and_a_translator_that_does_not_fit(place, capfd):
    from data_prep import gta5

    gta5.run(
        gta5.Config(
            input_dir="data/toy_street/gta5",
            output_dir="data/unlabelled",
            name="toy_gta5",
            labels=False,
        )
    )
    assert adapt("bad", "--source_dir=data/unlabelled") == 2
    assert "has no labels" in capfd.readouterr().err
    run = json.loads((place / "runs" / "translator" / "config.json").read_text())
    shutil.copytree(place / "runs" / "translator", place / "runs" / "gray")
    changes = {"channels_a": 1, "lambda_identity": 0}
    (place / "runs" / "gray" / "config.json").write_text(
        json.dumps(run | {"options": run["options"] | changes})
    )
    assert adapt("bad_gray", "--arms=translated", "--translator=runs/gray") == 2
    assert "--translator=runs/gray: it has 1 and 3 channels, not 3" in capfd.readouterr().err
    shutil.copytree(place / "runs" / "translator", place / "runs" / "one_way")
    of_one = {one.name for one in dataclasses.fields(TrainConfig) if one.metadata["methods"]}
    options = {name: value for name, value in run["options"].items() if name not in of_one}
    changes = {"options": options | {"method": "cut", "nce_layers": "0,4"}}
    (place / "runs" / "one_way" / "config.json").write_text(json.dumps(run | changes))
    assert adapt("bad_one_way", "--translator=runs/one_way") == 2
    error = capfd.readouterr().err
    assert error.startswith("tfcyclegan adapt: --arms=translated_semantic: semantic losses require")
    assert "runs/one_way is a run of cut" in error and len(error.splitlines()) == 1
    for name, changes, message in (
        ("backward", {"networks": ["gen_ba"]}, "--translator=runs/backward: has no generator from"),
        (
            "imported",
            {"options": run["options"] | {"data_dir": "imported"}},
            "--arms=translated_semantic: trains on the translator's data, which are not there",
        ),
    ):
        shutil.copytree(place / "runs" / "translator", place / "runs" / name)
        (place / "runs" / name / "config.json").write_text(json.dumps(run | changes))
        assert adapt(f"bad_{name}", f"--translator=runs/{name}") == 2
        error = capfd.readouterr().err
        assert message in error and len(error.splitlines()) == 1
        assert not (place / f"bad_{name}" / "arms").exists(), "found before any training"


def test_config_keeps_the_order_in_which_arms_build_on_each_other():
    config = AdaptConfig(
        source_dir="a", target_dir="b", output_dir="c", arms="oracle, source_only", seeds="2,0,2"
    )
    assert config.arm_names == ("source_only", "oracle") and config.seed_numbers == (2, 0)
    assert dataclasses.replace(config, arms="fda").needs_translator == []
