"""A generator that takes a latent beside the picture, and so has many answers to it (Almahairi et
al. 2018: G_AB from A and Z_b to B).

The latent enters by conditional instance normalisation (Dumoulin et al. 2017, where there is one
pair of scale and shift for each style; here they are linear in the latent):

    CIN(x, z) = gamma(z) (x - mean(x)) / sd(x) + beta(z)
    gamma(z) = 1 + c + C z,  beta(z) = d + D z

It stands in place of every instance norm but the second one of each residual block, as in the
authors' program. There gamma and beta end in a ReLU, so that with the first weights a latent of
zeros makes every map 0. Without it this answer starts as that of the generator without a latent,
and is the mean one.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.networks.generators import Generator
from tfcyclegan.networks.layers import name_and_dtype, weight_initializers
from tfcyclegan.networks.noise import NoiseChannel
from tfcyclegan.networks.operations import Operations
from tfcyclegan.networks.resnet import ResnetGenerator


@keras.saving.register_keras_serializable("tfcyclegan")
class LatentAffine(keras.layers.Layer):
    """gamma(z) and beta(z) of one norm.

    Args:
        latent_size: numbers in a latent.
        channels: channels of the maps.
        kernel_initializer: of C and D, [latent_size, 2 channels]; c and d start at 0.
    """

    def __init__(
        self,
        latent_size: int,
        channels: int,
        kernel_initializer: keras.initializers.Initializer,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.kernel = self.add_weight(
            shape=(latent_size, 2 * channels), initializer=kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(2 * channels,), initializer="zeros", name="bias")
        self.built = True

    def call(self, latents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Both [B, 1, 1, C], of latents [B, L]."""
        both = tf.matmul(latents, self.kernel) + self.bias
        gamma, beta = tf.split(both[:, tf.newaxis, tf.newaxis], 2, axis=-1)
        return 1 + gamma, beta


@keras.saving.register_keras_serializable("tfcyclegan")
class LatentGenerator(Generator):
    """A ResNet generator whose answer a latent chooses; called without one it gives that of the
    zero latent. What uses a trained generator needs to know nothing of it.

    Args:
        network: the generator, with instance norms; its convolutions and norms.
        latent_size: L, numbers in a latent.
        init: initializer of the latent's weights, see `layers.weight_initializers`.
        init_gain: its scale.
        seed: makes these weights reproducible.
        name: of the generator.
        dtype: that of `network`.

    Raises:
        UserError: a network without instance norms.
    """

    def __init__(
        self,
        *,
        network: ResnetGenerator,
        latent_size: int = 16,
        init: str = "normal",
        init_gain: float = 0.02,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        kind = dtype or network.dtype_policy
        super().__init__(network.settings | {"latent_size": latent_size}, name, kind)
        self._own = {
            "latent_size": latent_size,
            "init": init,
            "init_gain": init_gain,
            "seed": seed,
        }
        if network.settings["norm"] != "instance":
            raise UserError(
                f"norm {network.settings['norm']!r}: a latent enters by instance norms; give norm "
                "'instance'"
            )
        self.latent_size = latent_size
        self.size_multiple = network.size_multiple
        self._network = network
        weights = weight_initializers(init, init_gain, seed)
        self.affines = [
            LatentAffine(latent_size, norm.channels, next(weights), dtype=self.dtype_policy)
            for norm in _conditioned(network)
        ]
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {
            "network": keras.saving.serialize_keras_object(self._network),
            **self._own,
            **name_and_dtype(self),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], **_: Any) -> "LatentGenerator":
        """Of `get_config`; further settings, such as `tflite_ops`, are those of the network
        inside.
        """
        names = ("latent_size", "init", "init_gain", "seed", "name", "dtype")
        own = {name: config[name] for name in names}
        inside = {key: value for key, value in config.items() if key not in (*own, "network")}
        stored = config["network"]
        network = stored | {"config": stored["config"] | inside}
        return cls(network=keras.saving.deserialize_keras_object(network), **own)

    def call(
        self, x: tf.Tensor, training: bool = False, latents: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Translates x [B, H, W, in] by latents [B, L], of zeros if there are none."""
        return self.at(latents, x, self._operations(training))

    def compute(self, x: Any, apply: Operations) -> Any:
        return self.at(None, x, apply)

    def at(self, latents: tf.Tensor | None, x: Any, apply: Operations) -> Any:
        """`compute` by latents [B, L] or [1, L], of zeros if there are none."""
        if latents is None:
            latents = tf.zeros([1, self.latent_size])
        norms = {
            id(norm): affine
            for norm, affine in zip(_conditioned(self._network), self.affines, strict=True)
        }
        latents = tf.cast(latents, self.compute_dtype)
        return self._network.compute(x, _ConditionedOperations(apply, norms, latents))


class AtLatent(Generator):
    """A generator at one latent or one for each picture of a batch, as a generator of one answer;
    it shares the weights.

    Args:
        generator: takes the latents.
        latents: [1, L], or [B, L] for batches of that size.
    """

    def __init__(self, generator: LatentGenerator, latents: Any):
        super().__init__(generator.settings, generator.name, generator.dtype_policy)
        self.generator, self._latents = generator, latents
        self.size_multiple, self.recompute = generator.size_multiple, generator.recompute
        self.built = True

    def compute(self, x: Any, apply: Operations) -> Any:
        return self.generator.at(self._latents, x, apply)


class _ConditionedOperations(Operations):
    """The operations of another one, with a norm's scale and shift by the latents.

    Args:
        apply: carries out everything.
        norms: by the id of a norm, what scales and shifts its output.
        latents: [B, L] or [1, L].
    """

    def __init__(self, apply: Operations, norms: dict[int, LatentAffine], latents: tf.Tensor):
        self._apply, self._norms, self._latents = apply, norms, latents

    def layer(self, layer: keras.layers.Layer, x: Any) -> Any:
        return self._apply.layer(layer, x)

    def dropout(self, layer: keras.layers.Dropout, x: Any) -> Any:
        return self._apply.dropout(layer, x)

    def noise(self, layer: NoiseChannel, x: Any) -> Any:
        return self._apply.noise(layer, x)

    def each(self, function: Callable[[tf.Tensor], tf.Tensor], x: Any) -> Any:
        return self._apply.each(function, x)

    def affine(self, x: Any, gamma: tf.Tensor, beta: tf.Tensor) -> Any:
        return self._apply.affine(x, gamma, beta)

    def add(self, x: Any, y: Any) -> Any:
        return self._apply.add(x, y)

    def concat(self, x: Any, y: Any) -> Any:
        return self._apply.concat(x, y)

    def norm(self, norm: keras.layers.Layer | None, x: Any) -> Any:
        x, affine = self._apply.norm(norm, x), self._norms.get(id(norm))
        return x if affine is None else self._apply.affine(x, *affine(self._latents))

    def stage(
        self, function: Callable[[Any], Any], layers: Sequence[keras.layers.Layer | None], x: Any
    ) -> Any:
        """The latents go into the stage and the affine layers belong to it, so that both have their
        gradients where it is recomputed.
        """

        def with_latents(both: tuple[Any, tf.Tensor]) -> Any:
            x, self._latents = both
            return function(x)

        affines = [self._norms[id(layer)] for layer in layers if id(layer) in self._norms]
        outside = self._latents
        made = self._apply.stage(with_latents, [*layers, *affines], (x, outside))
        self._latents = outside
        return made


def _conditioned(network: ResnetGenerator) -> list[keras.layers.Layer]:
    """The norms that a latent scales and shifts."""
    return [
        network.stem_norm,
        *network.down_norms,
        *network.block_first_norms,
        *network.up_norms,
    ]
