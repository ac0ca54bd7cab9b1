"""Loss functions: pure, from tensors to one scalar per replica. Only `methods/` applies weights.

Scores are a discriminator's output, [B, h, w, 1], before any sigmoid. Half-precision input is cast
to float32 first.
"""

from collections.abc import Sequence

import tensorflow as tf

from tfcyclegan.config import GAN_MODES
from tfcyclegan.errors import UserError

_SAME_PATCH = -10.0
"""The similarity that stands in place of a query's own key among the negatives, as in the official
CUT program; for unit vectors it contributes practically nothing.
"""


def at_least_float32(x: tf.Tensor) -> tf.Tensor:
    """`x` in float32, or in float64 if it is float64."""
    return tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x


def _cross_entropy(scores: tf.Tensor, target: float) -> tf.Tensor:
    return tf.reduce_mean(
        tf.nn.sigmoid_cross_entropy_with_logits(
            labels=tf.fill(tf.shape(scores), tf.cast(target, scores.dtype)), logits=scores
        )
    )


def generator_loss(mode: str, fake_scores: tf.Tensor) -> tf.Tensor:
    """The adversarial loss of a generator (Zhu et al. 2017, Eq. 1 and section 4).

    Modes: "lsgan" mean (D - 1)^2; "vanilla" cross-entropy on logits, non-saturating; "hinge" mean
    -D, which the official program does not have; "lsgan_sigmoid" LSGAN on sigmoid outputs (Rao et
    al. 2023), a deviation from the paper.

    Raises:
        UserError: unknown mode.
    """
    scores = at_least_float32(fake_scores)
    if mode == "lsgan":
        return tf.reduce_mean(tf.square(scores - 1))
    if mode == "lsgan_sigmoid":
        return tf.reduce_mean(tf.square(tf.sigmoid(scores) - 1))
    if mode == "vanilla":
        return _cross_entropy(scores, 1.0)
    if mode == "hinge":
        return -tf.reduce_mean(scores)
    raise UserError(f"gan_mode {mode!r}: unknown choice; valid are {', '.join(GAN_MODES)}")


def discriminator_loss(mode: str, real_scores: tf.Tensor, fake_scores: tf.Tensor) -> tf.Tensor:
    """The loss of a discriminator: the mean of its losses on real and on fake images, as in the
    official program.

    Raises:
        UserError: unknown mode.
    """
    real, fake = at_least_float32(real_scores), at_least_float32(fake_scores)
    if mode == "lsgan":
        return (tf.reduce_mean(tf.square(real - 1)) + tf.reduce_mean(tf.square(fake))) / 2
    if mode == "lsgan_sigmoid":
        return (
            tf.reduce_mean(tf.square(tf.sigmoid(real) - 1))
            + tf.reduce_mean(tf.square(tf.sigmoid(fake)))
        ) / 2
    if mode == "vanilla":
        return (_cross_entropy(real, 1.0) + _cross_entropy(fake, 0.0)) / 2
    if mode == "hinge":
        return (tf.reduce_mean(tf.nn.relu(1 - real)) + tf.reduce_mean(tf.nn.relu(1 + fake))) / 2
    raise UserError(f"gan_mode {mode!r}: unknown choice; valid are {', '.join(GAN_MODES)}")


def discriminator_accuracy(mode: str, real_scores: tf.Tensor, fake_scores: tf.Tensor) -> tf.Tensor:
    """Share of patches classified correctly, in [0, 1]: a score above the midpoint of the mode's
    targets counts as "real".
    """
    middle = 0.5 if mode == "lsgan" else 0.0
    right = [
        tf.reduce_mean(tf.cast(judged, tf.float32))
        for judged in (real_scores > middle, fake_scores <= middle)
    ]
    return (right[0] + right[1]) / 2


def absolute_error(image: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference, the L1 of the cycle and identity losses (Zhu et al. 2017, Eq.
    2).
    """
    return tf.reduce_mean(tf.abs(at_least_float32(image) - at_least_float32(target)))


def contrastive_losses(
    queries: tf.Tensor,
    keys: tf.Tensor,
    *,
    groups: int | tf.Tensor,
    temperature: float = 0.07,
    valid: tf.Tensor | None = None,
) -> tf.Tensor:
    """Cross-entropy of identifying each query's own key among the others (Park et al. 2020, Eq. 3).

    Args:
        queries: [N, C], one row per patch; unit vectors in the paper.
        keys: [N, C], each query's key in the same row; they receive no gradient.
        groups: number of equal groups of consecutive rows; the negatives of a query are the other
            keys of its group.
        temperature: tau, which divides the similarities.
        valid: bool [N]; rows that are False have a loss of 0 and serve as no query's negatives.
            None means all are valid.

    Returns:
        [N]. If all vectors are equal, each loss is log(N / groups).
    """
    shape = [groups, -1, queries.shape[-1]]
    queries, keys = tf.reshape(queries, shape), tf.reshape(tf.stop_gradient(keys), shape)
    own = tf.reduce_sum(queries * keys, axis=-1, keepdims=True)
    others = tf.matmul(queries, keys, transpose_b=True)
    others = tf.linalg.set_diag(others, _SAME_PATCH * tf.ones_like(own[..., 0]))
    if valid is not None:
        in_group = tf.reshape(valid, [groups, 1, -1])
        others = tf.where(in_group, others, tf.cast(_SAME_PATCH, others.dtype))
    logits = tf.concat([own, others], axis=-1) / temperature
    right = tf.zeros(tf.shape(logits)[:-1], tf.int32)
    losses = tf.reshape(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=right, logits=logits), [-1]
    )
    return losses if valid is None else tf.where(valid, losses, tf.zeros_like(losses))


def patch_nce_loss(
    queries: Sequence[tf.Tensor],
    keys: Sequence[tf.Tensor],
    *,
    pictures: int | tf.Tensor,
    temperature: float = 0.07,
    all_negatives: bool = False,
    valid: Sequence[tf.Tensor] | None = None,
) -> tf.Tensor:
    """PatchNCE: each patch of a translation should match the patch of its source at the same place
    (Park et al. 2020, Eq. 4, with means instead of the sums over layers and patches, as in the
    official program).

    Args:
        queries: for each layer, the vectors of the translations' patches, [B * P, C].
        keys: for each layer, those of the sources.
        pictures: B.
        temperature: see `contrastive_losses`.
        all_negatives: whether negatives come from all pictures of the batch instead of from the
            same picture only.
        valid: for each layer, which patches count, bool [B * P]; None means all.
    """
    groups = 1 if all_negatives else pictures
    counting = valid or [None] * len(queries)
    means = [
        tf.reduce_mean(
            contrastive_losses(*layer, groups=groups, temperature=temperature, valid=counts)
        )
        for *layer, counts in zip(queries, keys, counting, strict=True)
    ]
    return tf.add_n(means) / len(means)


def semantic_loss(logits: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """Cross-entropy between the classes of a translation and those of its source picture (Hoffman
    et al. 2018, Eq. 5).

    Args:
        logits: a segmenter's logits for the translation, [B, H, W, classes].
        reference: the same segmenter's logits for the source picture; its most probable classes are
            the targets and receive no gradient.
    """
    classes = tf.argmax(tf.stop_gradient(reference), axis=-1)
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(classes, at_least_float32(logits))
    )
