"""An ONNX graph of ours with convolutions in 8 bits, by ranges that were seen on pictures.

Weights in 7 bits, a scale for each channel: processors without VNNI add two products in 16 bits,
which 8 bits overflow. Instance norms stay in float32, and so do the last convolution, whose
rounding would be that of the picture, and transposed ones, for which ONNX Runtime has nothing else.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime import quantization

from tfcyclegan.exports import onnx_graph
from tfcyclegan.system.tensorflow_setup import silenced


def quantize(model: onnx.ModelProto, pictures: Sequence[np.ndarray]) -> onnx.ModelProto:
    """The same graph with QuantizeLinear and DequantizeLinear around its convolutions.

    Args:
        model: of `onnx_graph.convert`.
        pictures: float32 [H, W, C] in [-1, 1] by which the ranges are chosen.
    """
    named = onnx_graph.copy(model)
    for node in named.graph.node:
        node.name = node.output[0]
    convolutions = [node.name for node in named.graph.node if node.op_type == "Conv"]
    with tempfile.TemporaryDirectory() as place, silenced():
        path = Path(place) / "int8.onnx"
        quantization.quantize_static(
            named,
            path,
            _Pictures(pictures),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=convolutions[-1:],
        )
        quantized = onnx.load(path)
    onnx_graph.set_precision(quantized, "int8")
    return quantized


class _Pictures(quantization.CalibrationDataReader):
    def __init__(self, pictures: Sequence[np.ndarray]):
        self._rest = iter(pictures)

    def get_next(self) -> dict[str, np.ndarray] | None:
        picture = next(self._rest, None)
        return None if picture is None else {onnx_graph.INPUT: picture[np.newaxis]}
