"""Unpaired batches as a function of (seed, step): no iterator holds state, so a resumed run seeks
instead of replaying.

Semantics of the official `unaligned` data set: an epoch is max(|A|, |B|) images; domain a is walked
through in shuffled order, a picture of b is drawn uniformly at random for each; the two are cropped
and flipped independently.
"""

import functools
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.pixels import PixelFile
from tfcyclegan.errors import UserError

_ORDER, _DOMAIN_A, _DOMAIN_B = range(3)  # independent streams of random numbers


@dataclass(frozen=True)
class UnpairedBatches:
    """Batches of one picture of a and one of b each.

    Args:
        pixels_a: resized pictures of domain a.
        pixels_b: resized pictures of domain b.
        crop_size: of the random crop; None takes pictures whole.
        flip: whether to mirror half of the pictures.
        batch_size: pictures of each domain in a batch.
        seed: at least 0.
    """

    pixels_a: PixelFile
    pixels_b: PixelFile
    crop_size: Size | None
    flip: bool
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.batch_size > 1 and None in (self.size_a, self.size_b):
            raise UserError(
                "--batch_size: pictures of different sizes go in batches of 1; choose a "
                "--preprocess that crops"
            )

    @property
    def epoch_images(self) -> int:
        return max(len(self.pixels_a), len(self.pixels_b))

    @property
    def size_a(self) -> Size | None:
        """The size of every batch's pictures of a, or None if it varies."""
        return self.crop_size or self.pixels_a.common_size

    @property
    def size_b(self) -> Size | None:
        return self.crop_size or self.pixels_b.common_size

    def indices(self, sample: int) -> tuple[int, int]:
        """Which pictures of a and b the `sample`-th pair since the start has; the last batch of an
        epoch runs into the next.
        """
        return self._index_a(sample), self._index_b(self._generator(_DOMAIN_B, sample))

    def _index_a(self, sample: int) -> int:
        epoch, position = divmod(sample, self.epoch_images)
        return int(_shuffled(self.seed, epoch, self.epoch_images)[position]) % len(self.pixels_a)

    def _index_b(self, generator: np.random.Generator) -> int:
        """The first draw of the sample's generator; its crop and flip follow."""
        return int(generator.integers(len(self.pixels_b)))

    def batch(self, step: int, part: int = 0, parts: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """The uint8 [B, H, W, C] batches of a and b of `step`, counted from 0, or one of their
        equal parts.
        """
        pictures: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        size = self.batch_size // parts
        first = step * self.batch_size + part * size
        for sample in range(first, first + size):
            generator_a, generator_b = (
                self._generator(_DOMAIN_A, sample),
                self._generator(_DOMAIN_B, sample),
            )
            chosen = self.pixels_a[self._index_a(sample)], self.pixels_b[self._index_b(generator_b)]
            pictures[0].append(
                images.random_window(chosen[0], self.crop_size, self.flip, generator_a)
            )
            pictures[1].append(
                images.random_window(chosen[1], self.crop_size, self.flip, generator_b)
            )
        return np.stack(pictures[0]), np.stack(pictures[1])

    def dataset(
        self, first_step: int, end_step: int, *, parts: int = 1, own: range = range(1)
    ) -> tf.data.Dataset:
        """Float batches (real_a, real_b) in [-1, 1] of the steps from `first_step` up to before
        `end_step`.

        With `parts` each batch is cut into so many equal ones, of which those in `own` are given
        one after another: one for each of a worker's replicas. No other picture is read.
        """
        count = self.batch_size // parts

        def gather(step: tf.Tensor, part: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            batches = tf.numpy_function(
                lambda step, part: self.batch(int(step), int(part), parts),
                [step, part],
                [tf.uint8, tf.uint8],
            )
            shaped = []
            for batch, size, pixels in zip(
                batches, (self.size_a, self.size_b), (self.pixels_a, self.pixels_b), strict=True
            ):
                height, width = (size.height, size.width) if size else (None, None)
                batch.set_shape([count, height, width, pixels.channels])
                shaped.append(tf.cast(batch, tf.float32) / 127.5 - 1)
            return shaped[0], shaped[1]

        steps = tf.data.Dataset.range(first_step, end_step)
        shares = steps.flat_map(
            lambda step: tf.data.Dataset.range(own.start, own.stop).map(lambda part: (step, part))
        )
        return shares.map(gather, num_parallel_calls=2, deterministic=True).prefetch(4 * len(own))

    def _generator(self, stream: int, sample: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, stream, sample))


@functools.lru_cache(maxsize=4)
def _shuffled(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, _ORDER, epoch)).permutation(count)
