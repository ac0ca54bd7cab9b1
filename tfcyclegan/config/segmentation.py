"""Options of the segmenter's commands."""

from dataclasses import dataclass

from tfcyclegan.config.base import Options, Size, option
from tfcyclegan.config.reading import (
    alpha_option,
    extra_bands_option,
    max_value_option,
    pages_option,
)
from tfcyclegan.config.training import PRECISIONS
from tfcyclegan.errors import UserError


@dataclass(frozen=True, kw_only=True)
class SegmenterOptions(Options):
    """How a segmenter is trained, whatever the pictures."""

    load_size: Size | None = option(
        None, "size to which pictures and labels are resized; default: their own"
    )
    crop_size: Size | None = option(None, "size of the random crop; default: whole pictures")
    flip: bool = option(True, "mirror half of the training pictures")
    scale_low: float = option(
        0.75,
        "smallest factor of random scaling; never so small that the crop exceeds the picture",
        above=0,
    )
    scale_high: float = option(1.5, "greatest factor of random scaling", above=0)
    color_jitter: float = option(
        0.2,
        "brightness, contrast and saturation vary by this share; 0 for none",
        minimum=0,
        maximum=1,
    )
    rare_class_temperature: float = option(
        0.01,
        "temperature of drawing pictures with rare classes more often; smaller values favour rare "
        "classes more; 0 draws all pictures equally often",
        minimum=0,
    )
    class_weights: str = option(
        "none",
        "weights of the classes in the loss; enet is 1 / ln(1.02 + share)",
        choices=("none", "enet"),
    )
    width: int = option(16, "filters of the network's first convolution", minimum=1)
    steps: int = option(1500, "length of training; the last step's checkpoint is used", minimum=1)
    batch_size: int = option(8, "pictures in a step, over all devices", minimum=1)
    learning_rate: float = option(1e-2, "Adam's highest learning rate", above=0, maximum=1)
    schedule: str = option(
        "poly",
        "how the learning rate falls to 0: poly is (1 - progress)^0.9",
        choices=("poly", "cosine", "constant"),
    )
    warmup_steps: int = option(
        50, "steps over which the learning rate rises at the start", minimum=0
    )
    ema_decay: float = option(
        0.99,
        "decay of a running mean of the weights that is used for predictions; 0 uses the weights "
        "themselves",
        minimum=0,
        maximum=0.99999,
    )
    seed: int = option(
        0, "random seed of weights, drawing and augmentation", minimum=0, maximum=2**32 - 1
    )
    precision: str = option(
        "auto",
        "auto uses mixed_bfloat16 if the hardware supports it",
        choices=PRECISIONS,
        on_resume="warn",
    )
    deterministic: bool = option(False, "identical numbers in each run, at some cost in speed")
    devices: int | None = option(
        None,
        "number of GPUs, or of virtual CPUs if there is no GPU; default all GPUs, or one CPU",
        minimum=1,
        on_resume="free",
    )
    cache_dir: str = option(
        "",
        "where resized pixels are cached; default: the directory .cache in the data set",
        on_resume="free",
    )
    checkpoint_every_steps: int = option(
        500, "steps between checkpoints", minimum=1, on_resume="free"
    )
    log_every_steps: int = option(
        50,
        "steps between lines of history.jsonl, each the mean since the previous line",
        minimum=1,
        on_resume="free",
    )
    val_every_steps: int = option(
        500,
        "steps between scores on labelled val pictures, which do not choose a checkpoint; 0 for "
        "none",
        minimum=0,
        on_resume="free",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale_high < self.scale_low:
            raise UserError(
                f"--scale_high={self.scale_high}: must be at least --scale_low={self.scale_low}"
            )


@dataclass(frozen=True, kw_only=True)
class TrainSegmenterConfig(SegmenterOptions):
    """The pictures to learn from, and the run's directory."""

    data_dir: str = option(
        "", "labelled data set to train on", required=True, alias="data", on_resume="free"
    )
    split: str = option("train", "its split to train on")
    val_dir: str = option(
        "", "labelled data set for the curve of scores; default: --data_dir", on_resume="free"
    )
    val_split: str = option(
        "val", "its split; without labelled pictures there, no curve is drawn", on_resume="free"
    )
    run_dir: str = option(
        "", "directory of the run; the same command resumes it", required=True, on_resume="free"
    )


@dataclass(frozen=True, kw_only=True)
class SegmentConfig(Options):
    """Options of `tfcyclegan segment`."""

    segmenter_dir: str = option("", "run directory of train_segmenter", required=True)
    input: str = option("", "picture or folder of pictures; or use --data_dir and --split")
    data_dir: str = option(
        "",
        "prepared data set to use instead of --input; scored if it has labels",
    )
    split: str = option("val", "split of --data_dir")
    pages: str = pages_option()
    alpha: str = alpha_option()
    extra_bands: str = extra_bands_option()
    max_value: int | None = max_value_option()
    output: str = option(
        "",
        "folder for labelIds/ (PNGs of class ids) and overlays/ (colours over the pictures)",
        required=True,
    )
    overlays: bool = option(True, "draw the overlays")

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.input) == bool(self.data_dir):
            raise UserError("--input or --data_dir: give one of them")
        if self.input and self.split != "val":
            raise UserError(f"--split={self.split}: requires --data_dir; --input has no splits")
        if self.data_dir and (
            self.pages != "all" or self.extra_bands != "refuse" or self.max_value is not None
        ):
            raise UserError(
                "--pages, --extra_bands, --max_value: require --input; data_prep has read the "
                "pictures of a prepared data set"
            )


@dataclass(frozen=True, kw_only=True)
class ExportSegmenterConfig(Options):
    """Options of `tfcyclegan export_segmenter`."""

    segmenter_dir: str = option("", "run directory of train_segmenter", required=True)
    output: str = option("", "folder of the model, such as saved_models/segmenter", required=True)
    tflite_size: Size | None = option(
        None, "size of the TFLite models' pictures; default: the training size"
    )
