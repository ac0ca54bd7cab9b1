"""The CycleGAN as a `keras.Model`: two generators, two discriminators, two optimizers and the
training step.

| here     | paper | official program |
| -------- | ----- | ---------------- |
| gen_ab   | G     | G_A              |
| gen_ba   | F     | G_B              |
| disc_a   | D_X   | D_B              |
| disc_b   | D_Y   | D_A              |
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfcyclegan.data import arrays
from tfcyclegan.errors import UserError
from tfcyclegan.losses import (
    GAN_MODES,
    absolute_error,
    at_least_float32,
    discriminator_accuracy,
    discriminator_loss,
    generator_loss,
    semantic_loss,
)
from tfcyclegan.methods.image_pool import ImagePool
from tfcyclegan.networks import Discriminator, Generator
from tfcyclegan.optimization import ema
from tfcyclegan.optimization.adam import Adam

UPDATE_ORDERS = ("generators_first", "discriminators_first")
# What a step reports, in this order. Losses carry their weights.
LOSSES = (
    "gan_ab",
    "gan_ba",
    "cycle_a",
    "cycle_b",
    "identity_a",
    "identity_b",
    "semantic_a",
    "semantic_b",
    "disc_a",
    "disc_b",
)
REPORTED = (*LOSSES, "accuracy_disc_a", "accuracy_disc_b", "skipped")
_NOISE = 1 << 20  # keeps the streams of the noise apart from those of the pools

# (step, domain 0 = a or 1 = b, replica, batch size) -> uniform draws [B] and slots [B] of
# `ImagePool.query`.
PoolDraws = Callable[[tf.Tensor, int, tf.Tensor, int | tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

# Images [B, H, W, C] in [-1, 1] -> logits [B, H, W, classes] of a frozen segmenter.
Segment = Callable[[tf.Tensor], tf.Tensor]


class _Cycle(NamedTuple):
    """The way from a domain to the other one and back.

    Attributes:
        domain: where it starts: "a" or "b".
        direction: of the way there: "ab" or "ba".
        there: the generator of the fakes.
        back: the other generator.
        judge: the discriminator that sees the fakes.
        weight: of the cycle loss.
    """

    domain: str
    direction: str
    there: Generator
    back: Generator
    judge: Discriminator
    weight: float


class CycleGAN(keras.Model):
    """Two translators trained against two discriminators with cycle consistency (Zhu et al. 2017).

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
        pool_size: images a pool keeps; 0 shows the discriminators each fresh fake.
        ema_decay: if above 0, `averages.gen_ab` and `averages.gen_ba` follow the generators by a
            running mean with this decay (at most (1 + step) / (10 + step), so that the first
            weights are soon forgotten). Not in the paper.
        update_order: "generators_first" (official) or "discriminators_first" (Rao et al. 2023).
        seed: of the pools' draws.
        pool_draws: replaces the draws, for replaying another program's.

    Raises:
        UserError: unknown choice, or identity losses between domains with different channel counts.
    """

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
        update_order: str = "generators_first",
        seed: int = 0,
        pool_draws: PoolDraws | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if gan_mode not in GAN_MODES:
            raise UserError(
                f"gan_mode {gan_mode!r}: unknown choice; valid are {', '.join(GAN_MODES)}"
            )
        if update_order not in UPDATE_ORDERS:
            raise UserError(
                f"update_order {update_order!r}: unknown choice; valid are "
                f"{', '.join(UPDATE_ORDERS)}"
            )
        if lambda_identity and gen_ab.settings["in_channels"] != gen_ab.settings["out_channels"]:
            raise UserError(
                "lambda_identity: identity losses need domains of the same number of channels; "
                "set --lambda_identity=0"
            )
        self.gen_ab, self.gen_ba, self.disc_a, self.disc_b = gen_ab, gen_ba, disc_a, disc_b
        self.gan_mode, self.update_order = gan_mode, update_order
        self.lambda_gan, self.lambda_a, self.lambda_b, self.lambda_identity = (
            lambda_gan,
            lambda_a,
            lambda_b,
            lambda_identity,
        )
        self.segment, self.lambda_semantic, self.cycle_noise = segment, lambda_semantic, cycle_noise
        self.pool_size, self.ema_decay, self.seed = pool_size, ema_decay, seed
        # Keras does not look inside, so these stay out of the model's own weights
        self.averages = SimpleNamespace()
        if ema_decay:
            for name, generator in (("gen_ab", gen_ab), ("gen_ba", gen_ba)):
                average = type(generator).from_config(generator.get_config())
                average.set_weights(generator.get_weights())
                setattr(self.averages, name, average)
        self._pool_draws = pool_draws or self._stateless_draws
        self.pools_a: list[ImagePool] = []
        self.pools_b: list[ImagePool] = []
        self.step = self.add_weight(
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            name="step",
            aggregation="only_first_replica",
        )
        self.built = True

    @property
    def generator_variables(self) -> list[keras.Variable]:
        return self.gen_ab.trainable_variables + self.gen_ba.trainable_variables

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        return self.disc_a.trainable_variables + self.disc_b.trainable_variables

    @property
    def _statistics(self) -> list[keras.Variable]:
        """Batch norm's running means and variances, which move as a network computes."""
        networks = self.gen_ab, self.gen_ba, self.disc_a, self.disc_b
        return [
            variable
            for network in networks
            for variable in network.non_trainable_variables
            if "float" in variable.dtype
        ]

    def compile(
        self,
        generator_optimizer: Adam,
        discriminator_optimizer: Adam,
        *,
        jit_compile: bool = False,
        **kwargs: Any,
    ) -> None:
        """Takes one optimizer for both generators and one for both discriminators; call it in the
        strategy's scope.

        `jit_compile` has XLA compile the networks' passes and their gradients; pools and updates
        stay outside, so that replicas can meet between them.

        Raises:
            UserError: XLA with "discriminators_first", whose update stands in the middle of the
                generators' pass.
        """
        if jit_compile and self.update_order == "discriminators_first":
            raise UserError("update_order discriminators_first: does not go with XLA")
        self._run_generator_pass: Callable[..., Any] = self._generator_pass
        self._run_discriminator_pass: Callable[..., Any] = self._discriminator_pass
        if jit_compile:
            self._run_generator_pass = tf.function(
                self._generator_pass, autograph=False, jit_compile=True
            )
            self._run_discriminator_pass = tf.function(
                self._discriminator_pass, autograph=False, jit_compile=True
            )
        # Keras would compile the whole step
        super().compile(optimizer=None, jit_compile=False, **kwargs)
        self.generator_optimizer, self.discriminator_optimizer = (
            generator_optimizer,
            discriminator_optimizer,
        )
        generator_optimizer.build(self.generator_variables)
        discriminator_optimizer.build(self.discriminator_variables)

    def make_pools(self, shape_a: Sequence[int], shape_b: Sequence[int]) -> None:
        """Makes the image pools, one a domain and replica of this worker, each on its replica's
        device. Call it outside of any scope.

        Args:
            shape_a: (height, width, channels) of the images of domain a.
            shape_b: the same for b.
        """
        if not self.pool_size or self.pools_a:
            return
        if tf.distribute.has_strategy():
            raise UserError(
                "make_pools: call it outside of the strategy's scope, since each replica has "
                "pools of its own"
            )
        if None in (*shape_a, *shape_b):
            raise UserError(
                "the image pool needs images of one size; crop them, or set --pool_size=0"
            )
        kind = tf.as_dtype(self.gen_ab.variable_dtype)
        strategy = self.distribute_strategy
        for device in (
            strategy.extended.worker_devices if strategy.num_replicas_in_sync > 1 else ("",)
        ):
            with tf.device(device):
                self.pools_a = [*self.pools_a, ImagePool(self.pool_size, shape_a, kind)]
                self.pools_b = [*self.pools_b, ImagePool(self.pool_size, shape_b, kind)]

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        *args: Any,
        shuffle: bool = True,
        **kwargs: Any,
    ) -> Any:
        """`keras.Model.fit`; makes the pools first.

        Args:
            x: a `tf.data.Dataset` of (real_a, real_b) batches, or pictures of domain a, floats [N,
                H, W, C] in [-1, 1].
            y: pictures of domain b in the second case; the smaller domain is gone through more than
                once in an epoch.
            batch_size: of pictures of each domain; by default 1. A data set brings its own.
            args: further ones of `keras.Model.fit`.
            shuffle: whether pictures come in another order in each epoch, each domain by itself.
            kwargs: further ones of `keras.Model.fit`.

        Raises:
            UserError: anything else than these.
        """
        if isinstance(x, tf.data.Dataset):
            arrays.check_batches(x)
            batches, sizes = x, batch_size
        else:
            batches, sizes = (
                arrays.batches(
                    *arrays.pictures(x, y), batch_size or 1, seed=self.seed if shuffle else None
                ),
                None,
            )
            y = None
        spec_a, spec_b = batches.element_spec
        self.make_pools(spec_a.shape[1:], spec_b.shape[1:])
        return super().fit(batches, y, sizes, *args, shuffle=False, **kwargs)

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """`keras.Model.train_on_batch` of pictures of domain a and of domain b, floats [B, H, W, C]
        in [-1, 1]; makes the pools first.

        Raises:
            UserError: anything else than these.
        """
        real_a, real_b = arrays.pictures(x, y)
        self.make_pools(real_a.shape[1:], real_b.shape[1:])
        return super().train_on_batch(real_a, real_b, *args, **kwargs)

    def call(self, real_a: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Translates domain a to b."""
        return self.gen_ab(real_a, training=training)

    def train_step(self, data: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        """One update of all four networks from this replica's share of a batch.

        Args:
            data: real_a [B, H, W, C] and real_b, in [-1, 1]; and None, where Keras has a place for
                weights of samples.

        Returns:
            The values named by `REPORTED`: this replica's weighted losses, accuracies, and 1 in
                "skipped" if an update was
            left out because a loss or gradient was not finite.
        """
        real_a, real_b, *weights = data
        if any(weight is not None for weight in weights):
            raise UserError(
                "sample_weight, class_weight: a CycleGAN's losses have none; leave them out"
            )
        values: dict[str, tf.Tensor] = {}
        statistics = [(variable, tf.identity(variable.value)) for variable in self._statistics]
        moved: list[tf.Tensor] = []

        def update_discriminators(fake_a: tf.Tensor, fake_b: tf.Tensor) -> None:
            moved.append(self._update_discriminators(real_a, real_b, fake_a, fake_b, values))

        between = [update_discriminators] if self.update_order == "discriminators_first" else []
        fake_a, fake_b, losses, loss, gradients = self._run_generator_pass(real_a, real_b, *between)
        values |= losses
        moved.append(
            self.generator_optimizer.apply_if_finite(loss, gradients, self.generator_variables)
        )
        if self.update_order == "generators_first":
            update_discriminators(fake_a, fake_b)
        # the optimizers do not know them, and so cannot leave them as they were
        for variable, before in statistics:
            variable.assign(
                tf.where(tf.reduce_all(tf.math.is_finite(variable.value)), variable.value, before)
            )
        values["skipped"] = 1 - tf.cast(moved[0] & moved[1], tf.float32)
        if self.ema_decay:
            self._update_averages()
        self.step.assign_add(1)
        zero = tf.zeros([])
        return {
            name: tf.cast(
                values.get(name, zero), tf.float64 if loss.dtype == tf.float64 else tf.float32
            )
            for name in REPORTED
        }

    def _generator_pass(
        self,
        real_a: tf.Tensor,
        real_b: tf.Tensor,
        between: Callable[[tf.Tensor, tf.Tensor], None] | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor], tf.Tensor, list[tf.Tensor]]:
        """fake_a, fake_b, the generators' losses, their sum and its gradients; `between` is called
        with the fakes before the losses.

        The losses come in parts that share no activations, each with its own gradients, which are
        added up. A part waits for the gradients of the one before, so that memory holds the
        activations of two of the six passes at a time.
        """
        cycle_a = _Cycle("a", "ab", self.gen_ab, self.gen_ba, self.disc_b, self.lambda_a)
        cycle_b = _Cycle("b", "ba", self.gen_ba, self.gen_ab, self.disc_a, self.lambda_b)
        # `between` needs the fakes of both cycles before the losses of either. The last part has no
        # cycle: the identity losses.
        parts: list[tuple[_Cycle, ...]] = (
            [(cycle_a, cycle_b), ()] if between else [(cycle_a,), (cycle_b,), ()]
        )
        variables = [variable.value for variable in self.generator_variables]
        gradients: list[tf.Tensor | None] = [None] * len(variables)
        fakes: dict[str, tf.Tensor] = {}
        losses: dict[str, tf.Tensor] = {}
        for cycles in parts:
            with tf.control_dependencies(
                [gradient for gradient in gradients if gradient is not None]
            ):
                reals = {"a": tf.identity(real_a), "b": tf.identity(real_b)}
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                for cycle in cycles:
                    fakes[cycle.direction] = cycle.there(reals[cycle.domain], training=True)
                if between and cycles:
                    with tape.stop_recording():
                        between(fakes["ba"], fakes["ab"])
                part = {} if cycles else self._identity_losses(reals["a"], reals["b"])
                for cycle in cycles:
                    part |= self._cycle_losses(cycle, reals[cycle.domain], fakes[cycle.direction])
                if not part:
                    continue
                objective = self.generator_optimizer.scale_loss(
                    tf.add_n(list(part.values())) / self._replicas()
                )
            losses |= part
            gradients = [
                _sum(*both)
                for both in zip(gradients, tape.gradient(objective, variables), strict=True)
            ]
        return fakes["ba"], fakes["ab"], losses, tf.add_n(list(losses.values())), gradients

    def _cycle_losses(
        self, cycle: _Cycle, real: tf.Tensor, fake: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What a cycle's fakes are judged by. Both generators are reached: no gradient is stopped
        on the way (Eq. 2).
        """
        losses = {}
        if self.lambda_gan:
            losses[f"gan_{cycle.direction}"] = self.lambda_gan * generator_loss(
                self.gan_mode, cycle.judge(fake, training=True)
            )
        if cycle.weight:
            cycled = cycle.back(self._noisy(fake, "ab".index(cycle.domain)), training=True)
            losses[f"cycle_{cycle.domain}"] = cycle.weight * absolute_error(cycled, real)
        if self.segment is not None and self.lambda_semantic:
            losses[f"semantic_{cycle.domain}"] = self.lambda_semantic * semantic_loss(
                self.segment(fake), self.segment(real)
            )
        return losses

    def _identity_losses(self, real_a: tf.Tensor, real_b: tf.Tensor) -> dict[str, tf.Tensor]:
        """A generator given an image of its target domain should leave it as it is; weighted by
        that domain's cycle.
        """
        if not self.lambda_identity:
            return {}
        return {
            "identity_a": self.lambda_a
            * self.lambda_identity
            * absolute_error(self.gen_ba(real_a, training=True), real_a),
            "identity_b": self.lambda_b
            * self.lambda_identity
            * absolute_error(self.gen_ab(real_b, training=True), real_b),
        }

    def _noisy(self, fake: tf.Tensor, cycle: int) -> tf.Tensor:
        if not self.cycle_noise:
            return fake
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        stream = tf.stack(
            [tf.constant(self.seed, tf.int64) * 2 + cycle, tf.cast(replica, tf.int64) + _NOISE]
        )
        seed = tf.random.experimental.stateless_fold_in(stream, self.step.value)
        return fake + tf.cast(
            tf.random.stateless_normal(tf.shape(fake), seed, stddev=self.cycle_noise), fake.dtype
        )

    def _update_discriminators(
        self,
        real_a: tf.Tensor,
        real_b: tf.Tensor,
        fake_a: tf.Tensor,
        fake_b: tf.Tensor,
        values: dict[str, tf.Tensor],
    ) -> tf.Tensor:
        """Updates both discriminators on fakes from before the generators' update; returns whether
        it did.
        """
        fake_a = self._pooled(self.pools_a, 0, tf.stop_gradient(at_least_float32(fake_a)))
        fake_b = self._pooled(self.pools_b, 1, tf.stop_gradient(at_least_float32(fake_b)))
        judged, loss, gradients = self._run_discriminator_pass(real_a, real_b, fake_a, fake_b)
        values |= judged
        return self.discriminator_optimizer.apply_if_finite(
            loss, gradients, self.discriminator_variables
        )

    def _discriminator_pass(
        self, real_a: tf.Tensor, real_b: tf.Tensor, fake_a: tf.Tensor, fake_b: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor, list[tf.Tensor]]:
        """The discriminators' losses and accuracies by name, the sum of the losses and its
        gradients.
        """
        values = {}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in self.discriminator_variables])
            for domain, network, real, fake in (
                ("a", self.disc_a, real_a, fake_a),
                ("b", self.disc_b, real_b, fake_b),
            ):
                scores = network(real, training=True), network(fake, training=True)
                values[f"disc_{domain}"] = discriminator_loss(self.gan_mode, *scores)
                values[f"accuracy_disc_{domain}"] = discriminator_accuracy(self.gan_mode, *scores)
            loss = values["disc_a"] + values["disc_b"]
            objective = self.discriminator_optimizer.scale_loss(loss / self._replicas())
        return (
            values,
            loss,
            tape.gradient(objective, [variable.value for variable in self.discriminator_variables]),
        )

    def _update_averages(self) -> None:
        means = [*self.averages.gen_ab.weights, *self.averages.gen_ba.weights]
        ema.update(
            means, [*self.gen_ab.weights, *self.gen_ba.weights], self.step.value, self.ema_decay
        )

    def _replicas(self) -> int:
        """Gradients are summed over replicas, so each replica's loss is divided by this to give the
        batch's mean.
        """
        return tf.distribute.get_strategy().num_replicas_in_sync

    def _pooled(self, pools: list[ImagePool], domain: int, fakes: tf.Tensor) -> tf.Tensor:
        if not self.pool_size:
            return fakes
        if not pools:
            raise UserError(
                "the image pools do not exist yet: call make_pools before the first step"
            )
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        batch = tf.shape(fakes)[0] if fakes.shape[0] is None else fakes.shape[0]
        chances, slots = self._pool_draws(self.step.value, domain, replica, batch)
        if len(pools) == 1:
            return pools[0].query(fakes, chances, slots)
        # Each replica is traced by itself with its id known, so that it holds its own pool's
        # variables alone. Ids go through all workers, each of which has as many replicas.
        return pools[int(tf.get_static_value(replica)) % len(pools)].query(fakes, chances, slots)

    def _stateless_draws(
        self, step: tf.Tensor, domain: int, replica: tf.Tensor, batch: int | tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws that follow from (seed, step, domain, replica) alone, so that a resumed run makes
        the same ones.
        """
        stream = tf.stack(
            [tf.constant(self.seed, tf.int64) * 2 + domain, tf.cast(replica, tf.int64)]
        )
        seed = tf.random.experimental.stateless_fold_in(stream, step)
        chances, positions = tf.unstack(tf.random.stateless_uniform([2, batch], seed))
        return chances, tf.cast(positions * self.pool_size, tf.int64)


def _sum(one: tf.Tensor | None, other: tf.Tensor | None) -> tf.Tensor | None:
    return other if one is None else one if other is None else one + other
