"""Pictures by name that need not be in memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Pictures = Mapping[str, np.ndarray]


class Named(Mapping[str, np.ndarray]):
    """Pictures that are read or made when they are asked for; what they are called is known."""

    def __init__(self, names: Mapping[str, Any]):
        self.names = names

    def __contains__(self, name: object) -> bool:
        return name in self.names  # Mapping's own way would read the picture

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


class Made(Named):
    """What a function makes of the pictures of a mapping, or of anything else by name."""

    def __init__(self, function: Callable[[Any], np.ndarray], arrays: Mapping[str, Any]):
        super().__init__(arrays)
        self.function, self.arrays = function, arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self.function(self.arrays[name])


class Renamed(Named):
    """Pictures of a mapping under other names: {name: the name there}."""

    def __init__(self, arrays: Pictures, names: Mapping[str, str]):
        super().__init__(names)
        self.arrays = arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[self.names[name]]


class InOrder(Sequence[np.ndarray]):
    """The pictures of a mapping by their places."""

    def __init__(self, pictures: Pictures):
        self._pictures, self._names = pictures, list(pictures)

    def __getitem__(self, place: Any) -> Any:
        """The picture at a place, or of a slice of places a list."""
        if isinstance(place, slice):
            return [self._pictures[name] for name in self._names[place]]
        return self._pictures[self._names[place]]

    def __len__(self) -> int:
        return len(self._names)
