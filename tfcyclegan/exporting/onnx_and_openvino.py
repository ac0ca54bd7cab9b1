"""A generator for other runtimes than TensorFlow: ONNX in float32 and float16, OpenVINO's own
files.

OpenVINO's are made of the ONNX graph, so that there is one description of each layer.
"""

import tempfile
from pathlib import Path

from tfcyclegan.errors import UserError
from tfcyclegan.exporting.quality import Candidate
from tfcyclegan.exports.runtimes import ONNX, OPENVINO, RuntimeProgram, open_program
from tfcyclegan.networks import Generator

FORMATS = ("onnx", "openvino")


def candidates(generator: Generator, formats: tuple[str, ...]) -> dict[str, Candidate]:
    """What to write and to measure, by name.

    Args:
        generator: in float32.
        formats: of FORMATS.

    Raises:
        UserError: the packages are not installed, or a layer has no counterpart.
    """
    made: dict[str, Candidate] = {}
    if not formats:
        return made
    try:
        from tfcyclegan.exporting import onnx_graph
    except ImportError as error:
        raise UserError(
            f"--formats={','.join(formats)}: {error.name} is not installed: pip install "
            f"'tfcyclegan[{formats[0]}]'"
        ) from error
    model = onnx_graph.convert(generator)
    content = model.SerializeToString()
    if "onnx" in formats:
        from onnxruntime.transformers.float16 import convert_float_to_float16

        half = convert_float_to_float16(model, keep_io_types=True).SerializeToString()
        for name, one in (("onnx_float32", content), ("onnx_float16", half)):
            program = open_program(one, ONNX)
            file = f"onnx/{name.removeprefix('onnx_')}{ONNX}"
            made[name] = Candidate({file: one}, program, program.told)
    if "openvino" in formats:
        program = open_program(content, OPENVINO)
        made["openvino"] = Candidate(_openvino_files(content), program, program.told)
    return made


def _openvino_files(content: bytes) -> dict[str, bytes]:
    import openvino

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"float32{OPENVINO}"
        openvino.save_model(openvino.Core().read_model(content), path, compress_to_fp16=False)
        return {
            f"openvino/{path.with_suffix(s).name}": path.with_suffix(s).read_bytes()
            for s in (OPENVINO, ".bin")
        }


def exact_openvino(candidate: Candidate) -> RuntimeProgram:
    """The written files in float32, whatever the processor has."""
    with tempfile.TemporaryDirectory() as place:
        for name, content in candidate.files.items():
            (Path(place) / Path(name).name).write_bytes(content)
        return open_program(Path(place) / f"float32{OPENVINO}", OPENVINO, exact=True)
