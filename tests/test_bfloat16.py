"""What training in bfloat16 may differ by from float32: as much as rounding does, on every
processor.

The curve of an adversarial loss is chaotic, so curves are not compared. One step's losses and
gradients are, with those of a control in float32 whose layers round what they take and give, and
the gradients of these, to bfloat16. The control is computed in float32 alone, which every processor
has; bfloat16 itself is oneDNN's here and Eigen's there.
"""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfcyclegan.data import images
from tfcyclegan.methods.cyclegan import CycleGAN
from tfcyclegan.networks import Discriminator, make_generator
from tfcyclegan.networks.layers import Conv2D, UpConv2D
from tfcyclegan.networks.norms import InstanceNormalization
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.optimization.schedules import EpochRates

UNIT_ROUNDOFF = 2.0**-8  # of bfloat16, which keeps 8 binary digits
SIDE = 32


@tf.custom_gradient
def rounded(x):
    """x rounded to bfloat16, and so its gradient."""

    def to_bfloat16(value):
        return tf.cast(tf.cast(value, tf.bfloat16), tf.float32)

    return to_bfloat16(x), to_bfloat16


def round_layers(monkeypatch):
    """Has the layers of networks in float32 round as bfloat16 does."""
    for kind in (Conv2D, UpConv2D, InstanceNormalization):
        exact = kind.call
        monkeypatch.setattr(
            kind, "call", lambda self, x, exact=exact: rounded(exact(self, rounded(x)))
        )


def one_step(
    seed: int, precision: str, *, rounded_weights: bool = False
) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Losses by name, and the gradients of all kernels of the generators and of the discriminators,
    each as one vector.
    """
    size = {"base_filters": 4, "dtype": precision}
    generators = [
        make_generator("resnet_1blocks", **size, seed=10 * seed + place) for place in (1, 2)
    ]
    discriminators = [Discriminator(**size, layers=2, seed=10 * seed + place) for place in (3, 4)]
    model = CycleGAN(*generators, *discriminators, pool_size=0)
    model.compile(*(Adam(EpochRates([1e-3], epoch_images=1, batch_size=1)) for _ in range(2)))
    if rounded_weights:
        for variable in model.generator_variables + model.discriminator_variables:
            variable.assign(rounded(tf.convert_to_tensor(variable)))
    random = np.random.default_rng(seed)
    coarse = [Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)) for _ in range(2)]
    reals = [
        tf.constant(images.to_float(np.asarray(one.resize((SIDE, SIDE))))[np.newaxis])
        for one in coarse
    ]
    fakes, losses, _, of_generators = model.generator_pass(*reals)
    judged, _, of_discriminators = model.discriminator_pass(
        dict(zip("ab", reals, strict=True)),
        {domain: tf.cast(fake, tf.float32) for domain, fake in fakes.items()},
    )

    def vector(variables, gradients):
        pairs = zip(variables, gradients, strict=True)
        return np.concatenate(
            [
                np.float64(gradient).ravel()
                for variable, gradient in pairs
                if variable.name == "kernel"
            ]
        )

    named = {
        name: float(value)
        for name, value in (losses | judged).items()
        if name in CycleGAN.loss_names
    }
    return (
        named,
        vector(model.generator_variables, of_generators),
        vector(model.discriminator_variables, of_discriminators),
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_step_in_bfloat16_is_off_by_its_rounding_alone(seed, monkeypatch):
    """A loss is a mean over pixels, whose roundings cancel: less than one rounding is left.
    Gradients are off by about as much as the control's, each by its own draw of the same roundings;
    twice as much is four times the variance.
    """
    exact, *exact_gradients = one_step(seed, "float32")
    half, *half_gradients = one_step(seed, "mixed_bfloat16")
    round_layers(monkeypatch)
    _, *control_gradients = one_step(seed, "float32", rounded_weights=True)
    for name, value in exact.items():
        assert abs(half[name] - value) < UNIT_ROUNDOFF * value, name
    for exact_one, half_one, control_one in zip(
        exact_gradients, half_gradients, control_gradients, strict=True
    ):
        off, expected = (
            np.linalg.norm(one - exact_one) / np.linalg.norm(exact_one)
            for one in (half_one, control_one)
        )
        print(f"gradients are off by {off:.3f} of their length, the control's by {expected:.3f}")
        assert 0 < off < 2 * expected
        assert 0 < expected < 0.5
