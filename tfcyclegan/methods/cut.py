"""CUT and FastCUT (Park et al. 2020): one translator, which keeps the content of a picture by
matching patches of the translation to those of its source.

| here          | paper | official program                      |
| ------------- | ----- | ------------------------------------- |
| gen_ab        | G     | netG                                  |
| disc_b        | D     | netD                                  |
| patch_sampler | H     | netF, `mlp_sample`                    |
| nce_a         | PatchNCE(G, H, X) | NCE, halved where there is NCE_Y   |
| nce_b         | PatchNCE(G, H, Y) | NCE_Y, halved             |

CUT and FastCUT are one method with different weights; FastCUT has flip equivariance and no second
term.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.config import TrainConfig
from tfcyclegan.errors import UserError
from tfcyclegan.losses import generator_loss, patch_nce_loss
from tfcyclegan.methods.base import JUDGED, Method
from tfcyclegan.methods.gradient_parts import GradientParts, Losses
from tfcyclegan.methods.masking import at_size, measured
from tfcyclegan.networks import Discriminator, Generator, PatchSampler

NETWORKS = ("gen_ab", "disc_b", "patch_sampler")
NCE_LAYERS = (0, 4, 8, 12, 16)
# Purposes of random numbers, so that their streams differ from those of `Method`.
_MIRROR, _POSITIONS = 8 << 20, 9 << 20


@keras.saving.register_keras_serializable("tfcyclegan")
class CUT(Method):
    """A translator trained against a discriminator with PatchNCE.

    Args:
        gen_ab: translates domain a to b; a ResNet generator, whose encoder gives the features.
        disc_b: judges images of domain b.
        patch_sampler: maps the features of `nce_layers` to vectors.
        gan_mode: see `losses.generator_loss`.
        lambda_gan: weight of the adversarial loss.
        lambda_nce: weight of PatchNCE; 1 in CUT, 10 in FastCUT.
        nce_identity: whether pictures of domain b are also translated and compared with the result;
            the loss is then the mean of both terms.
        flip_equivariance: whether half of the batches are mirrored before translation and mirrored
            back for the comparison.
        nce_layers: the layers whose features are compared, see `Generator.features`.
        num_patches: positions drawn in each feature map, the same for all pictures of a batch; a
            map with fewer positions uses all.
        nce_temperature: see `losses.contrastive_losses`.
        nce_all_negatives: see `losses.patch_nce_loss`.
        pool_size, ema_decay, seed, kwargs: see `Method`.

    Raises:
        UserError: unknown choice, layers that the generator does not have, or domains with
            different channel counts.
    """

    loss_names: tuple[str, ...] = ("gan_ab", "nce_a", "nce_b", "disc_b")
    needs_updated_discriminators = True
    judges_fakes_first = True
    run_networks = NETWORKS
    run_options = (
        *("lambda_gan", "lambda_nce", "nce_identity", "flip_equivariance", "num_patches"),
        *("nce_temperature", "nce_all_negatives"),
    )

    def __init__(
        self,
        gen_ab: Generator,
        disc_b: Discriminator,
        patch_sampler: PatchSampler,
        *,
        gan_mode: str = "lsgan",
        lambda_gan: float = 1.0,
        lambda_nce: float = 1.0,
        nce_identity: bool = True,
        flip_equivariance: bool = False,
        nce_layers: Sequence[int] = NCE_LAYERS,
        num_patches: int = 256,
        nce_temperature: float = 0.07,
        nce_all_negatives: bool = False,
        pool_size: int = 0,
        ema_decay: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        networks = dict(zip(NETWORKS, (gen_ab, disc_b, patch_sampler), strict=True))
        shared: dict[str, Any] = {"pool_size": pool_size, "ema_decay": ema_decay, "seed": seed}
        super().__init__(networks, gan_mode=gan_mode, **shared, **kwargs)
        channels = gen_ab.feature_channels(nce_layers)
        if channels != patch_sampler.settings["channels"]:
            raise UserError(
                f"patch_sampler: made for maps of {patch_sampler.settings['channels']} channels, "
                f"but the generator's layers {tuple(nce_layers)} have {channels}"
            )
        if gen_ab.settings["in_channels"] != gen_ab.settings["out_channels"]:
            raise UserError(
                "cut: the translator also reads pictures of its target domain, so both domains "
                "need the same number of channels; give both the same kind of pictures, or use "
                "--method=cyclegan"
            )
        if not nce_identity:
            self.loss_names = tuple(name for name in self.loss_names if name != "nce_b")
        self.lambda_gan, self.lambda_nce = lambda_gan, lambda_nce
        self.nce_identity, self.flip_equivariance = nce_identity, flip_equivariance
        self.nce_layers, self.num_patches = tuple(nce_layers), num_patches
        self.nce_temperature, self.nce_all_negatives = nce_temperature, nce_all_negatives

    @classmethod
    def arguments_of(cls, config: TrainConfig) -> dict[str, Any]:
        return super().arguments_of(config) | {"nce_layers": config.nce_indices}

    def learn(self, real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[Losses, list[tf.Tensor]]:
        """The discriminator first, which then judges the same fakes (Eq. 5)."""
        judged: Losses = {}
        moved: list[tf.Tensor] = []
        mirrored = self.is_mirrored() if self.flip_equivariance else None

        def translation(real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[None, Losses]:
            fake_b, keys = self._translated(real_a, mirrored)
            shown = self.masked(fake_b, _as_seen(real_a, mirrored), real_b)
            reals = self.judged_reals(_as_seen(real_a, mirrored), real_b)
            values, done = self.update_discriminators({"b": reals["b"]}, {"b": shown})
            judged.update(values)
            moved.append(done)
            losses = {}
            if self.lambda_gan:
                scores = self.disc_b(self.as_shown(shown, "b", JUDGED), training=True)
                losses["gan_ab"] = self.lambda_gan * generator_loss(self.gan_mode, scores)
            return None, losses | {"nce_a": self._patch_nce("a", real_a, fake_b, keys, mirrored)}

        def identity(real_b: tf.Tensor) -> tuple[None, Losses]:
            same_b, keys = self._translated(real_b, mirrored)
            return None, {"nce_b": self._patch_nce("b", real_b, same_b, keys, mirrored)}

        parts = GradientParts(self.generator_variables, self.generator_optimizer.scale_loss)
        parts.add(translation, real_a, real_b)
        if self.nce_identity:
            parts.add(identity, real_b)
        moved.append(self.update_generators(parts.loss, parts.gradients))
        return parts.losses | judged, moved

    def _translated(
        self, real: tf.Tensor, mirrored: tf.Tensor | None
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The translation of the pictures, of their mirror images if `mirrored`, and the features
        of the unmirrored pictures, taken from the same pass if possible.
        """
        layers, seen = self.nce_layers, _as_seen(real, mirrored)
        fake, features = self.gen_ab.with_features(self.filled(seen), layers, training=True)
        fake = self.masked(fake, seen)
        if mirrored is None:
            return fake, features
        keys, given = [tf.stop_gradient(each) for each in features], self.filled(real)
        return fake, tf.cond(
            mirrored, lambda: self.gen_ab.features(given, layers, training=True), lambda: keys
        )

    def _patch_nce(
        self,
        domain: str,
        real: tf.Tensor,
        fake: tf.Tensor,
        keys: list[tf.Tensor],
        mirrored: tf.Tensor | None,
    ) -> tf.Tensor:
        """The weighted loss of one term. Its gradient goes through the sampler, the encoder and the
        translation, but not by the keys. Patches with missing measurements have no loss and are not
        used as negatives.

        Args:
            domain: the picture's domain.
            real: the picture, never mirrored, with NaN where there is no measurement.
            fake: its translation, mirrored if `mirrored` is true.
            keys: the features of `real`.
            mirrored: whether the batch is mirrored, see `is_mirrored`.
        """
        queries = self.gen_ab.features(fake, self.nce_layers, training=True)
        positions = [
            self.patch_positions(domain, index, _pixels(features))
            for index, features in enumerate(keys)
        ]
        at = [
            _mirrored_back(places, features, mirrored)
            for places, features in zip(positions, queries, strict=True)
        ]
        valid = None
        if self.gaps:
            maps = [at_size(measured(real), *tf.unstack(tf.shape(each)[1:3])) for each in keys]
            valid = [
                tf.reshape(tf.gather(_rows(each), places, axis=1), [-1])
                for each, places in zip(maps, positions, strict=True)
            ]
        keys = [tf.stop_gradient(features) for features in keys]
        loss = patch_nce_loss(
            self.patch_sampler(queries, at),
            self.patch_sampler(keys, positions),
            pictures=tf.shape(fake)[0] if fake.shape[0] is None else fake.shape[0],
            temperature=self.nce_temperature,
            all_negatives=self.nce_all_negatives,
            valid=valid,
        )
        return self.lambda_nce / (2 if self.nce_identity else 1) * loss

    def is_mirrored(self) -> tf.Tensor:
        """Whether a batch is mirrored, drawn once for all replicas."""
        return tf.random.stateless_uniform([], self._stream(self.step.value, 0, _MIRROR)) < 0.5

    def patch_positions(self, domain: str, index: int, pixels: tf.Tensor | int) -> tf.Tensor:
        """Positions of patches without repetition, integers [P].

        Args:
            domain: domain of the pictures that are compared with their translations.
            index: index of the feature map in `nce_layers`.
            pixels: number of pixels of the feature map.
        """
        seed = self.draws_from("ab".index(domain), _POSITIONS + (index << 20))
        draws = tf.random.stateless_uniform([pixels], seed)
        return tf.math.top_k(draws, tf.minimum(self.num_patches, pixels), sorted=False).indices


def _pixels(features: tf.Tensor) -> tf.Tensor | int:
    height, width = features.shape[1:3]
    if height is None or width is None:
        return tf.reduce_prod(tf.shape(features)[1:3])
    return height * width


def _rows(features: tf.Tensor) -> tf.Tensor:
    """[B, H, W, C] as [B, H * W, C]."""
    shape = tf.shape(features)
    return tf.reshape(features, [shape[0], shape[1] * shape[2], features.shape[-1]])


def _as_seen(real: tf.Tensor, mirrored: tf.Tensor | None) -> tf.Tensor:
    """Pictures as input of the translator: mirrored if `mirrored` is true."""
    return real if mirrored is None else tf.where(mirrored, tf.reverse(real, axis=[2]), real)


def _mirrored_back(
    positions: tf.Tensor, features: tf.Tensor, mirrored: tf.Tensor | None
) -> tf.Tensor:
    """The positions in the map of a mirrored picture that correspond to `positions`: same row,
    mirrored column.
    """
    if mirrored is None:
        return positions
    width = tf.cast(tf.shape(features)[2], positions.dtype)
    column = positions % width
    return tf.where(mirrored, positions - column + (width - 1 - column), positions)
