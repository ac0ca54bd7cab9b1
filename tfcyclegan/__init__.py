"""Unpaired image-to-image translation with CycleGAN for TensorFlow and Keras."""

__version__ = "0.2.0.dev0"
