"""Batches as a function of (seed, step): no iterator holds state, so a resumed run seeks instead of
replaying.
"""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfcyclegan.config import Size
from tfcyclegan.data import augmentation
from tfcyclegan.data.pixels import Pixels
from tfcyclegan.errors import UserError


class Decaying(NamedTuple):
    """The pictures for the epochs of falling learning rate, resized to another size.

    Attributes:
        from_step: the first step that uses them.
        pixels_a: pictures of domain a.
        pixels_b: pictures of domain b.
    """

    from_step: int
    pixels_a: Pixels
    pixels_b: Pixels


@dataclass(frozen=True)
class Batches:
    """Batches of pictures of both domains; subclasses choose the pictures.

    Args:
        pixels_a: resized pictures of domain a.
        pixels_b: resized pictures of domain b.
        crop_size: size of the random crop; None uses whole pictures.
        flip: whether to mirror half of the pictures.
        batch_size: pictures of each domain in a batch.
        seed: at least 0.
        rotations: whether to rotate pictures by 0, 90, 180 or 270 degrees.
        colour_jitter: strengths for domains a and b, see `augmentation.augmented`.
        drop_remainder: whether an epoch ends before pictures that do not fill a batch; otherwise
            its last batch runs into the next epoch.
        decaying: replaces `pixels_a` and `pixels_b` from some step on.
        beside: batches that accompany these at the same steps.

    Attributes:
        failures: what went wrong while `dataset` read pictures.
    """

    pixels_a: Pixels
    pixels_b: Pixels
    crop_size: Size | None
    flip: bool
    batch_size: int
    seed: int
    rotations: bool = False
    colour_jitter: tuple[float, float] = (0.0, 0.0)
    drop_remainder: bool = False
    decaying: Decaying | None = None
    beside: "Batches | None" = None
    failures: list[Exception] = field(default_factory=list, init=False, compare=False)

    def __post_init__(self) -> None:
        if self.batch_size > 1 and None in (self.size_a, self.size_b):
            raise UserError(
                "--batch_size: pictures of different sizes need batches of 1; choose a "
                "--preprocess that crops"
            )
        if not self.epoch_images:
            raise UserError(
                f"--drop_remainder: an epoch of {self._images} images has no whole batch of "
                f"{self.batch_size}; lower --batch_size"
            )

    @property
    def _images(self) -> int:
        """Pictures per epoch, before any remainder is dropped."""
        raise NotImplementedError

    @property
    def epoch_images(self) -> int:
        return self._images - self.remainder

    @property
    def remainder(self) -> int:
        """Pictures that an epoch leaves out because they do not fill a batch."""
        return self._images % self.batch_size if self.drop_remainder else 0

    @property
    def gaps(self) -> bool:
        """Whether batches may have pixels without a measurement."""
        decaying = self.decaying[1:] if self.decaying else ()
        return any(pixels.gaps for pixels in (self.pixels_a, self.pixels_b, *decaying))

    @property
    def size_a(self) -> Size | None:
        """The size of a's pictures in all batches, or None if it varies."""
        return self.crop_size or self.pixels_a.common_size

    @property
    def size_b(self) -> Size | None:
        return self.crop_size or self.pixels_b.common_size

    def sample(
        self, number: int, pixels_a: Pixels, pixels_b: Pixels
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `number`-th pictures of a and b since the start: uint8 [H, W, C], or measurements of
        their own types.
        """
        raise NotImplementedError

    def batch(self, step: int, part: int = 0, parts: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """The [B, H, W, C] batches of a and b for `step`, counted from 0, or one of their equal
        parts: pictures as uint8; measurements as float32 in [-1, 1] with NaN where there is none.
        """
        size = self.batch_size // parts
        first = step * self.batch_size + part * size
        pixels = self.pixels_a, self.pixels_b
        if self.decaying is not None and step >= self.decaying.from_step:
            pixels = self.decaying.pixels_a, self.decaying.pixels_b
        samples = [self.sample(number, *pixels) for number in range(first, first + size)]
        both = np.stack([a for a, _ in samples]), np.stack([b for _, b in samples])
        batches = [
            batch if each.values is None else each.values.to_network(batch)
            for batch, each in zip(both, pixels, strict=True)
        ]
        return batches[0], batches[1]

    def dataset(
        self, first_step: int, end_step: int, *, parts: int = 1, own: range = range(1)
    ) -> tf.data.Dataset:
        """Float batches in [-1, 1] for the steps from `first_step` to `end_step` - 1: (real_a,
        real_b), followed by those of `beside`. Missing measurements are NaN.

        Each batch is divided into `parts` equal ones, of which those in `own` are returned one
        after another: one for each of a worker's replicas. No other picture is read.
        """
        count = self.batch_size // parts
        kinds = [
            tf.uint8 if pixels.values is None else tf.float32
            for pixels in (self.pixels_a, self.pixels_b)
        ]

        def read(step: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            try:
                return self.batch(int(step), int(part), parts)
            except Exception as error:
                self.failures.append(error)
                raise

        def gather(step: tf.Tensor, part: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            batches = tf.numpy_function(read, [step, part], kinds)
            shaped = []
            for batch, size, pixels in zip(
                batches, (self.size_a, self.size_b), (self.pixels_a, self.pixels_b), strict=True
            ):
                height, width = (size.height, size.width) if size else (None, None)
                batch.set_shape([count, height, width, pixels.channels])
                is_picture = batch.dtype == tf.uint8
                shaped.append(tf.cast(batch, tf.float32) / 127.5 - 1 if is_picture else batch)
            return shaped[0], shaped[1]

        steps = tf.data.Dataset.range(first_step, end_step)
        shares = steps.flat_map(
            lambda step: tf.data.Dataset.range(own.start, own.stop).map(lambda part: (step, part))
        )
        readers = max(self.pixels_a.readers, self.pixels_b.readers)
        made = shares.map(gather, num_parallel_calls=readers, deterministic=True)
        made = made.prefetch(4 * len(own))
        if self.beside is None:
            return made
        beside = self.beside.dataset(first_step, end_step, parts=parts, own=own)
        return tf.data.Dataset.zip(made, beside).map(lambda one, other: (*one, *other))

    @contextlib.contextmanager
    def failures_told(self) -> Iterator[None]:
        """Raises what went wrong while pictures were read, of which TensorFlow makes an error of
        its own; use it around the reading of `dataset`.
        """
        try:
            yield
        except tf.errors.OpError:
            beside = self.beside.failures if self.beside else []
            for failure in (*self.failures, *beside):
                raise failure from None
            raise

    def _augmented(
        self,
        pictures: Sequence[np.ndarray],
        generator: np.random.Generator,
        colour_jitter: Sequence[float],
    ) -> list[np.ndarray]:
        return augmentation.augmented(
            pictures,
            generator,
            crop_size=self.crop_size,
            flip=self.flip,
            rotations=self.rotations,
            colour_jitter=colour_jitter,
        )

    def _draws(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, stream, number))

    def _position(self, stream: int, number: int) -> int:
        """The position of the `number`-th sample in the order of its epoch, 0 .. _images - 1; each
        epoch is shuffled separately.
        """
        epoch, position = divmod(number, self.epoch_images)
        return int(_shuffled(self.seed, stream, epoch, self._images)[position])


@functools.lru_cache(maxsize=4)
def _shuffled(seed: int, stream: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, stream, epoch)).permutation(count)
