"""KServe's endpoints on our own server.

`kserve.ModelServer` listens on every address, logs each request, lets any client unload the model
and has no limits. Its parts do not require that: this module runs its REST routes, data plane and
gRPC service behind `Admission`, on the given address.
"""

import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import uvicorn
from fastapi.exceptions import FastAPIDeprecationWarning, RequestValidationError
from grpc_interceptor import exceptions as grpc_errors
from PIL import Image
from starlette.exceptions import HTTPException

from tfcyclegan.config import ServeConfig
from tfcyclegan.errors import Stopped, UserError
from tfcyclegan.serving.admission import Admission, Gate, error_response
from tfcyclegan.serving.batching import Batcher
from tfcyclegan.serving.refusal import Refused
from tfcyclegan.system.progress import log


@contextlib.contextmanager
def _no_arguments() -> Iterator[None]:
    """Hides the process's command line, which KServe parses on import."""
    arguments, sys.argv = sys.argv, sys.argv[:1]
    try:
        yield
    finally:
        sys.argv = arguments


with _no_arguments():
    import kserve
    from kserve.errors import InvalidInput
    from kserve.model_server import app
    from kserve.protocol.dataplane import DataPlane
    from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import (
        add_GRPCInferenceServiceServicer_to_server,
    )
    from kserve.protocol.grpc.interceptors import ExceptionToStatusInterceptor
    from kserve.protocol.grpc.servicer import InferenceServicer
    from kserve.protocol.model_repository_extension import ModelRepositoryExtension
    from kserve.protocol.rest.server import RESTServer

from tfcyclegan.serving import model, paths  # noqa: E402 - imports KServe

_GRPC_ERRORS = {
    400: grpc_errors.InvalidArgument,
    404: grpc_errors.NotFound,
    413: grpc_errors.ResourceExhausted,
    500: grpc_errors.Internal,
    503: grpc_errors.Unavailable,
}


class _DataPlane(DataPlane):
    """Reads bodies of any content type, like TensorFlow Serving, and no CloudEvents; unreadable
    bodies are the client's mistake.
    """

    def decode(
        self, body: Any, headers: Any, protocol_version: str = "v1", model_name: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        try:
            return (
                (json.loads(body), {})
                if protocol_version == "v1"
                else super().decode(body, headers, protocol_version, model_name)
            )
        except InvalidInput:
            raise
        except Exception as error:  # KServe's readers raise nearly every type
            raise InvalidInput(
                f"the body cannot be read as a request ({type(error).__name__})"
            ) from error

    def encode(
        self, model_name: str, response: Any, headers: Any, req_attributes: dict[str, Any]
    ) -> tuple[Any, dict[str, str]]:
        return super().encode(model_name, response, {}, {})


class _FixedRepository(ModelRepositoryExtension):
    """Clients can neither load nor unload models."""

    async def load(self, model_name: str) -> None:
        raise InvalidInput("requests can neither load nor unload models here")

    unload = load


class _Servicer(InferenceServicer):
    """KServe's gRPC service behind the gate; it knows which version is served."""

    def __init__(
        self,
        data_plane: DataPlane,
        repository: ModelRepositoryExtension,
        gate: Gate,
        exported: "model.Exported",
    ):
        super().__init__(data_plane, repository)
        self._gate = gate
        self._exported = exported

    def _require(self, version: str) -> None:
        if version:
            with _as_grpc_error():
                self._exported.require_version(version)

    async def ModelReady(self, request: Any, context: Any) -> Any:
        self._require(request.version)
        return await super().ModelReady(request, context)

    async def ModelMetadata(self, request: Any, context: Any) -> Any:
        self._require(request.version)
        answer = await super().ModelMetadata(request, context)
        answer.versions.append(self._exported.version)
        return answer

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        self._require(request.model_version)
        with _as_grpc_error():
            async with self._gate.admitted():
                return await super().ModelInfer(request, context)


@contextlib.contextmanager
def _as_grpc_error() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise _GRPC_ERRORS[refused.status](refused.message) from refused


class _RestServer(uvicorn.Server):
    """Uvicorn without its own signal handling, since the same signals also stop gRPC."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(config: ServeConfig) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        UserError: there is no model, or a port is in use.
        Stopped: always, once all requests are answered.
    """
    Image.MAX_IMAGE_PIXELS = None  # --max_pixels is the only limit
    warnings.simplefilter("ignore", FastAPIDeprecationWarning)  # KServe's own calls
    # it logs a traceback for every client error
    logging.getLogger("kserve").setLevel(logging.CRITICAL + 1)
    rest_socket = _listen(config.host, config.http_port)
    exported = model.load(Path(config.model_dir), config.format, trusted=config.trust_model)
    number = asyncio.run(_serve(config, exported, rest_socket))
    raise Stopped(f"stopped by {signal.Signals(number).name}", number)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024
        )
    except OSError as error:
        raise UserError(
            f"--host={host} --http_port={port}: cannot listen ({error.strerror}); choose another "
            "host or port"
        ) from error


async def _serve(
    config: ServeConfig, exported: "model.Exported", rest_socket: socket.socket
) -> int:
    """Returns the number of the signal that ended it."""
    batcher = Batcher(
        exported,
        batch_size=config.batch_size,
        max_pixels=config.max_pixels,
        max_wait_seconds=config.timeout_seconds / 2,  # the other half is for translating it
    )
    gate = Gate(config.queue_size, config.timeout_seconds, batcher.wait_seconds)
    repository = kserve.ModelRepository()
    repository.update(model.ServedModel(exported, batcher, config))
    plane, fixed = _DataPlane(repository), _FixedRepository(repository)
    remote = grpc.aio.server(
        interceptors=[ExceptionToStatusInterceptor()],
        options=[
            ("grpc.max_receive_message_length", config.max_body_bytes),
            ("grpc.max_send_message_length", -1),
        ],
        # messages are in memory before the gate sees them
        maximum_concurrent_rpcs=2 * config.queue_size,
    )
    add_GRPCInferenceServiceServicer_to_server(_Servicer(plane, fixed, gate, exported), remote)
    try:
        grpc_port = remote.add_insecure_port(f"{_in_url(config.host)}:{config.grpc_port}")
    except RuntimeError as error:
        raise UserError(
            f"--host={config.host} --grpc_port={config.grpc_port}: cannot listen; choose another "
            "host or port"
        ) from error
    rest = _rest_server(config, plane, fixed, gate, exported)

    stopped_by = signal.SIGTERM
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        nonlocal stopped_by
        stopped_by = number
        gate.close()
        rest.should_exit = True
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)  # a second signal kills the process
        log("stopping: running requests are answered first")

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    async with batcher.running():
        await remote.start()
        newest = f", the newest of {exported.beside + 1}" if exported.beside else ""
        log(f"model:   {exported.name}, version {exported.version}{newest}")
        log(f"gives:   {exported.translator.described}")
        log(
            "REST:    "
            f"http://{_in_url(config.host)}:{rest_socket.getsockname()[1]}/v1/models/{exported.name}:predict"
        )
        log(f"gRPC:    {_in_url(config.host)}:{grpc_port}")
        await rest.serve([rest_socket])
        await remote.stop(config.timeout_seconds)
    return stopped_by


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _rest_server(
    config: ServeConfig,
    plane: DataPlane,
    repository: ModelRepositoryExtension,
    gate: Gate,
    exported: "model.Exported",
) -> uvicorn.Server:
    app.include_router(paths.router(exported, plane))  # before KServe's: the first match counts
    RESTServer("kserve.model_server:app", plane, repository, config.http_port).create_application()
    app.add_middleware(Admission, gate=gate, limits=config)

    @app.exception_handler(HTTPException)
    async def _(_: Any, error: HTTPException) -> Any:
        return error_response(error.status_code, str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def _(_: Any, error: RequestValidationError) -> Any:
        first = error.errors()[0]
        return error_response(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")

    settings = uvicorn.Config(
        app,
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(config.timeout_seconds)),
    )
    return _RestServer(settings)
