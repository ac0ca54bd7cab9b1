"""Options that choose a training method, and those of single methods."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from tfcyclegan.config.base import Options, option

METHODS = ("cyclegan", "cut", "fastcut", "pix2pix", "distill")
CONTRASTIVE = ("cut", "fastcut")
EPOCHS = {
    "cyclegan": (100, 100),
    "cut": (200, 200),
    "fastcut": (150, 50),
    "pix2pix": (100, 100),
    "distill": (100, 100),
}
"""Epochs at the full rate and of falling rate, where neither is given; each as its authors have
it."""


def default_of(field: dataclasses.Field[Any], method: str) -> Any:
    """An option's default with a training method; None where it does not go with it."""
    metadata = field.metadata
    if metadata["methods"] and method not in metadata["methods"]:
        return None
    return metadata["of_method"].get(method, metadata["default"])


@dataclass(frozen=True, kw_only=True)
class MethodOptions(Options):
    """Method of training."""

    method: str = option(
        "cyclegan",
        "cyclegan learns both ways; cut, its lighter form fastcut, and pix2pix, which needs pairs, "
        "learn A -> B alone; distill teaches a small generator by a trained one (docs/methods.md); "
        "it decides the defaults of other options",
        choices=METHODS,
    )


@dataclass(frozen=True, kw_only=True)
class ContrastiveOptions(Options):
    """Patches compared by CUT and FastCUT."""

    lambda_nce: float = option(
        1.0,
        "weight of PatchNCE, by which a translation keeps what its source shows",
        above=0,
        methods=CONTRASTIVE,
        of_method={"fastcut": 10.0},
    )
    nce_identity: bool = option(
        True,
        "compare pictures of B with what the generator makes of them, too",
        methods=CONTRASTIVE,
        of_method={"fastcut": False},
    )
    flip_equivariance: bool = option(
        False,
        "translate half of the batches mirrored and compare them mirrored back",
        methods=CONTRASTIVE,
        of_method={"fastcut": True},
    )
    nce_layers: str = option(
        "0,4,8,12,16",
        "layers of the generator whose features are compared, ascending, by their place in the "
        "official list",
        methods=CONTRASTIVE,
    )
    num_patches: int = option(
        256,
        "patches compared in each feature map; all of a map that has fewer",
        minimum=1,
        methods=CONTRASTIVE,
    )
    nce_temperature: float = option(
        0.07, "divides the similarities of patches", above=0, methods=CONTRASTIVE
    )
    nce_all_negatives: bool = option(
        False,
        "compare a patch with those of all pictures of the batch, not with its own alone",
        methods=CONTRASTIVE,
    )


@dataclass(frozen=True, kw_only=True)
class DistillationOptions(Options):
    """A small generator taught by a trained one."""

    teacher: str = option("", "run directory of the generators to learn from", methods=("distill",))
    teacher_checkpoint: str = option(
        "latest", "which of its checkpoints: latest, best or a step", methods=("distill",)
    )
    students: str = option(
        "both",
        "directions to learn: ab, ba, or both as far as the teacher has them",
        choices=("ab", "ba", "both"),
        methods=("distill",),
    )
    lambda_output: float = option(
        10.0,
        "weight of the mean absolute difference from the teacher's pictures",
        minimum=0,
        methods=("distill",),
    )
    lambda_feature: float = option(
        1.0,
        "weight of the mean squared difference from the teacher's feature maps, by 1x1 "
        "convolutions",
        minimum=0,
        methods=("distill",),
    )
