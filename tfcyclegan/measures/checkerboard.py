"""Checkerboards and other artefacts of upsampling, by the power spectrum of the lightness (Odena et
al. 2016, "Deconvolution and checkerboard artifacts").

Frequencies are in cycles a pixel, at most 1/2.
"""

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.measures import advice
from tfcyclegan.measures.findings import Limits, SetDetector
from tfcyclegan.measures.lab import lightness

_RINGS = 24
_LEAST_SIDE = 32
_STRIDES = (2, 4)


def _power(picture: np.ndarray) -> np.ndarray:
    """Power spectrum of the lightness, [h, w], sides cut to multiples of 4 and faded out by a Hann
    window.

    Raises:
        UserError: a side is below 32 pixels.
    """
    height, width = (size // 4 * 4 for size in picture.shape[:2])
    if min(height, width) < _LEAST_SIDE:
        raise UserError(
            f"picture of {picture.shape[1]} x {picture.shape[0]}: spectra need at least "
            f"{_LEAST_SIDE} pixels a side"
        )
    light = lightness(picture)[:height, :width]
    window = np.outer(np.hanning(height + 1)[:-1], np.hanning(width + 1)[:-1])
    light = (light - (light * window).sum() / window.sum()) * window
    return np.abs(np.fft.fft2(light)) ** 2 / np.square(window).sum()


def _stride_decibels(power: np.ndarray, period: int) -> float:
    """Power at the multiples of 1/period that no smaller stride shares, over that of the
    frequencies around each, in dB.

    The window spreads a wave over 3 bins a side, so a peak is 3x3 bins; its neighbours are those 3
    and 4 bins away on both sides, for a peak on an axis along that axis alone, where pictures have
    streaks. Means are of decibels, in which natural spectra are nearly straight from one side to
    the other.
    """
    decibels = 10 * np.log10(power + 1e-12)
    height, width = power.shape
    near, far = (-1, 0, 1), (-4, -3, 3, 4)

    def mean(row: int, column: int, rows: tuple[int, ...], columns: tuple[int, ...]) -> float:
        return float(
            np.mean(
                [decibels[(row + i) % height, (column + j) % width] for i in rows for j in columns]
            )
        )

    excess = []
    for down in range(period):
        for right in range(period):
            if down == right == 0 or (period == 4 and down % 2 == 0 and right % 2 == 0):
                continue
            row, column = down * height // period, right * width // period
            sides = [mean(row, column, far, near)] if down else []
            sides += [mean(row, column, near, far)] if right else []
            excess.append(mean(row, column, near, near) - float(np.mean(sides)))
    return float(np.mean(excess))


def spectrum(picture: np.ndarray) -> np.ndarray:
    """What the detectors take of a picture uint8 [H, W, 1 or 3], in dB, [2 + 24].

    First the excess power at the frequencies of the upsampling strides: 0 or a little below in real
    pictures. "Stride 2" is a pattern of period 2 (the last upsampling), "stride 4" one of period 4.
    Then the mean power by frequency in 24 rings up to 1/2.
    """
    power = _power(picture)
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(size) for size in power.shape), indexing="ij"))
    # the corners beyond 1/2 come last
    ring = np.minimum((radius * 2 * _RINGS).astype(int), _RINGS).ravel()
    sums = np.bincount(ring, power.ravel(), minlength=_RINGS + 1)[:-1]
    counts = np.bincount(ring, minlength=_RINGS + 1)[:-1]
    known = counts > 0
    decibels = 10 * np.log10(sums[known] / counts[known] + 1e-6)
    rings = np.interp(np.arange(_RINGS), np.flatnonzero(known), decibels)
    return np.array([*(_stride_decibels(power, period) for period in _STRIDES), *rings])


def _stride(place: int) -> SetDetector:
    return SetDetector(
        f"checkerboard, stride {_STRIDES[place]}",
        f"power at the frequencies of stride {_STRIDES[place]} above their neighbours', dB",
        (advice.RESIZE, advice.LONGER, advice.POOL),
        Limits(3.0, 6.0),  # dB above the range of real pictures
        spectrum,
        lambda rows, _: float(rows[:, place].mean()),
        lambda rows, _: rows[:, place],
    )


stride_2, stride_4 = _stride(0), _stride(1)

artefacts = SetDetector(
    "artefacts",
    "mean difference of the radial spectra from real ones', dB",
    (advice.RESIZE, advice.POOL, advice.LONGER),
    Limits(2.5, 5.0),  # dB above the range of real pictures
    spectrum,
    lambda rows, reals: float(np.abs(rows.mean(axis=0) - reals.mean(axis=0))[2:].mean()),
    lambda rows, reals: np.abs(rows - reals.mean(axis=0))[:, 2:].mean(axis=-1),
)
