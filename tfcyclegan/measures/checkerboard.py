"""Checkerboard and other upsampling artefacts, found in the power spectrum of the lightness (Odena
et al. 2016, "Deconvolution and checkerboard artifacts").

Frequencies are in cycles per pixel, at most 1/2.
"""

import functools

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.measures import advice
from tfcyclegan.measures.findings import Limits, SetDetector
from tfcyclegan.measures.lab import lightness

_RINGS = 24
_LEAST_SIDE = 32
_STRIDES = (2, 4)


def _power(picture: np.ndarray) -> np.ndarray:
    """Power spectrum of the lightness, [h, w]; the sides are cropped to multiples of 4 and a Hann
    window is applied.

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
    wave = np.fft.fft2(light)
    return (wave.real**2 + wave.imag**2) / np.square(window).sum()


@functools.lru_cache(maxsize=8)
def _peaks(height: int, width: int, period: int) -> list[tuple[np.ndarray, list[np.ndarray]]]:
    """For a spectrum [h, w], the flat indices of each peak at a multiple of 1/period that is not
    one of a smaller stride; and with each peak, the indices of its neighbours, on one or two axes.

    The window spreads a wave over 3 bins per axis, so a peak is 3x3 bins. Its neighbours are the
    bins 3 and 4 away on both sides. For a peak on an axis they lie along that axis only, because
    pictures have streaks there.
    """
    near, far = np.array([-1, 0, 1]), np.array([-4, -3, 3, 4])

    def places(row: int, column: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.add.outer((row + rows) % height * width, (column + columns) % width)
        return found.ravel()

    peaks = []
    for down in range(period):
        for right in range(period):
            if down == right == 0 or (period == 4 and down % 2 == 0 and right % 2 == 0):
                continue
            at = down * height // period, right * width // period
            sides = [places(*at, far, near)] if down else []
            sides += [places(*at, near, far)] if right else []
            peaks.append((places(*at, near, near), sides))
    return peaks


def _stride_decibels(power: np.ndarray, period: int) -> float:
    """Power at the multiples of 1/period that are not those of a smaller stride, relative to the
    frequencies around each, in dB. Decibels are averaged rather than power, because natural spectra
    in dB are nearly linear across a peak's neighbourhood.
    """
    return float(
        np.mean(
            [
                _decibels(power, peak) - np.mean([_decibels(power, side) for side in sides])
                for peak, sides in _peaks(*power.shape, period)
            ]
        )
    )


def _decibels(power: np.ndarray, places: np.ndarray) -> float:
    return float(np.mean(10 * np.log10(power.ravel()[places] + 1e-12)))


@functools.lru_cache(maxsize=8)
def _rings(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Ring index of each frequency of a spectrum [h, w], flat, where the last index is the corners
    beyond 1/2; and the number of frequencies in each ring up to 1/2.
    """
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij"))
    ring = np.minimum((radius * 2 * _RINGS).astype(int), _RINGS).ravel()
    return ring, np.bincount(ring, minlength=_RINGS + 1)[:-1]


def spectrum(picture: np.ndarray) -> np.ndarray:
    """The detectors' features of a picture uint8 [H, W, 1 or 3], in dB, [2 + 24].

    The first two are the excess power at the frequencies of the upsampling strides, 0 or slightly
    below in real pictures: "stride 2" is a pattern of period 2 (from the last upsampling layer),
    "stride 4" one of period 4. The others are the mean power in 24 rings of frequencies up to 1/2.
    """
    power = _power(picture)
    ring, counts = _rings(*power.shape)
    sums = np.bincount(ring, power.ravel(), minlength=_RINGS + 1)[:-1]
    known = counts > 0
    decibels = 10 * np.log10(sums[known] / counts[known] + 1e-6)
    rings = np.interp(np.arange(_RINGS), np.flatnonzero(known), decibels)
    return np.array([*(_stride_decibels(power, period) for period in _STRIDES), *rings])


def _stride(place: int) -> SetDetector:
    return SetDetector(
        f"checkerboard, stride {_STRIDES[place]}",
        f"power at the frequencies of stride {_STRIDES[place]} above their neighbours, dB",
        (advice.ANTIALIAS, advice.NOISE, advice.RESIZE, advice.LONGER, advice.POOL),
        Limits(3.0, 6.0),  # dB above the range of real pictures
        spectrum,
        lambda rows, _: float(rows[:, place].mean()),
        lambda rows, _: rows[:, place],
    )


stride_2, stride_4 = _stride(0), _stride(1)

artefacts = SetDetector(
    "artefacts",
    "mean difference between the radial spectra and those of real pictures, dB",
    (advice.ANTIALIAS, advice.NOISE, advice.RESIZE, advice.POOL, advice.LONGER),
    Limits(2.5, 5.0),  # dB above the range of real pictures
    spectrum,
    lambda rows, reals: float(np.abs(rows.mean(axis=0) - reals.mean(axis=0))[2:].mean()),
    lambda rows, reals: np.abs(rows - reals.mean(axis=0))[:, 2:].mean(axis=-1),
)
