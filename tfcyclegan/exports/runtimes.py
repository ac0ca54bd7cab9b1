"""Exported models for programs other than TensorFlow: ONNX Runtime and OpenVINO, each an extra of
the installation. A format is a row of RUNTIMES, which says how its files are made and opened.

OpenVINO's files are made from the ONNX graph, so that there is only one description of each layer.
"""

import functools
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfcyclegan.data.values import MOST_CHANNELS
from tfcyclegan.errors import UserError
from tfcyclegan.system import hardware

if TYPE_CHECKING:
    from tfcyclegan.networks import Generator

ONNX, OPENVINO = ".onnx", ".xml"
QUANTIZED = ("onnx_int8", "openvino_int8")
"""The variants in 8 bits, which are held by their quality on pictures alone."""
# Contents by name below a version's directory; the first is the one to open.
Files = dict[str, bytes]


@dataclass(frozen=True)
class RuntimeProgram:
    """A model in its runtime.

    Attributes:
        function: float32 [B, H, W, C] in [-1, 1] to the same of the other domain.
        channels_in: channels of its input.
        channels_out: channels of its output.
        told: the runtime and its precision, for messages.
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
        suffix: ONNX Runtime runs ".onnx", OpenVINO ".xml"; OpenVINO also accepts the content of an
            .onnx file.
        exact: computes in float32 even where the processor has bfloat16, which OpenVINO uses
            otherwise.

    Raises:
        UserError: the runtime is not installed, or it cannot read the file.
    """
    extra, runtime = next(
        (name, runtime) for name, runtime in RUNTIMES.items() if runtime.suffix == suffix
    )
    try:
        return runtime.open(model, exact)
    except ImportError as error:
        raise UserError(
            f"a model for {extra} needs {error.name}: pip install 'tfcyclegan[{extra}]'"
        ) from error
    except UserError:
        raise
    except Exception as error:  # on damaged files the runtimes raise classes of their own
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(f"not a model of tfcyclegan export ({reason})") from error


def open_files(contents: Files, suffix: str, *, exact: bool = False) -> RuntimeProgram:
    """Like `open_program`, for files that are not written yet."""
    with tempfile.TemporaryDirectory() as place:
        for name, content in contents.items():
            (Path(place) / Path(name).name).write_bytes(content)
        return open_program(Path(place) / Path(next(iter(contents))).name, suffix, exact=exact)


class Source:
    """What the files are made of. The ONNX graphs are made when they are first asked for, and once.

    Args:
        generator: in float32.
        pictures: float32 [H, W, C] in [-1, 1] by which 8 bits choose their ranges; without any
            there are no files in 8 bits.
    """

    def __init__(self, generator: "Generator", pictures: Sequence[np.ndarray] = ()):
        self.generator, self.pictures = generator, pictures

    @functools.cached_property
    def graph(self) -> Any:
        """An onnx.ModelProto in float32; not to be changed."""
        from tfcyclegan.exports import onnx_graph

        return onnx_graph.convert(self.generator)

    @functools.cached_property
    def graph_in_8_bits(self) -> Any:
        """The same with convolutions in 8 bits."""
        from tfcyclegan.exports.onnx_quantization import quantize

        return quantize(self.graph, self.pictures)


def _onnx_files(source: Source) -> dict[str, Files]:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    from tfcyclegan.exports import onnx_graph

    half = convert_float_to_float16(onnx_graph.copy(source.graph), keep_io_types=True)
    onnx_graph.set_precision(half, "float16")
    made = {"float32": source.graph, "float16": half}
    if len(source.pictures):
        made["int8"] = source.graph_in_8_bits
    return {
        f"onnx_{precision}": {f"onnx/{precision}{ONNX}": model.SerializeToString()}
        for precision, model in made.items()
    }


def _openvino_files(source: Source) -> dict[str, Files]:
    import openvino

    def files(graph: Any, precision: str) -> Files:
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / f"{precision}{OPENVINO}"
            read = openvino.Core().read_model(graph.SerializeToString())
            openvino.save_model(read, path, compress_to_fp16=False)
            written = [path, path.with_suffix(".bin")]
            return {f"openvino/{file.name}": file.read_bytes() for file in written}

    made = {"openvino": files(source.graph, "float32")}
    if len(source.pictures):
        made["openvino_int8"] = files(source.graph_in_8_bits, "int8")
    return made


def _by_onnxruntime(model: Path | bytes, _: bool) -> RuntimeProgram:
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
    precision = session.get_modelmeta().custom_metadata_map.get("precision", "float32")
    told = f"ONNX Runtime {onnxruntime.__version__}, {precision}"
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
    alone = threading.Lock()  # its one request refuses a second thread as busy

    def translate(batch: np.ndarray) -> np.ndarray:
        with alone:
            return compiled(_native(batch))[0]

    version = openvino.__version__.partition("-")[0]
    quantized = any(one.get_type_name() == "FakeQuantize" for one in read.get_ops())
    told = f"OpenVINO {version}, {'int8 and ' * quantized}{'bfloat16' if half else 'float32'}"
    return RuntimeProgram(
        translate, source.partial_shape[3].get_length(), target.partial_shape[3].get_length(), told
    )


def _require_pictures(shapes: list[list[Any]], is_float: list[bool]) -> None:
    channels = range(1, MOST_CHANNELS + 1)
    if not all(is_float) or any(len(s) != 4 or s[3] not in channels for s in shapes):
        raise UserError(
            f"not a model of tfcyclegan export (from {shapes[0]} to {shapes[1]}, not pictures "
            "float32 [B, H, W, C])"
        )


def _native(batch: np.ndarray) -> np.ndarray:
    """Converts to the machine's byte order: ONNX Runtime misreads others."""
    return np.ascontiguousarray(batch, np.float32)


@dataclass(frozen=True)
class Runtime:
    """A runtime for files that `--formats` names by its key in RUNTIMES.

    Attributes:
        suffix: extension of the file to open.
        make: the files of each variant, by the variant's name; they are stored in a folder
            named like the format.
        open: opens a file or its content; the second argument says whether to compute in float32 in
            any case.
        bounds: for each variant, its name beside its largest difference from Keras, computed in
            float32, and the bound on that difference.
        rounds: whether it computes in less than float32 if the processor supports it.
    """

    suffix: str
    make: Callable[[Source], dict[str, Files]]
    open: Callable[[Path | bytes, bool], RuntimeProgram]
    bounds: Mapping[str, tuple[str, float]]
    rounds: bool = False


RUNTIMES = {
    "onnx": Runtime(ONNX, _onnx_files, _by_onnxruntime, {"onnx_float32": ("ONNX float32", 2e-3)}),
    "openvino": Runtime(
        OPENVINO, _openvino_files, _by_openvino, {"openvino": ("OpenVINO float32", 2e-3)}, True
    ),
}
SUFFIXES = tuple(runtime.suffix for runtime in RUNTIMES.values())


def file_of(name: str) -> str:
    """The file of a runtime that an export's directory holds, in float32: ONNX Runtime gains
    nothing from float16 on a CPU, and OpenVINO rounds by itself where the processor has bfloat16.
    """
    return f"{name}/float32{RUNTIMES[name].suffix}"
