"""The file of resized pixels: what it holds, when it is used again, and when it is made anew."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.test_unpaired import FEW, MANY, data, open_trained, opened, picture, prepare  # noqa: F401 - fixtures
from tfcyclegan.config import Size
from tfcyclegan.data import pixels
from tfcyclegan.data.pixels import PixelFile
from tfcyclegan.errors import UserError


def test_one_channel_is_pillow_s_gray(opened):  # noqa: F811
    split = opened("trainA", channels=1)
    for index in range(FEW):
        gray = np.asarray(Image.fromarray(picture(index)).convert("L"))
        np.testing.assert_array_equal(split[index], gray[..., np.newaxis])
    np.testing.assert_array_equal(
        opened("testB", channels=3, crop=Size(4, 4))[0], np.full((5, 7, 3), 60)
    )


def test_pixels_are_the_resized_pictures_with_their_names(opened):  # noqa: F811
    split = opened("trainB", mode="resize_and_crop", load=Size(8, 20))
    assert len(split) == MANY and names_of(split) == [
        f"trainB/{index:03d}.png" for index in range(MANY)
    ]
    assert split.common_size == Size(8, 20)
    for index in range(MANY):
        expected = Image.fromarray(picture(100 + index)).resize((20, 8), Image.BICUBIC)
        np.testing.assert_array_equal(split[index], np.asarray(expected))


def test_a_crop_larger_than_a_picture_names_it(opened, data):  # noqa: F811
    with pytest.raises(
        UserError,
        match=r"--crop_size=6x8: larger than testB/000.png of split testB, which is 5x7 here",
    ):
        opened("testB")
    with pytest.raises(
        UserError,
        match=r"--crop_size=11x8: larger than trainA/000.png of split trainA, which is 10x14 here",
    ):
        opened("trainA", crop=Size(11, 8))
    assert not [path for path in (data / ".cache").iterdir() if path.name.startswith(".testB")], (
        "nothing half made is left"
    )


def test_cache_is_used_again_for_the_same_settings_alone(data, tmp_path):  # noqa: F811
    first = open_trained(data, tmp_path)
    stamps = {path.name: path.stat().st_mtime_ns for path in first.directory.iterdir()}
    assert sorted(stamps) == [
        "meta.json",
        "names.jsonl",
        "original_sizes.npy",
        "pixels.bin",
        "sizes.npy",
    ]
    again = open_trained(data, tmp_path)
    assert again.directory == first.directory
    assert {path.name: path.stat().st_mtime_ns for path in again.directory.iterdir()} == stamps
    others = [
        {"mode": "resize_and_crop"},
        {"load_size": Size(30, 20)},
        {"crop_size": Size(4, 4)},
        {"channels": 1},
    ]
    directories = {open_trained(data, tmp_path, **changes).directory for changes in others}
    assert len(directories | {first.directory}) == 5
    assert {path.name: path.stat().st_mtime_ns for path in first.directory.iterdir()} == stamps


def test_cache_is_rebuilt_for_other_data_and_after_an_interrupted_build(tmp_path):
    one = prepare(tmp_path / "one", {"trainA": [picture(1)], "trainB": [picture(2)]})
    two = prepare(tmp_path / "two", {"trainA": [picture(7)], "trainB": [picture(2)]})
    cache = tmp_path / "cache"
    first = open_trained(one, cache)
    assert (
        first[0][0, 0, 0],
        open_trained(two, cache)[0][0, 0, 0],
        open_trained(one, cache)[0][0, 0, 0],
    ) == (1, 7, 1)
    one.rename(tmp_path / "moved")
    assert open_trained(tmp_path / "moved", cache).directory == first.directory, (
        "the path does not count"
    )
    (first.directory / "meta.json").unlink()
    (first.directory / "pixels.bin").write_bytes(b"half")
    np.testing.assert_array_equal(open_trained(tmp_path / "moved", cache)[0], picture(1))


def test_a_few_pictures_need_no_pixels_of_all_others(data, tmp_path):  # noqa: F811
    few = open_trained(data, tmp_path / "few", count=3)
    whole = open_trained(data, tmp_path / "whole")
    chosen = pixels.spread(len(whole), 3)
    assert names_of(few) == [names_of(whole)[index] for index in chosen] and pixels.spread(
        len(few), 3
    ) == [0, 1, 2]
    for position, index in enumerate(chosen):
        np.testing.assert_array_equal(few[position], whole[index])
    assert open_trained(data, tmp_path / "whole", count=3).directory == whole.directory, (
        "what is there is used"
    )
    assert len(open_trained(data, tmp_path / "few", count=99)) == len(whole)


def names_of(pixels: PixelFile) -> list[str]:
    return [
        json.loads(line) for line in (pixels.directory / "names.jsonl").read_text().splitlines()
    ]
