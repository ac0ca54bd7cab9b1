"""Detectors on the synthetic street: clean pictures pass, each defect put on them is found;
histories by hand.

The limits were set on satellite tiles. test_evaluation_failures.py has failures that came from
training.
"""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage
from tfcyclegan.evaluation.detectors import contents, surroundings
from tfcyclegan.evaluation.limits import BAD, OK, SUSPICIOUS
from tfcyclegan.evaluation.material import OWN

from tests.street_material import street_material
from tfcyclegan.evaluation import cycles, detectors, strata


@pytest.fixture(scope="module")
def clean():
    """Translations that are the truth with some noise of their own."""
    generator = np.random.default_rng(5)
    return street_material(
        lambda _, picture, true: np.clip(true + generator.normal(0, 1, true.shape), 0, 255).astype(
            np.uint8
        ),
        count=16,
    )


def found(material) -> dict[str, detectors.Finding]:
    without_networks = dataclasses.replace(material, cycle="no networks")
    findings, left_out = detectors.findings(without_networks, strata.luminance(material))
    reasons = (
        "changed objects: needs a judge",
        "blur of unseen pictures: needs both",
        "discriminator: no history",
    )
    assert len(left_out) == 3 and all(
        f"detector {reason}" in left for reason, left in zip(reasons, left_out, strict=True)
    )
    return {finding.name: finding for finding in findings}


def with_defect(material, change, names=()):
    """All translations changed, or those of some names."""
    own = {
        name: np.clip(np.rint(change(picture.astype(float))), 0, 255).astype(np.uint8)
        if not names or name in names
        else picture
        for name, picture in material.sets[OWN].items()
    }
    return dataclasses.replace(material, sets=material.sets | {OWN: own})


def pattern(period: int):
    def add(picture: np.ndarray) -> np.ndarray:
        bright = np.zeros(picture.shape[:2])
        bright[::period, ::period] = 8 * period
        return picture + bright[..., np.newaxis]

    return add


def test_clean_pictures_pass(clean):
    for finding in found(clean).values():
        assert finding.verdict == OK, finding
        assert finding.measures and finding.helps
        assert np.isnan(finding.low) or finding.low <= finding.high


DEFECTS = {
    "checkerboard, stride 2": pattern(2),
    "checkerboard, stride 4": pattern(4),
    "artefacts, blur": lambda picture: ndimage.gaussian_filter(picture, (1, 1, 0)),
    "colour shift, contrast shift": lambda picture: picture / 2 + 127.5,  # [-1, 1] taken for [0, 1]
    "inversion": lambda picture: 255 - picture,
    "patches in flat areas": lambda picture: np.where(
        np.random.default_rng(1).random(picture.shape[:2])[..., np.newaxis] < 0.06, 0, picture
    ),
}


@pytest.mark.parametrize("names", DEFECTS)
def test_a_defect_is_found(clean, names):
    findings = found(with_defect(clean, DEFECTS[names]))
    for name in names.split(", ") if "checkerboard" not in names else [names]:
        expected = (
            (SUSPICIOUS, BAD) if name in ("patches in flat areas", "contrast shift") else (BAD,)
        )
        assert findings[name].verdict in expected, findings[name]
        assert len(findings[name].worst) == 3


def test_the_worst_picture_is_named(clean):
    worst = list(clean.inputs)[4]
    findings = found(with_defect(clean, lambda picture: 255 - picture, [worst]))
    assert findings["inversion"].worst[0] == worst and findings["inversion"].verdict == OK, (
        "one in 16"
    )


def test_mode_collapse_is_found(clean):
    first = next(iter(clean.sets[OWN].values()))
    finding = found(with_defect(clean, lambda picture: first + 0.02 * picture))["mode collapse"]
    assert finding.verdict == BAD and finding.value < 0.2


def test_inversion_without_a_truth_is_only_suspicious(clean):
    blind = dataclasses.replace(
        with_defect(clean, lambda picture: 255 - picture), truths={}, held_out={}
    )
    finding = found(blind)["inversion"]
    assert finding.verdict == SUSPICIOUS and "cannot be told" in finding.note


def test_night_is_flagged_by_name(clean):
    dark = list(clean.inputs)[:6]
    inputs = clean.inputs | {name: clean.inputs[name] // 10 for name in dark}
    finding = found(dataclasses.replace(clean, inputs=inputs))["night, dusk and glare"]
    assert (
        finding.verdict == BAD
        and finding.value >= 6 / 16
        and all(name in finding.note for name in dark)
    )


def test_lost_content_is_found(clean):
    """A generator without a cycle loss may draw any street: here always the same one, whatever
    comes in.
    """
    constant = np.zeros((1, 64, 128, 3), np.float32)
    lost = dataclasses.replace(clean, cycle=(lambda batch: constant, np.negative))
    assert contents.lost_content(cycles.table(lost)).verdict == BAD
    assert contents.lost_content(cycles.table(clean)).verdict == OK


def history(accuracy: float, distances=()) -> list[dict]:
    lines = [{"step": step, "accuracy_disc_b": 0.7 if step < 4 else accuracy} for step in range(16)]
    return [
        line | ({"appearance_ab": value} if value else {})
        for line, value in zip(lines, [*distances, *[None] * 16], strict=False)
    ]


@pytest.mark.parametrize(
    ("accuracy", "distances", "verdict"),
    [
        (0.75, (), OK),
        (0.92, (), SUSPICIOUS),
        (0.99, (), BAD),
        (0.5, (), SUSPICIOUS),
        (0.5, (0.9, 0.6, 0.4, 0.3), SUSPICIOUS),
        (0.5, (0.9, 0.9, 0.9, 0.9), BAD),
    ],
)
def test_discriminator(clean, accuracy, distances, verdict):
    finding = surroundings.discriminator(clean, history(accuracy, distances))
    assert isinstance(finding, detectors.Finding) and finding.verdict == verdict
