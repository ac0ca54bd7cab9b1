"""Training without a cache: the same batches as out of the file of pixels, whatever the data; what
is told; and records that are damaged in between.
"""

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from data_prep import folders
from tests.test_measured_training import make_set
from tests.test_own_labels import CSV, TABLE, drawn, photo, save
from tests.test_unpaired import picture, prepare, write_foreign
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.data.domains import open_domains
from tfcyclegan.data.pixels import StreamedPixels
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.training.batches import open_batches, with_channels

SMALL = {
    "load_size": Size(20, 24), "crop_size": Size(16, 20), "discriminator_layers": 1,
    "lambda_identity": 0.0,
}  # fmt: skip


def opened(data, tmp_path, cache, **options):
    """The batches of a training on `data`, and its config."""
    domains = open_domains(str(data))
    settings = {"run_dir": "-", "cache_dir": str(tmp_path / cache), **SMALL, **options}
    config = with_channels(TrainConfig(data_dir=str(data), cache=cache, **settings), domains)
    return open_batches(config, domains)[0]


def require_same(data, tmp_path, **options):
    """Both ways of reading `data` give the same batches and tell the same of its pictures."""
    one, other = (opened(data, tmp_path, cache, **options) for cache in ("pixels", "none"))
    assert isinstance(other.pixels_a, StreamedPixels)
    for step in range(7):
        for batch, expected in zip(other.batch(step), one.batch(step), strict=True):
            assert batch.dtype == expected.dtype
            np.testing.assert_array_equal(batch, expected)
    for letter in "ab":
        stored, streamed = (getattr(each, f"pixels_{letter}") for each in (one, other))
        for name in ("notes", "stretch", "gaps", "channels", "values", "common_size"):
            assert getattr(streamed, name) == getattr(stored, name), name
        assert streamed.names() == stored.names()
        np.testing.assert_array_equal(streamed.sizes, stored.sizes)
        np.testing.assert_array_equal(streamed.original_sizes, stored.original_sizes)
    return one, other


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory):
    """JPEGs of several sizes, one of them gray, in several shards; in B one of a single colour."""
    root, draw = tmp_path_factory.mktemp("jpegs"), np.random.default_rng(0)
    for domain in "AB":
        for index in range(5):
            size = (40 + 4 * index, 30) if domain == "A" else (33, 31)
            pixels = draw.integers(0, 256, (*size, 3), np.uint8)
            if (domain, index) == ("B", 1):
                pixels[:] = 7
            image = Image.fromarray(pixels[..., 0] if index == 2 else pixels)
            path = root / f"pictures/train{domain}/{index}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path, quality=80)
    folders.run(
        folders.Config(input_dir=str(root / "pictures"), output_dir=str(root / "data"), shards=2)
    )
    return root / "data"


@pytest.mark.parametrize(
    "options",
    [
        {"colour_jitter": 0.3, "batch_size": 2},
        {"preprocess": "scale_width", "channels_a": 1, "load_size": Size(28, 28)},
        {"decay_load_size": "crop", "epochs": 1, "decay_epochs": 2, "interpolation": "area"},
    ],
    ids=["crops", "whole", "decaying"],
)
def test_pictures(jpegs, tmp_path, options):
    one, other = require_same(jpegs, tmp_path, **options)
    # the very numbers that the networks see, read by several threads, from any step on
    streams = [made.dataset(2, 6).as_numpy_iterator() for made in (one, other)]
    for expected, found in zip(*streams, strict=True):
        for batch, same in zip(found, expected, strict=True):
            np.testing.assert_array_equal(batch, same)
    kept = {path.name for path in (tmp_path / "none").rglob("*") if path.is_file()}
    assert "pixels.bin" not in kept and "places.npy" in kept


def test_pictures_of_a_single_colour_are_told(jpegs, tmp_path, capsys):
    made = opened(jpegs, tmp_path, "none")
    line = "1 of 5 pictures looked at have a single colour, such as trainB/1.jpg"
    assert made.pixels_b.told == [line] and f"split trainB: {line}" in capsys.readouterr().out
    made.pixels_b[1]
    assert not capsys.readouterr().out, "it is known"
    made.pixels_b._loader.survey.plain.clear()  # as if it had not been in the sample
    for _ in range(2):
        made.pixels_b[1]
    told = "split trainB: 1 of the pictures read so far have a single colour, such as trainB/1.jpg"
    assert capsys.readouterr().out.count(told) == 1


def test_measurements_with_gaps(tmp_path):
    data = make_set(
        tmp_path, 6, "uint16", 1, "float32", nodata_a=0, range_a="1:201", range_b="0:200"
    )
    one, other = require_same(data, tmp_path, batch_size=2, rotations=True, crop_size=Size(16, 16))
    assert one.gaps and other.pixels_a.gaps == 3
    assert other.pixels_a[0].dtype == np.uint16 and other.pixels_b[0].dtype == np.float32


def test_labels_beside_their_pictures_and_label_maps(tmp_path):
    (tmp_path / "c.csv").write_text(CSV)
    for seed in range(4):
        save(tmp_path / f"pictures/trainA/{seed}.png", photo(seed))
        save(tmp_path / f"pictures/trainA_labels/{seed}.png", drawn(seed))
        save(tmp_path / f"pictures/trainB/{seed}.png", TABLE.colorize(drawn(seed + 10)))
    place = {"input_dir": str(tmp_path / "pictures"), "output_dir": str(tmp_path / "data")}
    folders.run(folders.Config(**place, classes=str(tmp_path / "c.csv")))
    labels = {"labels_b": "onehot", "labelled": "0.5"}
    require_same(tmp_path / "data", tmp_path, **labels)
    one, other = (
        opened(tmp_path / "data", tmp_path, cache, **labels) for cache in ("pixels", "none")
    )
    for step in range(4):
        for pair in zip(one.beside.batch(step), other.beside.batch(step), strict=True):
            np.testing.assert_array_equal(*pair)


def test_data_of_other_programs(jpegs, tmp_path):
    """Of which all are decoded once, since headers do not tell what is done to them."""
    write_foreign(tmp_path / "foreign", tfds.features.Image(shape=(None, None, 3)))
    require_same(f"{tmp_path / 'foreign'},{jpegs}", tmp_path)


def test_pictures_of_a_function(tmp_path):
    require_same("tests.own_functions:pictures", tmp_path)


def test_a_record_damaged_after_the_start_ends_the_training_in_one_line(tmp_path):
    pictures = {f"train{domain}": [picture(index) for index in range(3)] for domain in "AB"}
    data = prepare(tmp_path, pictures)
    made = opened(data, tmp_path, "none")
    (shard,) = data.glob("*trainA*")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    with pytest.raises(RunError, match="is damaged: record 1 is not the one that was") as caught:
        for _ in range(3):
            with made.failures_told():
                list(made.dataset(0, 3))
    assert shard.name in str(caught.value) and "\n" not in str(caught.value)
    shard.unlink()
    with pytest.raises(RunError, match=r"cannot be read \(No such file or directory\); restore"):
        made.pixels_a[0]
    with pytest.raises(RunError, match="is missing; restore it or prepare the data again"):
        opened(data, tmp_path, "none")


def test_single_records_of_other_file_formats_cannot_be_read(jpegs, monkeypatch, tmp_path):
    source = open_source(jpegs)
    monkeypatch.setattr(source._records, "_format", "array_record")
    with pytest.raises(UserError, match=r"--cache=none: .* is stored as array_record, of which"):
        source.require_places("trainA")
    monkeypatch.undo()
    # what TFDS makes of records is what is read here
    ours = list(source.examples("trainA"))
    assert ours == list(source._records._by_tfds("trainA"))
