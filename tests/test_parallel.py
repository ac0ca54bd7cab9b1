"""Work in order on many things at once: nothing piles up, machines are used by one thread at a
time, errors come through.
"""

import threading
import time

import pytest

from tfcyclegan.system.parallel import Stages


def stages(machines: int, under_way: list[int], most: list[int]) -> Stages[int, int, int, int]:
    lock = threading.Lock()

    def begin(number: int) -> int:
        with lock:
            under_way.append(number)
            most.append(len(under_way))
        return number

    def end(number: int) -> int:
        with lock:
            under_way.pop()
        return number

    def machine():
        busy = threading.Lock()

        def work(number: int) -> int:
            assert busy.acquire(blocking=False), "used by two threads"
            time.sleep(0.001 if number % 3 else 0.005)
            busy.release()
            return -number

        return work

    return Stages(begin, [machine() for _ in range(machines)], end)


@pytest.mark.parametrize("machines", [1, 3])
def test_results_come_in_order_and_nothing_piles_up(machines):
    under_way: list[int] = []
    most: list[int] = []
    taken = []

    def items():
        for number in range(40):
            taken.append(number)
            yield number

    results = stages(machines, under_way, most).of(items())
    assert next(results) == 0
    time.sleep(0.05)
    assert len(taken) < 20, "reads as it is asked"
    assert list(results) == [-number for number in range(1, 40)]
    assert max(most) <= 3 * (machines + 1)
    assert under_way == []


@pytest.mark.parametrize("machines", [1, 2])
@pytest.mark.parametrize("stage", ["before", "machine", "after"])
def test_errors_end_the_work(machines, stage):
    def fail_at(name):
        def work(item: int) -> int:
            if name == stage and item == 5:
                raise OSError("full")
            return item

        return work

    told = []
    work = Stages(
        fail_at("before"),
        [fail_at("machine")] * machines,
        fail_at("after"),
        lambda: told.append("given up"),
    )
    with pytest.raises(OSError, match="full"):
        list(work.of(range(1000)))
    assert told == ["given up"]
