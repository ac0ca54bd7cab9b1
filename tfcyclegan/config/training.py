"""Options of `tfcyclegan train`."""

import dataclasses
import math
import re
from dataclasses import dataclass

from tfcyclegan.config.base import Options, flag_name, option
from tfcyclegan.config.batches import (
    MODES_WITH_CROP,
    AugmentationOptions,
    DataOptions,
    PairOptions,
)
from tfcyclegan.config.display import DisplayOptions
from tfcyclegan.config.labels import LabelOptions, check_labels
from tfcyclegan.config.methods import (
    AUGMENTED,
    CONTRASTIVE,
    METHODS,
    MethodOptions,
    SingleMethodsOptions,
    default_of,
)
from tfcyclegan.config.networks import ARCHITECTURES, NetworkOptions
from tfcyclegan.config.run import EVAL_STEPS, RunOptions
from tfcyclegan.errors import UserError

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
GAN_MODES = ("lsgan", "vanilla", "hinge", "lsgan_sigmoid")
DECAYING_SCHEDULES = ("linear", "cosine")
"""The schedules whose learning rate falls over --decay_epochs."""
SCHEDULES = (*DECAYING_SCHEDULES, "step", "constant", "cosine_official")


@dataclass(frozen=True, kw_only=True)
class ObjectiveOptions(Options):
    """Losses and the order of updates."""

    gan_mode: str = option(
        "lsgan",
        "adversarial loss; hinge is not in the paper, lsgan_sigmoid is from Rao et al. 2023, see "
        "docs/reproducing.md",
        choices=GAN_MODES,
        of_method={"pix2pix": "vanilla"},
    )
    lambda_gan: float = option(
        1.0, "weight of the adversarial losses; 0 trains with the other losses only", minimum=0
    )
    lambda_l1: float = option(
        100.0, "weight of the L1 to the known targets", minimum=0, methods=("pix2pix",)
    )
    lambda_a: float = option(
        10.0,
        "weight of the cycle A -> B -> A",
        minimum=0,
        methods=("cyclegan", AUGMENTED),
        of_method={AUGMENTED: 1.0},
    )
    lambda_b: float = option(
        10.0,
        "weight of the cycle B -> A -> B",
        minimum=0,
        methods=("cyclegan", AUGMENTED),
        of_method={AUGMENTED: 1.0},
    )
    lambda_identity: float = option(
        0.5,
        "weight of the identity losses relative to --lambda_a and --lambda_b; 0 leaves them out",
        minimum=0,
        methods=("cyclegan",),
    )
    segmenter: str = option(
        "",
        "run directory of a segmenter of domain A, for the semantic losses of CyCADA",
        methods=("cyclegan",),
        on_resume="free",  # recognised by its weights
    )
    lambda_semantic: float = option(
        1.0,
        "weight of the semantic losses; they need --segmenter",
        minimum=0,
        methods=("cyclegan",),
    )
    cycle_noise: float = option(
        0.0,
        "standard deviation, for pixels in [-1, 1], of noise added to a fake before it is cycled "
        "back, to keep the generator from hiding the source in it",
        minimum=0,
        methods=("cyclegan",),
    )
    pool_size: int = option(
        50,
        "size of the pool of earlier fakes shown to the discriminators; 0 for none",
        minimum=0,
        of_method={"cut": 0, "fastcut": 0, "pix2pix": 0, AUGMENTED: 0},
    )
    update_order: str = option(
        "generators_first",
        "which networks a step updates first",
        choices=("generators_first", "discriminators_first"),
        methods=("cyclegan",),
    )


@dataclass(frozen=True, kw_only=True)
class OptimizationOptions(Options):
    """Optimizer, length and arithmetic of training."""

    batch_size: int = option(1, "images of each domain in a step, over all devices", minimum=1)
    accumulate_steps: int = option(
        1,
        "small batches of one size into which a step divides its batch, for batches that memory "
        "does not hold: their gradients are summed before the one update",
        minimum=1,
        on_resume="warn",
    )
    learning_rate: float = option(2e-4, "Adam's initial learning rate", above=0, maximum=1)
    beta_1: float = option(0.5, "Adam's decay of the first moment", minimum=0, maximum=0.999)
    beta_2: float = option(0.999, "Adam's decay of the second moment", minimum=0, maximum=0.99999)
    schedule: str = option("linear", "how the learning rate falls", choices=SCHEDULES)
    epochs: int | None = option(
        None,
        "epochs at the full learning rate; default 100 (cut 200, fastcut 150, augmented 25) "
        "unless --max_steps is given",
        minimum=0,
        on_resume="grow",
    )
    decay_epochs: int | None = option(
        None,
        "further epochs with a falling learning rate; default 100 (cut 200, fastcut 50, augmented "
        "25) if --epochs has its default",
        minimum=0,
    )
    step_epochs: int = option(50, "epochs between the steps of --schedule=step", minimum=1)
    max_steps: int | None = option(
        None,
        "stop after this many steps; without --epochs the learning rate is constant",
        minimum=1,
        on_resume="grow",
    )
    ema_decay: float = option(
        0.0,
        "decay of a running mean of the generators' weights that is used for translating; 0.999 is "
        "usual",
        minimum=0,
        maximum=0.99999,
    )
    seed: int = option(
        0, "random seed of weights, order, crops and image pools", minimum=0, maximum=2**32 - 1
    )
    precision: str = option(
        "auto",
        "auto uses mixed_bfloat16 if the hardware supports it",
        choices=PRECISIONS,
        on_resume="warn",
    )
    remat: bool = option(
        False,
        "recompute activations in the backward pass instead of keeping them: less memory, a third "
        "more computation; for large crops",
        on_resume="warn",
    )
    xla: bool = option(
        False,
        "compile the networks' passes with XLA; slower on CPUs, not measured on GPUs",
        on_resume="warn",
    )
    deterministic: bool = option(False, "identical numbers in each run, at some cost in speed")
    devices: int | None = option(
        None,
        "number of GPUs, or of virtual CPUs if there is no GPU; default all GPUs, or one CPU",
        minimum=1,
        on_resume="free",
    )
    init_from: str = option(
        "",
        "run directory whose weights to start from; its history is plotted before this run's",
        on_resume="free",
    )


@dataclass(frozen=True, kw_only=True)
class TrainConfig(
    DisplayOptions,
    RunOptions,
    OptimizationOptions,
    SingleMethodsOptions,
    ObjectiveOptions,
    NetworkOptions,
    AugmentationOptions,
    PairOptions,
    LabelOptions,
    DataOptions,
    MethodOptions,
):
    """Options of `tfcyclegan train`.

    Options that were not given take the method's defaults; options that the method does not have
    are None.
    """

    def __post_init__(self) -> None:
        self._take_defaults()
        super().__post_init__()
        known = self.generator in ARCHITECTURES or self.is_own
        if not known and not re.fullmatch(r"resnet(_[1-9]\d*blocks)?|.+\.json", self.generator):
            raise UserError(
                f"--generator={self.generator}: unknown choice; valid are resnet, resnet_Nblocks, "
                f"{', '.join(ARCHITECTURES)}, or MODULE:FUNCTION for your own"
            )
        if self.is_own:
            self._check_own()
        if self.residual_blocks is not None and self.generator != "resnet":
            raise UserError(
                f"--residual_blocks={self.residual_blocks}: requires --generator=resnet, not "
                f"{self.generator}"
            )
        for name, official in (("upsampling", "transposed"), ("generator_padding", "zeros")):
            if getattr(self, name) != official and not self.is_resnet:
                raise UserError(f"--{name}={getattr(self, name)}: requires ResNet generators")
        channels_a, channels_b = self.channels_of("a"), self.channels_of("b")
        if self.lambda_identity and channels_a != channels_b:
            raise UserError(
                f"--lambda_identity={self.lambda_identity}: identity losses need domains with the "
                f"same number of channels, not {channels_a} and {channels_b}; set "
                "--lambda_identity=0"
            )
        check_labels(self)
        for name in ("noise_inputs", "separable", "input_skip"):
            if getattr(self, name) and not self.is_resnet:
                raise UserError(f"--{name}: requires ResNet generators")
        if self.noise_inputs and not self.antialias_up:
            raise UserError("--noise_inputs: requires --antialias_up")
        if self.input_skip and channels_a != channels_b:
            raise UserError(
                f"--input_skip: needs domains with the same number of channels, not {channels_a} "
                f"and {channels_b}; leave it out"
            )
        self._check_method()
        if self.decay_epochs is not None and self.epochs is None:
            raise UserError(
                "--decay_epochs: needs --epochs, the epochs before the learning rate falls"
            )
        if self.schedule == "cosine_official" and self.epochs == 0:
            raise UserError("--schedule=cosine_official: needs --epochs of at least 1")
        once = self.norm == "batch" or self.dropout or self.noise_inputs
        if self.remat and (not self.is_resnet or once):
            raise UserError(
                "--remat: requires ResNet generators without dropout, noise and batch norm, which "
                "would not compute the same result twice"
            )
        self.check_sizes(self.size_multiple)
        self._check_batches()

    def _take_defaults(self) -> None:
        """Sets the method's defaults; raises UserError for an option of another method."""
        for field in dataclasses.fields(self):
            value, methods = getattr(self, field.name), field.metadata["methods"]
            if value is None:
                # bypasses the frozen dataclass
                object.__setattr__(self, field.name, default_of(field, self.method))
            elif methods and self.method not in methods:
                shown = str(value).lower() if isinstance(value, bool) else value
                raise UserError(
                    f"--{flag_name(field)}={shown}: requires --method={' or '.join(methods)}, not "
                    f"{self.method}; leave it out"
                )
        if self.labelled and not self.lambda_paired:
            object.__setattr__(self, "lambda_paired", 1.0)
        resizes = self.preprocess in ("resize_and_crop", "scale_width_and_crop")
        if self.method in CONTRASTIVE and not resizes:
            object.__setattr__(self, "decay_load_size", "same")

    def _check_own(self) -> None:
        fields = {field.name: field for field in dataclasses.fields(self)}
        for name in ("base_filters", "dropout"):
            if (value := getattr(self, name)) != default_of(fields[name], self.method):
                raise UserError(f"--{name}={value}: {self.generator} determines it; leave it out")

    @property
    def has_identity(self) -> bool:
        """Whether a generator may be given a picture of its target domain."""
        return self.channels_of("a") == self.channels_of("b") and len(self.onehot) != 1

    def _check_method(self) -> None:
        weights = METHODS[self.method].weights
        if not self.labelled and not any(getattr(self, name) for name in weights):
            others = " and ".join(f"--{name}=0" for name in weights[1:])
            raise UserError(
                f"--lambda_gan=0: with {others} no loss is left to train the generators"
            )
        if self.xla and self.update_order == "discriminators_first":
            raise UserError("--xla: not with --update_order=discriminators_first")
        if self.xla and self.method != "cyclegan":
            raise UserError(
                f"--xla: not with --method={self.method}, whose discriminator is updated in the "
                "middle of the generator's pass"
            )
        if self.antialias_up and self.upsampling != "transposed":
            raise UserError(
                f"--upsampling={self.upsampling}: --antialias_up replaces it; leave one of them "
                "out, or give --noantialias_up"
            )
        if self.method in CONTRASTIVE:
            self._check_contrastive()
        if self.method == AUGMENTED:
            self._check_augmented()
        if self.method == "distill" and not self.teacher:
            raise UserError("--teacher: required with --method=distill; give the run to learn from")

    def _check_contrastive(self) -> None:
        if not self.is_resnet:
            raise UserError(
                f"--generator={self.generator}: --method={self.method} needs a ResNet generator, "
                "whose encoder provides the features to compare"
            )
        channels_a, channels_b = self.channels_of("a"), self.channels_of("b")
        if channels_a != channels_b:
            raise UserError(
                f"--channels_a={channels_a}: --method={self.method} needs domains with the same "
                f"number of channels, not {channels_a} and {channels_b}, since the generator's "
                "encoder reads pictures of both"
            )
        last = self._official_lines - 1
        if not re.fullmatch(r"\d+(,\d+)*", self.nce_layers):
            raise UserError(
                f"--nce_layers={self.nce_layers}: must be numbers separated by commas, such as "
                "0,4,8,12,16"
            )
        layers = self.nce_indices
        if list(layers) != sorted(set(layers)):
            raise UserError(f"--nce_layers={self.nce_layers}: must be in ascending order")
        if layers[-1] > last:
            raise UserError(f"--nce_layers={self.nce_layers}: the generator's last layer is {last}")

    def _check_augmented(self) -> None:
        if not self.is_resnet:
            raise UserError(
                f"--generator={self.generator}: --method={self.method} needs a ResNet generator, "
                "into whose norms the latent goes"
            )
        if self.norm != "instance":
            raise UserError(
                f"--norm={self.norm}: --method={self.method} needs instance norms, whose scale and "
                f"shift its latent sets; --discriminator_norm={self.norm} changes those of the "
                "discriminators alone"
            )

    @property
    def nce_indices(self) -> tuple[int, ...]:
        """The layers in `nce_layers`."""
        return tuple(map(int, self.nce_layers.split(",")))

    @property
    def _official_lines(self) -> int:
        """Number of layers of a ResNet generator, as numbered in the official program."""
        halving, doubling = (4 if blurs else 3 for blurs in (self.antialias, self.antialias_up))
        return 4 + 2 * halving + self.block_count + 2 * doubling + 3

    def check_sizes(self, multiple: int) -> None:
        """Raises UserError if the sides of pictures do not fit networks whose sides must be
        multiples of `multiple`.
        """
        crops = self.preprocess in MODES_WITH_CROP
        crop, load = self.crop_size, self.load_size
        if crops and min(crop.height, crop.width) < self.smallest_side:
            raise UserError(
                f"--crop_size={crop}: the networks need sides of at least {self.smallest_side}; "
                "raise it or lower --discriminator_layers"
            )
        if crops and (crop.height % multiple or crop.width % multiple):
            raise UserError(
                f"--crop_size={crop}: {self.architecture} needs sides that are multiples of "
                f"{multiple}"
            )
        if not crops and multiple > 4:
            raise UserError(
                f"--preprocess={self.preprocess}: {self.architecture} needs crops whose sides are "
                f"multiples of {multiple}"
            )
        if self.preprocess == "resize_and_crop" and (
            crop.height > load.height or crop.width > load.width
        ):
            raise UserError(f"--crop_size={crop}: larger than --load_size={load}")
        if self.preprocess == "scale_width_and_crop" and crop.width > load.width:
            raise UserError(f"--crop_size={crop}: wider than --load_size={load}")

    def _check_small_batches(self) -> None:
        flag, first = f"--accumulate_steps={self.accumulate_steps}", "updates discriminators first"
        if self.batch_size % self.accumulate_steps:
            raise UserError(f"{flag}: must divide --batch_size={self.batch_size}")
        for given, why in (
            (self.method not in ("cyclegan", "distill"), f"--method={self.method}, which {first}"),
            (self.update_order == "discriminators_first", "--update_order=discriminators_first"),
            (self.norm == "batch", "--norm=batch, which would be of the small batches"),
            (self.discriminator_norm == "batch", "--discriminator_norm=batch, likewise"),
            (self.xla, "--xla"),
        ):
            if given and self.accumulate_steps > 1:
                raise UserError(f"{flag}: not with {why}")

    def _check_batches(self) -> None:
        self._check_small_batches()
        crops, crop = self.preprocess in MODES_WITH_CROP, self.crop_size
        if self.rotations and (not crops or crop.height != crop.width):
            shown = f"--crop_size={crop}" if crops else f"--preprocess={self.preprocess}"
            raise UserError(f"--rotations: rotated pictures need square crops, not {shown}")
        if self.decay_load_size == "crop" and self.preprocess not in (
            "resize_and_crop",
            "scale_width_and_crop",
        ):
            raise UserError(
                "--decay_load_size=crop: requires a --preprocess that resizes and crops, not "
                f"{self.preprocess}"
            )

    @property
    def smallest_side(self) -> int:
        """The least height and width of pictures that the networks can be trained on."""
        return max(12, 3 * 2**self.discriminator_layers if self.discriminator == "patch" else 0)

    @property
    def measures(self) -> bool:
        """Whether the run measures checkpoints, and so has a best one."""
        return bool(self.eval_every_steps or self.eval_every_epochs)

    def measured_every(self, epoch_images: int) -> int:
        """Steps between measurements for `epoch_images` images per epoch; 0 for never."""
        if self.eval_every_steps or not self.eval_every_epochs:
            return self.eval_every_steps
        return max(EVAL_STEPS, round(self.eval_every_epochs * epoch_images / self.batch_size))

    def length(self, epoch_images: int) -> "TrainingLength":
        """Steps and epochs of the training for `epoch_images` images per epoch."""
        epochs, decay_epochs = self.epochs, self.decay_epochs
        if epochs is None and self.max_steps is not None:
            return TrainingLength(self.max_steps, None, 0)
        if epochs is None:
            usual = METHODS[self.method]
            epochs, decay_epochs = usual.epochs, usual.decay_epochs
        steps = math.ceil((epochs + (decay_epochs or 0)) * epoch_images / self.batch_size)
        if not steps:
            raise UserError(
                "--epochs=0: nothing to train; give --epochs, --decay_epochs or --max_steps"
            )
        return TrainingLength(min(steps, self.max_steps or steps), epochs, decay_epochs or 0)


@dataclass(frozen=True)
class TrainingLength:
    """The length of training; `epochs` is None if the learning rate is constant and only steps
    count.
    """

    steps: int
    epochs: int | None
    decay_epochs: int
