"""The gradients of an objective, computed part by part to save memory."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

# Losses by name: this replica's scalars, weighted.
Losses = dict[str, tf.Tensor]


class GradientParts:
    """The gradients of a sum of losses, computed part by part.

    Parts share no activations. A part waits for the gradients of the previous ones, so that memory
    holds the activations of one part at a time; the gradients are summed.

    Args:
        variables: the variables to differentiate by.
        scale: maps a part's sum to the value that is differentiated, such as `Adam.scale_loss`.

    Attributes:
        losses: all losses by name.
        gradients: gradients of their sum, one for each variable.
    """

    def __init__(
        self, variables: Iterable[keras.Variable], scale: Callable[[tf.Tensor], tf.Tensor]
    ):
        self._variables, self._scale = [variable.value for variable in variables], scale
        self.losses: Losses = {}
        self.gradients: list[tf.Tensor | None] = [None] * len(self._variables)

    @property
    def loss(self) -> tf.Tensor:
        """The sum of all losses."""
        return tf.add_n(list(self.losses.values()))

    def add(self, part: Callable[..., tuple[Any, Losses]], *pictures: tf.Tensor) -> Any:
        """Adds the losses of `part(*pictures)`; returns its first result, such as fakes."""
        before = [gradient for gradient in self.gradients if gradient is not None]
        with tf.control_dependencies(before):
            pictures = tuple(tf.identity(each) for each in pictures)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._variables)
            made, losses = part(*pictures)
            if not losses:
                return made
            objective = self._scale(tf.add_n(list(losses.values())) / replicas())
        self.losses |= losses
        own = tape.gradient(objective, self._variables)
        self.gradients = [_sum(*both) for both in zip(self.gradients, own, strict=True)]
        return made


def replicas() -> int:
    """The number of replicas. Gradients are summed over them, so each replica's loss is divided by
    it to give the batch's mean.
    """
    return tf.distribute.get_strategy().num_replicas_in_sync


def _sum(one: tf.Tensor | None, other: tf.Tensor | None) -> tf.Tensor | None:
    return other if one is None else one if other is None else one + other
