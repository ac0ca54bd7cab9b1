"""The networks of latents of Augmented CycleGAN (Almahairi et al. 2018): the encoder, which reads a
latent off a pair of pictures, and the discriminator of latents.

As in the authors' program they are four convolutions that halve, and three hidden layers. Unlike
there they have no norm: batch norm makes nothing of a batch of one, and instance norm hides a
picture's brightness, which a latent is to tell. Their hidden layers start by He et al. 2015, which
keeps the size of values without one. The encoder takes the mean over the last map, so that pictures
may have any size.
"""

import itertools
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.networks.layers import (
    Conv2D,
    dense,
    leaky_relu,
    name_and_dtype,
    weight_initializers,
)

_HALVINGS = 4
_HIDDEN = 3


@keras.saving.register_keras_serializable("tfcyclegan")
class LatentEncoder(keras.Model):
    """E_A or E_B: pictures of both domains, one behind the other along the channels, to latents.

    Args:
        in_channels: channels of both pictures together.
        latent_size: numbers in a latent.
        base_filters: width of the first convolution; it doubles up to 8 times.
        init_gain: scale of the last layer's initial weights; the others' are He's.
        seed: makes the initial weights reproducible.
    """

    def __init__(
        self,
        *,
        in_channels: int = 6,
        latent_size: int = 16,
        base_filters: int = 32,
        init_gain: float = 0.02,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.settings = {
            "in_channels": in_channels,
            "latent_size": latent_size,
            "base_filters": base_filters,
            "init_gain": init_gain,
            "seed": seed,
        }
        weights = weight_initializers("kaiming", init_gain, seed)
        widths = [in_channels, *(base_filters * 2**level for level in range(_HALVINGS))]
        self.convolutions = [
            Conv2D(source, target, 3, next(weights), stride=2, padding=1, dtype=self.dtype_policy)
            for source, target in itertools.pairwise(widths)
        ]
        self.head = dense(widths[-1], latent_size, _last(init_gain, seed), dtype=self.dtype_policy)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**self.settings, **name_and_dtype(self)}

    def call(self, pictures: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Latents [B, L] of [B, H, W, in] in [-1, 1]."""
        for convolution in self.convolutions:
            pictures = tf.nn.relu(convolution(pictures))
        return self.head(tf.reduce_mean(pictures, axis=[1, 2]))


@keras.saving.register_keras_serializable("tfcyclegan")
class LatentDiscriminator(keras.Model):
    """D_Za or D_Zb: tells latents that an encoder read from drawn ones.

    Args:
        in_channels: numbers in a latent.
        base_filters: width of the hidden layers.
        init_gain: scale of the last layer's initial weights; the others' are He's.
        seed: makes the initial weights reproducible.
    """

    def __init__(
        self,
        *,
        in_channels: int = 16,
        base_filters: int = 64,
        init_gain: float = 0.02,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.settings = {
            "in_channels": in_channels,
            "base_filters": base_filters,
            "init_gain": init_gain,
            "seed": seed,
        }
        weights = weight_initializers("kaiming", init_gain, seed)
        widths = [in_channels, *[base_filters] * _HIDDEN]
        self.hidden = [
            dense(source, target, next(weights), dtype=self.dtype_policy)
            for source, target in itertools.pairwise(widths)
        ]
        self.head = dense(base_filters, 1, _last(init_gain, seed), dtype=self.dtype_policy)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**self.settings, **name_and_dtype(self)}

    def call(self, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Scores [B, 1] of latents [B, L], without a sigmoid."""
        for layer in self.hidden:
            latents = leaky_relu(layer(latents))
        return self.head(latents)

    def move_singular_vectors(self) -> None:
        """Nothing: it has no spectral norm."""


def _last(gain: float, seed: int | None) -> keras.initializers.Initializer:
    """The initializer of a last layer, with a seed of its own."""
    weights = weight_initializers("normal", gain, seed)
    return next(itertools.islice(weights, max(_HALVINGS, _HIDDEN), None))
