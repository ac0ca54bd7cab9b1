"""A generator as an ONNX graph, layer by layer: dynamic batch and size, with instance norm as a
single operator, which runtimes compute in one pass (composed of simpler operators it is slow, and
wrong in 8 bits).
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
from onnx import helper, numpy_helper

from tfcyclegan import __version__
from tfcyclegan.data.label_coding import LARGEST, LabelCoding
from tfcyclegan.errors import UserError
from tfcyclegan.networks import Generator, InstanceNormalization
from tfcyclegan.networks.antialiasing import BlurDown, BlurUp
from tfcyclegan.networks.generators import clipped, logits
from tfcyclegan.networks.layers import (
    LEAKY_SLOPE,
    Conv2D,
    ResizeConv2D,
    SeparableConv2D,
    UpConv2D,
    leaky_relu,
)
from tfcyclegan.networks.noise import NoiseChannel, squares
from tfcyclegan.networks.operations import Operations

OPSET = 17  # of 2022: current runtimes support it, and nothing newer is needed
INPUT, OUTPUT = "images", "translated"

_EACH: dict[Callable[..., tf.Tensor], tuple[str, dict[str, Any]]] = {
    tf.nn.relu: ("Relu", {}),
    tf.tanh: ("Tanh", {}),
    logits: ("Identity", {}),
    leaky_relu: ("LeakyRelu", {"alpha": LEAKY_SLOPE}),
}


def convert(generator: Generator) -> onnx.ModelProto:
    """The generator as an ONNX model.

    It takes `images` float32 [batch, height, width, C] in [-1, 1], whose sides are multiples of the
    generator's `size_multiple`, and returns `translated` of the same form.

    Raises:
        UserError: the network has a layer without a counterpart here, such as those of a graph read
            from another program's file.
    """
    settings = generator.settings
    apply = _OnnxOperations()
    first = apply.node("Transpose", [INPUT], perm=[0, 3, 1, 2])
    last = generator.compute(first, apply)
    apply.node("Transpose", [last], output=OUTPUT, perm=[0, 2, 3, 1])
    sides = ["batch", "height", "width"]
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        apply.nodes,
        "generator",
        [helper.make_tensor_value_info(INPUT, kind, [*sides, settings["in_channels"]])],
        [helper.make_tensor_value_info(OUTPUT, kind, [*sides, settings["out_channels"]])],
        apply.weights,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,  # the version of that opset: older runtimes refuse newer ones
        producer_name="tfcyclegan",
        producer_version=__version__,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied


def set_precision(model: onnx.ModelProto, precision: str) -> None:
    """Notes in the file in which precision it computes; one without a note does in float32."""
    helper.set_model_props(model, {"precision": precision})


class _OnnxOperations(Operations):
    """Records each operation as an ONNX node; a tensor is represented by its name, [B, C, H, W]."""

    def __init__(self) -> None:
        super().__init__(training=False)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], *, output: str = "", **attributes: Any) -> str:
        """Adds a node; returns the name of its output."""
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value: np.ndarray) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def layer(self, layer: keras.layers.Layer, x: str) -> str:
        if isinstance(layer, ResizeConv2D):
            x = self._doubled(x, "asymmetric", mode="nearest", nearest_mode="floor")
            return self.layer(layer.convolution, x)
        if isinstance(layer, BlurUp):
            return self._doubled(x, "half_pixel", mode="linear")
        if isinstance(layer, BlurDown):
            kernel = np.broadcast_to(layer.kernel, (layer.filters, 1, 3, 3)).astype(np.float32)
            inputs = [self._mirrored(x, 1), self.constant(kernel)]
            return self.node("Conv", inputs, group=layer.filters, strides=[2, 2])
        if isinstance(layer, Conv2D):
            return self._convolution(layer, x)
        if isinstance(layer, UpConv2D):
            return self._transposed(layer, x)
        if isinstance(layer, SeparableConv2D):
            depthwise = self.constant(np.asarray(layer.depthwise).transpose(2, 3, 0, 1))
            x = self._mirrored(x, layer.padding)
            x = self.node("Conv", [x, depthwise], group=layer.depthwise.shape[2])
            across = self.constant(np.asarray(layer.kernel).transpose(3, 2, 0, 1))
            return self.node("Conv", [x, across, *self._bias(layer)])
        raise UserError(
            f"--formats=onnx: a {type(layer).__name__} layer has no counterpart; leave onnx and "
            "openvino out"
        )

    def _convolution(self, layer: Conv2D, x: str) -> str:
        padding = layer.padding
        if padding and layer.padding_mode == "reflect":
            x, padding = self._mirrored(x, padding), 0
        kernel = np.asarray(layer.kernel)
        inputs = [x, self.constant(kernel.transpose(3, 2, 0, 1)), *self._bias(layer)]
        strides = [layer.stride] * 2
        return self.node("Conv", inputs, pads=[padding] * 4, strides=strides)

    def _mirrored(self, x: str, amount: int) -> str:
        sides = self.constant(np.array([0, 0, amount, amount] * 2))
        return self.node("Pad", [x, sides], mode="reflect")

    def _doubled(self, x: str, coordinates: str, **attributes: Any) -> str:
        no_region, scales = "", self.constant(np.array([1, 1, 2, 2], np.float32))
        inputs = [x, no_region, scales]
        return self.node("Resize", inputs, coordinate_transformation_mode=coordinates, **attributes)

    def _transposed(self, layer: UpConv2D, x: str) -> str:
        kernel = np.asarray(layer.kernel)
        inputs = [x, self.constant(kernel.transpose(3, 2, 0, 1)), *self._bias(layer)]
        more = [4 - layer.kernel_size] * 2
        return self.node("ConvTranspose", inputs, pads=[1] * 4, strides=[2, 2], output_padding=more)

    def _bias(self, layer: Conv2D | UpConv2D | SeparableConv2D) -> list[str]:
        return [] if layer.bias is None else [self.constant(np.asarray(layer.bias))]

    def norm(self, norm: keras.layers.Layer | None, x: str) -> str:
        if norm is None:
            return x
        if isinstance(norm, InstanceNormalization):
            scale, shift = np.ones(norm.channels, np.float32), np.zeros(norm.channels, np.float32)
            if norm.gamma is not None and norm.beta is not None:
                scale, shift = np.asarray(norm.gamma), np.asarray(norm.beta)
            inputs = [x, self.constant(scale), self.constant(shift)]
            return self.node("InstanceNormalization", inputs, epsilon=norm.epsilon)
        if isinstance(norm, keras.layers.BatchNormalization):
            values = (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
            inputs = [x, *(self.constant(np.asarray(value)) for value in values)]
            return self.node("BatchNormalization", inputs, epsilon=norm.epsilon)
        raise UserError(
            f"--formats=onnx: a {type(norm).__name__} layer has no counterpart; leave onnx and "
            "openvino out"
        )

    def dropout(self, layer: keras.layers.Dropout, x: str) -> str:
        return x

    def noise(self, layer: NoiseChannel, x: str) -> str:
        shape = self.node("Shape", [x])  # batch, channels, height, width
        start, second, end = (self.constant(np.array(value)) for value in ([0, 0], [2], [4]))
        sides, axes = self.node("Slice", [shape, second, end]), self.constant(np.array([2, 3]))

        def repeated(square: np.ndarray) -> str:
            more = self.constant(np.array([0, 0, len(square) - 1, len(square) - 1]))
            each = self.constant(np.array([1, layer.filters - 1, *square.shape]))
            times = self.node("Div", [self.node("Add", [shape, more]), each])
            tiles = self.node("Tile", [self.constant(square[np.newaxis, np.newaxis]), times])
            return self.node("Slice", [tiles, start, sides, axes])

        product = self.node("Mul", [repeated(square) for square in squares()])
        return self.node("Concat", [x, product], axis=1)

    def each(self, function: Callable[[tf.Tensor], tf.Tensor], x: str) -> str:
        if function is clipped:
            ends = (self.constant(np.array(end, np.float32)) for end in (-1, 1))
            return self.node("Clip", [x, *ends])
        kind, attributes = _EACH[function]
        return self.node(kind, [x], **attributes)

    def affine(self, x: str, gamma: tf.Tensor, beta: tf.Tensor) -> str:
        scale, shift = (
            self.constant(np.asarray(each, np.float32).transpose(0, 3, 1, 2))
            for each in (gamma, beta)
        )
        return self.node("Add", [self.node("Mul", [x, scale]), shift])

    def encode(self, coding: LabelCoding, x: str) -> str:
        one, half = (self.constant(np.array(value, np.float32)) for value in (1, 127.5))
        levels = self.node("Round", [self.node("Mul", [self.node("Add", [x, one]), half])])
        # [K, 3, 1, 1] beside [B, 1, 3, H, W]
        colors = np.asarray(coding.colors, np.float32)[:, :, np.newaxis, np.newaxis]
        apart = self.node("Unsqueeze", [levels, self.constant(np.array([1]))])
        apart = self.node("Sub", [apart, self.constant(colors)])
        squares = self.node("Mul", [apart, apart])
        distances = self.node("ReduceSum", [squares, self.constant(np.array([2]))], keepdims=0)
        nearest = self.node("ArgMin", [distances], axis=1, keepdims=0)
        rows = np.eye(coding.count, dtype=np.float32)[list(coding.channels)]
        one_hot = self.node("Gather", [self.constant(rows), nearest])
        return self.node("Transpose", [one_hot], perm=[0, 3, 1, 2])

    def decode(self, coding: LabelCoding, x: str) -> str:
        bounds = [self.constant(np.array([bound])) for bound in (0, coding.classes, 1)]
        counted = self.node("Slice", [x, *bounds])
        best = self.node("ArgMax", [counted], axis=1, keepdims=0)
        colors = self.node("Gather", [self.constant(coding.palette[: coding.classes]), best])
        colors = self.node("Transpose", [colors], perm=[0, 3, 1, 2])
        total = self.node("Abs", [self.node("ReduceSum", [counted, self.constant(np.array([1]))])])
        largest, none = (self.constant(np.array(value, np.float32)) for value in (LARGEST, np.nan))
        return self.node("Where", [self.node("Less", [total, largest]), colors, none])

    def stage(self, function: Callable[[Any], Any], layers: Any, x: Any) -> Any:
        return function(x)

    def add(self, x: str, y: str) -> str:
        return self.node("Add", [x, y])

    def concat(self, x: str, y: str) -> str:
        return self.node("Concat", [x, y], axis=1)
