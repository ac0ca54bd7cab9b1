"""The methods by name, and the model of a run built from its options."""

import importlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tfcyclegan.config import AUGMENTED, METHODS, TrainConfig
from tfcyclegan.data.label_coding import LabelCoding
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.methods.augmented import LATENTS
from tfcyclegan.methods.base import Method
from tfcyclegan.methods.cyclegan import DiscriminatorsFirst, Segment
from tfcyclegan.methods.distillation import FeatureAdapter, adapter_settings
from tfcyclegan.networks import (
    Discriminator,
    Generator,
    LabelGenerator,
    LatentDiscriminator,
    LatentEncoder,
    LatentGenerator,
    PatchSampler,
    ResnetGenerator,
    make_generator,
)


def _class(made_by: str) -> type[Method]:
    module, _, name = made_by.partition(":")
    return getattr(importlib.import_module(f"tfcyclegan.methods.{module}"), name)


_CLASSES = {name: _class(facts.made_by) for name, facts in METHODS.items()}


def method_of(config: TrainConfig) -> type[Method]:
    """The class of a run's method."""
    if config.update_order == "discriminators_first":
        return DiscriminatorsFirst
    return _CLASSES[config.method]


def build_model(
    config: TrainConfig,
    dtype: str | keras.DTypePolicy,
    segment: Segment | None = None,
    teachers: Mapping[str, Generator] | None = None,
    *,
    gaps: bool = False,
    classes: Mapping[str, ClassTable] | None = None,
) -> Method:
    """The model of a run, with initial weights that follow from its seed.

    Args:
        config: all options.
        dtype: type or policy of the networks.
        segment: a frozen segmenter for the semantic losses; None without them.
        teachers: generators by direction, for --method=distill.
        gaps: whether pictures may have pixels without a measurement.
        classes: the tables of the domains in `config.onehot`.
    """
    method = method_of(config)
    names = method.network_names_of(config)
    drawn = np.random.SeedSequence(config.seed).generate_state(len(names)) >> 8
    networks: dict[str, Any] = {
        name: make_network(config, name, dtype=dtype, seed=int(seed), classes=classes)
        for name, seed in zip(names, drawn, strict=True)
    }
    if teachers:
        for direction, teacher in teachers.items() if config.lambda_feature else ():
            name = f"adapter_{direction}"
            settings = adapter_settings(networks[f"gen_{direction}"], teacher)
            networks[name] = FeatureAdapter(**settings, seed=config.seed, dtype=dtype, name=name)
        networks = {"teachers": teachers, "networks": networks}
    arguments: dict[str, Any] = {**networks, **method.arguments_of(config)}
    for name in ("lambda_paired", "discriminator_blur", "discriminator_blur_steps"):
        arguments[name] = getattr(config, name)
    arguments["diffaugment"] = config.diffaugment.split(",") if config.diffaugment else ()
    arguments["gaps"] = gaps
    if segment is not None:
        arguments["segment"] = segment
    return method(**arguments)


def check_own_generators(config: TrainConfig) -> None:
    """Raises UserError if the user's own function cannot make generators for these options, which
    only calling it can show.
    """
    names = method_of(config).network_names_of(config) if config.is_own else ()
    for name in names:
        if name.startswith("gen_"):
            config.check_sizes(make_network(config, name, dtype="float32").size_multiple)


def make_network(
    config: TrainConfig,
    name: str,
    *,
    dtype: str | keras.DTypePolicy,
    seed: int = 0,
    classes: Mapping[str, ClassTable] | None = None,
) -> Generator | Discriminator | PatchSampler | LatentEncoder | LatentDiscriminator:
    """One of a run's networks, such as "gen_ab", with initial weights."""
    codings = {domain: LabelCoding.of(table) for domain, table in (classes or {}).items()}
    counts = {domain: coding.count for domain, coding in codings.items()}
    kind, _, which = name.partition("_")
    if name == "patch_sampler":
        generator = make_generator(config.architecture, **generator_settings(config, "ab"))
        channels = generator.feature_channels(config.nce_indices)
        init: dict[str, Any] = {"init": config.init, "init_gain": config.init_gain, "seed": seed}
        return PatchSampler(channels, **init, dtype=dtype, name=name)
    if kind == "enc" or which in LATENTS:
        return _of_latents(config, kind, seed=seed, dtype=dtype, name=name)
    if kind == "disc":
        settings = discriminator_settings(config, which)
        settings |= {"in_channels": counts[which]} if which in counts else {}
        return Discriminator(**settings, seed=seed, dtype=dtype, name=name)
    settings = generator_settings(config, which)
    settings |= {"seed": seed} if settings else {}
    ends = dict(zip(("in_channels", "out_channels"), which, strict=True))
    settings |= {end: counts[domain] for end, domain in ends.items() if domain in counts}
    generator = make_generator(config.architecture, **settings, dtype=dtype, name=name)
    generator.recompute = config.remat
    source, target = (codings[d].to_json() if d in codings else None for d in which)
    if source or target:
        return LabelGenerator(network=generator, source=source, target=target, name=name)
    if config.method == AUGMENTED:
        assert isinstance(generator, ResnetGenerator)
        own: dict[str, Any] = {
            "init": config.init,
            "init_gain": config.init_gain,
            "seed": seed + 1,
            "name": name,
        }
        made = LatentGenerator(network=generator, latent_size=config.latent_size, **own)
        made.recompute = config.remat
        return made
    return generator


def _of_latents(
    config: TrainConfig, kind: str, **shared: Any
) -> LatentEncoder | LatentDiscriminator:
    """An encoder or discriminator of latents, as wide as the networks of pictures."""
    shared["init_gain"] = config.init_gain
    if kind == "enc":
        channels = sum(config.channels_of(domain) for domain in "ab")
        filters, size = config.base_filters, config.latent_size
        return LatentEncoder(in_channels=channels, latent_size=size, base_filters=filters, **shared)
    filters = config.discriminator_filters
    return LatentDiscriminator(in_channels=config.latent_size, base_filters=filters, **shared)


def generator_settings(config: TrainConfig, direction: str) -> dict[str, Any]:
    """Arguments of `make_generator` for one direction of a run."""
    if config.generator.endswith(".json"):
        return {}  # the graph decides everything else
    channels = {domain: config.channels_of(domain) for domain in "ab"}
    ends = {"in_channels": channels[direction[0]], "out_channels": channels[direction[1]]}
    if config.is_own:
        return ends
    settings = ends | {
        "base_filters": config.base_filters,
        "norm": config.norm,
        "dropout": config.dropout,
        "init": config.init,
        "init_gain": config.init_gain,
    }
    resnet_only = {
        "upsampling": config.upsampling,
        "padding_mode": config.generator_padding,
        "antialias": config.antialias,
        "antialias_up": config.antialias_up,
        "noise_inputs": config.noise_inputs,
        "separable": config.separable,
        "input_skip": config.input_skip,
    }
    return settings | (resnet_only if config.is_resnet else {})


def discriminator_settings(config: TrainConfig, domain: str) -> dict[str, Any]:
    """Arguments of `Discriminator` for the images of one domain of a run; for pix2pix, for the
    concatenation of source and target.
    """
    channels = {domain: config.channels_of(domain) for domain in "ab"}
    return {
        "architecture": config.discriminator,
        "layers": config.discriminator_layers,
        "base_filters": config.discriminator_filters,
        "in_channels": sum(channels.values()) if config.method == "pix2pix" else channels[domain],
        "norm": config.norm if config.discriminator_norm == "same" else config.discriminator_norm,
        "padding_mode": config.discriminator_padding,
        "antialias": config.discriminator == "patch"
        and {"same": config.antialias, "yes": True, "no": False}[config.discriminator_antialias],
        "init": config.init,
        "init_gain": config.init_gain,
        "spectral_norm": config.spectral_norm,
    }
