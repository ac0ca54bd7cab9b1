"""Unpaired batches.

Semantics of the official `unaligned` data set: an epoch is max(|A|, |B|) images; domain a is
traversed in shuffled order, with a picture of b drawn uniformly at random for each; the two are
cropped
and flipped independently.
"""

from dataclasses import dataclass

import numpy as np

from tfcyclegan.data.batches import Batches
from tfcyclegan.data.pixels import Pixels

_ORDER, _DOMAIN_A, _DOMAIN_B = range(3)  # independent streams of random numbers


@dataclass(frozen=True)
class UnpairedBatches(Batches):
    """Batches of unpaired pictures of a and b.

    Args:
        of_a: int [N], which pictures of a are taken; None takes all.
        of_b: likewise of b.
    """

    of_a: np.ndarray | None = None
    of_b: np.ndarray | None = None

    @property
    def _images(self) -> int:
        return max(self.count_a, self.count_b)

    @property
    def count_a(self) -> int:
        """How many pictures of a are taken."""
        return len(self.pixels_a) if self.of_a is None else len(self.of_a)

    @property
    def count_b(self) -> int:
        return len(self.pixels_b) if self.of_b is None else len(self.of_b)

    def indices(self, sample: int) -> tuple[int, int]:
        """The indices of the pictures of a and b in the `sample`-th pair since the start."""
        return self._index_a(sample), self._index_b(self._draws(_DOMAIN_B, sample))

    def _index_a(self, sample: int) -> int:
        position = self._position(_ORDER, sample) % self.count_a
        return position if self.of_a is None else int(self.of_a[position])

    def _index_b(self, generator: np.random.Generator) -> int:
        """The first draw of the sample's generator; its crop and flip follow."""
        drawn = int(generator.integers(self.count_b))
        return drawn if self.of_b is None else int(self.of_b[drawn])

    def sample(
        self, number: int, pixels_a: Pixels, pixels_b: Pixels
    ) -> tuple[np.ndarray, np.ndarray]:
        draws_a, draws_b = self._draws(_DOMAIN_A, number), self._draws(_DOMAIN_B, number)
        chosen = pixels_a[self._index_a(number)], pixels_b[self._index_b(draws_b)]
        strength_a, strength_b = self.colour_jitter
        (one,) = self._augmented([chosen[0]], draws_a, [strength_a])
        (other,) = self._augmented([chosen[1]], draws_b, [strength_b])
        return one, other
