"""CycleGAN (Zhu et al. 2017): two translators, two discriminators and cycle consistency.

| here     | paper | official program |
| -------- | ----- | ---------------- |
| gen_ab   | G     | G_A              |
| gen_ba   | F     | G_B              |
| disc_a   | D_X   | D_B              |
| disc_b   | D_Y   | D_A              |

A domain of label maps may be classes, one channel each: networks see it one-hot, a translation to
it is a sample of its classes, and what comes back to it has a cross-entropy in place of the L1.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.losses import absolute_error, class_error, generator_loss, semantic_loss
from tfcyclegan.methods.base import DOMAINS, JUDGED, Method
from tfcyclegan.methods.gradient_parts import GradientParts, Losses
from tfcyclegan.methods.label_samples import sampled
from tfcyclegan.networks import Discriminator, Generator

NETWORKS = ("gen_ab", "gen_ba", "disc_a", "disc_b")
# keep the streams of the noise and of the samples apart from those of the pools
_NOISE, _SAMPLES = 1 << 20, 5 << 20

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
            al. 2019); none on classes. Not in the paper.
        label_samples: what of a translation to classes is judged and cycled back, see
            `label_samples.sampled`. A domain is classes where the generators say so.
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
        *("cycle_noise", "label_samples"),
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
        label_samples: str = "straight_through",
        pool_size: int = 50,
        ema_decay: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        networks = dict(zip(NETWORKS, (gen_ab, gen_ba, disc_a, disc_b), strict=True))
        shared: dict[str, Any] = {"pool_size": pool_size, "ema_decay": ema_decay, "seed": seed}
        super().__init__(networks, gan_mode=gan_mode, **shared, **kwargs)
        ends = gen_ab.inner().settings
        if lambda_identity and ends["in_channels"] != ends["out_channels"]:
            raise UserError(
                "lambda_identity: identity losses need domains of the same number of channels; "
                "set --lambda_identity=0"
            )
        self.lambda_gan, self.lambda_a, self.lambda_b = lambda_gan, lambda_a, lambda_b
        self.lambda_identity, self.cycle_noise = lambda_identity, cycle_noise
        self.segment, self.lambda_semantic = segment, lambda_semantic
        self.label_samples = label_samples
        self.codings = {"a": gen_ab.source_coding, "b": gen_ab.target_coding}

    def make_pools(self, shape_a: Sequence[int], shape_b: Sequence[int]) -> None:
        shapes = [
            (*shape[:2], coding.count) if (coding := self.codings[domain]) else shape
            for domain, shape in zip(DOMAINS, (shape_a, shape_b), strict=True)
        ]
        super().make_pools(*shapes)

    def seen(self, domain: str, pictures: tf.Tensor) -> tf.Tensor:
        """Pictures of a domain as networks see them: label maps of classes [B, H, W, N]."""
        coding = self.codings[domain]
        return coding.encode(pictures) if coding else pictures

    def fake(self, direction: str, pictures: tf.Tensor) -> tf.Tensor:
        """A translation of what networks see, likewise."""
        made = self.generators[direction].inner()(pictures, training=True)
        if not self.codings[direction[1]]:
            return made
        stream = DOMAINS.index(direction[1])
        return sampled(self.label_samples, made, lambda: self.draws_from(stream, _SAMPLES))

    def error(
        self, direction: str, given: tf.Tensor, known: tf.Tensor, real: tf.Tensor
    ) -> tf.Tensor:
        """How far a generator's answer is from the known one: the L1 of pictures, the
        cross-entropy of classes.

        Args:
            direction: of the generator.
            given: what it is given.
            known: the answer, as losses see it.
            real: whose gaps count for nothing.
        """
        made = self.generators[direction].inner()(given, training=True)
        if self.codings[direction[1]]:
            return class_error(made, known)
        return absolute_error(self.masked(made, real), known)

    def learn(self, real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[Losses, list[tf.Tensor]]:
        """Generators first, then the discriminators on fakes from before that update."""
        if self._has_pairs_alone:
            return self._by_pairs_alone()
        real_a, real_b = self.seen("a", real_a), self.seen("b", real_b)
        fakes, losses, loss, gradients = self.run_generator_pass(real_a, real_b)
        generators_moved = self.update_generators(loss, gradients)
        reals = self.judged_reals(real_a, real_b)
        judged, discriminators_moved = self.update_discriminators(reals, fakes)
        return losses | judged, [generators_moved, discriminators_moved]

    @property
    def _has_pairs_alone(self) -> bool:
        others = self.lambda_gan or self.lambda_a or self.lambda_b or self.segment
        return bool(self.lambda_paired) and not others

    def _by_pairs_alone(self) -> tuple[Losses, list[tf.Tensor]]:
        """Supervised learning by the known pairs: unpaired pictures teach nothing, and the
        discriminators stay as they are.
        """
        none: list[tf.Tensor | None] = [None] * len(self.generator_variables)
        return {}, [self.update_generators(tf.zeros([], self._kind), none)]

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
        fake_b = self.masked(self.fake("ab", self.filled(real_a)), real_a)
        judged_b = self.masked(fake_b, real_a, real_b)
        return judged_b, self.forward_losses(real_a, fake_b, judged_b)

    def backward_cycle(self, real_b: tf.Tensor, real_a: tf.Tensor) -> tuple[tf.Tensor, Losses]:
        """b -> a -> b: the fake of domain a as discriminators see it, and its losses."""
        fake_a = self.masked(self.fake("ba", self.filled(real_b)), real_b)
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
            given = self.masked(self._noisy("b", fake_b, stream=0), real_a)
            losses["cycle_a"] = self.lambda_a * self.error("ba", given, known_a, real_a)
        return losses | self._semantic("semantic_a", fake_b, known_a)

    def backward_losses(self, real_b: tf.Tensor, fake_a: tf.Tensor, judged_a: tf.Tensor) -> Losses:
        """See `forward_losses`."""
        losses, known_b = {}, self.masked(self.filled(real_b), real_b)
        if self.lambda_gan:  # Eq. 1
            scores = self.disc_a(self.as_shown(judged_a, "a", JUDGED), training=True)
            losses["gan_ba"] = self.lambda_gan * generator_loss(self.gan_mode, scores)
        if self.lambda_b:  # Eq. 2
            given = self.masked(self._noisy("a", fake_a, stream=1), real_b)
            losses["cycle_b"] = self.lambda_b * self.error("ab", given, known_b, real_b)
        return losses | self._semantic("semantic_b", fake_a, known_b)

    def identity(self, real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[None, Losses]:
        """A generator should leave an image of its target domain unchanged (section 5.2); weighted
        like that domain's cycle.
        """
        if not self.lambda_identity:
            return None, {}
        same_a, same_b = self._change("ba", real_a), self._change("ab", real_b)
        return None, {
            "identity_a": self.lambda_a * self.lambda_identity * same_a,
            "identity_b": self.lambda_b * self.lambda_identity * same_b,
        }

    def _change(self, direction: str, real: tf.Tensor) -> tf.Tensor:
        given = self.filled(real)
        return self.error(direction, given, self.masked(given, real), real)

    def _semantic(self, name: str, fake: tf.Tensor, real: tf.Tensor) -> Losses:
        if self.segment is None or not self.lambda_semantic:
            return {}
        return {name: self.lambda_semantic * semantic_loss(self.segment(fake), self.segment(real))}

    def _noisy(self, domain: str, fake: tf.Tensor, stream: int) -> tf.Tensor:
        if not self.cycle_noise or self.codings[domain]:
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
        real_a, real_b = self.seen("a", real_a), self.seen("b", real_b)
        if self._has_pairs_alone:
            return self._by_pairs_alone()
        judged: Losses = {}
        moved: list[tf.Tensor] = []

        def both_cycles(real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[None, Losses]:
            fake_b = self.masked(self.fake("ab", self.filled(real_a)), real_a)
            fake_a = self.masked(self.fake("ba", self.filled(real_b)), real_b)
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
