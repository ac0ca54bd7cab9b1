"""Distances of value histograms, by hand and beside SciPy's."""

import numpy as np
import pytest
from scipy import stats

from tfcyclegan.data.values import Values
from tfcyclegan.measures.evaluation_set import FLOOR, OWN
from tfcyclegan.measures.measured_set import MeasuredSet
from tfcyclegan.measures.value_distances import BINS, counts, distances, tables

VALUES = Values("float32", (0, -10), (1024, 10), units="K")


def test_they_are_scipy_s_within_a_step():
    generator = np.random.default_rng(1)
    one = np.stack([generator.uniform(0, 1024, (40, 40)), generator.normal(0, 2, (40, 40))], -1)
    other = np.stack([generator.uniform(200, 900, (30, 50)), generator.normal(1, 3, (30, 50))], -1)
    one[:4] = np.nan
    found = distances(counts(one, VALUES), counts(other, VALUES), VALUES)
    known = one[4:].reshape(-1, 2), np.clip(other, *np.transpose([VALUES.low, VALUES.high]).T)
    for channel, step in enumerate((1, 20 / BINS)):
        expected = stats.wasserstein_distance(
            known[0][:, channel], known[1].reshape(-1, 2)[:, channel]
        )
        assert found[channel] == pytest.approx(expected, abs=step)


def test_values_are_counted_once_and_beyond_the_range_at_its_ends():
    array = np.float32([[[-5, 10], [1023.5, -10], [4000, np.nan]]])
    found = counts(array, VALUES)
    assert found.sum(axis=1).tolist() == [3, 2]
    assert found[0, 0] == 1 and found[0, -1] == 2 and found[1, 0] == found[1, -1] == 1


def test_table_has_controls_a_floor_and_channels():
    real = np.full((4, 4, 2), (100, 0), np.float32)
    measured = MeasuredSet(
        VALUES,
        {OWN: {"x": real + np.float32([300, 0])}, "identity": {"x": real}},
        held_out={"y": real},
        target_train=[real],
    )
    whole, by_channel = tables(measured)
    assert whole.rows[OWN]["distance"].value == pytest.approx((300 + 0) / 2)
    assert whole.rows["identity"]["distance"].value == whole.rows[FLOOR]["distance"].value == 0
    assert by_channel.rows["channel 1"][OWN].value == 300
    assert "in K; the range is 0 to 1024, -10 to 10 (one per channel)" in whole.note
