"""A translator that hides its source in noise is told from an honest one; degradations by hand."""

import dataclasses
import io
import math
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.street_set import street_set
from tfcyclegan.data import images, labels
from tfcyclegan.measures import cycle_consistency as cycles
from tfcyclegan.measures.cycle_consistency import CycleErrors, cycle_errors
from tfcyclegan.measures.findings import BAD, OK


def picture(seed: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 196, (side, side, 3), dtype=np.uint8)


REAL, OTHER = [picture(index) for index in range(4)], [picture(10 + index) for index in range(4)]


def rows(found: CycleErrors) -> dict[str, SimpleNamespace]:
    """Means over pictures, by degradation."""
    made = {}
    for place, name in enumerate(cycles.FOR_PICTURES):
        error, moved_fake, moved_real = (
            float(values[:, place].mean()) if len(values) else math.nan
            for values in (found.degraded, found.moved_fake, found.moved_real)
        )
        made[name] = SimpleNamespace(
            cycle_error=error,
            added=error - found.clean.mean(),
            moved_fake=moved_fake,
            moved_real=moved_real,
            ratio=moved_fake / moved_real if moved_real > 0 else math.nan,
        )
    return made


def test_degradations_by_hand():
    grey = np.full((64, 64, 3), 100, np.uint8)
    for name, levels in (
        ("noise 1/255", 1),
        ("noise 2/255", 2),
        ("noise 4/255", 4),
        ("noise 8/255", 8),
    ):
        noisy = cycles.FOR_PICTURES[name](grey, 5)
        assert noisy.std() == pytest.approx(math.sqrt(levels**2 + 1 / 12), rel=0.02), (
            "the noise and the rounding of it"
        )
        assert (noisy == cycles.FOR_PICTURES[name](grey, 5)).all() and (
            noisy != cycles.FOR_PICTURES[name](grey, 6)
        ).any()
    black, white = (
        cycles.FOR_PICTURES["noise 8/255"](np.full_like(grey, level), 5) for level in (0, 255)
    )
    assert (black.min(), white.max()) == (0, 255) and black.max() < 60 and white.min() > 195, (
        "nothing wraps around"
    )
    point = np.zeros((9, 9, 1), np.uint8)
    point[4, 4] = 255
    # 255 exp(-(x^2 + y^2) / 2) / (2 pi)
    assert cycles.blur(point, 0)[4, 4:7, 0].tolist() == [41, 25, 5]
    assert (cycles.jpeg(grey, 0) == 100).all() and cycles.jpeg(point, 0).shape == (9, 9, 1)
    stream = io.BytesIO()
    Image.fromarray(REAL[0]).save(stream, "JPEG")  # whose quality is 75 where none is named
    np.testing.assert_array_equal(cycles.jpeg(REAL[0], 0), np.asarray(Image.open(stream)))
    assert cycles.palette_snap(labels.CITYSCAPES)(
        np.array([[[130, 60, 125]]], np.uint8), 0
    ).tolist() == [[[128, 64, 128]]]
    assert cycles.FOR_PICTURES["8-bit rounding"](grey, 0) is grey
    assert (
        list(cycles.for_label_maps(labels.CITYSCAPES))[-1] == "palette snap"
        and "palette snap" not in cycles.FOR_PICTURES
    )


def test_an_honest_cycle():
    """Negation moves just as the picture does: noise of sigma 4 levels by 4 sqrt(2/pi) / 127.5, for
    real pictures too.
    """
    honesty = cycle_errors(REAL, np.negative, np.negative, other_real=OTHER, seed=0)
    assert honesty.clean.mean() == 0
    by_name = rows(honesty)
    assert by_name["8-bit rounding"].cycle_error == pytest.approx(0, abs=1e-6)
    assert by_name["noise 4/255"].cycle_error == pytest.approx(
        4 * math.sqrt(2 / math.pi) / 127.5, rel=0.02
    )
    assert math.isnan(by_name["8-bit rounding"].ratio), "no real picture is moved by it"
    for row in list(by_name.values())[1:]:
        assert row.added == row.cycle_error == row.moved_fake
        assert row.ratio == pytest.approx(1, abs=0.05)
    off = cycle_errors(REAL, np.negative, lambda batch: 0.25 - batch, seed=0)
    assert off.clean.mean() == pytest.approx(0.25)
    assert rows(off)["8-bit rounding"].added == pytest.approx(0, abs=1e-6), (
        "what the cycle costs anyhow is not added"
    )
    unrelated = (
        np.mean([np.abs(REAL[i].astype(float) - REAL[i - 1]).mean() for i in range(1, 4)]) / 127.5
    )
    assert honesty.unrelated.mean() == pytest.approx(unrelated, rel=1e-5)


def test_each_picture_has_noise_of_its_own():
    one, two = (
        rows(cycle_errors(REAL[:1] * n, np.negative, np.negative, other_real=OTHER[:1] * n, seed=0))
        for n in (1, 2)
    )
    assert one["blur"] == two["blur"]
    assert one["noise 4/255"].moved_fake != two["noise 4/255"].moved_fake
    assert one["noise 4/255"].moved_real != two["noise 4/255"].moved_real


def hiding(levels: float):
    """Every fake is the same grey with the source on it, `levels` strong; the way back reads those
    and nothing else.
    """

    def forward(batch: np.ndarray) -> np.ndarray:
        return batch * np.float32(levels / 127.5)

    def backward(batch: np.ndarray) -> np.ndarray:
        return np.clip(batch / np.float32(levels / 127.5), -1, 1)

    return forward, backward


def test_a_hidden_source_is_found():
    """A perfect cycle in float; noise of as many levels as hide the source leaves about as little
    as another picture's fake.
    """
    honesty = cycle_errors(REAL, *hiding(4), other_real=OTHER, seed=0)
    assert honesty.clean.mean() == pytest.approx(0, abs=1e-6)
    by_name = rows(honesty)
    assert (
        by_name["8-bit rounding"].cycle_error
        < by_name["noise 1/255"].cycle_error
        < by_name["noise 4/255"].cycle_error
    )
    assert (
        by_name["noise 8/255"].cycle_error
        > honesty.unrelated.mean()
        > by_name["8-bit rounding"].cycle_error
        > 0
    )
    for name in ("noise 1/255", "noise 2/255"):
        assert by_name[name].ratio > 5
    below_a_level = rows(cycle_errors(REAL, *hiding(0.4), seed=0))["8-bit rounding"]
    assert (
        below_a_level.added > 0.2
        and math.isnan(below_a_level.moved_real)
        and math.isnan(below_a_level.ratio)
    )


def test_palette_snap_of_a_label_map():
    """Labels with the source in their last levels: the snap takes those away and leaves the
    labels.
    """
    classes = labels.PALETTE[np.random.default_rng(0).integers(0, 19, (32, 32))]
    marked = np.clip(
        classes.astype(int) + np.random.default_rng(1).integers(-3, 4, classes.shape), 0, 255
    ).astype(np.uint8)
    assert (cycles.palette_snap(labels.CITYSCAPES)(marked, 0) == classes).all()


@pytest.fixture(scope="module")
def truthful():
    """Translations that are the truths themselves, a little darker."""
    return street_set(lambda _, picture, true: (true * 0.9).astype(np.uint8), count=12)


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


def test_lost_content_is_found(truthful):
    """A generator without a cycle loss may draw any street: here always the same one, whatever
    comes in.
    """
    constant = np.zeros((1, 64, 128, 3), np.float32)
    lost = dataclasses.replace(truthful, cycle=(lambda batch: constant, np.negative))
    assert cycles.content_lost(lost).verdict == BAD
    assert cycles.content_lost(truthful).verdict == OK


def test_gaps_do_not_hide_that_the_input_is_lost():
    """Generators whose output does not depend on their input, as a dead one's, and gaps that differ
    from picture to picture.
    """
    draw = np.random.default_rng(0)
    gaps = [draw.random((32, 32, 1)) < 0.3 for _ in REAL]
    found_gaps = {one.tobytes(): gap for one, gap in zip(REAL, gaps, strict=True)}

    def blanked(one: np.ndarray) -> np.ndarray:
        return np.where(found_gaps[one.tobytes()], np.float32(-1), images.to_float(one))

    convert = dataclasses.replace(
        cycles.OF_PICTURES, source=blanked, source_gaps=lambda one: found_gaps[one.tobytes()]
    )
    noises = iter(
        [np.random.default_rng(seed).uniform(-0.5, 0.5, (1, 32, 32, 3)) for seed in range(99)]
    )
    dead = lambda batch: next(noises)  # noqa: E731
    same = {"as saved": lambda saved, seed: saved}
    found = cycle_errors(REAL, dead, dead, degradations=same, convert=convert)
    assert found.clean.mean() == pytest.approx(found.unrelated.mean(), rel=0.1)
    assert (found.clean < 0.6).all(), "pixels in gaps do not count"
