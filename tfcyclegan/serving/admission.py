"""Limits on the number, size and duration of requests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any

from prometheus_client import Counter, Gauge
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tfcyclegan.config import Limits
from tfcyclegan.serving.refusal import Refused

ANSWERS = Counter("tfcyclegan_answers", "answers to POST requests by HTTP status", ["status"])
INSIDE = Gauge("tfcyclegan_requests_inside", "requests running or waiting")
RETRY_AFTER_SECONDS = 1
_DRAIN_SECONDS = 0.5


class Gate:
    """Admits and times requests; REST and gRPC share it.

    Args:
        size: largest number of admitted requests.
        timeout_seconds: time limit of each request.
        wait_seconds: returns how long a request would wait now; requests are refused from half of
            the time limit on.
    """

    def __init__(self, size: int, timeout_seconds: float, wait_seconds: Callable[[], float]):
        self.timeout_seconds = timeout_seconds
        self._wait_seconds = wait_seconds
        self._size = size
        self._inside = 0
        self._closed = False

    def close(self) -> None:
        """Admits no further requests."""
        self._closed = True

    @contextlib.asynccontextmanager
    async def admitted(self) -> AsyncIterator[asyncio.Timeout]:
        """Raises Refused 503 at once if there are too many requests, or later if the block takes
        too long.
        """
        if self._closed:
            raise Refused(503, "the server is stopping")
        if self._inside >= self._size:
            raise Refused(503, f"busy: {self._size} requests are running; try again in a moment")
        wait = self._wait_seconds()
        if wait > self.timeout_seconds / 2:
            raise Refused(
                503, f"busy: waiting requests will take about {wait:.0f} seconds; try again later"
            )
        self._inside += 1
        INSIDE.inc()
        try:
            async with asyncio.timeout(self.timeout_seconds) as deadline:
                yield deadline
        except TimeoutError:
            raise Refused(
                503, f"no answer within {self.timeout_seconds:g} seconds; try again later"
            ) from None
        finally:
            self._inside -= 1
            INSIDE.dec()


class Admission:
    """ASGI middleware: POST requests pass the gate, and their bodies are read here, with a size
    limit, before any processing.
    """

    def __init__(self, app: ASGIApp, *, gate: Gate, limits: Limits):
        self._app = app
        self._gate = gate
        self._max_body_bytes = limits.max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body, started = None, False
        try:
            async with self._gate.admitted() as deadline:
                body = await self._read(scope, receive)
                if body is None:
                    return

                async def answer(message: MutableMapping[str, Any]) -> None:
                    nonlocal started
                    if message["type"] == "http.response.start":
                        started = True
                        ANSWERS.labels(message["status"]).inc()
                        deadline.reschedule(
                            asyncio.get_running_loop().time() + self._gate.timeout_seconds
                        )
                    await send(message)

                await self._app(scope, _replay(body, receive), answer)
        except Refused as refused:
            if not started:
                ANSWERS.labels(refused.status).inc()
                if body is None:
                    await _drain(scope, receive)
                await error_response(refused.status, refused.message)(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None if the client went away. Raises Refused 413 if it is or becomes too
        large.
        """
        too_large = Refused(
            413,
            f"the body has more than {self._max_body_bytes} bytes; send fewer or smaller pictures",
        )
        announced = dict(scope["headers"]).get(b"content-length", b"")
        if announced.isdigit() and int(announced) > self._max_body_bytes:
            raise too_large
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_body_bytes:
                raise too_large
            more = message.get("more_body", False)
        return b"".join(parts)


async def _drain(scope: Scope, receive: Receive) -> None:
    """Discards what the client still sends, since many clients read no answer before they have sent
    everything; only briefly, since 503 must be quick.
    """
    if b"expect" in dict(scope["headers"]):
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get(
                "more_body", False
            ):
                pass


def error_response(status: int, message: str) -> JSONResponse:
    """{"error": message}, the form of TensorFlow Serving and KServe."""
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else None
    return JSONResponse({"error": message}, status, headers)


def _replay(body: bytes, receive: Receive) -> Receive:
    first: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def replayed() -> Message:
        nonlocal first
        message, first = first, None
        return message if message is not None else await receive()

    return replayed
