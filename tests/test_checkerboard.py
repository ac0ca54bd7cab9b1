"""Checkerboards and spectra on real tiles and on patterns with known answers."""

import numpy as np
import pytest

from tests.defects import changed, pattern
from tfcyclegan.errors import UserError
from tfcyclegan.measures import checkerboard
from tfcyclegan.measures.checkerboard import spectrum


def excess(pictures) -> dict[str, float]:
    """By stride, mean over pictures."""
    means = np.mean([spectrum(picture)[:2] for picture in pictures], axis=0)
    return {"stride 2": means[0], "stride 4": means[1]}


@pytest.mark.parametrize("period", [2, 4])
@pytest.mark.parametrize("domain", [0, 1], ids=["satellite", "maps"])
def test_checkerboard(period, domain, satellite, maps):
    """A pattern whose pixels are 12 levels brighter (24 for one in 16) stands out; one of period 2
    leaves stride 4 alone.
    """
    clean = (satellite, maps)[domain]
    before = excess(clean)
    after = excess(changed(clean, pattern(period, 6 * period)))
    assert all(-4 < value < 1 for value in before.values())
    assert after[f"stride {period}"] > max(before[f"stride {period}"] + 5, 3)
    if period == 2:
        assert after["stride 4"] == pytest.approx(before["stride 4"], abs=1)


def test_stride_power_by_hand():
    """One peak of 60 dB over neighbours of 10 dB: off the axes, of the 3 that are stride 2's, and
    on one, of the 12 that are stride 4's.
    """
    off, on = np.ones((32, 32)), np.ones((32, 32))
    for beside in (12, 13, 19, 20):
        off[beside, 15:18] = off[15:18, beside] = 10
        on[[31, 0, 1], beside - 8] = 10
    off[15:18, 15:18] = on[[31, 0, 1], 7:10] = 1e6
    assert checkerboard._stride_decibels(off, 2) == pytest.approx(50 / 3)
    assert checkerboard._stride_decibels(on, 4) == pytest.approx(50 / 12)
    off[12:21, 12:21] = 1
    off[15:18, 15:18] = 1e6
    assert checkerboard._stride_decibels(off, 4) == pytest.approx(0), (
        "what is stride 2's is not stride 4's"
    )


def test_spectrum_of_waves():
    """A wave of 8 pixels lies in the ring of 1/8 and nowhere else; white noise has no frequency of
    its own.
    """
    wave = np.broadcast_to(
        (128 + 40 * np.cos(2 * np.pi * np.arange(64) / 8))[:, np.newaxis], (64, 64)
    )
    rings = spectrum(np.rint(wave).astype(np.uint8)[..., np.newaxis])[2:]
    assert rings.argmax() == 6 and rings[6] > np.delete(rings, [5, 6]).max() + 10
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 1), dtype=np.uint8)
    assert np.ptp(spectrum(noise)[4:]) < 1.5
    assert all(
        abs(value) < 1
        for value in excess(
            np.random.default_rng(1).integers(0, 256, (8, 128, 128, 1), dtype=np.uint8)
        ).values()
    )
    with pytest.raises(UserError, match="picture of 40 x 20: spectra need at least 32"):
        spectrum(np.zeros((20, 40, 3), np.uint8))
