"""What `translate` takes from a run: the split, the domain, and how its pictures were read."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import folders as preparing
from data_prep import prepare
from tests.test_intake import encoded, png_16
from tests.test_translating_folders import NEGATIVE, record
from tfcyclegan import cli
from tfcyclegan.data.domains import open_domains
from tfcyclegan.errors import UserError
from tfcyclegan.system import files


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A data set of two domains from 12-bit pictures in 16-bit files, whose pictures of A are dark
    and of B are bright.
    """
    place = tmp_path_factory.mktemp("prepared")
    for split, value in (
        ("trainA", 100),
        ("trainB", 4095),
        ("testA", 100),
        ("testB", 4095),
        ("valB", 4095),
    ):
        (place / "root" / split).mkdir(parents=True)
        for number in range(2):
            samples = np.full((8, 8, 3), value, np.uint16) + np.arange(8, dtype=np.uint16)[
                :, np.newaxis
            ] % (4096 - value)
            (place / "root" / split / f"{number}.png").write_bytes(png_16(samples, 2))
    preparing.run(
        preparing.Config(
            input_dir=str(place / "root"), output_dir=str(place / "data"), max_value="4095"
        )
    )
    return place


def split_of(prepared: Path, direction: str, splits: tuple[str, ...] = (), **more) -> list[str]:
    return open_domains(str(prepared / "data")).choose(direction, splits, **more)[1]


def test_the_split_follows_the_direction(prepared):
    assert split_of(prepared, "ab") == ["testA"] and split_of(prepared, "ba") == ["testB"]
    assert split_of(prepared, "ba", ("trainB", "valB")) == ["trainB", "valB"]
    message = (
        "--split=testA: is of domain A, but --direction=ba starts from domain B; leave --split out "
        "for testB, or --cross_domain"
    )
    with pytest.raises(UserError, match=message):
        split_of(prepared, "ba", ("testA",))
    assert split_of(prepared, "ba", ("testA",), cross_domain=True) == ["testA"]


@pytest.fixture(scope="module")
def two_sets(tmp_path_factory) -> tuple[Path, Path]:
    """A data set for each domain: one with the splits train and test, one with train and val."""
    place = tmp_path_factory.mktemp("two")
    for name, splits, value in (("game", ("train", "test"), 10), ("city", ("train", "val"), 200)):
        png = encoded(Image.fromarray(np.full((8, 8, 3), value, np.uint8)), "PNG")
        sources = {
            split: [prepare.Source(f"{split}/0.png", len(png), io.BytesIO(png).getvalue)]
            for split in splits
        }
        request = prepare.Request(
            name=name,
            command="",
            splits=sources,
            settings={},
            inputs={},
            max_bad=0,
            max_pixels=10_000,
            shards=0,
        )
        prepare.run(request, place / name)
    return place / "game", place / "city"


def test_the_split_of_data_sets_of_one_domain(two_sets):
    game, city = two_sets
    both = open_domains(f"{game},{city}")
    assert both.choose("ab", []) == (both.a, ["test"]) and both.choose("ba", []) == (
        both.b,
        ["val"],
    )
    alone = open_domains(str(city))
    assert alone.choose("ba", [])[1] == ["val"] and alone.choose("ab", ["train"])[1] == ["train"]


def run(capfd, *arguments: str) -> tuple[int, str, str]:
    code = cli.main(["translate", *arguments])
    captured = capfd.readouterr()
    return code, captured.out, captured.err


def test_the_command(prepared, imported, tmp_path, capfd, monkeypatch):
    """On an imported run, whose generator is replaced: which split it takes, what it refuses, and
    how it reads pictures.
    """
    monkeypatch.setattr(
        "tfcyclegan.translation.translators.copies_on_devices", lambda *_, **__: [NEGATIVE]
    )
    shutil.copytree(imported, tmp_path / "run")
    stored = files.read_json(tmp_path / "run" / "config.json")
    stored["options"]["data_dir"] = str(prepared / "data")
    files.write_json(tmp_path / "run" / "config.json", stored)
    common = (f"--run_dir={tmp_path / 'run'}", "--scale=original")
    data = f"--data_dir={prepared / 'data'}"

    code, out, _ = run(capfd, *common, data, "--direction=ba", f"--output={tmp_path / 'ba'}")
    assert code == 0 and "translating split testB, since --direction=ba starts from domain B" in out
    assert np.asarray(Image.open(tmp_path / "ba" / "0.png")).max() == 0, "the negative of white"
    for output in (f"--output={tmp_path / 'no'}", f"--output_data={tmp_path / 'no'}"):
        code, _, err = run(capfd, *common, data, "--direction=ba", "--split=testA", output)
        assert (
            code == 2
            and "--split=testA: is of domain A" in err
            and len(err.splitlines()) == 1
            and not (tmp_path / "no").exists()
        )
        code, _, err = run(
            capfd,
            *common,
            data,
            "--direction=ba",
            "--split=testA",
            "--cross_domain",
            output.replace("no", "yes"),
        )
        assert code == 0 or "is not empty" in err

    source = prepared / "root" / "trainB"
    code, out, _ = run(capfd, *common, f"--input={source}", f"--output={tmp_path / 'pictures'}")
    assert code == 0 and "read with --max_value=4095, like the data of" in out
    assert (
        "trainB: named like domain B, but --direction=ab starts from domain A; check that this is "
        "intended" in out
    )
    assert np.asarray(Image.open(tmp_path / "pictures" / "0.png")).max() == 0
    assert record(tmp_path / "pictures")["max_value"] == 4095
    code, out, _ = run(
        capfd, *common, f"--input={source}", "--max_value=65535", f"--output={tmp_path / 'dark'}"
    )
    assert code == 0 and np.asarray(Image.open(tmp_path / "dark" / "0.png")).min() == 255 - 16

    for arguments, message in (
        (("--input=x", "--split=testA", "--output=o"), "--split: requires --data_dir"),
        ((data, "--pages=first", "--output=o"), "--pages=first: requires --input"),
        ((data, "--alpha=keep", "--output=o"), "--alpha=keep: requires --input"),
        ((data, "--max_value=9", "--output=o"), "--max_value=9: requires --input"),
    ):
        code, _, err = run(capfd, *common, *arguments)
        assert code == 2 and message in err


def test_a_run_remembers_how_its_data_were_read(prepared, imported, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(
        "tfcyclegan.translation.translators.copies_on_devices", lambda *_, **__: [NEGATIVE]
    )
    shutil.copytree(imported, tmp_path / "run")
    stored = files.read_json(tmp_path / "run" / "config.json")
    stored["options"]["data_dir"] = str(tmp_path / "gone")
    stored["reading"] = {d: open_domains(str(prepared / "data")).reading(d) for d in "ab"}
    source = prepared / "root" / "trainB"
    words = [f"--run_dir={tmp_path / 'run'}", "--scale=original", f"--input={source}"]
    for number, told in enumerate(
        ("read with --max_value=4095, like the data of", "how they were read is not known")
    ):
        files.write_json(tmp_path / "run" / "config.json", stored)
        code, out, _ = run(capfd, *words, f"--output={tmp_path / str(number)}")
        assert code == 0 and told in out
        stored.pop("reading", None)  # as in a run of an older version
    white, bright = (np.asarray(Image.open(tmp_path / n / "0.png")).max() for n in "01")
    assert (white, bright) == (0, 255 - 16)


def test_a_run_knows_its_other_domain(two_sets, imported, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(
        "tfcyclegan.translation.translators.copies_on_devices", lambda *_, **__: [NEGATIVE]
    )
    shutil.copytree(imported, tmp_path / "run")
    stored = files.read_json(tmp_path / "run" / "config.json")
    game, city = two_sets
    stored["options"]["data_dir"] = f"{game},{city}"
    files.write_json(tmp_path / "run" / "config.json", stored)
    common = (f"--run_dir={tmp_path / 'run'}", "--scale=original", f"--data_dir={city}")
    code, _, err = run(capfd, *common, f"--output={tmp_path / 'out'}")
    assert code == 2 and "is domain B of" in err and "give --direction=ba, or --cross_domain" in err
    assert run(capfd, *common, "--direction=ba", f"--output={tmp_path / 'out'}")[0] == 0
