"""Every option of every command: its default, its help and its bounds. Imports no TensorFlow.

A command's options are one frozen, keyword-only dataclass; `flags.py` turns its fields into flags of the same names.
"""

import dataclasses
import math
import re
import types
import typing
from dataclasses import dataclass
from typing import Any

from tfcyclegan.errors import UserError


@dataclass(frozen=True)
class Size:
    """Height and width in pixels, written `64` or `180x360`."""

    height: int
    width: int

    @staticmethod
    def parse(text: str) -> "Size":
        numbers = text.lower().split("x")
        if len(numbers) not in (1, 2) or not all(number.isascii() and number.isdigit() and int(number) > 0 for number in numbers):
            raise UserError(f"{text!r} is not a size; write one number or HEIGHTxWIDTH")
        return Size(int(numbers[0]), int(numbers[-1]))

    def __str__(self) -> str:
        return str(self.height) if self.height == self.width else f"{self.height}x{self.width}"


def option(
    default: Any,
    help: str,  # noqa: A002 - the name that flags use
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    choices: tuple[Any, ...] = (),
    required: bool = False,
    alias: str = "",
    on_resume: str = "fixed",
) -> Any:
    """A dataclass field with its help and bounds.

    Args:
        default: the value when the flag is not given.
        help: one sentence for `--help`.
        minimum: smallest value allowed.
        above: the value must be greater than this.
        maximum: greatest value allowed.
        choices: the valid values, if they can be listed.
        required: an empty string is refused.
        alias: a second name of the flag.
        on_resume: what a resumed run may do to the value: "fixed" (must be the same), "free", "grow" or "warn".
    """
    metadata = {
        "help": help,
        "minimum": minimum,
        "above": above,
        "maximum": maximum,
        "choices": choices,
        "required": required,
        "alias": alias,
        "on_resume": on_resume,
    }
    return dataclasses.field(default=default, metadata=metadata)


def option_type(field: dataclasses.Field[Any]) -> type:
    """The type of an option's value; for `int | None` that is int."""
    if isinstance(field.type, types.UnionType):
        return next(kind for kind in typing.get_args(field.type) if kind is not type(None))
    assert isinstance(field.type, type), "options modules must not postpone the evaluation of annotations"
    return field.type


def flag_name(field: dataclasses.Field[Any]) -> str:
    """The flag of an option: its name, without the underscore that keeps a field from being a Python keyword."""
    return field.name.rstrip("_")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Checks each field against its bounds when it is made; subclasses add checks between fields."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    name, bounds = f"--{flag_name(field)}", field.metadata
    if bounds["required"] and not value:
        raise UserError(f"{name}: required; {bounds['help']}")
    if value is None:
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{name}={value}: must be a finite number")
    if bounds["choices"] and value not in bounds["choices"]:
        raise UserError(f"{name}={value}: unknown choice; valid are {', '.join(map(str, bounds['choices']))}")
    if bounds["minimum"] is not None and value < bounds["minimum"]:
        raise UserError(f"{name}={value}: must be at least {bounds['minimum']}")
    if bounds["above"] is not None and value <= bounds["above"]:
        raise UserError(f"{name}={value}: must be greater than {bounds['above']}")
    if bounds["maximum"] is not None and value > bounds["maximum"]:
        raise UserError(f"{name}={value}: must be at most {bounds['maximum']}")


# --- what several commands share -------------------------------------------------------------------------------------

PREPROCESS_CHOICES = ("resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
DIRECTIONS = ("ab", "ba")


@dataclass(frozen=True, kw_only=True)
class DataOptions(Options):
    """Where the pictures are and how they become batches."""

    data_dir: str = option(
        "",
        "data set that data_prep made with trainA and trainB, or any TFDS one (tfds:NAME downloads it); "
        "or a data set for each domain, A,B with a comma between",
        required=True,
        alias="data",
        on_resume="free",
    )
    data_recipe: str = option("", "how --data_dir is made, told where it is missing", on_resume="free")
    cache_dir: str = option("", "where resized pixels are kept; default: the directory .cache in the data set", on_resume="free")
    preprocess: str = option("resize_and_crop", "how a picture becomes a training image", choices=PREPROCESS_CHOICES)
    load_size: Size = option(Size(286, 286), "size to which pictures are resized (scale_width uses its width)")
    crop_size: Size = option(Size(256, 256), "size of the random crop that the networks see")
    flip: bool = option(True, "mirror half of the training images")
    channels_a: int = option(3, "channels of domain A: 1 or 3", choices=(1, 3))
    channels_b: int = option(3, "channels of domain B: 1 or 3", choices=(1, 3))


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(Options):
    """Generators and discriminators; defaults are the paper's for 256x256."""

    generator: str = option("resnet", "resnet, resnet_Nblocks, unet_128, unet_256, or a .json graph of import_weights")
    residual_blocks: int | None = option(None, "residual blocks of resnet; default 9, as for 256x256; 6 for 128x128", minimum=1)
    base_filters: int = option(64, "filters of the generators' first convolution", minimum=1)
    upsampling: str = option("transposed", "resize is nearest + convolution, against checkerboards", choices=("transposed", "resize"))
    generator_padding: str = option("zeros", "padding of ResNet generators' strided convolutions", choices=("zeros", "reflect"))
    dropout: bool = option(False, "dropout in the generators")
    discriminator: str = option("patch", "patch is the 70x70 PatchGAN, pixel its 1x1 variant", choices=("patch", "pixel"))
    discriminator_layers: int = option(3, "strided convolutions of the patch discriminator", minimum=1)
    discriminator_filters: int = option(64, "filters of the discriminators' first convolution", minimum=1)
    discriminator_padding: str = option("zeros", "padding of the discriminators' convolutions", choices=("zeros", "reflect"))
    norm: str = option("instance", "normalisation in all networks", choices=("instance", "batch", "none"))
    init: str = option("normal", "distribution of initial weights", choices=("normal", "xavier", "kaiming", "orthogonal"))
    init_gain: float = option(0.02, "scale of initial weights", above=0)

    @property
    def architecture(self) -> str:
        """The generator's name as the official program writes it."""
        return f"resnet_{self.residual_blocks or 9}blocks" if self.generator == "resnet" else self.generator

    @property
    def size_multiple(self) -> int:
        """What the sides of an image must be multiples of."""
        return {"unet_128": 128, "unet_256": 256}.get(self.generator, 4)


@dataclass(frozen=True, kw_only=True)
class ObjectiveOptions(Options):
    """Losses and the order of updates."""

    gan_mode: str = option(
        "lsgan",
        "adversarial loss; hinge is not the paper's, lsgan_sigmoid is seed report 2's",
        choices=("lsgan", "vanilla", "hinge", "lsgan_sigmoid"),
    )
    lambda_a: float = option(10.0, "weight of the cycle A -> B -> A", minimum=0)
    lambda_b: float = option(10.0, "weight of the cycle B -> A -> B", minimum=0)
    lambda_identity: float = option(0.5, "weight of the identity losses relative to lambda_a and lambda_b; 0 leaves them out", minimum=0)
    pool_size: int = option(50, "fakes kept for the discriminators; 0 for none", minimum=0)
    update_order: str = option(
        "generators_first", "which networks a step updates first", choices=("generators_first", "discriminators_first")
    )


@dataclass(frozen=True, kw_only=True)
class OptimizationOptions(Options):
    """Optimizer, length and arithmetic of the training."""

    batch_size: int = option(1, "images of each domain in a step, over all devices", minimum=1)
    learning_rate: float = option(2e-4, "Adam's rate at the start", above=0, maximum=1)
    beta_1: float = option(0.5, "Adam's decay of the first moment", minimum=0, maximum=0.999)
    schedule: str = option("linear", "how the rate falls", choices=("linear", "cosine", "step", "constant", "cosine_official"))
    epochs: int | None = option(None, "epochs at the full rate; default 100 unless --max_steps is given", minimum=0, on_resume="grow")
    decay_epochs: int | None = option(None, "epochs of falling rate after them; default 100 where --epochs has its default", minimum=0)
    step_epochs: int = option(50, "epochs between the falls of --schedule=step", minimum=1)
    max_steps: int | None = option(None, "stop after this many steps; alone, the rate is constant", minimum=1, on_resume="grow")
    ema_decay: float = option(
        0.0, "keep a running mean of the generators' weights and use it for translating; 0.999 is usual", minimum=0, maximum=0.99999
    )
    seed: int = option(0, "of weights, order, crops and pools", minimum=0, maximum=2**32 - 1)
    precision: str = option("auto", "auto takes mixed_bfloat16 where the hardware has it", choices=PRECISIONS, on_resume="warn")
    deterministic: bool = option(False, "the same numbers at each run, at some cost in speed")
    devices: int | None = option(
        None, "how many GPUs, or CPU shares where there is no GPU; default all GPUs, or one CPU", minimum=1, on_resume="free"
    )
    init_from: str = option("", "run directory whose weights to start from; its history is drawn before this run's", on_resume="free")


@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """What is written while training, and when."""

    run_dir: str = option("", "directory of the run; the same command resumes it", required=True, on_resume="free")
    checkpoint_every_steps: int = option(1000, "steps between checkpoints", minimum=1, on_resume="free")
    keep_checkpoints: int = option(3, "latest checkpoints kept", minimum=1, on_resume="free")
    log_every_steps: int = option(50, "steps between lines of history.jsonl, each the mean since the last", minimum=1, on_resume="free")
    sample_every_steps: int = option(500, "steps between sample strips", minimum=1, on_resume="free")
    sample_images: int = option(4, "pictures in a sample strip", minimum=1, maximum=64, on_resume="free")
    eval_every_steps: int = option(
        0,
        "steps between the measurements that choose the best checkpoint; 0 for never",
        minimum=0,
        on_resume="free",
    )
    eval_split: str = option(
        "val",
        "pictures of these measurements: val (train where the data have none), or train where val is to be scored",
        choices=("val", "train"),
        on_resume="free",
    )
    eval_images: int = option(48, "pictures a domain in such a measurement", minimum=8, on_resume="free")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(RunOptions, OptimizationOptions, ObjectiveOptions, NetworkOptions, DataOptions):
    """Options of `tfcyclegan train`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"resnet(_[1-9]\d*blocks)?|unet_(128|256)|.+\.json", self.generator):
            raise UserError(f"--generator={self.generator}: unknown choice; valid are resnet, resnet_Nblocks, unet_128, unet_256")
        if self.residual_blocks is not None and self.generator != "resnet":
            raise UserError(f"--residual_blocks={self.residual_blocks}: goes with --generator=resnet alone, not {self.generator}")
        for name, official in (("upsampling", "transposed"), ("generator_padding", "zeros")):
            if getattr(self, name) != official and not self.architecture.endswith("blocks"):
                raise UserError(f"--{name}={getattr(self, name)}: goes with ResNet generators alone")
        if self.lambda_identity and self.channels_a != self.channels_b:
            raise UserError(
                f"--lambda_identity={self.lambda_identity}: identity losses need domains of the same channel count, "
                f"not {self.channels_a} and {self.channels_b}; set --lambda_identity=0"
            )
        if self.decay_epochs is not None and self.epochs is None:
            raise UserError("--decay_epochs: needs --epochs, the epochs before the rate falls")
        if self.schedule == "cosine_official" and self.epochs == 0:
            raise UserError("--schedule=cosine_official: needs --epochs of at least 1")
        if self.eval_every_steps % self.log_every_steps:
            raise UserError(f"--eval_every_steps={self.eval_every_steps}: must be a multiple of --log_every_steps={self.log_every_steps}")
        self._check_sizes()

    def _check_sizes(self) -> None:
        crops = self.preprocess in ("resize_and_crop", "crop", "scale_width_and_crop")
        crop, load, multiple = self.crop_size, self.load_size, self.size_multiple
        smallest = 2 ** (self.discriminator_layers + 1) + 2**self.discriminator_layers if self.discriminator == "patch" else 12
        if crops and min(crop.height, crop.width) < max(12, smallest):
            raise UserError(f"--crop_size={crop}: the networks need sides of at least {max(12, smallest)}; or lower --discriminator_layers")
        if crops and (crop.height % multiple or crop.width % multiple):
            raise UserError(f"--crop_size={crop}: {self.architecture} needs sides that are multiples of {multiple}")
        if not crops and multiple > 4:
            raise UserError(f"--preprocess={self.preprocess}: {self.architecture} needs crops whose sides are multiples of {multiple}")
        if self.preprocess == "resize_and_crop" and (crop.height > load.height or crop.width > load.width):
            raise UserError(f"--crop_size={crop}: larger than --load_size={load}")
        if self.preprocess == "scale_width_and_crop" and crop.width > load.width:
            raise UserError(f"--crop_size={crop}: wider than --load_size={load}")

    def length(self, epoch_images: int) -> "TrainingLength":
        """Steps and epochs of the training over a data set with `epoch_images` images an epoch."""
        epochs, decay_epochs = self.epochs, self.decay_epochs
        if epochs is None and self.max_steps is not None:
            return TrainingLength(self.max_steps, None, 0)
        if epochs is None:
            epochs, decay_epochs = 100, 100
        steps = math.ceil((epochs + (decay_epochs or 0)) * epoch_images / self.batch_size)
        if not steps:
            raise UserError("--epochs=0: nothing to train; give --epochs, --decay_epochs or --max_steps")
        return TrainingLength(min(steps, self.max_steps or steps), epochs, decay_epochs or 0)


@dataclass(frozen=True)
class TrainingLength:
    """How long a training is: `epochs` is None where the rate is constant and only steps count."""

    steps: int
    epochs: int | None
    decay_epochs: int


CHECKPOINT_HELP = "latest, best or a step"


@dataclass(frozen=True, kw_only=True)
class TranslateConfig(Options):
    """Options of `tfcyclegan translate`."""

    run_dir: str = option("", "run directory to translate with")
    model: str = option("", "exported model to translate with, instead of --run_dir: a SavedModel directory or a .tflite file")
    checkpoint: str = option("latest", CHECKPOINT_HELP)
    direction: str = option("ab", "ab or ba", choices=DIRECTIONS)
    input: str = option("", "picture or folder of pictures; or use --data_dir and --split")
    data_dir: str = option("", "prepared data set to take pictures from, instead of --input")
    split: str = option("testA", "split of --data_dir")
    scale: str = option(
        "trained", "trained resizes pictures as the training of --run_dir did, original keeps their sizes", choices=("trained", "original")
    )
    output: str = option("", "folder for the translated PNGs", required=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.run_dir) == bool(self.model):
            raise UserError("--run_dir or --model: give one of them")
        if bool(self.input) == bool(self.data_dir):
            raise UserError("--input or --data_dir: give one of them")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Options):
    """Options of `tfcyclegan evaluate`."""

    run_dir: str = option("", "run to score", required=True)
    data_dir: str = option("", "prepared data set, or two with a comma between; default: the run's own")
    pairs: str = option("", "CSV file with the columns a,b: names of pictures of a and b that show the same, where names differ")
    checkpoint: str = option("latest", CHECKPOINT_HELP)
    split: str = option("test", "test, or val for choosing settings without looking at the test pictures", choices=("test", "val"))
    direction: str = option("ab", "ab, ba or both", choices=(*DIRECTIONS, "both"))
    output: str = option("", "folder for metrics.json and the pictures; default: evaluation in --run_dir")


@dataclass(frozen=True, kw_only=True)
class ExportConfig(Options):
    """Options of `tfcyclegan export`."""

    run_dir: str = option("", "run to export", required=True)
    output: str = option("", "folder of the model, such as saved_models/satellite2map", required=True)
    checkpoint: str = option("latest", CHECKPOINT_HELP)
    direction: str = option("ab", "ab or ba", choices=DIRECTIONS)
    tflite_size: Size | None = option(None, "size of the TFLite models' pictures; default: the run's crop size")


@dataclass(frozen=True, kw_only=True)
class ImportConfig(Options):
    """Options of `tfcyclegan import_weights`. A flag's name is the field's without the underscore behind it."""

    from_: str = option(
        "",
        "whose weights: pytorch (official .pth files) or tfa (Keras 2 .h5 with tensorflow-addons)",
        required=True,
        choices=("pytorch", "tfa"),
    )
    weights: str = option("", "the file; or, for pytorch, the folder with latest_net_G_A.pth, ..._G_B, ..._D_A and ..._D_B", required=True)
    output: str = option("", "run directory to make", required=True)
    network: str = option(
        "", "which network a single file is; default by its name, else gen_ab", choices=("", "gen_ab", "gen_ba", "disc_a", "disc_b")
    )
