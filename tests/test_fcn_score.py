"""The FCN-score by a judge with known answers."""

import dataclasses

import numpy as np
import pytest

from tests.street_set import street_set
from tfcyclegan.data import labels
from tfcyclegan.measures import fcn_score
from tfcyclegan.measures.evaluation_set import OWN, Tools
from tfcyclegan.measures.label_maps import RAW, SHUFFLED


class PaletteJudge:
    """Sees a class in each pixel's colour; of the photo-like street that is mostly wrong, of label
    maps it is right.
    """

    name = "nearest colour"

    def predict(self, pictures, /):
        return [labels.nearest_class(picture)[::2, ::2] for picture in pictures]


@pytest.fixture(scope="module")
def photos():
    made = street_set(lambda name, picture, true: picture, count=6)
    return dataclasses.replace(made, tools=Tools(judges={"ab": PaletteJudge()}))


def test_labels_of_guessed_partners_give_no_verdict(photos):
    unsure = dataclasses.replace(photos.partners, sure=False)
    facts = {**photos.facts, "labels": "of the partners"}
    scored = dataclasses.replace(photos, partners=unsure, facts=facts)
    assert "guessed partners" in fcn_score.changed_objects(scored)
    assert not isinstance(fcn_score.changed_objects(photos), str)


def test_the_judge_is_scored_on_real_photos_too(photos):
    table = fcn_score.tables(dataclasses.replace(photos, is_cityscapes=True))[0]
    rows = table.rows
    assert table.title == "Labels by the judge: nearest colour"
    assert rows[OWN] == rows["identity"] and fcn_score.CEILING in rows and SHUFFLED in rows
    truth = {name: labels.to_train_ids(ids) for name, ids in photos.held_out_ids.items()}
    by_hand = [
        (
            np.repeat(np.repeat(labels.nearest_class(photos.held_out[name])[::2, ::2], 2, 0), 2, 1)
            == ids
        )[ids != labels.IGNORED]
        for name, ids in truth.items()
    ]
    assert rows[fcn_score.CEILING]["pixel accuracy"].value == pytest.approx(
        np.concatenate(by_hand).mean()
    )
    assert rows["published: CycleGAN, paper, judged by FCN-8s"][RAW].value == 0.11
    assert "labels" in fcn_score.tables(dataclasses.replace(photos, ids={}))
    assert fcn_score.tables(dataclasses.replace(photos, target_is_label_maps=True)) == ""
