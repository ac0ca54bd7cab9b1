"""The package's only Example schema: how pictures are stored in TFRecords, for writing and reading.

Keys follow TensorFlow's object-detection convention. As TFDS features they nest, so that
`tfds.builder_from_directory` reads what `data_prep` writes:

    image/encoded   bytes   8-bit JPEG or PNG, upright, grayscale or RGB
    image/format    bytes   "jpeg" or "png"
    image/filename  bytes   the file's path below the input directory, "/" between the parts
    image/height    int64   pixels
    image/width     int64   pixels

and, in a data set with labels:

    label/encoded   bytes   8-bit grayscale PNG: the class id of each pixel
                            (tfcyclegan.data.labels), in the image's size
    label/filename  bytes   the label file's path below the input directory

All splits of a data set have the same keys: those that the manifest lists as unlabelled have
NO_LABEL.

Measurements (`data.values`) are arrays, TFDS features of type `Tensor` with the encoding "zlib":

    image/array/value  bytes    zlib of the values [h, w, C], row by row, little-endian
    image/array/shape  int64    h, w, C
    image/filename     bytes    its file's path, as above, and plane: trainA/scan_0012.nii.gz
    image/group        bytes    the array's subject, scene or file
    image/plane        int64    its number in the file, from 0

A and B share one type in the records, which holds the values of both exactly (`stored_type`).
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

IMAGE_KEY = "image"
LABEL_KEY = "label"


@dataclass(frozen=True)
class Label:
    """The class ids of a picture's pixels, as they are stored: a grayscale PNG."""

    encoded: bytes
    filename: str


_ONE_PIXEL = bytes.fromhex(  # a PNG with one black pixel
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c636000000002000148afa4710000000049454e44ae426082"
)
NO_LABEL = Label(_ONE_PIXEL, "")
"""Placeholder for a picture without a label in a data set with labels: a single pixel, which
nothing reads.
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


@dataclass(frozen=True)
class Example:
    """One stored picture.

    Attributes:
        filename: its name.
        encoded: JPEG or PNG; empty for a measurement.
        label: its map of class ids, in a data set with labels.
        array: for a measurement, its values [h, w, C], of the type in `DataSource.values`.
        group: for a measurement, its group, such as the subject.
        plane: for a measurement, its number in its file.
    """

    filename: str
    encoded: bytes
    label: Label | None
    array: "np.ndarray | None" = None
    group: str = ""
    plane: int = 0


@dataclass(frozen=True)
class StoredArray:
    """A plane of a measurement, or a window of one, as it is stored.

    Attributes:
        encoded: zlib of the values.
        shape: (height, width, channels).
        filename, group, plane: see above.
    """

    encoded: bytes
    shape: tuple[int, int, int]
    filename: str
    group: str
    plane: int

    @classmethod
    def of(
        cls, array: "np.ndarray", dtype: str, *, filename: str, group: str, plane: int
    ) -> "StoredArray":
        """From values [h, w, C], stored as `dtype`, which must hold them exactly."""
        import numpy as np

        values = array.astype(np.dtype(dtype).newbyteorder("<"))
        height, width, channels = array.shape
        encoded = zlib.compress(values.tobytes(), _LEVEL)
        return cls(encoded, (height, width, channels), filename, group, plane)


def array_of(stored: Mapping[str, Any], dtype: "np.dtype[Any]") -> "np.ndarray":
    """The values [h, w, C] of the undecoded feature `array`: {"value": ..., "shape": ...}.

    Raises:
        zlib.error, ValueError: they are damaged.
    """
    import numpy as np

    values = np.frombuffer(zlib.decompress(stored["value"]), dtype.newbyteorder("<"))
    return values.reshape(stored["shape"]).astype(dtype)


_LEVEL = 1  # higher levels hardly compress measured noise any further


def stored_type(dtypes: Iterable[str]) -> str:
    """The type in which values of all `dtypes` are stored: their own if there is only one,
    otherwise float32, which holds all of `values.TYPES` exactly.
    """
    found = set(dtypes)
    return found.pop() if len(found) == 1 else "float32"


def features(*, labels: bool = False, array: str = "") -> Any:
    """The schema as a `tfds.features.FeaturesDict`.

    Args:
        labels: whether there are the label keys.
        array: the type in which measurements are stored; empty for pictures.
    """
    import numpy as np
    import tensorflow_datasets as tfds

    if array:
        measured = {
            "array": tfds.features.Tensor(
                shape=(None, None, None), dtype=np.dtype(array), encoding="zlib"
            ),
            "filename": tfds.features.Text(),
            "group": tfds.features.Text(),
            "plane": tfds.features.Scalar(np.int64),
        }
        return tfds.features.FeaturesDict({IMAGE_KEY: tfds.features.FeaturesDict(measured)})
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


def serialize(picture: Picture | StoredArray) -> bytes:
    """The picture or array as a serialized `tf.train.Example`."""
    import tensorflow as tf

    def text(value: bytes) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    def numbers(*values: int) -> Any:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def name(value: str) -> Any:
        return text(value.encode("utf-8", "surrogateescape"))

    if isinstance(picture, StoredArray):
        feature = {
            f"{IMAGE_KEY}/array/value": text(picture.encoded),
            f"{IMAGE_KEY}/array/shape": numbers(*picture.shape),
            f"{IMAGE_KEY}/filename": name(picture.filename),
            f"{IMAGE_KEY}/group": name(picture.group),
            f"{IMAGE_KEY}/plane": numbers(picture.plane),
        }
    else:
        feature = {
            f"{IMAGE_KEY}/encoded": text(picture.encoded),
            f"{IMAGE_KEY}/format": text(picture.format.encode()),
            f"{IMAGE_KEY}/filename": name(picture.filename),
            f"{IMAGE_KEY}/height": numbers(picture.height),
            f"{IMAGE_KEY}/width": numbers(picture.width),
        }
        if picture.label is not None:
            feature[f"{LABEL_KEY}/encoded"] = text(picture.label.encoded)
            feature[f"{LABEL_KEY}/filename"] = name(picture.label.filename)
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(
        deterministic=True
    )
