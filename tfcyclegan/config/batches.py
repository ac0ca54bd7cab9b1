"""Options of the data and batches of training, of augmentation and of known pairs."""

from dataclasses import dataclass

from tfcyclegan.config.base import Options, Size, option
from tfcyclegan.errors import UserError

DIFFAUGMENT = ("colour", "translation", "cutout")
"""The augmentations that --diffaugment may list."""
MOST_CHANNELS = 64

PREPROCESS_MODES = ("resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none")
INTERPOLATIONS = ("bicubic", "bilinear", "area", "bilinear_opencv")
INTERPOLATION_HELP = (
    "how pictures are resized: Pillow's antialiased bicubic (as in the official program) or "
    "bilinear, the mean of each area, or OpenCV's bilinear without antialiasing (the default of "
    "albumentations); label maps always use the nearest pixel"
)
MODES_WITH_CROP = ("resize_and_crop", "crop", "scale_width_and_crop")


@dataclass(frozen=True, kw_only=True)
class DataOptions(Options):
    """Where the pictures are and how they become batches."""

    data_dir: str = option(
        "",
        "data set made by data_prep with trainA and trainB, or any TFDS data set (tfds:NAME "
        "downloads it), or MODULE:FUNCTION, your own function that returns the pictures of a split "
        "(docs/data.md); or one for each domain, as A,B",
        required=True,
        alias="data",
        on_resume="free",
    )
    data_recipe: str = option(
        "", "how to make --data_dir, in words; shown if it is missing", on_resume="free"
    )
    cache: str = option(
        "pixels",
        "pixels stores the resized pictures before the training; none decodes and resizes them "
        "anew each time they are used, for sets that the disk does not hold twice: the same "
        "batches, slower",
        choices=("pixels", "none"),
        on_resume="free",
    )
    cache_dir: str = option(
        "",
        "where resized pixels are cached, or with --cache=none the places of the records; default: "
        "the directory .cache in the data set, or ~/.cache/tfcyclegan for pictures of a function",
        on_resume="free",
    )
    preprocess: str = option(
        "resize_and_crop", "how a picture becomes a training image", choices=PREPROCESS_MODES
    )
    load_size: Size = option(
        Size(286, 286), "size to which pictures are resized (scale_width uses its width)"
    )
    crop_size: Size = option(Size(256, 256), "size of the random crop that the networks see")
    decay_load_size: str = option(
        "same",
        "size to which pictures are resized in the epochs of falling learning rate: crop means "
        "--crop_size, so that pictures are seen whole (as in the official CUT)",
        choices=("same", "crop"),
        of_method={"cut": "crop", "fastcut": "crop"},
    )
    drop_remainder: bool = option(
        False,
        "end an epoch before pictures that do not fill a batch; otherwise its last batch runs into "
        "the next epoch",
        of_method={"cut": True, "fastcut": True},
    )
    interpolation: str = option("bicubic", INTERPOLATION_HELP, choices=INTERPOLATIONS)
    flip: bool = option(True, "mirror half of the training images")
    channels_a: int = option(
        0,
        "channels of domain A's pictures, 1 (gray) or 3; 0 means 3 for pictures, and the data's "
        "own number for measurements",
        minimum=0,
        maximum=MOST_CHANNELS,
    )
    channels_b: int = option(0, "likewise for domain B", minimum=0, maximum=MOST_CHANNELS)

    def channels_of(self, domain: str) -> int:
        """Channels of domain "a" or "b"."""
        return (self.channels_a if domain == "a" else self.channels_b) or 3


@dataclass(frozen=True, kw_only=True)
class PairOptions(Options):
    """Known pairs of pictures."""

    pairs: str = option(
        "",
        "known pairs of training pictures: a CSV file with the columns a,b, or names to pair equal "
        "names; default: the pairs of data prepared by data_prep.folders --aligned",
        on_resume="free",  # recognised by their content, like the data
    )
    lambda_paired: float = option(
        0.0,
        "weight of the L1 between a picture's translation and its partner, on a batch of known "
        "pairs in addition to each batch; of the cross-entropy for label maps as classes; default "
        "1 with --labelled",
        minimum=0,
    )
    paired_share: float = option(
        1.0, "share of the pairs to use, drawn with --seed", above=0, maximum=1
    )


@dataclass(frozen=True, kw_only=True)
class AugmentationOptions(Options):
    """Augmentation, for small data sets."""

    rotations: bool = option(
        False,
        "rotate training pictures by 0, 90, 180 or 270 degrees; for pictures that have no upright "
        "orientation",
    )
    colour_jitter: float = option(
        0.0,
        "scale brightness, contrast and saturation of training pictures by factors in [1 - VALUE, "
        "1 + VALUE]; label maps keep their colours",
        minimum=0,
        maximum=1,
    )
    diffaugment: str = option(
        "",
        "augment all fake and real pictures that the discriminators see, by one or more of "
        f"{', '.join(DIFFAUGMENT)}, separated by commas (Zhao et al. 2020)",
    )
    discriminator_blur: float = option(
        0.0,
        "blur all fake and real pictures that the discriminators see by a Gaussian of this "
        "standard deviation in pixels, less from step to step (Karras et al. 2021): places and "
        "colours are learned before fine texture",
        minimum=0,
    )
    discriminator_blur_steps: int = option(
        1000, "step from which --discriminator_blur is gone", minimum=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        listed = self.diffaugment.split(",") if self.diffaugment else []
        for name in listed:
            if name not in DIFFAUGMENT:
                raise UserError(
                    f"--diffaugment={self.diffaugment}: unknown choice {name!r}; valid are "
                    f"{', '.join(DIFFAUGMENT)}, separated by commas"
                )
        if len(set(listed)) < len(listed):
            raise UserError(f"--diffaugment={self.diffaugment}: names an augmentation twice")
