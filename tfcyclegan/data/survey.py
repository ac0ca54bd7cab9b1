"""What is found in the pictures of a split: in all of them while they are resized for the first
time, or while a training reads pictures of which only the headers were read before.
"""

import collections
import threading
from collections.abc import Callable, Iterable

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.data import images, intake, notes
from tfcyclegan.data.values import Values

_SAMPLED_EVERY = 4
_NEAR_LEVELS, _NEARLY_ALL = 17, 0.99


class Survey:
    """Collects, from several threads, what is done to pictures and found in them.

    Attributes:
        counts: notes on visible changes, with the number of pictures.
        stretch: see `Pixels`.
        told: all notes of `intake` on pictures that data_prep did not store.
        largest: the largest values of 16-bit pictures.
        plain: the names of pictures of a single colour.
        looks: hashes of two pictures that differ, or of one if none do.
        unknown: label ids that are not in the table.
        gaps: number of arrays that have pixels without a measurement.
    """

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.stretch = 1.0
        self.told: list[str] = []
        self.largest = [0]
        self.plain: set[str] = set()
        self.looks: set[int] = set()
        self.unknown: set[int] = set()
        self.gaps = 0
        self._lock = threading.Lock()

    def look(self, name: str, pixels: np.ndarray) -> None:
        """Notes whether the pixels all have one value, and whether two pictures differ."""
        if len(self.looks) < 2:  # two different ones are enough
            self.looks.add(hash(pixels.tobytes()))
        # few pictures need the second, longer check
        if (pixels[::16, ::16] == pixels[0, 0]).all() and (pixels == pixels[0, 0]).all():
            self.plain.add(name)

    def add_unknown(self, ids: Iterable[int]) -> None:
        """Notes label ids outside the class table."""
        self.unknown.update(ids)

    def add_decoded(self, decoded: intake.Decoded) -> None:
        """Notes what `intake` did to a picture."""
        self.told.extend(decoded.notes)
        self.largest.append(decoded.largest)

    def count_gaps(self) -> None:
        """Counts an array with missing measurements."""
        with self._lock:
            self.gaps += 1

    def note(self, notes: set[str], before: Size, after: Size) -> None:
        """Counts the `notes` on one picture, and the effects of resizing it from `before` to
        `after`.
        """
        with self._lock:
            self.counts.update(notes | images.size_notes(before, after))
            self.stretch = max(self.stretch, images.stretch(before, after))

    def lines(self, total: int) -> list[str]:
        """The lines to report on all `total` pictures."""
        told = [
            *notes.lines(notes.counted(self.told)),
            notes.dim(max(self.largest), "data_prep.folders --max_value"),
            *self.of_looks(f"{total} pictures", total),
        ]
        if self.unknown:
            told.append(
                "label ids outside the class table "
                f"({', '.join(map(str, sorted(self.unknown)))}): ignored"
            )
        return [line for line in told if line]

    def of_looks(self, which: str, count: int) -> list[str]:
        """The line on pictures of a single colour or equal ones among the `count` that were looked
        at, called `which`; none if there is nothing to tell.
        """
        if self.plain:
            shown = min(self.plain)
            return [f"{len(self.plain)} of {which} have a single colour, such as {shown}"]
        return [f"all {which} are identical"] if len(self.looks) == 1 < count else []


class Watch(Survey):
    """Tells, while pictures are read again and again, what a survey of all would have found.

    Args:
        say: is given each line; None if everything is known.
        before: of the pictures that were looked at already.
    """

    def __init__(self, say: Callable[[str], None] | None, before: Survey):
        super().__init__()
        self._say, self.plain, self.unknown = say, before.plain, before.unknown
        self.looks = {0, 1}  # that all are identical would have shown in the first ones

    def look(self, name: str, pixels: np.ndarray) -> None:
        if self._say is None:
            return
        before = len(self.plain)
        with self._lock:
            super().look(name, pixels)
            count = len(self.plain)
        if count > before and count in (1, 10, 100, 1000, 10_000, 100_000):
            self._say(f"{count} of the pictures read so far have a single colour, such as {name}")

    def add_unknown(self, ids: Iterable[int]) -> None:
        with self._lock:
            new = set(ids) - self.unknown
            self.unknown |= new
        if new and self._say:
            listed = ", ".join(map(str, sorted(new)))
            self._say(f"label ids outside the class table ({listed}): ignored")

    def add_decoded(self, decoded: intake.Decoded) -> None:
        """Nothing: it is known."""

    def count_gaps(self) -> None:
        """Nothing: they are counted."""

    def note(self, notes: set[str], before: Size, after: Size) -> None:
        """Nothing: it is known."""


def nearly_constant(pictures: Iterable[np.ndarray], values: Values | None) -> str:
    """A line on pictures whose values are almost all nearly the same; otherwise empty.

    Args:
        pictures: some of them, [H, W, C].
        values: the meaning of measurements' numbers; None for pictures.
    """
    levels = [_levels(one[::_SAMPLED_EVERY, ::_SAMPLED_EVERY], values) for one in pictures]
    sampled = np.concatenate(levels)
    if not len(sampled):
        return ""
    shares = np.bincount(sampled, minlength=256) / len(sampled)
    # the share of this level and the next ones
    near = np.convolve(shares, np.ones(_NEAR_LEVELS))[_NEAR_LEVELS - 1 :]
    low = int(near[: 257 - _NEAR_LEVELS].argmax())
    if near[low] < _NEARLY_ALL:
        return ""
    used = low + np.flatnonzero(shares[low : low + _NEAR_LEVELS])
    shown = f"{used[0]} to {used[-1]}" if used[0] != used[-1] else f"{used[0]}"
    mend = (
        "10-bit or 12-bit pictures in 16-bit files need data_prep.folders --max_value"
        if values is None
        else f"the networks see {values.ranges()} as 0 to 255; prepare the data again with another "
        "--range_a or --range_b"
    )
    return (
        f"warning: {100 * near[low]:.1f} % of its values are {shown} of 255, so there is almost "
        f"nothing to learn; {mend}"
    )


def _levels(pixels: np.ndarray, values: Values | None) -> np.ndarray:
    """Valid values as levels of 0 to 255, in one row."""
    if values is None:
        return pixels.ravel()
    seen = values.to_network(pixels)
    return images.to_uint8(seen[np.isfinite(seen)])
