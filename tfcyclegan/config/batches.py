"""Options of what a training adds to its batches: augmentation and known pairs."""

from dataclasses import dataclass

from tfcyclegan.config.base import Options, option
from tfcyclegan.errors import UserError

DIFFAUGMENT = ("colour", "translation", "cutout")
"""What --diffaugment may list."""


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
        "known pairs beside each batch",
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
