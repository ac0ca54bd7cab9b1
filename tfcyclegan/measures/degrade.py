"""Does the cycle close because the picture was translated, or because its source is hidden in it?

A generator can hide the source in faint noise that the other one reads (Chu et al. 2017, "CycleGAN,
a Master of Steganography"), so a low cycle loss proves nothing. Here the fake is disturbed in ways
that a viewer hardly sees. If the way back then fails, it had read the noise; if it does not move
more than it does for real pictures that were disturbed alike, it had read the picture.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from tfcyclegan.data import images
from tfcyclegan.data.labels import ClassTable

Degradation = Callable[[np.ndarray, int], np.ndarray]
"""uint8 [H, W, C] and a seed to uint8 [H, W, C]."""
Translate = Callable[[np.ndarray], np.ndarray]
"""float32 [B, H, W, C] in [-1, 1] to the same."""

JPEG_QUALITY = 75
BLUR_SIGMA_PIXELS = 1.0


def rounding(picture: np.ndarray, seed: int) -> np.ndarray:
    """Nothing but the 8 bits that the picture has already: what saving it does."""
    return picture


def noise(levels: float) -> Degradation:
    """Gaussian noise of a deviation of `levels` out of 255."""

    def degrade(picture: np.ndarray, seed: int) -> np.ndarray:
        drawn = np.random.default_rng((seed, 41)).normal(0, levels, picture.shape)
        return np.clip(np.rint(picture + drawn), 0, 255).astype(np.uint8)

    return degrade


def jpeg(picture: np.ndarray, seed: int) -> np.ndarray:
    """Through JPEG at quality 75, as Pillow writes it (with colours at half resolution)."""
    stream = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(
        stream, "JPEG", quality=JPEG_QUALITY
    )
    return images.to_array(Image.open(stream))


def blur(picture: np.ndarray, seed: int) -> np.ndarray:
    """Gaussian blur of sigma 1 pixel."""
    smooth = ndimage.gaussian_filter(
        picture.astype(np.float32), (BLUR_SIGMA_PIXELS, BLUR_SIGMA_PIXELS, 0)
    )
    return np.rint(smooth).astype(np.uint8)


def palette_snap(classes: ClassTable) -> Degradation:
    """Each pixel to the nearest colour of the classes. For fakes that are label maps, and of them
    all that should count.
    """

    def degrade(picture: np.ndarray, seed: int) -> np.ndarray:
        snapped = classes.palette[classes.nearest_class(picture)]
        return snapped[..., : picture.shape[-1]]  # of gray label maps all channels are equal

    return degrade


FOR_PICTURES: dict[str, Degradation] = {
    "8-bit rounding": rounding,
    "noise 1/255": noise(1),
    "noise 2/255": noise(2),
    "noise 4/255": noise(4),
    "noise 8/255": noise(8),
    "JPEG 75": jpeg,
    "blur": blur,
}


def for_label_maps(classes: ClassTable) -> dict[str, Degradation]:
    """`FOR_PICTURES`, and the one for label maps of these classes."""
    return {**FOR_PICTURES, "palette snap": palette_snap(classes)}


@dataclass(frozen=True)
class CycleRow:
    """What one degradation of the fake does to the way back. Errors are mean absolute differences,
    [-1, 1], in [0, 2].

    Attributes:
        name: of the degradation.
        cycle_error: of the real picture and what came back from its degraded fake.
        added: how much more that is than with the fake as it left the network.
        moved_fake: how far the degradation moves what comes back from fakes.
        moved_real: the same for real pictures of the fakes' domain; NaN if none were given.
    """

    name: str
    cycle_error: float
    added: float
    moved_fake: float
    moved_real: float

    @property
    def ratio(self) -> float:
        """How many times more sensitive the way back is for fakes than for real pictures: about 1
        if nothing is hidden.
        """
        return self.moved_fake / self.moved_real if self.moved_real > 0 else float("nan")


@dataclass(frozen=True)
class CycleHonesty:
    """The cycle error as training sees it, what it would be if the fake told nothing, and a row for
    each degradation.

    Attributes:
        clean: cycle error with the fake in float, as in training.
        unrelated_errors: error between each real picture but the first and what came back from the
            fake of the one before it.
        rows: by degradation.
    """

    clean: float
    unrelated_errors: tuple[float, ...]
    rows: tuple[CycleRow, ...]

    @property
    def unrelated(self) -> float:
        """Mean of `unrelated_errors`; NaN for a single picture."""
        return float(np.mean(self.unrelated_errors)) if self.unrelated_errors else float("nan")


def cycle_honesty(
    real: Sequence[np.ndarray],
    forward: Translate,
    backward: Translate,
    *,
    other_real: Sequence[np.ndarray] = (),
    seed: int,
    degradations: Mapping[str, Degradation] = FOR_PICTURES,
) -> CycleHonesty:
    """Cycle errors of one direction, picture by picture.

    Args:
        real: pictures of the domain from which the cycle starts, uint8 [H, W, C].
        forward: their translation, such as `gen_ab`.
        backward: the way back, such as `gen_ba`.
        other_real: real pictures of the domain into which `forward` translates.
        seed: of the noise; picture i has noise of its own.
        degradations: by name, `FOR_PICTURES` or `for_label_maps`.
    """

    def back(fake: np.ndarray) -> np.ndarray:
        return np.asarray(backward(images.to_float(fake)[np.newaxis]))[0]

    def error(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.abs(one.astype(np.float64) - other).mean())

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values)) if values else float("nan")

    clean, unrelated = [], []
    errors: dict[str, list[float]] = {name: [] for name in degradations}
    moved_fake: dict[str, list[float]] = {name: [] for name in degradations}
    moved_real: dict[str, list[float]] = {name: [] for name in degradations}
    previous = None
    for index, picture in enumerate(real):
        source = images.to_float(picture)
        fake = np.asarray(forward(source[np.newaxis]))
        cycled = np.asarray(backward(fake))[0]
        clean.append(error(source, cycled))
        if previous is not None and previous.shape == source.shape:
            unrelated.append(error(source, previous))
        previous = cycled
        saved = images.to_uint8(fake[0])
        for name, degrade in degradations.items():
            returned = back(degrade(saved, seed + index))
            errors[name].append(error(source, returned))
            moved_fake[name].append(error(cycled, returned))
    for index, picture in enumerate(other_real):
        undisturbed = back(picture)
        for name, degrade in degradations.items():
            moved_real[name].append(error(undisturbed, back(degrade(picture, seed + index))))
    total = mean(clean)
    rows = [
        CycleRow(
            name,
            mean(errors[name]),
            mean(errors[name]) - total,
            mean(moved_fake[name]),
            mean(moved_real[name]),
        )
        for name in degradations
    ]
    return CycleHonesty(total, tuple(unrelated), tuple(rows))
