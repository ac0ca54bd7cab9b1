"""The synthetic street: the layouts of GTA5 and Cityscapes, the same pixels from the same seed, and
a gap that no colour map closes.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from data_prep import toy_street
from tests.conftest import ROOT
from tfcyclegan.config import Size
from tfcyclegan.data import labels
from tfcyclegan.errors import UserError
from toy_street import frames, render
from toy_street.scene import NIGHT, make_scene

QUICK = {"train_scenes": 5, "val_scenes": 1, "test_scenes": 3, "workers": 1, "quirks": True}
A_TRAIN, A_VAL, TEST, B_TRAIN = range(1, 6), range(6, 7), range(7, 10), range(10, 15)


def make(output_dir: Path, **more) -> Path:
    toy_street.run(toy_street.Config(output_dir=str(output_dir), **{**QUICK, **more}))
    return output_dir


def contents(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("street") / "toy")


@pytest.fixture(scope="module")
def views() -> list[list[np.ndarray]]:
    """20 scenes as A, as B, and as B with other noise."""
    looks = (render.a_look(1.0), render.B_LOOK, render.B_LOOK)
    return [
        [shown.picture(look, (7, noise)) for noise, look in enumerate(looks)]
        for shown in map(rendering, range(20))
    ]


def rendering(number: int, height: int = 64, width: int = 128, **knobs: float) -> render.Rendering:
    return render.Rendering(make_scene(3, number, **knobs), height, width)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference of values in [-1, 1]."""
    return float(np.abs(one.astype(float) - other).mean() / 127.5)


def b_files(directory: Path, number: int) -> dict[str, Path]:
    split, stem = "val" if number in TEST else "train", f"toytown/toytown_000000_{number:06d}"
    found = {"b": directory / f"cityscapes/leftImg8bit/{split}/{stem}_leftImg8bit.png"}
    kinds = ("labelIds", "labelTrainIds", "color")
    return found | {
        kind: directory / f"cityscapes/gtFine/{split}/{stem}_gtFine_{kind}.png" for kind in kinds
    }


def test_files_lie_as_in_gta5_and_cityscapes(street):
    missing = {
        entry["name"]
        for entry in json.loads((street / "about.json").read_text())["quirks"]
        if entry["what"] == frames.NO_LABEL
    }
    expected = {"pairs.csv", "about.json", "README.txt", "gta5/split.mat"}
    for number in (*A_TRAIN, *A_VAL, *TEST):
        expected.add(f"gta5/images/{number:05d}.png")
        if f"{number:05d}" not in missing:
            expected.add(f"gta5/labels/{number:05d}.png")
    for number in (*TEST, *B_TRAIN):
        expected |= {
            path.relative_to(street).as_posix() for path in b_files(street, number).values()
        }
    assert set(contents(street)) == expected

    split = scipy.io.loadmat(street / "gta5/split.mat")
    for name, numbers in (("trainIds", A_TRAIN), ("valIds", A_VAL), ("testIds", TEST)):
        assert split[name].shape == (len(numbers), 1) and split[name].ravel().tolist() == list(
            numbers
        )
    with open(street / "pairs.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows == [
        {"a": f"{number:05d}", "b": f"toytown/toytown_000000_{number:06d}"} for number in TEST
    ]


def test_pictures_have_the_modes_of_the_real_ones(street):
    for number in TEST:
        with (
            Image.open(street / f"gta5/labels/{number:05d}.png") as label,
            Image.open(b_files(street, number)["labelIds"]) as other,
        ):
            assert (label.mode, other.mode) == ("P", "L")
            ids = np.asarray(label)
            np.testing.assert_array_equal(ids, np.asarray(other), "a test scene has one label map")
            np.testing.assert_array_equal(np.asarray(label.convert("RGB")), labels.colorize(ids))
        with (
            Image.open(b_files(street, number)["labelTrainIds"]) as train_ids,
            Image.open(b_files(street, number)["color"]) as color,
        ):
            assert (train_ids.mode, color.mode) == ("L", "RGBA")
            np.testing.assert_array_equal(np.asarray(train_ids), labels.to_train_ids(ids))
            np.testing.assert_array_equal(np.asarray(color)[..., :3], labels.colorize(ids))
        for path in (street / f"gta5/images/{number:05d}.png", b_files(street, number)["b"]):
            with Image.open(path) as image:
                assert (image.mode, image.size) == ("RGB", (128, 64))


def test_domains_are_trained_on_different_scenes(street):
    settings = toy_street.Config(output_dir="x", **QUICK).settings
    numbers = {
        (domain, frame.split): set() for frame in frames.plan(settings) for domain in frame.domains
    }
    for frame in frames.plan(settings):
        for domain in frame.domains:
            numbers[domain, frame.split].add(frame.number)
    assert numbers["gta5", "test"] == numbers["cityscapes", "test"] == set(TEST)
    sets = [
        numbers["gta5", "train"],
        numbers["gta5", "val"],
        numbers["gta5", "test"],
        numbers["cityscapes", "train"],
    ]
    assert sum(map(len, sets)) == len(set.union(*sets))


def test_quirks_are_there_and_listed(street):
    about = json.loads((street / "about.json").read_text())
    names = {entry["what"]: entry["name"] for entry in about["quirks"]}
    assert set(names) == set(frames.QUIRKS) and about["synthetic"] and about["complete"]

    def pair(what: str) -> tuple[Image.Image, Image.Image]:
        return Image.open(street / f"gta5/images/{names[what]}.png"), Image.open(
            street / f"gta5/labels/{names[what]}.png"
        )

    image, label = pair(frames.SMALL_LABEL)
    assert image.height > label.height
    image, label = pair(frames.SMALL_IMAGE)
    assert image.height < label.height
    assert pair(frames.RGB_LABEL)[1].mode == "RGB"
    assert not (street / f"gta5/labels/{names[frames.NO_LABEL]}.png").exists()


def test_workers_do_not_change_a_byte_and_a_rerun_goes_on(street, tmp_path):
    other = make(tmp_path / "other", workers=2)
    whole = contents(street)
    assert contents(other) == whole

    lost, kept = other / "gta5/images/00002.png", other / "gta5/images/00003.png"
    lost.unlink()
    written = kept.stat().st_mtime_ns
    make(other)
    assert contents(other) == whole and kept.stat().st_mtime_ns == written


def test_without_its_drawing_the_command_says_where_that_is(tmp_path):
    """As in an installed wheel, which has no `toy_street/`; test_packaging.py tries a wheel."""
    (tmp_path / "data_prep").mkdir()
    shutil.copy(ROOT / "data_prep" / "toy_street.py", tmp_path / "data_prep" / "toy_street.py")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    result = subprocess.run(
        [sys.executable, tmp_path / "data_prep" / "toy_street.py", "--output_dir=street"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    (line,) = result.stderr.splitlines()
    assert result.returncode == 2 and "run the command in a checkout" in line


def test_other_settings_are_refused_in_one_line(street, tmp_path):
    with pytest.raises(UserError, match=r"seed: 0 there, 1 here.*choose another --output_dir"):
        make(street, seed=1)
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UserError, match=r"is not empty \(mine\.txt\)"):
        make(tmp_path)
    with pytest.raises(UserError, match="--size=16"):
        toy_street.Config(output_dir="x", size=Size(16, 16))
    with pytest.raises(UserError, match="--night_share"):
        toy_street.Config(output_dir="x", night_share=0.7, dusk_share=0.7)


@pytest.mark.parametrize(("height", "width"), [(128, 256), (210, 384)])
def test_another_size_shows_the_same_scene(height, width):
    for number in range(4):
        small, large = rendering(number).labels(), rendering(number, height, width).labels()
        rows, columns = (
            (np.arange(side) + 0.5) * large.shape[axis] / side
            for axis, side in enumerate(small.shape)
        )
        assert (small == large[rows.astype(int)[:, None], columns.astype(int)]).mean() > 0.95


def test_classes_are_met_within_60_scenes():
    seen = {
        train_id
        for number in range(60)
        for train_id in np.unique(labels.to_train_ids(rendering(number).labels())).tolist()
    }
    assert len(seen - {labels.IGNORED}) >= 15 and labels.IGNORED in seen


def test_no_colour_map_brings_a_near_b(views):
    """The best affine map of colours there is, fitted on these very pairs; a channel-wise map is
    one of those.
    """
    a, b = (
        np.concatenate([each[side].reshape(-1, 3) for each in views]).astype(float)
        for side in (0, 1)
    )
    with_one = np.column_stack([a, np.ones(len(a))])
    mapped = with_one @ np.linalg.lstsq(with_one, b, rcond=None)[0]
    noise = np.mean([difference(each[1], each[2]) for each in views])
    assert difference(a, b) > 5 * noise
    assert difference(mapped, b) > 3 * noise


def test_style_gap_closes():
    def gap(style_gap: float) -> float:
        shown = [rendering(number) for number in range(4)]
        return float(
            np.mean(
                [
                    difference(
                        each.picture(render.a_look(style_gap), (0,)),
                        each.picture(render.B_LOOK, (1,)),
                    )
                    for each in shown
                ]
            )
        )

    noise, half, full = gap(0.0), gap(0.5), gap(1.0)
    assert noise < 0.07 and noise < half < full and full > 5 * noise


def test_layout_gap_moves_the_classes_and_nothing_else_does():
    def share(name: str, **knobs: float) -> float:
        ids = labels.NAMES.index(name)
        return float(
            np.mean(
                [
                    labels.to_train_ids(rendering(number, **knobs).labels()) == ids
                    for number in range(40)
                ]
            )
        )

    assert share("building", layout_gap=1.0) < 0.7 * share("building")
    assert share("vegetation", layout_gap=1.0) > 1.3 * share("vegetation")
    np.testing.assert_array_equal(rendering(2, night_share=1.0).labels(), rendering(2).labels())


def test_night_and_dusk_darken_a():
    def brightness(**knobs: float) -> float:
        shown = [rendering(number, **knobs) for number in range(4)]
        return float(
            np.mean(
                [each.picture(render.a_look(1.0, each.scene.light), (0,)).mean() for each in shown]
            )
        )

    day, dusk, night = brightness(), brightness(dusk_share=1.0), brightness(night_share=1.0)
    assert night < 0.5 * day and night < dusk < 0.9 * day
    dark = np.mean([make_scene(0, number, night_share=0.3).light == NIGHT for number in range(200)])
    assert 0.2 < dark < 0.4
