"""Measures against hand-computed numbers and known answers; the evaluate command on a real run."""

import json

import numpy as np
import pytest

from tests.test_training import config
from tfcyclegan import cli
from tfcyclegan.measures import paired
from tfcyclegan.measures.appearance import Appearance, lab, sliced_distance
from tfcyclegan.measures.controls import make_controls
from tfcyclegan.training.trainer import train


def noise(seed: int, low: int = 0, high: int = 256, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (side, side, 3), dtype=np.uint8)


def test_lab_of_known_colours():
    """White, black and pure red in D65, from the CIE tables."""
    image = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0]]], np.uint8)
    np.testing.assert_allclose(lab(image)[0], [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]], atol=0.02)


def test_sliced_distance_of_a_shift():
    """Shifting a cloud by s along a random unit direction moves its projections by s |cos|; the mean of |cos| in 3-D is 1/2."""
    cloud = np.random.default_rng(0).normal(size=(5000, 3))
    assert sliced_distance(cloud, cloud) == 0
    assert sliced_distance(cloud, cloud + np.array([4, 0, 0])) == pytest.approx(2.0, rel=0.1)


def test_appearance_tells_colour_from_texture():
    real = [noise(index) for index in range(8)]
    look = Appearance(real)
    same = [noise(100 + index) for index in range(8)]
    smooth = [np.full_like(picture, picture.mean(axis=(0, 1)).astype(np.uint8)) for picture in same]
    darker = [picture // 2 for picture in same]
    assert look.colour_distance(same) < 0.1 * look.colour_distance(darker)
    assert look.texture_distance(same) < 0.1 * look.texture_distance(smooth)


def test_paired_errors():
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert paired.absolute_error(black, white) == pytest.approx(2.0)
    assert paired.lab_error(black, white) == pytest.approx(100.0, abs=1e-3)
    half = black.copy()
    half[0] = 255
    mask = np.array([[True, True], [False, False]])
    assert paired.lab_error(half, black, mask) == pytest.approx(100.0, abs=1e-3)
    assert paired.lab_error(half, black, ~mask) == 0
    assert np.isnan(paired.lab_error(half, black, np.zeros((2, 2), bool)))
    assert paired.overlap(mask, mask) == 1 and paired.overlap(mask, ~mask) == 0
    assert paired.overlap(mask, np.ones((2, 2), bool)) == 0.5
    sea = np.array([[[10, 20, 35], [10, 20, 34]]], np.uint8)
    assert paired.water(sea).tolist() == [[True, False]]


def test_controls():
    target = [noise(index, 100, 201) for index in range(4)]
    controls = make_controls(target)
    picture = noise(9, 0, 50)
    assert controls["identity"](picture) is picture
    matched = controls["colour matching"](picture).astype(float)
    pixels = np.concatenate(target).reshape(-1, 3).astype(float)
    np.testing.assert_allclose(matched.mean(axis=(0, 1)), pixels.mean(axis=0), atol=1)
    np.testing.assert_allclose(matched.std(axis=(0, 1)), pixels.std(axis=0), atol=1)
    quantiles = np.quantile(controls["histogram matching"](picture).reshape(-1, 3), [0.1, 0.5, 0.9], axis=0)
    np.testing.assert_allclose(quantiles, np.quantile(pixels, [0.1, 0.5, 0.9], axis=0), atol=3)
    assert len(np.unique(controls["constant colour"](picture).reshape(-1, 3), axis=0)) == 1


def test_the_command_scores_saved_pictures_and_says_where_it_is_not_better(tiles, tmp_path, capsys):
    run_dir = tmp_path / "run"
    train(config(tiles, run_dir, max_steps=2))
    assert cli.main(["evaluate", f"--run_dir={run_dir}", "--direction=both", "--features=none"]) == 0
    assert "NOT better than controls" in capsys.readouterr().out  # two steps teach nothing
    metrics = json.loads((run_dir / "evaluation" / "metrics.json").read_text())
    forward, backward = metrics["directions"]
    assert forward["reached"] is False and len(list((run_dir / "evaluation" / "ab").glob("*.png"))) == forward["count"]
    look, truth = (table["rows"] for table in forward["tables"][:2])
    assert {"CycleGAN", "identity", "colour matching", "histogram matching", "constant colour", "real (floor)"} == look.keys()
    assert look["real (floor)"]["colour"]["value"] < look["identity"]["colour"]["value"]
    overlap = truth["identity"]["water IoU"]
    assert overlap["low"] < overlap["value"] < overlap["high"] and overlap["n"] == forward["count"]
    assert overlap["value"] > 0.8, "test pairs are aligned"
    back = backward["tables"][1]["rows"]["identity"]
    # What lies on land is judged by the map's own land in both directions, so swapping the two pictures changes nothing.
    assert back["Lab error on land"]["value"] == pytest.approx(truth["identity"]["Lab error on land"]["value"])
    assert back["Lab error on land"]["value"] != pytest.approx(back["Lab error"]["value"])
    assert "water IoU" not in back, "no blue-over-red rule holds for satellite pictures of deep sea"
    page = (run_dir / "report.html").read_text()
    assert page.index("NOT better") < page.index("A to B, test</h2>") and 'class="verdict bad"' in page
