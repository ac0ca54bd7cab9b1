"""CycleGAN as Keras tutorials commonly have it: stock layers, one `train_step` with one persistent
tape, one optimizer per network.

It omits from the paper: the image pool (discriminators see fresh fakes), biases before norms, a
shared optimizer for each kind of network, the 70x70 receptive field at the borders ("same" pads
unevenly), the falling learning rate, mixed precision. Norms have trained scales. The generators
have the paper's 9 blocks, so that the computation is the same.
"""

import keras
import tensorflow as tf
from keras import layers

_Pair = tuple[tf.Tensor, tf.Tensor]


class _ReflectionPadding(layers.Layer):
    def __init__(self, amount: int):
        super().__init__()
        self.amount = amount

    def call(self, x: tf.Tensor) -> tf.Tensor:
        sides = [self.amount, self.amount]
        return tf.pad(x, [[0, 0], sides, sides, [0, 0]], "REFLECT")

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape[0], shape[1] + 2 * self.amount, shape[2] + 2 * self.amount, shape[3]


def _initializer() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(0.0, 0.02)


def _normalized(x: tf.Tensor, layer: layers.Layer, activation: str | None = "relu") -> tf.Tensor:
    x = layers.GroupNormalization(groups=-1, gamma_initializer=_initializer())(layer(x))
    return layers.Activation(activation)(x) if activation else x


def _convolution(filters: int, kernel: int, **options: object) -> layers.Layer:
    return layers.Conv2D(
        filters, kernel, kernel_initializer=_initializer(), use_bias=False, **options
    )


def make_generator(height: int, width: int, blocks: int, filters: int) -> keras.Model:
    inputs = keras.Input((height, width, 3))
    x = _normalized(_ReflectionPadding(3)(inputs), _convolution(filters, 7))
    for factor in (2, 4):
        x = _normalized(x, _convolution(filters * factor, 3, strides=2, padding="same"))
    for _ in range(blocks):
        inner = _normalized(_ReflectionPadding(1)(x), _convolution(filters * 4, 3))
        x = layers.add(
            [x, _normalized(_ReflectionPadding(1)(inner), _convolution(filters * 4, 3), None)]
        )
    for factor in (2, 1):
        up = layers.Conv2DTranspose(
            filters * factor,
            3,
            strides=2,
            padding="same",
            kernel_initializer=_initializer(),
            use_bias=False,
        )
        x = _normalized(x, up)
    return keras.Model(inputs, layers.Conv2D(3, 7, activation="tanh")(_ReflectionPadding(3)(x)))


def make_discriminator(height: int, width: int, filters: int) -> keras.Model:
    inputs = keras.Input((height, width, 3))
    x = layers.LeakyReLU(0.2)(
        layers.Conv2D(filters, 4, strides=2, padding="same", kernel_initializer=_initializer())(
            inputs
        )
    )
    for factor, stride in ((2, 2), (4, 2), (8, 1)):
        x = layers.LeakyReLU(0.2)(
            _normalized(x, _convolution(filters * factor, 4, strides=stride, padding="same"), None)
        )
    return keras.Model(
        inputs, layers.Conv2D(1, 4, padding="same", kernel_initializer=_initializer())(x)
    )


class KerasCycleGAN(keras.Model):
    """The four networks and their step, for batches (real_a, real_b) of [B, H, W, 3] in [-1, 1]."""

    def __init__(
        self, height: int, width: int, blocks: int, filters: int, *, identity: bool = True
    ):
        super().__init__()
        self.gen_ab, self.gen_ba = (
            make_generator(height, width, blocks, filters) for _ in range(2)
        )
        self.disc_a, self.disc_b = (make_discriminator(height, width, filters) for _ in range(2))
        self.identity = identity
        self.mean_squared = keras.losses.MeanSquaredError()
        self.mean_absolute = keras.losses.MeanAbsoluteError()

    def compile(self) -> None:
        super().compile(optimizer=None, jit_compile=False)
        self.optimizers = [keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(4)]
        for optimizer, network in zip(self.optimizers, self.networks, strict=True):
            optimizer.build(network.trainable_variables)

    @property
    def networks(self) -> list[keras.Model]:
        return [self.gen_ab, self.gen_ba, self.disc_a, self.disc_b]

    def train_step(self, batch: _Pair) -> dict[str, tf.Tensor]:
        real_a, real_b = batch
        with tf.GradientTape(persistent=True) as tape:
            fake_b, fake_a = self.gen_ab(real_a, training=True), self.gen_ba(real_b, training=True)
            cycled_a, cycled_b = (
                self.gen_ba(fake_b, training=True),
                self.gen_ab(fake_a, training=True),
            )
            scores = {
                "real_a": self.disc_a(real_a, training=True),
                "fake_a": self.disc_a(fake_a, training=True),
                "real_b": self.disc_b(real_b, training=True),
                "fake_b": self.disc_b(fake_b, training=True),
            }
            loss_ab = self._is(scores["fake_b"], 1) + 10 * self.mean_absolute(real_b, cycled_b)
            loss_ba = self._is(scores["fake_a"], 1) + 10 * self.mean_absolute(real_a, cycled_a)
            if self.identity:
                loss_ab += 5 * self.mean_absolute(real_b, self.gen_ab(real_b, training=True))
                loss_ba += 5 * self.mean_absolute(real_a, self.gen_ba(real_a, training=True))
            loss_a = (self._is(scores["real_a"], 1) + self._is(scores["fake_a"], 0)) / 2
            loss_b = (self._is(scores["real_b"], 1) + self._is(scores["fake_b"], 0)) / 2
        losses = [loss_ab, loss_ba, loss_a, loss_b]
        gradients = [
            tape.gradient(loss, network.trainable_variables)
            for loss, network in zip(losses, self.networks, strict=True)
        ]
        for optimizer, network, gradient in zip(
            self.optimizers, self.networks, gradients, strict=True
        ):
            optimizer.apply(gradient, network.trainable_variables)
        return dict(zip(("gen_ab", "gen_ba", "disc_a", "disc_b"), losses, strict=True))

    def _is(self, scores: tf.Tensor, target: float) -> tf.Tensor:
        return self.mean_squared(tf.fill(tf.shape(scores), float(target)), scores)
