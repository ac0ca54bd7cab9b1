"""The ResNet generator of CycleGAN (Zhu et al. 2017, section 7.2) and, with blurs, of CUT (Park et
al. 2020): [B, H, W, in] in [-1, 1] to [B, H, W, out] in [-1, 1].

As in the official programs it is one list of layers, including padding and activations, since CUT
refers to features by their index in that list.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.networks.antialiasing import BlurDown, BlurUp
from tfcyclegan.networks.generators import Generator, clipped, dropout_layer, logits
from tfcyclegan.networks.layers import (
    Conv2D,
    ResizeConv2D,
    SeparableConv2D,
    UpConv2D,
    reflect_pad,
    weight_initializers,
)
from tfcyclegan.networks.noise import NoiseChannel
from tfcyclegan.networks.norms import make_norm
from tfcyclegan.networks.operations import Operations

UPSAMPLINGS = ("transposed", "resize")


class _Line(NamedTuple):
    """One line of the official list of a network's layers.

    Attributes:
        channels: channels of its output.
        carry_out: computes its output from its input.
        layers: each layer in it that has weights or a reach, and each norm, by its position in the
            line's state dict.
        show: the part of its output that is used as features.
        overwritten: the following lines, up to an activation, which the official program computes
            in place on its output.
    """

    channels: int
    carry_out: Callable[[Operations, Any], Any] = lambda _, x: x
    layers: Sequence[tuple[str, keras.layers.Layer | None]] = ()
    show: Callable[[Any], Any] = lambda x: x
    overwritten: int = 0


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
        padding_mode: padding of the strided convolutions: "zeros" (official) or "reflect" (Rao et
            al. 2023).
        upsampling: "transposed" (official) or "resize" (nearest + convolution; no checkerboards).
        antialias: downsample by convolutions of stride 1 and blurs (Zhang 2019), as in CUT.
        antialias_up: upsample by bilinear blurs and convolutions, instead of `upsampling`.
        noise_inputs: add a channel of noise before each upsampling's convolution, see `noise`;
            needs `antialias_up`.
        separable: whether the residual blocks' convolutions are separable, with about 1/9 of the
            computation (Li et al. 2020, "GAN Compression", section 3.2).
        input_skip: add the input to the output and clip the sum to [-1, 1], without tanh. The last
            convolution starts at 0, so that at first pictures come out as they went in.
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
        antialias: bool = False,
        antialias_up: bool = False,
        noise_inputs: bool = False,
        separable: bool = False,
        input_skip: bool = False,
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
            "antialias": antialias,
            "antialias_up": antialias_up,
            "noise_inputs": noise_inputs,
            "separable": separable,
            "input_skip": input_skip,
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
        if antialias_up and upsampling != "transposed":
            raise UserError(f"upsampling {upsampling!r}: antialias_up replaces it")
        if noise_inputs and not antialias_up:
            raise UserError("noise_inputs: needs antialias_up")
        if input_skip and in_channels != out_channels:
            raise UserError(
                f"input_skip: needs as many channels out as in, not {out_channels} and "
                f"{in_channels}"
            )
        weights = weight_initializers(init, init_gain, seed)
        kind = self.dtype_policy
        # the official rule: no bias if a norm has its own shift or, as a quirk, for "none"
        bias = norm == "instance"
        width = base_filters

        def normalization(channels: int) -> keras.layers.Layer | None:
            return make_norm(
                norm, channels, gain=init_gain, weights=weights, tflite_ops=tflite_ops, dtype=kind
            )

        def convolution(
            source: int, target: int, kernel: int, *, zeros: bool = False, **options: Any
        ) -> Conv2D:
            drawn = next(weights)
            first = keras.initializers.Zeros() if zeros else drawn
            return Conv2D(
                source, target, kernel, first, tflite_ops=tflite_ops, dtype=kind, **options
            )

        def inside(channels: int) -> keras.layers.Layer:
            if separable:
                same = {"use_bias": bias, "tflite_ops": tflite_ops, "dtype": kind}
                return SeparableConv2D(channels, channels, 3, next(weights), **same)
            return convolution(
                channels, channels, 3, padding=1, padding_mode="reflect", use_bias=bias
            )

        def upsampler(source: int, target: int) -> keras.layers.Layer:
            if antialias_up:
                return convolution(source + noise_inputs, target, 3, padding=1, use_bias=bias)
            if upsampling == "resize":
                return ResizeConv2D(
                    source, target, next(weights), use_bias=bias, tflite_ops=tflite_ops, dtype=kind
                )
            return UpConv2D(source, target, 3, next(weights), use_bias=bias, dtype=kind)

        self.stem = convolution(
            in_channels, width, 7, padding=3, padding_mode="reflect", use_bias=bias
        )
        self.stem_norm = normalization(width)
        halving: dict[str, Any] = {"padding": 1, "padding_mode": padding_mode, "use_bias": bias}
        halving["stride"] = 1 if antialias else 2
        self.down = [convolution(width * f, width * f * 2, 3, **halving) for f in (1, 2)]
        self.down_norms = [normalization(width * f * 2) for f in (1, 2)]
        self.block_first = [inside(width * 4) for _ in range(blocks)]
        self.block_first_norms = [normalization(width * 4) for _ in range(blocks)]
        self.block_second = [inside(width * 4) for _ in range(blocks)]
        self.block_second_norms = [normalization(width * 4) for _ in range(blocks)]
        self.dropouts = (
            [dropout_layer(seed, index, kind) for index in range(blocks)] if dropout else []
        )
        self.up = [upsampler(width * f * 2, width * f) for f in (2, 1)]
        self.up_norms = [normalization(width * f) for f in (2, 1)]
        self.head = convolution(
            width, out_channels, 7, zeros=input_skip, padding=3, padding_mode="reflect"
        )
        if input_skip:
            self.ends_in = logits
        blur = {"tflite_ops": tflite_ops, "dtype": kind}
        self.blurs_down = [BlurDown(width * f * 2, **blur) for f in (1, 2) if antialias]
        self.blurs_up = [BlurUp(width * f * 2, **blur) for f in (2, 1) if antialias_up]
        self.noises = [
            NoiseChannel(width * f * 2, seed=None if seed is None else seed + f, dtype=kind)
            for f in (2, 1)
            if noise_inputs
        ]
        self.built = True

    def compute(self, x: Any, apply: Operations) -> Any:
        return self._computed(x, apply, ())[0]

    def feature_channels(self, layers: Sequence[int]) -> list[int]:
        lines = self._lines()
        last = len(lines) - 1
        if (
            not layers
            or list(layers) != sorted(set(layers))
            or not 0 <= layers[0] <= layers[-1] <= last
        ):
            raise UserError(
                f"layers {', '.join(map(str, layers)) or '(none)'}: must be in ascending order, "
                f"from 0 to {last} at most"
            )
        return [lines[index].channels for index in layers]

    def features(
        self, x: tf.Tensor, layers: Sequence[int], training: bool = False
    ) -> list[tf.Tensor]:
        self.feature_channels(layers)
        x = tf.cast(x, self.compute_dtype)
        return self._computed(x, self._operations(training), layers, whole=False)[1]

    def with_features(
        self, x: tf.Tensor, layers: Sequence[int], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        self.feature_channels(layers)
        x = tf.cast(x, self.compute_dtype)
        return self._computed(x, self._operations(training), layers)

    def _computed(
        self, x: Any, apply: Operations, wanted: Sequence[int], *, whole: bool = True
    ) -> tuple[Any, list[Any]]:
        """The output for x, or for the last requested features, and those features."""
        lines, given = self._lines(), x
        shown = [index + lines[index].overwritten for index in wanted]
        count = len(lines) if whole else shown[-1] + 1
        features: list[Any] = []
        for start, stop in itertools.pairwise(self._stage_starts()):
            stage = range(start, min(stop, count))
            layers = [layer for index in stage for _, layer in lines[index].layers]
            x, found = apply.stage(
                functools.partial(_carried_out, apply, lines, stage, shown), layers, x
            )
            features += found
            if stop >= count:
                break
        if whole and self.settings["input_skip"]:
            x = apply.each(clipped, apply.add(given, x))
        return x, features

    def _stage_starts(self) -> list[int]:
        """The indices at which the stages begin (encoder, each block, upsampling, the rest) and at
        which the list ends.
        """
        lines = len(self._lines())
        encoder = 4 + 2 * (4 if self.blurs_down else 3)
        up = 3 + bool(self.blurs_up) + bool(self.noises)
        blocks = len(self.block_first)
        return [0, *range(encoder, encoder + blocks + 1), encoder + blocks + up, lines]

    def block_outputs(self) -> list[int]:
        """The indices of the residual blocks' outputs, for `features`."""
        first = self._stage_starts()[1]
        return list(range(first, first + len(self.block_first)))

    def _lines(self) -> list[_Line]:
        in_channels = self.settings["in_channels"]
        return [
            _padding(in_channels, 3),
            *_convolved(self.stem, self.stem_norm),
            *(
                line
                for layer, norm, blur in itertools.zip_longest(
                    self.down, self.down_norms, self.blurs_down
                )
                for line in (*_convolved(layer, norm), *_blurred(blur))
            ),
            *(self._block(index) for index in range(len(self.block_first))),
            *(
                line
                for layer, norm, blur, noise in itertools.zip_longest(
                    self.up, self.up_norms, self.blurs_up, self.noises
                )
                for line in (*_blurred(blur), *_noisy(noise), *_convolved(layer, norm))
            ),
            _padding(self.up[1].filters, 3),
            _line_of(self.head),
            _Line(self.head.filters, lambda apply, x: apply.each(self.ends_in, x)),
        ]

    def _block(self, index: int) -> _Line:
        second = 6 if self.dropouts else 5
        layers = [
            (".conv_block.1", self.block_first[index]),
            (".conv_block.2", self.block_first_norms[index]),
            (f".conv_block.{second}", self.block_second[index]),
            (f".conv_block.{second + 1}", self.block_second_norms[index]),
        ]
        return _Line(
            self.block_second[index].filters,
            lambda apply, x: apply.add(x, self._residual(index, x, apply)),
            layers,
        )

    def _residual(self, index: int, x: Any, apply: Operations) -> Any:
        x = apply.each(
            tf.nn.relu,
            apply.norm(self.block_first_norms[index], apply.layer(self.block_first[index], x)),
        )
        if self.dropouts:
            x = apply.dropout(self.dropouts[index], x)
        return apply.norm(self.block_second_norms[index], apply.layer(self.block_second[index], x))

    def official_layers(self) -> list[tuple[str, keras.layers.Layer | None]]:
        return [
            (f"model.{index}{place}", layer)
            for index, line in enumerate(self._lines())
            for place, layer in line.layers
        ]


def _carried_out(
    apply: Operations, lines: Sequence[_Line], stage: Sequence[int], shown: Sequence[int], x: Any
) -> tuple[Any, list[Any]]:
    """The output of the lines in `stage`, and the features of those in `shown`."""
    features = []
    for index in stage:
        x = lines[index].carry_out(apply, x)
        features += [lines[index].show(x) for line in shown if line == index]
    return x, features


def _padding(channels: int, amount: int) -> _Line:
    """A padding line; here the following convolution pads."""
    return _Line(channels, show=lambda x: reflect_pad(x, amount))


def _line_of(layer: keras.layers.Layer, *, overwritten: int = 0) -> _Line:
    return _Line(
        layer.filters,
        lambda apply, x: apply.layer(layer, x),
        [("", layer)],
        overwritten=overwritten,
    )


def _convolved(layer: keras.layers.Layer, norm: keras.layers.Layer | None) -> Iterator[_Line]:
    """A convolution, its norm, and the activation, which overwrites the norm's output or, without a
    norm, the convolution's own.
    """
    yield _line_of(layer, overwritten=2 if norm is None else 0)
    yield _Line(layer.filters, lambda apply, x: apply.norm(norm, x), [("", norm)], overwritten=1)
    yield _Line(layer.filters, lambda apply, x: apply.each(tf.nn.relu, x))


def _blurred(blur: keras.layers.Layer | None) -> Iterator[_Line]:
    if blur is not None:
        yield _line_of(blur)


def _noisy(noise: NoiseChannel | None) -> Iterator[_Line]:
    if noise is not None:
        yield _Line(noise.filters, lambda apply, x: apply.noise(noise, x))
