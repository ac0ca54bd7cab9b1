"""The discriminator's course, by hand."""

import dataclasses

import pytest

from tests.street_set import street_set
from tfcyclegan.measures.discriminator import discriminator
from tfcyclegan.measures.findings import BAD, OK, SUSPICIOUS, Finding


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
def test_discriminator(accuracy, distances, verdict):
    scored = street_set(lambda _, picture, true: true, count=1)
    finding = discriminator(dataclasses.replace(scored, history=history(accuracy, distances)))
    assert isinstance(finding, Finding) and finding.verdict == verdict
