"""Opens a run's data as batches: pictures in the sizes of its epochs, known pairs, augmentation."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.config import MODES_WITH_CROP, Size, TrainConfig
from tfcyclegan.data import labelled
from tfcyclegan.data.batches import Batches, Decaying
from tfcyclegan.data.domains import Domains, Split
from tfcyclegan.data.label_coding import LabelCoding
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.data.paired import PairedBatches
from tfcyclegan.data.pairs import KnownPairs, known_pairs
from tfcyclegan.data.pixels import Pixels, open_labels, open_pixels
from tfcyclegan.data.unpaired import UnpairedBatches
from tfcyclegan.errors import UserError


def cache_dir(config: TrainConfig, split: Split) -> Path:
    """The directory that caches the resized pixels of `split`, or where its records are."""
    return Path(config.cache_dir) if config.cache_dir else split.source.cache


def with_channels(config: TrainConfig, domains: Domains) -> TrainConfig:
    """The options with the data's numbers of channels, unless they are given.

    Raises:
        UserError: other numbers are given, or options that only apply to pictures.
    """
    channels = {}
    for domain, given in (("a", config.channels_a), ("b", config.channels_b)):
        flag, values = f"--channels_{domain}={given}", domains.values.get(domain.upper())
        if values is None and given not in (0, 1, 3):
            raise UserError(f"{flag}: pictures have 1 channel (gray) or 3")
        if values is not None and given not in (0, values.channels):
            raise UserError(f"{flag}: the measurements have {values.channels}; leave it out")
        channels[domain] = values.channels if values else given or 3
    for flag, wanted in (
        (f"--colour_jitter={config.colour_jitter:g}", config.colour_jitter),
        (f"--segmenter={config.segmenter}", config.segmenter),
        (f"--eval_features={config.eval_features}", config.eval_features != "none"),
    ):
        if wanted and domains.values:
            which = " and ".join(domains.values)
            raise UserError(
                f"{flag}: only for pictures, but domain {which} holds measurements; leave it out"
            )
    return dataclasses.replace(config, channels_a=channels["a"], channels_b=channels["b"])


def label_classes(config: TrainConfig, domains: Domains) -> dict[str, ClassTable]:
    """The tables of the domains that networks see as classes.

    Raises:
        UserError: such a domain is not label maps, or its data have no table.
    """
    tables = {}
    for domain in config.onehot:
        split, flag = domains.require("train", domain), f"--labels_{domain}=onehot"
        if not split.holds_label_maps:
            raise UserError(
                f"{flag}: {split} is not label maps; prepare it by data_prep.folders "
                f"--label_maps_{domain} --classes=FILE.csv, or leave the flag out"
            )
        if split.source.classes is None:
            raise UserError(
                f"{flag}: {split} has no table of classes; prepare it with --classes=FILE.csv"
            )
        LabelCoding.of(split.source.classes)
        tables[domain] = split.source.classes
    return tables


def open_batches(
    config: TrainConfig, domains: Domains, *, paired: bool = False
) -> tuple[Batches, KnownPairs | None]:
    """The batches of a training and its known pairs.

    Args:
        config: all options.
        domains: both domains, with training pictures.
        paired: whether batches are pairs; otherwise they are unpaired, and with
            `config.lambda_paired` pairs accompany them.

    Raises:
        UserError: pictures are too small, pairs are needed but none are known, or some pairs are
            invalid.
    """
    if paired and config.lambda_paired:
        raise UserError(
            f"--lambda_paired={config.lambda_paired:g}: requires a method with unpaired batches; "
            "this method's batches are pairs already, and it has an L1 of its own"
        )
    pixels = _open_pixels(config, domains, config.load_size)
    settings: dict[str, Any] = {
        "crop_size": config.crop_size if config.preprocess in MODES_WITH_CROP else None,
        "flip": config.flip,
        "batch_size": config.batch_size,
        "seed": config.seed,
        "rotations": config.rotations,
    }
    if config.labelled:
        return _semi_supervised(config, domains, pixels, settings)
    pairs = _known_pairs(config, domains, pixels) if paired or config.lambda_paired else None
    # The target of one picture must not depend on a colour jitter that its partner alone was given.
    jitter = 0.0 if domains.label_maps else config.colour_jitter
    beside = (
        PairedBatches(*pixels, **settings, colour_jitter=(jitter, jitter), pairs=pairs.indices)
        if pairs
        else None
    )
    if paired and beside:
        whole: Batches = dataclasses.replace(beside, drop_remainder=config.drop_remainder)
        return _with_decaying(config, domains, whole), pairs
    strengths = [0.0 if domain in domains.label_maps else config.colour_jitter for domain in "ab"]
    made = UnpairedBatches(
        *pixels,
        **settings,
        colour_jitter=(strengths[0], strengths[1]),
        drop_remainder=config.drop_remainder,
        beside=beside,
    )
    return _with_decaying(config, domains, made), pairs


def _semi_supervised(
    config: TrainConfig,
    domains: Domains,
    pixels: tuple[Pixels, Pixels],
    settings: dict[str, Any],
) -> tuple[Batches, KnownPairs]:
    """Unpaired batches of the pictures without labels, unless all have some, and beside them the
    labelled ones with their label maps.
    """
    flag, split = f"--labelled={config.labelled}", domains.require("train", "a")
    size = labelled.label_size(config.preprocess, config.load_size)
    if not split.labelled:
        raise UserError(f"{flag}: {split} has no labels; data_prep stores them beside the pictures")
    table, of_b = split.source.require_labels(split.name), domains.require("train", "b").source
    assert of_b.classes is not None, "checked by label_classes"
    if difference := of_b.classes.difference(table):
        raise UserError(f"{flag}: the classes of {split} are not those of domain b: {difference}")
    chosen = labelled.labelled_indices(config.labelled, pixels[0], split.name, config.seed)
    stored = config.cache == "pixels"
    where = cache_dir(config, split)
    ids = open_labels(split.source, split.name, where, size=size, stored=stored)
    chosen = labelled.with_a_class(config.labelled, chosen, ids)
    label_pictures = labelled.LabelPictures(ids, of_b.classes, chosen)
    total, weight = len(pixels[0]), config.lambda_paired
    pairs = labelled.as_pairs(config.labelled, chosen, total, config.seed, weight)
    beside = PairedBatches(pixels[0], label_pictures, **settings, pairs=pairs.indices)
    others = np.setdiff1d(np.arange(total), chosen)
    only_labelled = config.unpaired_labels == "labelled"
    made = UnpairedBatches(
        pixels[0],
        label_pictures if only_labelled else pixels[1],
        **settings,
        colour_jitter=(config.colour_jitter, 0.0),
        drop_remainder=config.drop_remainder,
        beside=beside,
        of_a=others if len(others) else None,
        of_b=chosen if only_labelled else None,
    )
    return made, pairs


def _open_pixels(config: TrainConfig, domains: Domains, load_size: Size) -> tuple[Pixels, Pixels]:
    opened = []
    for domain in "ab":
        split = domains.require("train", domain)
        pixels = open_pixels(
            split.source,
            split.name,
            cache_dir(config, split),
            mode=config.preprocess,
            load_size=load_size,
            crop_size=config.crop_size,
            channels=config.channels_of(domain),
            interpolation=config.interpolation,
            stored=config.cache == "pixels",
        )
        if config.preprocess not in MODES_WITH_CROP:
            pixels.require_sides(config.smallest_side, config.preprocess)
        opened.append(pixels)
    return opened[0], opened[1]


def _known_pairs(
    config: TrainConfig, domains: Domains, pixels: tuple[Pixels, Pixels]
) -> KnownPairs:
    splits = [domains.require("train", domain).name for domain in "ab"]
    found = known_pairs(
        config.pairs,
        aligned=domains.aligned("train"),
        pixels=pixels,
        splits=(splits[0], splits[1]),
        share=config.paired_share,
        seed=config.seed,
    )
    if found is None:
        wanted = (
            f"--lambda_paired={config.lambda_paired:g}"
            if config.lambda_paired
            else f"--method={config.method}"
        )
        raise UserError(
            f"{wanted}: no pairs are known for {config.data_dir}; give --pairs=FILE.csv, or data "
            "prepared by data_prep.folders --aligned"
        )
    return found


def _with_decaying(config: TrainConfig, domains: Domains, batches: Batches) -> Batches:
    """The batches at the crop size for the epochs of decaying learning rate, if
    `config.decay_load_size` asks for them. They are opened at the start, so that an error shows
    before hours of training.
    """
    length = config.length(batches.epoch_images)
    if config.decay_load_size == "same" or length.epochs is None:
        return batches
    from_step = math.ceil(length.epochs * batches.epoch_images / config.batch_size)
    if from_step >= length.steps:
        return batches
    decaying = Decaying(from_step, *_open_pixels(config, domains, config.crop_size))
    beside = batches.beside and dataclasses.replace(batches.beside, decaying=decaying)
    return dataclasses.replace(batches, decaying=decaying, beside=beside)
