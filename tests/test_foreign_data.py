"""Data sets of TFDS that this package did not make: what of them is read, what is not, and what is
guessed.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.test_names import NEGATIVE
from tests.test_street_labels import deep_png
from tfcyclegan.data import stored
from tfcyclegan.data.domains import open_domains
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.translation.data_sets import translate_data
from tfcyclegan.translation.translators import translate_split


def png(picture: Any, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", **options)
    return stream.getvalue()


def noise(number: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (32, 32, channels), dtype=np.uint8)


def make_foreign(
    directory: Path, splits: dict[str, list[bytes]], image: Any = None, **others: tuple[Any, Any]
) -> Path:
    """A TFDS directory as `tfds.folder_dataset.write_metadata` describes it.

    Args:
        directory: where.
        splits: encoded pictures by split.
        image: the feature of the pictures; default 8-bit RGB.
        others: further features with the value that every example has.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.naming import ShardedFileTemplate

    directory.mkdir(parents=True)
    for split, pictures in splits.items():
        with tf.io.TFRecordWriter(
            str(directory / f"theirs-{split}.tfrecord-00000-of-00001")
        ) as writer:
            for encoded in pictures:
                values = {"image": encoded} | {name: value for name, (_, value) in others.items()}
                feature = {
                    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                    if isinstance(value, bytes)
                    else tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
                    for name, value in values.items()
                }
                writer.write(
                    tf.train.Example(
                        features=tf.train.Features(feature=feature)
                    ).SerializeToString()
                )
    features = tfds.features.FeaturesDict(
        {
            "image": image or tfds.features.Image(),
            **{name: kind for name, (kind, _) in others.items()},
        }
    )
    template = ShardedFileTemplate(
        data_dir=directory, dataset_name="theirs", filetype_suffix="tfrecord"
    )
    infos = tfds.folder_dataset.compute_split_info(filename_template=template)
    tfds.folder_dataset.write_metadata(
        data_dir=directory, features=features, split_infos=infos, check_data=False
    )
    return directory


def read(place: Path, split: str) -> list[np.ndarray]:
    source = open_source(place)
    return [
        np.asarray(stored.decode(source, encoded, 3)[0]) for _, encoded in source.pictures(split)
    ]


def test_other_features_and_splits_are_named(tmp_path, capsys):
    import tensorflow_datasets as tfds

    splits = {
        name: [png(noise(number)) for number in range(2)]
        for name in ("trainA", "trainB", "valA", "validation")
    }
    kinds = {
        "label": (tfds.features.ClassLabel(num_classes=3), 1),
        "depth": (tfds.features.Image(shape=(None, None, 1)), png(noise(1)[..., 0])),
    }
    place = make_foreign(tmp_path / "theirs", splits, **kinds)
    domains = open_domains(str(place))
    assert domains.a.left_out == {"feature 'depth'": 8, "feature 'label'": 8}
    said = capsys.readouterr().out.splitlines()
    assert (
        f"{place}: not used: feature 'depth', feature 'label'; its pictures are the feature 'image'"
        in said
    )
    assert f"{place}, split valA: serves as the test split of domain a, which has none" in said
    assert (
        f"{place}: domain b has no test split, but the other has; scores and pictures that need "
        "one are left out" in said
    )
    assert any(
        f"{place}: splits that are not read: validation (2); splits must be called train, val and "
        "test" in line
        for line in said
    )
    np.testing.assert_array_equal(read(place, "trainA")[1], noise(1))


def test_translations_tell_the_features_that_were_not_read(tmp_path):
    import tensorflow_datasets as tfds

    place = make_foreign(
        tmp_path / "theirs",
        {"testA": [png(noise(1)), png(noise(2))]},
        label=(tfds.features.ClassLabel(num_classes=3), 1),
    )
    translate_split([NEGATIVE], open_source(place), "testA", tmp_path / "pictures")
    translate_data([NEGATIVE], open_source(place), ["testA"], tmp_path / "data", scale=None)
    for told in ("pictures/translation.json", "data/manifest.json"):
        assert json.loads((tmp_path / told).read_text())["left_out"] == {"feature 'label'": 2}


def test_pictures_that_are_not_plain_are_taken_as_from_a_folder(tmp_path):
    """16 bit is scaled, transparency laid on white, a picture to be turned is turned: Pillow alone
    would clip, uncover and leave it.
    """
    import tensorflow_datasets as tfds

    deep = np.linspace(0, 65535, 32 * 32 * 3).reshape(32, 32, 3).round().astype(np.uint16)
    place = make_foreign(
        tmp_path / "deep", {"train": [deep_png(deep)]}, tfds.features.Image(dtype=np.uint16)
    )
    np.testing.assert_array_equal(read(place, "train")[0], (deep / 257).round().astype(np.uint8))
    clear = noise(2, 4)
    clear[..., 3] = np.where(np.arange(32) < 16, 0, 255)
    place = make_foreign(
        tmp_path / "clear", {"train": [png(clear)] * 2}, tfds.features.Image(shape=(None, None, 4))
    )
    np.testing.assert_array_equal(
        read(place, "train")[0], np.where(clear[..., 3:] == 0, 255, clear[..., :3])
    )
    turned = Image.Exif()
    turned[0x0112] = 3
    place = make_foreign(tmp_path / "turned", {"train": [png(noise(3), exif=turned)]})
    np.testing.assert_array_equal(read(place, "train")[0], noise(3)[::-1, ::-1])


def test_what_is_no_picture_of_8_or_16_bit_is_refused(tmp_path):
    """TFDS stores 32-bit floats as the four channels of a PNG."""
    import tensorflow_datasets as tfds

    for name, feature, reason in (
        (
            "floats",
            tfds.features.Image(shape=(None, None, 1), dtype=np.float32),
            "pictures are float32, which has no known range",
        ),
        (
            "video",
            tfds.features.Video(shape=(None, 32, 32, 3)),
            "feature 'image' is a Video, not an Image",
        ),
        (
            "numbers",
            tfds.features.Tensor(shape=(), dtype=np.int64),
            "feature 'image' is a Tensor, not an Image",
        ),
        (
            "nested",
            tfds.features.FeaturesDict({"left": tfds.features.Image()}),
            "feature 'image' is a FeaturesDict, not an Image",
        ),
    ):
        place = make_foreign(tmp_path / name, {"train": [png(noise(1, 4))]}, feature)
        with pytest.raises(UserError, match=reason):
            open_source(place)


def test_a_data_set_without_an_image_says_what_it_has(tmp_path):
    import tensorflow_datasets as tfds

    place = make_foreign(
        tmp_path / "theirs",
        {"train": [png(noise(1))]},
        picture=(tfds.features.Image(), png(noise(1))),
    )
    features = json.loads((place / "features.json").read_text())
    del features["featuresDict"]["features"]["image"]
    (place / "features.json").write_text(json.dumps(features))
    with pytest.raises(UserError, match="its examples have no 'image' feature; they have picture"):
        open_source(place)


def test_a_damaged_foreign_picture_is_named_in_one_line(tmp_path):
    place = make_foreign(tmp_path / "theirs", {"train": [png(noise(1)), png(noise(2))[:-30]]})
    with pytest.raises(RunError, match=r"^damaged: ") as caught:
        read(place, "train")
    assert "\n" not in str(caught.value)


def test_both_domains_must_not_be_the_same_pictures(tmp_path):
    place = make_foreign(tmp_path / "theirs", {"train": [png(noise(1))], "test": [png(noise(2))]})
    with pytest.raises(
        UserError,
        match=(
            f"--data_dir={place},{place}: both domains have the same pictures, .*split train; give "
            "each"
        ),
    ):
        open_domains(f"{place},{place}")


def test_one_data_set_twice_is_that_data_set(tiles, capsys):
    domains = open_domains(f"{tiles},{tiles}")
    assert (domains.require("train", "a").name, domains.require("test", "b").name) == (
        "trainA",
        "testB",
    )


def test_two_data_sets_of_both_domains_leave_the_other_halves(tmp_path, capsys):
    halves = {"trainA": [png(noise(1))], "trainB": [png(noise(2))]}
    first, second = (
        make_foreign(tmp_path / "first", halves),
        make_foreign(tmp_path / "second", {**halves, "testB": [png(noise(3))] * 2}),
    )
    domains = open_domains(f"{first},{second}")
    assert (domains.require("train", "a").source, domains.require("train", "b").source) == (
        domains.a,
        domains.b,
    )
    said = capsys.readouterr().out
    assert (
        f"{first}: splits that are not read: trainB (1)" in said
        and f"{second}: splits that are not read: trainA (1)" in said
    )
    assert "domain a has no test split, but the other has" in said


def test_the_first_configuration_is_a_guess_that_is_told(tmp_path, capsys):
    import tensorflow_datasets as tfds

    metadata = tmp_path / "cycle_gan" / "apple2orange" / "3.0.0"
    metadata.mkdir(parents=True)
    splits = [
        {"name": name, "shardLengths": ["2"], "numBytes": "1"}
        for name in ("trainA", "trainB", "testA", "testB")
    ]
    (metadata / "dataset_info.json").write_text(
        json.dumps({"name": "cycle_gan", "version": "3.0.0", "splits": splits})
    )
    with tfds.testing.mock_data(num_examples=2, data_dir=str(tmp_path)):
        open_source("tfds:cycle_gan")
    said = capsys.readouterr().out
    assert (
        "tfds:cycle_gan: read as tfds:cycle_gan/apple2orange, its first configuration; it has "
        "apple2orange, summer2winter_yosemite" in said
    )
    assert "tfds:cycle_gan: not used: feature 'label'; its pictures are the feature 'image'" in said
