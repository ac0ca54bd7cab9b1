"""Batches of labelled pictures as a function of (seed, step), so that a resumed training seeks
instead of replaying.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from PIL import Image

from tfcyclegan.config import SegmenterOptions, Size
from tfcyclegan.data.augmentation import jittered
from tfcyclegan.errors import UserError
from tfcyclegan.segmentation.labelled_pictures import LabelledPictures

_DRAW, _TRANSFORM = 20, 21  # streams of random numbers
_WINDOWS_TRIED = 5  # to find the class for which a picture was drawn


@dataclass(frozen=True)
class Augmentation:
    """Random changes to a picture and, if geometric, to its label.

    Attributes:
        crop_size: size of the result.
        flip: whether to mirror half of the pictures.
        scale_low: smallest factor of random scaling; raised if the crop would exceed the picture.
        scale_high: greatest factor.
        color_jitter: brightness, contrast and saturation are each scaled by factors in [1 - this, 1
            + this].
    """

    crop_size: Size
    flip: bool = True
    scale_low: float = 1.0
    scale_high: float = 1.0
    color_jitter: float = 0.0

    def __call__(
        self,
        picture: np.ndarray,
        label: np.ndarray,
        generator: np.random.Generator,
        wanted: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Maps uint8 [H, W, 3] and [H, W] to the same of `crop_size`; of a few crops, the first
        that shows class `wanted`.
        """
        height, width = label.shape
        crop = self.crop_size
        scale = max(
            generator.uniform(self.scale_low, self.scale_high),
            crop.height / height,
            crop.width / width,
        )
        rows, columns = (
            min(height, round(crop.height / scale)),
            min(width, round(crop.width / scale)),
        )
        for _ in range(_WINDOWS_TRIED):
            top, left = (
                generator.integers(height - rows + 1),
                generator.integers(width - columns + 1),
            )
            seen = label[top : top + rows, left : left + columns]
            if wanted is None or (seen == wanted).any():
                break
        shown = picture[top : top + rows, left : left + columns]
        if seen.shape != (crop.height, crop.width):
            # Pillow's bilinear filter is antialiased; labels take the nearest pixel
            size = crop.width, crop.height
            shown = np.asarray(Image.fromarray(shown).resize(size, Image.Resampling.BILINEAR))
            seen = np.asarray(Image.fromarray(seen).resize(size, Image.Resampling.NEAREST))
        if self.flip and generator.random() < 0.5:
            shown, seen = shown[:, ::-1], seen[:, ::-1]
        if self.color_jitter:
            shown = jittered(shown, *(1 + self.color_jitter * generator.uniform(-1, 1, 3)))
        return shown, seen


def class_chances(counts: np.ndarray, temperature: float) -> np.ndarray:
    """The probability that a picture is drawn for each class, [C] with sum 1 (Hoyer et al. 2022,
    Eq. 12): softmax of (1 - f) / T.

    Args:
        counts: pixels of each class in each picture, [N, C].
        temperature: T; smaller values favour rare classes more. f is the class's share of all
            pixels.
    """
    total = counts.sum(axis=0)
    weights = np.exp((total.min() - total) / max(total.sum(), 1) / temperature) * (total > 0)
    return weights / weights.sum()


class LabelledBatches:
    """Batches drawn from one or several parts.

    Args:
        parts: the parts to draw from, according to their shares.
        options: sizes, augmentation, rare-class sampling, batch size and seed.

    Raises:
        UserError: the pictures have several sizes but there is no crop size.
    """

    def __init__(self, parts: Sequence[LabelledPictures], options: SegmenterOptions):
        self.parts, self.batch_size, self.seed = list(parts), options.batch_size, options.seed
        size = options.crop_size or _common_size(self.parts)
        self.augmentation = Augmentation(
            size, options.flip, options.scale_low, options.scale_high, options.color_jitter
        )
        shares = np.array([part.share for part in parts], np.float64)
        self._shares = np.cumsum(shares / shares.sum())
        self._chances: list[np.ndarray] = []
        self._holders: list[list[np.ndarray]] = []
        if options.rare_class_temperature:
            for part in parts:
                counts = part.class_counts
                self._chances.append(
                    np.cumsum(class_chances(counts, options.rare_class_temperature))
                )
                self._holders.append(
                    [np.flatnonzero(counts[:, train_id]) for train_id in range(part.classes.count)]
                )

    def drawn(self, generator: np.random.Generator) -> tuple[int, int, int | None]:
        """(part, picture, class for which it was drawn), drawn uniformly or by rare classes."""
        part = _pick(self._shares, generator.random())
        if not self._chances:
            return part, int(generator.integers(len(self.parts[part]))), None
        train_id = _pick(self._chances[part], generator.random())
        holders = self._holders[part][train_id]
        return part, int(holders[generator.integers(len(holders))]), train_id

    def sample(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The `number`-th sample since the start: uint8 [H, W, 3] and train ids [H, W]."""
        generator = np.random.default_rng((self.seed, _DRAW, number))
        part, index, wanted = self.drawn(generator)
        # a separate stream, so that arms that differ in their transforms see the same crops
        picture, label = self.parts[part].draw(
            index, np.random.default_rng((self.seed, _TRANSFORM, number))
        )
        return self.augmentation(picture, label, generator, wanted)

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [B, H, W, 3] and [B, H, W] of `step`, counted from 0."""
        samples = [
            self.sample(number)
            for number in range(step * self.batch_size, (step + 1) * self.batch_size)
        ]
        return np.stack([picture for picture, _ in samples]), np.stack(
            [label for _, label in samples]
        )

    def dataset(self, first_step: int, end_step: int) -> tf.data.Dataset:
        """Pictures float32 in [-1, 1] and train ids uint8 for the steps from `first_step` to
        `end_step` - 1.
        """
        size = self.augmentation.crop_size

        def gather(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            pictures, ids = tf.numpy_function(
                lambda index: self.batch(int(index)), [step], [tf.uint8, tf.uint8]
            )
            pictures.set_shape([self.batch_size, size.height, size.width, 3])
            ids.set_shape([self.batch_size, size.height, size.width])
            return tf.cast(pictures, tf.float32) / 127.5 - 1, ids

        steps = tf.data.Dataset.range(first_step, end_step)
        return steps.map(gather, num_parallel_calls=2, deterministic=True).prefetch(4)


def _pick(cumulated: np.ndarray, chance: float) -> int:
    return min(
        int(np.searchsorted(cumulated, chance, side="right")),
        int(np.searchsorted(cumulated, cumulated[-1])),
    )


def _common_size(parts: Sequence[LabelledPictures]) -> Size:
    sizes = {part.common_size for part in parts}
    size = sizes.pop()
    if size is None or sizes:
        raise UserError(
            "--crop_size: the training pictures have several sizes; give a crop size, or "
            "--load_size for all"
        )
    return size
