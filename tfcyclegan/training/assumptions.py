"""The lines printed before training: the defaults it uses, what it ignores, and how it changes
pictures.
"""

import dataclasses

from tfcyclegan.config import DECAYING_SCHEDULES, TrainConfig, TrainingLength, default_of
from tfcyclegan.data.batches import Batches
from tfcyclegan.data.domains import Domains
from tfcyclegan.data.images import COLOUR_MADE_GRAY, ENLARGED, GRAY_IN_COLOUR, RESHAPED
from tfcyclegan.data.pairs import KnownPairs
from tfcyclegan.data.pixels import Pixels
from tfcyclegan.data.unpaired import UnpairedBatches
from tfcyclegan.system.progress import quantity
from tfcyclegan.training.effects import NEEDS


def of_options(config: TrainConfig) -> list[str]:
    """Options that were given but have no effect together with the others."""
    lines = []
    for name, (holds, needed) in NEEDS.items():
        value = getattr(config, name)
        default = default_of(TrainConfig.__dataclass_fields__[name], config.method)
        if value and value != default and not holds(config):
            lines.append(f"--{name}={value}: has no effect; needs {needed}")
    for domain in config.onehot:
        name = f"lambda_{domain}"
        value = getattr(config, name)
        if value == default_of(TrainConfig.__dataclass_fields__[name], config.method):
            lines.append(
                f"--{name}={value:g} (the default) weights a cross-entropy, several times an L1: "
                f"labels follow the pictures better with --{name}=1 (docs/labels_as_classes.md)"
            )
    return lines


def of_length(config: TrainConfig, epoch_images: int) -> list[str]:
    """The length of training if a default or a second limit determines it, and whether it is too
    short to be measured or for a blur that fades.
    """
    length = config.length(epoch_images)
    lines = _of_rates(config, length, epoch_images)
    if 0 < length.steps < config.measured_every(epoch_images):
        every = config.measured_every(epoch_images)
        lines.append(
            f"no best checkpoint: measurements take place every {every} steps, but there are only "
            f"{length.steps}; --eval_every_steps changes this"
        )
    if config.discriminator_blur and length.steps < config.discriminator_blur_steps:
        lines.append(
            f"--discriminator_blur={config.discriminator_blur:g}: is still there at the last step, "
            f"{length.steps}, so translations stay coarse; --discriminator_blur_steps="
            f"{config.discriminator_blur_steps} says when it is gone"
        )
    return lines


def _of_rates(config: TrainConfig, length: TrainingLength, epoch_images: int) -> list[str]:
    if config.epochs is None and config.max_steps is None:
        return [
            f"{length.steps} steps: {length.epochs} epochs and {length.decay_epochs} of falling "
            "learning rate, since neither --epochs nor --max_steps is given"
        ]
    if length.epochs is None:
        return [
            f"{length.steps} steps at a constant learning rate: only --max_steps is given; "
            "--epochs and --decay_epochs make it fall"
        ]
    if not config.decay_epochs and config.schedule in DECAYING_SCHEDULES:
        return [
            f"{length.steps} steps at a constant learning rate: --schedule={config.schedule} falls "
            "over --decay_epochs, which is not given"
        ]
    if length.steps < dataclasses.replace(config, max_steps=None).length(epoch_images).steps:
        return [
            f"ends at step {length.steps} because of --max_steps, before its --epochs and "
            "--decay_epochs are over"
        ]
    return []


def of_data(config: TrainConfig, domains: Domains, batches: Batches, replicas: int) -> list[str]:
    """How pictures are preprocessed and batched."""
    lines = []
    for domain, pixels, channels in (
        ("a", batches.pixels_a, config.channels_of("a")),
        ("b", batches.pixels_b, config.channels_of("b")),
    ):
        lines += [
            f"domain {domain}: {line}"
            for line in _of_pixels(pixels, f"--channels_{domain}", channels, config.preprocess)
        ]
    sizes = {"a": len(batches.pixels_a), "b": len(batches.pixels_b)}
    if isinstance(batches, UnpairedBatches):
        sizes = {"a": batches.count_a, "b": batches.count_b}
    smaller, larger = sorted(sizes, key=lambda domain: sizes[domain])
    if isinstance(batches, UnpairedBatches) and sizes["a"] != sizes["b"]:
        lines.append(
            f"an epoch is {batches.epoch_images} images, as many as domain {larger} has: "
            f"the {sizes[smaller]} of domain {smaller} are seen "
            f"{batches.epoch_images / sizes[smaller]:.3g} times as often"
        )
    if config.batch_size > sizes[smaller]:
        lines.append(
            f"--batch_size={config.batch_size}: domain {smaller} has {sizes[smaller]} pictures, "
            "so a batch holds some several times"
        )
    if replicas > 1 and config.pool_size:
        lines.append(
            f"--pool_size={config.pool_size}: each of the {replicas} devices has its own pool of "
            "this size"
        )
    measured = config.measured_every(batches.epoch_images)
    chooses = measured and config.length(batches.epoch_images).steps >= measured
    return lines + (_of_measuring(config, domains) if chooses else [])


def of_values(domains: Domains, batches: Batches) -> list[str]:
    """What networks see of measurements, and that missing measurements have no loss."""
    lines = []
    for letter, pixels in (("A", batches.pixels_a), ("B", batches.pixels_b)):
        values = domains.values.get(letter)
        if values is None:
            continue
        planes = 2 * values.neighbours + 1
        stack = f" ({planes} planes of {values.channels // planes})" if planes > 1 else ""
        gaps = f"; {pixels.gaps} of {len(pixels)} have missing measurements" if pixels.gaps else ""
        lines.append(
            f"domain {letter.lower()}: {values.dtype}, "
            f"{quantity(values.channels, 'channel')}{stack}, {values.ranges()} as -1 to 1{gaps}"
        )
    if batches.gaps:
        lines.append("missing measurements: pixels with a missing channel have no loss")
    return lines


def of_batches(
    config: TrainConfig, domains: Domains, batches: Batches, pairs: KnownPairs | None
) -> list[str]:
    """The known pairs, and the pictures that augmentation and epochs leave out."""
    lines = [pairs.told] if pairs else []
    if config.labelled and config.unpaired_labels == "labelled":
        lines.append(
            f"--unpaired_labels=labelled: {domains.require('train', 'b')} gives its classes alone, "
            "not its label maps"
        )
    if config.colour_jitter and domains.label_maps:
        whose = " and ".join(domains.label_maps)
        lines.append(
            f"--colour_jitter={config.colour_jitter:g}: domain {whose} keeps its colours, which "
            f"are those of label maps{', and so do pairs' if pairs else ''}"
        )
    if batches.remainder:
        lines.append(
            f"--drop_remainder: {batches.remainder} images, which do not fill a batch, are left "
            "out of each epoch"
        )
    if batches.decaying:
        lines.append(
            f"from step {batches.decaying.from_step} on pictures are resized to {config.crop_size} "
            f"instead of {config.load_size}, because of --decay_load_size=crop"
        )
    return lines


def of_files(domains: Domains, batches: Batches) -> list[str]:
    """The notes that were made when the pictures and data sets were opened."""
    lines = []
    for domain, source, pixels in (
        ("a", domains.a, batches.pixels_a),
        ("b", domains.b, batches.pixels_b),
    ):
        lines += [
            f"domain {domain}: not used, {what}: {count}" for what, count in source.left_out.items()
        ]
        lines += [f"domain {domain}: {line}" for line in pixels.told]
    return lines


def _of_pixels(pixels: Pixels, flag: str, channels: int, preprocess: str) -> list[str]:
    total, notes = len(pixels), pixels.notes
    rounded = "sides become multiples of 4" if preprocess in ("none", "scale_width") else ""
    crops = (
        "--preprocess=crop uses parts of them unchanged"
        if preprocess == "none"
        else "--preprocess=scale_width_and_crop keeps aspect ratios"
    )
    mends = {
        ENLARGED: rounded if preprocess == "none" else "--load_size changes this",
        RESHAPED: "; ".join(
            part
            for part in (f"the ratio of sides up to x{pixels.stretch:.2f}", rounded, crops)
            if part
        ),
        GRAY_IN_COLOUR: f"{flag}=1 keeps them gray",
        COLOUR_MADE_GRAY: f"by {flag}={channels}",
    }
    return [
        f"{what}: {notes[what]} of {total} ({mend})"
        for what, mend in mends.items()
        if notes.get(what)
    ]


def _of_measuring(config: TrainConfig, domains: Domains) -> list[str]:
    """The split on which the best checkpoint is chosen."""
    if config.eval_split == "train":
        return []
    without = [domain for domain in "ab" if domains.find("val", domain) is None]
    if not without:
        return []
    where = " and ".join(f"domain {domain}" for domain in without)
    return [
        f"{where}: no val pictures, so the best checkpoint is chosen on training pictures; add a "
        "split val to change this"
    ]
