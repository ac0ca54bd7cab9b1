"""Aligned pictures: side by side in files, or of equal names in two folders; and those alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from data_prep import aligned, folders
from tfcyclegan.data import images
from tfcyclegan.data.picture_folders import picture_name
from tfcyclegan.data.source import DataSource, open_source
from tfcyclegan.errors import UserError


def noise(seed: int, height: int = 6, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def save(root: Path, pictures: dict[str, np.ndarray], **options) -> Path:
    for name, pixels in pictures.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / name, **options)
    return root


def prepare(root: Path, **flags) -> Path:
    output = root.with_name(f"{root.name}-data")
    config = {"input_dir": str(root), "output_dir": str(output), "aligned": True, **flags}
    folders.run(folders.Config(**config))
    return output


def manifest(data: Path) -> dict:
    return json.loads((data / "manifest.json").read_text())


def stored(source: DataSource, split: str) -> dict[str, np.ndarray]:
    return {
        picture_name(name, split): images.to_array(images.decode(encoded, 3))
        for name, encoded in source.pictures(split)
    }


def test_files_side_by_side_are_cut_in_the_middle(tmp_path, capsys):
    wide = {f"train/{index}.png": noise(index) for index in range(3)}
    root = save(
        tmp_path / "raw", wide | {"test/of/odd.png": noise(9, 6, 9), "else/x.png": noise(4)}
    )
    data = prepare(root)
    source, made = open_source(data), manifest(data)
    for split, left in (("trainA", 0), ("trainB", 4)):
        found = stored(source, split)
        assert list(found) == ["0", "1", "2"]
        for index in range(3):
            expected = wide[f"train/{index}.png"][:, left : left + 4]
            np.testing.assert_array_equal(found[str(index)], expected)
    odd = noise(9, 6, 9)
    np.testing.assert_array_equal(stored(source, "testA")["of/odd"], odd[:, :4])
    np.testing.assert_array_equal(stored(source, "testB")["of/odd"], odd[:, 4:8])
    assert made["aligned"] == ["test", "train"] and source.aligned == {"test", "train"}
    assert made["conversions"] == {aligned.CUT: 8}
    assert made["left_out"] == {aligned.ODD_COLUMN: 1, "files in else/": 1}
    assert "not used, last column of files of odd width: 1" in capsys.readouterr().out
    prepare(root, output_dir=str(tmp_path / "ba"), a_at_right=True)
    other = open_source(tmp_path / "ba")
    for split, same in (("trainA", "trainB"), ("trainB", "trainA"), ("testA", "testB")):
        for name, pixels in stored(other, split).items():
            np.testing.assert_array_equal(pixels, stored(source, same)[name])


def test_the_other_side_is_another_request(tmp_path):
    root = save(tmp_path / "raw", {"train/x.png": noise(0)})
    data = prepare(root)
    assert "a_at_right" not in manifest(data)["request"]["settings"]  # as in older sets
    with pytest.raises(UserError, match="a_at_right: False there, True here"):
        prepare(root, a_at_right=True)
    other = str(tmp_path / "other")
    prepare(root, a_at_right=True, output_dir=other)
    with pytest.raises(UserError, match="a_at_right: True there, False here"):
        prepare(root, output_dir=other)


def test_equal_names_in_two_folders_are_pairs_and_the_others_are_told(tmp_path, capsys):
    pictures = {f"train{domain}/{name}": noise(0) for domain in "AB" for name in ("x.png", "y.bmp")}
    alone = {"trainA/here.png": noise(1), "trainB/q.png": noise(2), "trainB/z.png": noise(3)}
    data = prepare(save(tmp_path / "raw", pictures | {"trainB/w.png": noise(5)} | alone))
    source = open_source(data)
    assert list(stored(source, "trainA")) == list(stored(source, "trainB")) == ["x", "y"]
    told = (
        "pictures without a partner are left out: 1 of trainA, such as here, 3 of trainB, such as q"
    )
    assert told in capsys.readouterr().out
    assert manifest(data)["left_out"] == {
        "pictures of trainA without a partner": 1,
        "pictures of trainB without a partner": 3,
    }
    prepare(tmp_path / "raw", output_dir=str(tmp_path / "plain"), aligned=False)
    assert "aligned" not in manifest(tmp_path / "plain")
    assert open_source(tmp_path / "plain").aligned == frozenset()


def test_a_pair_of_unequal_sizes_or_with_a_bad_picture_is_bad_as_a_whole(tmp_path):
    good = {f"train{domain}/good.png": noise(0) for domain in "AB"}
    unequal = {"trainA/one.png": noise(1), "trainB/one.png": noise(1, 8, 6)}
    root = save(tmp_path / "raw", good | unequal)
    line = (
        r"trainA/one.png: is 8x6, its partner trainB/one.png 6x8 .*the same size; "
        r"2 bad pictures in all"
    )
    with pytest.raises(UserError, match=line):
        prepare(root)
    (root / "trainB" / "one.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"trainA/one.png: its partner trainB/one.png: text, not a"):
        prepare(root)
    data = prepare(root, max_bad=2)
    assert {name: split["records"] for name, split in manifest(data)["splits"].items()} == {
        "trainA": 1,
        "trainB": 1,
    }
    listed = (data / "quarantine.jsonl").read_text().splitlines()
    assert [json.loads(line)["file"] for line in listed] == ["trainA/one.png", "trainB/one.png"]


@pytest.mark.parametrize(
    ("pictures", "flags", "line"),
    [
        (
            ["train/x.png", "trainA/x.png"],
            {},
            "holds train, for files .* and also trainA; move one of them away",
        ),
        (
            ["train/x.png", "testA/x.png", "testB/x.png"],
            {},
            "holds train, for files .* and also testA; move one of them away",
        ),
        (
            ["trainA/x.png", "trainB/x.png", "test/x.png", "val/x.png"],
            {},
            "holds test, for files .* and also trainA; move one of them away",
        ),
        (["other/x.png"], {}, "trainA: no such directory; .* side by side into train"),
        (["train/x.png"], {"aligned": False}, "--aligned reads train"),
        (
            ["trainA/x.png", "trainB/x.png"],
            {"a_at_right": True},
            "--a_at_right is for files .*; swap the names of trainA and trainB",
        ),
        (["trainA/x.png", "trainB/y.png"], {}, "no picture of trainA has a partner .* trainB"),
        (["trainA/x.png", "trainA/x.bmp", "trainB/x.png"], {}, "several pictures are called x"),
        (
            ["trainA/x.png", "trainB/x.png", "testA/x.png"],
            {},
            "testA: --aligned: its partner folder testB is missing; add it, or move testA away",
        ),
    ],
)
def test_what_is_no_aligned_data_is_refused_in_one_line(tmp_path, pictures, flags, line):
    root = save(tmp_path / "raw", {name: noise(0) for name in pictures})
    with pytest.raises(UserError, match=line) as caught:
        prepare(root, **flags)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "raw-data").exists()


def test_a_narrow_file_is_bad(tmp_path):
    root = save(tmp_path / "raw", {"train/x.png": noise(0, 6, 1)})
    with pytest.raises(UserError, match=r"trainA/x.png: half of train/x.png: 1 pixel wide"):
        prepare(root)


def test_label_maps_side_by_side_keep_their_meaning(tmp_path, capsys):
    """A photo at the left, a map of two classes at the right; the table gives ids."""
    colors = np.array([[0, 0, 255], [0, 128, 0]], np.uint8)
    maps = [colors[np.kron(noise(seed, 4, 4)[..., 0] % 2, np.ones((5, 5), int))] for seed in (1, 2)]
    photos = [noise(seed, 20, 20) for seed in (3, 4)]
    wide = {
        f"train/{index}.png": np.concatenate([photos[index], maps[index]], axis=1)
        for index in range(2)
    }
    root = save(tmp_path / "raw", wide)
    (tmp_path / "classes.csv").write_text("name,color\nwater,#0000ff\nland,#008000\n")
    data = prepare(root, classes=str(tmp_path / "classes.csv"))
    assert "domain B is read as label maps, a guess from its 2 colours" in capsys.readouterr().out
    source = open_source(data)
    assert source.label_maps == {"trainB"} and source.aligned == {"train"}
    np.testing.assert_array_equal(stored(source, "trainB")["1"], maps[1])
    for index, example in enumerate(source.examples("trainB")):
        ids = images.decode_ids(example.label.encoded)
        np.testing.assert_array_equal(ids, (maps[index][..., 2] == 0).astype(int) + ids.min())


def test_label_maps_of_16_bits_side_by_side_are_bad(tmp_path):
    wide = np.full((20, 40, 3), 255, np.uint16)
    (tmp_path / "raw/train").mkdir(parents=True)
    tifffile.imwrite(tmp_path / "raw/train/x.tif", wide, photometric="rgb")
    (tmp_path / "classes.csv").write_text("name,color\nvoid,#000000\nland,#ffffff\n")
    with pytest.raises(UserError, match=r"x\.tif: .*colour with 16 bits per channel"):
        prepare(tmp_path / "raw", classes=str(tmp_path / "classes.csv"), label_maps_b=True)


def test_jpeg_maps_side_by_side_are_told_as_such(tmp_path, capsys):
    """As those of the facades data set are: not exact, so pictures unless a flag says otherwise."""
    flat = np.repeat(np.repeat(noise(0, 4, 4) // 128 * 255, 16, axis=0), 16, axis=1)
    wide = np.concatenate([noise(1, 64, 64), flat], axis=1)
    prepare(save(tmp_path / "raw", {"train/x.jpg": wide}, quality=95))
    assert "domain B looks like label maps saved as JPEG" in capsys.readouterr().out
