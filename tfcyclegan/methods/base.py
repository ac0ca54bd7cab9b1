"""The base of all training methods: networks by name, two optimizers, pools, running means of
weights, skipped steps, and the values that a step reports.

A method is a subclass that defines its losses (`learn`); training, checkpoints, pages, translation
and exports ask it which networks and directions it has.
"""

import functools
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfcyclegan.config import GAN_MODES, TrainConfig
from tfcyclegan.errors import UserError
from tfcyclegan.losses import (
    at_least_float32,
    discriminator_accuracy,
    discriminator_loss,
)
from tfcyclegan.methods import masking
from tfcyclegan.methods.accumulation import Accumulation
from tfcyclegan.methods.gradient_parts import GradientParts, Losses, replicas
from tfcyclegan.methods.image_pool import ImagePool, pool_of_this_replica, replica_pools
from tfcyclegan.methods.keras_habits import KerasHabits
from tfcyclegan.methods.paired_term import ByReplica, paired_losses
from tfcyclegan.networks import Discriminator, Generator
from tfcyclegan.networks.diffaugment import diffaugment
from tfcyclegan.networks.fading_blur import fading
from tfcyclegan.optimization import ema
from tfcyclegan.optimization.adam import Adam, checked

DOMAINS = "ab"
# What a discriminator sees in a step: a real or a fake picture for its own update, a fake one for
# the generators'. Each has its own stream of random numbers, see `Method.draws_from`.
REAL, FAKE, JUDGED = (number << 20 for number in (2, 3, 4))

_SHARED_OPTIONS = ("gan_mode", "pool_size", "ema_decay", "seed")

# (step, domain 0 = a or 1 = b, replica, batch size) -> uniform draws [B] and slots [B] of
# `ImagePool.query`.
PoolDraws = Callable[[tf.Tensor, int, tf.Tensor, int | tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Method(KerasHabits):
    """Generators that learn against discriminators, one step at a time.

    Args:
        networks: all networks by name, in the order in which they are reported: a generator is
            called `gen_DIRECTION` ("gen_ab" translates domain a to b), a discriminator
            `disc_DOMAIN` ("disc_b" judges pictures of domain b); any other one learns with the
            generators. Each is an attribute of that name.
        gan_mode: see `losses.generator_loss`.
        pool_size: pictures that the pool of a domain keeps; 0 shows the discriminators each fresh
            fake.
        ema_decay: if above 0, `averages` follow the generators by a running mean with this decay
            (at most (1 + step) / (10 + step), so that the first weights are soon forgotten). Not in
            the papers.
        seed: of all random numbers of a step.
        pool_draws: replaces the draws of the pools, for replaying another program's.
        lambda_paired: weight of the L1 between the translation of a picture and its partner, on
            known pairs beside each batch (as in Isola et al. 2017, Eq. 3); 0 takes no pairs.
        diffaugment: augmentations of all pictures that the discriminators see, see
            `networks.diffaugment`; none by default.
        discriminator_blur: standard deviation in pixels of a blur of the same pictures, which fades
            out over `discriminator_blur_steps`, see `networks.fading_blur`; 0 for none.
        gaps: whether pictures may have pixels without a measurement, NaN, see `methods.masking`.

    Attributes:
        loss_names: the losses that a step reports, in order; they carry their weights.
        reported: all values that a step reports: losses, accuracies, "skipped".
        directions: the translations that are learned, such as ("ab", "ba").
        averages: the generators' running means by name.
        pools: by domain with a discriminator of pictures, one pool for each replica of this worker.
        step: number of updates done.

    Raises:
        UserError: unknown choice.
    """

    loss_names: tuple[str, ...]
    needs_updated_discriminators: ClassVar[bool] = False
    """Whether the generators' losses wait for the discriminators' update, which XLA cannot compile
    inside a pass.
    """
    judges_fakes_first: ClassVar[bool] = False
    """Whether a discriminator sees fakes before real pictures in its update."""
    takes_pairs: ClassVar[bool] = False
    """Whether all batches must be pairs; otherwise they are unpaired."""
    run_networks: ClassVar[tuple[str, ...]] = ()
    """The networks of every run, in their order."""
    run_options: ClassVar[tuple[str, ...]] = ()
    """Options of a run that are arguments of the same names, in addition to those of all
    methods.
    """

    def __init__(
        self,
        networks: Mapping[str, keras.Model],
        *,
        gan_mode: str,
        pool_size: int,
        ema_decay: float,
        seed: int,
        pool_draws: PoolDraws | None = None,
        lambda_paired: float = 0.0,
        diffaugment: Sequence[str] = (),
        discriminator_blur: float = 0.0,
        discriminator_blur_steps: int = 1000,
        gaps: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if gan_mode not in GAN_MODES:
            raise UserError(
                f"gan_mode {gan_mode!r}: unknown choice; valid are {', '.join(GAN_MODES)}"
            )
        for name, network in networks.items():
            setattr(self, name, network)
        self.network_names = tuple(networks)
        self.gan_mode, self.pool_size, self.ema_decay = gan_mode, pool_size, ema_decay
        self.seed, self._pool_draws = seed, pool_draws or self._stateless_draws
        self.lambda_paired, self.diffaugment = lambda_paired, tuple(diffaugment)
        self.discriminator_blur = discriminator_blur
        self.discriminator_blur_steps = discriminator_blur_steps
        self.gaps = gaps
        if lambda_paired:
            paired = (f"paired_{direction}" for direction in self.directions)
            self.loss_names = (*self.loss_names, *paired)
        self._beside = ByReplica()
        self._accumulation: Accumulation | None = None
        # Keras does not look into a proxy, so its contents are not among the model's own weights.
        copies = {name: _copy(network) for name, network in self._of("gen_").items() if ema_decay}
        self.averages: Mapping[str, Generator] = MappingProxyType(copies)
        self.pools: Mapping[str, list[ImagePool]] = MappingProxyType(
            {domain: [] for domain in self.discriminators if domain in DOMAINS}
        )
        self.step = self.add_weight(
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            name="step",
            aggregation="only_first_replica",
        )
        self.built = True

    @classmethod
    def network_names_of(cls, config: TrainConfig) -> tuple[str, ...]:
        """The names of the networks that a run with these options has."""
        return cls.run_networks

    @classmethod
    def arguments_of(cls, config: TrainConfig) -> dict[str, Any]:
        """The constructor's arguments besides the networks."""
        return {name: getattr(config, name) for name in (*_SHARED_OPTIONS, *cls.run_options)}

    @abstractmethod
    def learn(self, real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[Losses, list[tf.Tensor]]:
        """One update of all networks; the method's own part of `train_step`.

        Args:
            real_a: [B, H, W, C] in [-1, 1]; with `gaps` it may hold NaN.
            real_b: the same of domain b.

        Returns:
            The losses and accuracies by name, and what each optimizer's `apply_if_finite` returned.
        """

    @property
    def networks(self) -> dict[str, keras.Model]:
        return {name: getattr(self, name) for name in self.network_names}

    @property
    def generators(self) -> dict[str, Generator]:
        """Generators by direction."""
        return {name.removeprefix("gen_"): network for name, network in self._of("gen_").items()}

    @property
    def discriminators(self) -> dict[str, Discriminator]:
        """Discriminators by domain."""
        return {name.removeprefix("disc_"): network for name, network in self._of("disc_").items()}

    @property
    def directions(self) -> tuple[str, ...]:
        return tuple(self.generators)

    @property
    def reported(self) -> tuple[str, ...]:
        accuracies = (f"accuracy_disc_{domain}" for domain in self.discriminators)
        return (*self.loss_names, *accuracies, "skipped")

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """The variables of the generators' optimizer: all but the discriminators'."""
        return _trainable(n for name, n in self.networks.items() if not name.startswith("disc_"))

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        return _trainable(self.discriminators.values())

    def note(self, means: Mapping[str, float]) -> str:
        """The note on the progress line: the generators' losses by kind, over all directions."""
        kinds = sorted({n.partition("_")[0] for n in self.loss_names if not n.startswith("disc_")})
        sums = {
            kind: sum(value for name, value in means.items() if name.partition("_")[0] == kind)
            for kind in kinds
        }
        return " ".join(f"{kind} {value:.3f}" for kind, value in sums.items() if value)

    def generator(self, direction: str) -> Generator:
        """The generator to use: its running mean if there is one."""
        return self.averages.get(f"gen_{direction}", self.generators[direction])

    def filled(self, real: tf.Tensor) -> tf.Tensor:
        """Real pictures as networks see them, see `masking.filled`."""
        return masking.filled(real) if self.gaps else real

    def masked(self, pictures: tf.Tensor, *reals: tf.Tensor) -> tf.Tensor:
        """Pictures as losses and discriminators see them, see `masking.masked`."""
        return masking.masked(pictures, *reals) if self.gaps else pictures

    def judged_reals(self, real_a: tf.Tensor, real_b: tf.Tensor) -> dict[str, tf.Tensor]:
        """Real pictures as discriminators see them, by domain: with the missing pixels of both,
        like the fakes that accompany them.
        """
        if not self.gaps:
            return {"a": real_a, "b": real_b}
        return {
            "a": self.masked(self.filled(real_a), real_a, real_b),
            "b": self.masked(self.filled(real_b), real_b, real_a),
        }

    def _of(self, kind: str) -> dict[str, Any]:
        return {name: n for name, n in self.networks.items() if name.startswith(kind)}

    def compile(  # type: ignore[override]
        self,
        generator_optimizer: Adam,
        discriminator_optimizer: Adam,
        *,
        jit_compile: bool = False,
        accumulate_steps: int = 1,
        **kwargs: Any,
    ) -> None:
        """Takes one optimizer for all generators and one for all discriminators; call it in the
        strategy's scope.

        `jit_compile` has XLA compile the networks' passes and their gradients; pools and updates
        stay outside, so that replicas can meet between them. `accumulate_steps` runs the passes in
        that many small batches, see `accumulation`.

        Raises:
            UserError: XLA or small batches where a pass waits for an update; both at once; batch
                norm in small batches; another optimizer.
        """
        for flag, given in (("xla", jit_compile), ("accumulate_steps", accumulate_steps > 1)):
            if given and self.needs_updated_discriminators:
                told = "not with a method that updates its discriminators first"
                raise UserError(f"{flag}: {told}; leave --{flag} out")
        if jit_compile and accumulate_steps > 1:
            raise UserError("xla: not with accumulate_steps")
        small = Accumulation(self, accumulate_steps) if accumulate_steps > 1 else None
        self._accumulation, passes = small, small or self
        self.run_generator_pass: Callable[..., Any] = passes.generator_pass
        self.run_discriminator_pass: Callable[..., Any] = passes.discriminator_pass
        self.run_paired_pass: Callable[..., Any] = passes.paired_pass
        if jit_compile:
            for name in ("paired_pass", "generator_pass", "discriminator_pass"):
                compiled = tf.function(getattr(self, name), autograph=False, jit_compile=True)
                setattr(self, f"run_{name}", compiled)
        # Keras would compile the whole step.
        super().compile(optimizer=None, jit_compile=False, **kwargs)
        self.generator_optimizer = checked(generator_optimizer)
        self.discriminator_optimizer = checked(discriminator_optimizer)
        for optimizer in (generator_optimizer, discriminator_optimizer):
            optimizer.small_batches = accumulate_steps
        generator_optimizer.build(self.generator_variables)
        discriminator_optimizer.build(self.discriminator_variables)

    def make_pools(self, shape_a: Sequence[int], shape_b: Sequence[int]) -> None:
        """Makes the image pools, one for each domain and replica of this worker, on the replica's
        device. Call it outside of any strategy's scope.

        Args:
            shape_a: (height, width, channels) of the images of domain a.
            shape_b: the same for b.
        """
        if not self.pool_size or any(self.pools.values()):
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
        kind = tf.as_dtype(next(iter(self.networks.values())).variable_dtype)
        shapes = dict(zip(DOMAINS, (shape_a, shape_b), strict=True))
        for domain, pools in self.pools.items():
            pools += replica_pools(self.distribute_strategy, self.pool_size, shapes[domain], kind)

    def call(self, real_a: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Translates by the first direction, domain a to b."""
        return self.generators[self.directions[0]](self.filled(real_a), training=training)

    def train_step(self, data: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        """One update of all networks from this replica's share of a batch.

        Args:
            data: real_a [B, H, W, C] and real_b, in [-1, 1]; with `lambda_paired` followed by known
                pairs, paired_a and paired_b; and None in Keras' place for sample weights.

        Returns:
            The values named by `reported`: this replica's weighted losses, accuracies, and 1 in
            "skipped" if an update was skipped because a loss or gradient was not finite.
        """
        real_a, real_b, *others = data
        pairs, weights = (others[:2], others[2:]) if self.lambda_paired else ([], others)
        if self.lambda_paired and (len(pairs) < 2 or None in pairs):
            raise UserError("lambda_paired: batches must be (real_a, real_b, paired_a, paired_b)")
        if any(weight is not None for weight in weights):
            raise UserError("sample_weight, class_weight: these losses have none; leave them out")
        for network in self.discriminators.values():
            network.move_singular_vectors()
        statistics = [(variable, tf.identity(variable.value)) for variable in self._statistics]
        paired: Losses = {}
        if self.lambda_paired:
            paired, gradients = self.run_paired_pass(*pairs)
            self._beside.keep(paired, gradients)
            # so that memory holds the activations of one pass at a time
            with tf.control_dependencies([each for each in gradients if each is not None]):
                real_a, real_b = tf.identity(real_a), tf.identity(real_b)
        values, moved = self.learn(real_a, real_b)
        values = values | paired
        # The optimizers do not update the statistics, so they cannot keep them unchanged.
        for variable, before in statistics:
            finite = tf.reduce_all(tf.math.is_finite(variable.value))
            variable.assign(tf.where(finite, variable.value, before))
        values["skipped"] = 1 - tf.cast(tf.reduce_all(tf.stack(moved)), tf.float32)
        if self.averages:
            weights = [weight for name in self.averages for weight in getattr(self, name).weights]
            ema.update(self.means, weights, self.step.value, self.ema_decay)
        self.step.assign_add(1)
        kind, zero = self._kind, tf.zeros([])
        return {name: tf.cast(values.get(name, zero), kind) for name in self.reported}

    def paired_pass(
        self, paired_a: tf.Tensor, paired_b: tf.Tensor
    ) -> tuple[Losses, list[tf.Tensor | None]]:
        """The L1 of known pairs, in all directions, and the gradients of their sum for
        `generator_variables`.
        """
        parts = GradientParts(self.generator_variables, self.generator_optimizer.scale_loss)
        term = functools.partial(paired_losses, self.lambda_paired, self.generators, self.gaps)
        parts.add(lambda *pairs: (None, term(*pairs)), paired_a, paired_b)
        return parts.losses, parts.gradients

    def generator_pass(self, real_a: tf.Tensor, real_b: tf.Tensor) -> Any:
        """The generators' losses and gradients, as far as XLA may compile them in one."""
        raise NotImplementedError

    def discriminator_pass(
        self, reals: Mapping[str, tf.Tensor], fakes: Mapping[str, tf.Tensor]
    ) -> tuple[Losses, tf.Tensor, list[tf.Tensor]]:
        """The losses of all discriminators (Zhu et al. 2017, Eq. 1, their side).

        Args:
            reals: by domain, the pictures that its discriminator should call real, [B, H, W, C].
            fakes: by domain, those that it should call fake.

        Returns:
            Losses and accuracies by name, the sum of the losses and its gradients.
        """
        variables = [variable.value for variable in self.discriminator_variables]
        values = {}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            turn = -1 if self.judges_fakes_first else 1
            for domain, judge in self.discriminators.items():
                real = self.as_shown(reals[domain], domain, REAL)
                fake = self.as_shown(fakes[domain], domain, FAKE)
                # The order only affects batch norm's running statistics.
                shown = (real, fake)[::turn]
                scores = [judge(pictures, training=True) for pictures in shown][::turn]
                values[f"disc_{domain}"] = discriminator_loss(self.gan_mode, *scores)
                values[f"accuracy_disc_{domain}"] = discriminator_accuracy(self.gan_mode, *scores)
            loss = tf.add_n([values[f"disc_{domain}"] for domain in self.discriminators])
            objective = self.discriminator_optimizer.scale_loss(loss / replicas())
        return values, loss, tape.gradient(objective, variables)

    def as_shown(self, pictures: tf.Tensor, domain: str, purpose: int) -> tf.Tensor:
        """Pictures as the discriminator of `domain` sees them; everything that a method shows it
        passes through here.

        Args:
            pictures: [B, H, W, C] in [-1, 1].
            domain: "a" or "b"; what else a method judges is no picture, and stays as it is.
            purpose: REAL, FAKE or JUDGED: each has draws of its own in a step.
        """
        if domain not in DOMAINS:
            return pictures
        if sigma := self.discriminator_blur:
            over, step = self.discriminator_blur_steps, self.step.value
            pictures = fading(at_least_float32(pictures), step, sigma=sigma, steps=over)
        if self.diffaugment:
            seed = self.draws_from(DOMAINS.index(domain), purpose)
            pictures = diffaugment(at_least_float32(pictures), self.diffaugment, seed)
        return pictures

    def update_generators(self, loss: tf.Tensor, gradients: list[tf.Tensor | None]) -> tf.Tensor:
        """Updates all but the discriminators by the gradients of `loss`, and by those of the known
        pairs; returns whether it did, see `Adam.apply_if_finite`.
        """
        if self.lambda_paired:
            loss, gradients = self._beside.added(loss, gradients)
        return self.generator_optimizer.apply_if_finite(loss, gradients, self.generator_variables)

    def update_discriminators(
        self, reals: Mapping[str, tf.Tensor], fakes: Mapping[str, tf.Tensor]
    ) -> tuple[Losses, tf.Tensor]:
        """Updates all discriminators on pictures out of the pools.

        Args:
            reals: by domain.
            fakes: by domain, as the generators made them; no gradient goes back to them.

        Returns:
            Losses and accuracies by name, and whether the update was done.
        """
        shown = {
            domain: self._pooled(domain, tf.stop_gradient(at_least_float32(fake)))
            for domain, fake in fakes.items()
        }
        values, loss, gradients = self.run_discriminator_pass(reals, shown)
        variables = self.discriminator_variables
        return values, self.discriminator_optimizer.apply_if_finite(loss, gradients, variables)

    def draws_from(self, stream: int, purpose: int = 0) -> tf.Tensor:
        """A seed [2] of stateless draws that follow from (seed, step, replica) alone, so that a
        resumed run makes the same ones.

        Args:
            stream: 0 or 1, such as the domain.
            purpose: keeps draws for different things apart, a multiple of 2^20.
        """
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = self._stream(self.step.value, stream, tf.cast(replica, tf.int64) + purpose)
        return self._accumulation.seed(seed) if self._accumulation else seed

    def _stream(self, step: tf.Tensor, stream: int, replica: tf.Tensor) -> tf.Tensor:
        key = tf.stack([tf.constant(self.seed, tf.int64) * 2 + stream, tf.cast(replica, tf.int64)])
        return tf.random.experimental.stateless_fold_in(key, step)

    def _stateless_draws(
        self, step: tf.Tensor, domain: int, replica: tf.Tensor, batch: int | tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        uniform = tf.random.stateless_uniform([2, batch], self._stream(step, domain, replica))
        chances, positions = tf.unstack(uniform)
        return chances, tf.cast(positions * self.pool_size, tf.int64)

    def _pooled(self, domain: str, fakes: tf.Tensor) -> tf.Tensor:
        if not self.pool_size or domain not in self.pools:
            return fakes
        pools = self.pools[domain]
        if not pools:
            raise UserError(
                "the image pools do not exist yet: call make_pools before the first step"
            )
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        batch = tf.shape(fakes)[0] if fakes.shape[0] is None else fakes.shape[0]
        draws = self._pool_draws(self.step.value, DOMAINS.index(domain), replica, batch)
        return pool_of_this_replica(pools, replica).query(fakes, *draws)

    @property
    def _statistics(self) -> list[keras.Variable]:
        """Batch norm's running means and variances, which a forward pass updates."""
        kept = [v for network in self.networks.values() for v in network.non_trainable_variables]
        return [variable for variable in kept if "float" in variable.dtype]

    @property
    def _kind(self) -> tf.DType:
        """The type of reported values."""
        stored = next(iter(self.networks.values())).variable_dtype
        return tf.float64 if stored == "float64" else tf.float32


def _copy(network: Generator) -> Generator:
    copy = type(network).from_config(network.get_config())
    copy.set_weights(network.get_weights())
    return copy


def _trainable(networks: Iterable[keras.Model]) -> list[keras.Variable]:
    return [variable for network in networks for variable in network.trainable_variables]
