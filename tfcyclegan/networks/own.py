"""A generator made by a user's function: `--generator=module:function`.

The function is called with `in_channels` and `out_channels` and returns a `keras.Model` or a layer
that maps [B, H, W, in] in [-1, 1] to [B, H, W, out] in [-1, 1], for any batch and for all sides
that are multiples of its attribute `size_multiple` (4 if it has none):

    def make(in_channels, out_channels):
        images = keras.Input((None, None, in_channels)) ... return keras.Model(images,
        keras.layers.Conv2D(out_channels, 7, padding="same",
                                                       activation="tanh")(x))

Its weights are drawn from the run's seed and its layers compute in the run's precision, unless they
specify otherwise.
"""

import contextlib
import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.networks.generators import Generator
from tfcyclegan.system import functions

_FLAG = "--generator"
_SIZE_MULTIPLE = 4
_TRIED_SIDE = 16


@keras.saving.register_keras_serializable("tfcyclegan")
class OwnGenerator(Generator):
    """A generator that wraps the network made by a user's function.

    Args:
        function: its reference, "module:function". Only `make_generator` imports the module: a
            loaded file can name it, but runs nothing.
        in_channels: channels of the input.
        out_channels: channels of the output.
        seed: makes the initial weights reproducible, as far as Keras' initializers draw them.
        tflite_ops: has no effect, since the network is the user's.

    Attributes:
        network: the network that the function returned.

    Raises:
        UserError: the function raised an exception, or returned anything but a network as described
            above.
    """

    def __init__(
        self,
        *,
        function: str,
        in_channels: int = 3,
        out_channels: int = 3,
        seed: int | None = None,
        tflite_ops: bool = False,
        name: str | None = None,
        dtype: Any = None,
    ):
        settings = {
            "function": function,
            "in_channels": in_channels,
            "out_channels": out_channels,
            "seed": seed,
            "tflite_ops": tflite_ops,
        }
        super().__init__(settings, name, dtype)
        if not functions.was_imported(function):
            raise UserError(
                f"{function}: a function of this module makes the generator; import the module "
                "first, if you trust it"
            )
        make, told = functions.find(_FLAG, function), f"{_FLAG}={function}"
        with _drawn_from(seed), _computing_in(self.dtype_policy):
            channels = {"in_channels": in_channels, "out_channels": out_channels}
            network = functions.calling(told, function, partial(make, **channels))
            if not isinstance(network, keras.layers.Layer):
                kind = type(network).__name__
                raise UserError(f"{told}: returned a {kind}, not a keras.Model or a layer")
            self.size_multiple = _size_multiple(told, network)
            self.network = network
            functions.calling(told, function, self._try, told)
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.network(x)  # Keras passes `training` on

    def _try(self, told: str) -> None:
        """Builds the weights with pictures of two sizes; UserError if the output is not a picture
        of the same size.
        """
        side = -(-_TRIED_SIDE // self.size_multiple) * self.size_multiple
        draw = np.random.default_rng(0)
        for width in (side, 2 * side):
            shape = [1, side, width, self.settings["in_channels"]]
            given = self.network(tf.constant(draw.uniform(-1, 1, shape), tf.float32))
            expected = [*shape[:3], self.settings["out_channels"]]
            if not tf.is_tensor(given) or given.shape.as_list() != expected:
                found = given.shape.as_list() if tf.is_tensor(given) else type(given).__name__
                raise UserError(f"{told}: maps pictures {shape} to {found}, not {expected}")
        highest = float(tf.reduce_max(tf.abs(tf.cast(given, tf.float32))))
        if not highest <= 1:
            functions.say_once(
                f"{told}: returns values outside [-1, 1], which are clipped in pictures; end it "
                "with tanh"
            )
        if copies := _kernel_copies(self.network):
            functions.say_once(
                f"{told}: {copies} of its kernels start with the numbers of another one; an "
                "initializer gives the same numbers each time it is used, so make one for each "
                "layer, inside the function"
            )


def _kernel_copies(network: keras.layers.Layer) -> int:
    """How many trainable kernels hold the same numbers, not all equal, as one before them."""
    kernels = [v.numpy() for v in network.trainable_variables if len(v.shape) > 1]
    drawn = [(k.shape, k.tobytes()) for k in kernels if k.size and (k != k.flat[0]).any()]
    return len(drawn) - len(set(drawn))


def _size_multiple(told: str, network: keras.layers.Layer) -> int:
    multiple = getattr(network, "size_multiple", _SIZE_MULTIPLE)
    if not isinstance(multiple, int) or multiple < 1:
        raise UserError(f"{told}: its size_multiple {multiple!r} is not a number of pixels")
    return multiple


@contextlib.contextmanager
def _drawn_from(seed: int | None) -> Iterator[None]:
    """Makes initializers without a seed of their own use this one; Keras seeds them from Python's
    generator.
    """
    state = random.getstate()
    try:
        if seed is not None:
            random.seed(seed)
        yield
    finally:
        random.setstate(state)


@contextlib.contextmanager
def _computing_in(policy: keras.DTypePolicy) -> Iterator[None]:
    """Makes layers without a dtype of their own use `policy`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
