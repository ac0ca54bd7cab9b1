"""The evaluate and compare commands on real runs: what they print and write; bad requests in one
line.
"""

import contextlib
import csv
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.conftest import eagerly
from tests.engine_parts import Twice
from tests.test_training import config
from tfcyclegan import cli, engines
from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.picture_folders import picture_name
from tfcyclegan.data.source import open_source
from tfcyclegan.evaluation import gathering
from tfcyclegan.system import files
from tfcyclegan.training.trainer import train


@pytest.fixture(scope="module")
def evaluated(tiles, tmp_path_factory):
    """A short run on tiles, scored in both directions; another one beside it, which is the same but
    for one score, as it is shown.
    """
    place = tmp_path_factory.mktemp("evaluated")
    with eagerly():
        train(config(tiles, place / "run0", max_steps=2))
    command = ["evaluate", f"--run_dir={place / 'run0'}", "--direction=both", "--features=none"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert cli.main(command) == 0
    (place / "printed.txt").write_text(printed.getvalue())
    shutil.copytree(place / "run0", place / "run1")
    path = place / "run1" / "evaluation" / "metrics.json"
    metrics = json.loads(path.read_text())
    # also under the name that the row had in older versions
    shown = metrics["directions"][0]["tables"][0]["shown"]
    shown["CycleGAN"] = ["7.125 [6.000, 8.000]", *shown.pop("translated")[1:]]
    path.write_text(json.dumps(metrics))
    return place


def test_saved_pictures_are_scored_and_it_is_told_where_they_are_not_better(evaluated):
    run_dir = evaluated / "run0"
    # two steps teach nothing
    assert "NOT better than controls" in (evaluated / "printed.txt").read_text()
    metrics = json.loads((run_dir / "evaluation" / "metrics.json").read_text())
    forward, backward = metrics["directions"]
    assert (
        forward["reached"] is False
        and len(list((run_dir / "evaluation" / "ab").glob("*.png"))) == forward["count"]
    )
    look, truth = (table["rows"] for table in forward["tables"][:2])
    assert {
        "translated",
        "identity",
        "colour matching",
        "histogram matching",
        "constant colour",
        "real (floor)",
    } == look.keys()
    assert look["real (floor)"]["colour"]["value"] < look["identity"]["colour"]["value"]
    overlap = truth["identity"]["water IoU"]
    assert overlap["low"] < overlap["value"] < overlap["high"] and overlap["n"] == forward["count"]
    assert overlap["value"] > 0.8, "test pairs are aligned"
    back = backward["tables"][1]["rows"]["identity"]
    # What lies on land is judged by the map's own land in both directions, so swapping the two
    # pictures changes nothing.
    assert back["Lab error on land"]["value"] == pytest.approx(
        truth["identity"]["Lab error on land"]["value"]
    )
    assert back["Lab error on land"]["value"] != pytest.approx(back["Lab error"]["value"])
    assert "water IoU" not in back, "no blue-over-red rule holds for satellite pictures of deep sea"
    page = (run_dir / "report.html").read_text()
    assert (
        page.index("NOT better") < page.index("A to B, test</h2>") and 'class="verdict bad"' in page
    )


def test_csv_and_page(evaluated):
    output = evaluated / "run0" / "evaluation"
    metrics = json.loads((output / "metrics.json").read_text())
    with open(output / "metrics.csv", newline="") as stream:
        rows = {
            (row["direction"], row["table"], row["row"], row["column"]): row
            for row in csv.DictReader(stream)
        }
    for result in metrics["directions"]:
        for table in result["tables"]:
            for name, values in table["rows"].items():
                for column, one in values.items():
                    row = rows.pop((result["direction"], table["title"], name, column))
                    assert row["value"] == (
                        "" if one["value"] is None else str(one["value"])
                    ) and row["n"] == str(one["n"])
        assert {"look", "truth", "detectors", "page"} <= result["seconds"].keys()
    assert {key[1] for key in rows} == {"Detectors"}
    page = (output / "index.html").read_text()
    outside = (
        page.replace("http://www.w3.org", "")
        .replace("http://purl.org", "")
        .replace("http://creativecommons.org", "")
    )
    assert 'src="http' not in outside and "<script src" not in outside, "one file, opens from disk"
    assert page.count("data:image/png;base64,") >= 9 and page.count("<svg") >= 3
    for word in (
        "best",
        "median",
        "worst",
        "Cycle honesty",
        "By luminance of the input",
        "prefers-color-scheme: dark",
        "viewport",
    ):
        assert word in page
    assert "published" not in page and "KID x 1000" not in page
    assert ">pictures </th>" in page and ">colour ↓</th>" in page, (
        "a count is neither better low nor high"
    )


def test_compare_puts_runs_side_by_side(evaluated, capsys):
    page = evaluated / "compare.html"
    assert (
        cli.main(
            [
                "compare",
                f"--run_dirs={evaluated / 'run0'},{evaluated / 'run1'}",
                f"--output={page}",
                "--pictures=3",
            ]
        )
        == 0
    )
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 6 and "run0" in text and "Look: colour" in text
    shown = json.loads((evaluated / "run1" / "evaluation" / "metrics.json").read_text())[
        "directions"
    ][0]["tables"][0]["shown"]["CycleGAN"]
    assert shown[0] in text
    capsys.readouterr()


def altered(evaluated, place, change) -> str:
    """run1 under another name with another metrics.json."""
    copy = place / "other"
    shutil.copytree(evaluated / "run1", copy)
    path = copy / "evaluation" / "metrics.json"
    metrics = json.loads(path.read_text())
    change(metrics)
    path.write_text(json.dumps(metrics))
    return f"--run_dirs={evaluated / 'run0'},{copy}"


def test_compare_refuses_other_pictures(evaluated, tmp_path, capsys):
    runs = altered(evaluated, tmp_path, lambda metrics: metrics.update(split="val"))
    assert cli.main(["compare", runs, f"--output={tmp_path / 'page.html'}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "different pictures" in error and "split val" in error
    assert cli.main(["compare", f"--run_dirs={evaluated / 'run0'}"]) == 2
    assert cli.main(["compare", f"--run_dirs={evaluated / 'run0'},{tmp_path}"]) == 2
    assert "has no scores" in capsys.readouterr().err


def test_compare_tells_in_what_runs_differ(evaluated, tmp_path, capsys):
    def otherwise(metrics):
        result = metrics["directions"][0]
        truth = next(table for table in result["tables"] if table["title"] == "Truth")
        truth["columns"] = truth["columns"][2:]
        truth["shown"] = {row: values[2:] for row, values in truth["shown"].items()}
        result.update(scale="none 286", chosen="best", pairs=result["pairs"] | {"basis": "names"})
        result["detectors"] = [result["detectors"][0] | {"name": "of its own", "value": None}]

    page = tmp_path / "page.html"
    assert cli.main(["compare", altered(evaluated, tmp_path, otherwise), f"--output={page}"]) == 0
    told, shown = capsys.readouterr().out, page.read_text()
    for line in (
        "Truth: L1: only for run0",
        "scales differ, which affects the scores: run0 resize_and_crop 36, other none 286",
        "choices of checkpoints differ, which affects the scores: run0 latest, other best",
        "pairs differ, which affects the scores: run0 basis: guess in verdicts: True, other "
        "basis: names in verdicts: True",
    ):
        assert line in told and line in shown, line
    psnr = json.loads((evaluated / "run1" / "evaluation" / "metrics.json").read_text())[
        "directions"
    ][0]["tables"][1]["shown"]["translated"][2]
    row = next(part for part in shown.split("<tr>") if "Truth: PSNR" in part)
    assert psnr in row and "of its own" in shown, "columns by their names"


def test_compare_keeps_feature_networks_apart(evaluated, tmp_path, capsys):
    def with_kid(metrics):
        table = json.loads(json.dumps(metrics["directions"][0]["tables"][0])) | {
            "title": "Distribution: x-256"
        }
        metrics["directions"][0]["tables"].append(table)
        metrics["features"] = {"name": "x-256", "dimension": 256, "sha256": "0"}

    assert (
        cli.main(
            [
                "compare",
                altered(evaluated, tmp_path, with_kid),
                f"--output={tmp_path / 'page.html'}",
            ]
        )
        == 0
    )
    assert (
        "Distribution: x-256: only for other; scores of different networks are not compared"
        in capsys.readouterr().out
    )
    assert "Distribution: x-256: colour" not in (tmp_path / "page.html").read_text()


def test_workers_of_an_engine_give_the_same_scores(evaluated, tmp_path, monkeypatch):
    """Translations, rows of all measures and the cycle's networks, opened again."""
    pytest.importorskip("cloudpickle")
    run_dir = shutil.copytree(evaluated / "run0", tmp_path / "run")
    expected = json.loads((run_dir / "evaluation" / "metrics.json").read_text())["directions"][0]
    pictures = {path.name: path.read_bytes() for path in (run_dir / "evaluation/ab").glob("*.png")}
    shutil.rmtree(run_dir / "evaluation")
    monkeypatch.setattr(engines, "open_engine", lambda options: Twice())
    assert cli.main(["evaluate", f"--run_dir={run_dir}", "--features=none"]) == 0
    there = run_dir / "evaluation"
    assert pictures == {path.name: path.read_bytes() for path in (there / "ab").glob("*.png")}
    found = json.loads((there / "metrics.json").read_text())["directions"][0]
    for part in ("tables", "detectors", "examples", "left_out", "verdict"):
        assert found[part] == expected[part], part
    assert not (there / ".work").exists()


def test_translations_of_another_split_are_replaced(evaluated, tmp_path, capsys):
    run_dir = shutil.copytree(evaluated / "run0", tmp_path / "run")
    record = run_dir / "evaluation/ab/translation.json"
    made = json.loads(record.read_text())
    assert made["split"] == "testA" and made["data"]
    record.write_text(json.dumps({**made, "split": "valA"}))
    picture = min((run_dir / "evaluation/ab").glob("*.png"))
    expected = picture.read_bytes()
    picture.write_bytes(max((run_dir / "evaluation/ab").glob("*.png")).read_bytes())
    assert cli.main(["evaluate", f"--run_dir={run_dir}", "--features=none"]) == 0
    assert "replacing the translations there" in capsys.readouterr().out
    assert picture.read_bytes() == expected and json.loads(record.read_text()) == made


def test_the_way_back_is_of_the_step_of_the_translations(evaluated, tmp_path, monkeypatch):
    """Not of the latest one by then: a training may go on."""
    run_dir = shutil.copytree(evaluated / "run0", tmp_path / "run")
    opened, real = [], gathering._both_ways
    monkeypatch.setattr(
        gathering,
        "_both_ways",
        lambda run, checkpoint, *more: opened.append(checkpoint) or real(run, checkpoint, *more),
    )
    assert cli.main(["evaluate", f"--run_dir={run_dir}", "--features=none"]) == 0
    scored = json.loads((run_dir / "evaluation/metrics.json").read_text())["directions"][0]
    assert opened and {f"step-{step}" for step in opened} == {scored["checkpoint"]}


def test_translations_that_no_evaluation_made_are_not_replaced(evaluated, tmp_path, capsys):
    run_dir = shutil.copytree(evaluated / "run0", tmp_path / "run")
    there = shutil.copytree(run_dir / "evaluation/ab", tmp_path / "out/ab")
    record = there / "translation.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "split": "valA"}))
    (there / "notes.txt").write_text("mine")
    words = ["evaluate", f"--run_dir={run_dir}", "--features=none", f"--output={tmp_path / 'out'}"]
    assert cli.main(words) == 2
    assert "ab holds translations that no finished evaluation made" in capsys.readouterr().err
    assert (there / "notes.txt").read_text() == "mine" and list(there.glob("*.png"))


def test_one_evaluation_at_a_time_writes_to_a_folder(evaluated, tmp_path, capsys):
    run_dir = shutil.copytree(evaluated / "run0", tmp_path / "run")
    with files.exclusive_lock(run_dir / "evaluation"):
        assert cli.main(["evaluate", f"--run_dir={run_dir}", "--features=none"]) == 2
    assert "evaluation: another process is writing there" in capsys.readouterr().err


@pytest.fixture
def translations(tiles, tmp_path):
    """The true pictures as translations."""
    folder = tmp_path / "pngs"
    for filename, encoded in open_source(tiles).pictures("testB"):
        path = folder / f"{picture_name(filename, 'testB')}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        images.resize(images.decode(encoded, 3), Size(40, 40)).save(path)
    return folder


def scored(folder, tiles, tmp_path, *more: str) -> int:
    return cli.main(
        [
            "evaluate",
            f"--translations={folder}",
            f"--data_dir={tiles}",
            f"--output={tmp_path / 'scores'}",
            "--features=none",
            *more,
        ]
    )


def test_a_folder_of_translations(translations, tiles, tmp_path):
    assert scored(translations, tiles, tmp_path) == 0
    result = json.loads((tmp_path / "scores" / "metrics.json").read_text())["directions"][0]
    truth = next(table for table in result["tables"] if table["title"] == "Truth")["rows"][
        "translated"
    ]
    assert (
        truth["L1"]["value"] == 0
        and truth["SSIM"]["value"] == pytest.approx(1)
        and truth["PSNR"]["value"] is None
    )
    assert any("cycle honesty: needs both generators" in reason for reason in result["left_out"])
    assert (tmp_path / "scores" / "index.html").exists()


def test_bad_folders_are_refused_in_one_line(translations, tiles, tmp_path, capsys):
    first = sorted(translations.rglob("*.png"))[0]
    first.rename(first.with_name("stranger.png"))
    assert scored(translations, tiles, tmp_path) == 2
    error = capsys.readouterr().err
    assert (
        error.count("\n") == 1
        and "1 of the split are missing" in error
        and "stranger" in error
        and first.stem in error
    )
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(first)
    first.with_name("stranger.png").unlink()
    assert scored(translations, tiles, tmp_path) == 2
    assert "several sizes" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert scored(tmp_path / "empty", tiles, tmp_path) == 2
    assert "no pictures found" in capsys.readouterr().err
    assert scored(tmp_path / "nowhere", tiles, tmp_path) == 2
    assert "no such folder" in capsys.readouterr().err
    assert scored(translations, tiles, tmp_path, "--direction=both") == 2
    assert (
        cli.main(["evaluate"]) == 2
        and cli.main(["evaluate", "--run_dir=x", "--features=inception"]) == 2
    )


def test_from_gray_into_colours_and_back(tiles, tmp_path, capsys):
    directory = tmp_path / "run"
    options = {"max_steps": 2, "eval_every_steps": 2, "eval_images": 8}
    with eagerly():
        train(config(tiles, directory, **options, channels_a=1, lambda_identity=0))
    assert (
        cli.main(["evaluate", f"--run_dir={directory}", "--direction=both", "--features=none"]) == 0
    )
    metrics = json.loads((directory / "evaluation" / "metrics.json").read_text())
    told = (
        "channels: A is gray, its stored colours are converted to luminance; controls start from "
    )
    for result in metrics["directions"]:
        rows = {table["title"]: table["rows"] for table in result["tables"]}
        assert {"Look", "Truth", "Cycle honesty", "By luminance of the input"} <= rows.keys()
        controls = {
            "translated",
            "identity",
            "colour matching",
            "histogram matching",
            "constant colour",
        }
        assert rows["Truth"].keys() == controls and rows["Look"].keys() == {
            *controls,
            "real (floor)",
        }
        assert (
            rows["Look"]["real (floor)"]["colour"]["value"]
            < rows["Look"]["identity"]["colour"]["value"]
        )
        assert result["channels"] == {"a": 1, "b": 3} and len(result["detectors"]) >= 10
        assert any(told in line for line in result["assumed"])
    assert (
        told in capsys.readouterr().out
        and told in (directory / "report.html").read_text()
        and told in (directory / "evaluation" / "index.html").read_text()
    )
    with Image.open(next((directory / "evaluation" / "ab").glob("*.png"))) as made:
        assert made.mode == ("RGB")
