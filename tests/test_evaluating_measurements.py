"""`evaluate` of measurements as a user meets it: arrays of another program, what a run makes."""

import json

import numpy as np
import pytest

from data_prep import arrays
from tests.test_measurements import write
from tfcyclegan import cli

GENERATOR = np.random.default_rng(8)
OFF = 40  # by which our translations are too high


def scan(planes: int) -> np.ndarray:
    """Blobs of values 0 to 1, as no two scans have them."""
    coarse = GENERATOR.random((planes, 4, 4)).astype(np.float32)
    return np.kron(coarse, np.ones((1, 6, 6), np.float32)) + 0.01 * GENERATOR.random(
        (planes, 24, 24), np.float32
    )


def target_of(volume: np.ndarray) -> np.ndarray:
    """What the other domain shows of it: inverted, in units of its own."""
    return np.rint(1000 - 1900 * volume).astype(np.int16)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A: float32 scans with a gap; B: int16, inverted. Two test subjects of four and three planes,
    and translations that are OFF too high.
    """
    place = tmp_path_factory.mktemp("scores")
    tests = {"p1": scan(4), "p2": scan(3)}
    tests["p1"][:, :3, :3] = np.nan
    files = {f"trainA/t{index}/scan.npy": scan(4) for index in range(2)}
    files |= {f"trainB/u{index}/scan.npy": target_of(scan(4)) for index in range(2)}
    files |= {f"testA/{name}/scan.npy": volume for name, volume in tests.items()}
    truths = {name: target_of(np.nan_to_num(volume)) for name, volume in tests.items()}
    files |= {f"testB/{name}/scan.npy": truth for name, truth in truths.items()}
    write(place / "raw", files)
    arrays.run(
        arrays.Config(
            input_dir=str(place / "raw"),
            output_dir=str(place / "data"),
            axes="NHW",
            group_by="parent",
            range_a="0:1",
            range_b="-1000:1000",
        )
    )
    made = {name: truth.astype(np.float32) + OFF for name, truth in truths.items()}
    for name, volume in made.items():
        volume[np.isnan(tests[name])] = np.nan
    write(place / "made", {f"{name}/scan.npy": volume for name, volume in made.items()})
    halves = np.zeros((4, 24, 24), np.uint8)
    halves[:, 12:] = 7
    write(place / "regions", {"p1/scan.npy": halves, "p2/scan.npy": halves[:3]})
    return place


def evaluate(place, *flags: str) -> int:
    return cli.main(
        [
            "evaluate",
            f"--data_dir={place / 'data'}",
            f"--output={place / 'scores'}",
            "--features=none",
            *flags,
        ]
    )


@pytest.fixture(scope="module")
def metrics(place):
    flags = (f"--translations={place / 'made'}", f"--regions={place / 'regions'}")
    assert evaluate(place, *flags, "--display_range=0:1/-500:500") == 0
    return json.loads((place / "scores" / "metrics.json").read_text())


def test_arrays_of_another_program_are_scored_in_units(metrics):
    (result,) = metrics["directions"]
    tables = {table["title"]: table["rows"] for table in result["tables"]}
    own = tables["Truth"]["CycleGAN"]
    assert own["MAE"]["value"] == own["RMSE"]["value"] == OFF and own["MAE"]["n"] == 2
    assert own["PSNR"]["value"] == pytest.approx(20 * np.log10(2000 / OFF))
    assert own["correlation"]["value"] == pytest.approx(1)
    assert set(tables["Truth by subject"]) == {"p1", "p2"}
    assert tables["Truth by subject"]["p1"]["MAE"]["n"] == 4
    assert list(tables["Truth by region"]) == ["region 7"]
    controls = set(tables["Truth"]) - {"CycleGAN"}
    assert controls == {
        "identity",
        "mean and deviation matching",
        "histogram matching",
        "nearest real",
        "constant",
        "linear fit to the test pairs (ceiling)",
    }
    assert tables["Truth"]["linear fit to the test pairs (ceiling)"]["MAE"]["value"] < 1
    assert tables["Truth"]["identity"]["correlation"]["value"] < -0.9, "the contrast inverts"
    assert tables["Values"]["CycleGAN"]["distance"]["value"] > 0
    assert result["reached"], "the ceiling, which saw the truth, is not counted"
    assert "Lab error" not in json.dumps(tables)


def test_units_ranges_windows_and_what_was_assumed_are_told(metrics, place):
    (result,) = metrics["directions"]
    assert result["values"]["B"]["low"] == [-1000] and result["values"]["A"]["dtype"] == "float32"
    assert result["display"]["B"]["low"] == [-500]
    told = "\n".join(result["assumed"])
    for line in (
        "display of A: window 0 to 1, channel 1 in gray; gaps in magenta",
        "display of B: window -500 to 500, channel 1 in gray; gaps in magenta",
        "taken to be in the units of the data (range -1000:1000)",
        "36 of 4032 values are none",
        "a ceiling that no verdict counts",
        "identity takes an input's place in its range",
    ):
        assert line in told
    left_out = "\n".join(result["left_out"])
    assert "Lab error and LPIPS are for pictures" in left_out
    assert "by luminance: is for pictures" in left_out
    page = (place / "scores" / "index.html").read_text()
    assert "B: window -500 to 500, channel 1 in gray" in page and "MAE to the truth" in page


def test_what_does_not_fit_is_refused_in_a_line(place, tmp_path, capsys):
    def refused(*flags: str) -> str:
        assert evaluate(place, *flags) == 2
        return capsys.readouterr().err

    write(tmp_path / "few", {"p1/scan.npy": np.zeros((4, 24, 24), np.float32)})
    assert "3 of 7 measurements of the split have no file there: p2/scan_0001" in refused(
        f"--translations={tmp_path / 'few'}"
    )
    both = {"p1/scan.npy": np.zeros((4, 24, 24)), "p2/scan.npy": np.zeros((3, 20, 24))}
    write(tmp_path / "small", both)
    assert "p2/scan.npy: is 24x20, the measurement 24x24; values are not resampled" in refused(
        f"--translations={tmp_path / 'small'}"
    )
    (tmp_path / "empty").mkdir()
    assert "no files of measurements there" in refused(f"--translations={tmp_path / 'empty'}")
    halves = {name: np.full(shape.shape, 0.5, np.float32) for name, shape in both.items()}
    halves["p2/scan.npy"] = np.full((3, 24, 24), 0.5, np.float32)
    write(tmp_path / "halves", halves)
    assert "has fractions, and ids are whole numbers" in refused(
        f"--translations={place / 'made'}", f"--regions={tmp_path / 'halves'}"
    )
