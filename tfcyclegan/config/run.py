"""Options of a run: what training writes into its directory, and when."""

from dataclasses import dataclass

from tfcyclegan.config.base import Options, option

EVAL_STEPS = 1000  # a measurement takes a few seconds, a small share of this many steps
TRACKERS = ("none", "mlflow", "wandb")


@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """What training writes, and when."""

    run_dir: str = option(
        "", "directory of the run; the same command resumes it", required=True, on_resume="free"
    )
    checkpoint_every_steps: int = option(
        1000, "steps between checkpoints", minimum=1, on_resume="free"
    )
    keep_checkpoints: int = option(
        3, "number of latest checkpoints kept", minimum=1, on_resume="free"
    )
    log_every_steps: int = option(
        50,
        "steps between lines of history.jsonl, each the mean since the previous line",
        minimum=1,
        on_resume="free",
    )
    track: str = option(
        "none",
        "experiment tracker that also gets the history, strips, options and scores: mlflow or "
        "wandb, which need the extra of that name; a tracker that fails does not stop training",
        choices=TRACKERS,
        on_resume="free",
    )
    profile_steps: int = option(
        0,
        "number of steps to profile for TensorBoard, after the first 10 steps of this process; 0 "
        "for none",
        minimum=0,
        on_resume="free",
    )
    sample_every_steps: int = option(
        500, "steps between sample strips", minimum=1, on_resume="free"
    )
    sample_images: int = option(
        4, "pictures in a sample strip", minimum=1, maximum=64, on_resume="free"
    )
    eval_every_epochs: int = option(
        1,
        "epochs between the measurements that choose the best checkpoint, and at least "
        f"{EVAL_STEPS} steps; 0 for never",
        minimum=0,
        on_resume="free",
    )
    eval_every_steps: int = option(
        0,
        "steps between these measurements, instead of --eval_every_epochs; 0 uses "
        "--eval_every_epochs",
        minimum=0,
        on_resume="free",
    )
    eval_split: str = option(
        "val",
        "pictures used in these measurements: val (train if the data has no val), or train to keep "
        "val for scoring",
        choices=("val", "train"),
        on_resume="free",
    )
    eval_images: int = option(
        48, "pictures of each domain in such a measurement", minimum=8, on_resume="free"
    )
    eval_features: str = option(
        "none",
        "network for KID in these measurements; KID then chooses the best checkpoint (the "
        "network's weights are downloaded once)",
        choices=("none", "alexnet", "vgg16"),
        on_resume="free",
    )
