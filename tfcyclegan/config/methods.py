"""Options that choose a training method, and options of single methods."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from tfcyclegan.config.base import Options, option


@dataclass(frozen=True)
class MethodFacts:
    """What the options need to know about a method.

    Attributes:
        made_by: its class in `tfcyclegan.methods`, as module:class.
        weights: the options that weight its generators' losses; they must not all be 0.
        epochs: epochs at the full learning rate if neither --epochs nor --max_steps is given, as in
            its authors' program.
        decay_epochs: further epochs with a falling learning rate.
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
    "augmented": MethodFacts(
        "augmented:AugmentedCycleGAN", ("lambda_gan", "lambda_a", "lambda_b"), 25, 25
    ),
}
CONTRASTIVE = ("cut", "fastcut")
AUGMENTED = "augmented"


def default_of(field: dataclasses.Field[Any], method: str) -> Any:
    """An option's default for a training method; None if the method does not have the option."""
    metadata = field.metadata
    if metadata["methods"] and method not in metadata["methods"]:
        return None
    return metadata["of_method"].get(method, metadata["default"])


@dataclass(frozen=True, kw_only=True)
class MethodOptions(Options):
    """Training method."""

    method: str = option(
        "cyclegan",
        "training method: cyclegan learns both directions, augmented both with many answers to a "
        "picture; cut, its lighter form fastcut, and pix2pix, which needs pairs, learn only A -> "
        "B; distill trains a small generator to imitate a trained one (docs/methods.md); the "
        "method sets the defaults of other options",
        choices=tuple(METHODS),
    )


@dataclass(frozen=True, kw_only=True)
class ContrastiveOptions(Options):
    """The patches that CUT and FastCUT compare."""

    lambda_nce: float = option(
        1.0,
        "weight of the PatchNCE loss, which keeps the content of the source",
        above=0,
        methods=CONTRASTIVE,
        of_method={"fastcut": 10.0},
    )
    nce_identity: bool = option(
        True,
        "also compare pictures of B with the generator's output for them",
        methods=CONTRASTIVE,
        of_method={"fastcut": False},
    )
    flip_equivariance: bool = option(
        False,
        "translate half of the batches mirrored, and mirror them back to compare them",
        methods=CONTRASTIVE,
        of_method={"fastcut": True},
    )
    nce_layers: str = option(
        "0,4,8,12,16",
        "layers of the generator whose features are compared, in ascending order, as numbered in "
        "the official program",
        methods=CONTRASTIVE,
    )
    num_patches: int = option(
        256,
        "patches compared in each feature map; all if a map has fewer",
        minimum=1,
        methods=CONTRASTIVE,
    )
    nce_temperature: float = option(
        0.07, "temperature, which divides the similarities of patches", above=0, methods=CONTRASTIVE
    )
    nce_all_negatives: bool = option(
        False,
        "compare a patch with those of all pictures of the batch instead of only with those of its "
        "own picture",
        methods=CONTRASTIVE,
    )


@dataclass(frozen=True, kw_only=True)
class DistillationOptions(Options):
    """A small generator that imitates a trained one."""

    teacher: str = option(
        "",
        "run directory of the generators to learn from",
        methods=("distill",),
        on_resume="free",  # recognised by its weights
    )
    teacher_checkpoint: str = option(
        "latest",
        "checkpoint of the teacher: latest, best or a step",
        methods=("distill",),
        on_resume="free",
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
        "weight of the mean squared difference from the teacher's feature maps, through 1x1 "
        "convolutions",
        minimum=0,
        methods=("distill",),
    )

    @property
    def student_directions(self) -> tuple[str, ...]:
        """The directions that `students` names."""
        return ("ab", "ba") if self.students == "both" else (self.students,)


@dataclass(frozen=True, kw_only=True)
class AugmentedOptions(Options):
    """The latents by which Augmented CycleGAN has many answers."""

    latent_size: int = option(
        16, "numbers in the latent of a domain", minimum=1, maximum=4096, methods=(AUGMENTED,)
    )
    lambda_latent: float = option(
        0.025,
        "weight of the latents' cycle: how well a latent must be read off the answer that it gave",
        minimum=0,
        methods=(AUGMENTED,),
    )


@dataclass(frozen=True, kw_only=True)
class SingleMethodsOptions(ContrastiveOptions, DistillationOptions, AugmentedOptions):
    """All options of single methods."""
