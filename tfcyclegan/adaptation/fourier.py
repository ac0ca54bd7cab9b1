"""Fourier Domain Adaptation (Yang and Soatto 2020): a source picture with the low-frequency
amplitudes of a target picture.

It needs no network: a baseline that a learned translation must beat.
"""

from collections.abc import Callable

import numpy as np

from tfcyclegan.segmentation.labelled_pictures import Arrays


def swap_low_frequencies(picture: np.ndarray, style: np.ndarray, beta: float) -> np.ndarray:
    """The phases of `picture` with the amplitudes of `style` at the lowest frequencies (Eq. 3).

    Args:
        picture: uint8 [H, W, C].
        style: uint8 [H, W, C], of the same size.
        beta: half the side of the square of frequencies, as a share of the picture's shorter side;
            with 0, only the mean colour is swapped.

    Returns:
        uint8 [H, W, C], clipped.
    """
    height, width = picture.shape[:2]
    spectrum, other = (
        np.fft.fft2(image.astype(np.float64), axes=(0, 1)) for image in (picture, style)
    )
    reach = int(np.floor(min(height, width) * beta))
    rows, columns = (np.abs(np.fft.fftfreq(side) * side) <= reach for side in (height, width))
    low = (rows[:, np.newaxis] & columns)[..., np.newaxis]
    amplitude = np.where(low, np.abs(other), np.abs(spectrum))
    swapped = np.fft.ifft2(amplitude * np.exp(1j * np.angle(spectrum)), axes=(0, 1)).real
    return np.clip(np.rint(swapped), 0, 255).astype(np.uint8)


def fourier_transform(
    targets: Arrays, beta: float
) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """A transform that applies the style of a target picture, drawn each time.

    Args:
        targets: pictures uint8 [H, W, C] of the source pictures' size.
        beta: see `swap_low_frequencies`.
    """

    def transform(picture: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return swap_low_frequencies(picture, targets[int(generator.integers(len(targets)))], beta)

    return transform
