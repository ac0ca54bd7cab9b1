"""Multiplications and additions of a training step, counted from the shapes of its convolutions;
everything else is ignored.
"""

from collections.abc import Iterator


def generator_convolutions(height: int, width: int, blocks: int, filters: int) -> Iterator[int]:
    """Multiply-adds of each convolution of the ResNet generator for one picture, in order."""
    pixels = height * width
    yield pixels * 7 * 7 * 3 * filters
    yield pixels // 4 * 9 * filters * 2 * filters
    yield pixels // 16 * 9 * 2 * filters * 4 * filters
    yield from [pixels // 16 * 9 * (4 * filters) ** 2] * (2 * blocks)
    # transposed: each pixel that comes in meets the whole kernel
    yield pixels // 16 * 9 * 4 * filters * 2 * filters
    yield pixels // 4 * 9 * 2 * filters * filters
    yield pixels * 7 * 7 * filters * 3


def discriminator_convolutions(height: int, width: int, filters: int) -> Iterator[int]:
    """The same for the 70x70 PatchGAN."""
    widths = [3, filters, 2 * filters, 4 * filters, 8 * filters, 1]
    for source, target, stride in zip(widths, widths[1:], (2, 2, 2, 1, 1), strict=False):
        height, width = ((side + 2 - 4) // stride + 1 for side in (height, width))
        yield height * width * 16 * source * target


def step_operations(
    height: int, width: int, batch: int, blocks: int, filters: int, *, identity: bool = True
) -> int:
    """Floating-point operations (two per multiply-add) of a whole step over `batch` pictures of
    each domain.

    The gradient of a convolution costs as much as the convolution itself for the weights, and the
    same again for its input; a network's first convolution needs the latter only if its input is a
    fake. Generators run twice on pictures, twice on fakes and twice for the identity losses.
    Discriminators run twice for the generators, without gradients of their weights, and four times
    for themselves.
    """
    generator = list(generator_convolutions(height, width, blocks, filters))
    discriminator = list(discriminator_convolutions(height, width, filters))
    on_pictures = 4 if identity else 2
    multiply_adds = (on_pictures + 2) * 3 * sum(generator) - on_pictures * generator[0]
    multiply_adds += 2 * 2 * sum(discriminator) + 4 * 3 * sum(discriminator) - 4 * discriminator[0]
    return 2 * batch * multiply_adds
