"""What a direction into a domain of measurements is scored on, in the units of the data;
`EvaluationSet` has the same as it is displayed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tfcyclegan.data.values import Values

_RANGES_TOLD = 4  # of channels whose ranges differ


@dataclass(frozen=True)
class MeasuredSet:
    """Arrays [H, W, C] of the target domain in its units; where they are invalid, nothing is
    scored.

    Attributes:
        values: of the target domain.
        sets: what is made of the inputs, by name of the set: translations and controls; NaN where
            the inputs have gaps, whatever is written there.
        held_out: real measurements of the target domain that no training saw.
        target_train: real training measurements of it.
        truths: by an input's name the true measurement; empty where no pairs are known.
        subjects: by an input's name whose it is: a volume, patient or scene. An input that is not
            named is a subject by itself.
        regions: by an input's name the ids of the regions that its pixels lie in, [H, W]; 0 is
            outside of all.
        to_beat: the controls that a translation must beat.
    """

    values: Values
    sets: Mapping[str, Mapping[str, np.ndarray]]
    held_out: Mapping[str, np.ndarray] = field(default_factory=dict)
    target_train: Sequence[np.ndarray] = ()
    truths: Mapping[str, np.ndarray] = field(default_factory=dict)
    subjects: Mapping[str, str] = field(default_factory=dict)
    regions: Mapping[str, np.ndarray] = field(default_factory=dict)
    to_beat: tuple[str, ...] = ()

    @property
    def of_subjects(self) -> dict[str, list[str]]:
        """The names of the inputs that have truths, by subject."""
        found: dict[str, list[str]] = {}
        for name in self.truths:
            found.setdefault(self.subjects.get(name, name), []).append(name)
        return found

    @property
    def digits(self) -> int:
        """Behind the point of numbers in units: a ten-thousandth of the value range is told."""
        width = max(high - low for low, high in zip(self.values.low, self.values.high, strict=True))
        return max(0, 4 - math.floor(math.log10(width)))

    @property
    def channel_names(self) -> list[str]:
        names = self.values.names
        return [
            names[index] if index < len(names) else f"channel {index + 1}"
            for index in range(self.values.channels)
        ]

    @property
    def range_told(self) -> str:
        """Such as "in HU; the range is -1000 to 2000"."""
        ends = dict.fromkeys(zip(self.values.low, self.values.high, strict=True))
        shown = [f"{low:g} to {high:g}" for low, high in ends]
        told = ", ".join(shown[:_RANGES_TOLD])
        if len(shown) > _RANGES_TOLD:
            told += f", ... {len(shown) - _RANGES_TOLD} more"
        units = self.values.units or "the data's own units"
        each = " (a channel each)" if len(ends) > 1 else ""
        return f"in {units}; the range is {told}{each}"
