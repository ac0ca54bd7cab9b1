"""A segmenter as SavedModel and TFLite, verified against Keras before anything gets its final name.

saved_models/NAME/1/            the SavedModel, a number higher at each export
    float32.tflite float16.tflite
    metadata.json               weights, class table, measured parity
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfcyclegan import __version__
from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.errors import UserError
from tfcyclegan.exporting import saved_model, tflite
from tfcyclegan.exporting.exporter import SAVED_MODEL, check_parity, show_parity
from tfcyclegan.exporting.tflite_converters import FLOAT_VARIANTS
from tfcyclegan.exporting.value_graph import to_float
from tfcyclegan.exporting.versions import new_version, newest_version
from tfcyclegan.exports.model_metadata import METADATA, translates
from tfcyclegan.segmentation.network import MULTIPLE, logits_of, make_network
from tfcyclegan.segmentation.runs import read_segmenter_run
from tfcyclegan.segmentation.segmenter import Segmenter, load_segmenter
from tfcyclegan.system import files
from tfcyclegan.system.progress import log

_PICTURES = 4


class ServedSegmenter(tf.Module):
    """The contents of the SavedModel: bare variables, see `saved_model`.

    Signatures:
        serving_default: `image_bytes` [B] encoded pictures of any size -> `image_bytes` [B] PNGs of
            class ids, of the same sizes; see `saved_model.each_picture`.
        tensor: `images` float32 [B, H, W, 3] in [-1, 1] of any size -> `probabilities` float32 [B,
            H, W, C] of the train ids.
    """

    def __init__(self, network: keras.Model, classes: ClassTable):
        super().__init__()
        self._weights = [variable.value for variable in network.variables]
        ids = tf.constant(classes.to_ids(np.arange(classes.count)))

        # traced once, called by both signatures
        logits = tf.function(
            lambda images: logits_of(network, images),
            input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)],
            autograph=False,
        )

        def label_bytes(image: tf.Tensor) -> tf.Tensor:
            labels = tf.argmax(logits(to_float(image)[tf.newaxis])[0], -1)
            return tf.io.encode_png(tf.gather(ids, labels)[..., tf.newaxis])

        self.encoded = saved_model.encoded_function(label_bytes, 3)
        self.tensor = tf.function(
            lambda images: {"probabilities": tf.nn.softmax(logits(images))},
            input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, name="images")],
            autograph=False,
        )


def export_segmenter(directory: Path, output: Path, tflite_size: Size | None) -> Path:
    """Exports the segmenter of a run directory; returns the directory of the version made, or of
    the version that already holds the same.

    Raises:
        UserError: there is no finished segmenter, or the size does not fit.
        RunError: an exported model differs from Keras by more than its bound; nothing is left
            behind.
    """
    if output.suffix == ".tflite":
        raise UserError(
            f"--output={output}: is a folder, such as saved_models/segmenter; the .tflite files "
            "lie inside"
        )
    segmenter, run = load_segmenter(directory), read_segmenter_run(directory)
    size = tflite_size or _fitting(segmenter.size)
    if size.height % MULTIPLE or size.width % MULTIPLE:
        raise UserError(
            f"--tflite_size={size}: needs sides that are multiples of {MULTIPLE}, such as "
            f"{_fitting(size)}"
        )
    identity = {
        "weights": segmenter.identity["weights"],
        "tflite_size": str(size),
        "tfcyclegan": __version__,
    }
    newest = newest_version(output, identity)
    if newest is not None:
        log(f"{newest}: already holds this segmenter")
        return newest
    described = {
        "format": files.FORMAT,
        **identity,
        "run_dir": str(directory),
        "parameters": segmenter.network.count_params(),
        "classes": segmenter.classes.to_json(),
        "trained_at": segmenter.scale,
    }
    # smooth noise: comparing two programs with the same weights needs no real pictures
    generator = np.random.default_rng(0)
    coarse = generator.uniform(-1, 1, (_PICTURES, size.height // 8, size.width // 8, 3)).astype(
        np.float32
    )
    pictures = np.array(tf.image.resize(coarse, (size.height, size.width), "bicubic")).clip(-1, 1)
    expected = segmenter.probabilities(images.to_uint8(pictures))
    pictures = images.to_float(images.to_uint8(pictures))
    with new_version(output, described) as (version, temporary):
        served = ServedSegmenter(segmenter.network, segmenter.classes)
        signatures = {
            saved_model.BYTES_SIGNATURE: served.encoded,
            saved_model.TENSOR_SIGNATURE: served.tensor,
        }
        saved_model.save_module(
            served, signatures, temporary, gray=np.full((size.height, size.width, 3), 128, np.uint8)
        )
        outputs = {
            SAVED_MODEL: saved_model.run_in_session(temporary, pictures, output="probabilities")
        }
        for variant in FLOAT_VARIANTS:
            content = convert(segmenter, variant, size, run.options.width)
            tflite.check_operators(content, variant)
            files.write_bytes(temporary / f"{variant}.tflite", content)
            outputs[f"TFLite {variant}"] = tflite.run(content, pictures)
        parity = {name: float(np.abs(result - expected).max()) for name, result in outputs.items()}
        show_parity(parity, temporary, "largest difference from Keras, range [0, 1]")
        check_parity(parity)
        files.write_json(temporary / METADATA, described | {"parity": parity})
    log(
        f"exported to {version}: {translates(described)}; the TFLite files only take pictures of "
        f"{size.height}x{size.width}"
    )
    if segmenter.load_size:
        log(
            "it keeps pictures' sizes; training and tfcyclegan segment resize them to "
            f"{segmenter.scale}"
        )
    return version


def convert(segmenter: Segmenter, variant: str, size: Size, width: int) -> bytes:
    """The TFLite file's content: float32 [1, H, W, 3] in [-1, 1] to probabilities of the train ids,
    float32 [1, H, W, C].

    Args:
        segmenter: the segmenter to convert.
        variant: one of `FLOAT_VARIANTS`.
        size: size of the pictures, multiples of `MULTIPLE`.
        width: width of the network.
    """
    fixed = make_network(
        width=width, classes=segmenter.classes.count, input_size=(size.height, size.width)
    )
    fixed.set_weights(segmenter.network.get_weights())
    return tflite.convert_model(
        keras.Model(fixed.input, keras.layers.Softmax()(fixed.output)), variant
    )


def _fitting(size: Size) -> Size:
    return Size(-(-size.height // MULTIPLE) * MULTIPLE, -(-size.width // MULTIPLE) * MULTIPLE)
