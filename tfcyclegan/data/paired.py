"""Batches of pairs: corresponding pictures of both domains, cropped and flipped alike.

Semantics of the official `aligned` data set: an epoch is every pair once, in shuffled order; both
pictures share one crop position and one flip.
"""

from dataclasses import dataclass

import numpy as np

from tfcyclegan.data.batches import Batches
from tfcyclegan.data.pixels import Pixels

_ORDER, _PAIR = 3, 4  # streams of random numbers; `unpaired` has others


@dataclass(frozen=True, kw_only=True)
class PairedBatches(Batches):
    """Batches of pairs.

    Args:
        pairs: int [N, 2], indices of corresponding pictures of a and b, which have equal sizes.
    """

    pairs: np.ndarray

    @property
    def _images(self) -> int:
        return len(self.pairs)

    def sample(
        self, number: int, pixels_a: Pixels, pixels_b: Pixels
    ) -> tuple[np.ndarray, np.ndarray]:
        index_a, index_b = self.pairs[self._position(_ORDER, number)]
        one, other = self._augmented(
            [pixels_a[index_a], pixels_b[index_b]],
            self._draws(_PAIR, number),
            self.colour_jitter,
        )
        return one, other
