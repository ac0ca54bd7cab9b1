"""Numbers behind the known ways in which an unpaired translation goes wrong. No thresholds: read
them beside those of real pictures.

All take uint8 pictures [H, W, 1 or 3]. Lightness is CIE L*, in [0, 100]; frequencies are in cycles
a pixel, at most 1/2.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy import ndimage

from tfcyclegan.errors import UserError
from tfcyclegan.measures.appearance import lab

_RADIAL_BINS = 24
_LEAST_SIDE = 32
_FLAT_WINDOW = 5
_FLAT_SHARE = 0.1
_SMALL_SIDE = 16
_TINY = 1e-12


def lightness(picture: np.ndarray) -> np.ndarray:
    """CIE L* [H, W] in [0, 100]."""
    return lab(picture)[..., 0]


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
    decibels = 10 * np.log10(power + _TINY)
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


def checkerboard(pictures: Sequence[np.ndarray]) -> dict[str, float]:
    """Excess power at the frequencies of the upsampling strides, mean over pictures, in dB; 0 or a
    little below in real pictures.

    "stride 2" is a pattern of period 2 (the last upsampling), "stride 4" one of period 4 (Odena et
    al. 2016, "Deconvolution and checkerboard artifacts").
    """
    values = [
        [_stride_decibels(power, period) for period in (2, 4)] for power in map(_power, pictures)
    ]
    return {
        f"stride {period}": float(value)
        for period, value in zip((2, 4), np.mean(values, axis=0), strict=True)
    }


def radial_spectrum(picture: np.ndarray) -> np.ndarray:
    """Mean power by frequency in 24 rings up to 1/2, in dB, [24]."""
    power = _power(picture)
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(size) for size in power.shape), indexing="ij"))
    # the corners beyond 1/2 come last
    ring = np.minimum((radius * 2 * _RADIAL_BINS).astype(int), _RADIAL_BINS).ravel()
    sums = np.bincount(ring, power.ravel(), minlength=_RADIAL_BINS + 1)[:-1]
    counts = np.bincount(ring, minlength=_RADIAL_BINS + 1)[:-1]
    known = counts > 0
    decibels = 10 * np.log10(sums[known] / counts[known] + 1e-6)
    return np.interp(np.arange(_RADIAL_BINS), np.flatnonzero(known), decibels)


def laplacian_variance(picture: np.ndarray) -> float:
    """Variance of the lightness's Laplacian; low in blurred pictures (Pech-Pacheco et al. 2000)."""
    return float(ndimage.laplace(lightness(picture)).var())


def luminance(picture: np.ndarray) -> float:
    """Mean lightness of the picture, in [0, 100]."""
    return float(lightness(picture).mean())


def luminance_range(pictures: Sequence[np.ndarray], *, tail: float = 0.01) -> tuple[float, float]:
    """Quantiles `tail` and 1 - `tail` of the training pictures' mean lightness."""
    low, high = np.quantile([luminance(picture) for picture in pictures], (tail, 1 - tail))
    return float(low), float(high)


def outside(picture: np.ndarray, known: tuple[float, float]) -> str:
    """ "dark" (night, dusk) or "bright" for a picture whose mean lightness lies outside the
    training's `luminance_range`, else "".
    """
    value = luminance(picture)
    return "dark" if value < known[0] else "bright" if value > known[1] else ""


def luminance_shift(real: np.ndarray, fake: np.ndarray) -> float:
    """Mean absolute difference of lightness between an input and its translation, in [0, 100]."""
    return float(np.abs(lightness(real) - lightness(fake)).mean())


def lightness_correlation(real: np.ndarray, fake: np.ndarray) -> float:
    """Pearson's correlation of an input's lightness with its translation's, in [-1, 1]; below 0 is
    an inversion. 0 if one is constant.
    """
    one, other = (light - light.mean() for light in (lightness(real), lightness(fake)))
    spread = np.linalg.norm(one) * np.linalg.norm(other)
    return float((one * other).sum() / spread) if spread > 1e-6 else 0.0


def shrunk(picture: np.ndarray) -> np.ndarray:
    """The picture's layout, uint8 [16, 16, C]; what is shrunk already stays as it is."""
    channels = [
        Image.fromarray(picture[..., c]).resize((_SMALL_SIDE,) * 2, Image.Resampling.BOX)
        for c in range(picture.shape[-1])
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def diversity(pictures: Sequence[np.ndarray]) -> float:
    """How unlike pictures are: 1 for pictures that share nothing, 0 for equal ones.

    The mean distance in Lab between the pixels of any two of them, each shrunk to 16x16 (at most
    256, evenly chosen), over that of two pixels at random places of random pictures, so that faint
    or loud colours make pictures no more and no less alike.

    Raises:
        UserError: fewer than two pictures.
    """
    small = _small_lab(pictures)
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in small])
    order = np.random.default_rng((0, 42)).permutation(len(pixels))
    return _mean_distance(small) / max(
        float(np.linalg.norm(pixels - pixels[order], axis=-1).mean()), _TINY
    )


def _small_lab(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    if len(pictures) < 2:
        raise UserError("diversity needs at least 2 pictures; give more test pictures")
    chosen = [
        pictures[index] for index in np.unique(np.linspace(0, len(pictures) - 1, 256).astype(int))
    ]
    return [lab(shrunk(picture)) for picture in chosen]


def _mean_distance(small: Sequence[np.ndarray]) -> float:
    distances = [
        np.linalg.norm(small[i] - small[j], axis=-1).mean()
        for i in range(len(small))
        for j in range(i)
    ]
    return float(np.mean(distances))


def diversity_ratio(fakes: Sequence[np.ndarray], reals: Sequence[np.ndarray]) -> float:
    """`diversity` of fakes over that of real pictures of their domain; towards 0 in a mode
    collapse.
    """
    return diversity(fakes) / max(diversity(reals), _TINY)


def _local_deviation(light: np.ndarray) -> np.ndarray:
    """Standard deviation within 5x5 pixels, [H - 4, W - 4]."""
    mean = ndimage.uniform_filter(light, _FLAT_WINDOW)
    variance = np.maximum(ndimage.uniform_filter(light**2, _FLAT_WINDOW) - mean**2, 0)
    edge = _FLAT_WINDOW // 2
    return np.sqrt(variance)[edge:-edge, edge:-edge]


def flat_area_deviation(real: np.ndarray, fake: np.ndarray) -> float:
    """Mean deviation of the translation's lightness where the input is flattest: what it drew onto
    nothing (specks, bands).

    Flattest is the tenth of all 5x5 windows with the least deviation in the input, of equal ones
    all.
    """
    own = _local_deviation(lightness(real))
    return float(_local_deviation(lightness(fake))[own <= np.quantile(own, _FLAT_SHARE)].mean())
