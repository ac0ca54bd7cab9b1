"""Augmented CycleGAN (Almahairi et al. 2018): two translators with many answers to a picture, one
for each latent.

A latent z_b tells what a picture of domain b shows beyond its counterpart in a, and z_a the
reverse. Translators take a picture and a latent, encoders read the latent off a pair of pictures:

    (1) fake_b  = G_AB(a, z_b)        (2) fake_za = E_A(a, fake_b)       z_a, z_b ~ N(0, I)
    (3) fake_a  = G_BA(b, z_a)        (4) fake_zb = E_B(fake_a, b)
    (5) cycled_a = G_BA(fake_b, fake_za)      (6) cycled_zb = E_B(a, fake_b)
    (7) cycled_b = G_AB(fake_a, fake_zb)      (8) cycled_za = E_A(fake_a, b)

Made ones are judged beside real ones (the paper's marginal matching losses L_GAN of B, Z_a, A and
Z_b), and what comes back has the L1 from what went out (its cycle losses L_CYC of A, Z_b, B and
Z_a). A translator that ignores its latent fails (6), and a hidden source does not help it there.

| here               | paper      | authors' program    |
| ------------------ | ---------- | ------------------- |
| gen_ab, gen_ba     | G_AB, G_BA | netG_A_B, netG_B_A  |
| enc_a, enc_b       | E_A, E_B   | none, netE_B        |
| disc_a, disc_b     | D_A, D_B   | netD_A, netD_B      |
| disc_za, disc_zb   | D_Za, D_Zb | none, netD_z_B      |

The numbers of the equations are this module's. What was at hand of the paper are summaries and the
authors' program, from which come the default weights (1 of pictures, 0.025 of latents), 16 numbers
in a latent, LSGAN, no pool and discriminators first. Decided here, since that program has a latent
of B alone, though the paper has two: both domains are alike. Further differences: this package's
ResNet, whose map is halved twice; one learning rate, where there the discriminators have a fifth;
no bound on the length of a gradient; and those named in `networks.latent_generator` and
`networks.latents`.
"""

from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.losses import absolute_error, at_least_float32, generator_loss
from tfcyclegan.methods.base import JUDGED, Method
from tfcyclegan.methods.gradient_parts import GradientParts, Losses
from tfcyclegan.methods.paired_term import paired_losses
from tfcyclegan.networks import (
    AtLatent,
    Discriminator,
    LatentDiscriminator,
    LatentEncoder,
    LatentGenerator,
)

LATENTS = ("za", "zb")
NETWORKS = (
    *("gen_ab", "gen_ba", "enc_a", "enc_b"),
    *("disc_a", "disc_b", "disc_za", "disc_zb"),
)
# keeps the stream of the latents apart from those of `Method` and of other methods
_LATENTS = 10 << 20


@keras.saving.register_keras_serializable("tfcyclegan")
class AugmentedCycleGAN(Method):
    """Two translators with latents, trained against discriminators of pictures and of latents, with
    cycles of both.

    Args:
        gen_ab: translates domain a to b by a latent of b.
        gen_ba: translates domain b to a by a latent of a.
        enc_a: reads a latent of a off a picture of a and one of b, in this order.
        enc_b: reads a latent of b off the same.
        disc_a: judges images of domain a.
        disc_b: judges images of domain b.
        disc_za: judges latents of a.
        disc_zb: judges latents of b.
        gan_mode: see `losses.generator_loss`.
        lambda_gan: weight of all adversarial losses.
        lambda_a: weight of the pictures' cycle that starts in a.
        lambda_b: weight of the one that starts in b.
        lambda_latent: weight of the latents' cycles.
        pool_size, ema_decay, seed, kwargs: see `Method`; latents go through no pool.

    Raises:
        UserError: unknown choice, or networks of latents of different sizes.
    """

    loss_names: tuple[str, ...] = (
        *("gan_ab", "gan_ba", "gan_za", "gan_zb"),
        *("cycle_a", "cycle_b", "cycle_za", "cycle_zb"),
        *("disc_a", "disc_b", "disc_za", "disc_zb"),
    )
    needs_updated_discriminators = True
    run_networks = NETWORKS
    run_options = ("lambda_gan", "lambda_a", "lambda_b", "lambda_latent")

    def __init__(
        self,
        gen_ab: LatentGenerator,
        gen_ba: LatentGenerator,
        enc_a: LatentEncoder,
        enc_b: LatentEncoder,
        disc_a: Discriminator,
        disc_b: Discriminator,
        disc_za: LatentDiscriminator,
        disc_zb: LatentDiscriminator,
        *,
        gan_mode: str = "lsgan",
        lambda_gan: float = 1.0,
        lambda_a: float = 1.0,
        lambda_b: float = 1.0,
        lambda_latent: float = 0.025,
        pool_size: int = 0,
        ema_decay: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        given = (gen_ab, gen_ba, enc_a, enc_b, disc_a, disc_b, disc_za, disc_zb)
        networks = dict(zip(NETWORKS, given, strict=True))
        shared: dict[str, Any] = {"pool_size": pool_size, "ema_decay": ema_decay, "seed": seed}
        super().__init__(networks, gan_mode=gan_mode, **shared, **kwargs)
        self.lambda_gan, self.lambda_a, self.lambda_b = lambda_gan, lambda_a, lambda_b
        self.lambda_latent = lambda_latent
        self.latent_sizes = {"za": gen_ba.latent_size, "zb": gen_ab.latent_size}
        for domain, encoder, judge in (("a", enc_a, disc_za), ("b", enc_b, disc_zb)):
            size = self.latent_sizes[f"z{domain}"]
            sizes = encoder.settings["latent_size"], judge.settings["in_channels"]
            if sizes != (size, size):
                raise UserError(
                    f"enc_{domain}, disc_z{domain}: of latents of {sizes[0]} and {sizes[1]} "
                    f"numbers, but the generator takes {size}"
                )

    def learn(self, real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[Losses, list[tf.Tensor]]:
        """The discriminators first, which then judge the same fakes."""
        judged: Losses = {}
        moved: list[tf.Tensor] = []
        z_a, z_b = self.drawn("za", real_b), self.drawn("zb", real_a)
        known_a, known_b = (self.masked(self.filled(real), real) for real in (real_a, real_b))

        def both_cycles(real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[None, Losses]:
            fake_b = self.translated("ab", self.filled(real_a), z_b, real_a)  # (1)
            fake_a = self.translated("ba", self.filled(real_b), z_a, real_b)  # (3)
            fake_za = self.read("a", known_a, fake_b)  # (2)
            fake_zb = self.read("b", fake_a, known_b)  # (4)
            fakes = {
                "a": self.masked(fake_a, real_b, real_a),
                "b": self.masked(fake_b, real_a, real_b),
                "za": fake_za,
                "zb": fake_zb,
            }
            reals = self.judged_reals(real_a, real_b) | {"za": z_a, "zb": z_b}
            values, done = self.update_discriminators(reals, fakes)
            judged.update(values)
            moved.append(done)
            losses = self.marginal_matching(fakes)
            if self.lambda_a:
                cycled_a = self.translated("ba", fake_b, fake_za, real_a)  # (5)
                losses["cycle_a"] = self.lambda_a * absolute_error(cycled_a, known_a)
            if self.lambda_b:
                cycled_b = self.translated("ab", fake_a, fake_zb, real_b)  # (7)
                losses["cycle_b"] = self.lambda_b * absolute_error(cycled_b, known_b)
            if self.lambda_latent:
                cycled_zb, cycled_za = (
                    self.read("b", known_a, fake_b),  # (6)
                    self.read("a", fake_a, known_b),  # (8)
                )
                losses["cycle_zb"] = self.lambda_latent * absolute_error(cycled_zb, z_b)
                losses["cycle_za"] = self.lambda_latent * absolute_error(cycled_za, z_a)
            return None, losses

        parts = GradientParts(self.generator_variables, self.generator_optimizer.scale_loss)
        parts.add(both_cycles, real_a, real_b)
        moved.append(self.update_generators(parts.loss, parts.gradients))
        return parts.losses | judged, moved

    def marginal_matching(self, fakes: dict[str, tf.Tensor]) -> Losses:
        """The generators' and encoders' side of the adversarial losses.

        Args:
            fakes: pictures "a" and "b" as discriminators see them, and latents "za" and "zb".
        """
        if not self.lambda_gan:
            return {}
        names = {"b": "gan_ab", "a": "gan_ba", "za": "gan_za", "zb": "gan_zb"}
        losses = {}
        for domain, name in names.items():
            shown = self.as_shown(fakes[domain], domain, JUDGED)
            scores = self.discriminators[domain](shown, training=True)
            losses[name] = self.lambda_gan * generator_loss(self.gan_mode, scores)
        return losses

    def translated(
        self, direction: str, given: tf.Tensor, latents: tf.Tensor, source: tf.Tensor
    ) -> tf.Tensor:
        """The translations of `given` by latents [B, L], without what `source` has not measured."""
        generator = self.generators[direction]
        return self.masked(generator(given, training=True, latents=latents), source)

    def read(self, domain: str, picture_a: tf.Tensor, picture_b: tf.Tensor) -> tf.Tensor:
        """The latents [B, L] of a domain, read off pairs of pictures."""
        encoder = getattr(self, f"enc_{domain}")
        pair = [tf.cast(each, encoder.compute_dtype) for each in (picture_a, picture_b)]
        return at_least_float32(encoder(tf.concat(pair, axis=-1), training=True))

    def drawn(self, which: str, pictures: tf.Tensor) -> tf.Tensor:
        """Latents "za" or "zb" [B, L] from the prior N(0, I), for these pictures."""
        shape = [tf.shape(pictures)[0], self.latent_sizes[which]]
        seed = self.draws_from(LATENTS.index(which), _LATENTS)
        return tf.random.stateless_normal(shape, seed, dtype=self._kind)

    def paired_pass(
        self, paired_a: tf.Tensor, paired_b: tf.Tensor
    ) -> tuple[Losses, list[tf.Tensor | None]]:
        """`Method.paired_pass`, by the latents that the encoders read off the pairs, without which
        a translation cannot be expected to be the partner (as the paper's semi-supervised form).
        """

        def term(paired_a: tf.Tensor, paired_b: tf.Tensor) -> tuple[None, Losses]:
            known = [self.masked(self.filled(each), each) for each in (paired_a, paired_b)]
            at = {
                direction: AtLatent(generator, self.read(direction[1], *known))
                for direction, generator in self.generators.items()
            }
            return None, paired_losses(self.lambda_paired, at, self.gaps, paired_a, paired_b)

        parts = GradientParts(self.generator_variables, self.generator_optimizer.scale_loss)
        parts.add(term, paired_a, paired_b)
        return parts.losses, parts.gradients
