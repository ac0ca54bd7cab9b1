"""A data set translated into a data set: what stays, what changes, how it goes on, and what is
refused.
"""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.test_segmentation import HEIGHT, WIDTH, city, data  # noqa: F401 - fixtures
from tfcyclegan import cli
from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.source import open_source
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.translation import data_sets
from tfcyclegan.translation.data_sets import translate_data
from tfcyclegan.translation.translators import Translator
from tfcyclegan.translation.value_pair import ValuePair

NEGATIVE = Translator({"direction": "ab", "weights": "negative"}, 3, 4, lambda batch: -batch)
HALF = images.Scale("resize_and_crop", Size(8, 16), Size(8, 16))


def contents(directory: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in directory.iterdir() if ".tfrecord" in path.name
    }


def pixels(encoded: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded)))


def test_names_and_labels_stay_and_pictures_change(data, tmp_path):  # noqa: F811
    translate_data(
        [NEGATIVE],
        open_source(data),
        ["train", "val"],
        tmp_path / "out",
        scale=None,
        command="typed",
    )
    before, after = open_source(data), open_source(tmp_path / "out")
    assert after.labelled and after.counts == before.counts and after.classes == before.classes
    assert after.name == "data_translated" and after.fingerprint != before.fingerprint
    for split in before.counts:
        pairs = list(zip(before.examples(split), after.examples(split), strict=True))
        assert all(old.filename == new.filename and old.label == new.label for old, new in pairs), (
            "byte for byte"
        )
        for old, new in pairs[:3]:
            np.testing.assert_array_equal(pixels(new.encoded), 255 - pixels(old.encoded))
    made = files.read_json(tmp_path / "out" / "manifest.json")
    assert made["command"] == "typed" and made["request"]["settings"] == {
        **NEGATIVE.identity,
        "scale": "original",
    }
    assert not (tmp_path / "out" / ".work").exists()


def test_labels_of_pictures_that_become_measurements_are_left_out_and_told(
    data,  # noqa: F811
    tmp_path,
    capsys,
):
    """A data set of measurements has no labels, and so no classes."""
    heat = ValuePair(None, Values("float32", (-10.0,), (40.0,)))
    model = Translator({"direction": "ab"}, 3, 4, lambda batch: batch[..., :1], values=heat)
    source, out = open_source(data), tmp_path / "out"
    capsys.readouterr()
    translate_data([model], source, ["train", "val"], out, scale=None)
    told = capsys.readouterr().out
    for split in ("train", "val"):
        assert f"split {split}: its labels are left out, since a data set of measurements" in told
    made = files.read_json(out / "manifest.json")
    total = sum(source.counts.values())
    assert made["left_out"] == {"labels of pictures that became measurements": total}
    assert f"not used, labels of pictures that became measurements: {total}" in told
    after = open_source(out)
    assert not after.labelled and after.classes is None
    assert [each.filename for each in after.examples("val")] == [
        each.filename for each in source.examples("val")
    ]


def test_labels_follow_the_size_of_their_pictures(data, tmp_path):  # noqa: F811
    translate_data([NEGATIVE], open_source(data), ["val"], tmp_path / "out", scale=HALF)
    for old, new in zip(
        open_source(data).examples("val"),
        open_source(tmp_path / "out").examples("val"),
        strict=True,
    ):
        assert pixels(new.encoded).shape == (8, 16, 3)
        small = Image.open(io.BytesIO(old.label.encoded)).resize((16, 8), Image.Resampling.NEAREST)
        np.testing.assert_array_equal(pixels(new.label.encoded), np.asarray(small))
        assert new.label.filename == old.label.filename


def test_an_interrupted_translation_goes_on_and_two_devices_do_the_same(
    data,  # noqa: F811
    tmp_path,
    monkeypatch,
    capsys,
):
    monkeypatch.setattr(data_sets, "SHARD_PICTURES", 5)
    source = open_source(data)
    translate_data([NEGATIVE, NEGATIVE], source, ["train", "val"], tmp_path / "whole", scale=None)
    calls = iter(range(18))

    def failing(batch: np.ndarray) -> np.ndarray:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return -batch

    with pytest.raises(KeyboardInterrupt):
        translate_data(
            [Translator(NEGATIVE.identity, 3, 4, failing)],
            source,
            ["train", "val"],
            tmp_path / "cut",
            scale=None,
        )
    there = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cut").glob("*.tfrecord*")}
    assert 1 <= len(there) <= 3 and not (tmp_path / "cut" / "manifest.json").exists()
    with pytest.raises(UserError, match=r"--data_dir=.*: not a complete data set"):
        open_source(tmp_path / "cut")
    capsys.readouterr()
    translate_data([NEGATIVE], source, ["train", "val"], tmp_path / "cut", scale=None)
    assert f"continues; {len(there)} of 7 shards are finished" in capsys.readouterr().out
    assert all((tmp_path / "cut" / name).stat().st_mtime_ns == when for name, when in there.items())
    assert (
        contents(tmp_path / "cut") == contents(tmp_path / "whole")
        and len(contents(tmp_path / "whole")) == 7
    )
    translate_data([NEGATIVE], source, ["train", "val"], tmp_path / "cut", scale=None)
    assert "already complete: train 24, val 8 pictures" in capsys.readouterr().out


def test_another_translators_directory_is_refused(data, tmp_path):  # noqa: F811
    source = open_source(data)
    translate_data([NEGATIVE], source, ["val"], tmp_path / "out", scale=None)
    other = Translator({"direction": "ab", "weights": "other"}, 3, 4, lambda batch: batch)
    with pytest.raises(
        UserError, match="by or of another model or scale; choose another directory"
    ):
        translate_data([other], source, ["val"], tmp_path / "out", scale=None)
    with pytest.raises(UserError, match="another model or scale"):
        translate_data([NEGATIVE], source, ["val"], tmp_path / "out", scale=HALF)
    with pytest.raises(UserError, match="other data or splits"):
        translate_data([NEGATIVE], source, ["train", "val"], tmp_path / "out", scale=None)
    with pytest.raises(UserError, match="holds data that were not translated"):
        translate_data([NEGATIVE], source, ["val"], data, scale=None)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty but holds no translated data"):
        translate_data([NEGATIVE], source, ["val"], tmp_path / "letters", scale=None)
    with pytest.raises(UserError, match="names a split twice"):
        translate_data([NEGATIVE], source, ["val", "val"], tmp_path / "twice", scale=None)


def test_the_command(imported, data, tmp_path, capsys):  # noqa: F811
    """An imported generator, as a user would; the data set's pictures are the folder's pictures."""
    common = [
        "translate",
        f"--run_dir={imported}",
        f"--data_dir={data}",
        "--split=val",
        "--scale=original",
    ]
    assert cli.main([*common, f"--output_data={tmp_path / 'out'}"]) == 0
    assert cli.main([*common, f"--output={tmp_path / 'folder'}"]) == 0
    translated = open_source(tmp_path / "out")
    for name, encoded in translated.pictures("val"):
        folder = tmp_path / "folder" / Path(name.removeprefix("val/")).with_suffix(".png")
        np.testing.assert_array_equal(pixels(encoded), np.asarray(Image.open(folder)))
        assert pixels(encoded).shape == (HEIGHT, WIDTH, 3)
    capsys.readouterr()
    for arguments, message in (
        ([*common, "--output=a", "--output_data=b"], "--output or --output_data: give one of them"),
        (common, "--output or --output_data: give one of them"),
        (
            ["translate", f"--run_dir={imported}", "--input=x", "--output_data=b"],
            "requires --data_dir, not --input",
        ),
        (
            [*common, "--split=nowhere", "--output_data=b"],
            "no pictures in split nowhere; it has train (24), val (8)",
        ),
    ):
        assert cli.main(arguments) == 2
        assert message in capsys.readouterr().err
