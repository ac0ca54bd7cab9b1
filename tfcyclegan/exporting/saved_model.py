"""A generator as a SavedModel that TensorFlow's C++ loader, and thus TensorFlow Serving, can read.

`tf.saved_model.save` of anything that holds a Keras 3 model writes variables which the C++ loader
does not find, and `model.export` stores every weight twice. A `tf.Module` with the bare variables
and traced functions does neither.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.intake import USUAL, Rules
from tfcyclegan.exporting import decoding, value_graph
from tfcyclegan.networks import Generator, LatentGenerator
from tfcyclegan.networks.layers import mirrored
from tfcyclegan.translation.tiling import SMALLEST
from tfcyclegan.translation.value_pair import ValuePair

BYTES_SIGNATURE = "serving_default"
TENSOR_SIGNATURE = "tensor"
UINT8_SIGNATURE = "tensor_uint8"
LATENTS_SIGNATURE = "tensor_with_latents"
LATENTS = "latents"
"""Name of its second input."""
VALUES_SIGNATURE = BYTES_SIGNATURE
VALUES = "values"
"""Name of the tensors of values."""
WARM_UP = "assets.extra/tf_serving_warmup_requests"  # where TensorFlow Serving looks for them
WARM_UP_SIZE = Size(64, 64)

Function: TypeAlias = tf.types.experimental.PolymorphicFunction


class ServedGenerator(tf.Module):
    """The contents of the SavedModel.

    Signatures:
        tensor: `images` float32 [B, H, W, C] in [-1, 1] of any size -> `images` of the other
            domain.
    Additionally, from pictures to pictures:
        serving_default: `image_bytes` [B] encoded pictures of any size -> `image_bytes` [B] PNGs of
            the same sizes; see `each_picture`.
        tensor_uint8: as tensor, in uint8.
    If a side is measurements:
        serving_default: `values` [B, H, W, C] of any size, of the source's type and in its units
            -> `values` of the target's; uint8 levels of a side of pictures.
    Of a generator that takes latents, whose answer of the zero latent all others give:
        tensor_with_latents: `images` as in tensor and `latents` float32 [B, L], or [1, L] for all
            -> `images`.
    All but the tensor ones raise InvalidArgumentError if the network's output is not finite.
    """

    def __init__(self, generator: Generator, rules: Rules = USUAL, values: ValuePair | None = None):
        super().__init__()
        self._weights = [variable.value for variable in generator.variables]
        channels = generator.settings["in_channels"]
        multiple = generator.size_multiple

        def translate_with(batch: tf.Tensor, latents: tf.Tensor | None = None) -> tf.Tensor:
            answer = {} if latents is None else {"latents": latents}
            height, width = tf.shape(batch)[1], tf.shape(batch)[2]
            for axis in (1, 2):
                batch = mirrored(batch, axis, multiple, smallest=SMALLEST)
            return generator(batch, training=False, **answer)[:, :height, :width]

        # Traced once, with or without latents: the signatures call it, where each would hold the
        # whole network.
        specs = [tf.TensorSpec([None, None, None, channels], tf.float32, name="images")]
        if isinstance(generator, LatentGenerator):
            specs.append(tf.TensorSpec([None, generator.latent_size], tf.float32, name=LATENTS))
        network = tf.function(translate_with, input_signature=specs, autograph=False)

        def translate(batch: tf.Tensor) -> tf.Tensor:
            none = [tf.zeros([1, spec.shape[1]]) for spec in specs[1:]]
            return network(batch, *none)

        pair = values or ValuePair()

        def translate_values(batch: tf.Tensor) -> tf.Tensor:
            seen = translate(value_graph.to_network(pair, batch))
            return value_graph.from_network(pair, seen, value_graph.gaps(pair, batch))

        def translate_bytes(image: tf.Tensor) -> tf.Tensor:
            return tf.io.encode_png(translate_values(image[tf.newaxis])[0])

        self.tensor = _tensor_function(translate, channels, tf.float32)
        stored = value_graph.stored_type(pair.source)
        if pair.pictures:
            self.encoded = encoded_function(translate_bytes, channels, rules)
            self.tensor_uint8 = _tensor_function(translate_values, channels, stored)
        else:
            self.values = _tensor_function(translate_values, channels, stored, VALUES)
        if isinstance(generator, LatentGenerator):
            self.with_latents = tf.function(
                lambda images, latents: {"images": network(images, latents)},
                input_signature=specs,
                autograph=False,
            )

    def functions(self) -> dict[str, Function]:
        """The signatures by name."""
        latents = {LATENTS_SIGNATURE: self.with_latents} if hasattr(self, "with_latents") else {}
        if hasattr(self, "values"):
            return {VALUES_SIGNATURE: self.values, TENSOR_SIGNATURE: self.tensor, **latents}
        return {
            BYTES_SIGNATURE: self.encoded,
            TENSOR_SIGNATURE: self.tensor,
            UINT8_SIGNATURE: self.tensor_uint8,
            **latents,
        }


def encoded_function(
    work: Callable[[tf.Tensor], tf.Tensor], channels: int, rules: Rules = USUAL
) -> Function:
    """The function of `serving_default`: `work` maps uint8 [H, W, channels] to a PNG."""
    return tf.function(
        lambda image_bytes: {"image_bytes": each_picture(work, image_bytes, channels, rules)},
        input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")],
        autograph=False,
    )


def _tensor_function(
    work: Callable[[tf.Tensor], tf.Tensor], channels: int, dtype: tf.DType, name: str = "images"
) -> Function:
    return tf.function(
        lambda batch: {name: work(batch)},
        input_signature=[tf.TensorSpec([None, None, None, channels], dtype, name=name)],
        autograph=False,
    )


def each_picture(
    work: Callable[[tf.Tensor], tf.Tensor],
    image_bytes: tf.Tensor,
    channels: int,
    rules: Rules = USUAL,
) -> tf.Tensor:
    """Applies `work` to each of `image_bytes` [B], decoded to uint8 [H, W, channels]; the results
    are strings [B].

    Pictures that `decoding` refuses raise InvalidArgumentError with their index, in every loader.
    """

    def one(indexed: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        index, encoded = indexed
        image, refusal = decoding.decode(encoded, channels, rules)
        message = tf.strings.join(["image_bytes[", tf.strings.as_string(index), "]: ", refusal])
        with tf.control_dependencies([tf.debugging.Assert(refusal == "", [message])]):
            return work(tf.identity(image))

    return tf.map_fn(
        one, (tf.range(tf.size(image_bytes)), image_bytes), fn_output_signature=tf.string
    )


def save(
    generator: Generator,
    directory: Path,
    *,
    size: Size = WARM_UP_SIZE,
    rules: Rules = USUAL,
    values: ValuePair | None = None,
) -> None:
    """Writes the SavedModel into `directory`, VERSION below the model's name.

    Args:
        generator: in float32.
        directory: the target directory.
        size: size of the pictures in the warm-up requests.
        rules: rules by which training pictures were read.
        values: values of both sides; None for pictures.
    """
    served = ServedGenerator(generator, rules, values)
    channels = generator.settings["in_channels"]
    gray = np.full((size.height, size.width, channels), 128, np.uint8)
    save_module(served, served.functions(), directory, gray=gray)


def save_module(
    served: tf.Module, signatures: Mapping[str, Function], directory: Path, *, gray: np.ndarray
) -> None:
    """Writes a SavedModel with warm-up requests: TensorFlow Serving runs these before it reports
    that it is ready.

    Args:
        served: holds the weights.
        signatures: functions by name; each takes a batch of strings (encoded pictures) or
            numbers, and may take latents.
        directory: the target directory.
        gray: a picture uint8 [H, W, C] for the requests.
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    tf.saved_model.save(served, str(directory), signatures=dict(signatures))
    path = directory / WARM_UP
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, function in signatures.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = directory.parent.name, name
            for spec in function.input_signature:
                example = _example(spec, gray)
                request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(example))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


def _example(spec: tf.TensorSpec, gray: np.ndarray) -> np.ndarray:
    """A batch of one for an input of a signature."""
    if spec.name == LATENTS:
        return np.zeros((1, spec.shape[1]), np.float32)
    if spec.dtype == tf.string:
        return np.array([images.encode_png(gray)], object)
    return gray[np.newaxis].astype(spec.dtype.as_numpy_dtype)


def run_in_session(
    directory: Path, batch: np.ndarray, *, signature: str = TENSOR_SIGNATURE, output: str = "images"
) -> np.ndarray:
    """Runs a signature like the C++ loader: only graph and restore operation, no Python objects."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(directory))
        definition = graph.signature_def[signature]
        (source,) = definition.inputs.values()
        return session.run(definition.outputs[output].name, {source.name: batch})
