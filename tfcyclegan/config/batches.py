"""Options of what a training adds to its batches: augmentation and known pairs."""

from dataclasses import dataclass

from tfcyclegan.config.base import Options, Size, option
from tfcyclegan.errors import UserError

DIFFAUGMENT = ("colour", "translation", "cutout")
"""What --diffaugment may list."""
MOST_CHANNELS = 64

PREPROCESS_MODES = ("resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none")
INTERPOLATIONS = ("bicubic", "bilinear", "area", "bilinear_opencv")
INTERPOLATION_HELP = (
    "how pictures are resized: by Pillow's antialiased bicubic (the official program's) or "
    "bilinear, by the mean of each area, "
    "or by OpenCV's bilinear, which is not antialiased (what albumentations does by default); "
    "label maps always by the nearest pixel"
)
MODES_WITH_CROP = ("resize_and_crop", "crop", "scale_width_and_crop")


@dataclass(frozen=True, kw_only=True)
class DataOptions(Options):
    """Where the pictures are and how they become batches."""

    data_dir: str = option(
        "",
        "data set that data_prep made with trainA and trainB, or any TFDS one (tfds:NAME "
        "downloads it), or MODULE:FUNCTION, a function of yours that gives the pictures of a split "
        "(docs/data.md); or one for each domain, A,B with a comma between",
        required=True,
        alias="data",
        on_resume="free",
    )
    data_recipe: str = option(
        "", "how --data_dir is made, in words: told where it is missing", on_resume="free"
    )
    cache_dir: str = option(
        "",
        "where resized pixels are kept; default: the directory .cache in the data set, or of "
        "pictures from a function ~/.cache/tfcyclegan",
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
        "size to which pictures are resized in the epochs of falling rate: crop is the crop's, so "
        "that they are seen whole (the official CUT)",
        choices=("same", "crop"),
        of_method={"cut": "crop", "fastcut": "crop"},
    )
    drop_remainder: bool = option(
        False,
        "end an epoch before the pictures that fill no batch; else its last batch runs into the "
        "next epoch",
        of_method={"cut": True, "fastcut": True},
    )
    interpolation: str = option("bicubic", INTERPOLATION_HELP, choices=INTERPOLATIONS)
    flip: bool = option(True, "mirror half of the training images")
    channels_a: int = option(
        0,
        "channels of domain A's pictures, 1 (gray) or 3; 0 takes 3, and of measurements their own",
        minimum=0,
        maximum=MOST_CHANNELS,
    )
    channels_b: int = option(0, "likewise of domain B", minimum=0, maximum=MOST_CHANNELS)

    def channels_of(self, domain: str) -> int:
        """Channels of domain "a" or "b"."""
        return (self.channels_a if domain == "a" else self.channels_b) or 3


@dataclass(frozen=True, kw_only=True)
class PairOptions(Options):
    """Known pairs of pictures."""

    pairs: str = option(
        "",
        "training pictures that show the same: a CSV file with the columns a,b, or names where "
        "equal names do; default: those of data prepared by data_prep.folders --aligned",
        on_resume="free",  # they are known by their content, as the data are
    )
    lambda_paired: float = option(
        0.0,
        "weight of the L1 between the translation of a picture and its partner, on a batch of "
        "known pairs beside each batch; of label maps as classes of the cross-entropy; default 1 "
        "with --labelled",
        minimum=0,
    )
    paired_share: float = option(
        1.0, "share of the pairs to use, drawn by --seed", above=0, maximum=1
    )


@dataclass(frozen=True, kw_only=True)
class AugmentationOptions(Options):
    """Augmentation, for small data."""

    rotations: bool = option(
        False, "turn training pictures by 0, 90, 180 or 270 degrees; for pictures without an up"
    )
    colour_jitter: float = option(
        0.0,
        "scale brightness, contrast and saturation of training pictures by 1 - this to 1 + this; "
        "label maps keep their colours",
        minimum=0,
        maximum=1,
    )
    diffaugment: str = option(
        "",
        "augment all that the discriminators see, fakes and reals, by a list of "
        f"{', '.join(DIFFAUGMENT)} with commas between (Zhao et al. 2020)",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        listed = self.diffaugment.split(",") if self.diffaugment else []
        for name in listed:
            if name not in DIFFAUGMENT:
                raise UserError(
                    f"--diffaugment={self.diffaugment}: unknown choice {name!r}; valid are "
                    f"{', '.join(DIFFAUGMENT)}, with commas between"
                )
        if len(set(listed)) < len(listed):
            raise UserError(f"--diffaugment={self.diffaugment}: names one twice")
