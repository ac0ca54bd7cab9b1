"""Adam exactly as PyTorch computes it, which can skip a step that would break the weights."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError

_INITIAL_SCALE = 2.0**13
_STEPS_BEFORE_GROWTH = 2000
SCALE_VARIABLES = 2
"""How many variables, the last ones, an optimizer with a dynamic scale has for it."""
_REFUSED = {"clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps"}


@keras.saving.register_keras_serializable("tfcyclegan")
class Adam(keras.optimizers.Optimizer):
    """Adam (Kingma and Ba 2015) with PyTorch's epsilon, and exact betas in float64.

    Keras' own rounds 0.999 to float32 (0.99900001287) and adds epsilon before the bias correction.

    Args:
        learning_rate: a number or a schedule.
        beta_1: decay of the first moment; 0.5 in CycleGAN.
        beta_2: decay of the second moment.
        epsilon: added to the root of the corrected second moment.
        dynamic_scale: scale the loss for float16: halved when gradients overflow, doubled after
            2000 good steps.

    Raises:
        UserError: gradient clipping or accumulation is requested, which would not apply to the
            whole batch's gradient.

    Attributes:
        small_batches: how many gradients are summed before an update.
    """

    def __init__(
        self,
        learning_rate: Any = 2e-4,
        beta_1: float = 0.5,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        dynamic_scale: bool = False,
        name: str = "adam",
        **kwargs: Any,
    ):
        refused = sorted(
            _REFUSED & {option for option, value in kwargs.items() if value is not None}
        )
        if refused:
            raise UserError(
                f"{', '.join(refused)}: Keras applies it to each replica's share of a gradient, "
                "so it is refused here"
            )
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.beta_1, self.beta_2, self.epsilon, self.dynamic_scale = (
            beta_1,
            beta_2,
            epsilon,
            dynamic_scale,
        )
        self.small_batches = 1
        self._finite: tf.Tensor | None = None
        # the scalars of the current update, by type and device
        self._shared: dict[tuple[tf.DType, str], tuple[tf.Tensor | None, dict[str, tf.Tensor]]] = {}

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._momentums = [self.add_variable_from_reference(v, name="momentum") for v in variables]
        self._velocities = [self.add_variable_from_reference(v, name="velocity") for v in variables]
        if self.dynamic_scale:
            self.scale = self.add_variable(
                (),
                initializer=keras.initializers.Constant(_INITIAL_SCALE),
                dtype="float32",
                aggregation="only_first_replica",
                name="scale",
            )
            self.good_steps = self.add_variable(
                (),
                initializer="zeros",
                dtype="int64",
                aggregation="only_first_replica",
                name="good_steps",
            )

    def scale_loss(self, loss: tf.Tensor) -> tf.Tensor:
        """The loss to differentiate; `apply_if_finite` removes the scale again. It is divided here
        by `small_batches`, so that no gradient of a small batch is larger than in the whole one.
        """
        loss = loss / self.small_batches if self.small_batches > 1 else loss
        return loss * tf.cast(self.scale.value, loss.dtype) if self.dynamic_scale else loss

    def apply_if_finite(
        self, loss: tf.Tensor, gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable]
    ) -> tf.Tensor:
        """Updates `variables` unless the loss or a gradient of **any** replica is not finite; then
        nothing changes.

        Keras' LossScaleOptimizer only checks replica 0, so an infinity elsewhere reaches all
        weights.

        Args:
            loss: this replica's scalar.
            gradients: this replica's gradients of the loss from `scale_loss`; they are summed over
                replicas.
            variables: the variables to update.

        Returns:
            A boolean scalar, the same on all replicas: whether the step was taken.
        """
        if self.dynamic_scale:
            inverse = 1 / self.scale.value
            gradients = [gradient * tf.cast(inverse, gradient.dtype) for gradient in gradients]
        magnitude = tf.add_n(
            [tf.cast(tf.nn.l2_loss(gradient), loss.dtype) for gradient in gradients]
        )
        finite = tf.math.is_finite(loss) & tf.math.is_finite(magnitude)
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            finite = (
                replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(~finite, tf.float32)) < 0.5
            )
        self._finite = finite  # read while `apply` traces `update_step`
        self.apply(gradients, variables)
        self._finite = None
        self.iterations.assign_sub(tf.cast(~finite, self.iterations.dtype))
        if self.dynamic_scale:
            good_steps = tf.where(finite, self.good_steps.value + 1, 0)
            grown = good_steps >= _STEPS_BEFORE_GROWTH
            self.scale.assign(
                tf.where(
                    finite,
                    tf.where(grown, self.scale.value * 2, self.scale.value),
                    self.scale.value / 2,
                )
            )
            self.good_steps.assign(tf.where(grown, tf.zeros_like(good_steps), good_steps))
        return finite

    def apply(
        self,
        grads: Sequence[tf.Tensor],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        self._shared = {}
        super().apply(grads, trainable_variables)
        self._shared = {}

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: tf.Tensor) -> None:
        """One update with TensorFlow's fused kernel."""
        place = gradient.dtype, variable.device
        if place not in self._shared:
            self._shared[place] = self._scalars(gradient.dtype, learning_rate)
        keeps, scalars = self._shared[place]
        if keeps is not None:
            # not `tf.where`, which would allocate zeros for each gradient
            gradient = tf.math.multiply_no_nan(gradient, keeps)
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            grad=gradient,
            **scalars,
        )

    def _scalars(
        self, kind: tf.DType, learning_rate: tf.Tensor
    ) -> tuple[tf.Tensor | None, dict[str, tf.Tensor]]:
        """The factor for gradients of a type, 1 or 0 if a step is skipped, and the kernel's
        scalars.

        The kernel divides by sqrt(v) + e with the learning rate already corrected; e = epsilon *
        sqrt(1 - beta_2^t) makes that equal to PyTorch's division by sqrt(v) / sqrt(1 - beta_2^t) +
        epsilon. A skipped step keeps its moments by betas of 1.
        """
        one = tf.ones([], kind)
        beta_1, beta_2 = tf.constant(self.beta_1, kind), tf.constant(self.beta_2, kind)
        step = tf.cast(self.iterations.value + 1, kind)
        beta_1_power, beta_2_power = tf.pow(beta_1, step), tf.pow(beta_2, step)
        rate = tf.cast(learning_rate, kind)
        keeps = None
        if self._finite is not None:
            keeps = tf.cast(self._finite, kind)
            beta_1, beta_2 = (
                tf.where(self._finite, beta_1, one),
                tf.where(self._finite, beta_2, one),
            )
            rate = rate * keeps
        return keeps, {
            "beta1_power": beta_1_power,
            "beta2_power": beta_2_power,
            "lr": rate,
            "beta1": beta_1,
            "beta2": beta_2,
            "epsilon": tf.constant(self.epsilon, kind) * tf.sqrt(one - beta_2_power),
        }

    def get_config(self) -> dict[str, Any]:
        settings = {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "dynamic_scale": self.dynamic_scale,
        }
        return {**super().get_config(), **settings}


def checked(optimizer: Any) -> Adam:
    """The optimizer; UserError if it cannot leave out a step, as those of Keras."""
    if not isinstance(optimizer, Adam):
        raise UserError(
            f"compile: takes tfcyclegan.Adam(...), which leaves out a step that is not finite, not "
            f"{optimizer if isinstance(optimizer, str) else type(optimizer).__name__} of Keras"
        )
    return optimizer
