"""Percentiles of any number of values in bounded memory, and the ranges derived from them.

Values are counted by a key of the same order: 8-bit and 16-bit values each have their own key, so
percentiles are exact; float32 values are keyed by their upper 21 bits, 12 of them mantissa bits, so
a percentile is off by less than 1 part in 4096 of its distance from an offset (0, or a value among
them), and whole numbers up to 4096 from it are exact. The smallest and the largest value are exact
in any case.
"""

from collections.abc import Sequence

import numpy as np

_DROPPED_BITS = 11
_SHARE = 2.0**-12  # of a value, from one key to the next
_MANY = 1 << 16  # counts that wait to be merged
_LEAST_STEPS = 256  # of keys within a range


class Sketch:
    """Counts of the values of one channel.

    Args:
        offset: near which percentiles are finest.

    Attributes:
        count: number of values.
        smallest: smallest value; infinite if there are none.
        largest: largest value.
    """

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset
        self.count = 0
        self.smallest, self.largest = np.inf, -np.inf
        self._keys = np.zeros(0, np.int64)
        self._counts = np.zeros(0, np.int64)
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, values: np.ndarray) -> None:
        """Counts finite values, given as an array of any shape."""
        if not values.size:
            return
        self.count += values.size
        self.smallest = min(self.smallest, float(values.min()))
        self.largest = max(self.largest, float(values.max()))
        counted = values.ravel()
        if self.offset:
            counted = (counted.astype(np.float64) - self.offset).astype(np.float32)
        self._count(*np.unique(_keys(counted), return_counts=True))

    def include(self, other: "Sketch") -> None:
        """Counts all values that another sketch of the same offset has counted."""
        if not other.count:
            return
        other._merge()
        self.count += other.count
        self.smallest = min(self.smallest, other.smallest)
        self.largest = max(self.largest, other.largest)
        self._count(other._keys, other._counts)

    def percentile(self, share: float) -> float:
        """The smallest value that at least `share` percent of all values do not exceed (the inverse
        of the distribution function); for 0 the smallest of all.

        Raises:
            ValueError: there are no values.
        """
        if not self.count:
            raise ValueError("no values")
        self._merge()
        rank = int(np.ceil(self.count * share / 100))
        if rank in (0, self.count):
            return self.largest if rank else self.smallest
        place = int(np.searchsorted(np.cumsum(self._counts), rank))
        return max(self.offset + _value(int(self._keys[place])), self.smallest)

    def _count(self, keys: np.ndarray, counts: np.ndarray) -> None:
        self._waiting.append((keys, counts))
        if sum(len(each) for each, _ in self._waiting) > _MANY:
            self._merge()

    def _merge(self) -> None:
        keys = np.concatenate([self._keys, *(keys for keys, _ in self._waiting)])
        counts = np.concatenate([self._counts, *(counts for _, counts in self._waiting)])
        self._keys, places = np.unique(keys, return_inverse=True)
        self._counts = np.bincount(places, counts, len(self._keys)).astype(np.int64)
        self._waiting = []


def _keys(values: np.ndarray) -> np.ndarray:
    """Whole numbers in the order of the finite values: the bits of their float32, which holds 8-bit
    and 16-bit values, whole or not, exactly.
    """
    bits = values.astype(np.float32).view(np.int32).astype(np.int64)
    ordered = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    return (ordered >> _DROPPED_BITS) << _DROPPED_BITS if values.dtype.itemsize > 2 else ordered


def _value(key: int) -> float:
    bits = abs(key) | (0x80000000 if key < 0 else 0)
    return float(np.uint32(bits).view(np.float32))


def percentile_ranges(
    sketches: Sequence[Sketch], ends: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """The values at two percentiles of each channel; if both are the same, that value and the next
    whole number, so that the channel is seen as -1.
    """
    found = []
    for sketch, (lower, upper) in zip(sketches, ends, strict=True):
        low, high = sketch.percentile(lower), sketch.percentile(upper)
        found.append((low, high if low < high else low + max(1.0, abs(low) * 1e-3)))
    return found


def offsets_of(ranges: Sequence[tuple[float, float]]) -> list[float]:
    """Of each channel the offset at which its percentiles are to be counted anew, since keys are
    coarse beside its range, as of pressures of 101325 Pa that differ by 10; 0 of the others.
    """
    coarse = [high - low < _LEAST_STEPS * _SHARE * max(abs(low), abs(high)) for low, high in ranges]
    return [low if each else 0.0 for (low, _), each in zip(ranges, coarse, strict=True)]
