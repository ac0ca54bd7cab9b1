"""`translate` and its kin on whatever lies in a folder: what becomes of each file, what is told,
and what a rerun says.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from data_prep import folders as preparing
from tests.test_intake import encoded
from tests.test_intake_choices import FRAMES, RGBA
from tfcyclegan.commands import translate
from tfcyclegan.config import Size
from tfcyclegan.data import images, intake, notes
from tfcyclegan.data.labels import CITYSCAPES
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.data.picture_folders import Reading, pictures_of_path
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import UserError
from tfcyclegan.segmentation.labelling import label_path
from tfcyclegan.training.runs import only_direction
from tfcyclegan.translation.translators import Translator, translate_path, translate_split

NEGATIVE = Translator({"direction": "ab", "weights": "negative"}, 3, 4, lambda batch: -batch)
GRAY = Image.fromarray(np.full((8, 8, 3), 100, np.uint8))
DARK = encoded(Image.fromarray(np.full((8, 8), 4000, np.uint16)), "PNG")

ALL_ROAD = SimpleNamespace(
    identity={"weights": "none"},
    scale="original",
    label=lambda picture: np.zeros(picture.size[::-1], np.uint8),
    classes=CITYSCAPES,
)


@pytest.fixture
def mixed(tmp_path) -> Path:
    """A folder with everything in it."""
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    contents = {
        "plain.png": encoded(GRAY, "PNG"),
        "deep/stack.tif": encoded(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]),
        "clear.png": RGBA,
        "dark.png": DARK,
        **dict.fromkeys(
            (
                "a.heic",
                "b.HEIC",
                "c.dcm",
                "no_ending",
                "all.zip",
                ".hidden.png",
                "Thumbs.db",
                ".DS_Store",
            ),
            b"x",
        ),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


LEFT_OUT = {
    ".dcm files": 1,
    ".heic files": 2,
    ".zip files": 1,
    "files without an extension": 1,
    "hidden files and folders": 2,
}
CONVERSIONS = {
    "16 bit, scaled to 8": 1,
    "gray pictures shown in colour": 1,
    "one of several pages or frames of its file": 3,
    "transparent, laid on white": 1,
}


def record(output: Path) -> dict:
    return json.loads((output / "translation.json").read_text())


def pngs(output: Path) -> list[str]:
    return sorted(path.relative_to(output).as_posix() for path in output.rglob("*.png"))


def test_every_file_becomes_pictures_or_is_named(mixed, tmp_path, capsys):
    out = tmp_path / "out"
    translate_path([NEGATIVE], mixed, out)
    assert pngs(out) == [
        "clear.png",
        "dark.png",
        *(f"deep/stack_000{page}.png" for page in (1, 2, 3)),
        "plain.png",
    ]
    # the negative of red, green, blue
    for page, colour in enumerate(((0, 255, 255), (255, 0, 255), (255, 255, 0)), start=1):
        np.testing.assert_array_equal(
            np.asarray(Image.open(out / f"deep/stack_000{page}.png"))[0, 0], colour
        )
    said = capsys.readouterr().out
    kinds = "1 .dcm, 2 .heic, 1 .zip, 1 files without an extension, 2 hidden files and folders"
    assert f"{mixed}: not used: a.heic and 4 more ({kinds})" in said
    for line in (
        "one of several pages or frames of its file: 3 pictures; --pages=first uses only the first",
        "transparent, laid on white: 1 picture; --alpha=drop uses the colours without the alpha "
        "channel",
        "16-bit values end at 4000 of 65535, so pictures become dark; --max_value=4095 makes 4095 "
        "white",
    ):
        assert f"{out}: {line}\n" in said
    expected = {
        **NEGATIVE.identity,
        "scale": "original",
        "conversions": CONVERSIONS,
        "left_out": LEFT_OUT,
        "largest_value": 4000,
    }
    assert record(out) == expected

    times = {name: (out / name).stat().st_mtime_ns for name in pngs(out)}
    translate_path([NEGATIVE], mixed, out)
    assert "0 pictures translated, 6 already existed" in capsys.readouterr().out
    assert (
        record(out) == expected
        and {name: (out / name).stat().st_mtime_ns for name in pngs(out)} == times
    )
    (out / "clear.png").unlink()
    translate_path([NEGATIVE], mixed, out)
    assert record(out) == expected, "what is read again is not counted twice"


def test_an_interrupted_run_has_told_of_what_is_there(mixed, tmp_path):
    def failing(batch: np.ndarray) -> np.ndarray:
        if batch.mean() < -0.8:  # the dark one, after the transparent one
            raise KeyboardInterrupt
        return -batch

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        translate_path([Translator(NEGATIVE.identity, 3, 4, failing)], mixed, out)
    with open(out / notes.Journal.NAME, "a") as stream:
        stream.write('["cut')  # as a kill leaves it
    translate_path([NEGATIVE], mixed, out)
    assert (record(out)["conversions"], record(out)["left_out"]) == (CONVERSIONS, LEFT_OUT)


def test_a_note_after_one_that_was_cut_off_is_kept(tmp_path):
    journal = notes.Journal(tmp_path)
    for name in ("a", "b"):
        journal.add(name, ["16 bit to 8 bit"])
    path = tmp_path / notes.Journal.NAME
    path.write_bytes(path.read_bytes()[:-12])
    for _ in range(2):
        journal = notes.Journal(tmp_path)
        journal.add("b", ["16 bit to 8 bit"])
        assert journal.counted({})["conversions"] == {"16 bit to 8 bit": 2}
    assert notes.Journal(tmp_path).counted({})["conversions"] == {"16 bit to 8 bit": 2}


def test_results_inside_the_input_are_no_pictures_of_it(tmp_path, monkeypatch, capsys):
    """Nor where a link leads there; the folder itself may be the input."""
    monkeypatch.chdir(tmp_path)
    GRAY.save("a.png")
    Path("link").symlink_to("out", target_is_directory=True)
    Path("out").mkdir()
    for left_out in ({}, {"folders of results (--output)": 1}):
        translate_path([NEGATIVE], Path(), Path("out"))
        assert pngs(Path("out")) == ["a.png"] and record(Path("out"))["left_out"] == left_out
        told = "not used: 1 folders of results (--output)" in capsys.readouterr().out
        assert told == bool(left_out)
    translate_path([NEGATIVE], Path("out"), Path("out"))
    assert "0 pictures translated, 1 already existed" in capsys.readouterr().out
    with pytest.raises(UserError, match="is not empty and not from this command"):
        translate_path([NEGATIVE], Path(), Path())
    for _ in range(2):
        label_path(ALL_ROAD, Path("out"), Path("out/labels"))
        assert pngs(Path("out/labels")) == ["labelIds/a.png", "overlays/a.png"]


def test_the_first_page_alone_where_asked_for(mixed, tmp_path, capsys):
    translate_path([NEGATIVE], mixed, tmp_path / "out", reading=Reading(pages="first"))
    assert "deep/stack.png" in pngs(tmp_path / "out") and len(pngs(tmp_path / "out")) == 4
    assert (
        "not used, frames or pages behind the first: 1; --pages=all uses them all"
        in capsys.readouterr().out
    )
    written = record(tmp_path / "out")
    assert (
        written["left_out"] == {**LEFT_OUT, "frames or pages behind the first": 1}
        and written["pages"] == "first"
    )
    with pytest.raises(
        UserError, match="at another scale or with other settings; choose another folder"
    ):
        translate_path([NEGATIVE], mixed, tmp_path / "out")


def test_alpha_is_kept_in_the_size_of_the_result(tmp_path):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4, :, 3] = 255
    (tmp_path / "a.png").write_bytes(encoded(Image.fromarray(pixels), "PNG"))
    half = images.Scale("resize_and_crop", Size(4, 4), Size(4, 4))
    keep = Reading(intake.Rules(alpha="keep"))
    translate_path([NEGATIVE], tmp_path / "a.png", tmp_path / "whole", reading=keep)
    translate_path([NEGATIVE], tmp_path / "a.png", tmp_path / "half", reading=keep, scale=half)
    whole, small = (np.asarray(Image.open(tmp_path / name / "a.png")) for name in ("whole", "half"))
    np.testing.assert_array_equal(whole[..., 3], pixels[..., 3])
    # of black, and of white
    np.testing.assert_array_equal(
        whole[..., 0], np.repeat([255, 0], 4)[:, np.newaxis] * np.ones((1, 8))
    )
    assert small.shape == (4, 4, 4) and small[0, 0, 3] == 255 and small[3, 0, 3] == 0
    assert record(tmp_path / "whole")["alpha"] == "keep" and record(tmp_path / "whole")[
        "conversions"
    ] == {intake.KEPT: 1}


@pytest.mark.parametrize(
    "name, content, reason",
    [
        (
            "x.dcm",
            b"\0" * 128 + b"DICM",
            "^x: a DICOM file, which cannot be read here; save it as 8-bit or 16-bit PNG or TIFF",
        ),
        ("x", b"\0\1\2\3" * 9, "^x: not a picture, or damaged at its start$"),
        ("x.heic", b"\0\0\0\x18ftypheic" + b"\0" * 40, "^x: a HEIC picture"),
    ],
)
def test_a_single_file_of_another_kind_ends_in_one_line(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=reason):
        translate_path([NEGATIVE], tmp_path / name, tmp_path / "out")


def test_a_folder_without_pictures_says_what_is_there(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.dcm", "b.dcm"):
        (tmp_path / "in" / name).write_bytes(b"x")
    with pytest.raises(
        UserError,
        match=(
            r"no pictures found; not used: a.dcm and 1 more \(2 "
            r".dcm\)$"
        ),
    ):
        pictures_of_path(tmp_path / "in")


def test_names_that_would_meet_are_refused_with_both_files(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "s.tif").write_bytes(
        encoded(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:])
    )
    (tmp_path / "in" / "s_0002.png").write_bytes(encoded(GRAY, "PNG"))
    with pytest.raises(
        UserError, match=r"two pictures are called s_0002 \(s.tif and s_0002.png\); rename one"
    ):
        pictures_of_path(tmp_path / "in")


def test_segmenting_says_the_same(mixed, tmp_path, capsys):
    label_path(ALL_ROAD, mixed, tmp_path / "out", reading=Reading(pages="first"))
    written = json.loads((tmp_path / "out" / "segmentation.json").read_text())
    assert (
        written["left_out"] == {**LEFT_OUT, "frames or pages behind the first": 1}
        and written["pages"] == "first"
    )
    assert len(pngs(tmp_path / "out" / "labelIds")) == 4
    assert (
        "not used, frames or pages behind the first: 1; --pages=all uses them all"
        in capsys.readouterr().out
    )


def test_notes_are_counted_by_kind():
    counted = notes.counted(["a", LeftOut("b"), "a"])
    assert counted == {"conversions": {"a": 2}, "left_out": {"b": 1}}
    assert notes.lines(counted, {"b": "--c does"}) == ["a: 2 pictures", "not used, b: 1; --c does"]
    assert notes.without_counts({"model": "x", **counted, "largest_value": 3}) == {"model": "x"}


def test_two_stored_pictures_of_one_name_are_refused(tmp_path):
    root = tmp_path / "root"
    for split, names in (
        ("trainA", ("x.png",)),
        ("trainB", ("x.png",)),
        ("testA", ("a.png", "a.bmp")),
    ):
        (root / split).mkdir(parents=True)
        for name in names:
            GRAY.save(root / split / name)
    preparing.run(preparing.Config(input_dir=str(root), output_dir=str(tmp_path / "data")))
    with pytest.raises(UserError, match=r"two pictures are called a, and both would become a\.png"):
        translate_split([NEGATIVE], open_source(tmp_path / "data"), "testA", tmp_path / "out")


def test_pictures_of_another_split_are_not_taken_for_these(tmp_path, capsys):
    root, out = tmp_path / "root", tmp_path / "out"
    for split in ("trainA", "trainB", "valA", "testA"):
        (root / split).mkdir(parents=True)
        GRAY.save(root / split / "0001.png")
    preparing.run(preparing.Config(input_dir=str(root), output_dir=str(tmp_path / "data")))
    source = open_source(tmp_path / "data")
    translate_split([NEGATIVE], source, "valA", out)
    with pytest.raises(UserError, match="holds translations of another model, of other pictures"):
        translate_split([NEGATIVE], source, "testA", out)
    made = json.loads((out / "translation.json").read_text())
    older = {key: value for key, value in made.items() if key not in ("data", "split")}
    (out / "translation.json").write_text(json.dumps(older))  # as 0.2.0 wrote it
    translate_split([NEGATIVE], source, "testA", out)
    told = capsys.readouterr().out
    assert "1 already existed" in told and "record does not say data and split; if" in told


def test_the_direction_of_a_run_that_has_one(capsys):
    run_of = lambda *networks: SimpleNamespace(directory="run", networks=networks)  # noqa: E731
    assert [
        only_direction(each)
        for each in (None, run_of("gen_ab"), run_of("gen_ab", "gen_ba"), run_of())
    ] == ["ab"] * 4
    assert only_direction(run_of("gen_ba")) == "ba"
    assert capsys.readouterr().out == "run: translating ba, its only direction\n"


def test_the_direction_of_an_exported_model():
    config = SimpleNamespace(direction="ba", model="m")
    assert (
        translate._direction_of_model("", config)
        == translate._direction_of_model("ba", config)
        == "ba"
    )
    with pytest.raises(
        UserError,
        match="--direction=ba: m only translates ab; leave --direction out, or export the other",
    ):
        translate._direction_of_model("ab", config)
