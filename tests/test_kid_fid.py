"""FID and KID against closed forms and against the published programs' formulae, written out anew;
their table with a stub network.
"""

import dataclasses

import numpy as np
import pytest
from scipy import linalg

from tests.street_set import street_set
from tfcyclegan.errors import UserError
from tfcyclegan.measures import kid_fid
from tfcyclegan.measures.evaluation_set import FLOOR, Tools
from tfcyclegan.measures.kid_fid import (
    HALVES,
    fid,
    fid_gaussians,
    fids_of_halves,
    kid,
    mmd,
    split_floor,
)
from tfcyclegan.measures.tables import interval_of_halves
from tfcyclegan.networks.feature_networks import FeatureNetwork, Features


def cloud(seed: int, count: int, dimension: int) -> np.ndarray:
    """Skewed and correlated, as features behind a ReLU are."""
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(dimension).normal(size=(dimension, dimension)) / np.sqrt(
        dimension
    )
    return np.maximum(generator.normal(0.2, 1, (count, dimension)) @ mixing, 0)


def test_fid_of_known_gaussians():
    """Commuting covariances: sum of (sqrt(a) - sqrt(b))^2, here turned by one rotation, plus the
    squared shift of 3-4-0.
    """
    turn = linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    one, two = turn @ np.diag([4.0, 9, 0]) @ turn.T, turn @ np.diag([1.0, 1, 0]) @ turn.T
    assert fid_gaussians(np.zeros(3), one, np.array([3.0, 4, 0]), two) == pytest.approx(
        25 + 1 + 4, rel=1e-12
    )
    assert fid_gaussians(np.ones(3), one, np.ones(3), one) == pytest.approx(0, abs=1e-12)
    for seed in range(6):
        turn = linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
        flat, full = turn @ np.diag([4.0, 9, 0]) @ turn.T, turn @ np.diag([1.0, 1, 4]) @ turn.T
        assert fid_gaussians(np.zeros(3), flat, np.zeros(3), full) == pytest.approx(
            1 + 4 + 4, rel=1e-12
        ), "rounding is no variance"
    one_dimensional = fid_gaussians(
        np.array([1.0]), np.array([[4.0]]), np.array([0.0]), np.array([[9.0]])
    )
    assert one_dimensional == pytest.approx(1 + 1)


def test_fid_of_a_small_sample():
    """The bias that evaluation must name: n = 100 of one Gaussian in 64 dimensions gives 21.9."""
    draws = np.random.default_rng(0).normal(size=(40, 100, 64))
    values = [fid(*draws[index : index + 2]) for index in range(0, 40, 2)]
    assert np.mean(values) == pytest.approx(21.9, abs=0.3)


@pytest.mark.parametrize(("count", "dimension"), [(300, 48), (40, 64)])
def test_fid_equals_the_published_formula(count, dimension):
    """pytorch-fid and clean-fid take scipy's sqrtm of the product (here also of singular ones),
    torch-fidelity its eigenvalues.
    """
    one, two = cloud(1, count, dimension), 1.2 * cloud(2, count + 7, dimension) + 0.1
    covariances = [np.cov(features, rowvar=False) for features in (one, two)]
    shift = one.mean(axis=0) - two.mean(axis=0)
    product = covariances[0] @ covariances[1]
    roots = (
        linalg.sqrtm(product + 0j).real.trace(),
        np.sqrt(np.linalg.eigvals(product).astype(complex)).real.sum(),
    )
    for root in roots if count > dimension else roots[1:]:
        assert fid(one, two) == pytest.approx(
            shift @ shift + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * root, rel=1e-4
        )


def test_kid_equals_the_published_formula():
    """One subset of all pictures, by clean-fid's formula and, for three features, by the sum over
    pairs.
    """
    one, two = cloud(1, 60, 20), 1.3 * cloud(2, 60, 20)
    gram = (one @ one.T / 20 + 1) ** 3 + (two @ two.T / 20 + 1) ** 3
    cross = (one @ two.T / 20 + 1) ** 3
    expected = ((gram.sum() - np.diag(gram).sum()) / 59 - cross.sum() * 2 / 60) / 60
    score = kid(one, two, seed=0, subset_size=60, subsets=3)
    assert score.value == pytest.approx(expected, rel=1e-10)
    assert score.high - score.low == pytest.approx(0, abs=1e-12)
    x, y = cloud(3, 4, 3), cloud(4, 5, 3)

    def k(a, b):
        return (np.dot(a, b) / 3 + 1) ** 3

    inside = [
        sum(k(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j)
        / (len(s) * (len(s) - 1))
        for s in (x, y)
    ]
    assert mmd(x, y) == pytest.approx(
        sum(inside) - 2 * sum(k(a, b) for a in x for b in y) / 20, rel=1e-10
    )


def test_kid_of_one_set_split_in_two_is_nothing():
    """Of 40 sets at most a few miss 0, and the mean over all is 0 (unbiased), where FID's is far
    from it; a real shift is seen.
    """
    scores = []
    for seed in range(40):
        features = cloud(seed, 120, 16)
        scores.append(kid(features[:60], features[60:], seed=seed))
    assert sum(score.low <= 0 <= score.high for score in scores) >= 36
    means = np.array([score.value for score in scores])
    assert abs(means.mean()) < 3 * means.std() / np.sqrt(40)
    assert scores[0] == kid(
        cloud(0, 120, 16)[:60], cloud(0, 120, 16)[60:], subsets=100, subset_size=30
    )
    shifted = kid(cloud(1, 60, 16), cloud(2, 60, 16) + 0.3, seed=0)
    assert shifted.low > 0
    assert shifted == kid(cloud(1, 60, 16), cloud(2, 60, 16) + 0.3, seed=0)
    half, median = (
        kid(cloud(1, 60, 16), cloud(2, 60, 16) + 0.3, seed=0, level=level) for level in (0.5, 0)
    )
    assert shifted.low < half.low < median.low == median.high < half.high < shifted.high


@pytest.mark.parametrize(("shift", "widest"), [(0.3, 1.4), (0.0, 2.2)])
@pytest.mark.parametrize(("count", "others"), [(60, 60), (60, 300), (300, 60), (20, 200)])
def test_kids_interval_is_as_wide_as_other_draws_scatter(count, others, shift, widest):
    """Also where one side has many more pictures, of which small subsets would scatter more."""
    draws = [(cloud(seed, count, 16), cloud(1000 + seed, others, 16) + shift) for seed in range(40)]
    values = [mmd(one, other) for one, other in draws]
    scores = [kid(one, other, subsets=40) for one, other in draws[:20]]
    widths = [score.high - score.low for score in scores]
    assert 0.7 < np.mean(widths) / (3.92 * np.std(values)) < widest
    assert all(
        abs(score.value - value) < (score.high - score.low) / 4
        for score, value in zip(scores, values, strict=False)
    )


@pytest.mark.parametrize(("count", "dimension"), [(60, 12), (20, 40)])
def test_fids_of_halves(count, dimension):
    """Each is the FID of its half; the interval is as wide as other draws of as many pictures
    scatter.
    """
    one, two = cloud(1, count, dimension), cloud(2, 90, dimension) + 0.2
    chosen = np.random.default_rng((3, 34)).choice(count, count // 2, replace=False)
    assert fids_of_halves(one, two, seed=3)[0] == pytest.approx(fid(one[chosen], two), rel=1e-6)
    draws = [cloud(seed, count, dimension) for seed in range(30)]
    values = [fid(draw, two) for draw in draws]
    intervals = [
        interval_of_halves(value, fids_of_halves(draw, two, seed=0), count)
        for value, draw in zip(values, draws, strict=True)
    ]
    assert all(
        interval.low <= interval.value <= interval.high and interval.pictures == count
        for interval in intervals
    )
    assert (
        0.6
        < np.mean([interval.high - interval.low for interval in intervals])
        / (3.92 * np.std(values))
        < 1.7
    )


def test_split_floor():
    features = cloud(0, 101, 8)
    floors = split_floor(features, fid, seed=4, repeats=3)
    assert floors == split_floor(features, fid, seed=4, repeats=3) and len(set(floors)) == 3
    assert 0 < max(floors) < fid(features, features + 1)
    assert abs(np.mean(split_floor(features, mmd, seed=0, repeats=50))) < 0.01 * mmd(
        features, features + 1
    )
    halves = []
    split_floor(
        np.arange(9)[:, np.newaxis], lambda one, other: halves.append((one, other)) or 0.0, seed=0
    )
    assert len(halves) == 5
    for one, other in halves:
        assert len(one) == len(other) == 4 and not set(one.ravel()) & set(other.ravel())


def test_foreign_features_are_refused():
    for one, other in [
        ((5, 3), (5, 4)),
        ((5,), (5, 3)),
        ((5, 3), (5,)),
        ((5, 3, 2), (5, 3)),
        ((5, 3), (5, 3, 2)),
    ]:
        with pytest.raises(UserError, match="of one network"):
            fid(np.zeros(one), np.zeros(other))
    with pytest.raises(UserError, match="1 pictures: the distance needs at least 2"):
        fid(np.zeros((9, 3)), np.zeros((1, 3)))
    assert fid(np.zeros((2, 3)), np.ones((2, 3))) == 3
    with pytest.raises(UserError, match="2 pictures: the distance needs at least 4"):
        kid(np.zeros((2, 3)), np.zeros((9, 3)), seed=0)


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


@pytest.fixture(scope="module")
def truthful(stub):
    """Translations that are the truths themselves, a little darker."""
    made = street_set(lambda _, picture, true: (true * 0.9).astype(np.uint8))
    return dataclasses.replace(made, tools=Tools(stub))


def test_distances(truthful, stub):
    table = kid_fid.table(truthful)
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
        kid_fid.table(few)
        == "KID and FID: 5 translations and 40 real pictures; at least 16 of each are needed"
    )


def test_fid_needs_more(truthful, monkeypatch):
    monkeypatch.setattr(kid_fid, "LEAST_FOR_FID", 20)
    rows = kid_fid.table(truthful).rows
    assert (
        rows[FLOOR]["FID"].value < rows["identity"]["FID"].value
        and rows[HALVES]["FID"].pictures == 20
    )
    assert all(row["FID"].low <= row["FID"].value <= row["FID"].high for row in rows.values())
