"""A generator as a SavedModel that TensorFlow's C++ loader, and so TensorFlow Serving, reads.

`tf.saved_model.save` of anything that holds a Keras 3 model writes variables which the C++ loader does not find, and
`model.export` stores every weight twice. A `tf.Module` with the bare variables and traced functions does neither.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tfcyclegan.networks import Generator
from tfcyclegan.networks.layers import mirrored
from tfcyclegan.translation import SMALLEST

TENSOR_SIGNATURE = "tensor"
BYTES_SIGNATURE = "serving_default"


class ServedGenerator(tf.Module):
    """What the SavedModel holds.

    Signatures:
        serving_default: `image_bytes` [B] encoded pictures of any size -> `image_bytes` [B] PNGs of the same sizes.
        tensor: `images` float32 [B, H, W, C] in [-1, 1] of any size -> `images` of the other domain.
    """

    def __init__(self, generator: Generator):
        super().__init__()
        self._weights = [variable.value for variable in generator.variables]
        channels = generator.settings["in_channels"]
        multiple = generator.size_multiple

        def translate(images: tf.Tensor) -> tf.Tensor:
            height, width = tf.shape(images)[1], tf.shape(images)[2]
            for axis in (1, 2):
                images = mirrored(images, axis, multiple, smallest=SMALLEST)
            return generator(images, training=False)[:, :height, :width]

        def translate_bytes(encoded: tf.Tensor) -> tf.Tensor:
            image = tf.io.decode_image(encoded, channels=channels, expand_animations=False)
            image.set_shape([None, None, channels])
            translated = translate(tf.cast(image, tf.float32)[tf.newaxis] / 127.5 - 1)[0]
            return tf.io.encode_png(tf.cast(tf.clip_by_value(tf.round((translated + 1) * 127.5), 0, 255), tf.uint8))

        self.tensor = tf.function(
            lambda images: {"images": translate(images)},
            input_signature=[tf.TensorSpec([None, None, None, channels], tf.float32, name="images")],
            autograph=False,
        )
        self.encoded = tf.function(
            lambda image_bytes: {"image_bytes": tf.map_fn(translate_bytes, image_bytes, fn_output_signature=tf.string)},
            input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")],
            autograph=False,
        )


def save(generator: Generator, directory: Path) -> None:
    """Writes the SavedModel into `directory`."""
    served = ServedGenerator(generator)
    tf.saved_model.save(served, str(directory), signatures={BYTES_SIGNATURE: served.encoded, TENSOR_SIGNATURE: served.tensor})


def run_in_session(directory: Path, images: np.ndarray, *, output: str = "images") -> np.ndarray:
    """Runs the `tensor` signature as the C++ loader does: graph and restore operation alone, no Python objects."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(directory))
        signature = graph.signature_def[TENSOR_SIGNATURE]
        return session.run(signature.outputs[output].name, {signature.inputs["images"].name: images})
