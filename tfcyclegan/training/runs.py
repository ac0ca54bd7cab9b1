"""The run directory: its settings, and whether a command may go on with it.

config.json     every option, the precision taken, the data's fingerprint
flags.cfg       the same as a flag file
checkpoints/    step-N, the latest few; best/ the best one measured; worker-N/ the image pools of workers other than the chief
history.jsonl   one line every --log_every_steps; earlier_history.jsonl: that of the run given by --init_from
figures/        the curves as PNG files, and as one table history.csv
samples/        sample strips of test and training pictures
tensorboard/    events
report.html     curves and pictures
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from tfcyclegan import files
from tfcyclegan.config import Options, Size, TrainConfig, option_type
from tfcyclegan.config.training import PRECISIONS
from tfcyclegan.errors import UserError

CONFIG = "config.json"
Config = TypeVar("Config", bound=Options)


def config_to_dict(config: Options) -> dict[str, Any]:
    """Options as plain JSON values; sizes as text."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {name: str(value) if isinstance(value, Size) else value for name, value in values.items()}


def config_from_dict(config_class: type[Config], values: Mapping[str, Any]) -> Config:
    """The inverse of `config_to_dict`; options that a newer version added take their defaults."""
    known = {field.name: field for field in dataclasses.fields(config_class)}
    parsed = {
        name: Size.parse(value) if option_type(known[name]) is Size and value is not None else value
        for name, value in values.items()
        if name in known
    }
    return config_class(**parsed)


@dataclasses.dataclass(frozen=True)
class Run:
    """A run directory that exists.

    Attributes:
        directory: where it lies.
        config: the options it was last started with.
        precision: the precision in force, never "auto".
        data_fingerprint: identity of its data.
        networks: the networks that it has weights of; a training run has all four.
        data_title: what its data are called on pages; empty where they are not known.
        label_maps: which of the domains "a" and "b" were label maps, which only nearest pixels resize.
    """

    directory: Path
    config: TrainConfig
    precision: str
    data_fingerprint: str
    networks: tuple[str, ...] = ("gen_ab", "gen_ba", "disc_a", "disc_b")
    data_title: str = ""
    label_maps: str = ""


def read_run(directory: Path) -> Run:
    """Opens a run directory.

    Raises:
        UserError: there is none, or its settings are damaged.
    """
    if not (directory / CONFIG).is_file():
        raise UserError(f"--run_dir={directory}: no run there ({CONFIG} is missing)")
    stored = files.read_json(directory / CONFIG)
    try:
        config = config_from_dict(TrainConfig, {**stored["options"], "run_dir": str(directory)})
        if stored["precision"] not in PRECISIONS:
            raise TypeError(f"precision {stored['precision']!r}")
        networks = tuple(stored["networks"])
        title, label_maps = stored.get("data_title", ""), str(stored.get("label_maps", ""))  # older runs have neither
        return Run(directory, config, stored["precision"], stored["data_fingerprint"], networks, title, label_maps)
    except (KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(f"{directory / CONFIG}: damaged, not the settings of a run ({error}); restore it or train again") from error


def write_run(run: Run) -> None:
    """Writes a run's settings into its directory, for `read_run`."""
    content = {
        "options": config_to_dict(run.config),
        "precision": run.precision,
        "data_fingerprint": run.data_fingerprint,
        "networks": list(run.networks),
        "data_title": run.data_title,
        "label_maps": run.label_maps,
    }
    files.write_json(run.directory / CONFIG, content)


def check_resumable(before: Run, now: Run) -> list[str]:
    """Whether a run with settings `before` may go on with `now`.

    Returns:
        Lines of warning.

    Raises:
        UserError: a setting changed that a resumed run must keep; all such differences are listed.
    """
    refused, warnings = changed_options(before.config, now.config)
    if before.data_fingerprint != now.data_fingerprint:
        refused.append(f"the data in {now.config.data_dir} is not what the run was started with")
    if refused:
        raise UserError(f"--run_dir={before.directory}: holds a run with other settings: {'; '.join(refused)}; choose another --run_dir")
    if before.precision != now.precision:
        warnings.append(f"precision changes from {before.precision} to {now.precision}: losses may jump a little")
    return warnings


def changed_options(before: Options, now: Options) -> tuple[list[str], list[str]]:
    """What a resumed run may not do to its options, and what it may but should be told of; a line each."""
    refused, warnings = [], []
    old, new = config_to_dict(before), config_to_dict(now)
    for field in dataclasses.fields(now):
        name, rule = field.name, field.metadata["on_resume"]
        if old[name] == new[name] or rule in ("free", "warn"):
            continue
        if rule == "grow" and None not in (old[name], new[name]) and new[name] > old[name]:
            warnings.append(f"--{name} grows from {old[name]} to {new[name]}")
        else:
            shrinks = " (may only grow)" if rule == "grow" else ""
            refused.append(f"--{name} was {old[name]}, now {new[name]}{shrinks}")
    return refused, warnings
