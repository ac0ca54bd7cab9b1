"""The evaluate command on a real run."""

import json

import pytest

from tests.test_training import config
from tfcyclegan import cli
from tfcyclegan.training.trainer import train


def test_the_command_scores_saved_pictures_and_says_where_it_is_not_better(tiles, tmp_path, capsys):
    run_dir = tmp_path / "run"
    train(config(tiles, run_dir, max_steps=2))
    assert (
        cli.main(["evaluate", f"--run_dir={run_dir}", "--direction=both", "--features=none"]) == 0
    )
    assert "NOT better than controls" in capsys.readouterr().out  # two steps teach nothing
    metrics = json.loads((run_dir / "evaluation" / "metrics.json").read_text())
    forward, backward = metrics["directions"]
    assert (
        forward["reached"] is False
        and len(list((run_dir / "evaluation" / "ab").glob("*.png"))) == forward["count"]
    )
    look, truth = (table["rows"] for table in forward["tables"][:2])
    assert {
        "CycleGAN",
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
