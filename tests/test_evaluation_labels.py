"""Label scores with known answers: a perfect translator, swapped classes, a perfect judge;
published rows on the real data alone.
"""

import dataclasses
import json

import numpy as np
import pytest
from tfcyclegan.evaluation.label_scores import CEILING, MATCHED, RAW, SHUFFLED
from tfcyclegan.evaluation.material import OWN

from tests.street_material import street_material
from tfcyclegan.data import labels
from tfcyclegan.data.domains import Domains
from tfcyclegan.data.source import DataSource
from tfcyclegan.evaluation import judge, label_scores, published
from tfcyclegan.measures import label_protocols

PROTOCOLS = [f"Labels: {name}" for name in label_protocols.PROTOCOLS]
ROAD, CAR, SKY = (labels.NAMES.index(name) for name in ("road", "car", "sky"))


@pytest.fixture(scope="module")
def perfect():
    return street_material(lambda _, picture, true: true, to_label_maps=True, count=6)


def swapped(truth: np.ndarray) -> np.ndarray:
    """Road in the colour of cars, cars in that of the sky, the sky in that of roads."""
    seen = labels.nearest_class(truth)
    drawn = np.arange(labels.COUNT)
    drawn[[ROAD, CAR, SKY]] = [CAR, SKY, ROAD]
    return labels.PALETTE[drawn[seen]]


def test_a_perfect_translator_scores_the_ceiling(perfect):
    found = label_scores.scores(perfect, {})
    assert [table.title for table in found.tables] == [
        *PROTOCOLS,
        "Labels by class: classify, then resize",
    ]
    for table in found.tables[:2]:
        assert table.rows[OWN] == table.rows[CEILING]
        assert table.rows[OWN]["pixel accuracy"].value == 1, (
            "no resizing here, so the protocol costs nothing"
        )
        assert (
            table.rows[SHUFFLED]["pixel accuracy"].value < 0.9
            and table.rows["constant colour"][RAW].value < 0.2
        )
        assert not [row for row in table.rows if row.startswith("published")]
        assert table.lost(OWN, (SHUFFLED, "constant colour")) == []
    by_class = found.tables[2].rows
    assert all(values[OWN].value == pytest.approx(1) for values in by_class.values())
    assert all(
        values["share"].low <= values["share"].value <= values["share"].high
        for values in by_class.values()
    )
    assert sum(values["share"].value for values in by_class.values()) == pytest.approx(1)
    assert np.trace(found.confusions[OWN].counts) == found.confusions[OWN].counts.sum() > 0


def test_swapped_classes_are_caught_by_matching():
    material = street_material(lambda _, picture, true: swapped(true), to_label_maps=True, count=6)
    row = label_scores.scores(material, {}).tables[0].rows[OWN]
    assert (
        row[MATCHED].value > row[RAW].value + 0.1
        and row[RAW].low <= row[RAW].value <= row[RAW].high < row[MATCHED].low
    )
    shown = labels.COUNT * row[MATCHED].value
    assert shown == pytest.approx(round(shown)), "every class that is there is whole again"


def test_no_labels_is_a_reason(perfect):
    reason = label_scores.scores(dataclasses.replace(perfect, ids={}), {})
    assert "neither domain's test pictures have labels" in reason and "\n" not in reason
    assert label_scores.scores(dataclasses.replace(perfect, target_is_label_maps=False), {}) == ""
    reason = label_scores.scores(dataclasses.replace(perfect, ids={}, classes=None), {})
    assert reason == (
        "label scores: the label maps have no table of classes; prepare them again with "
        "data_prep.folders --classes=FILE.csv"
    )


def test_gray_translations_cannot_tell_colours_apart(perfect):
    gray = {
        name: {key: picture[..., :1] for key, picture in of_set.items()}
        for name, of_set in perfect.sets.items()
    }
    reason = label_scores.scores(dataclasses.replace(perfect, sets=gray), {})
    assert reason == (
        "label scores: the translations are gray, the classes' colours are not; train with "
        "--channels_a=3 or --channels_b=3"
    )


class PaletteJudge:
    """Sees a class in each pixel's colour; of the photo-like street that is mostly wrong, of label
    maps it is right.
    """

    name = "nearest colour"

    def predict(self, pictures, /):
        return [labels.nearest_class(picture)[::2, ::2] for picture in pictures]


def test_the_judge_is_scored_on_real_photos_too():
    photos = street_material(lambda name, picture, true: picture, count=6)
    found = judge.scores(photos, PaletteJudge(), published.LABELS_TO_PHOTO)
    rows = found.tables[0].rows
    assert found.tables[0].title == "Labels by the judge: nearest colour"
    assert rows[OWN] == rows["identity"] and judge.CEILING in rows and SHUFFLED in rows
    truth = {name: labels.to_train_ids(ids) for name, ids in photos.held_out_ids.items()}
    by_hand = [
        (
            np.repeat(np.repeat(labels.nearest_class(photos.held_out[name])[::2, ::2], 2, 0), 2, 1)
            == ids
        )[ids != labels.IGNORED]
        for name, ids in truth.items()
    ]
    assert rows[judge.CEILING]["pixel accuracy"].value == pytest.approx(
        np.concatenate(by_hand).mean()
    )
    assert rows["published: CycleGAN, paper, judged by FCN-8s"][RAW].value == 0.11
    assert "labels" in judge.scores(dataclasses.replace(photos, ids={}), PaletteJudge(), {})
    assert (
        judge.scores(dataclasses.replace(photos, target_is_label_maps=True), PaletteJudge(), {})
        == ""
    )


def source(directory, name: str, counts: dict[str, int], **settings) -> DataSource:
    directory.mkdir()
    made = {
        "fingerprint": "x",
        "request": {
            "settings": {"content": "photos_and_labels", "sample": 0, "test_sample": 0, **settings}
        },
    }
    (directory / "manifest.json").write_text(json.dumps(made))
    fields = {field.name: None for field in dataclasses.fields(DataSource)}
    return DataSource(**fields | {"directory": directory, "name": name, "counts": counts})


def test_published_rows_are_for_the_real_cityscapes_alone(tmp_path):
    whole = {"train": 2975, "val": 500}
    real = source(tmp_path / "real", "cityscapes", whole)
    assert published.are_cityscapes(Domains(real, real))
    for index, other in enumerate(
        (
            source(tmp_path / "toy", "cityscapes", {"train": 800, "val": 100}),
            source(tmp_path / "name", "toy_cityscapes", whole),
            source(tmp_path / "sample", "cityscapes", whole, sample=2975),
        )
    ):
        assert not published.are_cityscapes(Domains(real, other)), index
    (tmp_path / "real" / "manifest.json").unlink()
    assert not published.are_cityscapes(Domains(real, real))
    assert published.PHOTO_TO_LABELS["CycleGAN, paper"] == (0.58, 0.22, 0.16)
    table = label_scores.scores(
        street_material(lambda _, picture, true: true, to_label_maps=True, count=2),
        published.PHOTO_TO_LABELS,
    ).tables[0]
    row = table.rows["published: pix2pix (paired, upper bound)"]
    assert [row[name].value for name in published.COLUMNS] == [0.85, 0.40, 0.32] and row[
        RAW
    ].pictures == 0
