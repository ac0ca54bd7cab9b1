"""The L1 on known pairs, added to the losses of any method (Isola et al. 2017, Eq. 3)."""

from collections.abc import Mapping

import tensorflow as tf

from tfcyclegan.losses import absolute_error
from tfcyclegan.methods.gradient_parts import Losses
from tfcyclegan.methods.masking import filled, masked
from tfcyclegan.networks import Generator


def paired_losses(
    weight: float,
    generators: Mapping[str, Generator],
    gaps: bool,
    paired_a: tf.Tensor,
    paired_b: tf.Tensor,
) -> Losses:
    """The L1 distance between translations and their partners, times `weight`, by direction.

    Args:
        weight: weight of each loss.
        generators: generators by direction.
        gaps: whether pictures may have missing pixels, NaN; pixels that either picture lacks are
            ignored.
        paired_a: [B, H, W, C] in [-1, 1].
        paired_b: their partners in domain b.
    """
    pictures = {"a": paired_a, "b": paired_b}
    losses = {}
    for direction, generator in generators.items():
        source, target = (pictures[domain] for domain in direction)
        fake = generator(filled(source) if gaps else source, training=True)
        if gaps:
            fake, target = (masked(each, source, target) for each in (fake, filled(target)))
        error = absolute_error(fake, target)
        losses[f"paired_{direction}"] = weight * error
    return losses


class ByReplica:
    """Keeps the losses and gradients of a step's pairs until the generators are updated, for each
    replica, since the tracing of replicas interleaves.
    """

    def __init__(self) -> None:
        self._held: dict[int, tuple[Losses, list[tf.Tensor | None]]] = {}

    def keep(self, losses: Losses, gradients: list[tf.Tensor | None]) -> None:
        self._held[_replica()] = losses, gradients

    def added(
        self, loss: tf.Tensor, gradients: list[tf.Tensor | None]
    ) -> tuple[tf.Tensor, list[tf.Tensor | None]]:
        """Adds the kept loss and gradients to these and forgets them."""
        losses, own = self._held.pop(_replica())
        return tf.add_n([loss, *losses.values()]), [
            one if other is None else other if one is None else one + other
            for one, other in zip(gradients, own, strict=True)
        ]


def _replica() -> int:
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return int(tf.get_static_value(replica))
