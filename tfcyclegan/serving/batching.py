"""Pictures of one size that wait at the same time are translated as a batch.

While a batch runs, the next ones gather; nothing waits for a batch to fill up. So there is no delay
to tune: a single picture runs at once, and under load batches grow by themselves, to about a second
of computation. Pictures that have waited too long by their turn are refused, since translating them
in vain would delay the next ones too.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from prometheus_client import Histogram

from tfcyclegan.serving.refusal import Refused

BATCH_PICTURES = Histogram(
    "tfcyclegan_batch_pictures",
    "pictures that went through the generator together",
    buckets=(1, 2, 4, 8, 16, 32, 64),
)
_BATCH_SECONDS = 1.0
_KEPT = 0.7  # weight of the earlier speed estimate, after each batch


@dataclass(frozen=True)
class _Place:
    picture: np.ndarray
    answer: "asyncio.Future[np.ndarray]"
    arrived: float = field(default_factory=time.monotonic)

    @property
    def area(self) -> int:
        return self.picture.shape[0] * self.picture.shape[1]


class Batcher:
    """Translates pictures one batch at a time, the oldest first.

    Args:
        translate: [B, H, W, C] of one type to [B, H, W, C']; called in a separate thread.
        batch_size: largest number of pictures in a batch.
        max_pixels: largest number of pixels in a batch; a larger picture runs alone.
        max_wait_seconds: longest wait; pictures that have waited longer at their turn are refused.
    """

    def __init__(
        self,
        translate: Callable[[np.ndarray], np.ndarray],
        *,
        batch_size: int,
        max_pixels: int,
        max_wait_seconds: float,
    ):
        self._translate = translate
        self._batch_size = batch_size
        self._max_pixels = max_pixels
        self._max_wait_seconds = max_wait_seconds
        self._waiting: deque[_Place] = deque()
        self._arrived = asyncio.Event()
        self._pixels = self._seconds = 0.0  # recent throughput

    async def __call__(self, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Translates [H, W, C] of any sizes; a cancelled caller gives up its places.

        Raises:
            Refused: 503, the wait is too long.
            RuntimeError: the generator failed.
        """
        loop = asyncio.get_running_loop()
        places = [_Place(picture, loop.create_future()) for picture in pictures]
        self._waiting += places
        self._arrived.set()
        try:
            return await asyncio.gather(*(place.answer for place in places))
        finally:
            for place in places:
                place.answer.cancel()

    def wait_seconds(self) -> float:
        """How long the waiting pictures will take, estimated from the recent speed."""
        waiting = sum(place.area for place in self._waiting if not place.answer.done())
        return waiting * self._seconds / self._pixels if self._pixels else 0.0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Translates while the block is active."""
        with ThreadPoolExecutor(1, "generator") as executor:
            worker = asyncio.create_task(self._work(executor))
            try:
                yield
            finally:
                worker.cancel()
                await asyncio.gather(worker, return_exceptions=True)

    async def _work(self, executor: ThreadPoolExecutor) -> None:
        while True:
            await self._arrived.wait()
            batch = self._take()
            if not batch:
                self._arrived.clear()
                continue
            BATCH_PICTURES.observe(len(batch))
            pictures = np.stack([place.picture for place in batch])
            began = time.monotonic()
            try:
                translated = await asyncio.get_running_loop().run_in_executor(
                    executor, self._translate, pictures
                )
            # any error: callers that wait for this batch must learn of it, and the next batch must
            # run
            except Exception as error:
                for place in batch:
                    _fail(place, RuntimeError(f"translation failed: {type(error).__name__}"))
                continue
            self._pixels = _KEPT * self._pixels + len(batch) * batch[0].area
            self._seconds = _KEPT * self._seconds + time.monotonic() - began
            for place, picture in zip(batch, translated, strict=True):
                if not place.answer.done():
                    place.answer.set_result(picture)

    def _take(self) -> list[_Place]:
        """The oldest picture and later ones of the same size; the others keep their order."""
        for place in self._waiting:
            if time.monotonic() - place.arrived > self._max_wait_seconds:
                _fail(
                    place,
                    Refused(
                        503,
                        f"busy: no turn within {self._max_wait_seconds:g} seconds; try again later",
                    ),
                )
        living = [place for place in self._waiting if not place.answer.done()]
        batch: list[_Place] = []
        others: deque[_Place] = deque()
        if living:
            known = (
                min(self._max_pixels, _BATCH_SECONDS * self._pixels / self._seconds)
                if self._seconds
                else 0
            )
            room = min(self._batch_size, max(1, int(known // living[0].area)))
            for place in living:
                (
                    batch
                    if len(batch) < room and place.picture.shape == living[0].picture.shape
                    else others
                ).append(place)
        self._waiting = others
        return batch


def _fail(place: _Place, error: Exception) -> None:
    if not place.answer.done():
        place.answer.set_exception(error)
