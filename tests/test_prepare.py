"""Folders of pictures -> TFRecords: what TFDS reads back, what is refused, and that a killed run
goes on.
"""

import io
import json
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import folders, prepare
from tests import processes
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.system import files

ROOT = Path(__file__).parents[1]


def picture(seed: int, side: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path) -> Path:
    """Two domains of five pictures, a test pair, and what is to be passed over."""
    directory = tmp_path / "root"
    for index in range(5):
        save(directory / f"trainA/{index}.png", picture(index))
        save(directory / f"trainB/deep/er/{index}.BMP", picture(10 + index))
    save(directory / "testA/x.tiff", picture(20))
    save(directory / "testB/x.PNG", picture(21))
    (directory / "trainA/.DS_Store").write_bytes(b"junk")
    (directory / "trainA/Thumbs.db").write_bytes(b"junk")
    (directory / "trainA/.hidden").mkdir()
    (directory / "trainA/.hidden/a.png").write_bytes(b"junk")
    (directory / "trainB/notes.TXT").write_bytes(b"words")
    return directory


def config(root: Path, **changes) -> folders.Config:
    return folders.Config(
        **{"input_dir": str(root), "output_dir": str(root.parent / "out"), **changes}
    )


def read(output_dir: Path) -> dict[str, dict[str, np.ndarray]]:
    """What TFDS reads: pixels by file name, by split."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(output_dir)
    shards = {path.name for path in output_dir.iterdir()}
    result: dict[str, dict[str, np.ndarray]] = {}
    for split, info in builder.info.splits.items():
        examples = list(
            builder.as_dataset(
                split=split, read_config=tfds.ReadConfig(add_tfds_id=True)
            ).as_numpy_iterator()
        )
        assert len(examples) == info.num_examples
        for example in examples:
            image = example["image"]
            assert image["encoded"].shape == (image["height"], image["width"], 3)
            assert example["tfds_id"].decode().split("__")[0] in shards
        result[split] = {
            example["image"]["filename"].decode(): example["image"]["encoded"]
            for example in examples
        }
    return result


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "data_prep.folders", *arguments]


def test_tfds_reads_everything_back(root, capsys):
    folders.run(config(root, shards=2))
    output_dir = root.parent / "out"
    found = read(output_dir)
    assert {split: list(names) for split, names in found.items()} == {
        "testA": ["testA/x.tiff"],
        "testB": ["testB/x.PNG"],
        "trainA": [f"trainA/{index}.png" for index in range(5)],
        "trainB": [f"trainB/deep/er/{index}.BMP" for index in range(5)],
    }
    for index in range(5):
        np.testing.assert_array_equal(found["trainA"][f"trainA/{index}.png"], picture(index))
        np.testing.assert_array_equal(
            found["trainB"][f"trainB/deep/er/{index}.BMP"], picture(10 + index)
        )
    np.testing.assert_array_equal(found["testA"]["testA/x.tiff"], picture(20))
    assert sorted(path.name for path in output_dir.iterdir()) == [
        ".lock",
        "dataset_info.json",
        "features.json",
        "manifest.json",
        "pictures-testA.tfrecord-00000-of-00001",
        "pictures-testB.tfrecord-00000-of-00001",
        "pictures-trainA.tfrecord-00000-of-00002",
        "pictures-trainA.tfrecord-00001-of-00002",
        "pictures-trainB.tfrecord-00000-of-00002",
        "pictures-trainB.tfrecord-00001-of-00002",
    ]
    assert "1 .txt" in capsys.readouterr().out


def test_manifest_describes_the_shards(root):
    folders.run(config(root))
    output_dir = root.parent / "out"
    manifest = json.loads((output_dir / "manifest.json").read_text())
    assert {split: entry["records"] for split, entry in manifest["splits"].items()} == {
        "trainA": 5,
        "trainB": 5,
        "testA": 1,
        "testB": 1,
    }
    for entry in manifest["splits"].values():
        for shard in entry["shards"]:
            path = output_dir / shard["file"]
            assert (shard["bytes"], shard["sha256"]) == (path.stat().st_size, files.sha256_of(path))
    assert manifest["command"].startswith("python -m data_prep.folders --")
    assert f" --input_dir={root} " in manifest["command"]

    elsewhere = root.parent / "elsewhere"
    folders.run(config(root, output_dir=str(elsewhere), max_bad=3))
    assert (
        json.loads((elsewhere / "manifest.json").read_text())["fingerprint"]
        == manifest["fingerprint"]
    )
    save(root / "trainA/0.png", picture(99))
    folders.run(config(root, output_dir=str(root.parent / "third")))
    assert (
        json.loads((root.parent / "third/manifest.json").read_text())["fingerprint"]
        != manifest["fingerprint"]
    )


def test_rerun_says_done_and_other_requests_are_refused(root, capsys):
    folders.run(config(root))
    output_dir = root.parent / "out"
    before = {
        path.name: path.stat().st_mtime_ns for path in output_dir.iterdir() if path.name != ".lock"
    }
    capsys.readouterr()
    folders.run(config(root, max_bad=7))
    assert (
        capsys.readouterr().out.splitlines()[-2]
        == f"{output_dir}: already complete: trainA 5, trainB 5, testA 1, testB 1 pictures"
    )
    with pytest.raises(UserError, match="--name: pictures there, other here"):
        folders.run(config(root, name="other"))
    with pytest.raises(
        UserError, match="--max_pixels: 100000000 there, 5000 here; --shards: 0 there, 3 here"
    ):
        folders.run(config(root, max_pixels=5000, shards=3))
    os.utime(root / "trainB/deep/er/3.BMP", (1, 1))
    with pytest.raises(UserError, match="trainB: the input has changed"):
        folders.run(config(root))
    assert {
        path.name: path.stat().st_mtime_ns for path in output_dir.iterdir() if path.name != ".lock"
    } == before


def test_a_lost_shard_is_noticed(root):
    folders.run(config(root))
    (root.parent / "out/pictures-trainA.tfrecord-00000-of-00001").unlink()
    with pytest.raises(RunError, match=r"trainA\.tfrecord-00000-of-00001: missing"):
        folders.run(config(root))


def test_bad_pictures_within_max_bad_are_listed(root, capsys):
    for name in ("trainA/a.jpg", "trainB/z.png"):
        (root / name).write_text("words")
    (root / "trainA/b.jpg").symlink_to("nowhere")
    os.mkfifo(root / "trainA/c.jpg")
    folders.run(config(root, max_bad=4))
    output_dir = root.parent / "out"
    lines = [
        json.loads(line) for line in (output_dir / "quarantine.jsonl").read_text().splitlines()
    ]
    assert lines == [
        {"file": "trainA/a.jpg", "reason": "text, not a picture"},
        {"file": "trainA/b.jpg", "reason": "cannot be read: No such file or directory"},
        {"file": "trainA/c.jpg", "reason": "cannot be read: not a regular file"},
        {"file": "trainB/z.png", "reason": "text, not a picture"},
    ]
    assert "4 bad pictures left out" in capsys.readouterr().out
    assert {split: len(names) for split, names in read(output_dir).items()} == {
        "trainA": 5,
        "trainB": 5,
        "testA": 1,
        "testB": 1,
    }


def test_a_shard_of_bad_pictures_alone_is_read_as_empty(root):
    (root / "trainA/0.png").write_text("words")
    folders.run(config(root, max_bad=1, shards=5))
    assert list(read(root.parent / "out")["trainA"]) == [
        f"trainA/{index}.png" for index in range(1, 5)
    ]


def test_too_many_bad_pictures_then_mended(root, capsys):
    output_dir = root.parent / "out"
    for name in ("trainA/a.jpg", "trainA/b.jpg"):
        (root / name).write_text("words")
    with pytest.raises(
        UserError,
        match=(
            r"trainA/a.jpg: text, not a picture; 2 bad pictures in all, listed in "
            r".*quarantine.jsonl, but 1 allowed; remove them, or .* by --max_bad=2$"
        ),
    ):
        folders.run(config(root, max_bad=1))
    assert (
        not (output_dir / "manifest.json").exists()
        and not (output_dir / "dataset_info.json").exists()
    )
    inode = (output_dir / "pictures-trainA.tfrecord-00000-of-00001").stat().st_ino
    folders.run(config(root, max_bad=2))  # the first mend: what is finished is kept
    assert (output_dir / "pictures-trainA.tfrecord-00000-of-00001").stat().st_ino == inode

    second = root.parent / "second"
    with pytest.raises(UserError, match="but 0 allowed"):
        folders.run(config(root, output_dir=str(second)))
    for name in ("trainA/a.jpg", "trainA/b.jpg"):
        (root / name).unlink()
    folders.run(config(root, output_dir=str(second)))  # the other mend
    assert "starts over" in capsys.readouterr().out
    assert not (second / "quarantine.jsonl").exists()
    assert len(read(second)["trainA"]) == 5


def test_a_split_without_a_good_picture_fails_whatever_max_bad(root):
    (root / "testA/x.tiff").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"testA/x.tiff: the file is empty.*testA has no good picture"
    ):
        folders.run(config(root, max_bad=100))


def test_conversions_are_said_once(root, capsys):
    for index in range(3):
        save(root / f"trainA/deep{index}.png", np.full((4, 4), 65535, np.uint16))
    folders.run(config(root))
    assert capsys.readouterr().out.count("16 bit, scaled to 8: 3 pictures") == 1
    np.testing.assert_array_equal(
        read(root.parent / "out")["trainA"]["trainA/deep0.png"], np.full((4, 4, 3), 255)
    )


def test_another_data_set_is_not_written_into(root):
    output_dir = root.parent / "out"
    output_dir.mkdir()
    (output_dir / "horse2zebra-trainA.tfrecord-00000-of-00001").touch()
    with pytest.raises(UserError, match="holds another data set"):
        folders.run(config(root))


@pytest.mark.parametrize(
    "break_it, message",
    [
        (
            lambda root: (root / "trainB").rename(root / "b"),
            "trainB: no such directory; put the pictures of domain B there",
        ),
        (
            lambda root: [path.unlink() for path in (root / "testA").iterdir()],
            "testA: holds no picture; put pictures there or remove it",
        ),
        (
            lambda root: (root / "trainA").rename(root / "a") and (root / "trainA").mkdir(),
            "trainA: holds no picture; put pictures there",
        ),
    ],
)
def test_missing_and_empty_folders(root, break_it, message):
    break_it(root)
    with pytest.raises(UserError, match=message):
        folders.run(config(root))
    assert not (root.parent / "out").exists()


def test_two_folders_of_other_names_are_to_be_renamed(tmp_path):
    for name in ("horses", "zebras"):
        (tmp_path / "in" / name).mkdir(parents=True)
    with pytest.raises(UserError, match=r"rename horses and zebras: one to trainA, one to trainB$"):
        folders.run(folders.Config(input_dir=str(tmp_path / "in"), output_dir=str(tmp_path / "o")))


BAD = "text, not a picture; 1 bad picture in all"


@pytest.mark.parametrize(
    "name, content",
    [("trainA/words.jpg", b"these are words\n"), ("trainB/page.png", b"<html></html>")],
)
def test_bad_file_is_named(root, name, content):
    (root / name).write_bytes(content)
    with pytest.raises(UserError, match=f"^{name}: {BAD}"):
        folders.run(config(root))
    assert not (root.parent / "out/manifest.json").exists()


def test_bad_file_ends_in_one_line(root):
    (root / "trainA/words.jpg").write_bytes(b"these are words\n")
    result = processes.run(command(f"--input_dir={root}", f"--output_dir={root.parent / 'out'}"))
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith(f"data_prep.folders: trainA/words.jpg: {BAD}")
    assert not (root.parent / "out/manifest.json").exists()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            ["--input_dir=/nowhere/at/all", "--output_dir=OUT"],
            "--input_dir=/nowhere/at/all: no such directory",
        ),
        (
            ["--input_dir=ROOT", "--output_dir=ROOT/trainA/0.png"],
            "is a file, but a directory is needed",
        ),
        (
            ["--input_dir=ROOT", "--output_dir=ROOT/trainA/0.png/deeper"],
            "is a file, but a directory is needed",
        ),
        (
            ["--input_dir=ROOT", "--output_dir=OUT", "--name=My Set"],
            "--name=My Set: must be lower-case",
        ),
        (["--input_dir=ROOT", "--output_dir=OUT", "--max_bda=3"], "--max_bda: no such flag"),
    ],
)
def test_wrong_requests_end_in_one_line(root, arguments, words):
    arguments = [
        argument.replace("ROOT", str(root)).replace("OUT", str(root.parent / "out"))
        for argument in arguments
    ]
    result = processes.run(command(*arguments))
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1), result.stderr
    assert words in result.stderr


def test_a_killed_run_goes_on(root):
    """Kills the real program once it has finished a shard, and finds that shard untouched
    afterwards.
    """
    for index in range(160):
        save(root / f"trainA/big{index}.tiff", picture(index, side=200))
    output_dir = root.parent / "out"
    arguments = command(f"--input_dir={root}", f"--output_dir={output_dir}", "--shards=40")
    deadline = time.monotonic() + 60
    with processes.started(arguments) as process:
        while not (output_dir / ".work/pictures-trainA.tfrecord-00001-of-00040.json").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        process.kill()
        process.wait()
    assert (
        not (output_dir / "manifest.json").exists()
        and not (output_dir / "dataset_info.json").exists()
    )
    finished = {
        path.stem: (output_dir / path.stem).stat()
        for path in (output_dir / ".work").glob("*.tfrecord-*.json")
    }
    assert 2 <= len(finished) < 40 + 5 + 2, "killed too late to show anything"

    result = processes.run(arguments)
    assert result.returncode == 0, result.stderr
    assert f"continues; {len(finished)} of 47 shards are finished" in result.stdout
    for name, status in finished.items():
        now = (output_dir / name).stat()
        assert (now.st_ino, now.st_mtime_ns) == (status.st_ino, status.st_mtime_ns), name
    assert not [
        path
        for path in output_dir.iterdir()
        if path.name.endswith(".partial") or path.name == ".work"
    ]
    found = read(output_dir)["trainA"]
    assert len(found) == 165
    np.testing.assert_array_equal(found["trainA/big7.tiff"], picture(7, side=200))


def test_shards_are_cut_by_size_and_keep_the_order():
    """Each source says it has 40 MB; 6 of them make 240 MB, so 3 shards of about 100 MB."""
    sources = [prepare.Source(f"{index}.png", 40_000_000, io.BytesIO().read) for index in range(6)]
    request = prepare.Request(
        name="n",
        command="",
        splits={"trainA": sources},
        settings={},
        inputs={},
        max_bad=0,
        max_pixels=1,
        shards=0,
    )
    plan = prepare._plan(request)
    assert [shard.file for shard in plan] == [
        f"n-trainA.tfrecord-{index:05d}-of-00003" for index in range(3)
    ]
    assert [source.filename for shard in plan for source in shard.sources] == [
        f"{index}.png" for index in range(6)
    ]


def test_decoding_ahead_is_bounded():
    """Of 1000 sources no more than the queue's length are read before the first result is taken."""
    content = io.BytesIO()
    Image.fromarray(picture(0)).save(content, "PNG")
    begun: list[int] = []

    def source(index: int) -> prepare.Source:
        def load() -> bytes:
            begun.append(index)
            return content.getvalue()

        return prepare.Source(f"{index:04d}.png", 1, load)

    shard = prepare._Shard("trainA", "f", [source(index) for index in range(1000)])
    verdicts = prepare._judge([shard], 1000)
    names = [next(verdicts).pictures[0].picture.filename]
    time.sleep(0.2)
    assert len(begun) <= len(os.sched_getaffinity(0)) * prepare.QUEUED_PER_WORKER + 1
    names += [verdict.pictures[0].picture.filename for verdict in verdicts]
    assert names == [f"{index:04d}.png" for index in range(1000)]


def test_pictures_of_training_among_the_held_out_are_told(root, capsys):
    save(root / "testA/twin.png", picture(3))
    save(root / "valB/twin.png", picture(3))
    save(root / "trainB/twice.png", picture(10))  # twice in training, which is not told
    folders.run(config(root))
    of_training, of_val = [
        line for line in capsys.readouterr().out.splitlines() if "warning" in line
    ]
    assert (
        "in training, byte for byte: testA/twin.png is trainA/3.png, valB/twin.png is "
        "trainA/3.png; scores" in of_training
    )
    assert "also in val, byte for byte: testA/twin.png is valB/twin.png; the best" in of_val


def test_odd_names_and_links(root, capsys):
    """Blanks, line breaks, bytes that are no text, the longest names; links in circles and to
    nothing are named.
    """
    names = (
        "a b.png",
        "new\nline.png",
        os.fsdecode(b"\xff\xfe.png"),
        "x" * 251 + ".png",
        "-.png",
        "#.png",
        "ü/ö.png",
    )
    for number, name in enumerate(names):
        (root / "trainA" / name).parent.mkdir(exist_ok=True)
        (root / "trainA" / name).write_bytes((root / f"trainA/{number % 5}.png").read_bytes())
    (root / "trainA" / "again").symlink_to("../trainA")  # a folder in a circle: each file once
    folders.run(config(root))
    found = {
        name.encode("utf-8", "surrogateescape")
        for name, _ in open_source(root.parent / "out").pictures("trainA")
    }
    assert found == {
        os.fsencode(f"trainA/{name}")
        for name in (*names, *(f"{number}.png" for number in range(5)))
    }
    shutil.rmtree(root.parent / "out")
    for name, target in (("loop.png", "loop.png"), ("nothing.png", "nowhere.png")):
        (root / "trainA" / name).symlink_to(target)
        with pytest.raises(UserError, match=f"trainA/{name}: cannot be read"):
            folders.run(config(root))
        (root / "trainA" / name).unlink()
