"""Label scores with known answers: protocols by hand, a perfect translator, swapped classes;
published rows.
"""

import dataclasses

import numpy as np
import pytest

from tests.street_set import street_set
from tests.test_confusion import random_maps
from tfcyclegan.config import Size
from tfcyclegan.data import labels
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation import scores_page, scoring
from tfcyclegan.measures import label_maps, paired
from tfcyclegan.measures.confusion import class_iou, confusion_matrix
from tfcyclegan.measures.evaluation_set import OWN
from tfcyclegan.measures.label_maps import CEILING, MATCHED, RAW, SHUFFLED

PROTOCOLS = [f"Labels: {name}" for name in label_maps.PROTOCOLS]
ROAD, CAR, SKY = (labels.NAMES.index(name) for name in ("road", "car", "sky"))


def test_protocols():
    """Two classes side by side, enlarged to double: nearest is exact, bicubic puts pole and bus
    between car and terrain.
    """
    picture = labels.PALETTE[np.array([[13, 13, 9, 9]] * 4)]
    expected = np.array([[13, 13, 13, 13, 9, 9, 9, 9]] * 8)
    size = Size(8, 8)
    assert (label_maps.classify_then_resize(picture, size, labels.CITYSCAPES) == expected).all()
    blended = label_maps.resize_then_classify(picture, size, labels.CITYSCAPES)
    assert (
        set(blended[:, 0]) == {13}
        and set(blended[:, -1]) == {9}
        and set(blended.ravel()) - {9, 13} == {5, 15}
    )
    assert (
        label_maps.resize_then_classify(picture, Size(4, 4), labels.CITYSCAPES)
        == labels.nearest_class(picture)
    ).all()


def test_ceiling():
    """At the truth's own size the ceiling is 1; at half of it blocks of 4 survive the nearest way
    and edges suffer the bicubic one.
    """
    ids = random_maps(4, 1, 64)[0]
    train_ids = labels.to_train_ids(ids)
    scores = {
        (name, side): class_iou(confusion_matrix(prediction, train_ids, classes=19))
        for side in (64, 32, 16, 8)
        for name, prediction in label_maps.ceiling(ids, Size(side, side), labels.CITYSCAPES).items()
    }
    for name in label_maps.PROTOCOLS:
        assert scores[name, 64] == 1
        assert scores[name, 8] < scores[name, 16]
    assert scores["classify, then resize", 16] == 1
    assert scores["resize, then classify", 16] < scores["resize, then classify", 32] < 1


def test_shuffled_labels():
    """A permutation that leaves no frame its own."""
    for count in (2, 3, 10):
        order = label_maps.other_frames(count, seed=3)
        assert sorted(order) == list(range(count)) and (order != np.arange(count)).all()
    with pytest.raises(UserError, match="at least 2 frames"):
        label_maps.other_frames(1, seed=0)


@pytest.fixture(scope="module")
def perfect():
    return street_set(lambda _, picture, true: true, to_label_maps=True, count=6)


def test_a_picture_without_labels_is_in_no_score_by_class(perfect):
    """But in the others: its truth is known."""
    ids = dict(list(perfect.ids.items())[:-1])
    scored = dataclasses.replace(perfect, ids=ids)
    truth, by_class = paired.table(scored), paired.by_class(scored)
    assert truth.rows[OWN]["Lab error"].pictures == 6
    assert truth.rows[OWN]["class colour"].pictures == 5
    assert max(row["L1"].pictures for row in by_class.rows.values()) == 5
    assert label_maps.tables(scored)[0].rows[OWN]["pixel accuracy"].pictures == 5
    assert set(scores_page.choose(scored).values) <= set(ids)


def test_the_verdict_names_what_was_compared(perfect):
    """One labelled picture has no other one whose labels would be a control."""
    scored = dataclasses.replace(perfect, ids=dict(list(perfect.ids.items())[:1]))
    found = label_maps.tables(scored)[0]
    assert SHUFFLED in found.to_beat and SHUFFLED not in found.rows
    reached, told = scoring._verdict("here", [found])
    assert reached and "(constant colour)" in told
    unknown = dataclasses.replace(found, rows={OWN: {}, "constant colour": {}})
    assert scoring._verdict("here", [unknown]) == (
        False,
        "here: nothing could be compared with controls.",
    )


def swapped(truth: np.ndarray) -> np.ndarray:
    """Road in the colour of cars, cars in that of the sky, the sky in that of roads."""
    seen = labels.nearest_class(truth)
    drawn = np.arange(labels.COUNT)
    drawn[[ROAD, CAR, SKY]] = [CAR, SKY, ROAD]
    return labels.PALETTE[drawn[seen]]


def test_a_perfect_translator_scores_the_ceiling(perfect):
    tables = label_maps.tables(perfect)
    assert [table.title for table in tables] == [
        *PROTOCOLS,
        "Labels by class: classify, then resize",
    ]
    for table in tables[:2]:
        assert table.rows[OWN] == table.rows[CEILING]
        assert table.rows[OWN]["pixel accuracy"].value == 1, (
            "no resizing here, so the protocol costs nothing"
        )
        assert (
            table.rows[SHUFFLED]["pixel accuracy"].value < 0.9
            and table.rows["constant colour"][RAW].value < 0.2
        )
        assert not [row for row in table.rows if row.startswith("published")]
        assert table.lost(OWN) == []
    by_class = tables[2].rows
    assert all(values[OWN].value == pytest.approx(1) for values in by_class.values())
    assert all(
        values["share"].low <= values["share"].value <= values["share"].high
        for values in by_class.values()
    )
    assert sum(values["share"].value for values in by_class.values()) == pytest.approx(1)
    assert np.trace(tables[0].confusion) == tables[0].confusion.sum() > 0


def test_swapped_classes_are_caught_by_matching():
    scored = street_set(lambda _, picture, true: swapped(true), to_label_maps=True, count=6)
    row = label_maps.tables(scored)[0].rows[OWN]
    assert (
        row[MATCHED].value > row[RAW].value + 0.1
        and row[RAW].low <= row[RAW].value <= row[RAW].high < row[MATCHED].low
    )
    shown = labels.COUNT * row[MATCHED].value
    assert shown == pytest.approx(round(shown)), "every class that is there is whole again"


def test_no_labels_is_a_reason(perfect):
    reason = label_maps.tables(dataclasses.replace(perfect, ids={}))
    assert "the test pictures of neither domain have labels" in reason and "\n" not in reason
    assert label_maps.tables(dataclasses.replace(perfect, target_is_label_maps=False)) == ""
    reason = label_maps.tables(dataclasses.replace(perfect, ids={}, classes=None))
    assert reason == (
        "label scores: the label maps have no class table; prepare them again with "
        "data_prep.folders --classes=FILE.csv"
    )


def test_gray_translations_cannot_tell_colours_apart(perfect):
    gray = {
        name: {key: picture[..., :1] for key, picture in of_set.items()}
        for name, of_set in perfect.sets.items()
    }
    reason = label_maps.tables(dataclasses.replace(perfect, sets=gray))
    assert reason == (
        "label scores: the translations are gray but the class colours are not; train with "
        "--channels_a=3 or --channels_b=3"
    )


def test_published_rows(perfect):
    assert label_maps.PUBLISHED["CycleGAN, paper"] == (0.58, 0.22, 0.16)
    table = label_maps.tables(dataclasses.replace(perfect, is_cityscapes=True))[0]
    row = table.rows["published: pix2pix (paired, upper bound)"]
    assert [row[column.name].value for column in table.columns[:3]] == [0.85, 0.40, 0.32]
    assert row[RAW].pictures == 0 and len(row) == 3
