"""Scores by luminance, and inputs that training hardly saw."""

import dataclasses

import numpy as np
import pytest

from tests.defects import changed
from tests.street_set import street_set
from tfcyclegan.measures import luminance
from tfcyclegan.measures.findings import BAD


@pytest.fixture(scope="module")
def truthful():
    """Translations that are the truths themselves, a little darker."""
    return street_set(lambda _, picture, true: (true * 0.9).astype(np.uint8), count=16)


def test_night_and_luminance(satellite):
    values = [luminance.luminance(picture) for picture in satellite]
    known = tuple(np.quantile(values, (0.01, 0.99)))
    night = changed(satellite, lambda picture: picture / 6)
    assert {luminance.outside(luminance.luminance(picture), known) for picture in night} == {"dark"}
    assert {
        luminance.outside(luminance.luminance(picture), known)
        for picture in changed(satellite, lambda picture: picture * 0.3 + 178)
    } == {"bright"}
    assert (
        sum(bool(luminance.outside(luminance.luminance(picture), known)) for picture in satellite)
        <= 2
    ), "2 % of the training itself"
    assert luminance.luminance_shift(satellite[0], satellite[0]) == 0
    assert luminance.luminance_shift(
        np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    ) == pytest.approx(100, abs=1e-3)


def test_groups_and_outliers(truthful):
    names = list(truthful.inputs)
    night = truthful.inputs | {names[3]: truthful.inputs[names[3]] // 8}
    scored = dataclasses.replace(truthful, inputs=night)
    light = luminance.by_luminance(scored)
    assert light.outside[names[3]] == "dark" and names[3] in light.groups["dark"]
    assert sorted(name for some in light.groups.values() for name in some) == sorted(names)
    table = luminance.table(scored)
    assert sum(row["pictures"].value for row in table.rows.values()) == len(names)
    assert {"colour", "Lab error", "SSIM", "lightness change"} <= {
        column.name for column in table.columns
    }


def test_night_is_flagged_by_name(truthful):
    dark = list(truthful.inputs)[:6]
    inputs = truthful.inputs | {name: truthful.inputs[name] // 10 for name in dark}
    finding = luminance.outside_training(dataclasses.replace(truthful, inputs=inputs))
    assert (
        finding.verdict == BAD
        and finding.value >= 6 / 16
        and all(name in finding.note for name in dark)
    )
