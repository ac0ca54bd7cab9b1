"""The two programs that make TFLite files: TensorFlow's own converter, which is to leave
TensorFlow, and the packages of LiteRT that take its place. Nothing else here knows `tf.lite`.

float32         unchanged weights
float16         float16 weights; computed in float32 on CPUs
dynamic_int8    8-bit weights, inputs of convolutions in 8 bits with each picture's
                range, the rest in float32
int8            everything in 8 bits, with ranges calibrated on training pictures
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.networks.antialiasing import BlurUp
from tfcyclegan.system.tensorflow_setup import silenced

FLOAT_VARIANTS = ("float32", "float16")
CALIBRATED = "int8"
VARIANTS = (*FLOAT_VARIANTS, "dynamic_int8", CALIBRATED)

Converter = Callable[[str, Sequence[np.ndarray]], bytes]
_SIGNATURE, _INPUT, _OUTPUT = "serving_default", "images", "output_0"


def by_tensorflow(model: keras.Model) -> Converter:
    """By `tf.lite`."""

    def convert(variant: str, pictures: Sequence[np.ndarray]) -> bytes:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if variant != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if variant == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if variant == CALIBRATED:
            converter.representative_dataset = lambda: (
                [picture[np.newaxis]] for picture in pictures
            )
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        with silenced():
            return converter.convert()

    return convert


def by_litert(model: keras.Model) -> Converter:
    """By litert-converter, from what XLA gets of the model, and litert-quantizer.

    Raises:
        UserError: they are not installed, or do not take a layer of the model.
    """
    try:
        import litert_converter  # noqa: F401
        import litert_quantizer  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"--tflite_converter=litert: {error.name} is not installed: pip install "
            "'tfcyclegan[litert]'"
        ) from error
    exact = functools.cache(lambda: _converted(model))

    def convert(variant: str, pictures: Sequence[np.ndarray]) -> bytes:
        try:
            with silenced():
                return exact() if variant == "float32" else _quantized(exact(), variant, pictures)
        except (tf.errors.OpError, ValueError) as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise UserError(
                f"--tflite_converter=litert: does not take this network ({reason}); give "
                "--tflite_converter=tensorflow"
            ) from error

    return convert


CONVERTERS: dict[str, Callable[[keras.Model], Converter]] = {
    "tensorflow": by_tensorflow,
    "litert": by_litert,
}


def _converted(model: keras.Model) -> bytes:
    from litert_converter import converter_api_ext as converter
    from litert_converter.mlir import ir, passmanager

    for layer in model._flatten_layers():
        if isinstance(layer, BlurUp):  # XLA's form of a bilinear resize comes out wrong
            layer.tflite_ops = False
    shape = tf.TensorSpec(model.inputs[0].shape, tf.float32)
    weights = [variable.numpy() for variable in model.variables]

    def compute(batch: tf.Tensor) -> tf.Tensor:
        # as constants of the graph: XLA takes variables for arguments
        constants = list(zip(model.variables, map(tf.constant, weights), strict=True))
        with keras.StatelessScope(state_mapping=constants):
            return model(batch, training=False)

    compiled = tf.function(compute, jit_compile=True, autograph=False)
    graph = compiled.experimental_get_compiler_ir(shape)(stage="stablehlo")
    context = ir.Context()
    converter.prepare_mlir_context(context)
    with context, ir.Location.unknown():
        module = ir.Module.parse(graph)
        converter.set_signature(module.operation, _SIGNATURE, [_INPUT], [_OUTPUT])
        converter.run_convert_to_tfl_passes(
            module, passmanager.PassManager(), converter.ConvertToTFLConfig()
        )
        return converter.export_flatbuffer_to_bytes(module.operation)


def _quantized(content: bytes, variant: str, pictures: Sequence[np.ndarray]) -> bytes:
    from litert_quantizer.quantizer import AlgorithmName, Quantizer
    from litert_quantizer.recipe import static_wi8_ai8

    quantizer = Quantizer(content)
    ranges = None
    if variant == "float16":
        for kind in ("CONV_2D", "CONV_2D_TRANSPOSE", "DEPTHWISE_CONV_2D"):
            quantizer.add_weight_only_config(
                ".*", kind, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING
            )
    elif variant == CALIBRATED:
        quantizer.load_quantization_recipe(static_wi8_ai8())
        for end in ("INPUT", "OUTPUT"):  # which stay in float32
            quantizer.update_quantization_recipe(".*", end, algorithm_key=AlgorithmName.NO_QUANTIZE)
        ranges = _ranges(quantizer, pictures)
    else:
        for kind in ("CONV_2D", "CONV_2D_TRANSPOSE"):  # XNNPACK has no depthwise one of this kind
            quantizer.add_dynamic_config(".*", kind, num_bits=8)
    return bytes(quantizer.quantize(ranges).quantized_model)


def _ranges(quantizer: Any, pictures: Sequence[np.ndarray]) -> dict[str, Any]:
    """Of each tensor over all pictures. Given them at once the quantizer takes a running mean,
    in which the first picture has almost half of the weight.
    """
    joint: dict[str, Any] = {}
    for picture in pictures:
        seen = quantizer.calibrate({_SIGNATURE: [{_INPUT: picture[np.newaxis]}]}, num_threads=1)
        for tensor, own in seen.items():
            before = joint.get(tensor) or own
            joint[tensor] = own and {
                "min": np.minimum(before["min"], own["min"]),
                "max": np.maximum(before["max"], own["max"]),
            }
    return joint
