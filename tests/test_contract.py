"""Every generator and every discriminator keeps to the contract."""

import json
from typing import Any

import keras

from tests.network_contract import DiscriminatorContract, GeneratorContract
from tfcyclegan.networks import (
    Discriminator,
    GraphGenerator,
    InstanceNormalization,
    LatentGenerator,
    ResnetGenerator,
    UnetGenerator,
    make_generator,
)


def small_graph() -> dict:
    """As `import_weights` has it from a JSON file."""
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    x = keras.layers.ReLU()(InstanceNormalization(4, epsilon=1e-3, affine=True)(x))
    x = keras.layers.Conv2DTranspose(3, 3, padding="same", activation="tanh")(x)
    return json.loads(json.dumps(keras.Model(inputs, x).get_config()))


def latent_resnet(seed: int, base_filters: int, **more: Any) -> LatentGenerator:
    network = ResnetGenerator(blocks=1, base_filters=base_filters, seed=seed, **more)
    return LatentGenerator(network=network, latent_size=3, seed=seed)


SMALL = {"base_filters": 4, "seed": 5}
RESNET = {"make": ResnetGenerator, "blocks": 1, **SMALL}
PATCH = {"make": Discriminator, "layers": 2, **SMALL}
UNET = {"make": UnetGenerator, "depth": 5, **SMALL}
PLAIN = {"norm": "none", "padding_mode": "reflect"}
OWN = "tests.own_functions:make"


class TestResnet(GeneratorContract, **RESNET): ...


class TestResnetBatch(GeneratorContract, **RESNET, norm="batch", dropout=True, in_channels=1): ...


class TestResnetResize(GeneratorContract, **RESNET, **PLAIN, upsampling="resize"): ...


class TestResnetAntialiased(GeneratorContract, **RESNET, antialias=True, antialias_up=True): ...


class TestResnetNoisy(
    GeneratorContract, **RESNET, antialias=True, antialias_up=True, noise_inputs=True
): ...


class TestResnetSeparable(GeneratorContract, **RESNET, separable=True, input_skip=True): ...


class TestUnet(GeneratorContract, **UNET, dropout=True): ...


class TestUnetBatch(GeneratorContract, **UNET, norm="batch", out_channels=1): ...


class TestGraph(GeneratorContract, make=GraphGenerator, graph=small_graph()): ...


class TestOwn(GeneratorContract, make=make_generator, architecture=OWN, seed=5): ...


class TestLatent(GeneratorContract, make=latent_resnet, **SMALL): ...


class TestPatch(DiscriminatorContract, **PATCH): ...


class TestPatchPlain(DiscriminatorContract, **PATCH, **PLAIN): ...


class TestPatchAntialiased(DiscriminatorContract, **PATCH, antialias=True): ...


class TestPatchSpectral(DiscriminatorContract, **PATCH, spectral_norm=True): ...


class TestPixel(DiscriminatorContract, make=Discriminator, architecture="pixel", **SMALL): ...
