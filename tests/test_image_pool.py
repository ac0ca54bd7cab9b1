"""The history of fakes against a plain Python reference, after the official program's
`ImagePool.query`.
"""

import numpy as np
import pytest
import tensorflow as tf

from tfcyclegan.methods.image_pool import ImagePool

SHAPE = (2, 3, 1)


class ReferencePool:
    """The pool in the paper's words, on numbers instead of images."""

    def __init__(self, size: int):
        self.size, self.stored = size, []

    def query(self, new: list[int], chances: list[float], slots: list[int]) -> list[int]:
        shown = []
        for image, chance, slot in zip(new, chances, slots, strict=True):
            if len(self.stored) < self.size:
                self.stored.append(image)
                shown.append(image)
            elif chance > 0.5:
                shown.append(self.stored[slot])
                self.stored[slot] = image
            else:
                shown.append(image)
        return shown


def images(*values: float, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Images that hold one number each, different in every pixel."""
    pattern = np.arange(6).reshape(SHAPE) / 8
    return tf.cast(np.stack([value + pattern for value in values]), dtype)


def numbers(batch: tf.Tensor) -> list[int]:
    values = [int(value) for value in tf.cast(batch, tf.float32)[:, 0, 0, 0]]
    np.testing.assert_array_equal(
        tf.cast(batch, tf.float32), images(*values), "images go in and out whole"
    )
    return values


def query(pool: ImagePool, new: list[int], chances: list[float], slots: list[int]) -> list[int]:
    return numbers(pool.query(images(*new), tf.constant(chances), tf.constant(slots, tf.int64)))


def stored(pool: ImagePool) -> list[int]:
    return numbers(pool.images[: pool.count])


def test_filling_stores_and_returns_whatever_the_draws():
    pool = ImagePool(3, SHAPE)
    assert query(pool, [1], [0.9], [2]) == [1]
    assert query(pool, [2, 3], [0.1, 0.9], [0, 0]) == [2, 3]
    assert stored(pool) == [1, 2, 3] and int(pool.count) == 3


def test_full_pool_swaps_above_one_half_only():
    pool = ImagePool(3, SHAPE)
    query(pool, [1, 2, 3], [0.9] * 3, [0] * 3)
    assert query(pool, [4], [0.51], [1]) == [2]
    assert stored(pool) == [1, 4, 3]
    assert query(pool, [5], [0.5], [1]) == [5], (
        "at one half exactly the new one is shown and nothing stored"
    )
    assert query(pool, [6], [0.0], [2]) == [6]
    assert stored(pool) == [1, 4, 3] and int(pool.count) == 3
    assert query(pool, [7, 8], [0.6, 0.7], [2, 2]) == [3, 7], (
        "the second image of a batch meets the first"
    )
    assert stored(pool) == [1, 4, 8]


def test_batch_larger_than_the_pool():
    pool = ImagePool(2, SHAPE)
    assert query(pool, [1, 2, 3, 4, 5], [0.9, 0.9, 0.9, 0.1, 0.9], [1, 1, 0, 0, 0]) == [
        1,
        2,
        1,
        4,
        3,
    ]
    assert stored(pool) == [5, 2]


def test_what_is_not_finite_is_shown_and_never_stored():
    pool = ImagePool(2, SHAPE)
    bad = images(9).numpy()
    bad[0, 1, 2, 0] = np.nan
    query(pool, [1], [0.9], [0])
    for kept in ([1], [1, 2]):  # while it fills, and when it is full
        np.testing.assert_array_equal(
            pool.query(tf.constant(bad), tf.constant([0.9]), tf.constant([0], tf.int64)), bad
        )
        assert stored(pool) == kept
        query(pool, [2], [0.1], [0])


def test_a_pool_is_not_learned():
    assert ImagePool(2, SHAPE).trainable_variables == ()


@pytest.mark.parametrize("way", ["eager", "tf.function", "free batch"])
@pytest.mark.parametrize(("size", "batch"), [(1, 1), (3, 2), (7, 1), (2, 5)])
def test_equals_the_reference_over_many_steps(size, batch, way):
    generator = np.random.default_rng(size * 10 + batch)
    pool, reference = ImagePool(size, SHAPE), ReferencePool(size)
    free = [tf.TensorSpec([None, *SHAPE]), tf.TensorSpec([None]), tf.TensorSpec([None], tf.int64)]
    call = (
        pool.query
        if way == "eager"
        else tf.function(pool.query, input_signature=free if way == "free batch" else None)
    )
    swaps = 0
    for step in range(60 if way == "eager" else 200):
        new = list(range(step * batch + 1, (step + 1) * batch + 1))
        chances, slots = (
            generator.random(batch).astype(np.float32),
            generator.integers(size, size=batch),
        )
        expected = reference.query(new, chances.tolist(), slots.tolist())
        swaps += sum(old != fresh for old, fresh in zip(expected, new, strict=True))
        assert numbers(call(images(*new), tf.constant(chances), tf.constant(slots))) == expected
        assert stored(pool) == reference.stored
    assert swaps > 10


def test_half_precision_images_keep_their_type():
    pool = ImagePool(1, SHAPE, tf.bfloat16)
    for value, expected in [(1, 1), (2, 1), (3, 2)]:
        shown = pool.query(
            images(value, dtype=tf.bfloat16), tf.constant([0.9]), tf.constant([0], tf.int64)
        )
        assert shown.dtype == tf.bfloat16 and numbers(shown) == [expected]


def test_no_gradient_reaches_an_older_fake():
    """A swapped-in image is data; only what is shown as new carries the generator's gradient."""
    pool = ImagePool(1, SHAPE)
    query(pool, [1], [0.0], [0])
    fake = tf.Variable(images(2))
    for chance, expected in [(0.1, 1.0), (0.9, 0.0)]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(
                pool.query(tf.identity(fake), tf.constant([chance]), tf.constant([0], tf.int64))
            )
        np.testing.assert_array_equal(tape.gradient(loss, fake), np.full((1, *SHAPE), expected))
