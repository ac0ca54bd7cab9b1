"""Which options have no effect beside others."""

from collections.abc import Callable

from tfcyclegan.config import TrainConfig
from tfcyclegan.methods.factory import method_of

_PATCHES = "--discriminator=patch and --lambda_gan"

NEEDS: dict[str, tuple[Callable[[TrainConfig], bool], str]] = {
    "step_epochs": (lambda c: c.schedule == "step", "--schedule=step"),
    "schedule": (
        lambda c: c.epochs is not None or c.max_steps is None,
        "--epochs: without it, --max_steps keeps the learning rate constant",
    ),
    "load_size": (lambda c: c.preprocess not in ("crop", "none"), "a --preprocess that resizes"),
    "crop_size": (lambda c: c.preprocess != "none", "a --preprocess that crops"),
    "interpolation": (
        lambda c: c.preprocess not in ("crop", "none"),
        "a --preprocess that resizes",
    ),
    "base_filters": (
        lambda c: not c.generator.endswith(".json"),
        "a --generator that is not a file",
    ),
    "dropout": (lambda c: not c.generator.endswith(".json"), "a --generator that is not a file"),
    "antialias": (
        lambda c: c.is_resnet or (c.discriminator, c.discriminator_antialias) == ("patch", "same"),
        "ResNet generators or patch discriminators that follow it",
    ),
    "antialias_up": (lambda c: c.is_resnet, "ResNet generators"),
    "gan_mode": (lambda c: bool(c.lambda_gan), "--lambda_gan"),
    "discriminator": (lambda c: bool(c.lambda_gan), "--lambda_gan"),
    "discriminator_filters": (lambda c: bool(c.lambda_gan), "--lambda_gan"),
    "discriminator_layers": (lambda c: _has_patches(c), _PATCHES),
    "discriminator_padding": (lambda c: _has_patches(c), _PATCHES),
    "lambda_semantic": (lambda c: bool(c.segmenter), "--segmenter"),
    "lambda_identity": (
        lambda c: bool(c.lambda_a or c.lambda_b),
        "--lambda_a or --lambda_b, to which it is relative",
    ),
    "cycle_noise": (lambda c: bool(c.lambda_a or c.lambda_b), "--lambda_a or --lambda_b"),
    "pool_size": (lambda c: bool(c.lambda_gan), "--lambda_gan"),
    "pairs": (lambda c: _takes_pairs(c), "--lambda_paired"),
    "paired_share": (lambda c: _takes_pairs(c), "--lambda_paired"),
    "unpaired_labels": (lambda c: bool(c.labelled), "--labelled"),
    "label_samples": (lambda c: bool(c.onehot), "--labels_a=onehot or --labels_b=onehot"),
    "nce_all_negatives": (lambda c: c.batch_size > 1, "--batch_size above 1"),
    "decay_load_size": (
        lambda c: bool(c.decay_epochs) or c.epochs is c.max_steps is None,
        "--decay_epochs",
    ),
    "diffaugment": (lambda c: bool(c.lambda_gan), "--lambda_gan"),
    "discriminator_blur": (lambda c: bool(c.lambda_gan), "--lambda_gan"),
    "discriminator_blur_steps": (lambda c: bool(c.discriminator_blur), "--discriminator_blur"),
    "discriminator_norm": (lambda c: bool(c.lambda_gan), "--lambda_gan"),
    "discriminator_antialias": (lambda c: _has_patches(c), _PATCHES),
    "spectral_norm": (lambda c: bool(c.lambda_gan), "--lambda_gan"),
    "eval_every_epochs": (lambda c: not c.eval_every_steps, "no --eval_every_steps"),
    "eval_split": (lambda c: c.measures, "measurements (--eval_every_epochs)"),
    "eval_images": (lambda c: c.measures, "measurements (--eval_every_epochs)"),
    "eval_features": (lambda c: c.measures, "measurements (--eval_every_epochs)"),
}
"""Options that have an effect only with others: (whether it is so, the others in words)."""


def has_effect(config: TrainConfig, name: str) -> bool:
    """Whether the option `name` has an effect beside the other ones, whatever its value."""
    return name not in NEEDS or NEEDS[name][0](config)


def _has_patches(config: TrainConfig) -> bool:
    return config.discriminator == "patch" and bool(config.lambda_gan)


def _takes_pairs(config: TrainConfig) -> bool:
    return bool(config.lambda_paired) or method_of(config).takes_pairs
