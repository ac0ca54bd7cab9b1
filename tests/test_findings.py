"""All detectors on the synthetic street: clean pictures pass, each defect put on them is found.

The limits were set on satellite tiles. test_failures_of_training.py has failures that came from
training.
"""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from tests import street_set
from tests.defects import pattern
from tests.street_set import findings
from tfcyclegan.measures.evaluation_set import OWN
from tfcyclegan.measures.findings import BAD, OK, SUSPICIOUS, Finding


@pytest.fixture(scope="module")
def clean():
    """Translations that are the truth with some noise of their own."""
    generator = np.random.default_rng(5)
    return street_set.street_set(
        lambda _, picture, true: np.clip(true + generator.normal(0, 1, true.shape), 0, 255).astype(
            np.uint8
        ),
        count=16,
    )


def found(scored) -> dict[str, Finding]:
    said, left_out = findings(dataclasses.replace(scored, cycle="no networks"))
    reasons = (
        "changed objects: needs a judge",
        "blur of unseen pictures: needs both",
        "discriminator: the run's history has 0 lines",
    )
    assert len(left_out) == 3 and all(
        f"detector {reason}" in left for reason, left in zip(reasons, left_out, strict=True)
    )
    return said


def with_defect(scored, change, names=()):
    """All translations changed, or those of some names."""
    own = {
        name: np.clip(np.rint(change(picture.astype(float))), 0, 255).astype(np.uint8)
        if not names or name in names
        else picture
        for name, picture in scored.sets[OWN].items()
    }
    return dataclasses.replace(scored, sets=scored.sets | {OWN: own})


def test_clean_pictures_pass(clean):
    for finding in found(clean).values():
        assert finding.verdict == OK, finding
        assert finding.measures and finding.helps
        assert np.isnan(finding.low) or finding.low <= finding.high


DEFECTS = {
    "checkerboard, stride 2": pattern(2, 16),
    "checkerboard, stride 4": pattern(4, 32),
    "artefacts, blur": lambda picture: ndimage.gaussian_filter(picture, (1, 1, 0)),
    "colour shift, contrast shift": lambda picture: picture / 2 + 127.5,  # [-1, 1] taken for [0, 1]
    "inversion": lambda picture: 255 - picture,
    "patches in flat areas": lambda picture: np.where(
        np.random.default_rng(1).random(picture.shape[:2])[..., np.newaxis] < 0.06, 0, picture
    ),
}


@pytest.mark.parametrize("names", DEFECTS)
def test_a_defect_is_found(clean, names):
    said = found(with_defect(clean, DEFECTS[names]))
    for name in names.split(", ") if "checkerboard" not in names else [names]:
        expected = (
            (SUSPICIOUS, BAD) if name in ("patches in flat areas", "contrast shift") else (BAD,)
        )
        assert said[name].verdict in expected, said[name]
        assert len(said[name].worst) == 3


def test_the_worst_picture_is_named(clean):
    worst = list(clean.inputs)[4]
    said = found(with_defect(clean, lambda picture: 255 - picture, [worst]))
    assert said["inversion"].worst[0] == worst and said["inversion"].verdict == OK, "one in 16"


def test_mode_collapse_is_found(clean):
    first = next(iter(clean.sets[OWN].values()))
    finding = found(with_defect(clean, lambda picture: first + 0.02 * picture))["mode collapse"]
    assert finding.verdict == BAD and finding.value < 0.2
