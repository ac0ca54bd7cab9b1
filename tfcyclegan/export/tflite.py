"""A generator as TFLite: float32 and float16, fixed size, batch 1, built-in operations alone."""

import keras
import numpy as np
import tensorflow as tf

from tfcyclegan.config import Size
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.networks import Generator
from tfcyclegan.quiet import silenced

VARIANTS = ("float32", "float16")


def check_size(generator: Generator, size: Size) -> None:
    """Raises UserError when the generator cannot take pictures of `size`."""
    multiple = generator.size_multiple
    if size.height % multiple or size.width % multiple or min(size.height, size.width) < 16:
        raise UserError(f"--tflite_size={size}: needs sides that are multiples of {multiple} and at least 16")


def convert(generator: Generator, variant: str, size: Size) -> bytes:
    """The TFLite file's content.

    Args:
        generator: with float32 weights.
        variant: "float32", or "float16" with weights of half the size.
        size: of the pictures; multiples of the generator's `size_multiple`.

    Raises:
        UserError: the size does not fit the network.
    """
    check_size(generator, size)
    portable = type(generator).from_config({**generator.get_config(), "portable": True})
    portable.set_weights(generator.get_weights())
    # Batch 1 and the size are fixed before the conversion: a free batch costs 2 to 10 times the time.
    picture = keras.Input(batch_shape=(1, size.height, size.width, generator.settings["in_channels"]), name="images")
    return convert_model(keras.Model(picture, portable(picture, training=False)), variant)


def convert_model(model: keras.Model, variant: str) -> bytes:
    """The TFLite file of a functional model in float32 whose input has batch 1 and a fixed size."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if variant == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    with silenced():
        return converter.convert()


def run(content: bytes, images: np.ndarray) -> np.ndarray:
    """Runs [N, H, W, C] picture by picture in the LiteRT interpreter."""
    from ai_edge_litert.interpreter import Interpreter

    with silenced():
        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    outputs = []
    for image in images:
        interpreter.set_tensor(source, image[np.newaxis])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target)[0])
    return np.stack(outputs)


def check_operators(content: bytes, variant: str) -> None:
    """Raises RunError where a file holds operations that phones do not run."""
    foreign = [name for name in operators(content) if name.startswith("Flex") or name == "READ_VARIABLE"]
    if foreign:
        raise RunError(f"TFLite {variant}: holds {', '.join(foreign)}, which phones do not run; nothing was written")


def operators(content: bytes) -> set[str]:
    """Names of the operations in a TFLite file, as the interpreter lists them."""
    from ai_edge_litert.interpreter import Interpreter

    with silenced():
        interpreter = Interpreter(model_content=content)
        return {details["op_name"] for details in interpreter._get_ops_details()}
