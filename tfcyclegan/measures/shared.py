"""A memo for one scene: what several measures read or compute of the same picture is done once."""

import contextlib
import functools
from collections.abc import Callable, Hashable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

Result = TypeVar("Result")

_known: ContextVar[dict[Hashable, Any] | None] = ContextVar("known", default=None)


@contextlib.contextmanager
def sharing() -> Iterator[None]:
    """Within the block, `once` and `shared` functions remember their results. Arrays stay in memory
    until its end and must not be changed.
    """
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def once(key: Hashable, make: Callable[[], Result]) -> Result:
    """The result of `make`, which is called once per key while `sharing`, otherwise every time."""
    known = _known.get()
    if known is None:
        return make()
    if key not in known:
        known[key] = make()
    result: Result = known[key]
    return result


def shared(function: Callable[[np.ndarray], Result]) -> Callable[[np.ndarray], Result]:
    """`function`, computed once per array while `sharing`, otherwise on every call."""

    @functools.wraps(function)
    def wrapper(array: np.ndarray) -> Result:
        # The array is kept with the result, so that no other array can get its id.
        return once((function, id(array)), lambda: (array, function(array)))[1]

    return wrapper
