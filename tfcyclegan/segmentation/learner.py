"""One step of learning: the loss, the update, the running mean of the weights."""

import keras
import numpy as np
import tensorflow as tf

from tfcyclegan.data.labels import IGNORED
from tfcyclegan.optimization import ema
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.segmentation.network import logits_of

REPORTED = ("loss", "accuracy", "skipped")


def class_weights(kind: str, counts: np.ndarray) -> np.ndarray:
    """The weight of each class in the loss, float32 [C].

    Args:
        kind: "none": all 1; "enet": 1 / ln(1.02 + f), f being the class's share of all pixels
            (Paszke et al. 2016).
        counts: pixels of each class, [C].
    """
    if kind == "none":
        return np.ones(len(counts), np.float32)
    return (1 / np.log(1.02 + counts / max(counts.sum(), 1))).astype(np.float32)


def cross_entropy(
    logits: tf.Tensor, train_ids: tf.Tensor, weights: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """(sum of the weighted cross-entropies, sum of the weights) over the pixels that are not
    IGNORED.

    Args:
        logits: float32 [B, H, W, C].
        train_ids: uint8 [B, H, W], 0..C-1 or IGNORED.
        weights: float32 [C].
    """
    learned = train_ids != IGNORED
    target = tf.cast(tf.where(learned, train_ids, tf.zeros_like(train_ids)), tf.int32)
    weight = tf.where(learned, tf.gather(weights, target), 0.0)
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits)
    return tf.reduce_sum(entropy * weight), tf.reduce_sum(weight)


class Learner:
    """A network in training. Make it in the strategy's scope.

    Args:
        network: the network to train.
        average: receives the running mean of its weights, including batch statistics; None for
            none.
        optimizer: the network's optimizer.
        weights: weights of the classes in the loss.
        ema_decay: decay of the running mean.
    """

    def __init__(
        self,
        network: keras.Model,
        average: keras.Model | None,
        optimizer: Adam,
        weights: np.ndarray,
        ema_decay: float,
    ):
        self.network, self.average, self.optimizer, self.ema_decay = (
            network,
            average,
            optimizer,
            ema_decay,
        )
        self._weights = weights
        optimizer.build(network.trainable_variables)
        self.step = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    @property
    def predictor(self) -> keras.Model:
        """The network to predict with."""
        return self.average or self.network

    def train_step(self, pictures: tf.Tensor, train_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """One update from this replica's share of a batch.

        The loss is the mean over the whole batch's learned pixels, on any number of replicas.

        Returns:
            The values named by `REPORTED`, to be summed over replicas.
        """
        variables = self.network.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            logits = logits_of(self.network, pictures, training=True)
            entropy, pixels = cross_entropy(logits, train_ids, tf.constant(self._weights))
            loss = entropy / tf.maximum(_over_replicas(pixels), 1.0)
            objective = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(objective, [variable.value for variable in variables])
        moved = self.optimizer.apply_if_finite(loss, gradients, variables)
        if self.average is not None:
            ema.update(self.average.weights, self.network.weights, self.step, self.ema_decay)
        self.step.assign_add(1)
        learned = tf.cast(train_ids != IGNORED, tf.float32)
        right = learned * tf.cast(
            tf.argmax(logits, -1, tf.int32) == tf.cast(train_ids, tf.int32), tf.float32
        )
        accuracy = tf.reduce_sum(right) / tf.maximum(_over_replicas(tf.reduce_sum(learned)), 1.0)
        return {
            "loss": loss,
            "accuracy": accuracy,
            "skipped": (1 - tf.cast(moved, tf.float32))
            / tf.distribute.get_strategy().num_replicas_in_sync,
        }


def _over_replicas(value: tf.Tensor) -> tf.Tensor:
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return value
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, value)
