"""Generators: [B, H, W, in] in [-1, 1] to [B, H, W, out] in [-1, 1].

Architectures and padding are the official program's (Zhu et al. 2017, section 7.2, and Isola et al.
2017 for the U-Net); `tests/test_golden.py` proves the outputs equal. Layer comments name the
paper's blocks.
"""

import functools
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.networks.layers import (
    Conv2D,
    Dropout,
    ResizeConv2D,
    UpConv2D,
    leaky_relu,
    weight_initializers,
)
from tfcyclegan.networks.norms import make_norm
from tfcyclegan.networks.operations import Operations, RecomputingOperations

UPSAMPLINGS = ("transposed", "resize")


class Generator(keras.Model):
    """What generators share: their settings, which are also their `.keras` config.

    Attributes:
        size_multiple: the sides of an image must be multiples of this.
        recompute: whether training keeps the input of each stage alone, see
            `RecomputingOperations`. No setting of the network, since its weights and pictures are
            the same.
    """

    size_multiple: int
    recompute = False

    def __init__(self, settings: dict[str, Any], name: str | None, dtype: Any):
        super().__init__(name=name, dtype=dtype)
        self.settings = settings

    def get_config(self) -> dict[str, Any]:
        return {
            **self.settings,
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
        }

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.compute(
            x,
            RecomputingOperations(training)
            if training and self.recompute
            else Operations(training),
        )

    def compute(self, x: Any, apply: Operations) -> Any:
        """The network of x: its layers in their order, each carried out by `apply`."""
        raise NotImplementedError

    def official_layers(self) -> list[tuple[str, keras.layers.Layer | None]]:
        """Pairs of the official program's state-dict prefix and our layer, each convolution
        followed by its norm or None.
        """
        raise NotImplementedError


@keras.saving.register_keras_serializable("tfcyclegan")
class ResnetGenerator(Generator):
    """c7s1-64, d128, d256, N x R256, u128, u64, c7s1-3 with tanh (Zhu et al. 2017, section 7.2).

    Args:
        blocks: number of residual blocks: 6 for 128x128, 9 for 256x256 and up.
        base_filters: width of the first convolution; 64 in the paper.
        in_channels: channels of the input.
        out_channels: channels of the output.
        norm: "instance", "batch" or "none".
        dropout: whether residual blocks drop half of the values between their convolutions in
            training.
        padding_mode: of the strided convolutions: "zeros" (official) or "reflect" (Rao et al.
            2023).
        upsampling: "transposed" (official) or "resize" (nearest + convolution; no checkerboards).
        init: kernel initializer, see `layers.weight_initializers`.
        init_gain: its scale; 0.02 in the paper.
        seed: makes the initial weights reproducible.
        tflite_ops: use only operations that TFLite delegates take; needs a fixed image size.
    """

    size_multiple = 4

    def __init__(
        self,
        *,
        blocks: int = 9,
        base_filters: int = 64,
        in_channels: int = 3,
        out_channels: int = 3,
        norm: str = "instance",
        dropout: bool = False,
        padding_mode: str = "zeros",
        upsampling: str = "transposed",
        init: str = "normal",
        init_gain: float = 0.02,
        seed: int | None = None,
        tflite_ops: bool = False,
        name: str | None = None,
        dtype: Any = None,
    ):
        settings = {
            "blocks": blocks,
            "base_filters": base_filters,
            "in_channels": in_channels,
            "out_channels": out_channels,
            "norm": norm,
            "dropout": dropout,
            "padding_mode": padding_mode,
            "upsampling": upsampling,
            "init": init,
            "init_gain": init_gain,
            "seed": seed,
            "tflite_ops": tflite_ops,
        }
        super().__init__(settings, name, dtype)
        if upsampling not in UPSAMPLINGS:
            raise UserError(
                f"upsampling {upsampling!r}: unknown choice; valid are {', '.join(UPSAMPLINGS)}"
            )
        weights = weight_initializers(init, init_gain, seed)
        kind = self.dtype_policy
        # the official rule: where a norm has its own shift, or by its quirk "none", no bias
        bias = norm == "instance"
        width = base_filters

        def normalization(channels: int) -> keras.layers.Layer | None:
            return make_norm(
                norm, channels, gain=init_gain, weights=weights, tflite_ops=tflite_ops, dtype=kind
            )

        def convolution(source: int, target: int, kernel: int, **options: Any) -> Conv2D:
            return Conv2D(
                source, target, kernel, next(weights), tflite_ops=tflite_ops, dtype=kind, **options
            )

        def upsampler(source: int, target: int) -> keras.layers.Layer:
            if upsampling == "resize":
                return ResizeConv2D(
                    source, target, next(weights), use_bias=bias, tflite_ops=tflite_ops, dtype=kind
                )
            return UpConv2D(source, target, 3, next(weights), use_bias=bias, dtype=kind)

        self.stem = convolution(
            in_channels, width, 7, padding=3, padding_mode="reflect", use_bias=bias
        )
        self.stem_norm = normalization(width)
        halving = {"stride": 2, "padding": 1, "padding_mode": padding_mode, "use_bias": bias}
        self.down = [convolution(width * f, width * f * 2, 3, **halving) for f in (1, 2)]
        self.down_norms = [normalization(width * f * 2) for f in (1, 2)]
        reflect = {"padding": 1, "padding_mode": "reflect", "use_bias": bias}
        self.block_first = [convolution(width * 4, width * 4, 3, **reflect) for _ in range(blocks)]
        self.block_first_norms = [normalization(width * 4) for _ in range(blocks)]
        self.block_second = [convolution(width * 4, width * 4, 3, **reflect) for _ in range(blocks)]
        self.block_second_norms = [normalization(width * 4) for _ in range(blocks)]
        self.dropouts = [_dropout(seed, index, kind) for index in range(blocks)] if dropout else []
        self.up = [upsampler(width * f * 2, width * f) for f in (2, 1)]
        self.up_norms = [normalization(width * f) for f in (2, 1)]
        self.head = convolution(width, out_channels, 7, padding=3, padding_mode="reflect")
        self.built = True

    def compute(self, x: Any, apply: Operations) -> Any:
        x = apply.stage(
            functools.partial(self._encoded, apply),
            [self.stem, self.stem_norm, *self.down, *self.down_norms],
            x,
        )
        blocks = zip(
            self.block_first,
            self.block_first_norms,
            self.block_second,
            self.block_second_norms,
            strict=True,
        )
        for index, layers in enumerate(blocks):
            x = apply.stage(functools.partial(self._block, apply, index), layers, x)
        x = apply.stage(
            functools.partial(self._doubled, apply, 0), [self.up[0], self.up_norms[0]], x
        )
        return apply.stage(
            functools.partial(self._finished, apply), [self.up[1], self.up_norms[1], self.head], x
        )

    def _encoded(self, apply: Operations, x: Any) -> Any:
        x = apply.each(tf.nn.relu, apply.norm(self.stem_norm, apply.layer(self.stem, x)))
        for layer, norm in zip(self.down, self.down_norms, strict=True):
            x = apply.each(tf.nn.relu, apply.norm(norm, apply.layer(layer, x)))
        return x

    def _block(self, apply: Operations, index: int, x: Any) -> Any:
        return apply.add(x, self._residual(index, x, apply))

    def _doubled(self, apply: Operations, index: int, x: Any) -> Any:
        return apply.each(
            tf.nn.relu, apply.norm(self.up_norms[index], apply.layer(self.up[index], x))
        )

    def _finished(self, apply: Operations, x: Any) -> Any:
        return apply.each(tf.tanh, apply.layer(self.head, self._doubled(apply, 1, x)))

    def _residual(self, index: int, x: Any, apply: Operations) -> Any:
        x = apply.each(
            tf.nn.relu,
            apply.norm(self.block_first_norms[index], apply.layer(self.block_first[index], x)),
        )
        if self.dropouts:
            x = apply.dropout(self.dropouts[index], x)
        return apply.norm(self.block_second_norms[index], apply.layer(self.block_second[index], x))

    def official_layers(self) -> list[tuple[str, keras.layers.Layer | None]]:
        blocks = len(self.block_first)
        second = 6 if self.dropouts else 5
        pairs: list[tuple[str, keras.layers.Layer | None]] = [
            ("model.1", self.stem),
            ("model.2", self.stem_norm),
        ]
        for index, (layer, norm) in enumerate(zip(self.down, self.down_norms, strict=True)):
            pairs += [(f"model.{4 + 3 * index}", layer), (f"model.{5 + 3 * index}", norm)]
        for index in range(blocks):
            prefix = f"model.{10 + index}.conv_block"
            pairs += [
                (f"{prefix}.1", self.block_first[index]),
                (f"{prefix}.2", self.block_first_norms[index]),
            ]
            pairs += [
                (f"{prefix}.{second}", self.block_second[index]),
                (f"{prefix}.{second + 1}", self.block_second_norms[index]),
            ]
        for index, (layer, norm) in enumerate(zip(self.up, self.up_norms, strict=True)):
            pairs += [
                (f"model.{10 + blocks + 3 * index}", layer),
                (f"model.{11 + blocks + 3 * index}", norm),
            ]
        pairs.append((f"model.{10 + blocks + 7}", self.head))
        return pairs


@keras.saving.register_keras_serializable("tfcyclegan")
class UnetGenerator(Generator):
    """The pix2pix U-Net: `depth` halvings by 4x4 convolutions, as many doublings, skips between
    equal sizes.

    Args:
        depth: number of halvings: 7 for 128x128 (`unet_128`), 8 for 256x256 (`unet_256`).
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
            {str(level): _dropout(seed, level, kind) for level in inner} if dropout else {}
        )
        self.built = True

    def compute(self, x: Any, apply: Operations) -> Any:
        skips = []
        for level, (layer, norm) in enumerate(zip(self.down, self.down_norms, strict=True)):
            if level > 0:
                # The official LeakyReLU works in place, so what the skip carries has passed through
                # it too.
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
        return apply.each(tf.tanh, x)

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


def _dropout(seed: int | None, index: int, kind: Any) -> Dropout:
    """Each layer has its own seed: with one for all, all blocks of a size would drop the same
    values.
    """
    return Dropout(0.5, seed=None if seed is None else seed + index, dtype=kind)
