"""Mappings of pictures by name that need not be in memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Pictures = Mapping[str, np.ndarray]


class Named(Mapping[str, np.ndarray]):
    """Base of mappings whose names are known and whose pictures are read or computed on access."""

    def __init__(self, names: Mapping[str, Any]):
        self.names = names

    def __contains__(self, name: object) -> bool:
        return name in self.names  # Mapping's default would read the picture

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


class Made(Named):
    """The outputs of a function for the pictures, or any other values, of a mapping."""

    def __init__(self, function: Callable[[Any], np.ndarray], arrays: Mapping[str, Any]):
        super().__init__(arrays)
        self.function, self.arrays = function, arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self.function(self.arrays[name])


class Renamed(Named):
    """The pictures of a mapping under other names, {new name: name in the mapping}."""

    def __init__(self, arrays: Pictures, names: Mapping[str, str]):
        super().__init__(names)
        self.arrays = arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[self.names[name]]


class InOrder(Sequence[np.ndarray]):
    """The pictures of a mapping as a sequence."""

    def __init__(self, pictures: Pictures):
        self._pictures, self._names = pictures, list(pictures)

    def __getitem__(self, place: Any) -> Any:
        """One picture, or a list for a slice."""
        if isinstance(place, slice):
            return [self._pictures[name] for name in self._names[place]]
        return self._pictures[self._names[place]]

    def __len__(self) -> int:
        return len(self._names)
