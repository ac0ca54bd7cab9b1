"""Options of `tfcyclegan distill`."""

from dataclasses import dataclass

from tfcyclegan.config.base import Options, option, option_of
from tfcyclegan.config.commands import CHECKPOINT_HELP
from tfcyclegan.config.training import TrainConfig


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
    students: str = option_of(TrainConfig, "students")
    base_filters: int = option_of(
        TrainConfig, "base_filters", default=16, help="filters of the student's first convolution"
    )
    residual_blocks: int | None = option_of(
        TrainConfig,
        "residual_blocks",
        help="residual blocks of the student; default: as many as the teacher has",
    )
    separable: bool = option_of(TrainConfig, "separable", default=True)
    lambda_gan: float = option_of(
        TrainConfig, "lambda_gan", help="weight of the adversarial losses"
    )
    lambda_output: float = option_of(TrainConfig, "lambda_output")
    lambda_feature: float = option_of(TrainConfig, "lambda_feature")
    epochs: int | None = option_of(
        TrainConfig,
        "epochs",
        help="epochs at the full learning rate; default 100 unless --max_steps is given",
    )
    decay_epochs: int | None = option_of(
        TrainConfig,
        "decay_epochs",
        help="further epochs with a falling learning rate; default 100 if --epochs has its default",
    )
    max_steps: int | None = option_of(TrainConfig, "max_steps")
    batch_size: int = option_of(TrainConfig, "batch_size")
    learning_rate: float = option_of(TrainConfig, "learning_rate")
    ema_decay: float = option_of(TrainConfig, "ema_decay")
    seed: int = option_of(TrainConfig, "seed")
    data_dir: str = option_of(
        TrainConfig,
        "data_dir",
        default="",
        required=False,
        help="data set to train on; default: the teacher's own",
    )
    checkpoint_every_steps: int = option_of(TrainConfig, "checkpoint_every_steps")
    log_every_steps: int = option_of(TrainConfig, "log_every_steps")
    sample_every_steps: int = option_of(TrainConfig, "sample_every_steps")
    track: str = option_of(TrainConfig, "track")
