"""Options of `tfcyclegan distill`."""

from dataclasses import dataclass

from tfcyclegan.config.base import Options, option
from tfcyclegan.config.commands import CHECKPOINT_HELP


@dataclass(frozen=True, kw_only=True)
class DistillConfig(Options):
    """Options of `tfcyclegan distill`, for the student and its training. Everything else, such as
    data, sizes and discriminators, is taken from the teacher.
    """

    run_dir: str = option("", "run of the teacher, by any method", required=True)
    output: str = option(
        "", "directory of the student's run; the same command resumes it", required=True
    )
    checkpoint: str = option("latest", f"checkpoint of the teacher: {CHECKPOINT_HELP}")
    students: str = option("both", "directions to learn", choices=("ab", "ba", "both"))
    base_filters: int = option(16, "filters of the student's first convolution", minimum=1)
    residual_blocks: int | None = option(
        None, "residual blocks of the student; default: as many as the teacher has", minimum=1
    )
    separable: bool = option(
        True, "separable convolutions in the residual blocks: about a ninth of their computation"
    )
    lambda_gan: float = option(1.0, "weight of the adversarial losses", minimum=0)
    lambda_output: float = option(
        10.0, "weight of the mean absolute difference from the teacher's pictures", minimum=0
    )
    lambda_feature: float = option(
        1.0, "weight of the mean squared difference from the teacher's feature maps", minimum=0
    )
    epochs: int | None = option(
        None, "epochs at the full learning rate; default 100 unless --max_steps is given", minimum=0
    )
    decay_epochs: int | None = option(
        None,
        "further epochs with a falling learning rate; default 100 if --epochs has its default",
        minimum=0,
    )
    max_steps: int | None = option(
        None,
        "stop after this many steps; without --epochs the learning rate is constant",
        minimum=1,
    )
    batch_size: int = option(1, "images of each domain in a step, over all devices", minimum=1)
    learning_rate: float = option(2e-4, "Adam's initial learning rate", above=0, maximum=1)
    ema_decay: float = option(
        0.0,
        "decay of a running mean of the students' weights that is used for translating",
        minimum=0,
        maximum=0.99999,
    )
    seed: int = option(
        0, "random seed of weights, order, crops and image pools", minimum=0, maximum=2**32 - 1
    )
    data_dir: str = option("", "data set to train on; default: the teacher's own")
    checkpoint_every_steps: int = option(1000, "steps between checkpoints", minimum=1)
    log_every_steps: int = option(50, "steps between lines of history.jsonl", minimum=1)
    sample_every_steps: int = option(500, "steps between sample strips", minimum=1)
