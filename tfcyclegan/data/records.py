"""The one Example schema of the package: how a picture lies in a TFRecord, for writing and for
reading.

Keys follow TensorFlow's object-detection convention. As TFDS features they nest, so that
`tfds.builder_from_directory` reads what `data_prep` writes:

    image/encoded   bytes   JPEG or PNG, 8 bit, upright, grayscale or RGB
    image/format    bytes   "jpeg" or "png"
    image/filename  bytes   the file's path below the input directory, "/" between the parts
    image/height    int64   pixels
    image/width     int64   pixels

and, in a data set with labels:

    label/encoded   bytes   PNG, 8 bit, grayscale: the class id of each pixel
                            (tfcyclegan.data.labels), in the image's size
    label/filename  bytes   the label file's path below the input directory

All splits of a data set have the same keys: those that the manifest calls unlabelled have NO_LABEL.
"""

from dataclasses import dataclass
from typing import Any

IMAGE_KEY = "image"
LABEL_KEY = "label"


@dataclass(frozen=True)
class Label:
    """The class ids of a picture's pixels, as they are stored: a grayscale PNG."""

    encoded: bytes
    filename: str


_ONE_PIXEL = bytes.fromhex(  # a PNG of one black pixel
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c636000000002000148afa4710000000049454e44ae426082"
)
NO_LABEL = Label(_ONE_PIXEL, "")
"""What stands where a picture has no label and others of its data set have one: a single pixel,
which nothing reads.
"""


@dataclass(frozen=True)
class Picture:
    """One encoded picture, as it is stored."""

    encoded: bytes
    format: str
    filename: str
    height: int
    width: int
    label: Label | None = None


def features(*, labels: bool = False) -> Any:
    """The schema as a `tfds.features.FeaturesDict`, with or without the label keys."""
    import numpy as np
    import tensorflow_datasets as tfds

    image = {
        "encoded": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
        "format": tfds.features.Text(),
        "filename": tfds.features.Text(),
        "height": tfds.features.Scalar(np.int64),
        "width": tfds.features.Scalar(np.int64),
    }
    parts = {IMAGE_KEY: tfds.features.FeaturesDict(image)}
    if labels:
        label = {
            "encoded": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
            "filename": tfds.features.Text(),
        }
        parts[LABEL_KEY] = tfds.features.FeaturesDict(label)
    return tfds.features.FeaturesDict(parts)


def serialize(picture: Picture) -> bytes:
    """The picture as a serialized `tf.train.Example`."""
    import tensorflow as tf

    def text(value: bytes) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    def number(value: int) -> Any:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    feature = {
        f"{IMAGE_KEY}/encoded": text(picture.encoded),
        f"{IMAGE_KEY}/format": text(picture.format.encode()),
        f"{IMAGE_KEY}/filename": text(picture.filename.encode("utf-8", "surrogateescape")),
        f"{IMAGE_KEY}/height": number(picture.height),
        f"{IMAGE_KEY}/width": number(picture.width),
    }
    if picture.label is not None:
        feature[f"{LABEL_KEY}/encoded"] = text(picture.label.encoded)
        feature[f"{LABEL_KEY}/filename"] = text(
            picture.label.filename.encode("utf-8", "surrogateescape")
        )
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(
        deterministic=True
    )
