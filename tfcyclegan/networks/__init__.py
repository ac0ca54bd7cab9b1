"""Generators and discriminators as Keras models."""

from tfcyclegan.networks.discriminators import DISCRIMINATORS, Discriminator
from tfcyclegan.networks.generators import GENERATORS, UPSAMPLINGS, Generator, ResnetGenerator, UnetGenerator, make_generator
from tfcyclegan.networks.layers import INITIALIZERS, NORMS, InstanceNormalization

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "INITIALIZERS",
    "NORMS",
    "UPSAMPLINGS",
    "Discriminator",
    "Generator",
    "InstanceNormalization",
    "ResnetGenerator",
    "UnetGenerator",
    "make_generator",
]
