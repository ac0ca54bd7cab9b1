"""Diversity on real tiles and on pictures with known answers."""

import numpy as np
import pytest

from tfcyclegan.errors import UserError
from tfcyclegan.measures import mode_collapse


def diversity(pictures) -> float:
    return mode_collapse.diversity(np.array([mode_collapse.layout(one) for one in pictures]))


def diversity_ratio(fakes, reals) -> float:
    return mode_collapse.diversity_ratio(
        *(np.array([mode_collapse.layout(one) for one in some]) for some in (fakes, reals))
    )


def test_mode_collapse(satellite):
    """One picture with a little noise for all is a fraction of the diversity; the other half of the
    reals is about all of it.
    """
    generator = np.random.default_rng(0)
    collapsed = [
        np.clip(satellite[0] + generator.normal(0, 4, satellite[0].shape), 0, 255).astype(np.uint8)
        for _ in satellite
    ]
    assert diversity_ratio(satellite[::2], satellite[1::2]) == pytest.approx(1, abs=0.35)
    assert diversity_ratio(collapsed, satellite) < 0.2
    faint = [picture // 4 + 96 for picture in satellite]
    assert diversity(faint) == pytest.approx(diversity(satellite), rel=0.1), (
        "faint colours are no collapse"
    )
    noise = list(np.random.default_rng(1).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8))
    assert diversity(noise) == pytest.approx(1, rel=0.02), "pictures that share nothing"
    black = np.zeros((20, 20, 1), np.uint8)
    assert diversity([black, black]) == 0
    with pytest.raises(UserError, match="at least 2 pictures"):
        diversity([black])


def test_the_whole_set_decides_and_not_its_first_pictures():
    """Frames of a video are alike and stand together; a collapse may begin after the first ones."""
    generator = np.random.default_rng(0)

    def pictures(count: int) -> np.ndarray:
        return generator.integers(0, 256, (count, 256, 3), dtype=np.uint8)

    distance, reals = mode_collapse._detector.distance, pictures(200)
    clips = np.repeat(pictures(5), 40, axis=0)
    clips = np.clip(clips + generator.normal(0, 8, clips.shape), 0, 255).astype(np.uint8)
    shuffled = generator.permutation(clips)
    assert distance(clips, reals) == pytest.approx(distance(shuffled, reals), rel=0.1)
    collapsed = np.concatenate([pictures(40), np.repeat(pictures(1), 160, axis=0)])
    assert distance(collapsed, reals) < 0.5
