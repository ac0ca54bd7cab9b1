"""MODEL_CARD.md: what users must know before using an exported translator, made from its run."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from tfcyclegan.config import TrainConfig
from tfcyclegan.data.domains import Domains
from tfcyclegan.data.source import MANIFEST, DataSource
from tfcyclegan.exporting.quality import told_outside
from tfcyclegan.exports.model_metadata import values_of
from tfcyclegan.system import files
from tfcyclegan.training.checkpoints import step_of
from tfcyclegan.training.effects import has_effect
from tfcyclegan.training.history import HISTORY, read_history
from tfcyclegan.training.run_page import METRICS
from tfcyclegan.training.runs import Run

NAME = "MODEL_CARD.md"
_LICENCES = {
    "gta5": "for research and teaching; Grand Theft Auto V is Rockstar Games'",
    "cityscapes": (
        "for non-commercial use after registration; neither the pictures nor what is "
        "made of them may be redistributed"
    ),
    "satellite_map": (
        'Blue Marble is free to use with the credit "NASA Earth Observatory"; ETOPO1 is in the '
        "public domain (NOAA)"
    ),
}
_KINDS = {
    "cyclegan": ("A CycleGAN generator (Zhu et al. 2017)", "unpaired pictures"),
    "augmented": (
        "A generator of Augmented CycleGAN (Almahairi et al. 2018)",
        "unpaired pictures",
    ),
    "cut": ("A CUT generator (Park et al. 2020)", "unpaired pictures"),
    "fastcut": ("A FastCUT generator (Park et al. 2020)", "unpaired pictures"),
    "pix2pix": ("A pix2pix generator (Isola et al. 2017)", "pairs"),
    "distill": (
        "A generator that learned from a larger one (Li et al. 2020)",
        "unpaired pictures",
    ),
}
_DRAWN = "drawn by this program, under its licence (MIT)"
_UNKNOWN = "not known to this program: ask whoever gave the pictures"


def render(run: Run, domains: Domains | None, directory: Path, metadata: Mapping[str, Any]) -> str:
    """The card.

    Args:
        run: what was exported.
        domains: the run's data, if they are there.
        directory: the version's name.
        metadata: the content of metadata.json.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfcyclegan.exporting", "."),
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["outside"] = told_outside
    sources = [domains.a, *([domains.b] if domains.b is not domains.a else [])] if domains else []
    return environment.get_template("model_card.md").render(
        name=directory.parent.name,
        version=directory.name,
        learned=_learned(run),
        network=_network(run.config),
        scale=_scale(run.config),
        rates=_rates(run.config),
        gan=f"{run.config.gan_mode}; " if has_effect(run.config, "gan_mode") else "",
        weights={
            name: value
            for name, value in vars(run.config).items()
            if name.startswith("lambda_") and value and has_effect(run.config, name)
        },
        run=run,
        config=run.config,
        metadata=metadata,
        values=values_of(metadata).told(),
        data=[_data(source) for source in sources],
        training=_training(run, metadata["checkpoint"]),
        scores=scores_of(run, metadata["direction"]),
    )


def _learned(run: Run) -> str:
    """What kind of generator it is, and what it learned from."""
    kind, data = _KINDS[run.config.method]
    if run.config.labelled:
        data = "pictures of which some are labelled"
    elif run.config.lambda_paired:
        data = "pictures of which some are known pairs"
    return f"{kind}, trained on {data}"


def _network(config: TrainConfig) -> str:
    filters = [f"{config.base_filters} filters"] if has_effect(config, "base_filters") else []
    parts = [config.architecture, *filters, f"{config.norm} norm"]
    if config.is_resnet:
        parts += [
            name
            for name, there in (
                ("separable blocks", config.separable),
                ("antialiased", config.antialias),
                ("antialiased upsampling", config.antialias_up),
                (f"upsampling {config.upsampling}", not config.antialias_up),
                ("noise inputs", config.noise_inputs),
            )
            if there
        ]
    return ", ".join(parts)


def _scale(config: TrainConfig) -> str:
    sizes = (
        f"{name.replace('_', ' ')} {getattr(config, name)}"
        for name in ("load_size", "crop_size")
        if has_effect(config, name)
    )
    return ", ".join([config.preprocess, *sizes])


def _rates(config: TrainConfig) -> str:
    """How the learning rate went: --max_steps alone keeps it constant."""
    how = f"{config.schedule} schedule" if has_effect(config, "schedule") else "constant"
    return f"learning rate {config.learning_rate}, {how}"


def _data(source: DataSource) -> dict[str, Any]:
    manifest = source.directory / MANIFEST
    command = files.read_json_object(manifest).get("command") if manifest.exists() else None
    script = re.search(r"data_prep\.(\w+)", str(command))
    licence = _DRAWN if source.synthetic else _LICENCES.get(script[1] if script else "", _UNKNOWN)
    return {
        "name": source.name,
        "synthetic": source.synthetic,
        "counts": source.counts,
        "licence": licence,
    }


def _training(run: Run, checkpoint: str) -> dict[str, Any]:
    """How far the checkpoint had come: its step, and the epoch if the history has it."""
    step = step_of(checkpoint)
    epochs = [
        line["epoch"] for line in read_history(run.directory / HISTORY) if line["step"] <= step
    ]
    return {"step": step, "epoch": round(epochs[-1], 2) if epochs else None}


def scores_of(run: Run, direction: str) -> dict[str, Any] | None:
    """This direction's part of the evaluation, with only the decisive tables; None without one."""
    if not (run.directory / METRICS).exists():
        return None
    metrics = files.read_json(run.directory / METRICS)
    with files.understanding(run.directory / METRICS):
        result = next(
            (result for result in metrics["directions"] if result["direction"] == direction), None
        )
        if result is None:
            return None
        deciding = [
            table
            for table in result["tables"]
            if any(column["decides"] for column in table["columns"])
        ]
        return {
            **result,
            "tables": deciding,
            "data": metrics["data"],
            "split": metrics["split"],
            "note": metrics["note"],
        }
