"""The Inception network of published FIDs, from a file that the user provides: no package ships its
weights.

It is the graph of 2015 that Heusel et al. 2017 used, not `keras.applications`' InceptionV3: average
pools do not count the border, and the last block has a maximum pool. The PyTorch port of its
weights, `FILE`, is that of pytorch-fid and torch-fidelity.
"""

from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.errors import UserError

NAME = "inception2015-pool3-2048"
FILE = "pt_inception-2015-12-05-6726825d.pth"

_NORM_EPSILON = 1e-3
_LAST = "Mixed_7c.branch_pool"


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """{key: array} of the .pth file. Needs PyTorch; nothing in the file is executed.

    Raises:
        UserError: the file or PyTorch is missing, or the weights are another network's.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; it should be {FILE}")
    try:
        import torch
    except ModuleNotFoundError as error:
        raise UserError(
            "reading .pth files needs PyTorch: pip install 'tfcyclegan[pytorch]'"
        ) from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        state = {key: value.numpy() for key, value in loaded.items()}
    except Exception as error:  # a damaged pickle may raise anything
        raise UserError(
            f"{path}: damaged, or holds more than weights; it should be {FILE}"
        ) from error
    if f"{_LAST}.conv.weight" not in state:
        raise UserError(
            f"{path}: not the weights of the Inception of published FIDs; it should be {FILE}"
        )
    return state


class Inception:
    """The network up to the global average pool after the last block.

    Args:
        state: the result of `read_weights`.

    Raises:
        UserError: weights are missing.
    """

    def __init__(self, state: dict[str, np.ndarray]):
        self._convolutions: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        try:
            for name in sorted(
                key.removesuffix(".conv.weight") for key in state if key.endswith(".conv.weight")
            ):
                kernel = state[f"{name}.conv.weight"].transpose(2, 3, 1, 0)
                scale = state[f"{name}.bn.weight"] / np.sqrt(
                    state[f"{name}.bn.running_var"] + _NORM_EPSILON
                )
                bias = state[f"{name}.bn.bias"] - state[f"{name}.bn.running_mean"] * scale
                # the normalisation becomes a factor and a shift for each channel
                self._convolutions[name] = (kernel * scale, bias)
            ends = (
                "branch1x1",
                "branch3x3_2a",
                "branch3x3_2b",
                "branch3x3dbl_3a",
                "branch3x3dbl_3b",
                "branch_pool",
            )
            self.dimension = sum(len(self._convolutions[f"Mixed_7c.{end}"][1]) for end in ends)
        except KeyError as error:
            raise UserError(
                f"weights of the Inception of published FIDs: {error.args[0]} is missing; it "
                f"should be {FILE}"
            ) from error

    def embed(self, pictures: np.ndarray) -> np.ndarray:
        """float32 [B, 299, 299, 3] in [0, 255] to [B, dimension]."""
        import tensorflow as tf

        def convolution(values: Any, name: str, stride: int = 1, padding: str = "SAME") -> Any:
            kernel, bias = self._convolutions[name]
            return tf.nn.relu(tf.nn.conv2d(values, kernel, stride, padding) + bias)

        def chain(values: Any, *names: str, last_stride: int = 1) -> Any:
            """A chain of convolutions; a stride applies to the last one, then without padding."""
            for name in names[:-1]:
                values = convolution(values, name)
            return convolution(
                values, names[-1], last_stride, "SAME" if last_stride == 1 else "VALID"
            )

        def numbered(name: str, last: int) -> list[str]:
            return [f"{name}_{index}" for index in range(1, last + 1)]

        def halved(values: Any) -> Any:
            return tf.nn.max_pool2d(values, 3, 2, "VALID")

        def averaged(values: Any) -> Any:
            # TensorFlow leaves the border out of the mean, as required here
            return tf.nn.avg_pool2d(values, 3, 1, "SAME")

        def forked(values: Any, name: str) -> list[Any]:
            return [convolution(values, f"{name}{half}") for half in "ab"]

        values = tf.constant((pictures - np.float32(128)) / np.float32(128))
        values = convolution(values, "Conv2d_1a_3x3", 2, "VALID")
        values = convolution(values, "Conv2d_2a_3x3", 1, "VALID")
        values = halved(convolution(values, "Conv2d_2b_3x3"))
        values = convolution(values, "Conv2d_3b_1x1", 1, "VALID")
        values = halved(convolution(values, "Conv2d_4a_3x3", 1, "VALID"))
        for block in ("Mixed_5b.", "Mixed_5c.", "Mixed_5d."):
            branches = [
                convolution(values, f"{block}branch1x1"),
                chain(values, *numbered(f"{block}branch5x5", 2)),
                chain(values, *numbered(f"{block}branch3x3dbl", 3)),
                convolution(averaged(values), f"{block}branch_pool"),
            ]
            values = tf.concat(branches, -1)
        branches = [
            convolution(values, "Mixed_6a.branch3x3", 2, "VALID"),
            chain(values, *numbered("Mixed_6a.branch3x3dbl", 3), last_stride=2),
            halved(values),
        ]
        values = tf.concat(branches, -1)
        for block in ("Mixed_6b.", "Mixed_6c.", "Mixed_6d.", "Mixed_6e."):
            branches = [
                convolution(values, f"{block}branch1x1"),
                chain(values, *numbered(f"{block}branch7x7", 3)),
                chain(values, *numbered(f"{block}branch7x7dbl", 5)),
                convolution(averaged(values), f"{block}branch_pool"),
            ]
            values = tf.concat(branches, -1)
        branches = [
            chain(values, *numbered("Mixed_7a.branch3x3", 2), last_stride=2),
            chain(values, *numbered("Mixed_7a.branch7x7x3", 4), last_stride=2),
            halved(values),
        ]
        values = tf.concat(branches, -1)
        for block in ("Mixed_7b.", "Mixed_7c."):
            pooled = (
                averaged(values) if block == "Mixed_7b." else tf.nn.max_pool2d(values, 3, 1, "SAME")
            )
            branches = [
                convolution(values, f"{block}branch1x1"),
                *forked(convolution(values, f"{block}branch3x3_1"), f"{block}branch3x3_2"),
                *forked(
                    chain(values, *numbered(f"{block}branch3x3dbl", 2)), f"{block}branch3x3dbl_3"
                ),
                convolution(pooled, f"{block}branch_pool"),
            ]
            values = tf.concat(branches, -1)
        return values.numpy().mean(axis=(1, 2))
