"""Generators and discriminators as Keras models."""

from tfcyclegan.networks.discriminators import DISCRIMINATORS, Discriminator
from tfcyclegan.networks.factory import GENERATORS, make_generator
from tfcyclegan.networks.generators import Generator, UnetGenerator
from tfcyclegan.networks.graph import GraphGenerator
from tfcyclegan.networks.label_generator import LabelGenerator
from tfcyclegan.networks.latent_generator import AtLatent, LatentGenerator
from tfcyclegan.networks.latents import LatentDiscriminator, LatentEncoder
from tfcyclegan.networks.layers import INITIALIZERS
from tfcyclegan.networks.norms import NORMS, InstanceNormalization
from tfcyclegan.networks.own import OwnGenerator
from tfcyclegan.networks.patch_sampler import PatchSampler
from tfcyclegan.networks.resnet import UPSAMPLINGS, ResnetGenerator

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "INITIALIZERS",
    "NORMS",
    "UPSAMPLINGS",
    "AtLatent",
    "Discriminator",
    "Generator",
    "GraphGenerator",
    "InstanceNormalization",
    "LabelGenerator",
    "LatentDiscriminator",
    "LatentEncoder",
    "LatentGenerator",
    "OwnGenerator",
    "PatchSampler",
    "ResnetGenerator",
    "UnetGenerator",
    "make_generator",
]
