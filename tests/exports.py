"""An export as its users look at it: what it says of itself, and a picture through every way to run
its weights.
"""

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from tfcyclegan.data import images
from tfcyclegan.exporting import saved_model, tflite
from tfcyclegan.training.runs import read_run
from tfcyclegan.translation.translators import from_run


@contextlib.contextmanager
def by_loader(exported: Path) -> Iterator[Callable[..., np.ndarray]]:
    """Runs a signature of the export as TensorFlow Serving does: from graph and restore operation
    alone.
    """
    graph = tf.Graph()
    with graph.as_default():
        session = tf.compat.v1.Session()
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], str(exported)).signature_def

    def run(batch: np.ndarray | list[bytes], signature: str = "serving_default") -> np.ndarray:
        # an array of NumPy's own byte strings would drop the zeros at a file's end
        batch = np.array(batch, object) if isinstance(batch, list) else batch
        ((_, source),), ((_, target),) = (
            signatures[signature].inputs.items(),
            signatures[signature].outputs.items(),
        )
        return session.run(target.name, {source.name: batch})

    yield run
    session.close()


def read_metadata(version: Path) -> dict:
    return json.loads((version / "metadata.json").read_text())


def convolutions(version: Path) -> int:
    """The number of convolutions, also transposed ones, in all functions of a SavedModel."""
    stored = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    functions = stored.meta_graphs[0].graph_def.library.function
    operations = [node.op for function in functions for node in function.node_def]
    return operations.count("Conv2D") + operations.count("Conv2DBackpropInput")


def encode(pixels: np.ndarray, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def sampled(run_dir: Path, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The first test picture of a run's strip and its translation as training drew it, uint8 [H, W,
    3].
    """
    size = read_run(run_dir).config.crop_size
    # small ones are enlarged
    sheet = np.asarray(Image.open(run_dir / "samples" / f"test-{step:07}-ab.png"))[::4, ::4]
    return sheet[: size.height, : size.width], sheet[
        : size.height, size.width + 2 : 2 * size.width + 2
    ]


def shown_by_each(exported: Path, run_dir: Path, source: np.ndarray) -> dict[str, np.ndarray]:
    """A picture through every way to run the weights in Python, uint8 [H, W, 3] each."""
    signatures = tf.saved_model.load(str(exported)).signatures
    by_bytes = signatures["serving_default"](image_bytes=tf.constant([encode(source)]))[
        "image_bytes"
    ].numpy()[0]
    batch = images.to_float(source)[np.newaxis]
    return {
        "restored checkpoint": from_run(read_run(run_dir), "latest", "ab")(source),
        "SavedModel, tensor_uint8": signatures["tensor_uint8"](
            images=tf.constant(source[np.newaxis])
        )["images"].numpy()[0],
        "SavedModel, serving_default": np.asarray(Image.open(io.BytesIO(by_bytes))),
        "C++ loader": images.to_uint8(saved_model.run_in_session(exported, batch)[0]),
        "TFLite float32": images.to_uint8(
            tflite.run((exported / "float32.tflite").read_bytes(), batch)[0]
        ),
        "TFLite float16": images.to_uint8(
            tflite.run((exported / "float16.tflite").read_bytes(), batch)[0]
        ),
    }


def assert_same_picture(shown: dict[str, np.ndarray], drawn: np.ndarray) -> None:
    """Every way against the restored checkpoint, each within its own levels of 8 bits."""
    # training ran in bfloat16; the browser runs float16, 2 off LiteRT
    bounds = {"training sample": 3, "TFLite float16": 2, "browser": 3}
    restored = shown["restored checkpoint"].astype(int)
    assert np.ptp(restored) > 20, "a picture, not one colour"
    apart = {
        name: int(np.abs(picture - restored).max())
        for name, picture in (shown | {"training sample": drawn}).items()
    }
    assert {name: levels for name, levels in apart.items() if levels > bounds.get(name, 1)} == {}
