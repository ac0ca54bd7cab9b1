"""Discriminators: [B, H, W, C] in [-1, 1] to a map of scores [B, h, w, 1], one for each patch,
without a sigmoid.

Architectures and padding are the official program's; `tests/test_golden.py` proves the outputs
equal.
"""

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.networks.antialiasing import BlurDown
from tfcyclegan.networks.layers import Conv2D, leaky_relu, name_and_dtype, weight_initializers
from tfcyclegan.networks.norms import make_norm
from tfcyclegan.networks.spectral_norm import SpectralConv2D

DISCRIMINATORS = ("patch", "pixel")


@keras.saving.register_keras_serializable("tfcyclegan")
class Discriminator(keras.Model):
    """PatchGAN (Isola et al. 2017): 4x4 convolutions of strides 2, ..., 2, 1, 1 with LeakyReLU 0.2;
    or its 1x1 variant.

    Three layers give the 70x70 PatchGAN C64-C128-C256-C512: 256x256 in, 30x30 scores out.

    Args:
        architecture: "patch", or "pixel" which judges each pixel by itself.
        layers: number of strided convolutions of "patch" (the official `n_layers_D`).
        base_filters: width of the first convolution; 64 in the paper.
        in_channels: channels of the input.
        norm: "instance", "batch" or "none"; none on the first and last convolution.
        padding_mode: "zeros" (official) or "reflect" (Rao et al. 2023).
        antialias: "patch" downsamples by convolutions of stride 1, activations and blurs (Zhang
            2019), as in CUT: the same number of scores, each of 84x84 pixels for three layers.
        init: kernel initializer, see `layers.weight_initializers`.
        init_gain: its scale; 0.02 in the paper.
        spectral_norm: whether kernels are divided by their largest singular value.
        seed: makes the initial weights reproducible.
    """

    def __init__(
        self,
        *,
        architecture: str = "patch",
        layers: int = 3,
        base_filters: int = 64,
        in_channels: int = 3,
        norm: str = "instance",
        padding_mode: str = "zeros",
        antialias: bool = False,
        init: str = "normal",
        init_gain: float = 0.02,
        spectral_norm: bool = False,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if architecture not in DISCRIMINATORS:
            raise UserError(
                f"discriminator {architecture!r}: unknown choice; valid are "
                f"{', '.join(DISCRIMINATORS)}"
            )
        if antialias and architecture != "patch":
            raise UserError(f"discriminator {architecture!r}: antialias requires patch")
        self.settings = {
            "architecture": architecture,
            "layers": layers,
            "base_filters": base_filters,
            "in_channels": in_channels,
            "norm": norm,
            "padding_mode": padding_mode,
            "antialias": antialias,
            "init": init,
            "init_gain": init_gain,
            "spectral_norm": spectral_norm,
            "seed": seed,
        }
        weights = weight_initializers(init, init_gain, seed)
        kind = self.dtype_policy
        bias = norm == "instance"
        if architecture == "pixel":
            widths, strides, kernel, padding = [base_filters, base_filters * 2, 1], [1, 1, 1], 1, 0
        else:
            widths = [base_filters * min(2**level, 8) for level in range(layers + 1)] + [1]
            strides, kernel, padding = [1 if antialias else 2] * layers + [1, 1], 4, 1
        # In the official program the first and last convolution always have a bias, except the last
        # one of "pixel".
        biases = [True, *[bias] * (len(widths) - 2), bias or architecture == "patch"]
        kinds: list[Any] = [Conv2D] * len(widths)
        if spectral_norm:
            kinds = [
                functools.partial(
                    SpectralConv2D, vector_seed=None if seed is None else seed * 1_000 + layer
                )
                for layer in range(len(widths))
            ]
        self.convolutions = [
            make(
                source,
                target,
                kernel,
                next(weights),
                stride=stride,
                padding=padding,
                padding_mode=padding_mode,
                use_bias=use_bias,
                dtype=kind,
            )
            for make, source, target, stride, use_bias in zip(
                kinds, [in_channels, *widths[:-1]], widths, strides, biases, strict=True
            )
        ]
        self.norms = [
            make_norm(norm, width, gain=init_gain, weights=weights, tflite_ops=False, dtype=kind)
            for width in widths[1:-1]
        ]
        self.blurs = [BlurDown(width, dtype=kind) for width in widths[:layers] if antialias]
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**self.settings, **name_and_dtype(self)}

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        for convolution, norm, blur in self._stages():
            x = convolution(x)
            if norm is not None:
                x = (
                    norm(x, training=training)
                    if isinstance(norm, keras.layers.BatchNormalization)
                    else norm(x)
                )
            x = leaky_relu(x)
            if blur is not None:
                x = blur(x)
        return self.convolutions[-1](x)

    def _stages(self) -> Iterator[tuple[Conv2D, Any, BlurDown | None]]:
        """Each convolution but the last, with the norm and the blur that follow it, or None."""
        return itertools.zip_longest(self.convolutions[:-1], [None, *self.norms], self.blurs)

    def move_singular_vectors(self) -> None:
        """One power iteration of spectral norm, if there is any; called once per training step."""
        for convolution in self.convolutions:
            if isinstance(convolution, SpectralConv2D):
                convolution.iterate()

    def official_layers(self) -> list[tuple[str, keras.layers.Layer | None]]:
        """Pairs of the official program's state-dict prefix and our layer, each convolution
        followed by its norm or None.
        """
        prefix = "net" if self.settings["architecture"] == "pixel" else "model"
        pairs: list[tuple[str, keras.layers.Layer | None]] = []
        line = 0
        for index, (convolution, norm, blur) in enumerate(self._stages()):
            pairs.append((f"{prefix}.{line}", convolution))
            if index:
                pairs.append((f"{prefix}.{line + 1}", norm))
            line += 3 if index else 2  # activations count too
            if blur is not None:
                pairs.append((f"{prefix}.{line}", blur))
                line += 1
        return [*pairs, (f"{prefix}.{line}", self.convolutions[-1])]
