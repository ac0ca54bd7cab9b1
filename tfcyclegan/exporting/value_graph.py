"""`ValuePair` as TensorFlow operations, so that an export takes and returns values as stored: it
maps their ranges itself, so that no client can get it wrong.
"""

import numpy as np
import tensorflow as tf

from tfcyclegan.data.images import NO_NUMBERS
from tfcyclegan.data.values import Values
from tfcyclegan.translation.value_pair import ValuePair


def to_float(batch: tf.Tensor) -> tf.Tensor:
    """uint8 to float32 in [-1, 1], as `images.to_float`."""
    return tf.cast(batch, tf.float32) / 127.5 - 1


def to_uint8(batch: tf.Tensor) -> tf.Tensor:
    """[-1, 1] to uint8, as `images.to_uint8`; InvalidArgumentError if it is not finite."""
    return tf.cast(tf.clip_by_value(tf.round((_numbers(batch) + 1) * 127.5), 0, 255), tf.uint8)


def stored_type(values: Values | None) -> tf.DType:
    """The type of a domain's arrays; None means pictures."""
    return tf.as_dtype(values.dtype) if values else tf.uint8


def to_network(pair: ValuePair, batch: tf.Tensor) -> tf.Tensor:
    """See `ValuePair.to_network`."""
    if pair.source is None:
        return to_float(batch)
    low, high = (tf.constant(end, tf.float64) for end in (pair.source.low, pair.source.high))
    scaled = (tf.cast(batch, tf.float64) - low) / (high - low) * 2 - 1
    seen = tf.cast(tf.clip_by_value(scaled, -1, 1), tf.float32)
    return tf.where(_invalid(pair.source, batch), tf.constant(-1, tf.float32), seen)


def gaps(pair: ValuePair, batch: tf.Tensor) -> tf.Tensor | None:
    """See `ValuePair.gaps`."""
    if pair.source is None:
        return None
    return tf.reduce_any(_invalid(pair.source, batch), axis=-1, keepdims=True)


def from_network(pair: ValuePair, seen: tf.Tensor, gaps: tf.Tensor | None) -> tf.Tensor:
    """See `ValuePair.from_network`; InvalidArgumentError if the network's output is not finite."""
    seen = _numbers(seen)
    if pair.written is None or pair.target is None:
        return to_uint8(seen if gaps is None else tf.where(gaps, tf.constant(-1, seen.dtype), seen))
    written = pair.written
    share = (tf.clip_by_value(tf.cast(seen[..., pair.target.centre], tf.float64), -1, 1) + 1) / 2
    low, high = (tf.constant(end, tf.float64) for end in (written.low, written.high))
    values = low + share * (high - low)
    if written.is_integer:
        values = tf.round(values)
    stored = tf.cast(tf.clip_by_value(values, *written.limits), written.dtype)
    if written.reserved is not None:
        nodata, beside = (tf.constant(value) for value in written.reserved)
        stored = tf.where(tf.equal(stored, nodata), beside, stored)
    if gaps is None:
        return stored
    return tf.where(gaps, tf.constant(written.gap), stored)


def _invalid(values: Values, batch: tf.Tensor) -> tf.Tensor:
    """See `Values.invalid`."""
    found = tf.zeros_like(batch, tf.bool)
    if not values.is_integer:
        found |= ~tf.math.is_finite(tf.cast(batch, tf.float32))
    if values.nodata is not None and np.isfinite(values.nodata):
        found |= tf.equal(batch, tf.constant(np.asarray(values.nodata).astype(values.dtype)))
    return found


def _numbers(batch: tf.Tensor) -> tf.Tensor:
    finite = tf.reduce_all(tf.math.is_finite(batch))
    with tf.control_dependencies([tf.debugging.Assert(finite, [NO_NUMBERS])]):
        return tf.identity(batch)
