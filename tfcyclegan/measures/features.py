"""Feature networks for FID, KID and LPIPS, each under a name that says which layer of which network
it is.

Numbers of different networks cannot be compared with each other: the FIDs of papers are of
"inception2015-pool3-2048", whose weights no package ships (see `inception`). AlexNet and VGG16 are
those of LPIPS, fetched by `weights`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.errors import UserError
from tfcyclegan.measures import inception, weights
from tfcyclegan.measures.distribution import resize_in_float
from tfcyclegan.system import files

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


class Trunk:
    """The convolutions of AlexNet or VGG16.

    Args:
        network: "alexnet" or "vgg16".
        arrays: as `weights.published` gives them.
    """

    def __init__(self, network: str, arrays: dict[str, np.ndarray]):
        self.network = network
        self._convolutions: list[tuple[np.ndarray, np.ndarray]] = []
        while (name := f"{_ROOTS[network]}/Conv_{len(self._convolutions)}") + "/kernel" in arrays:
            self._convolutions.append((arrays[f"{name}/kernel"], arrays[f"{name}/bias"]))

    def stages(self, pictures: np.ndarray) -> list[Any]:
        """float32 [B, H, W, 3] in [0, 255], at least 32 pixels a side, to five tensors [B, h, w, c]
        behind their ReLUs.
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
        name: network, layer and dimension, to be printed beside every number made with it.
        dimension: of the vectors.
        sha256: of the file of its weights.
        side: pictures are resized to this square, in float (clean-fid's way).
        embed: float32 [B, side, side, 3] in [0, 255] to [B, dimension].
    """

    name: str
    dimension: int
    sha256: str
    side: int
    embed: Callable[[np.ndarray], np.ndarray]

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
        name: one of `NAMES`. Of AlexNet and VGG16 it is the mean over places of the last
            convolution, on 224 x 224 pixels.
        weights_file: of the published Inception; the others need none.

    Raises:
        UserError: unknown name, or its weights cannot be had.
    """
    if name not in NAMES:
        raise UserError(f"feature network {name!r}: unknown choice; valid are {', '.join(NAMES)}")
    if name == inception.NAME:
        if weights_file is None:
            raise UserError(
                f"feature network {name!r} needs the file of its weights, {inception.FILE}, which "
                "no package ships"
            )
        network = inception.Inception(inception.read_weights(weights_file))
        return FeatureNetwork(
            name, network.dimension, files.sha256_of(weights_file), 299, network.embed
        )
    trunk_name = name.partition("-")[0]
    trunk = Trunk(trunk_name, weights.published(trunk_name))

    def embed(pictures: np.ndarray) -> np.ndarray:
        return trunk.stages(pictures)[-1].numpy().mean(axis=(1, 2))

    return FeatureNetwork(
        name, int(name.rpartition("-")[2]), weights.SHA256[trunk_name], 224, embed
    )


class Lpips:
    """The learned perceptual distance (Zhang et al. 2018, Eq. 1, version 0.1 with linear layers) of
    two pictures.

    Args:
        network: "alexnet", the one to report, or "vgg16".
        arrays: weights other than the published ones, for tests.

    Attributes:
        name: to be printed beside every number.
        sha256: of the file of the weights.
    """

    def __init__(self, network: str = "alexnet", arrays: dict[str, np.ndarray] | None = None):
        arrays = arrays or weights.published(network)
        self.name = f"lpips-{network}"
        self.sha256 = weights.SHA256[network]
        self._trunk = Trunk(network, arrays)
        self._linear = [
            arrays[f"NetLinLayer_{stage}/Conv_0/kernel"].reshape(-1) for stage in range(5)
        ]

    def distance(self, picture: np.ndarray, other: np.ndarray) -> float:
        """Of two uint8 pictures [H, W, 1 or 3] of one size, at least 32 pixels a side; 0 for equal
        ones. Not resized.

        Raises:
            UserError: sizes differ or are too small.
        """
        if picture.shape[:2] != other.shape[:2] or min(picture.shape[:2]) < _LEAST_SIDE:
            sizes = " and ".join(
                f"{array.shape[1]} x {array.shape[0]}" for array in (picture, other)
            )
            raise UserError(
                f"pictures of {sizes}: LPIPS compares two of one size, at least {_LEAST_SIDE} "
                "pixels a side"
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
