"""What several measures compute of the same picture is computed once, while it passes."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

Result = TypeVar("Result")

_known: ContextVar[dict[Any, tuple[np.ndarray, Any]] | None] = ContextVar("known", default=None)


@contextlib.contextmanager
def sharing() -> Iterator[None]:
    """Within the block, `shared` functions remember what they made of each array. The arrays stay
    in memory for as long, and must not be changed.
    """
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def shared(function: Callable[[np.ndarray], Result]) -> Callable[[np.ndarray], Result]:
    """`function`, computed once for each array while `sharing`; else whenever it is called."""

    @functools.wraps(function)
    def once(array: np.ndarray) -> Result:
        known = _known.get()
        if known is None:
            return function(array)
        key = (function, id(array))
        if key not in known:
            known[key] = array, function(array)  # the array, so that no other one gets its id
        result: Result = known[key][1]
        return result

    return once
