"""The history of fakes that a discriminator is shown (Shrivastava et al. 2017; Zhu et al. 2017,
section 4).
"""

from collections.abc import Sequence

import tensorflow as tf


class ImagePool(tf.Module):
    """Keeps `size` images and returns, for each new image, either it or an older one.

    While filling: store and return the image. When full: with probability 1/2 return a stored image
    and put the new one in its place, else return the new one and store nothing. An image that is
    not finite is returned but never stored, since it would spoil every later step that it is drawn
    for.

    A method asks it once for each update of a discriminator (`Method.update_discriminators`).

    Make it outside of any strategy's scope, one for each replica: a pool is private to its replica.

    Args:
        size: images kept; at least 1.
        image_shape: (height, width, channels).
        dtype: type of the images.
    """

    def __init__(self, size: int, image_shape: Sequence[int], dtype: tf.DType = tf.float32):
        super().__init__()
        self.size = size
        self.images = tf.Variable(
            tf.zeros([size, *image_shape], dtype), trainable=False, name="images"
        )
        self.count = tf.Variable(tf.zeros([], tf.int64), trainable=False, name="count")

    def query(self, images: tf.Tensor, chances: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
        """Passes a batch through the pool.

        Args:
            images: [B, H, W, C].
            chances: [B] uniform draws in [0, 1); swapped if above 1/2.
            slots: [B] int64 in [0, size): the stored image that would be swapped.

        Returns:
            [B, H, W, C]: the images for the discriminator.
        """
        if images.shape[0] is None:
            given = images, chances, slots
            return tf.map_fn(
                lambda one: self._query(*one),
                given,
                parallel_iterations=1,
                fn_output_signature=images.dtype,
            )
        return tf.stack(
            [
                self._query(image, chances[index], slots[index])
                for index, image in enumerate(tf.unstack(images))
            ]
        )

    def _query(self, image: tf.Tensor, chance: tf.Tensor, given_slot: tf.Tensor) -> tf.Tensor:
        filling = self.count < self.size
        stores = (filling | (chance > 0.5)) & tf.reduce_all(tf.math.is_finite(image))
        slot = tf.where(filling, self.count, given_slot)
        old = tf.gather(self.images, slot)
        shown = tf.where(stores & ~filling, old, image)
        self.images.scatter_nd_update([[slot]], tf.where(stores, image, old)[tf.newaxis])
        self.count.assign_add(tf.cast(filling & stores, tf.int64))
        return shown


def replica_pools(
    strategy: tf.distribute.Strategy, size: int, image_shape: Sequence[int], dtype: tf.DType
) -> list[ImagePool]:
    """A pool for each replica of this worker, on the replica's device."""
    several = strategy.num_replicas_in_sync > 1
    pools = []
    for device in strategy.extended.worker_devices if several else ("",):
        with tf.device(device):
            pools.append(ImagePool(size, image_shape, dtype))
    return pools


def pool_of_this_replica(pools: Sequence[ImagePool], replica: tf.Tensor) -> ImagePool:
    """The pool of the replica with this number.

    Each replica is traced separately with its number known, so that its graph holds only its own
    pool's variables. Numbers are counted over all workers, which have equally many replicas.
    """
    return pools[int(tf.get_static_value(replica)) % len(pools)] if len(pools) > 1 else pools[0]
