"""A generator as TFLite: fixed size, batch 1, only built-in operations, float32 input and output in
every variant.

Layers compute differently there with `tflite_ops`: see `networks.layers`, `norms`, `antialiasing`.
"""

import collections
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.exporting.quality import Candidate
from tfcyclegan.exporting.tflite_converters import FLOAT_VARIANTS, by_tensorflow
from tfcyclegan.networks import Generator
from tfcyclegan.system import hardware
from tfcyclegan.system.tensorflow_setup import silenced

_STATEFUL = ("READ_VARIABLE", "VAR_HANDLE", "ASSIGN_VARIABLE")


def check_size(generator: Generator, size: Size) -> None:
    """Raises UserError if the generator cannot process pictures of `size`."""
    multiple = generator.size_multiple
    if size.height % multiple or size.width % multiple or min(size.height, size.width) < 16:
        raise UserError(
            f"--tflite_size={size}: needs sides that are multiples of {multiple} and at least 16"
        )


def fixed(generator: Generator, size: Size, *, latents: bool = False) -> keras.Model:
    """The generator as a model of TFLite's operations for pictures of one size, and with `latents`
    for a latent [1, L] beside the picture.

    Raises:
        UserError: the size does not fit the network.
    """
    check_size(generator, size)
    tflite_ops = type(generator).from_config({**generator.get_config(), "tflite_ops": True})
    tflite_ops.set_weights(generator.get_weights())
    # Batch 1 and the size are fixed before the conversion: a free batch costs 2 to 10 times the
    # time.
    picture = keras.Input(
        batch_shape=(1, size.height, size.width, generator.settings["in_channels"]), name="images"
    )
    if not latents:
        return keras.Model(picture, tflite_ops(picture, training=False))
    latent = keras.Input(batch_shape=(1, generator.settings["latent_size"]), name="latents")
    translated = tflite_ops(picture, training=False, latents=latent)
    return keras.Model([picture, latent], translated)


def convert(
    generator: Generator, variant: str, size: Size, training_pictures: Sequence[np.ndarray] = ()
) -> bytes:
    """The TFLite file's content, by TensorFlow's converter.

    Args:
        generator: a generator with float32 weights.
        variant: one of `tflite_converters.VARIANTS`.
        size: of the pictures; multiples of the generator's `size_multiple`.
        training_pictures: float32 [H, W, C] in [-1, 1] of that size, by which "int8" chooses its
            ranges.

    Raises:
        UserError: the size does not fit the network.
    """
    return convert_model(fixed(generator, size), variant, training_pictures)


def convert_model(
    model: keras.Model, variant: str, training_pictures: Sequence[np.ndarray] = ()
) -> bytes:
    """The TFLite file of a functional model in float32 whose input has batch 1 and a fixed size;
    otherwise like `convert`.
    """
    return by_tensorflow(model)(variant, training_pictures)


class Program:
    """A TFLite file in the LiteRT interpreter, with the XNNPACK delegate for the operations that it
    supports.

    Args:
        content: the file's content.
        threads: None leaves their number to LiteRT.
    """

    def __init__(self, content: bytes, *, threads: int | None = None):
        self._interpreter = _interpreter(content, threads)
        self._count = len(self._interpreter._get_ops_details())
        with silenced():
            self._interpreter.allocate_tensors()
        # the picture, and the latent if the file takes one
        sources = sorted(
            self._interpreter.get_input_details(), key=lambda each: -len(each["shape"])
        )
        self._sources = [each["index"] for each in sources]
        self._target = self._interpreter.get_output_details()[0]["index"]

    def __call__(self, *given: np.ndarray) -> np.ndarray:
        """Translates float32 [1, H, W, C] in [-1, 1], by a latent [1, L] if the file takes one."""
        for source, values in zip(self._sources, given, strict=True):
            self._interpreter.set_tensor(source, values)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._target)

    def outside_delegate(self) -> dict[str, int]:
        """The operations that the delegate does not support, with the number of each.

        The interpreter lists the delegate's nodes after the file's own. A delegate node replaces
        the operations between its inputs and outputs.
        """
        nodes = self._interpreter._get_ops_details()
        own, delegates = nodes[: self._count], nodes[self._count :]
        maker = {tensor: node for node in own for tensor in node["outputs"]}
        taken: set[int] = set()
        for delegate in delegates:
            known, ahead = set(delegate["inputs"]), list(delegate["outputs"])
            while ahead:
                tensor = ahead.pop()
                if tensor in maker and tensor not in known:
                    known.add(tensor)
                    taken.add(maker[tensor]["index"])
                    ahead += list(maker[tensor]["inputs"])
        return dict(
            collections.Counter(node["op_name"] for node in own if node["index"] not in taken)
        )


def candidate(name: str, content: bytes) -> Candidate:
    """A file of this variant, to be measured."""
    program = Program(content, threads=hardware.cores())
    return Candidate(
        {f"{name}.tflite": content},
        program,
        outside_delegate=program.outside_delegate(),
        quantized=name not in FLOAT_VARIANTS,
    )


def _interpreter(content: bytes, threads: int | None = None) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    with silenced():
        return Interpreter(model_content=content, num_threads=threads)


def run(content: bytes, images: np.ndarray) -> np.ndarray:
    """Runs [N, H, W, C] picture by picture in the LiteRT interpreter."""
    program = Program(content)
    return np.concatenate([program(image[np.newaxis]) for image in images])


def check_operators(content: bytes, variant: str) -> None:
    """Raises RunError if a file holds operations that phones do not support."""
    foreign = [name for name in operators(content) if name.startswith("Flex") or name in _STATEFUL]
    if foreign:
        raise RunError(
            f"TFLite {variant}: holds {', '.join(foreign)}, which phones do not support; nothing "
            "was written"
        )


def operators(content: bytes) -> set[str]:
    """Names of the operations in a TFLite file."""
    return {node["op_name"] for node in _interpreter(content)._get_ops_details()}
