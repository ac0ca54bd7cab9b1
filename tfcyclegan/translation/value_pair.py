"""The meaning of the numbers on both sides of a translator, and their conversion for its
network.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.resampling import resize_values
from tfcyclegan.data.values import Values, own_plane


def told_of_ranges(domain: str, stored: Values, trained: Values) -> str:
    """How the range of a domain's data differs from the one of training, which is only how numbers
    are scaled: the values mean the same. "" if it does not.
    """
    if (stored.low, stored.high) == (trained.low, trained.high):
        return ""
    return (
        f"ranges: the data of {domain.upper()} have {own_plane(stored).ranges()}, the run was "
        f"trained on {own_plane(trained).ranges()}"
    )


@dataclass(frozen=True)
class ValuePair:
    """The values of both domains; None stands for 8-bit pictures.

    Attributes:
        source: values of the input. Its channels are those of the network's input, including
            neighbouring planes if it has `neighbours`.
        target: values of the translation, likewise.
    """

    source: Values | None = None
    target: Values | None = None

    @property
    def pictures(self) -> bool:
        """Whether both sides are 8-bit pictures."""
        return self.source is None and self.target is None

    @property
    def back(self) -> "ValuePair":
        """The values of a translator back."""
        return ValuePair(self.target, self.source)

    @property
    def written(self) -> Values | None:
        """The values of a translation as written: only of its own plane."""
        return None if self.target is None else own_plane(self.target)

    def to_network(self, array: np.ndarray) -> np.ndarray:
        """[..., C] in the source's own numbers as float32 in [-1, 1]; -1 where they are invalid, as
        in the training step.
        """
        if self.source is None:
            return images.to_float(array)
        return np.nan_to_num(self.source.to_network(array), copy=False, nan=-1.0)

    def gaps(self, array: np.ndarray) -> np.ndarray | None:
        """Where a translation is missing because a channel of its pixel is missing, which losses
        ignored: bool [..., 1]; None if the source is pictures.
        """
        if self.source is None:
            return None
        invalid: np.ndarray = np.any(self.source.invalid(array), axis=-1, keepdims=True)
        return invalid

    def resized(self, array: np.ndarray, size: Size, interpolation: str = "bicubic") -> np.ndarray:
        """Resizes [H, W, C] in the source's own numbers as training does."""
        if self.source is None:
            return images.to_array(images.resize(images.to_image(array), size, interpolation))
        # a file of another type keeps its type
        values = dataclasses.replace(self.source, dtype=str(array.dtype))
        return resize_values(array, values, size, interpolation)

    def from_network(self, seen: np.ndarray, gaps: np.ndarray | None = None) -> np.ndarray:
        """Converts the network's output, [..., C] in [-1, 1], to the target's own numbers: only the
        own plane, with nodata where `gaps` is true, or black in a picture.
        """
        written = self.written
        if written is None:
            return images.to_uint8(seen if gaps is None else np.where(gaps, -1, seen))
        assert self.target is not None
        return written.from_network(seen[..., self.target.centre], gaps)

    @classmethod
    def of_domains(cls, values: Mapping[str, Values], direction: str) -> "ValuePair":
        """From the values of domains "A" and "B", for a translator of `direction` "ab" or "ba"."""
        return cls(*(values.get(domain.upper()) for domain in direction))

    def told(self) -> list[str]:
        """Both sides in words, one line each; empty for pictures."""
        if self.pictures:
            return []
        sides = {"takes": self.source, "gives": self.written}
        return [
            f"{verb} {describe(values) if values else '8-bit pictures'}"
            for verb, values in sides.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """The form in `metadata.json`: {"from": ..., "to": ...}, null for pictures; empty if both
        are pictures.
        """
        sides = {"from": self.source, "to": self.target}
        return (
            {}
            if self.pictures
            else {name: side.to_json() if side else None for name, side in sides.items()}
        )

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "ValuePair":
        sides = [stored.get(name) for name in ("from", "to")]
        return cls(*(Values.from_json(side) if side else None for side in sides))


def network_size(own: Size, scale: images.Scale | None) -> Size:
    """The size to which planes of size `own` are resized for the network, from the training's
    scale. A scale that keeps sizes only rounds sides to multiples of 4, which mirroring does
    better.
    """
    return own if scale is None or scale.mode == "none" else scale.size_of(own)


def describe(values: Values) -> str:
    """Such as "int16, 1 channel, range -1000:2000 HU, nodata -32768"."""
    plane = own_plane(values)
    parts = [values.dtype, f"{plane.channels} channel{'s' if plane.channels > 1 else ''}"]
    if values.neighbours:
        parts.append(f"{values.neighbours} neighbouring planes on either side")
    parts.append(plane.ranges())
    if values.nodata is not None:
        parts.append(f"nodata {values.nodata:g}")
    return ", ".join(parts)
