"""What usually helps against a failure, except what the run already does. For translations of
unknown origin all of it is listed.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tfcyclegan.config import MODES_WITH_CROP, TrainConfig


@dataclass(frozen=True)
class Advice:
    """One remedy.

    Attributes:
        text: what to do, with the flag for it.
        open_to: whether a run with these options could still do it: it does not do so already, and
            its other options allow it.
    """

    text: str
    open_to: Callable[[TrainConfig], bool] = lambda config: True


def _cycles(config: TrainConfig) -> bool:
    return config.method == "cyclegan"


# Lowering an option, such as the learning rate, is advised only if it is at least the default.
DEFAULTS = TrainConfig(data_dir="-", run_dir="-")

RESIZE = Advice(
    "--upsampling=resize",
    lambda config: config.is_resnet and config.upsampling != "resize" and not config.antialias_up,
)
ANTIALIAS = Advice(
    "antialiased generators (--antialias --antialias_up)",
    lambda config: config.is_resnet and not config.antialias_up,
)
NOISE = Advice(
    "noise from which generators make texture (--antialias_up --noise_inputs)",
    lambda config: config.is_resnet and not config.noise_inputs,
)
SHARPER_DISCRIMINATOR = Advice(
    "discriminators that see fine texture, but not at once (--discriminator_antialias=no "
    "--discriminator_blur=1)",
    lambda config: (
        config.discriminator_antialias == "yes"
        or (config.antialias and config.discriminator_antialias == "same")
    ),
)
LONGER = Advice("longer training (more --epochs or --max_steps)")
POOL = Advice("a pool (--pool_size=50)", lambda config: config.pool_size == 0)
IDENTITY = Advice(
    "identity losses (--lambda_identity=0.5)",
    lambda config: _cycles(config) and not config.lambda_identity and config.has_identity,
)
SMALLER_GAIN = Advice(
    "a smaller --init_gain", lambda config: config.init_gain >= DEFAULTS.init_gain
)
SEED = Advice("another --seed")
LARGER_CROPS = Advice(
    "larger crops (--crop_size, --load_size)", lambda config: config.preprocess in MODES_WITH_CROP
)
MORE_DATA = Advice("more training pictures")
WEAKER_CYCLES = Advice(
    "lower --lambda_a and --lambda_b",
    lambda config: _cycles(config) and max(config.lambda_a, config.lambda_b) >= DEFAULTS.lambda_a,
)
BOTH_CYCLES = Advice(
    "both cycle losses (--lambda_a=10 --lambda_b=10)",
    lambda config: _cycles(config) and not (config.lambda_a and config.lambda_b),
)
LOWER_RATE = Advice(
    "a lower --learning_rate", lambda config: config.learning_rate >= DEFAULTS.learning_rate
)
SEMANTIC = Advice(
    "semantic losses (--segmenter)",
    lambda config: (
        _cycles(config) and not (config.segmenter and config.lambda_semantic) and not config.onehot
    ),
)
ALIKE_LAYOUTS = Advice("training pictures whose layouts match in both domains")
ALIKE_SCALES = Advice("checking that both domains are scaled alike")
BEST_CHECKPOINT = Advice(
    "an earlier checkpoint (--checkpoint=best)", lambda config: config.measures
)
FEWER_FILTERS = Advice(
    "fewer --base_filters", lambda config: config.base_filters >= DEFAULTS.base_filters
)
CYCLE_NOISE = Advice(
    "--cycle_noise=0.02, if the cycle honesty table shows hidden information",
    lambda config: _cycles(config) and not config.cycle_noise,
)
LEAST_SQUARES = Advice("--gan_mode=lsgan", lambda config: config.gan_mode != "lsgan")
SMALLER_DISCRIMINATOR = Advice(
    "fewer --discriminator_filters",
    lambda config: config.discriminator_filters >= DEFAULTS.discriminator_filters,
)
LARGER_DISCRIMINATOR = Advice(
    "more --discriminator_filters",
    lambda config: config.discriminator_filters <= DEFAULTS.discriminator_filters,
)
IS_IT_TRAINING = Advice("checking in its losses that it is training at all")
BALANCE = Advice(
    "training pictures of these luminances too, or leaving such inputs out; see the scores by "
    "luminance"
)


def advise(config: TrainConfig | None, *advice: Advice) -> str:
    """The remedies that still make sense for a run with these options, as one sentence without its
    full stop.
    """
    texts = [one.text for one in advice if config is None or one.open_to(config)]
    return "; ".join(texts) or "the run already does everything listed here; look at the pictures"
