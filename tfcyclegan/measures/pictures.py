"""Pictures by name that need not be in memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

Pictures = Mapping[str, np.ndarray]


class Made(Mapping[str, np.ndarray]):
    """What a function makes of the pictures of a mapping, whenever one is asked for."""

    def __init__(self, function: Callable[[Any], np.ndarray], arrays: Mapping[str, Any]):
        self.function, self.arrays = function, arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self.function(self.arrays[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)


class Renamed(Mapping[str, np.ndarray]):
    """Pictures of a mapping under other names: {name: the name there}."""

    def __init__(self, arrays: Pictures, names: Mapping[str, str]):
        self.arrays, self.names = arrays, names

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[self.names[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


class InOrder(Sequence[np.ndarray]):
    """The pictures of a mapping by their places."""

    def __init__(self, pictures: Pictures):
        self._pictures, self._names = pictures, list(pictures)

    @overload
    def __getitem__(self, place: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[np.ndarray]: ...

    def __getitem__(self, place: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        if isinstance(place, slice):
            return InOrder(Renamed(self._pictures, {name: name for name in self._names[place]}))
        return self._pictures[self._names[place]]

    def __len__(self) -> int:
        return len(self._names)
