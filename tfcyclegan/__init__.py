"""Unpaired image-to-image translation with CycleGAN for TensorFlow and Keras."""

__version__ = "0.1.0"
