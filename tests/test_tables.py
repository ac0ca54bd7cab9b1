"""Intervals against closed forms."""

import math

import numpy as np
import pytest
from scipy import stats

from tfcyclegan.measures import tables


def test_interval_of_mean_is_the_normal_one_for_many_pictures():
    values = np.random.default_rng(0).normal(3, 2, 400)
    interval = tables.interval_of_mean(np.append(values, np.nan), seed=1)
    half = stats.norm.ppf(0.975) * values.std() / 20
    assert interval.pictures == 400 and interval.value == pytest.approx(values.mean())
    assert (interval.low, interval.high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.03
    )
    assert (
        interval
        == tables.interval_of_mean(values, seed=1)
        != tables.interval_of_mean(values, seed=2)
    )
    for few in ([5.0], [np.inf, 1.0]):
        interval = tables.interval_of_mean(np.array(few), seed=0)
        assert interval.value == few[0] and math.isnan(interval.low) and math.isnan(interval.high)
    same = tables.interval_of_mean(np.full(6, 0.5), seed=0)
    assert (same.low, same.value, same.high) == (0.5, 0.5, 0.5)


def test_interval_of_ratio():
    """Of two independent means, by the delta method."""
    generator = np.random.default_rng(0)
    over, under = generator.normal(6, 1, 300), generator.normal(3, 0.5, 200)
    interval = tables.interval_of_ratio(over, under, seed=0)
    deviation = 2 * math.hypot(over.std() / 6 / math.sqrt(300), under.std() / 3 / math.sqrt(200))
    assert interval.value == pytest.approx(over.mean() / under.mean()) and interval.pictures == 300
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * deviation, rel=0.1)
    assert math.isnan(tables.interval_of_ratio(over[:1], under, seed=0).low)


def test_a_score_that_is_missing_is_not_lost():
    columns = [tables.Column("texture", decides=True), tables.Column("colour", decides=True)]
    table = tables.Table("Look", "", columns, to_beat=("identity",))
    table.rows = {
        "own": {"texture": tables.Interval(math.nan), "colour": tables.Interval(2.0)},
        "identity": {"texture": tables.Interval(math.nan), "colour": tables.Interval(1.0)},
    }
    assert table.lost("own") == ["colour (identity)"] and table.compared("own") == ["colour"]


@pytest.mark.filterwarnings("error")
def test_a_ratio_to_pictures_of_which_most_are_0_has_no_bounds():
    """As label maps are that noise does not move: a resample without the others divides by 0."""
    under = np.zeros(100)
    under[:3] = 0.5
    interval = tables.interval_of_ratio(np.full(100, 0.03), under, seed=0)
    assert interval.value == pytest.approx(2.0) and math.isnan(interval.low)
    under[:60] = 0.5
    assert tables.interval_of_ratio(np.full(100, 0.03), under, seed=0).high < 0.2


def test_interval_of_halves_by_hand():
    """The halves' quantiles about their mean of 20, moved onto the value; a distance is never below
    0.
    """
    halves = np.array([10.0, 30, 20, 15, 25])
    assert tables.interval_of_halves(8, halves, 7, level=0.5) == tables.Interval(8, 3, 13, 7)
    assert tables.interval_of_halves(8, halves, 7, level=1) == tables.Interval(8, 0, 18, 7)
