"""Options of `tfcyclegan serve`."""

from dataclasses import dataclass

from tfcyclegan.config.base import Options, option
from tfcyclegan.config.commands import HUB_HELP, TRUST_HELP


@dataclass(frozen=True, kw_only=True)
class PlaceOptions(Options):
    """What is served, and where."""

    model_dir: str = option(
        "",
        "exported model, such as saved_models/satellite2map (its newest version) or "
        f"saved_models/satellite2map/1; {HUB_HELP}",
        required=True,
    )
    format: str = option(
        "saved_model",
        "exported format to run: saved_model with TensorFlow, onnx with ONNX Runtime, openvino "
        "with OpenVINO, in bfloat16 if the processor supports it",
        choices=("saved_model", "onnx", "openvino"),
    )
    trust_model: bool = option(False, TRUST_HELP)
    host: str = option(
        "127.0.0.1", "address to listen on; 0.0.0.0 means all addresses of this machine"
    )
    http_port: int = option(
        8501, "port for REST, metrics and health; 0 takes a free port", minimum=0, maximum=65535
    )
    grpc_port: int = option(8500, "port for gRPC; 0 takes a free port", minimum=0, maximum=65535)
    batch_size: int = option(
        8,
        "largest number of pictures of one size that go through the generator together",
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class Limits(Options):
    """Which requests are accepted, and how long they may take."""

    queue_size: int = option(
        64,
        "largest number of requests running or waiting; further requests are answered 503",
        minimum=1,
    )
    timeout_seconds: float = option(
        30.0,
        "time after which an unanswered request is answered 503; running requests get as long when "
        "the server stops",
        above=0,
    )
    max_body_bytes: int = option(16 * 2**20, "larger requests are answered 413", minimum=1)
    max_pixels: int = option(
        2 * 2**20,
        "a request whose pictures have more pixels in total is answered 413 before any is decoded",
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class ServeConfig(Limits, PlaceOptions):
    """Options of `tfcyclegan serve`."""
