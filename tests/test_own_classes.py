"""Classes of one's own from the folders to the scores, as a user goes: label maps as a domain, and
labels for segmenters.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import folders
from tests.conftest import eagerly
from tests.test_own_labels import CSV, TABLE, drawn, photo, save
from tfcyclegan import cli
from tfcyclegan.config import Size
from tfcyclegan.data import class_files, images
from tfcyclegan.data.domains import Split
from tfcyclegan.data.labels import CITYSCAPES
from tfcyclegan.data.pixels import PixelFile
from tfcyclegan.data.source import open_source
from tfcyclegan.evaluation import class_ids, gathering
from tfcyclegan.evaluation.scores_page import PAGE
from tfcyclegan.segmentation.runs import SETTINGS, read_segmenter_run
from tfcyclegan.segmentation.segmenter import load_segmenter
from tfcyclegan.training.runs import read_run
from tfcyclegan.translation.data_sets import translate_data
from tfcyclegan.translation.translators import Translator, translate_path

TINY = [
    "--base_filters=4",
    "--residual_blocks=1",
    "--discriminator_filters=4",
    "--load_size=36",
    "--crop_size=32",
    "--max_steps=2",
]
SEGMENTER = ["--width=2", "--steps=2", "--batch_size=2", "--crop_size=32", "--precision=float32"]
SAME = Translator({"weights": "none", "direction": "ba"}, 3, 1, lambda batch: batch)
COLORS = {entry.color for entry in TABLE.classes}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Folders with photos in A and label maps in B, and such with photos and label files in both,
    prepared.
    """
    home = tmp_path_factory.mktemp("home")
    (home / "c.csv").write_text(CSV)
    for split, seeds in (("train", range(3)), ("test", range(5, 7))):
        for seed in seeds:
            save(home / f"maps/{split}A/{seed}.png", photo(seed))
            save(home / f"maps/{split}B/{seed}.png", TABLE.colorize(drawn(seed)))
            for domain in "AB":
                save(home / f"photos/{split}{domain}/{seed}.png", photo(seed))
                if (split, domain) != ("train", "B"):
                    save(home / f"photos/{split}{domain}_labels/{seed}.png", drawn(seed))
    for name in ("maps", "photos"):
        folders.run(
            folders.Config(
                input_dir=str(home / name),
                output_dir=str(home / f"data/{name}"),
                classes=str(home / "c.csv"),
            )
        )
    return home


@pytest.fixture(scope="module")
def run(home) -> Path:
    command = ["train", f"--data_dir={home}/data/maps", f"--run_dir={home}/run", *TINY]
    with eagerly():
        assert cli.main(command) == 0
    return home / "run"


@pytest.fixture(scope="module")
def segmenter(home) -> Path:
    command = [
        "train_segmenter",
        f"--data_dir={home}/data/photos",
        "--split=trainA",
        "--val_split=testA",
        f"--run_dir={home}/segmenter",
    ]
    with eagerly():
        assert cli.main([*command, *SEGMENTER]) == 0
    return home / "segmenter"


def colors(pixels: np.ndarray) -> set[tuple[int, ...]]:
    return set(map(tuple, pixels.reshape(-1, 3).tolist()))


# --- label maps as a domain
# -------------------------------------------------------------------------------------------


def test_training_meets_the_colours_of_the_table_alone(run, home):
    caches = {
        path.name.split("-")[0]: PixelFile(path)
        for path in (home / "data/maps/.cache").iterdir()
        if (path / "sizes.npy").exists()
    }
    for split in ("trainB", "testB"):
        seen = set().union(*(colors(caches[split][index]) for index in range(len(caches[split]))))
        assert caches[split].common_size != Size(40, 40) and seen <= COLORS and len(seen) == 3, (
            split
        )
    assert len(colors(caches["trainA"][0])) > 100
    assert read_run(run).label_maps == "b"


def test_translating_resizes_by_nearest_pixels(home, tmp_path, capsys):
    scale = images.Scale("resize_and_crop", Size(36, 36), Size(32, 32))
    translate_path([SAME], home / "maps/testB", tmp_path / "out", scale=scale, nearest=True)
    assert (
        "read as label maps, as in training: only nearest pixels resize them"
        in capsys.readouterr().out
    )
    translate_data(
        [SAME], open_source(home / "data/maps"), ["testB", "testA"], tmp_path / "data", scale=scale
    )
    made = open_source(tmp_path / "data")
    assert made.classes == TABLE and made.labelled == {"testB"}
    for pixels in (
        images.to_array(Image.open(tmp_path / "out/5.png")),
        *(np.array(images.decode(encoded, 3)) for _, encoded in made.pictures("testB")),
    ):
        assert pixels.shape[:2] == (36, 36) and colors(pixels) <= COLORS


def test_the_command_knows_from_the_run(run, home, tmp_path, capsys):
    command = [
        "translate",
        f"--run_dir={run}",
        "--direction=ba",
        f"--input={home}/maps/testB",
        f"--output={tmp_path}/ba",
    ]
    assert cli.main(command) == 0
    assert "read as label maps, as in training" in capsys.readouterr().out
    assert (
        cli.main(
            [
                "translate",
                f"--run_dir={run}",
                f"--input={home}/maps/testA",
                f"--output={tmp_path}/ab",
            ]
        )
        == 0
    )
    assert "label maps" not in capsys.readouterr().out


def test_scores_have_ones_own_classes(run, home):
    assert (
        cli.main(["evaluate", f"--run_dir={run}", "--features=none", f"--output={home}/scores"])
        == 0
    )
    metrics = json.loads((home / "scores/metrics.json").read_text())
    tables = {
        table["title"]: table for result in metrics["directions"] for table in result["tables"]
    }
    by_class = tables["Labels by class: classify, then resize"]["rows"]
    assert set(by_class) == {"water", "land", "roof"} == set(tables["Truth by class"]["rows"])
    rows = tables["Labels: classify, then resize"]["rows"]
    assert rows["ceiling (truth through the protocol)"]["pixel accuracy"]["value"] > 0.9
    assert {"identity", "constant colour", "translated, labels of other pictures"} <= set(rows)
    assert not [row for row in rows if row.startswith("published")]
    page = (home / "scores" / PAGE).read_text()
    assert "roof" in page and "sidewalk" not in page


def test_published_rows_need_cityscapes_itself(home, tmp_path):
    folders.run(
        folders.Config(
            input_dir=str(home / "maps"),
            output_dir=str(tmp_path / "d"),
            name="cityscapes",
            classes="",
            label_maps_b=True,
        )
    )
    source = open_source(tmp_path / "d")
    assert source.name == "cityscapes" and not gathering._is_cityscapes(source)


# --- labels of one's own
# ----------------------------------------------------------------------------------------------


def test_a_segmenter_has_the_classes_of_its_labels(segmenter, home, tmp_path, capsys):
    found = load_segmenter(segmenter)
    assert found.classes == TABLE and found.network.output_shape[-1] == 3
    command = [
        "segment",
        f"--segmenter_dir={segmenter}",
        f"--data_dir={home}/data/photos",
        f"--output={tmp_path}/out",
    ]
    assert cli.main([*command, "--split=testA"]) == 0
    told = capsys.readouterr().out
    assert "  water " in told and "  roof " in told and "void" not in told and "mIoU" in told
    assert class_files.read_classes(str(tmp_path / "out/classes.csv")) == TABLE
    ids = np.array(Image.open(tmp_path / "out/labelIds/5.png"))
    assert ids.shape == (40, 40) and set(np.unique(ids)) <= {10, 20, 30}
    overlay = np.array(Image.open(tmp_path / "out/overlays/5.png")).astype(int)
    np.testing.assert_allclose(overlay, (photo(5).astype(int) + TABLE.colorize(ids)) / 2, atol=0.5)


def test_a_split_without_labels_is_refused(segmenter, home, tmp_path, capsys):
    command = [
        "train_segmenter",
        f"--data_dir={home}/data/photos",
        "--split=trainB",
        f"--run_dir={tmp_path}/run",
        *SEGMENTER,
    ]
    assert cli.main(command) == 2
    assert "has no labels in split trainB, only in testA, testB, trainA" in capsys.readouterr().err


def other_data(home: Path, tmp_path: Path) -> Path:
    """The same photos whose table calls the roofs trees."""
    (tmp_path / "other.csv").write_text(CSV.replace("roof", "tree"))
    folders.run(
        folders.Config(
            input_dir=str(home / "photos"),
            output_dir=str(tmp_path / "other"),
            classes=str(tmp_path / "other.csv"),
        )
    )
    return tmp_path / "other"


def test_two_tables_are_not_compared(home, tmp_path):
    photos, other = open_source(home / "data/photos"), open_source(other_data(home, tmp_path))
    classes, reason = class_ids.common_classes(Split(photos, "testA"), Split(other, "testB"))
    assert classes == other.classes and reason.endswith(
        "id 30 is roof, not tree; no scores by class"
    ), reason
    assert class_ids.common_classes(Split(photos, "testA"), Split(photos, "trainB")) == (TABLE, "")
    assert class_ids.common_classes(Split(photos, "trainB"), Split(photos, "trainB")) == (None, "")


def test_other_classes_are_refused_in_one_line(segmenter, home, tmp_path, capsys):
    other = other_data(home, tmp_path)
    adapt = [
        "adapt",
        f"--source_dir={home}/data/photos",
        "--source_split=trainA",
        "--target_split=trainB",
        "--target_score_split=testB",
    ]
    cases = {
        "split testA: its classes are not the segmenter's: id 30 is tree, not roof": [
            *(
                "segment",
                f"--segmenter_dir={segmenter}",
                f"--data_dir={other}",
                "--split=testA",
                f"--output={tmp_path}/out",
            ),
        ],
        "split trainA: its classes are not the segmenter's: id 30 is tree, not roof": [
            *(
                "train",
                f"--data_dir={other}",
                f"--run_dir={tmp_path}/run",
                f"--segmenter={segmenter}",
                *TINY,
            ),
        ],
        "its classes are not those of --source_dir": [
            *(
                *adapt,
                f"--target_dir={other}",
                f"--output_dir={tmp_path}/adapt",
                "--arms=source_only",
                *SEGMENTER,
            ),
        ],
        "--arms: the oracle learns from": [
            *(
                *adapt,
                f"--target_dir={home}/data/photos",
                f"--output_dir={tmp_path}/adapt",
                "--arms=source_only,oracle",
                *SEGMENTER,
            ),
        ],
    }
    for message, command in cases.items():
        assert cli.main(command) == 2, message
        error = capsys.readouterr().err
        assert (
            message in error
            and len([line for line in error.splitlines() if line.startswith("tfcyclegan")]) == 1
        ), error


def test_adaptation_with_ones_own_classes(home):
    data = f"{home}/data/photos"
    command = [
        "adapt",
        f"--source_dir={data}",
        "--source_split=trainA",
        f"--target_dir={data}",
        "--target_split=trainB",
    ]
    command += [
        "--target_score_split=testB",
        f"--output_dir={home}/adapt",
        "--arms=source_only",
        "--seeds=0",
        *SEGMENTER,
    ]
    assert cli.main(command) == 0
    head, row = (line.split(",") for line in (home / "adapt/results.csv").read_text().splitlines())
    assert head[-3:] == ["water", "land", "roof"] and len(row) == len(head)
    results = json.loads((home / "adapt/results.json").read_text())
    assert "over the 3 classes" in results["note"]
    assert "roof" in (home / "adapt/report.html").read_text()


def test_older_segmenters_are_of_cityscapes(segmenter, tmp_path):
    settings = json.loads((segmenter / SETTINGS).read_text())
    assert [entry["name"] for entry in settings.pop("classes")] == [
        entry.name for entry in TABLE.classes
    ]
    (tmp_path / SETTINGS).write_text(json.dumps(settings))
    assert read_segmenter_run(tmp_path).classes == CITYSCAPES


def test_data_of_another_program_are_taken_for_cityscapes_and_told(home, capsys):
    source = dataclasses.replace(
        open_source(home / "data/photos"), classes=None, directory=home / "foreign"
    )
    assert Split(source, "trainA").labelled and source.require_labels("trainA") is CITYSCAPES
    assert (
        "has no table of classes; its label ids are assumed to be those of Cityscapes"
        in capsys.readouterr().out
    )
