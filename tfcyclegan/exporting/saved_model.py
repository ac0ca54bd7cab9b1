"""A generator as a SavedModel that TensorFlow's C++ loader, and so TensorFlow Serving, reads.

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
from tfcyclegan.exporting import decoding
from tfcyclegan.networks import Generator
from tfcyclegan.networks.layers import mirrored
from tfcyclegan.translation.tiling import SMALLEST

BYTES_SIGNATURE = "serving_default"
TENSOR_SIGNATURE = "tensor"
UINT8_SIGNATURE = "tensor_uint8"
WARM_UP = "assets.extra/tf_serving_warmup_requests"  # where TensorFlow Serving looks for them
WARM_UP_SIZE = Size(64, 64)

Function: TypeAlias = tf.types.experimental.PolymorphicFunction


class ServedGenerator(tf.Module):
    """What the SavedModel holds.

    Signatures:
        serving_default: `image_bytes` [B] encoded pictures of any size -> `image_bytes` [B] PNGs of
            the same sizes; see `each_picture`.
        tensor: `images` float32 [B, H, W, C] in [-1, 1] of any size -> `images` of the other
            domain.
        tensor_uint8: the same in uint8. Both signatures of 8 bits end in InvalidArgumentError where
            the network gives no numbers.
    """

    def __init__(self, generator: Generator, rules: Rules = USUAL):
        super().__init__()
        self._weights = [variable.value for variable in generator.variables]
        channels = generator.settings["in_channels"]
        multiple = generator.size_multiple

        def translate(batch: tf.Tensor) -> tf.Tensor:
            height, width = tf.shape(batch)[1], tf.shape(batch)[2]
            for axis in (1, 2):
                batch = mirrored(batch, axis, multiple, smallest=SMALLEST)
            return generator(batch, training=False)[:, :height, :width]

        def translate_uint8(batch: tf.Tensor) -> tf.Tensor:
            return to_uint8(translate(to_float(batch)))

        def translate_bytes(image: tf.Tensor) -> tf.Tensor:
            return tf.io.encode_png(translate_uint8(image[tf.newaxis])[0])

        self.encoded = encoded_function(translate_bytes, channels, rules)
        self.tensor = _tensor_function(translate, channels, tf.float32)
        self.tensor_uint8 = _tensor_function(translate_uint8, channels, tf.uint8)


def to_float(batch: tf.Tensor) -> tf.Tensor:
    """uint8 to float32 in [-1, 1], as `images.to_float`."""
    return tf.cast(batch, tf.float32) / 127.5 - 1


def to_uint8(batch: tf.Tensor) -> tf.Tensor:
    """[-1, 1] to uint8, as `images.to_uint8`; InvalidArgumentError where it is no numbers."""
    numbers = tf.reduce_all(tf.math.is_finite(batch))
    with tf.control_dependencies([tf.debugging.Assert(numbers, [images.NO_NUMBERS])]):
        return tf.cast(tf.clip_by_value(tf.round((batch + 1) * 127.5), 0, 255), tf.uint8)


def encoded_function(
    work: Callable[[tf.Tensor], tf.Tensor], channels: int, rules: Rules = USUAL
) -> Function:
    """The function of `serving_default`: `work` takes uint8 [H, W, channels] and gives a PNG."""
    return tf.function(
        lambda image_bytes: {"image_bytes": each_picture(work, image_bytes, channels, rules)},
        input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")],
        autograph=False,
    )


def _tensor_function(
    work: Callable[[tf.Tensor], tf.Tensor], channels: int, dtype: tf.DType
) -> Function:
    return tf.function(
        lambda images: {"images": work(images)},
        input_signature=[tf.TensorSpec([None, None, None, channels], dtype, name="images")],
        autograph=False,
    )


def each_picture(
    work: Callable[[tf.Tensor], tf.Tensor],
    image_bytes: tf.Tensor,
    channels: int,
    rules: Rules = USUAL,
) -> tf.Tensor:
    """Gives each of `image_bytes` [B], decoded to uint8 [H, W, channels], to `work`; the answers
    are strings [B].

    What `decoding` refuses ends in InvalidArgumentError with its index, in every loader.
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
    generator: Generator, directory: Path, *, size: Size = WARM_UP_SIZE, rules: Rules = USUAL
) -> None:
    """Writes the SavedModel into `directory`, VERSION below the model's name.

    Args:
        generator: in float32.
        directory: where to.
        size: of the pictures in the warm-up requests.
        rules: by which the pictures of the training were read.
    """
    served = ServedGenerator(generator, rules)
    signatures = {
        BYTES_SIGNATURE: served.encoded,
        TENSOR_SIGNATURE: served.tensor,
        UINT8_SIGNATURE: served.tensor_uint8,
    }
    save_module(
        served,
        signatures,
        directory,
        gray=np.full((size.height, size.width, generator.settings["in_channels"]), 128, np.uint8),
    )


def save_module(
    served: tf.Module, signatures: Mapping[str, Function], directory: Path, *, gray: np.ndarray
) -> None:
    """Writes a SavedModel with warm-up requests: TensorFlow Serving answers these to itself before
    it says that it is ready.

    Args:
        served: holds the weights.
        signatures: by name; each takes one batch of strings (encoded pictures), float32 or uint8.
        directory: where to.
        gray: a picture uint8 [H, W, C] for the requests.
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    tf.saved_model.save(served, str(directory), signatures=dict(signatures))
    values = {
        tf.string: np.array([images.encode_png(gray)], object),
        tf.float32: images.to_float(gray)[np.newaxis],
        tf.uint8: gray[np.newaxis],
    }
    path = directory / WARM_UP
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, function in signatures.items():
            (spec,) = function.input_signature
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = directory.parent.name, name
            request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(values[spec.dtype]))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


def run_in_session(
    directory: Path, batch: np.ndarray, *, signature: str = TENSOR_SIGNATURE, output: str = "images"
) -> np.ndarray:
    """Runs a signature as the C++ loader does: graph and restore operation alone, no Python
    objects.
    """
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(directory))
        definition = graph.signature_def[signature]
        (source,) = definition.inputs.values()
        return session.run(definition.outputs[output].name, {source.name: batch})
