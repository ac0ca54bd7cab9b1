"""Several answers to a picture, of a generator that takes latents."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.networks import AtLatent, LatentGenerator
from tfcyclegan.translation.translators import Translator


def drawn(count: int, seed: int, size: int) -> np.ndarray:
    """Latents [count, size] from N(0, I), float32. One follows from the seed and its own number
    alone: how many there are changes none.
    """
    draws = [np.random.default_rng((seed, 61, number)) for number in range(count)]
    return np.array([draw.standard_normal(size) for draw in draws], np.float32)


def with_answers(translator: Translator, count: int, seed: int) -> Translator:
    """The translator, with an answer to each picture by each of `count` latents, which are those of
    all pictures.

    Args:
        translator: of a run.
        count: answers to each picture.
        seed: of `drawn`.

    Raises:
        UserError: its generator takes no latents.
    """
    generator = translator.generator
    if not isinstance(generator, LatentGenerator):
        raise UserError(
            f"--samples={count}: needs a run of --method=augmented, whose generators have several "
            "answers to a picture"
        )
    latents = drawn(count, seed, generator.latent_size)
    function = _function(generator, translator.device)
    return dataclasses.replace(
        translator,
        identity={**translator.identity, "samples": count, "seed": seed},
        answers=tuple(_at(translator, function, latent[np.newaxis]) for latent in latents),
    )


def functions(translator: Translator, count: int, seed: int) -> list[Callable[[Any], np.ndarray]]:
    """The answers as functions on float32 [1, H, W, C] in [-1, 1], see `Translator.in_floats`."""
    return [answer.in_floats for answer in with_answers(translator, count, seed).answers]


def _at(
    translator: Translator,
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    latent: np.ndarray,
) -> Translator:
    assert isinstance(translator.generator, LatentGenerator)
    tiler = translator.tiler and translator.tiler.of(AtLatent(translator.generator, latent))
    return dataclasses.replace(
        translator, function=lambda batch: function(batch, latent), tiler=tiler
    )


def _function(
    generator: LatentGenerator, device: str | None
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The generator as a compiled function of a picture and a latent: one graph for all sizes and
    latents.
    """
    specs = [
        tf.TensorSpec([None, None, None, generator.settings["in_channels"]], tf.float32),
        tf.TensorSpec([1, generator.latent_size], tf.float32),
    ]
    compiled = tf.function(
        lambda batch, latents: generator(batch, training=False, latents=latents),
        input_signature=specs,
        autograph=False,
    )

    def function(batch: np.ndarray, latent: np.ndarray) -> np.ndarray:
        with tf.device(device):
            return compiled(tf.constant(batch), tf.constant(latent)).numpy()

    return function
