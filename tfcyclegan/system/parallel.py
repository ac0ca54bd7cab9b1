"""Processes many items at once, in order and in bounded memory."""

import collections
import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Given = TypeVar("Given")
Made = TypeVar("Made")


def in_order(
    executor: Executor, function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int
) -> Iterator[Result]:
    """The results of `function` for each item, computed at most `ahead` items in advance.

    `Executor.map` would consume all items at once, and their results would pile up in memory.
    """
    pending: collections.deque[Future[Result]] = collections.deque()
    for item in items:
        pending.append(executor.submit(function, item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


@dataclass(frozen=True)
class Stages(Generic[Item, Given, Made, Result]):
    """Processes items in three stages, so that the machines of the second stage never wait for the
    others.

    Attributes:
        before: first stage, such as decoding; runs in threads.
        machines: second stage, such as a network, one copy for each device; each is used by one
            thread at a time.
        after: third stage, such as encoding and writing; runs in threads.
        give_up: called if the work ends early, so that a machine can abandon a long computation.
    """

    before: Callable[[Item], Given]
    machines: Sequence[Callable[[Given], Made]]
    after: Callable[[Made], Result]
    give_up: Callable[[], None] = lambda: None

    def of(self, items: Iterable[Item]) -> Iterator[Result]:
        """The results for all items, in order; each stage holds one item more than there are
        machines, in progress or waiting.
        """
        count = len(self.machines)
        free: queue.SimpleQueue[Callable[[Given], Made]] = queue.SimpleQueue()
        for machine in self.machines:
            free.put(machine)

        def make(given: Given) -> Made:
            machine = free.get()
            try:
                return machine(given)
            finally:
                free.put(machine)

        pools = [ThreadPoolExecutor(count) for _ in range(3)]
        try:
            given = in_order(pools[0], self.before, items, ahead=count)
            made = in_order(pools[1], make, given, ahead=count)
            yield from in_order(pools[2], self.after, made, ahead=count)
        except BaseException:
            self.give_up()
            raise
        finally:
            for pool in pools:
                pool.shutdown(cancel_futures=True)
