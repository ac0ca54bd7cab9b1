"""What `--data_dir` may name: one data set, one for each domain, and data sets of the TFDS
catalogue.
"""

from pathlib import Path

import numpy as np
import pytest

from tests.test_training import SMALL, config
from tfcyclegan import cli, flags
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.data.domains import open_domains
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import UserError
from tfcyclegan.training.trainer import train

HORSES = "tfds:cycle_gan/horse2zebra"


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    """A data set of the catalogue as TFDS's own builder writes it, of other pictures: eight of each
    split, 256x256 noise.
    """
    import tensorflow_datasets as tfds

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "tfds"))
    builder = tfds.builder(HORSES.removeprefix("tfds:"), data_dir=str(tmp_path / "tfds"))
    random = np.random.default_rng(0)

    def examples(split):
        for number in range(8):
            noise = random.integers(0, 256, (256, 256, 3), np.uint8)
            yield f"{split} {number}", {"image": noise, "label": int(split.endswith("B"))}

    splits = ("trainA", "trainB", "testA", "testB")
    monkeypatch.setattr(
        type(builder),
        "_split_generators",
        lambda self, _: {name: examples(name) for name in splits},
    )
    builder.download_and_prepare()
    return tmp_path


def test_a_set_of_the_tfds_catalogue_trains_without_a_conversion(catalogue, tiles, eager):
    source = open_source(HORSES)
    assert (
        source.counts == {"trainA": 8, "trainB": 8, "testA": 8, "testB": 8} and not source.labelled
    )
    run_dir = catalogue / "run"
    train(
        config(
            tiles,
            run_dir,
            data_dir=HORSES,
            cache_dir=str(catalogue / "cache"),
            max_steps=2,
            sample_images=1,
        )
    )
    assert (run_dir / "samples" / "test-0000000-ab.png").exists()


def test_without_a_network_one_line_says_what_to_do(monkeypatch, tmp_path, capfd):
    import requests

    def no_network(*_, **__):
        raise requests.ConnectionError("Name or service not known")

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("requests.Session.get", no_network)
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path))
    assert cli.main(["train", f"--data={HORSES}", f"--run_dir={tmp_path / 'run'}"]) == 2
    captured = capfd.readouterr()
    assert (
        len(captured.err.splitlines()) == 1
        and f"--data_dir={HORSES}: cannot be downloaded" in captured.err
    )
    assert "copy" in captured.err and not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["nonsense", "cycle_gan/nonsense"])
def test_sets_that_the_catalogue_lacks(name):
    with pytest.raises(UserError, match=f"--data_dir=tfds:{name}: not in the TFDS catalogue"):
        open_source(f"tfds:{name}")


def test_a_set_for_each_domain(tiles, tmp_path, eager):
    from data_prep import folders
    from tests.test_bad_input import write_picture

    for split in ("trainA", "trainB", "valA"):
        for number in range(3):
            write_picture(tmp_path / "pictures" / split / f"{number}.png", 48)
    folders.run(
        folders.Config(input_dir=str(tmp_path / "pictures"), output_dir=str(tmp_path / "mine"))
    )
    both = f"{tmp_path / 'mine'},{tiles}"
    domains = open_domains(both)
    assert domains.name == "pictures, satellite2map"
    assert (domains.require("train", "a").count, domains.require("train", "b").source.name) == (
        3,
        "satellite2map",
    )
    assert domains.require("test", "a").name == "valA", (
        "val stands in for a test split that is not there"
    )
    assert domains.find("val", "a").name == "valA" and domains.fingerprint not in (
        domains.a.fingerprint,
        domains.b.fingerprint,
    )
    with pytest.raises(UserError, match="no pictures in split testB"):
        open_domains(str(tmp_path / "mine")).require("test", "b")
    run_dir = tmp_path / "run"
    train(config(tiles, run_dir, data_dir=both, max_steps=2))
    assert {path.name[:4] for path in (run_dir / "samples").iterdir()} == {"test", "trai"}


@pytest.mark.parametrize("data_dir", ["a,b,c", "a,", ",b"])
def test_more_or_fewer_than_two_sets_are_refused(data_dir):
    with pytest.raises(UserError, match="give one data set with trainA and trainB, or two"):
        open_domains(data_dir)


def test_the_recipe_is_told_where_data_are_missing(tmp_path, monkeypatch, capfd):
    """What our user types first, on a machine without the data."""
    root = Path(__file__).parents[1]
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", f"--flagfile={root}/configs/gta2city.cfg"]) == 2
    error = capfd.readouterr().err
    assert len(error.splitlines()) == 1
    for part in (
        "data/gta5 and data/cityscapes not found",
        "data_prep.gta5",
        "data_prep.cityscapes",
        "make toy_gta2city",
    ):
        assert part in error


def test_data_is_short_for_data_dir():
    arguments = ["--data=x", "--run_dir=y", f"--crop_size={SMALL['crop_size']}", "--load_size=36"]
    assert flags.parse(TrainConfig, arguments).data_dir == "x"
    assert flags.parse(TrainConfig, arguments).crop_size == Size(32, 32)
