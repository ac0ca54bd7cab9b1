"""The meaning of the numbers in a domain of measurements: type, channels, value ranges, units and
nodata, and their conversion for networks. Imports no TensorFlow.

A domain of 8-bit gray or RGB pictures has no `Values`: `data.images` reads it. In every other
domain arrays are [H, W, C] of `Values.dtype`, and a pixel is *invalid* in a channel where it is NaN
or `nodata`. Networks see [low, high] of each channel as [-1, 1] in float32, clipped, and NaN where
a pixel is invalid, which the training step masks (`methods.masking`).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcyclegan.config.batches import MOST_CHANNELS
from tfcyclegan.errors import UserError

TYPES = ("uint8", "uint16", "int16", "float16", "float32")


@dataclass(frozen=True)
class Values:
    """Describes the numbers of one domain.

    Attributes:
        dtype: type of the arrays as stored, translated and written, one of TYPES.
        low: for each channel, the value that networks see as -1.
        high: for each channel, the value that networks see as 1.
        nodata: the value, besides NaN, that marks pixels without a measurement; None if there is no
            such value.
        units: such as "HU"; empty if the source has none.
        names: the channels' names; empty if the source has none.
        neighbours: number of planes before and after each plane that are channels beside its own
            ("2.5D"), in the order of the planes, each with all channels of its file
            (`formats.stacks`).
    """

    dtype: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    nodata: float | None = None
    units: str = ""
    names: tuple[str, ...] = ()
    neighbours: int = 0

    def __post_init__(self) -> None:
        if self.dtype not in TYPES:
            raise UserError(f"values of type {self.dtype}: must be one of {', '.join(TYPES)}")
        if not 1 <= len(self.low) == len(self.high) <= MOST_CHANNELS:
            raise UserError(
                f"value ranges of {len(self.low)} and {len(self.high)} channels: give both ends "
                f"for each of 1 to {MOST_CHANNELS} channels"
            )
        for channel, (low, high) in enumerate(zip(self.low, self.high, strict=True), 1):
            if not (np.isfinite(low) and np.isfinite(high) and low < high):
                raise UserError(
                    f"value range {low:g}:{high:g} of channel {channel}: must be two numbers, the "
                    "lower one first"
                )

    @property
    def channels(self) -> int:
        return len(self.low)

    @property
    def is_integer(self) -> bool:
        return np.issubdtype(np.dtype(self.dtype), np.integer)

    @property
    def centre(self) -> slice:
        """The plane's own channels, if there are channels of neighbours beside them."""
        own = self.channels // (2 * self.neighbours + 1)
        return slice(self.neighbours * own, (self.neighbours + 1) * own)

    def ranges(self) -> str:
        """A readable form: the range of all channels, or of each, with the unit."""
        units = f" {self.units}" if self.units else ""
        ends = [f"{low:g}:{high:g}" for low, high in zip(self.low, self.high, strict=True)]
        if len(set(ends)) == 1:
            return f"range {ends[0]}{units}"
        shown = ", ".join(ends[:8]) + (f", ... {len(ends) - 8} more" if len(ends) > 8 else "")
        return f"ranges {shown}{units}"

    def invalid(self, array: np.ndarray) -> np.ndarray:
        """Where values [..., C] are not measurements: bool of the same shape."""
        found = np.zeros(array.shape, bool)
        if not np.issubdtype(array.dtype, np.integer):
            found |= ~np.isfinite(array)
        if self.nodata is not None and np.isfinite(self.nodata):
            # compared in the array's own type, since nodata is rounded to float16 too
            found |= array == np.asarray(self.nodata).astype(array.dtype)
        return found

    def invalid_pixels(self, array: np.ndarray) -> np.ndarray:
        """Where a pixel enters no loss and has no translation: bool [..., 1], true where any
        channel of `array` is invalid.
        """
        return np.logical_or.reduce(self.invalid(array), axis=-1, keepdims=True)

    def outside(self, array: np.ndarray) -> int:
        """The number of valid values of [..., C] that are outside their range and are clipped."""
        # compared in the type of floats, in which the ends of the range are rounded too
        is_float = np.issubdtype(array.dtype, np.floating)
        with np.errstate(over="ignore"):
            low, high = (
                end.astype(array.dtype) if is_float else end for end in (self._low64, self._high64)
            )
        beyond = (array < low) | (array > high)
        return int(np.count_nonzero(beyond & ~self.invalid(array)))

    def to_network(self, array: np.ndarray) -> np.ndarray:
        """Converts values [..., C] to float32 in [-1, 1], clipped; NaN where they are invalid."""
        scaled = (array.astype(np.float64) - self._low64) / (self._high64 - self._low64) * 2 - 1
        seen = np.clip(scaled, -1, 1).astype(np.float32)
        seen[self.invalid(array)] = np.nan
        return seen

    def from_network(self, seen: np.ndarray, invalid: np.ndarray | None = None) -> np.ndarray:
        """Converts networks' outputs [..., C] in [-1, 1] to values of `dtype` in the range of each
        channel: integers rounded to the nearest, and `gap` where `invalid` [..., C or 1] is true.

        Values are clipped, then rounded, then cast. A result equal to `nodata` becomes the value
        next to it, since it is a valid value (`reserved`).
        """
        share = (np.clip(np.asarray(seen, np.float64), -1, 1) + 1) / 2
        values = self._low64 + share * (self._high64 - self._low64)
        if self.is_integer:
            values = np.rint(values)
        array = np.clip(values, *self.limits).astype(self.dtype)
        if self.reserved is not None:
            nodata, beside = self.reserved
            array[array == nodata] = beside
        if invalid is not None:
            array = np.where(invalid, self.gap, array)
        return array

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest number that `dtype` holds."""
        limits = np.iinfo(self.dtype) if self.is_integer else np.finfo(self.dtype)
        return float(limits.min), float(limits.max)

    @property
    def reserved(self) -> tuple[np.generic, np.generic] | None:
        """`nodata` as stored, and the next value towards the middle of the (first channel's) range;
        None if no number marks missing measurements.
        """
        if self.nodata is None or not np.isfinite(self.nodata):
            return None
        kind, middle = np.dtype(self.dtype).type, (self.low[0] + self.high[0]) / 2
        if not self.is_integer:
            with np.errstate(over="ignore"):
                nodata = kind(self.nodata)
                return nodata, np.nextafter(nodata, kind(middle))
        if not holds(self.dtype, self.nodata):
            return None
        limits = np.iinfo(self.dtype)
        # at an end of the type there is only one direction
        middle = np.clip(middle, limits.min + 1, limits.max - 1)
        step = 1 if self.nodata < middle else -1
        return kind(self.nodata), kind(int(self.nodata) + step)

    @property
    def gap(self) -> np.ndarray:
        """What is written where there is no measurement, [C] of `dtype`: `nodata`, otherwise NaN,
        or for integers without nodata the lowest value that the channel's translations have.
        """
        if self.gap_or_none is not None:
            return np.full(self.channels, self.gap_or_none, self.dtype)
        return np.clip(np.rint(self._low64), *self.limits).astype(self.dtype)

    @property
    def gap_or_none(self) -> float | None:
        """`nodata`, otherwise NaN; None for integers without nodata, or with one that they do not
        hold, which cannot mark missing measurements.
        """
        if self.nodata is not None and holds(self.dtype, self.nodata):
            return self.nodata
        return None if self.is_integer else float("nan")

    @property
    def _low64(self) -> np.ndarray:
        return np.asarray(self.low, np.float64)

    @property
    def _high64(self) -> np.ndarray:
        return np.asarray(self.high, np.float64)

    def to_json(self) -> dict[str, Any]:
        """The form stored in manifests and `metadata.json`; NaN is the string "nan"."""
        nodata = self.nodata
        return {
            "dtype": self.dtype,
            "low": list(self.low),
            "high": list(self.high),
            "nodata": "nan" if nodata is not None and np.isnan(nodata) else nodata,
            "units": self.units,
            "names": list(self.names),
            **({"neighbours": self.neighbours} if self.neighbours else {}),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Values":
        nodata = stored.get("nodata")
        return cls(
            str(stored["dtype"]),
            tuple(float(value) for value in stored["low"]),
            tuple(float(value) for value in stored["high"]),
            None if nodata is None else float(nodata),
            str(stored.get("units", "")),
            tuple(str(name) for name in stored.get("names", ())),
            int(stored.get("neighbours", 0)),
        )


def holds(dtype: str | np.dtype, number: float) -> bool:
    """Whether a type has a number, so that it can mark gaps there: floats round it, integers would
    wrap it to another one.
    """
    if not np.issubdtype(np.dtype(dtype), np.integer):
        return True
    limits = np.iinfo(dtype)
    return bool(limits.min <= number <= limits.max) and number == int(number)


def own_plane(values: Values) -> Values:
    """The values of a single plane, without the channels of its neighbours."""
    if not values.neighbours:
        return values
    own = values.centre
    return dataclasses.replace(
        values,
        low=values.low[own],
        high=values.high[own],
        names=values.names[own] if len(values.names) == values.channels else values.names,
        neighbours=0,
    )


@dataclass(frozen=True)
class RangeRequest:
    """The value of `--range_a` or `--range_b`: a pair of ends, for all channels or for each.

    Attributes:
        ends: (low, high) for each channel, or one pair for all; empty means the default: the full
            range of uint8, otherwise the 0.5th and 99.5th percentiles.
        percentiles: whether the ends are percentiles of the training data's valid values.
    """

    ends: tuple[tuple[float, float], ...] = ()
    percentiles: bool = False

    @classmethod
    def parse(cls, flag: str, text: str) -> "RangeRequest":
        """Reads `-1000:2000`, `0:1,0:4000` or `p0.5:p99.5`.

        Raises:
            UserError: it has another form, or a lower end is not below its upper end.
        """
        if not text:
            return cls()
        ends, kinds = [], set()
        for part in text.split(","):
            sides = part.split(":")
            kinds.add(tuple(side.startswith("p") for side in sides))
            try:
                low, high = (float(side.removeprefix("p")) for side in sides)
            except ValueError:
                raise UserError(f"{flag}={text}: {_RANGE_FORM}") from None
            if not (np.isfinite(low) and np.isfinite(high) and low < high):
                raise UserError(f"{flag}={text}: the lower end comes first; {_RANGE_FORM}")
            ends.append((low, high))
        if kinds not in ({(True, True)}, {(False, False)}):
            raise UserError(f"{flag}={text}: {_RANGE_FORM}")
        percentiles = kinds == {(True, True)}
        if percentiles and not all(0 <= low < high <= 100 for low, high in ends):
            raise UserError(f"{flag}={text}: percentiles must be between p0 and p100")
        return cls(tuple(ends), percentiles)

    def of_channels(self, count: int, flag: str) -> Sequence[tuple[float, float]]:
        """The ends of each of `count` channels.

        Raises:
            UserError: they are for another number of channels.
        """
        if len(self.ends) not in (1, count):
            raise UserError(
                f"{flag}: gives {len(self.ends)} ranges, but the data has {count} channels; give "
                "one, or one for each"
            )
        return self.ends * count if len(self.ends) == 1 else self.ends


_RANGE_FORM = (
    "give LOW:HIGH such as -1000:2000, percentiles such as p0.5:p99.5, or one for each channel, "
    "separated by commas"
)
