"""One more TFLite file of a generator that takes latents, which takes them as well: `images`
[1, H, W, C] and `latents` [1, L], float32, to `images`. All other files give the answer of the zero
latent.
"""

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.exporting import tflite
from tfcyclegan.exporting.tflite_converters import by_tensorflow
from tfcyclegan.exports.model_metadata import WITH_LATENTS
from tfcyclegan.networks import LatentGenerator
from tfcyclegan.translation.answers import drawn

_VARIANT = "float16"  # half the bytes, and no visible difference


def convert(generator: LatentGenerator, size: Size) -> bytes:
    """The file's content, with float16 weights, for pictures of `size`."""
    content = by_tensorflow(tflite.fixed(generator, size, latents=True))(_VARIANT, ())
    tflite.check_operators(content, WITH_LATENTS)
    return content


def largest_difference(content: bytes, generator: LatentGenerator, pictures: np.ndarray) -> float:
    """The largest difference from Keras over `pictures` float32 [N, H, W, C], each with a latent of
    its own, the first with that of zeros.
    """
    latents = drawn(len(pictures), 0, generator.latent_size)
    latents[0] = 0
    program = tflite.Program(content)
    differences = [
        np.abs(
            program(picture[np.newaxis], latent[np.newaxis])
            - generator(picture[np.newaxis], training=False, latents=latent[np.newaxis])
        ).max()
        for picture, latent in zip(pictures, latents, strict=True)
    ]
    return float(max(differences))
