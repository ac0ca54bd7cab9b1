"""Generators: [B, H, W, in] in [-1, 1] to [B, H, W, out] in [-1, 1]; their base class, and the
U-Net.

Architectures and padding are the official program's (Zhu et al. 2017, section 7.2, and Isola et al.
2017 for the U-Net); `tests/test_golden.py` proves the outputs equal. Layer comments name the
paper's blocks.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.data.label_coding import LabelCoding
from tfcyclegan.errors import UserError
from tfcyclegan.networks.layers import (
    Conv2D,
    Dropout,
    UpConv2D,
    leaky_relu,
    name_and_dtype,
    weight_initializers,
)
from tfcyclegan.networks.norms import make_norm
from tfcyclegan.networks.operations import Operations, RecomputingOperations


class Generator(keras.Model):
    """The base of generators: their settings, which are also their `.keras` config.

    Attributes:
        size_multiple: the sides of an image must be multiples of this.
        recompute: whether training keeps only the input of each stage, see `RecomputingOperations`.
            Not part of the settings, since it changes neither weights nor results.
        source_coding: how label maps that come in are seen as classes; None of pictures.
        target_coding: likewise of those that go out.
        ends_in: the last activation, tanh or `logits`.
    """

    size_multiple: int
    recompute = False
    source_coding: LabelCoding | None = None
    target_coding: LabelCoding | None = None
    ends_in = staticmethod(tf.tanh)

    def __init__(self, settings: dict[str, Any], name: str | None, dtype: Any):
        super().__init__(name=name, dtype=dtype)
        self.settings = settings

    def inner(self) -> "Generator":
        """The network that learns: of label maps as classes it takes them as `LabelCoding.encode`
        gives them, and gives logits; of pictures it is the generator itself.

        No property: Keras follows those when it loads a model, and this one without an end.
        """
        return self

    def get_config(self) -> dict[str, Any]:
        return {**self.settings, **name_and_dtype(self)}

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.compute(x, self._operations(training))

    def compute(self, x: Any, apply: Operations) -> Any:
        """Computes the network for x: its layers in order, each carried out by `apply`."""
        raise NotImplementedError

    @classmethod
    def is_written_on_operations(cls) -> bool:
        """Whether there is `compute`; graphs of other programs and a user's own functions can only
        be called whole.
        """
        return cls.compute is not Generator.compute

    def _operations(self, training: bool) -> Operations:
        recomputes = training and self.recompute
        return RecomputingOperations(training) if recomputes else Operations(training)

    def feature_channels(self, layers: Sequence[int]) -> list[int]:
        """Channels of the maps that `features` returns.

        Raises:
            UserError: indices that do not exist or do not ascend, or a network without indexed
                features.
        """
        raise UserError(f"{type(self).__name__}: features by index are those of ResNet generators")

    def features(
        self, x: tf.Tensor, layers: Sequence[int], training: bool = False
    ) -> list[tf.Tensor]:
        """Feature maps of x, [B, h, w, C] for each index in `layers`; later layers are not
        computed.

        Args:
            x: [B, H, W, in] in [-1, 1].
            layers: ascending indices in the official program's list of the network's layers, in
                which padding, norms and activations count. For a norm it is the map after its
                activation, which works in place in the official program.
            training: see `Operations`.

        Raises:
            UserError: see `feature_channels`.
        """
        raise NotImplementedError

    def with_features(
        self, x: tf.Tensor, layers: Sequence[int], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The translation of x and, from the same pass, the result of `features`."""
        raise NotImplementedError

    def official_layers(self) -> list[tuple[str, keras.layers.Layer | None]]:
        """Pairs of the official program's state-dict prefix and our layer, each convolution
        followed by its norm or None.
        """
        raise NotImplementedError


@keras.saving.register_keras_serializable("tfcyclegan")
class UnetGenerator(Generator):
    """The pix2pix U-Net: `depth` downsamplings by 4x4 convolutions, as many upsamplings, skips
    between equal sizes.

    Args:
        depth: number of downsamplings: 7 for 128x128 (`unet_128`), 8 for 256x256 (`unet_256`).
        base_filters: width of the first convolution; 64 in the paper.
        in_channels: channels of the input.
        out_channels: channels of the output.
        norm: "instance", "batch" or "none".
        dropout: whether the inner blocks of full width drop half of their values in training.
        init: kernel initializer, see `layers.weight_initializers`.
        init_gain: its scale.
        seed: makes the initial weights reproducible.
        tflite_ops: use only operations that TFLite delegates take; needs a fixed image size.
    """

    def __init__(
        self,
        *,
        depth: int = 8,
        base_filters: int = 64,
        in_channels: int = 3,
        out_channels: int = 3,
        norm: str = "instance",
        dropout: bool = False,
        init: str = "normal",
        init_gain: float = 0.02,
        seed: int | None = None,
        tflite_ops: bool = False,
        name: str | None = None,
        dtype: Any = None,
    ):
        settings = {
            "depth": depth,
            "base_filters": base_filters,
            "in_channels": in_channels,
            "out_channels": out_channels,
            "norm": norm,
            "dropout": dropout,
            "init": init,
            "init_gain": init_gain,
            "seed": seed,
            "tflite_ops": tflite_ops,
        }
        super().__init__(settings, name, dtype)
        if depth < 5:
            raise UserError(f"depth {depth}: must be at least 5")
        self.size_multiple = 2**depth
        weights = weight_initializers(init, init_gain, seed)
        kind = self.dtype_policy
        bias = norm == "instance"
        widths = [base_filters * min(2**level, 8) for level in range(depth)]
        inputs = [in_channels, *widths[:-1]]
        outputs = [out_channels, *widths[:-1]]

        def normalization(channels: int) -> keras.layers.Layer | None:
            return make_norm(
                norm, channels, gain=init_gain, weights=weights, tflite_ops=tflite_ops, dtype=kind
            )

        self.down = [
            Conv2D(
                inputs[level],
                widths[level],
                4,
                next(weights),
                stride=2,
                padding=1,
                use_bias=bias,
                tflite_ops=tflite_ops,
                dtype=kind,
            )
            for level in range(depth)
        ]
        self.down_norms = [
            normalization(widths[level]) if 0 < level < depth - 1 else None
            for level in range(depth)
        ]
        self.up = [
            UpConv2D(
                widths[level] * (1 if level == depth - 1 else 2),
                outputs[level],
                4,
                next(weights),
                use_bias=bias or level == 0,
                dtype=kind,
            )
            for level in range(depth)
        ]
        self.up_norms = [
            normalization(outputs[level]) if level > 0 else None for level in range(depth)
        ]
        inner = range(4, depth - 1)
        self.dropouts = (
            {str(level): dropout_layer(seed, level, kind) for level in inner} if dropout else {}
        )
        self.built = True

    def compute(self, x: Any, apply: Operations) -> Any:
        skips = []
        for level, (layer, norm) in enumerate(zip(self.down, self.down_norms, strict=True)):
            if level > 0:
                # The official LeakyReLU works in place, so the skip connection carries its output.
                x = apply.each(leaky_relu, x)
                skips.append(x)
            x = apply.norm(norm, apply.layer(layer, x))
        for level in range(len(self.up) - 1, -1, -1):
            x = apply.norm(
                self.up_norms[level], apply.layer(self.up[level], apply.each(tf.nn.relu, x))
            )
            if str(level) in self.dropouts:
                x = apply.dropout(self.dropouts[str(level)], x)
            if level > 0:
                x = apply.concat(skips.pop(), x)
        return apply.each(self.ends_in, x)

    def official_layers(self) -> list[tuple[str, keras.layers.Layer | None]]:
        depth = len(self.down)
        pairs: list[tuple[str, keras.layers.Layer | None]] = []
        prefix = "model"
        for level in range(depth):
            # A block is [lrelu, conv, norm, submodule, relu, up, norm]; the outermost starts with
            # its conv, the innermost has no submodule and no first norm.
            down, sub, up = (0, 1, 3) if level == 0 else (1, 3, 3 if level == depth - 1 else 5)
            pairs += [
                (f"{prefix}.model.{down}", self.down[level]),
                (f"{prefix}.model.{down + 1}", self.down_norms[level]),
            ]
            pairs += [
                (f"{prefix}.model.{up}", self.up[level]),
                (f"{prefix}.model.{up + 1}", self.up_norms[level]),
            ]
            prefix = f"{prefix}.model.{sub}"
        return pairs


def logits(x: tf.Tensor) -> tf.Tensor:
    """The last activation of a network that gives classes: none."""
    return x


def clipped(x: tf.Tensor) -> tf.Tensor:
    """The last activation of a network that changes pictures a little: into [-1, 1]."""
    return tf.clip_by_value(x, -1, 1)


def dropout_layer(seed: int | None, index: int, kind: Any) -> Dropout:
    """Each layer has its own seed; with a common one all blocks of a size would drop the same
    values.
    """
    return Dropout(0.5, seed=None if seed is None else seed + index, dtype=kind)
