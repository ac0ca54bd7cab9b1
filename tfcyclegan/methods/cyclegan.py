"""CycleGAN (Zhu et al. 2017): two translators, two discriminators and cycle consistency.

| here     | paper | official program |
| -------- | ----- | ---------------- |
| gen_ab   | G     | G_A              |
| gen_ba   | F     | G_B              |
| disc_a   | D_X   | D_B              |
| disc_b   | D_Y   | D_A              |
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.losses import absolute_error, generator_loss, semantic_loss
from tfcyclegan.methods.base import JUDGED, Method
from tfcyclegan.methods.gradient_parts import GradientParts, Losses
from tfcyclegan.networks import Discriminator, Generator

NETWORKS = ("gen_ab", "gen_ba", "disc_a", "disc_b")
_NOISE = 1 << 20  # keeps the streams of the noise apart from those of the pools

# Images [B, H, W, C] in [-1, 1] -> logits [B, H, W, classes] of a frozen segmenter.
Segment = Callable[[tf.Tensor], tf.Tensor]


@keras.saving.register_keras_serializable("tfcyclegan")
class CycleGAN(Method):
    """Two translators trained against two discriminators with cycle consistency.

    Args:
        gen_ab: translates domain a to b.
        gen_ba: translates domain b to a.
        disc_a: judges images of domain a.
        disc_b: judges images of domain b.
        gan_mode: see `losses.generator_loss`.
        lambda_gan: weight of the adversarial losses; 0 leaves the generators to the cycle alone
            (Table 4's "cycle alone").
        lambda_a: weight of the cycle a -> b -> a (Eq. 3); 0 leaves it out.
        lambda_b: weight of the cycle b -> a -> b; 0 leaves it out.
        lambda_identity: weight of the identity losses, **relative** to `lambda_a` and `lambda_b`; 0
            leaves them out.
        segment: a frozen segmenter of domain a; with it `lambda_semantic` weighs the semantic
            losses, which ask that a picture be segmented alike before and after its translation
            (Hoffman et al. 2018, "CyCADA", Eq. 5).
        lambda_semantic: weight of the semantic losses.
        cycle_noise: standard deviation of Gaussian noise, on the scale [-1, 1], added to each fake
            before it is cycled back, so that the source cannot be hidden in it (after Bashkirova et
            al. 2019). Not in the paper.
        pool_size, ema_decay, seed, pool_draws: see `Method`.

    Raises:
        UserError: unknown choice, or identity losses between domains with different channel counts.
    """

    loss_names = (
        *("gan_ab", "gan_ba", "cycle_a", "cycle_b", "identity_a", "identity_b"),
        *("semantic_a", "semantic_b", "disc_a", "disc_b"),
    )
    run_networks = NETWORKS
    run_options = (
        *("lambda_gan", "lambda_a", "lambda_b", "lambda_identity", "lambda_semantic"),
        "cycle_noise",
    )

    def __init__(
        self,
        gen_ab: Generator,
        gen_ba: Generator,
        disc_a: Discriminator,
        disc_b: Discriminator,
        *,
        gan_mode: str = "lsgan",
        lambda_gan: float = 1.0,
        lambda_a: float = 10.0,
        lambda_b: float = 10.0,
        lambda_identity: float = 0.5,
        segment: Segment | None = None,
        lambda_semantic: float = 1.0,
        cycle_noise: float = 0.0,
        pool_size: int = 50,
        ema_decay: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        networks = dict(zip(NETWORKS, (gen_ab, gen_ba, disc_a, disc_b), strict=True))
        shared: dict[str, Any] = {"pool_size": pool_size, "ema_decay": ema_decay, "seed": seed}
        super().__init__(networks, gan_mode=gan_mode, **shared, **kwargs)
        if lambda_identity and gen_ab.settings["in_channels"] != gen_ab.settings["out_channels"]:
            raise UserError(
                "lambda_identity: identity losses need domains of the same number of channels; "
                "set --lambda_identity=0"
            )
        self.lambda_gan, self.lambda_a, self.lambda_b = lambda_gan, lambda_a, lambda_b
        self.lambda_identity, self.cycle_noise = lambda_identity, cycle_noise
        self.segment, self.lambda_semantic = segment, lambda_semantic

    def learn(self, real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[Losses, list[tf.Tensor]]:
        """Generators first, then the discriminators on fakes from before that update."""
        fakes, losses, loss, gradients = self.run_generator_pass(real_a, real_b)
        generators_moved = self.update_generators(loss, gradients)
        reals = self.judged_reals(real_a, real_b)
        judged, discriminators_moved = self.update_discriminators(reals, fakes)
        return losses | judged, [generators_moved, discriminators_moved]

    def generator_pass(
        self, real_a: tf.Tensor, real_b: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], Losses, tf.Tensor, list[tf.Tensor]]:
        """The full objective of both generators (Eq. 3 with the identity loss of section 5.2).

        It comes in three parts, each with its own gradients, since the cycles and the identity
        losses share no activations: memory holds two of the six passes at a time.

        Returns:
            The fakes by domain, the losses by name, their sum and its gradients.
        """
        parts = GradientParts(self.generator_variables, self.generator_optimizer.scale_loss)
        fake_b = parts.add(self.forward_cycle, real_a, real_b)
        fake_a = parts.add(self.backward_cycle, real_b, real_a)
        parts.add(self.identity, real_a, real_b)
        return {"a": fake_a, "b": fake_b}, parts.losses, parts.loss, parts.gradients

    def forward_cycle(self, real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[tf.Tensor, Losses]:
        """a -> b -> a: the fake of domain b as discriminators see it, and its losses.

        Args:
            real_a: the pictures to translate.
            real_b: the pictures shown with the fake; only their missing pixels matter.
        """
        fake_b = self.masked(self.gen_ab(self.filled(real_a), training=True), real_a)
        judged_b = self.masked(fake_b, real_a, real_b)
        return judged_b, self.forward_losses(real_a, fake_b, judged_b)

    def backward_cycle(self, real_b: tf.Tensor, real_a: tf.Tensor) -> tuple[tf.Tensor, Losses]:
        """b -> a -> b: the fake of domain a as discriminators see it, and its losses."""
        fake_a = self.masked(self.gen_ba(self.filled(real_b), training=True), real_b)
        judged_a = self.masked(fake_a, real_b, real_a)
        return judged_a, self.backward_losses(real_b, fake_a, judged_a)

    def forward_losses(self, real_a: tf.Tensor, fake_b: tf.Tensor, judged_b: tf.Tensor) -> Losses:
        """Losses that train both generators: no gradient is stopped.

        Args:
            real_a: the translated pictures.
            fake_b: their translations.
            judged_b: the translations as the discriminator sees them.
        """
        losses, known_a = {}, self.masked(self.filled(real_a), real_a)
        if self.lambda_gan:  # Eq. 1
            scores = self.disc_b(self.as_shown(judged_b, "b", JUDGED), training=True)
            losses["gan_ab"] = self.lambda_gan * generator_loss(self.gan_mode, scores)
        if self.lambda_a:  # Eq. 2
            cycled_a = self.gen_ba(
                self.masked(self._noisy(fake_b, stream=0), real_a), training=True
            )
            error = absolute_error(self.masked(cycled_a, real_a), known_a)
            losses["cycle_a"] = self.lambda_a * error
        return losses | self._semantic("semantic_a", fake_b, known_a)

    def backward_losses(self, real_b: tf.Tensor, fake_a: tf.Tensor, judged_a: tf.Tensor) -> Losses:
        """See `forward_losses`."""
        losses, known_b = {}, self.masked(self.filled(real_b), real_b)
        if self.lambda_gan:  # Eq. 1
            scores = self.disc_a(self.as_shown(judged_a, "a", JUDGED), training=True)
            losses["gan_ba"] = self.lambda_gan * generator_loss(self.gan_mode, scores)
        if self.lambda_b:  # Eq. 2
            cycled_b = self.gen_ab(
                self.masked(self._noisy(fake_a, stream=1), real_b), training=True
            )
            error = absolute_error(self.masked(cycled_b, real_b), known_b)
            losses["cycle_b"] = self.lambda_b * error
        return losses | self._semantic("semantic_b", fake_a, known_b)

    def identity(self, real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[None, Losses]:
        """A generator should leave an image of its target domain unchanged (section 5.2); weighted
        like that domain's cycle.
        """
        if not self.lambda_identity:
            return None, {}
        same_a = self._change(self.gen_ba, real_a)
        same_b = self._change(self.gen_ab, real_b)
        return None, {
            "identity_a": self.lambda_a * self.lambda_identity * same_a,
            "identity_b": self.lambda_b * self.lambda_identity * same_b,
        }

    def _change(self, generator: Generator, real: tf.Tensor) -> tf.Tensor:
        given = self.filled(real)
        made = generator(given, training=True)
        return absolute_error(self.masked(made, real), self.masked(given, real))

    def _semantic(self, name: str, fake: tf.Tensor, real: tf.Tensor) -> Losses:
        if self.segment is None or not self.lambda_semantic:
            return {}
        return {name: self.lambda_semantic * semantic_loss(self.segment(fake), self.segment(real))}

    def _noisy(self, fake: tf.Tensor, stream: int) -> tf.Tensor:
        if not self.cycle_noise:
            return fake
        seed = self.draws_from(stream, _NOISE)
        noise = tf.random.stateless_normal(tf.shape(fake), seed, stddev=self.cycle_noise)
        return fake + tf.cast(noise, fake.dtype)


@keras.saving.register_keras_serializable("tfcyclegan")
class DiscriminatorsFirst(CycleGAN):
    """CycleGAN in the order of Rao et al. 2023: the discriminators are updated before the
    generators, so that the generators' losses use the updated discriminators. Not the order of the
    official program.
    """

    needs_updated_discriminators = True

    def learn(self, real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[Losses, list[tf.Tensor]]:
        """The same parts, but with both cycles in one part, since the update needs both fakes."""
        judged: Losses = {}
        moved: list[tf.Tensor] = []

        def both_cycles(real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[None, Losses]:
            fake_b = self.masked(self.gen_ab(self.filled(real_a), training=True), real_a)
            fake_a = self.masked(self.gen_ba(self.filled(real_b), training=True), real_b)
            shown = {
                "b": self.masked(fake_b, real_a, real_b),
                "a": self.masked(fake_a, real_b, real_a),
            }
            values, done = self.update_discriminators(self.judged_reals(real_a, real_b), shown)
            judged.update(values)
            moved.append(done)
            forward = self.forward_losses(real_a, fake_b, shown["b"])
            return None, forward | self.backward_losses(real_b, fake_a, shown["a"])

        parts = GradientParts(self.generator_variables, self.generator_optimizer.scale_loss)
        parts.add(both_cycles, real_a, real_b)
        parts.add(self.identity, real_a, real_b)
        moved.append(self.update_generators(parts.loss, parts.gradients))
        return parts.losses | judged, moved
