"""Exported models that another program than TensorFlow runs: ONNX Runtime and OpenVINO, each an
extra of the installation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.system import hardware

ONNX, OPENVINO = ".onnx", ".xml"
SUFFIXES = (ONNX, OPENVINO)


@dataclass(frozen=True)
class RuntimeProgram:
    """A model in its runtime.

    Attributes:
        function: float32 [B, H, W, C] in [-1, 1] to the same of the other domain.
        channels_in: of the pictures that it takes.
        channels_out: of those that it gives.
        told: which runtime it is and in which precision it computes.
    """

    function: Callable[[np.ndarray], np.ndarray]
    channels_in: int
    channels_out: int
    told: str

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return self.function(batch)


def open_program(model: Path | bytes, suffix: str, *, exact: bool = False) -> RuntimeProgram:
    """A model ready to run on this machine's CPU.

    Args:
        model: the file, or the content of an .onnx file.
        suffix: ".onnx" is run by ONNX Runtime, ".xml" by OpenVINO; OpenVINO takes the content of an
            .onnx file too.
        exact: computes in float32 even where the processor has bfloat16, which OpenVINO takes
            otherwise.

    Raises:
        UserError: the runtime is not installed, or it cannot read the file.
    """
    try:
        return _by_onnxruntime(model) if suffix == ONNX else _by_openvino(model, exact)
    except ImportError as error:
        extra = "onnx" if suffix == ONNX else "openvino"
        raise UserError(
            f"a model for {extra} needs {error.name}: pip install 'tfcyclegan[{extra}]'"
        ) from error
    except UserError:
        raise
    except Exception as error:  # the runtimes raise classes of their own for whatever is damaged
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(f"not a model of tfcyclegan export ({reason})") from error


def _by_onnxruntime(model: Path | bytes) -> RuntimeProgram:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = hardware.cores()
    session = onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model),
        options,
        providers=["CPUExecutionProvider"],
    )
    (source,), (target,) = session.get_inputs(), session.get_outputs()

    def translate(batch: np.ndarray) -> np.ndarray:
        return session.run([target.name], {source.name: _native(batch)})[0]

    shapes = [list(one.shape) for one in (source, target)]
    _require_pictures(shapes, [one.type == "tensor(float)" for one in (source, target)])
    told = f"ONNX Runtime {onnxruntime.__version__}, float32"
    return RuntimeProgram(translate, shapes[0][3], shapes[1][3], told)


def _by_openvino(model: Path | bytes, exact: bool) -> RuntimeProgram:
    import openvino

    core = openvino.Core()
    half = not exact and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    hints = {
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        "INFERENCE_NUM_THREADS": hardware.cores(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    read = core.read_model(model if isinstance(model, bytes) else str(model))
    (source,), (target,) = read.inputs, read.outputs
    shapes = [
        [axis.get_length() if axis.is_static else None for axis in one.partial_shape]
        for one in (source, target)
    ]
    is_float = [one.element_type == openvino.Type.f32 for one in (source, target)]
    _require_pictures(shapes, is_float)
    compiled = core.compile_model(read, "CPU", hints)

    def translate(batch: np.ndarray) -> np.ndarray:
        return compiled(_native(batch))[0]

    version = openvino.__version__.partition("-")[0]
    told = f"OpenVINO {version}, {'bfloat16' if half else 'float32'}"
    return RuntimeProgram(
        translate, source.partial_shape[3].get_length(), target.partial_shape[3].get_length(), told
    )


def _require_pictures(shapes: list[list[Any]], is_float: list[bool]) -> None:
    if not all(is_float) or any(len(s) != 4 or s[3] not in (1, 3) for s in shapes):
        raise UserError(
            f"not a model of tfcyclegan export (from {shapes[0]} to {shapes[1]}, not pictures "
            "float32 [B, H, W, 1 or 3])"
        )


def _native(batch: np.ndarray) -> np.ndarray:
    """In the machine's byte order: ONNX Runtime takes other bytes as they stand."""
    return np.ascontiguousarray(batch, np.float32)
