"""The run directory: its settings, and whether a command may resume it.

config.json     every option, the precision used, the data's fingerprint and values
flags.cfg       the same as a flag file
generator.json  the graph of an imported generator
checkpoints/    step-N, the latest few; best/ the best one measured; worker-N/ the image pools of
                other workers
history.jsonl   one line every --log_every_steps; earlier_history.jsonl: that of the run given by
                --init_from
figures/        the curves as PNG files, and as one table history.csv
samples/        sample strips of test and training pictures
tensorboard/    events
tracking.json   with --track, what a tracker has of this; wandb/ the files of W&B
report.html     curves and pictures
"""

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from tfcyclegan.config import Options, Size, TrainConfig, option_type
from tfcyclegan.config.networks import NetworkOptions
from tfcyclegan.config.training import PRECISIONS
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError
from tfcyclegan.system import files, places
from tfcyclegan.system.progress import log

CONFIG = "config.json"
FLAG_FILE = "flags.cfg"
GRAPH = "generator.json"
IMPORTED = "imported"
"""Data set and fingerprint of a run whose weights come from another program."""
_PLACES = ("run_dir", "init_from")
"""Options that say where a run is and where it came from, not how it continues."""
_OTHERS = {"teacher": ("teacher", "teacher_checkpoint"), "segmenter": ("segmenter",)}
"""Other runs whose weights this one learns from, which config.json identifies, and the options that
name them.
"""
_NOT_SHAPES = {"generator_padding", "discriminator_padding", "dropout", "init", "init_gain"}
"""Options of networks that do not change the shapes of their weights."""
Config = TypeVar("Config", bound=Options)


def config_to_dict(config: Options) -> dict[str, Any]:
    """Options as plain JSON values; sizes as text."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {
        name: str(value) if isinstance(value, Size) else value for name, value in values.items()
    }


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
class OtherWeights:
    """Which weights of another run a run learns from.

    Attributes:
        step: of their checkpoint.
        weights: their identity.
    """

    step: int
    weights: str


@dataclasses.dataclass(frozen=True)
class Run:
    """An existing run directory.

    Attributes:
        directory: its path.
        config: the options it was last started with.
        precision: the precision in force, never "auto".
        data_fingerprint: identity of its data.
        networks: the networks whose weights it holds.
        data_title: name of its data on pages; empty if unknown.
        label_maps: the domains ("a", "b") that were label maps, which are only resized by nearest
            pixels.
        told: lines on changes to pictures and defaults, as printed when the run was last started.
        pairs: identity of the pairs that `config.pairs` names; empty if it names none.
        values: the meaning of measurements' numbers, by domain ("A", "B"); domains of pictures are
            not included.
        classes: the tables of the domains ("a", "b") that its networks see as classes.
        teacher: the generators that a student learns from; None also for those that older versions
            trained.
        segmenter: that of the semantic losses; None also for runs of older versions.
        reading: how the pictures or files of the domains ("a", "b") were read, see
            `Domains.reading`; None for runs of older versions.
    """

    directory: Path
    config: TrainConfig
    precision: str
    data_fingerprint: str
    networks: tuple[str, ...] = ("gen_ab", "gen_ba", "disc_a", "disc_b")
    data_title: str = ""
    label_maps: str = ""
    told: tuple[str, ...] = ()
    pairs: str = ""
    values: Mapping[str, Values] = dataclasses.field(default_factory=dict)
    classes: Mapping[str, ClassTable] = dataclasses.field(default_factory=dict)
    teacher: OtherWeights | None = None
    segmenter: OtherWeights | None = None
    reading: Mapping[str, Mapping[str, Any]] | None = None


def read_run(directory: Path, *, flag: str = "run_dir") -> Run:
    """Opens a run directory.

    Args:
        directory: its path.
        flag: the one that gave it, for messages.

    Raises:
        UserError: there is no run, its settings are damaged, or a newer version made it.
    """
    places.bring(directory)
    if not (directory / CONFIG).is_file():
        raise UserError(f"--{flag}={directory}: holds no run ({CONFIG} is missing)")
    stored = files.read_json(directory / CONFIG)
    try:
        given = {**stored["options"], "run_dir": str(directory)}
        # the path as it was when the run was made, which may since have been moved
        if str(given.get("generator")).endswith(".json") and (directory / GRAPH).is_file():
            given["generator"] = str(directory / GRAPH)
        config = config_from_dict(TrainConfig, given)
        if stored["precision"] not in PRECISIONS:
            raise TypeError(f"precision {stored['precision']!r}")
        # older runs lack entries, which then take defaults
        networks, title = tuple(stored["networks"]), stored.get("data_title", "")
        label_maps, told = str(stored.get("label_maps", "")), tuple(stored.get("told", ()))
        run = Run(
            directory,
            config,
            stored["precision"],
            stored["data_fingerprint"],
            networks,
            title,
            label_maps,
            told,
            str(stored.get("pairs", "")),
            {letter: Values.from_json(each) for letter, each in stored.get("values", {}).items()},
            {
                domain: ClassTable.from_json(table, directory / CONFIG)
                for domain, table in stored.get("classes", {}).items()
            },
            **{name: OtherWeights(**stored[name]) for name in _OTHERS if name in stored},
            reading={domain: {**how} for domain, how in stored["reading"].items()}
            if "reading" in stored
            else None,
        )
    except (KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(
            f"{directory / CONFIG}: damaged, does not hold the settings of a run ({error}); "
            "restore it or train again"
        ) from error
    if unknown := sorted(stored["options"].keys() - config_to_dict(config).keys()):
        raise UserError(
            f"{directory / CONFIG}: has options that this version does not know "
            f"({', '.join(unknown)[:200]}); install a newer one"
        )
    return run


def only_direction(run: Run | None) -> str:
    """The default direction: ab, or ba for a run that has no other."""
    if run is None or "gen_ab" in run.networks or "gen_ba" not in run.networks:
        return "ab"
    log(f"{run.directory}: translating ba, its only direction")
    return "ba"


def write_run(run: Run) -> None:
    """Writes a run's settings into its directory, for `read_run`."""
    content = {
        "format": files.FORMAT,
        "options": config_to_dict(run.config),
        "precision": run.precision,
        "data_fingerprint": run.data_fingerprint,
        "networks": list(run.networks),
        "data_title": run.data_title,
        "label_maps": run.label_maps,
        "told": list(run.told),
        **({"pairs": run.pairs} if run.pairs else {}),
        **(
            {"values": {letter: each.to_json() for letter, each in run.values.items()}}
            if run.values
            else {}
        ),
        **(
            {"classes": {domain: table.to_json() for domain, table in run.classes.items()}}
            if run.classes
            else {}
        ),
        **{
            name: dataclasses.asdict(weights)
            for name in _OTHERS
            if (weights := getattr(run, name)) is not None
        },
        **({} if run.reading is None else {"reading": run.reading}),
    }
    files.write_json(run.directory / CONFIG, content)


def check_resumable(before: Run, now: Run) -> list[str]:
    """Checks that a run with settings `before` may be resumed with `now`.

    Returns:
        Warnings.

    Raises:
        UserError: settings that a resumed run must keep have changed; the message lists them all
            and says how to proceed.
    """
    if before.config.method != now.config.method:
        raise UserError(
            f"--run_dir={before.directory}: holds a run with --method={before.config.method}, not "
            f"{now.config.method}; choose another --run_dir"
        )
    refused, warnings = changed_options(before.config, now.config)
    if before.data_fingerprint != now.data_fingerprint:
        refused.append(
            f"the data in {now.config.data_dir} is not the data that the run was started with"
        )
    if before.classes != now.classes:
        refused.append("the table of classes is not the one that the run was started with")
    if before.pairs != now.pairs:
        flag = "--labelled" if now.config.labelled or before.config.labelled else "--pairs"
        refused.append(f"the pairs of {flag} are not those that the run was started with")
    for other, names in _OTHERS.items():
        if getattr(before, other) and getattr(now, other):
            continue  # known by its weights
        refused += [  # of an older version, or of one of the two alone
            f"--{name} was {old}, now {new}"
            for name in names
            if (old := getattr(before.config, name)) != (new := getattr(now.config, name))
        ]
    if refused:
        mend = _way_on(before, now)
        raise UserError(
            f"--run_dir={before.directory}: holds a run with other settings: "
            f"{'; '.join(refused)}; {mend}"
        )
    if before.precision != now.precision:
        warnings.append(
            f"precision changes from {before.precision} to {now.precision}: losses may jump a "
            "little"
        )
    if now.config.init_from not in ("", before.config.init_from):
        warnings.append(
            f"--init_from={now.config.init_from}: not read, since the run continues from its own "
            "checkpoint"
        )
    return warnings


def network_changes(before: Options, now: Options) -> list[str]:
    """The options that keep the networks of `now` from using the weights of `before`, one line
    each.
    """
    shapes = {field.name for field in dataclasses.fields(NetworkOptions)} - _NOT_SHAPES | {
        "channels_a",
        "channels_b",
        "labels_a",
        "labels_b",
    }
    old, new = config_to_dict(before), config_to_dict(now)
    old["generator"], new["generator"] = (
        getattr(before, "architecture", ""),
        getattr(now, "architecture", ""),
    )
    for values in (old, new):  # which other methods do not have
        values |= {name: values[name] or "colours" for name in ("labels_a", "labels_b")}
    same = ("residual_blocks",)  # the architecture's name includes it
    return [
        f"--{name} was {old[name]}, now {new[name]}"
        for name in sorted(shapes)
        if name not in same and old[name] != new[name]
    ]


def _way_on(before: Run, now: Run) -> str:
    """A command that helps if a run cannot be resumed with other settings."""
    if network_changes(before.config, now.config):
        return (
            "its weights do not fit these networks; to train them from scratch choose another "
            "--run_dir"
        )
    changed = {
        field.name: getattr(now.config, field.name) for field in dataclasses.fields(now.config)
    }
    kept = ("run_dir", "init_from")
    differing = {
        name: value
        for name, value in changed.items()
        if name not in kept and value != getattr(before.config, name)
    }
    texts = [
        f"--{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in differing.items()
        if value is not None
    ]
    flag_file = before.directory / FLAG_FILE
    given = [f"--flagfile={flag_file}"] if flag_file.exists() else []  # a run from Python has none
    places = [f"--run_dir={before.directory}-2", f"--init_from={before.directory}"]
    return (
        "to start a new run from its weights, use --init_from: "
        f"{shlex.join(['tfcyclegan', 'train', *given, *texts, *places])}"
    )


def changed_options(before: Options, now: Options) -> tuple[list[str], list[str]]:
    """The changed options that a resumed run refuses, and those that it accepts with a warning, one
    line each.
    """
    refused, warnings, taken = [], [], []
    old, new = config_to_dict(before), config_to_dict(now)
    for field in dataclasses.fields(now):
        name, rule = field.name, field.metadata["on_resume"]
        if old[name] == new[name] or name in _PLACES:
            continue
        if rule in ("free", "warn"):
            taken.append(f"--{name} was {_shown(old[name])}, now {_shown(new[name])}")
        elif rule == "grow" and None not in (old[name], new[name]) and new[name] > old[name]:
            rates = ", and the learning rate of future steps follows it" if name == "epochs" else ""
            warnings.append(f"--{name} grows from {old[name]} to {new[name]}{rates}")
        else:
            shrinks = " (may only grow)" if rule == "grow" else ""
            refused.append(f"--{name} was {old[name]}, now {new[name]}{shrinks}")
    return refused, warnings + (
        [f"continues with other options: {'; '.join(taken)}"] if taken else []
    )


def _shown(value: Any) -> str:
    return "not given" if value in (None, "") else str(value)
