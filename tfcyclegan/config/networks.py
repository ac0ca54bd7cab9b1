"""Options of the networks."""

import re
from dataclasses import dataclass, field
from typing import Any

from tfcyclegan.config.base import Options, option
from tfcyclegan.system.functions import is_reference


@dataclass(frozen=True)
class Architecture:
    """A generator that --generator names.

    Attributes:
        made_by: its class in `tfcyclegan.networks`, as module:class.
        size_multiple: the number that the sides of an image must be multiples of.
        settings: arguments of the class that this name implies.
    """

    made_by: str
    size_multiple: int
    settings: dict[str, Any] = field(default_factory=dict)


ARCHITECTURES = {
    "unet_128": Architecture("generators:UnetGenerator", 128, {"depth": 7}),
    "unet_256": Architecture("generators:UnetGenerator", 256, {"depth": 8}),
}
"""Architectures by name; --generator also takes ResNets by number of blocks, files and functions.
"""


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(Options):
    """Generators and discriminators; defaults are the paper's for 256x256."""

    generator: str = option(
        "resnet",
        f"resnet, resnet_Nblocks, {', '.join(ARCHITECTURES)}, a .json graph of import_weights, or "
        "MODULE:FUNCTION, your own function that makes a keras.Model (docs/python.md)",
        of_method={"pix2pix": "unet_256"},
    )
    residual_blocks: int | None = option(
        None, "residual blocks of resnet; default 9, as for 256x256; 6 for 128x128", minimum=1
    )
    base_filters: int = option(64, "filters of the generators' first convolution", minimum=1)
    upsampling: str = option(
        "transposed",
        "resize is nearest-neighbour upsampling + convolution, which avoids checkerboards",
        choices=("transposed", "resize"),
    )
    generator_padding: str = option(
        "zeros", "padding of ResNet generators' strided convolutions", choices=("zeros", "reflect")
    )
    antialias: bool = option(
        False,
        "blur before each downsampling by 2, in ResNet generators and patch discriminators",
        of_method={"cut": True, "fastcut": True},
    )
    antialias_up: bool = option(
        False,
        "upsample by bilinear blurs in ResNet generators, instead of --upsampling",
        of_method={"cut": True, "fastcut": True},
    )
    noise_inputs: bool = option(
        False,
        "give ResNet generators noise, from which they make fine texture in place of grids and "
        "hatching; with --antialias_up",
    )
    separable: bool = option(
        False,
        "separable convolutions in the residual blocks of ResNet generators: about a ninth of "
        "their computation",
    )
    input_skip: bool = option(
        False,
        "add the input to the output of ResNet generators: they learn the difference between the "
        "domains, which is 0 at first; for domains that look much alike",
    )
    dropout: bool = option(False, "dropout in the generators", of_method={"pix2pix": True})
    discriminator: str = option(
        "patch", "patch is the 70x70 PatchGAN, pixel its 1x1 variant", choices=("patch", "pixel")
    )
    discriminator_layers: int = option(
        3, "strided convolutions of the patch discriminator", minimum=1
    )
    discriminator_filters: int = option(
        64, "filters of the discriminators' first convolution", minimum=1
    )
    discriminator_padding: str = option(
        "zeros", "padding of the discriminators' convolutions", choices=("zeros", "reflect")
    )
    norm: str = option(
        "instance",
        "normalisation in all networks",
        choices=("instance", "batch", "none"),
        of_method={"pix2pix": "batch"},
    )
    discriminator_norm: str = option(
        "same",
        "normalisation only in the discriminators; same means --norm. Instance norm hides a "
        "picture's overall brightness and contrast from them; none lets them see both",
        choices=("same", "instance", "batch", "none"),
    )
    discriminator_antialias: str = option(
        "same",
        "--antialias only in the discriminators; same means --antialias. Blurs hide fine texture "
        "from them",
        choices=("same", "yes", "no"),
    )
    spectral_norm: bool = option(
        False, "divide the discriminators' kernels by their largest singular value"
    )
    init: str = option(
        "normal",
        "distribution of initial weights",
        choices=("normal", "xavier", "kaiming", "orthogonal"),
        of_method={"cut": "xavier", "fastcut": "xavier"},
    )
    init_gain: float = option(0.02, "scale of initial weights", above=0)

    @property
    def architecture(self) -> str:
        """The generator's name as the official program writes it."""
        return (
            f"resnet_{self.residual_blocks or 9}blocks"
            if self.generator == "resnet"
            else self.generator
        )

    @property
    def is_resnet(self) -> bool:
        """Whether the generators are this program's ResNets."""
        return re.fullmatch(r"resnet_\d+blocks", self.architecture) is not None

    @property
    def block_count(self) -> int:
        """Residual blocks of this program's ResNet."""
        return int(self.architecture.removeprefix("resnet_").removesuffix("blocks"))

    @property
    def is_own(self) -> bool:
        """Whether the user's own function makes the generators."""
        return is_reference(self.generator)

    @property
    def size_multiple(self) -> int:
        """The number that the sides of an image must be multiples of; 1 for the user's own
        generators, which check sizes themselves.
        """
        if self.generator in ARCHITECTURES:
            return ARCHITECTURES[self.generator].size_multiple
        return 1 if self.is_own else 4
