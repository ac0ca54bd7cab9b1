"""Distillation: a small generator learns from a trained one, without pairs (Li et al. 2020, "GAN
Compression", Eq. 3, with a discriminator that keeps learning as in Ren et al. 2021).

| here           | Li et al. 2020 |
| -------------- | -------------- |
| gen_DIRECTION  | student G      |
| teachers       | teacher G'     |
| adapter_DIRECTION | f_t, 1x1 convolutions |
| output_DIRECTION | L_recon, the teacher's output in place of the truth |
| feature_DIRECTION | L_distill    |
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.config import TrainConfig
from tfcyclegan.errors import UserError
from tfcyclegan.losses import absolute_error, at_least_float32, generator_loss
from tfcyclegan.methods.base import JUDGED, Method
from tfcyclegan.methods.gradient_parts import GradientParts, Losses
from tfcyclegan.methods.masking import at_size, measured
from tfcyclegan.networks import Generator
from tfcyclegan.networks.layers import name_and_dtype

MATCHED = 3
"""Number of compared feature maps inside the networks: outputs of residual blocks, evenly
spaced.
"""


@keras.saving.register_keras_serializable("tfcyclegan")
class FeatureAdapter(keras.Model):
    """1x1 convolutions from a student's feature maps to the widths of its teacher's.

    Args:
        channels: numbers of channels of the student's maps.
        targets: numbers of channels of the teacher's maps, in the same order.
        seed: makes the initial weights reproducible.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        targets: Sequence[int],
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.settings = {"channels": list(channels), "targets": list(targets), "seed": seed}
        self.convolutions = [
            keras.layers.Conv2D(
                target,
                1,
                kernel_initializer=keras.initializers.GlorotUniform(
                    None if seed is None else seed + index
                ),
                dtype=self.dtype_policy,
            )
            for index, target in enumerate(targets)
        ]
        for layer, source in zip(self.convolutions, channels, strict=True):
            layer.build((None, None, None, source))
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**self.settings, **name_and_dtype(self)}

    def call(self, features: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return [layer(x) for layer, x in zip(self.convolutions, features, strict=True)]


class Distillation(Method):
    """Students that learn their teachers' translations and feature maps, and to fool discriminators
    that start as copies of the teachers'.

    Args:
        teachers: frozen generators by direction.
        networks: `gen_D` and `adapter_D` of each direction D of `teachers`, and `disc_T` of each
            target domain T.
        lambda_gan: weight of the adversarial losses.
        lambda_output: weight of the mean absolute difference from the teacher's output.
        lambda_feature: weight of the mean squared difference from its feature maps; 0 leaves them
            out.
        gan_mode, pool_size, ema_decay, seed, kwargs: see `Method`.

    Raises:
        UserError: a student's numbers of channels differ from its teacher's.
    """

    run_options = ("lambda_gan", "lambda_output", "lambda_feature")

    def __init__(
        self,
        teachers: Mapping[str, Generator],
        networks: Mapping[str, keras.Model],
        *,
        gan_mode: str = "lsgan",
        lambda_gan: float = 1.0,
        lambda_output: float = 10.0,
        lambda_feature: float = 1.0,
        pool_size: int = 50,
        ema_decay: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        kinds = ("gan", "output", "feature")
        self.loss_names = (
            *(f"{kind}_{direction}" for kind in kinds for direction in teachers),
            *(f"disc_{direction[1]}" for direction in teachers),
        )
        shared: dict[str, Any] = {"pool_size": pool_size, "ema_decay": ema_decay, "seed": seed}
        super().__init__(networks, gan_mode=gan_mode, **shared, **kwargs)
        # Keras does not look into a proxy, so that the teachers are not among the model's weights.
        self.teachers: Mapping[str, Generator] = MappingProxyType(dict(teachers))
        self.lambda_gan, self.lambda_output = lambda_gan, lambda_output
        self.lambda_feature = lambda_feature
        for direction, teacher in teachers.items():
            for side in ("in_channels", "out_channels"):
                own = self.generators[direction].settings[side]
                if own != teacher.settings[side]:
                    raise UserError(
                        f"gen_{direction}: has {own} {side.replace('_', ' ')}, its teacher "
                        f"{teacher.settings[side]}"
                    )

    @classmethod
    def network_names_of(cls, config: TrainConfig) -> tuple[str, ...]:
        """The networks without the adapters, which are made once the teachers are known."""
        directions = config.student_directions
        return (
            *(f"gen_{direction}" for direction in directions),
            *(f"disc_{direction[1]}" for direction in directions),
        )

    def learn(self, real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[Losses, list[tf.Tensor]]:
        """Students first, then the discriminators on fakes from before that update."""
        fakes, losses, loss, gradients = self.run_generator_pass(real_a, real_b)
        students_moved = self.update_generators(loss, gradients)
        reals = self.judged_reals(real_a, real_b)
        targets = {domain: reals[domain] for domain in fakes}
        judged, discriminators_moved = self.update_discriminators(targets, fakes)
        return losses | judged, [students_moved, discriminators_moved]

    def generator_pass(
        self, real_a: tf.Tensor, real_b: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], Losses, tf.Tensor, list[tf.Tensor]]:
        """The objective of all students, one part per direction, since directions share no
        activations.

        Returns:
            The fakes by domain, the losses by name, their sum and its gradients.
        """
        parts = GradientParts(self.generator_variables, self.generator_optimizer.scale_loss)
        reals, fakes = {"a": real_a, "b": real_b}, {}
        for direction in self.directions:
            fakes[direction[1]] = parts.add(
                lambda *both, direction=direction: self.distilled(direction, *both),
                *(reals[domain] for domain in direction),
            )
        return fakes, parts.losses, parts.loss, parts.gradients

    def distilled(
        self, direction: str, real: tf.Tensor, target: tf.Tensor
    ) -> tuple[tf.Tensor, Losses]:
        """A student's fake as its discriminator sees it, and its losses (Li et al. 2020, Eq. 3).

        Args:
            direction: the student's direction.
            real: the pictures to translate.
            target: the pictures shown with the fake; only their missing pixels matter.
        """
        student, teacher = self.generators[direction], self.teachers[direction]
        losses: Losses = {}
        given = self.filled(real)
        if self.lambda_feature:
            own, theirs = matched_blocks(student), matched_blocks(teacher)
            fake, features = student.with_features(given, own, training=True)
            wanted, targets = teacher.with_features(given, theirs)
            adapted = getattr(self, f"adapter_{direction}")(features)
            losses[f"feature_{direction}"] = self.lambda_feature * tf.add_n(
                [
                    tf.reduce_mean(tf.square(self._measured_part(at_least_float32(x) - y, real)))
                    for x, y in zip(adapted, map(at_least_float32, targets), strict=True)
                ]
            )
        else:
            fake, wanted = student(given, training=True), teacher(given)
        fake, wanted = self.masked(fake, real), self.masked(wanted, real)
        losses[f"output_{direction}"] = self.lambda_output * absolute_error(fake, wanted)
        domain, judged = direction[1], self.masked(fake, real, target)
        if self.lambda_gan:
            shown = self.as_shown(judged, domain, JUDGED)
            scores = self.discriminators[domain](shown, training=True)
            losses[f"gan_{direction}"] = self.lambda_gan * generator_loss(self.gan_mode, scores)
        return judged, losses

    def _measured_part(self, difference: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
        """Sets positions of a feature map without a measurement to 0."""
        if not self.gaps:
            return difference
        places = at_size(measured(real), *tf.unstack(tf.shape(difference)[1:3]))
        return tf.where(places, difference, tf.zeros_like(difference))


def matched_blocks(generator: Generator) -> list[int]:
    """The indices of the feature maps that are compared: MATCHED outputs of residual blocks, evenly
    spaced and ending with the last; fewer if there are fewer blocks.
    """
    places = generator.block_outputs()
    shares = ((index + 1) / MATCHED for index in range(MATCHED))
    return sorted({places[max(0, round(share * len(places)) - 1)] for share in shares})


def adapter_settings(student: Generator, teacher: Generator) -> dict[str, Any]:
    """Arguments of the `FeatureAdapter` between two generators.

    Raises:
        UserError: one of them has no residual blocks, or the student too few.
    """
    own, theirs = matched_blocks(student), matched_blocks(teacher)
    if len(own) != len(theirs):
        raise UserError(
            f"--residual_blocks={len(student.block_outputs())}: the teacher's {MATCHED} matched "
            f"maps need {MATCHED} blocks or more; give more, or --lambda_feature=0"
        )
    return {
        "channels": student.feature_channels(own),
        "targets": teacher.feature_channels(theirs),
    }
