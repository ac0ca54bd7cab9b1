"""From a prepared directory to batches: what is drawn, in which order, and that any step can be had
by itself.

Every picture says which one it is: channel 0 is its number, channels 1 and 2 are row and column, so
that a crop tells
its picture, its place and whether it is mirrored.
"""

import functools
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from data_prep import folders
from tfcyclegan.config import Size
from tfcyclegan.data import images, pixels
from tfcyclegan.data.pixels import PixelFile
from tfcyclegan.data.source import open_source
from tfcyclegan.data.unpaired import UnpairedBatches
from tfcyclegan.errors import RunError, UserError

HEIGHT, WIDTH = 10, 14
CROP = Size(6, 8)
FEW, MANY = 5, 9


def picture(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    rows, columns = np.indices((height, width))
    return np.stack([np.full_like(rows, number), rows, columns], axis=-1).astype(np.uint8)


def prepare(root: Path, splits: dict[str, list[np.ndarray]], **settings) -> Path:
    for split, pictures in splits.items():
        (root / "raw" / split).mkdir(parents=True)
        for index, image in enumerate(pictures):
            Image.fromarray(image).save(root / "raw" / split / f"{index:03d}.png")
    folders.run(
        folders.Config(input_dir=str(root / "raw"), output_dir=str(root / "data"), **settings)
    )
    return root / "data"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """trainA: 5 pictures of one size; trainB: 9; testA: two sizes; testB: one small gray
    picture.
    """
    splits = {
        "trainA": [picture(index) for index in range(FEW)],
        "trainB": [picture(100 + index) for index in range(MANY)],
        "testA": [picture(50), picture(51, 12, 16)],
        "testB": [picture(60, 5, 7)[..., 0]],
    }
    return prepare(tmp_path_factory.mktemp("unpaired"), splits)


@pytest.fixture(scope="module")
def opened(data):
    """Opens the pixels of a split, unresized unless told otherwise."""
    source = open_source(data)

    @functools.cache
    def open_split(
        split: str,
        mode: str = "crop",
        channels: int = 3,
        load: Size = Size(20, 20),  # noqa: B008
        crop: Size = CROP,
    ) -> PixelFile:
        return pixels.open_pixels(
            source,
            split,
            data / ".cache",
            mode=mode,
            load_size=load,
            crop_size=crop,
            channels=channels,
        )

    return open_split


def batches(pixels_a: PixelFile, pixels_b: PixelFile, **settings) -> UnpairedBatches:
    return UnpairedBatches(
        pixels_a,
        pixels_b,
        **{"crop_size": CROP, "flip": True, "batch_size": 1, "seed": 3, **settings},
    )


def describe(crop: np.ndarray) -> tuple[int, int, int, bool]:
    """(number of the picture, top, left, mirrored), after checking that the crop is just that."""
    mirrored = crop[0, 0, 2] > crop[0, -1, 2]
    upright = crop[:, ::-1] if mirrored else crop
    number, top, left = map(int, upright[0, 0])
    np.testing.assert_array_equal(
        upright, picture(number)[top : top + CROP.height, left : left + CROP.width]
    )
    return number, top, left, bool(mirrored)


# --- order and draws
# -------------------------------------------------------------------------------------------------


def test_every_picture_of_a_once_an_epoch_when_a_is_larger(opened):
    made = batches(opened("trainB"), opened("trainA"))
    assert made.epoch_images == MANY
    orders = []
    for epoch in range(6):
        order = [describe(made.batch(epoch * MANY + position)[0][0])[0] for position in range(MANY)]
        assert sorted(order) == [100 + index for index in range(MANY)]
        orders.append(tuple(order))
    assert len(set(orders)) == 6, "each epoch has an order of its own"
    other_seed = batches(opened("trainB"), opened("trainA"), seed=4)
    assert [describe(other_seed.batch(step)[0][0])[0] for step in range(MANY)] != list(orders[0])


def test_pictures_of_a_come_round_again_when_a_is_smaller(opened):
    """9 places over 5 pictures: four of them twice and one once in each epoch."""
    made = batches(opened("trainA"), opened("trainB"))
    assert made.epoch_images == MANY
    for epoch in range(4):
        numbers = [
            describe(made.batch(epoch * MANY + position)[0][0])[0] for position in range(MANY)
        ]
        assert np.bincount(numbers, minlength=FEW).tolist() == [2, 2, 2, 2, 1]


def test_pictures_of_b_are_drawn_evenly_and_independently(opened):
    made = batches(opened("trainA"), opened("trainB"))
    pairs = np.array([made.indices(sample) for sample in range(4500)])
    counts = np.bincount(pairs[:, 1], minlength=MANY)
    assert ((counts - 500) ** 2 / 500).sum() < 26.1, "chi-square of 8 degrees of freedom, 99.9 %"
    joint = np.zeros((FEW, MANY))
    np.add.at(joint, (pairs[:, 0], pairs[:, 1]), 1)
    expected = joint.sum(axis=1, keepdims=True) / MANY
    assert ((joint - expected) ** 2 / expected).sum() < 80, (
        "40 degrees of freedom: b does not follow a"
    )
    epoch = pairs[:MANY, 1]
    assert len(set(epoch.tolist())) < MANY, "with replacement"


def test_no_draw_for_a_tells_of_one_for_b(opened):
    """Chi-square for each draw of a (picture, top, left, mirrored) beside each of b, against
    independence.
    """
    made = batches(opened("trainA"), opened("trainB"))
    draws_a, draws_b = (
        np.array(draws)
        for draws in zip(
            *([describe(x[0]) for x in made.batch(step)] for step in range(1500)), strict=True
        )
    )
    for a, b in itertools.product(draws_a.T, draws_b.T):
        _, places_a = np.unique(a, return_inverse=True)
        _, places_b = np.unique(b, return_inverse=True)
        table = np.zeros((places_a.max() + 1, places_b.max() + 1))
        np.add.at(table, (places_a, places_b), 1)
        expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / len(a)
        freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
        assert ((table - expected) ** 2 / expected).sum() < freedom + 4 * np.sqrt(2 * freedom) + 4


def test_indices_are_those_of_the_batches(opened):
    made = batches(opened("trainA"), opened("trainB"), batch_size=2)
    for step in range(10):
        found = [
            (describe(a)[0], describe(b)[0] - 100) for a, b in zip(*made.batch(step), strict=True)
        ]
        assert found == [made.indices(2 * step), made.indices(2 * step + 1)]


def test_crops_are_everywhere_and_half_are_mirrored(opened):
    made = batches(opened("trainA"), opened("trainB"))
    for domain in range(2):
        tops, lefts, flips = np.array(
            [describe(made.batch(step)[domain][0])[1:] for step in range(1000)]
        ).T
        assert np.unique(tops).tolist() == list(range(HEIGHT - CROP.height + 1))
        assert np.unique(lefts).tolist() == list(range(WIDTH - CROP.width + 1))
        assert 420 < flips.sum() < 580
    plain = batches(opened("trainA"), opened("trainB"), flip=False)
    assert not any(describe(image[0])[3] for step in range(50) for image in plain.batch(step))


# --- steps
# --------------------------------------------------------------------------------------------------


def test_a_batch_depends_on_seed_and_step_alone(opened):
    made = batches(opened("trainA"), opened("trainB"), batch_size=2)
    forward = [made.batch(step) for step in range(12)]
    fresh = batches(opened("trainA"), opened("trainB"), batch_size=2)
    for step in (7, 0, 11, 3, 7):
        for one, other in zip(fresh.batch(step), forward[step], strict=True):
            np.testing.assert_array_equal(one, other)
    other_seed = batches(opened("trainA"), opened("trainB"), batch_size=2, seed=4)
    assert any(not np.array_equal(other_seed.batch(step)[1], forward[step][1]) for step in range(3))


def test_a_pair_does_not_depend_on_the_batch_size(opened):
    """The last batch of an epoch runs into the next: samples 8 and 9 stand together though an epoch
    has 9.
    """
    single = batches(opened("trainA"), opened("trainB"))
    double = batches(opened("trainA"), opened("trainB"), batch_size=2)
    for step in range(10):
        for domain in range(2):
            expected = np.concatenate(
                [single.batch(2 * step)[domain], single.batch(2 * step + 1)[domain]]
            )
            np.testing.assert_array_equal(double.batch(step)[domain], expected)


def test_dataset_gives_the_batches_as_floats_from_any_step_on(opened):
    made = batches(opened("trainA"), opened("trainB"), batch_size=2)
    found = list(made.dataset(0, 11).as_numpy_iterator())
    assert len(found) == 11
    for step, pair in enumerate(found):
        for batch, expected in zip(pair, made.batch(step), strict=True):
            assert batch.dtype == np.float32
            np.testing.assert_array_equal(batch, images.to_float(expected))
    resumed = list(made.dataset(6, 11).as_numpy_iterator())
    assert len(resumed) == 5
    for one, other in zip(resumed, found[6:], strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_parts_of_a_batch_make_it_up(opened):
    """What the replicas of two workers get, two each, is the batch in order."""
    made = batches(opened("trainA"), opened("trainB"), batch_size=8)
    whole = list(made.dataset(2, 5).as_numpy_iterator())
    workers = [
        list(made.dataset(2, 5, parts=4, own=own).as_numpy_iterator())
        for own in (range(2), range(2, 4))
    ]
    assert [len(shares) for shares in workers] == [6, 6]
    for step, batch in enumerate(whole):
        shares = workers[0][2 * step : 2 * step + 2] + workers[1][2 * step : 2 * step + 2]
        for domain in range(2):
            np.testing.assert_array_equal(
                np.concatenate([share[domain] for share in shares]), batch[domain]
            )


def test_dataset_scales_every_level_as_images_does(tmp_path):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    source = open_source(prepare(tmp_path, {"trainA": [ramp], "trainB": [ramp]}))
    split = pixels.open_pixels(
        source, "trainA", tmp_path, mode="none", load_size=CROP, crop_size=CROP, channels=1
    )
    made = batches(split, split, crop_size=None, flip=False)
    (real_a, real_b), *_ = made.dataset(0, 1).as_numpy_iterator()
    np.testing.assert_array_equal(real_a[0, ..., 0], images.to_float(ramp))
    np.testing.assert_array_equal(real_b[0, ..., 0], images.to_float(ramp))


@pytest.mark.parametrize("channels", [1, 3])
def test_dataset_shapes_are_static(opened, channels):
    made = batches(opened("trainA", channels=channels), opened("trainB"), batch_size=2)
    assert [spec.shape.as_list() for spec in made.dataset(0, 1).element_spec] == [
        [2, 6, 8, channels],
        [2, 6, 8, 3],
    ]


# --- sizes and channels
# ----------------------------------------------------------------------------------------------


def test_pictures_of_different_sizes(opened):
    """Whole ones go alone, in steps of their own size; crops go together."""
    # 10x14 -> round(2.5) * 4 = 8 and round(3.5) * 4 = 16; 12x16 stays
    various = opened("testA", mode="none")
    assert various.sizes.tolist() == [[8, 16], [12, 16]] and various.common_size is None
    with pytest.raises(
        UserError, match="--batch_size: pictures of different sizes need batches of 1"
    ):
        batches(various, various, crop_size=None, batch_size=2)
    made = batches(various, various, crop_size=None, flip=False)
    assert (made.size_a, made.size_b) == (None, None)
    assert [spec.shape.as_list() for spec in made.dataset(0, 1).element_spec] == [
        [1, None, None, 3]
    ] * 2
    shapes = {batch.shape for pair in made.dataset(0, 8).as_numpy_iterator() for batch in pair}
    assert shapes == {(1, 8, 16, 3), (1, 12, 16, 3)}
    cropped = batches(opened("testA"), opened("trainB"), batch_size=2)
    assert cropped.batch(0)[0].shape == (2, 6, 8, 3)


def test_a_missing_split_names_those_there_are(opened):
    with pytest.raises(
        UserError, match=r"no pictures in split valA; it has .*trainA \(5\).*trainB \(9\)"
    ):
        opened("valA")


def open_trained(data: Path, cache: Path, **changes) -> PixelFile:
    settings = {
        "mode": "crop",
        "load_size": Size(20, 20),
        "crop_size": CROP,
        "channels": 3,
        **changes,
    }
    return pixels.open_pixels(open_source(data), "trainA", cache, **settings)


# --- sources
# --------------------------------------------------------------------------------------------------


def spoil(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "one byte":
        content[len(content) // 2] ^= 255
    elif how == "cut":
        content = content[: len(content) // 2]
    elif how == "last record lost":
        record = 8 + 4 + int.from_bytes(content[:8], "little") + 4
        content = content[:record]
    path.unlink()
    if how != "removed":
        path.write_bytes(content)


DAMAGE = {
    "one byte": "is damaged or from another data set: its sha256 differs",
    "cut": r"has \d+ bytes, not \d+",
    "last record lost": r"has \d+ bytes, not \d+",
    "removed": "is missing",
    "another set's": "is damaged or from another data set: its sha256 differs",
}


@pytest.mark.parametrize("foreign", [False, True], ids=["ours", "foreign"])
@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_shard_fails_the_run_and_leaves_no_cache(tmp_path, how, foreign):
    """Ours are known by the manifest's hashes; of another program's data TFDS notices what its
    checksums and counts tell.
    """
    directory = prepare(tmp_path, {"trainA": [picture(1), picture(2)], "trainB": [picture(3)]})
    shard = directory / "pictures-trainA.tfrecord-00000-of-00001"
    if how == "another set's":
        other = (
            prepare(
                tmp_path / "other", {"trainA": [picture(1), picture(4)], "trainB": [picture(3)]}
            )
            / shard.name
        )
        assert other.stat().st_size == shard.stat().st_size
        other.replace(shard)
    else:
        spoil(shard, how)
    if foreign:
        (directory / "manifest.json").unlink()
        if how == "another set's":
            assert len(open_trained(directory, tmp_path / "cache")) == 2, "nothing can tell"
            return
    message = (
        r"split trainA .*; prepare the data again"
        if foreign
        else f"{shard.name}: {DAMAGE[how]}; restore it or prepare the data again"
    )
    with pytest.raises(RunError, match=message) as caught:
        open_trained(directory, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def write_foreign(
    directory: Path, feature: tfds.features.FeatureConnector, name: str = "image"
) -> list[np.ndarray]:
    """A data set as other programs make it: one top-level image feature, no manifest."""
    features = tfds.features.FeaturesDict({name: feature, "label": tfds.features.Scalar(np.int64)})
    channels = feature.shape[-1]
    pictures = [picture(index)[..., :channels] for index in range(3)]
    directory.mkdir()
    with tf.io.TFRecordWriter(str(directory / "foreign-trainA.tfrecord-00000-of-00001")) as writer:
        for index, image in enumerate(pictures):
            writer.write(
                features.serialize_example(features.encode_example({name: image, "label": index}))
            )
    infos = [tfds.core.SplitInfo(name="trainA", shard_lengths=[3], num_bytes=0)]
    template = tfds.core.ShardedFileTemplate(
        data_dir=directory, dataset_name="foreign", filetype_suffix="tfrecord"
    )
    infos = [info.replace(filename_template=template) for info in infos]
    tfds.folder_dataset.write_metadata(
        data_dir=str(directory), features=features, split_infos=infos
    )
    return pictures


@pytest.mark.parametrize("channels", [1, 3])
def test_a_plain_tfds_directory_is_taken(tmp_path, channels):
    directory = tmp_path / "foreign"
    pictures = write_foreign(
        directory, tfds.features.Image(shape=(None, None, channels), encoding_format="png")
    )
    source = open_source(directory)
    assert (source.name, source.counts) == ("foreign", {"trainA": 3})
    names = [name for name, _ in source.pictures("trainA")]
    assert names == [f"foreign-trainA.tfrecord-00000-of-00001__{index}" for index in range(3)]
    split = open_trained(directory, tmp_path / "cache", channels=channels)
    for index, image in enumerate(pictures):
        np.testing.assert_array_equal(split[index], image)


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(
        UserError,
        match=r"--data_dir=.*nowhere: no such directory; make it with python -m data_prep.folders",
    ):
        open_source(tmp_path / "nowhere")
    with pytest.raises(
        UserError, match=r"not a complete data set \(dataset_info.json is missing\)"
    ):
        open_source(tmp_path)
    write_foreign(tmp_path / "foreign", tfds.features.Image(shape=(None, None, 3)), name="photo")
    with pytest.raises(UserError, match="its examples have no 'image' feature"):
        open_source(tmp_path / "foreign")
    (tmp_path / "dataset_info.json").write_text("{")
    with pytest.raises(UserError, match="not readable as a TFDS data set"):
        open_source(tmp_path)


def test_fingerprint_tells_contents_apart(data, tmp_path):
    manifest = json.loads((data / "manifest.json").read_text())
    assert open_source(data).fingerprint == manifest["fingerprint"]
    write_foreign(
        tmp_path / "foreign", tfds.features.Image(shape=(None, None, 3), encoding_format="png")
    )
    before = open_source(tmp_path / "foreign").fingerprint
    assert open_source(tmp_path / "foreign").fingerprint == before
    with open(next((tmp_path / "foreign").glob("*.tfrecord*")), "ab") as stream:
        stream.write(b"x")
    assert open_source(tmp_path / "foreign").fingerprint != before
