"""Options that choose a training method, and those of single methods."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from tfcyclegan.config.base import Options, option


@dataclass(frozen=True)
class MethodFacts:
    """What options need to know of a method.

    Attributes:
        made_by: its class in `tfcyclegan.methods`, as module:class.
        weights: the options that weigh its generators' losses; they must not all be 0.
        epochs: at the full rate where neither --epochs nor --max_steps is given, as its authors
            have it.
        decay_epochs: of falling rate after them.
    """

    made_by: str
    weights: tuple[str, ...]
    epochs: int = 100
    decay_epochs: int = 100


METHODS = {
    "cyclegan": MethodFacts("cyclegan:CycleGAN", ("lambda_gan", "lambda_a", "lambda_b")),
    "cut": MethodFacts("cut:CUT", ("lambda_nce",), 200, 200),
    "fastcut": MethodFacts("cut:CUT", ("lambda_nce",), 150, 50),
    "pix2pix": MethodFacts("pix2pix:Pix2Pix", ("lambda_gan", "lambda_l1")),
    "distill": MethodFacts(
        "distillation:Distillation", ("lambda_gan", "lambda_output", "lambda_feature")
    ),
}
CONTRASTIVE = ("cut", "fastcut")


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
        choices=tuple(METHODS),
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
        "directions to learn, which the teacher must have",
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

    @property
    def student_directions(self) -> tuple[str, ...]:
        """What `students` names."""
        return ("ab", "ba") if self.students == "both" else (self.students,)


@dataclass(frozen=True, kw_only=True)
class SingleMethodsOptions(ContrastiveOptions, DistillationOptions):
    """The options of single methods, all together."""
