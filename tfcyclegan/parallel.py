"""Work on many things at once, in order and in bounded memory."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(executor: Executor, function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int) -> Iterator[Result]:
    """What `function` makes of each item, at most `ahead` of them ahead of what is asked for.

    `Executor.map` would take all items at once, and their results would pile up in memory.
    """
    pending: collections.deque[Future[Result]] = collections.deque()
    for item in items:
        pending.append(executor.submit(function, item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
