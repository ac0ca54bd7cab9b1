"""Options of label maps as classes, and what goes with them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfcyclegan.config.base import Options, option
from tfcyclegan.errors import UserError

if TYPE_CHECKING:
    from tfcyclegan.config.training import TrainConfig

ONEHOT = "onehot"
LABELS = ("colours", ONEHOT)
LABEL_SAMPLES = ("straight_through", "gumbel", "softmax")


@dataclass(frozen=True, kw_only=True)
class LabelOptions(Options):
    """Label maps as classes."""

    labels_a: str = option(
        "colours",
        "how networks see domain A if it is label maps: pictures in the colours of the classes, or "
        "onehot, a channel for each class with a softmax and cross-entropy (docs/"
        "labels_as_classes.md)",
        choices=LABELS,
        methods=("cyclegan",),
    )
    labels_b: str = option("colours", "likewise domain B", choices=LABELS, methods=("cyclegan",))
    label_samples: str = option(
        "straight_through",
        "what of a translation to classes its discriminator and the way back see: the most "
        "probable class, or one drawn by its probability (gumbel), both with the gradient of the "
        "probabilities; or the probabilities themselves (softmax)",
        choices=LABEL_SAMPLES,
        methods=("cyclegan",),
    )
    labelled: str = option(
        "",
        "training pictures of A whose own stored labels are learnt from: a file with a name on "
        "each line, or a share of all such as 0.1, drawn by --seed; needs --labels_b=onehot",
        methods=("cyclegan",),
        on_resume="free",  # known by the names, as pairs are
    )
    unpaired_labels: str = option(
        "all",
        "label maps of the label cycle and the discriminator with --labelled: all of B, or only "
        "those of the labelled pictures, as in Mondal et al. 2019",
        choices=("all", "labelled"),
        methods=("cyclegan",),
    )

    @property
    def onehot(self) -> str:
        """Which of the domains "a" and "b" networks see as classes, such as "b"."""
        return "".join(d for d in "ab" if getattr(self, f"labels_{d}") == ONEHOT)


def check_labels(config: "TrainConfig") -> None:
    """Raises UserError where options do not go with label maps as classes."""
    for domain in config.onehot:
        flag, channels = f"--labels_{domain}=onehot", config.channels_of(domain)
        if channels != 3:
            raise UserError(
                f"--channels_{domain}={channels}: {flag} needs label maps in colours; leave it out"
            )
        if config.is_own or config.generator.endswith(".json"):
            raise UserError(
                f"{flag}: goes with ResNet and U-Net generators, not {config.generator}, whose "
                "last activation is its own"
            )
        if config.input_skip:
            raise UserError(f"--input_skip: adds pictures, and {flag} makes classes; leave it out")
        if config.segmenter:
            raise UserError(
                f"--segmenter={config.segmenter}: segments pictures, and {flag} makes classes; "
                "leave one of them out"
            )
        if "colour" in config.diffaugment.split(","):
            raise UserError(
                f"--diffaugment={config.diffaugment}: {flag} gives the discriminator classes, "
                "which have no colour; leave colour out"
            )
    if config.labelled:
        _check_labelled(config)
    if config.lambda_identity and len(config.onehot) == 1:
        raise UserError(
            f"--lambda_identity={config.lambda_identity}: identity losses need domains of the "
            f"same channels, and --labels_{config.onehot}=onehot gives one of them a channel for "
            "each class; set --lambda_identity=0"
        )


def _check_labelled(config: "TrainConfig") -> None:
    flag = f"--labelled={config.labelled}"
    if config.labels_b != ONEHOT:
        raise UserError(
            f"{flag}: needs --labels_b=onehot, the label maps that it translates pictures to"
        )
    for name in ("pairs", "paired_share"):
        if (value := getattr(config, name)) not in ("", 1.0):
            raise UserError(f"--{name}={value}: {flag} says which pairs there are; leave it out")
    if config.decay_load_size != "same":
        raise UserError(f"--decay_load_size={config.decay_load_size}: does not go with {flag}")
