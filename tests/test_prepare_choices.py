"""Folders -> TFRecords where files hold several pictures, other kinds, or values far below what
their type can hold.
"""

import json
import weakref
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from data_prep import folders
from tests.test_prepare import config, read, root, save  # noqa: F401 - fixtures
from tfcyclegan.data import intake
from tfcyclegan.errors import UserError
from tfcyclegan.system import hardware


def frames(path: Path, count: int) -> None:
    """A file of `count` pictures, whose levels are 10, 20, 30, ..."""
    levels = [Image.new("L", (8, 8), 10 * (number + 1)) for number in range(count)]
    levels[0].save(path, save_all=True, append_images=levels[1:])


def test_every_page_is_a_picture_and_what_is_not_used_stands_in_the_manifest(root, capsys):  # noqa: F811
    frames(root / "trainA/stack.tif", 3)
    frames(root / "testA/x_and_y.gif", 2)
    (root / "trainB/scan.dcm").write_bytes(b"x")
    (root / "validation").mkdir()
    (root / "validation/a.png").write_bytes(b"x")
    (root / "README").write_text("words")
    folders.run(config(root))
    found = read(root.parent / "out")
    assert [name for name in found["trainA"] if "stack" in name] == [
        f"trainA/stack_000{page}.tif" for page in (1, 2, 3)
    ]
    assert [found["trainA"][f"trainA/stack_000{page}.tif"][0, 0, 0] for page in (1, 2, 3)] == [
        10,
        20,
        30,
    ]
    assert list(found["testA"]) == [
        "testA/x.tiff",
        "testA/x_and_y_0001.gif",
        "testA/x_and_y_0002.gif",
    ]
    made = json.loads((root.parent / "out/manifest.json").read_text())
    assert made["conversions"] == {"one of several pages or frames of its file": 5}
    assert made["left_out"] == {
        ".dcm files": 1,
        ".txt files": 1,
        "files in validation/": 1,
        "files without an extension": 1,
        "hidden files and folders": 1,
    }
    said = capsys.readouterr().out
    kinds = (
        "1 .dcm, 1 .txt, 1 files in validation/, 1 files without an extension, 1 hidden files and "
        "folders"
    )
    assert f"{root}: not used: README and 3 more ({kinds})" in said
    assert (
        "one of several pages or frames of its file: 5 pictures; --pages=first uses only the first"
        in said
    )
    folders.run(config(root))
    with pytest.raises(UserError, match="--pages: all there, first here"):
        folders.run(config(root, pages="first"))

    folders.run(config(root, pages="first", output_dir=str(root.parent / "first")))
    assert list(read(root.parent / "first")["testA"]) == ["testA/x.tiff", "testA/x_and_y.gif"]
    made = json.loads((root.parent / "first/manifest.json").read_text())
    assert (
        made["left_out"]["frames or pages behind the first"] == 2
        and made["request"]["settings"]["pages"] == "first"
    )


@pytest.mark.parametrize("aligned", [False, True])
def test_memory_does_not_grow_with_the_pages_of_a_stack(tmp_path, monkeypatch, aligned):
    for split in ["train"] if aligned else ["trainA", "trainB"]:
        (tmp_path / "stacks" / split).mkdir(parents=True)
        frames(tmp_path / "stacks" / split / "s.tif", 12)
    made, alive, decode = [], [], intake.decode

    def counted(*given, **options):
        alive.append(sum(image() is not None for image in made))
        decoded = decode(*given, **options)
        made.append(weakref.ref(decoded.image))
        return decoded

    monkeypatch.setattr(intake, "decode", counted)
    monkeypatch.setattr(hardware, "cores", lambda: 1)
    folders.run(config(tmp_path / "stacks", aligned=aligned))
    assert max(alive) <= 2 < len(alive)


def test_a_bad_page_is_named(root):  # noqa: F811
    frames(root / "trainA/stack.tif", 3)
    content = bytearray((root / "trainA/stack.tif").read_bytes())
    (root / "trainA/stack.tif").write_bytes(content.replace(bytes([20]) * 64, b""))
    with pytest.raises(UserError, match=r"trainA/stack.tif: "):
        folders.run(config(root))


def deep(place: Path, split: str, most: int) -> None:
    save(place / split / "deep.png", np.linspace(0, most, 64).astype(np.uint16).reshape(8, 8))


def test_values_that_end_early_are_told_by_domain_and_mended_by_a_flag(root, capsys):  # noqa: F811
    for split, most in (("trainA", 4000), ("testA", 900), ("trainB", 60_000), ("testB", 300)):
        deep(root, split, most)
    folders.run(config(root))
    warnings = [
        line for line in capsys.readouterr().out.splitlines() if "16-bit values end" in line
    ]
    told = (
        "domain A: 16-bit values end at 4000 of 65535, so pictures become dark; --max_value=4095 "
        "makes 4095 white"
    )
    assert warnings == [f"{root.parent / 'out'}: warning: {told}"], (
        "B is bright, though its test pictures are not"
    )
    made = json.loads((root.parent / "out/manifest.json").read_text())
    assert made["largest_value"] == {"testA": 900, "testB": 300, "trainA": 4000, "trainB": 60_000}

    folders.run(config(root, max_value="4095,65535", output_dir=str(root.parent / "second")))
    found = read(root.parent / "second")
    assert found["trainA"]["trainA/deep.png"].max() == 249  # 4000 / 4095 * 255 = 249.08
    assert found["trainB"]["trainB/deep.png"].max() == 233  # 60000 / 257 = 233.46
    made = json.loads((root.parent / "second/manifest.json").read_text())
    assert made["request"]["settings"]["max_value"] == "4095,65535" and "largest_value" not in made
    assert "16-bit values end" not in capsys.readouterr().out
    with pytest.raises(
        UserError, match=r"trainB/deep\.png: has the value 60000, above --max_value=4095"
    ):
        folders.run(config(root, max_value="4095", output_dir=str(root.parent / "third")))


@pytest.mark.parametrize("value", ["0", "x", "4095,", "1,2,3", "65536", "-1", "4.5"])
def test_largest_values_that_are_none(root, value):  # noqa: F811
    with pytest.raises(
        UserError,
        match=f"--max_value={value}: give a number from 1 to 65535, or two separated by a comma",
    ):
        config(root, max_value=value)


def test_smaller_copies_and_masks_are_no_pictures_and_told(root):  # noqa: F811
    with tifffile.TiffWriter(root / "trainA/pyramid.tif") as writer:
        for level, kind in ((10, 0), (20, 0), (30, 1)):
            writer.write(
                np.full((8, 8), level, np.uint8),
                subfiletype=kind,
                photometric="minisblack",
                metadata=None,
            )
    folders.run(config(root))
    assert (
        json.loads((root.parent / "out/manifest.json").read_text())["left_out"][
            "smaller copies and masks beside a TIFF's pictures"
        ]
        == 1
    )
    assert [name for name in read(root.parent / "out")["trainA"] if "pyramid" in name] == [
        "trainA/pyramid_0001.tif",
        "trainA/pyramid_0002.tif",
    ]
