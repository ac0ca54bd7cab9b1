"""The initial weights of training: those of another run, or of the teacher in distillation."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfcyclegan.config import AUGMENTED, TrainConfig
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError
from tfcyclegan.methods.base import Method
from tfcyclegan.methods.factory import make_network
from tfcyclegan.networks import Generator
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from tfcyclegan.training.checkpoint_files import step_of
from tfcyclegan.training.checkpoints import (
    find_checkpoint,
    load_networks,
    restore_networks,
    told_choice,
    weights_hash,
)
from tfcyclegan.training.history import keep_earlier_history
from tfcyclegan.training.runs import OtherWeights, Run, network_changes, read_run


def start_from(model: Method, config: TrainConfig, *, keeps_history: bool) -> None:
    """Loads the weights of the run in `config.init_from` into the networks that both have; reports
    which are not used and which start from scratch.

    Args:
        model: the model before its first step.
        config: the options of its run.
        keeps_history: whether to keep that run's history beside this run's own.

    Raises:
        UserError: a network of that run has another architecture.
    """
    directory = Path(config.init_from)
    other = read_run(directory, flag="init_from")
    taken, networks = [], load_networks(other, "latest", other.networks)
    for name, network in networks.items():
        own = model.networks.get(name)
        if own is None:
            log(f"--init_from={directory}: its {name} is not used by --method={config.method}")
            continue
        if name.startswith("disc") and _inputs(own) != _inputs(network):
            log(
                f"--init_from={directory}: its {name} has {_inputs(network)} input channels, not "
                f"{_inputs(own)} as with --method={config.method}, so it starts from scratch"
            )
            continue
        if _weights(own) != _weights(network) or (
            _weightless(own) != _weightless(network) and not name.startswith("disc")
        ):
            changes = "; ".join(network_changes(other.config, config)) or "its graph differs"
            raise UserError(
                f"--init_from={directory}: its {name} is a different network: {changes}; give the "
                "same network flags as for that run"
            )
        if _weightless(own) != _weightless(network):
            blurs = "without its" if network.settings["antialias"] else "with"
            told = f"is used {blurs} blurs, as this run's flags say"
            log(f"--init_from={directory}: its {name} {told}")
        taken.append(name)
        own.set_weights(network.get_weights())
        if name in model.averages:
            model.averages[name].set_weights(network.get_weights())
    if keeps_history:
        keep_earlier_history(
            Path(config.run_dir), directory, step_of(find_checkpoint(directory, "latest"))
        )
    log(
        f"weights of {', '.join(taken)} from {directory}, its latest checkpoint; optimizers, pools "
        "and steps start from scratch"
    )
    if lacking := [name for name in model.networks if name not in networks]:
        log(f"--init_from={directory}: has none of these, new ones are made: {', '.join(lacking)}")


def of_ranges(config: TrainConfig, values: Mapping[str, Values], *, begins: bool) -> list[str]:
    """Lines to report if the run to start from, or the teacher, saw other values as -1 and 1.

    Args:
        config: the options.
        values: the meaning of measurements' numbers, by domain.
        begins: whether this run has no checkpoint, so that it does start from the other.

    Raises:
        UserError: it is the teacher, whose translations would be of other values; or there is no
            such run.
    """
    lines = []
    for flag in ("init_from", "teacher"):
        place = getattr(config, flag)
        if not place or (flag == "init_from" and not begins):
            continue
        theirs = read_run(Path(place), flag=flag).values
        for letter in sorted({*values, *theirs}):
            own, other = (
                each[letter].ranges() if letter in each else "8-bit pictures"
                for each in (values, theirs)
            )
            if own == other:
                continue
            line = f"--{flag}={place}: its domain {letter} has {other}, but this data has {own}"
            if flag == "teacher":
                raise UserError(f"{line}; prepare the data like the teacher's")
            lines.append(line)
    return lines


@dataclasses.dataclass(frozen=True)
class Teaching:
    """What a student learns from. All is of one checkpoint: a teacher that is still in training
    writes others meanwhile.

    Attributes:
        run: the teacher's run.
        identity: by which a resumed run knows it again.
        told: which checkpoint it is.
        weights: of its generators for the student's directions, and of the discriminators that it
            has for these, by name.
    """

    run: Run
    identity: OtherWeights
    told: str
    weights: Mapping[str, list[np.ndarray]]


def teaching_of(config: TrainConfig) -> Teaching | None:
    """What a student learns from; None without a teacher.

    Raises:
        UserError: there is no such teacher, or it has no generator for a requested direction.
    """
    if config.method != "distill":
        return None
    run, generators = _teacher(config), [f"gen_{way}" for way in config.student_directions]
    discriminators = [f"disc_{way[1]}" for way in config.student_directions]
    path = find_checkpoint(run.directory, config.teacher_checkpoint)
    names = (*generators, *(name for name in discriminators if name in run.networks))
    networks = restore_networks(run, path, names)
    hashes = [weights_hash(networks[name]) for name in generators]
    return Teaching(
        run,
        OtherWeights(step_of(path), files.sha256_of_json(hashes)),
        told_choice(run.directory, config.teacher_checkpoint, path),
        {name: network.get_weights() for name, network in networks.items()},
    )


def load_teachers(teaching: Teaching | None, precision: str) -> dict[str, Generator]:
    """The teacher's generators by direction, in the precision of training; none without one."""
    if teaching is None:
        return {}
    run, teachers = teaching.run, {}
    for name, weights in teaching.weights.items():
        if name.startswith("gen_"):
            network = make_network(run.config, name, dtype=precision, classes=run.classes)
            assert isinstance(network, Generator)
            network.set_weights(weights)
            network.trainable = False
            teachers[name.removeprefix("gen_")] = network
    log(f"teacher: {run.directory}, {teaching.told}")
    return teachers


def _teacher(config: TrainConfig) -> Run:
    """The teacher's run; UserError if it cannot teach these directions."""
    teacher = read_run(Path(config.teacher), flag="teacher")
    there = [name.removeprefix("gen_") for name in teacher.networks if name.startswith("gen_")]
    directions = config.student_directions
    if lacking := [direction for direction in directions if direction not in there]:
        raise UserError(
            f"--students={config.students}: the teacher {config.teacher} has no generator "
            f"{', '.join(lacking)}; give --students={there[0]}"
        )
    if teacher.config.method == AUGMENTED:
        raise UserError(
            f"--teacher={config.teacher}: is a run of --method={AUGMENTED}, whose generators have "
            "many answers to a picture; teach by a run of another method"
        )
    if teacher.classes:
        raise UserError(
            f"--teacher={config.teacher}: its label maps are classes (--labels_"
            f"{min(teacher.classes)}=onehot), whose colours pass no gradient on; teach by a run "
            "without it"
        )
    return teacher


def begin_as_teacher(model: Method, teaching: Teaching) -> None:
    """Loads the teacher's discriminators if their shapes agree."""
    taken = []
    for name in _discriminators(model):
        weights = teaching.weights.get(name, [])
        if _weights(model.networks[name]) == [weight.shape for weight in weights]:
            model.networks[name].set_weights(weights)
            taken.append(name)
    anew = [name for name in _discriminators(model) if name not in taken]
    if anew:
        log(
            f"{', '.join(anew)}: not loaded from the teacher, where shapes differ or are missing; "
            "starts from scratch"
        )


def _discriminators(model: Method) -> list[str]:
    return [f"disc_{domain}" for domain in model.discriminators]


def _inputs(network: Any) -> int:
    """The number of input channels of a network."""
    return network.settings["in_channels"]


def _weights(network: keras.Model) -> list[tuple[int, ...]]:
    """The shapes of all weights."""
    return [weight.shape for weight in network.weights]


def _weightless(network: Any) -> list[bool]:
    """What else a generator must share with one whose weights it takes. A discriminator is fit for
    other blurs, since it goes on learning beside its generator.
    """
    names = ("antialias", "antialias_up", "input_skip")
    return [network.settings.get(name, False) for name in names]
