"""pix2pix (Isola et al. 2017): one translator, trained on pairs of pictures.

| here   | paper | official program |
| ------ | ----- | ---------------- |
| gen_ab | G     | netG             |
| disc_b | D     | netD             |
| l1_ab  | L1    | G_L1             |
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.losses import absolute_error, generator_loss
from tfcyclegan.methods.base import JUDGED, Method
from tfcyclegan.methods.gradient_parts import GradientParts, Losses
from tfcyclegan.networks import Discriminator, Generator

NETWORKS = ("gen_ab", "disc_b")


@keras.saving.register_keras_serializable("tfcyclegan")
class Pix2Pix(Method):
    """A translator trained against a discriminator of pairs, and towards the known targets.

    Args:
        gen_ab: translates domain a to b.
        disc_b: judges a picture of domain a together with one of domain b, concatenated along the
            channels.
        gan_mode: see `losses.generator_loss`.
        lambda_gan: weight of the adversarial loss; 0 leaves only L1.
        lambda_l1: weight of the L1 distance to the known target (Eq. 3).
        pool_size, ema_decay, seed, kwargs: see `Method`; a pool keeps pairs.

    Raises:
        UserError: unknown choice, or a discriminator with another number of channels.
    """

    loss_names = ("gan_ab", "l1_ab", "disc_b")
    needs_updated_discriminators = True
    judges_fakes_first = True
    takes_pairs = True
    run_networks = NETWORKS
    run_options = ("lambda_gan", "lambda_l1")

    def __init__(
        self,
        gen_ab: Generator,
        disc_b: Discriminator,
        *,
        gan_mode: str = "vanilla",
        lambda_gan: float = 1.0,
        lambda_l1: float = 100.0,
        pool_size: int = 0,
        ema_decay: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        networks = dict(zip(NETWORKS, (gen_ab, disc_b), strict=True))
        shared: dict[str, Any] = {"pool_size": pool_size, "ema_decay": ema_decay, "seed": seed}
        super().__init__(networks, gan_mode=gan_mode, **shared, **kwargs)
        both = gen_ab.settings["in_channels"] + gen_ab.settings["out_channels"]
        if disc_b.settings["in_channels"] != both:
            raise UserError(
                f"disc_b: takes {disc_b.settings['in_channels']} channels, but judges pairs of "
                f"{both}"
            )
        self.lambda_gan, self.lambda_l1 = lambda_gan, lambda_l1

    def make_pools(self, shape_a: Sequence[int], shape_b: Sequence[int]) -> None:
        super().make_pools(shape_a, (*shape_b[:2], shape_a[2] + shape_b[2]))

    def as_shown(self, pictures: tf.Tensor, domain: str, purpose: int) -> tf.Tensor:
        """Both pictures of a pair are augmented alike, each by the colours of its own channels."""
        if not self.diffaugment:
            return super().as_shown(pictures, domain, purpose)
        channels = self.gen_ab.settings["in_channels"]
        parts = pictures[..., :channels], pictures[..., channels:]
        return tf.concat([super(Pix2Pix, self).as_shown(p, domain, purpose) for p in parts], -1)

    def learn(self, real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[Losses, list[tf.Tensor]]:
        """The discriminator first, which then judges the same fakes (Eq. 4).

        Args:
            real_a: [B, H, W, C] in [-1, 1].
            real_b: the target translations, of the same size.
        """
        judged: Losses = {}
        moved: list[tf.Tensor] = []

        def translation(real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[None, Losses]:
            fake_b = self.gen_ab(self.filled(real_a), training=True)
            fake_b = self.masked(tf.cast(fake_b, real_b.dtype), real_a, real_b)
            shown_a, shown_b = self.judged_reals(real_a, real_b).values()
            real, fake = (tf.concat([shown_a, shown], axis=-1) for shown in (shown_b, fake_b))
            values, done = self.update_discriminators({"b": real}, {"b": fake})
            judged.update(values)
            moved.append(done)
            losses = {"l1_ab": self.lambda_l1 * absolute_error(fake_b, shown_b)}
            if self.lambda_gan:
                scores = self.disc_b(self.as_shown(fake, "b", JUDGED), training=True)
                losses["gan_ab"] = self.lambda_gan * generator_loss(self.gan_mode, scores)
            return None, losses

        parts = GradientParts(self.generator_variables, self.generator_optimizer.scale_loss)
        parts.add(translation, real_a, real_b)
        moved.append(self.update_generators(parts.loss, parts.gradients))
        return parts.losses | judged, moved
