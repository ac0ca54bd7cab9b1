"""Inversion on real tiles; without a truth it is but suspicious."""

import dataclasses

import numpy as np
import pytest

from tests.street_set import street_set
from tfcyclegan.measures.colour import inversion, lightness_correlation
from tfcyclegan.measures.findings import SUSPICIOUS


def test_inversion(satellite, maps):
    for picture in satellite:
        assert lightness_correlation(picture, picture) == pytest.approx(1)
        assert lightness_correlation(picture, 255 - picture) < -0.9
        assert lightness_correlation(picture, picture // 2 + 40) > 0.99
    assert lightness_correlation(satellite[0], np.full_like(satellite[0], 7)) == 0


def test_inversion_without_a_truth_is_only_suspicious():
    inverted = street_set(lambda _, picture, true: 255 - true, count=8)
    finding = inversion(dataclasses.replace(inverted, truths={}, held_out={}))
    assert finding.verdict == SUSPICIOUS and "an inversion may be correct" in finding.note
