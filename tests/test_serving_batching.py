"""How pictures gather and who is let in, without a server."""

import asyncio
import time

import numpy as np
import pytest

from tfcyclegan.serving.admission import Gate
from tfcyclegan.serving.batching import Batcher
from tfcyclegan.serving.refusal import Refused


def test_batches_are_of_one_size_and_in_order():
    """Pictures of several sizes that wait for the first; a caller that gives up leaves its place, a
    failure hits its own batch.
    """
    batches = []

    def translate(pictures: np.ndarray) -> np.ndarray:
        batches.append(pictures[:, 0, 0, 0].tolist())
        time.sleep(0.02)
        if pictures[0, 0, 0, 0] == 99:
            raise MemoryError
        return pictures + 100

    async def scenario() -> list:
        batcher = Batcher(translate, batch_size=3, max_pixels=100, max_wait_seconds=60)
        async with batcher.running():
            tasks = []
            for value, side in (
                (0, 4),
                (1, 4),
                (2, 5),
                (3, 4),
                (4, 4),
                (5, 4),
                (6, 5),
                (7, 20),
                (8, 20),
                (99, 6),
            ):
                tasks.append(
                    asyncio.create_task(batcher([np.full((side, side, 1), value, np.uint8)]))
                )
                await asyncio.sleep(0.01 if value == 0 else 0)
            tasks[3].cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = asyncio.run(scenario())
    assert batches == [[0], [1, 4, 5], [2, 6], [7], [8], [99]]
    assert [answer[0][0, 0, 0] for answer in outcomes[:3]] == [100, 101, 102]
    assert isinstance(outcomes[3], asyncio.CancelledError)
    assert isinstance(outcomes[9], RuntimeError) and "MemoryError" in str(outcomes[9])


def test_whose_turn_comes_too_late_costs_no_work():
    """While the first picture takes 0.3 s, those behind it wait longer than they may; a request
    falls as a whole.
    """
    batches = []

    def translate(pictures: np.ndarray) -> np.ndarray:
        batches.append(len(pictures))
        time.sleep(0.3)
        return pictures

    async def scenario() -> list:
        batcher = Batcher(translate, batch_size=8, max_pixels=10_000, max_wait_seconds=0.2)
        picture = np.zeros((8, 8, 3), np.uint8)
        async with batcher.running():
            outcomes = await asyncio.gather(
                *(batcher([picture] * count) for count in (1, 1, 3)), return_exceptions=True
            )
            return [*outcomes, *await asyncio.gather(batcher([picture]))]

    first, *late, last = asyncio.run(scenario())
    assert batches == [1, 1] and len(first) == len(last) == 1
    assert [outcome.message for outcome in late] == [
        "busy: no turn within 0.2 seconds; try again later"
    ] * 2


def test_a_slow_generator_gets_small_batches_and_tells_the_wait():
    """At 0.6 s a picture a batch of two would take over a second."""
    batches = []

    def translate(pictures: np.ndarray) -> np.ndarray:
        batches.append(len(pictures))
        time.sleep(0.6)
        return pictures

    async def scenario() -> float:
        batcher = Batcher(translate, batch_size=8, max_pixels=10_000, max_wait_seconds=60)
        picture = np.zeros((8, 8, 3), np.uint8)
        async with batcher.running():
            await batcher([picture])
            three = asyncio.create_task(batcher([picture] * 3))
            await asyncio.sleep(0)
            wait = batcher.wait_seconds()
            await three
            assert batcher.wait_seconds() == 0
            return wait

    assert asyncio.run(scenario()) > 3 * 0.6 - 0.01
    assert batches == [1] * 4


def test_the_gate_turns_away_who_would_wait_half_of_the_time_out():
    async def enter(wait: float) -> None:
        async with Gate(1, 10.0, lambda: wait).admitted():
            pass

    asyncio.run(enter(4.9))
    with pytest.raises(Refused, match="busy: waiting requests will take about 6 seconds") as caught:
        asyncio.run(enter(6.0))
    assert caught.value.status == 503
