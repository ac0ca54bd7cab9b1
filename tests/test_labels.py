"""The class table: against cityscapesscripts, and known answers of the conversions."""

import dataclasses

import numpy as np
import pytest

from tfcyclegan.data import labels


def test_the_table_is_that_of_cityscapesscripts():
    theirs = pytest.importorskip("cityscapesscripts.helpers.labels").labels
    assert len(labels.CLASSES) == len(theirs) == 35
    for ours, other in zip(labels.CLASSES, theirs, strict=True):
        # the license plate's train id is -1 there, which is 255 as 8 bit
        assert (ours.name, ours.id, ours.train_id, ours.color) == (
            other.name,
            other.id,
            other.trainId % 256,
            other.color,
        )


def test_train_ids_are_in_the_published_order():
    assert labels.COUNT == 19
    assert [entry.train_id for entry in labels.TRAIN_CLASSES] == list(range(19))
    assert labels.NAMES[:3] == ("road", "sidewalk", "building") and labels.NAMES[18] == "bicycle"
    assert labels.PALETTE[13].tolist() == [0, 0, 142]


def test_ids_to_train_ids_by_hand():
    ids = np.array([[7, 8, 33], [0, 34, 255]], np.uint8)
    np.testing.assert_array_equal(labels.to_train_ids(ids), [[0, 1, 18], [255, 255, 255]])


def test_train_ids_and_back():
    train_ids = np.array([*range(19), labels.IGNORED], np.uint8)
    np.testing.assert_array_equal(labels.to_train_ids(labels.to_ids(train_ids)), train_ids)
    assert labels.to_ids(np.uint8(labels.IGNORED)) == 0


def test_colorize_by_hand():
    ids = np.array([[7, 26], [labels.LICENSE_PLATE, 200]], np.uint8)
    np.testing.assert_array_equal(
        labels.colorize(ids), [[[128, 64, 128], [0, 0, 142]], [[0, 0, 142], [0, 0, 0]]]
    )


def test_the_palette_finds_itself():
    np.testing.assert_array_equal(labels.nearest_class(labels.PALETTE), np.arange(19))
    ids = np.array([entry.id for entry in labels.TRAIN_CLASSES], np.uint8)
    np.testing.assert_array_equal(
        labels.nearest_class(labels.colorize(ids)), labels.to_train_ids(ids)
    )


@pytest.mark.parametrize(
    "color, name",
    [
        ((130, 60, 125), "road"),
        ((0, 0, 0), "truck"),  # 70 away; bus is 117, train 128, car 142
        ((255, 255, 255), "terrain"),  # 103, 4, 103: 146 away; sidewalk is 221
        ((0, 69, 100), "bus"),  # 9 from bus, 11 from train
        ((0, 70, 100), "bus"),  # 10 from both: the lower train id
        ((0, 71, 100), "train"),
    ],
)
def test_nearest_class_by_hand(color, name):
    assert labels.NAMES[labels.nearest_class(np.array(color, np.uint8))] == name


def test_nearest_class_against_all_distances():
    colors = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    distances = np.linalg.norm(colors[:, :, None].astype(float) - labels.PALETTE, axis=-1)
    np.testing.assert_array_equal(labels.nearest_class(colors), distances.argmin(axis=-1))
    assert labels.nearest_class(colors).dtype == np.uint8


def test_nearest_class_remembers_colours_for_its_own_palette_only():
    colors = np.random.default_rng(1).integers(0, 256, (40, 3), dtype=np.uint8)
    first = labels.nearest_class(colors[:30])
    backwards = labels.ClassTable(
        tuple(
            dataclasses.replace(entry, train_id=18 - entry.train_id)
            for entry in labels.CITYSCAPES.train_classes
        )
    )
    np.testing.assert_array_equal(18 - backwards.nearest_class(colors[:30]), first)
    again = labels.nearest_class(colors)
    np.testing.assert_array_equal(again[:30], first)
    distances = np.linalg.norm(colors[:, None].astype(float) - labels.PALETTE, axis=-1)
    np.testing.assert_array_equal(again, distances.argmin(axis=-1))


def test_nearest_class_of_gray_pictures():
    gray = np.arange(256, dtype=np.uint8)[:, np.newaxis]
    np.testing.assert_array_equal(
        labels.nearest_class(gray), labels.nearest_class(np.repeat(gray, 3, axis=1))
    )


def test_the_table_as_json():
    assert labels.table()[7] == {"name": "road", "id": 7, "train_id": 0, "color": [128, 64, 128]}
