"""Generators and discriminators as Keras models."""

from tfcyclegan.networks.discriminators import DISCRIMINATORS, Discriminator
from tfcyclegan.networks.factory import GENERATORS, make_generator
from tfcyclegan.networks.generators import UPSAMPLINGS, Generator, ResnetGenerator, UnetGenerator
from tfcyclegan.networks.graph import GraphGenerator
from tfcyclegan.networks.layers import INITIALIZERS
from tfcyclegan.networks.norms import NORMS, InstanceNormalization
from tfcyclegan.networks.own import OwnGenerator

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "INITIALIZERS",
    "NORMS",
    "UPSAMPLINGS",
    "Discriminator",
    "Generator",
    "GraphGenerator",
    "InstanceNormalization",
    "OwnGenerator",
    "ResnetGenerator",
    "UnetGenerator",
    "make_generator",
]
