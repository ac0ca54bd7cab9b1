"""Options of `tfcyclegan serve`."""

from dataclasses import dataclass

from tfcyclegan.config.base import Options, option
from tfcyclegan.config.commands import TRUST_HELP


@dataclass(frozen=True, kw_only=True)
class PlaceOptions(Options):
    """What is served, and where."""

    model_dir: str = option(
        "",
        "exported model, such as saved_models/satellite2map (its newest version) or "
        "saved_models/satellite2map/1",
        required=True,
    )
    format: str = option(
        "saved_model",
        "which of the exported formats computes: saved_model by TensorFlow, onnx by ONNX Runtime, "
        "openvino by OpenVINO, in bfloat16 where the processor has it",
        choices=("saved_model", "onnx", "openvino"),
    )
    trust_model: bool = option(False, TRUST_HELP)
    host: str = option("127.0.0.1", "address to listen at; 0.0.0.0 is every one of this machine")
    http_port: int = option(
        8501, "port of REST, metrics and health; 0 takes a free one", minimum=0, maximum=65535
    )
    grpc_port: int = option(8500, "port of gRPC; 0 takes a free one", minimum=0, maximum=65535)
    batch_size: int = option(
        8, "pictures of one size that go through the generator together, at most", minimum=1
    )


@dataclass(frozen=True, kw_only=True)
class Limits(Options):
    """What is let in, and how long it may take."""

    queue_size: int = option(
        64, "requests that are worked on or wait; one more is answered 503", minimum=1
    )
    timeout_seconds: float = option(
        30.0,
        "a request not answered by then is answered 503; running ones get as long when the server "
        "stops",
        above=0,
    )
    max_body_bytes: int = option(16 * 2**20, "a request of more bytes is answered 413", minimum=1)
    max_pixels: int = option(
        2 * 2**20,
        "a request whose pictures have more pixels together is answered 413 before any is decoded",
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class ServeConfig(Limits, PlaceOptions):
    """Options of `tfcyclegan serve`."""
