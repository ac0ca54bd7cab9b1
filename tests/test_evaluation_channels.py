"""From gray into colours and back, as a user would: every family of scores."""

import json

from PIL import Image

from tests.test_training import config
from tfcyclegan import cli
from tfcyclegan.training.trainer import train


def test_all_families_are_scored(tiles, tmp_path, capsys):
    directory = tmp_path / "run"
    train(
        config(
            tiles,
            directory,
            max_steps=2,
            channels_a=1,
            lambda_identity=0,
            eval_every_steps=2,
            eval_images=8,
        )
    )
    assert (
        cli.main(["evaluate", f"--run_dir={directory}", "--direction=both", "--features=none"]) == 0
    )
    metrics = json.loads((directory / "evaluation" / "metrics.json").read_text())
    told = (
        "channels: A is gray here, stored colours of it are taken by their luminance; controls "
        "start from "
    )
    for result in metrics["directions"]:
        rows = {table["title"]: table["rows"] for table in result["tables"]}
        assert {"Look", "Truth", "Cycle honesty", "By luminance of the input"} <= rows.keys()
        controls = {
            "CycleGAN",
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
