"""The families on the synthetic street: intervals, distances of a stub network, cycle honesty,
luminance, reasons for what is left out.
"""

import dataclasses

import numpy as np
import pytest
from tfcyclegan.evaluation.distances import HALVES, Features
from tfcyclegan.evaluation.material import FLOOR, OWN
from tfcyclegan.measures.features import FeatureNetwork

from tests.street_material import street_material
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation import cycles, distances, examples, looks, strata, truths
from tfcyclegan.evaluation.scoring import open_tools
from tfcyclegan.measures import features as feature_networks
from tfcyclegan.measures.appearance import Appearance


@pytest.fixture(scope="module")
def truthful():
    """Translations that are other renderings of the truth would be perfect; these are the truths
    themselves, a little darker.
    """
    return street_material(lambda _, picture, true: (true * 0.9).astype(np.uint8))


@pytest.fixture(scope="module")
def stub() -> Features:
    """Means of 4x4 fields: known features without weights."""
    seen = []

    def embed(batch: np.ndarray) -> np.ndarray:
        seen.extend(batch)
        return (
            batch.reshape(len(batch), 4, 4, 4, 4, 3).mean(axis=(2, 4)).reshape(len(batch), -1) / 255
        )

    features = Features(FeatureNetwork("stub-48", 48, "0" * 64, 16, embed))
    features.seen = seen
    return features


def test_look_has_intervals(truthful):
    look = Appearance(truthful.target_train)
    rows = looks.table(truthful, look).rows
    for row in (OWN, "identity", FLOOR):
        for value in rows[row].values():
            assert 0 <= value.low <= value.value <= value.high and value.pictures == 24
    assert rows[FLOOR]["colour"].high < rows["identity"]["colour"].low
    assert rows[OWN]["colour"].value == look.colour_distance(list(truthful.sets[OWN].values()))
    few = looks.row(look, list(truthful.held_out.values())[:3])
    assert np.isnan(few["colour"].low) and few["colour"].value > 0


def test_spread_of_the_look_is_that_of_new_draws(truthful):
    """The half width of the interval is about what sets of other scenes scatter by."""
    look = Appearance(truthful.target_train[:16])
    inputs = list(truthful.inputs.values()) + truthful.source_train
    drawn = [look.colour_distance(inputs[start : start + 11]) for start in range(0, 55, 11)]
    width = [
        (value := looks.row(look, inputs[start : start + 11])["colour"]).high - value.low
        for start in range(0, 55, 11)
    ]
    assert 0.4 < np.mean(width) / (3.92 * np.std(drawn, ddof=1)) < 2.5


def test_distances(truthful, stub):
    table = distances.table(truthful, stub)
    assert (
        table.title == "Distribution: stub-48"
        and "d = 48" in table.note
        and "n = 24" in table.note
        and "published" in table.note
    )
    assert [column.name for column in table.columns] == ["KID x 1000"], (
        "24 pictures are too few for FID"
    )
    kid = {row: values["KID x 1000"] for row, values in table.rows.items()}
    for floor in (FLOOR, HALVES):
        assert kid[floor].low < 0 < kid[floor].high
    assert kid["identity"].low > kid[FLOOR].high
    assert len(stub.seen) == len({picture.tobytes() for picture in stub.seen}), (
        "each picture is looked at once"
    )
    few = dataclasses.replace(truthful, inputs=dict(list(truthful.inputs.items())[:5]))
    assert (
        distances.table(few, stub)
        == "KID and FID: 5 translations and 40 real pictures; they need 16 on each side"
    )


def test_fid_needs_more(truthful, stub, monkeypatch):
    monkeypatch.setattr(distances, "LEAST_FOR_FID", 20)
    rows = distances.table(truthful, stub).rows
    assert (
        rows[FLOOR]["FID"].value < rows["identity"]["FID"].value
        and rows[HALVES]["FID"].pictures == 20
    )
    assert all(row["FID"].low <= row["FID"].value <= row["FID"].high for row in rows.values())


def test_weights_that_cannot_be_had_are_a_reason(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise UserError("weights of x: cannot be downloaded (no route); go online")

    monkeypatch.setattr(distances, "feature_network", refuse)
    monkeypatch.setattr(feature_networks.weights, "published", refuse)
    tools = open_tools("alexnet", "", {})
    assert (
        tools.features == "KID and FID: weights of x: cannot be downloaded (no route); go online"
        and tools.lpips == "LPIPS: left out with KID and FID"
    )
    assert open_tools("none", "", {}).features == ""
    with pytest.raises(UserError):
        open_tools("inception", "missing.pth", {})


def test_truth_by_class(truthful):
    table = truths.by_class(truthful)
    assert {"road", "sky", "building"} <= table.rows.keys()
    road = table.rows["road"]
    assert road["L1"].value < road["L1, colour matching"].value and road["L1"].pictures <= 24
    assert truths.by_class(dataclasses.replace(truthful, ids={})) == ""
    columns = {column.name for column in truths.table(truthful, None).columns}
    assert "class colour" in columns and truths.LPIPS not in columns
    small = {name: picture[:8, :8] for name, picture in truthful.truths.items()}
    tiny = dataclasses.replace(
        truthful, truths=small, ids={}, sets=dict.fromkeys(truthful.sets, small)
    )
    assert truths.table(tiny, None).startswith("truth: picture of 8 x 8: SSIM needs")


def test_cycle_honesty(truthful):
    """Negation closes whatever is done to the fake; a way back that amplifies faint levels does
    not.
    """
    honest = cycles.table(truthful).rows
    assert honest[cycles.CLEAN][cycles.ERROR].value == 0
    ratio = honest["noise 8/255"][cycles.RATIO]
    assert ratio.value == pytest.approx(1, abs=0.1) and ratio.low < ratio.value < ratio.high
    assert honest[cycles.UNRELATED][cycles.ERROR].low < honest[cycles.UNRELATED][cycles.ERROR].value
    hidden = (
        lambda batch: batch * np.float32(2 / 127.5),
        lambda batch: np.clip(batch * np.float32(127.5 / 2), -1, 1),
    )
    rows = cycles.table(dataclasses.replace(truthful, cycle=hidden)).rows
    assert rows["noise 4/255"][cycles.ERROR].low > 5 * rows[cycles.CLEAN][cycles.ERROR].high
    assert (
        rows["noise 4/255"][cycles.ERROR].value > 0.5 * rows[cycles.UNRELATED][cycles.ERROR].value
    )
    assert cycles.table(dataclasses.replace(truthful, cycle="no generator")) == "no generator"


def test_luminance_strata_and_outliers(truthful, stub):
    names = list(truthful.inputs)
    night = truthful.inputs | {names[3]: truthful.inputs[names[3]] // 8}
    material = dataclasses.replace(truthful, inputs=night)
    light = strata.luminance(material)
    assert light.outside[names[3]] == "dark" and names[3] in light.strata["dark"]
    assert sorted(name for some in light.strata.values() for name in some) == sorted(names)
    table = strata.table(material, light, Appearance(material.target_train), stub)
    assert sum(row["pictures"].value for row in table.rows.values()) == len(names)
    assert {"colour", "Lab error", "SSIM", "lightness change"} <= {
        column.name for column in table.columns
    }


def test_examples_are_sorted_by_the_truth(truthful):
    worst = list(truthful.inputs)[5]
    own = truthful.sets[OWN] | {worst: np.zeros_like(truthful.truths[worst])}
    material = dataclasses.replace(truthful, sets=truthful.sets | {OWN: own})
    chosen = examples.choose(material, Appearance(material.target_train))
    assert chosen.names["worst"][0] == worst and {
        len(names) for names in chosen.names.values()
    } == {3}
    values = [chosen.values[chosen.names[kind][0]] for kind in examples.KINDS]
    assert values == sorted(values) and examples.heads(material) == [
        "input",
        "translation",
        "truth",
        "cycled",
    ]
    assert examples.strip(material, worst).startswith(b"\x89PNG")
