"""Layers that Keras lacks or pads differently. All but `dense` map [B, H, W, C] to
[B, h, w, C].

Every layer is built on construction: channel counts are known, so a network has its weights from
the start and is never restored partially.

`tflite_ops=True` makes a layer use only operations that every converter and delegate supports
(padding by slices and concat, plain means, no explicit padding of convolutions), for exports. The
weights are the same.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.networks.convolution import conv2d

INITIALIZERS = ("normal", "xavier", "kaiming", "orthogonal")
PADDINGS = ("zeros", "reflect")
LEAKY_SLOPE = 0.2
_FEW_CHANNELS = 4

Weights = Iterator[keras.initializers.Initializer]


class Reach(NamedTuple):
    """How far a layer looks along either axis, so that it can be applied to a window of its input.

    Outputs a..b of a layer are its outputs for the inputs `down * (a // up) - halo` to `down *
    ceil(b / up) + halo`, whatever its padding there, after cropping the outputs that belong to the
    halo. At the edges of the image there is no halo, and the layer's own padding applies.

    Attributes:
        halo: inputs at either side that the outputs above the others depend on; a multiple of
            `down`.
        down: inputs along a side for each `up` outputs.
        up: see `down`.
    """

    halo: int
    down: int = 1
    up: int = 1


def weight_initializers(name: str, gain: float, seed: int | None) -> Weights:
    """An endless stream of kernel initializers, each with its own seed derived from `seed`.

    The distributions are those of the official program's `init_weights`, which are PyTorch's.

    Raises:
        UserError: unknown `name`.
    """
    seeds: Iterator[int | None] = (
        itertools.repeat(None) if seed is None else itertools.count(seed * 1_000)
    )
    for layer_seed in seeds:
        match name:
            case "normal":
                yield keras.initializers.RandomNormal(0.0, gain, seed=layer_seed)
            case "xavier":
                yield keras.initializers.VarianceScaling(
                    gain**2, "fan_avg", "untruncated_normal", seed=layer_seed
                )
            case "kaiming":
                yield keras.initializers.VarianceScaling(
                    2.0, "fan_in", "untruncated_normal", seed=layer_seed
                )
            case "orthogonal":
                yield keras.initializers.Orthogonal(gain, seed=layer_seed)
            case _:
                raise UserError(
                    f"init {name!r}: unknown choice; valid are {', '.join(INITIALIZERS)}"
                )


def leaky_relu(x: tf.Tensor) -> tf.Tensor:
    """LeakyReLU with slope 0.2. TensorFlow's own rounds the slope to float32, which matters in
    float64.
    """
    return (
        tf.maximum(x, LEAKY_SLOPE * x)
        if x.dtype == tf.float64
        else tf.nn.leaky_relu(x, LEAKY_SLOPE)
    )


def reflect_pad(x: tf.Tensor, amount: int, *, tflite_ops: bool = False) -> tf.Tensor:
    """Mirrors `amount` pixels at each side of [B, H, W, C], the edge itself not repeated.

    The form for TFLite is slices and concat, since MIRROR_PAD splits a TFLite graph for its
    delegates; of few pieces at a time, since XNNPACK supports no concat of more than 5. In training
    it is a gather along each side, with a gradient of the same kind: the gradient of TensorFlow's
    own padding took a tenth of a step's time (docs/performance.md).
    """
    height, width = x.shape[1], x.shape[2]
    if tflite_ops and None in (height, width):
        raise UserError("reflection padding for TFLite needs a fixed image size")
    if tflite_ops:
        return _mirrored_by_slices(_mirrored_by_slices(x, amount, 1), amount, 2)
    if height is None or width is None or min(height, width) < 2 * amount + 2:
        return tf.pad(x, [[0, 0], [amount, amount], [amount, amount], [0, 0]], mode="REFLECT")

    @tf.custom_gradient
    def pad(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        padded = _mirrored_sides(_mirrored_sides(x, amount, 1), amount, 2)
        return padded, lambda upstream: _folded_sides(_folded_sides(upstream, amount, 2), amount, 1)

    return pad(x)


def part(x: tf.Tensor, axis: int, start: Any, stop: Any) -> tf.Tensor:
    """Pixels start..stop of [B, H, W, C] along `axis`."""
    # Not by indexing: the gradient of a strided slice runs on one thread.
    begin, size = [0] * 4, [-1] * 4
    begin[axis], size[axis] = start, stop - start
    return tf.slice(x, begin, size)


def _mirrored_sides(x: tf.Tensor, amount: int, axis: int) -> tf.Tensor:
    return tf.gather(x, np.pad(np.arange(x.shape[axis]), amount, mode="reflect"), axis=axis)


def _folded_sides(upstream: tf.Tensor, amount: int, axis: int) -> tf.Tensor:
    """The gradient of `_mirrored_sides`: each mirrored pixel's gradient is added to that of the
    pixel it mirrors.
    """
    padded = upstream.shape[axis]
    mirrors = np.r_[:amount, padded - amount : padded]
    mirrored = np.pad(np.arange(amount, padded - amount), amount, mode="reflect")[mirrors]
    sums = tf.gather(upstream, mirrored, axis=axis) + tf.gather(upstream, mirrors, axis=axis)
    # each sum at the position of its pixel
    places = np.arange(padded)
    places[mirrored] = padded + np.arange(2 * amount)
    both = tf.concat([upstream, sums], axis=axis)
    return tf.gather(both, places[amount : padded - amount], axis=axis)


def _mirrored_by_slices(x: tf.Tensor, amount: int, axis: int) -> tf.Tensor:
    side = x.shape[axis]
    before = [part(x, axis, i, i + 1) for i in range(amount, 0, -1)]
    after = [part(x, axis, side - 1 - i, side - i) for i in range(1, amount + 1)]
    return tf.concat([joined(before, axis), x, joined(after, axis)], axis=axis)


def joined(pieces: list[tf.Tensor], axis: int) -> tf.Tensor:
    """Concatenates pieces of [B, H, W, C] along `axis`."""
    return tf.concat(pieces, axis=axis) if len(pieces) > 1 else pieces[0]


def doubled(x: tf.Tensor, *, tflite_ops: bool = False) -> tf.Tensor:
    """[B, H, W, C] with each pixel four times, [B, 2H, 2W, C].

    The form for TFLite is concat and reshape, since XNNPACK does not support TILE, TFLite's form of
    `tf.repeat`.
    """
    if not tflite_ops:
        return tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)
    batch, height, width, channels = x.shape
    x = tf.reshape(tf.concat([x, x], axis=3), [batch, height, 2 * width, channels])
    return tf.reshape(tf.concat([x, x], axis=2), [batch, 2 * height, 2 * width, channels])


def mirrored(images: tf.Tensor, axis: int, multiple: int, *, smallest: int = 1) -> tf.Tensor:
    """Mirrors a side, the edge repeated, up to the next multiple of `multiple` that is at least
    `smallest`, however small the side.

    `tf.pad` cannot exceed twice the side.
    """
    side = tf.shape(images)[axis]
    target = tf.maximum(smallest, -(-side // multiple) * multiple)
    position = tf.range(target) % (2 * side)
    return tf.gather(images, tf.minimum(position, 2 * side - 1 - position), axis=axis)


@keras.saving.register_keras_serializable("tfcyclegan")
class Conv2D(keras.layers.Layer):
    """Convolution with `padding` pixels on **every** side, as PyTorch pads. Keras' "same" pads one
    side at stride 2.

    Args:
        in_channels: channels of the input.
        filters: channels of the output.
        kernel_size: side of the kernel in pixels.
        kernel_initializer: initializer of the kernel [k, k, in, out]; the bias starts at 0.
        stride: step of the kernel.
        padding: pixels added at every side.
        padding_mode: "zeros" or "reflect".
        use_bias: whether to add a bias.
        tflite_ops: see the module.
    """

    def __init__(
        self,
        in_channels: int,
        filters: int,
        kernel_size: int,
        kernel_initializer: keras.initializers.Initializer,
        *,
        stride: int = 1,
        padding: int = 0,
        padding_mode: str = "zeros",
        use_bias: bool = True,
        tflite_ops: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if padding_mode not in PADDINGS:
            raise UserError(
                f"padding_mode {padding_mode!r}: unknown choice; valid are {', '.join(PADDINGS)}"
            )
        self.filters, self.stride, self.padding, self.padding_mode, self.tflite_ops = (
            filters,
            stride,
            padding,
            padding_mode,
            tflite_ops,
        )
        self.kernel = self.add_weight(
            shape=(kernel_size, kernel_size, in_channels, filters),
            initializer=kernel_initializer,
            name="kernel",
        )
        self.bias = (
            self.add_weight(shape=(filters,), initializer="zeros", name="bias")
            if use_bias
            else None
        )
        self.built = True

    @property
    def reach(self) -> Reach:
        furthest = max(self.padding, self.kernel.shape[0] - self.stride - self.padding)
        return Reach(-(-furthest // self.stride) * self.stride, down=self.stride)

    def used_kernel(self) -> tf.Tensor:
        """The kernel that the input is convolved with."""
        return tf.convert_to_tensor(self.kernel)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        if self.padding and self.padding_mode == "reflect":
            x = reflect_pad(x, self.padding, tflite_ops=self.tflite_ops)
        elif self.padding:
            # Not the convolution's own explicit padding, with which TensorFlow may not use oneDNN:
            # slower with AVX-512 and bfloat16, while with AVX2 it took 0.83 to 1.18 of the time.
            x = tf.pad(
                x, [[0, 0], [self.padding, self.padding], [self.padding, self.padding], [0, 0]]
            )
        kernel = self.used_kernel()
        bias = None if self.bias is None else tf.convert_to_tensor(self.bias)
        by_four = (
            self.tflite_ops
            and self.stride == 1
            and kernel.shape[-1] <= _FEW_CHANNELS
            and _makes_even_sides(x, kernel)
        )
        if by_four:
            kernel, bias = _of_four_pixels(kernel, bias)
        stride = 2 if by_four else self.stride
        if self.tflite_ops:
            x = tf.nn.conv2d(x, kernel, stride, "VALID")
        else:
            x = conv2d(x, kernel, stride)
        x = x if bias is None else tf.nn.bias_add(x, bias)
        return tf.nn.depth_to_space(x, 2) if by_four else x


def _makes_even_sides(x: tf.Tensor, kernel: tf.Tensor) -> bool:
    return all(
        (side - length + 1) % 2 == 0
        for side, length in zip(x.shape[1:3], kernel.shape[:2], strict=True)
    )


def _of_four_pixels(
    kernel: tf.Tensor, bias: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Kernel [k + 1, k + 1, in, 4 out] and bias that make 2x2 pixels of a convolution of stride 1
    at each step of 2.

    XNNPACK computes about 16 channels at once, however few there are: the last layer with its 3
    channels became 2.4 times as fast.
    """
    shifts = [(down, right) for down in (0, 1) for right in (0, 1)]
    kernels = [
        tf.pad(kernel, [[down, 1 - down], [right, 1 - right], [0, 0], [0, 0]])
        for down, right in shifts
    ]
    return tf.concat(kernels, axis=3), None if bias is None else tf.concat([bias] * 4, axis=0)


@keras.saving.register_keras_serializable("tfcyclegan")
class SeparableConv2D(keras.layers.Layer):
    """A kxk convolution of each channel by itself, then a 1x1 convolution over channels (Howard et
    al. 2017): about 1/k^2 of the operations and weights of a full one. Padded by reflection to keep
    the sides, stride 1.

    Args:
        in_channels: channels of the input.
        filters: channels of the output.
        kernel_size: side of the kernel in pixels; odd.
        kernel_initializer: initializer of both kernels, [k, k, in, 1] and [1, 1, in, out].
        use_bias: whether to add a bias.
        tflite_ops: see the module.
    """

    def __init__(
        self,
        in_channels: int,
        filters: int,
        kernel_size: int,
        kernel_initializer: keras.initializers.Initializer,
        *,
        use_bias: bool = True,
        tflite_ops: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters, self.padding, self.tflite_ops = filters, kernel_size // 2, tflite_ops
        self.depthwise = self.add_weight(
            shape=(kernel_size, kernel_size, in_channels, 1),
            initializer=kernel_initializer,
            name="depthwise",
        )
        self.kernel = self.add_weight(
            shape=(1, 1, in_channels, filters), initializer=kernel_initializer, name="kernel"
        )
        self.bias = (
            self.add_weight(shape=(filters,), initializer="zeros", name="bias")
            if use_bias
            else None
        )
        self.built = True

    @property
    def reach(self) -> Reach:
        return Reach(self.padding)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        x = reflect_pad(x, self.padding, tflite_ops=self.tflite_ops)
        depthwise = tf.convert_to_tensor(self.depthwise)
        x = tf.nn.depthwise_conv2d(x, depthwise, [1, 1, 1, 1], "VALID")
        x = tf.nn.conv2d(x, tf.convert_to_tensor(self.kernel), 1, "VALID")
        return x if self.bias is None else tf.nn.bias_add(x, tf.convert_to_tensor(self.bias))


@keras.saving.register_keras_serializable("tfcyclegan")
class UpConv2D(keras.layers.Layer):
    """Transposed convolution, stride 2, that doubles the sides exactly as PyTorch's does.

    kernel 3: padding 1, output padding 1 (ResNet generator); kernel 4: padding 1 (U-Net). Keras'
    "same" crops the
    bottom and right pixel where PyTorch crops the top and left ones.

    Args:
        in_channels: channels of the input.
        filters: channels of the output.
        kernel_size: 3 or 4.
        kernel_initializer: initializer of the kernel [k, k, out, in]; the bias starts at 0.
        use_bias: whether to add a bias.
    """

    reach = Reach(1, up=2)

    def __init__(
        self,
        in_channels: int,
        filters: int,
        kernel_size: int,
        kernel_initializer: keras.initializers.Initializer,
        *,
        use_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if kernel_size not in (3, 4):
            raise UserError(f"kernel_size {kernel_size}: must be 3 or 4")
        self.filters, self.kernel_size = filters, kernel_size
        self.kernel = self.add_weight(
            shape=(kernel_size, kernel_size, filters, in_channels),
            initializer=kernel_initializer,
            name="kernel",
        )
        self.bias = (
            self.add_weight(shape=(filters,), initializer="zeros", name="bias")
            if use_bias
            else None
        )
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(x)
        batch = shape[0] if x.shape[0] is None else x.shape[0]
        kernel = tf.convert_to_tensor(self.kernel)
        excess = self.kernel_size - 2
        if None in x.shape[1:3]:
            # Variable sizes need explicit padding: without it oneDNN allocates a megabyte for each
            # new size and keeps it.
            sides = [[1, excess - 1]] * 2
            target = [batch, 2 * shape[1], 2 * shape[2], self.filters]
            x = tf.nn.conv2d_transpose(x, kernel, target, 2, [[0, 0], *sides, [0, 0]])
        else:
            # Fixed sizes, as in training, need none: with AVX-512 and bfloat16, explicit padding,
            # which disables oneDNN, doubled a step's time.
            height, width = 2 * x.shape[1], 2 * x.shape[2]
            x = tf.nn.conv2d_transpose(
                x, kernel, [batch, height + excess, width + excess, self.filters], 2, "VALID"
            )
            # Not by indexing: the gradient of a strided slice runs on one thread.
            x = tf.slice(x, [0, 1, 1, 0], [batch, height, width, self.filters])
        return x if self.bias is None else tf.nn.bias_add(x, tf.convert_to_tensor(self.bias))


@keras.saving.register_keras_serializable("tfcyclegan")
class ResizeConv2D(keras.layers.Layer):
    """Nearest-neighbour upsampling by 2, then a 3x3 convolution with reflection padding: no
    checkerboards (Odena et al. 2016).
    """

    reach = Reach(1, up=2)

    def __init__(
        self,
        in_channels: int,
        filters: int,
        kernel_initializer: keras.initializers.Initializer,
        *,
        use_bias: bool = True,
        tflite_ops: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.convolution = Conv2D(
            in_channels,
            filters,
            3,
            kernel_initializer,
            padding=1,
            padding_mode="reflect",
            use_bias=use_bias,
            tflite_ops=tflite_ops,
            dtype=self.dtype_policy,
        )
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.convolution(doubled(x, tflite_ops=self.convolution.tflite_ops))


def next_seed(generator: keras.random.SeedGenerator) -> tf.Tensor:
    """A seed for stateless draws, int64 [2], another one on each replica; Keras mirrors the
    generator's state, so that all replicas would draw the same.
    """
    seed, replica = tf.cast(generator.next(), tf.int64), tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync == 1:
        return seed
    return tf.random.experimental.stateless_fold_in(seed, replica.replica_id_in_sync_group)


@keras.saving.register_keras_serializable("tfcyclegan")
class Dropout(keras.layers.Dropout):
    """Keras' dropout with different values dropped on each replica."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        replica = tf.distribute.get_replica_context()
        if not training or not self.rate or replica.num_replicas_in_sync == 1:
            return super().call(inputs, training=training)
        return tf.nn.experimental.stateless_dropout(
            inputs, self.rate, next_seed(self.seed_generator), noise_shape=self.noise_shape
        )


def dense(
    source: int,
    target: int,
    kernel_initializer: keras.initializers.Initializer,
    dtype: Any,
    activation: str | None = None,
) -> keras.layers.Dense:
    """Keras' layer from [..., source] to [..., target], built like all layers here."""
    layer = keras.layers.Dense(
        target, activation, kernel_initializer=kernel_initializer, dtype=dtype
    )
    layer.build((None, source))
    return layer


def name_and_dtype(network: keras.Model) -> dict[str, Any]:
    """What every network's `get_config` holds besides its own settings."""
    dtype = keras.dtype_policies.serialize(network.dtype_policy)
    return {"name": network.name, "dtype": dtype}
