"""`tfcyclegan distill`: a training by --method=distill whose other options are its teacher's."""

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tfcyclegan.commands import train
from tfcyclegan.config import DistillConfig, TrainConfig
from tfcyclegan.config.methods import default_of
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.progress import log

Config = DistillConfig
EXAMPLES = """
    tfcyclegan distill --run_dir=runs/mine --output=runs/light
    tfcyclegan distill --run_dir=runs/mine --output=runs/light --students=ab --base_filters=12 \
        --residual_blocks=6
    (the same command again resumes)
"""
# Options of the student that are called otherwise in a training.
_RENAMED = {"run_dir": "teacher", "output": "run_dir", "checkpoint": "teacher_checkpoint"}
# What of the teacher's run is not handed down: what decides its length and what it began with.
_NOT_TAKEN = ("init_from", "segmenter", "step_epochs", "schedule", "beta_1", "beta_2", "pairs")
# What a student is known to have of its own.
_EXPECTED_OTHERWISE = ("method", "generator", "init_from")


def run(config: DistillConfig) -> Path:
    from tfcyclegan.training.runs import read_run

    files.require_no_file("output", Path(config.output))
    return train.run(student_config(config, read_run(Path(config.run_dir)).config))


def student_config(config: DistillConfig, teacher: TrainConfig) -> TrainConfig:
    """The training that makes the student.

    Raises:
        UserError: a teacher whose generators are no ResNets.
    """
    if not teacher.is_resnet:
        raise UserError(
            f"--run_dir={config.run_dir}: its generator is {teacher.generator}; a student needs a "
            "ResNet as its teacher"
        )
    given = {
        _RENAMED.get(field.name, field.name): getattr(config, field.name)
        for field in dataclasses.fields(config)
    }
    inherited: dict[str, Any] = {
        field.name: getattr(teacher, field.name)
        for field in dataclasses.fields(TrainConfig)
        if field.name not in (*given, *_NOT_TAKEN, "method")
        and default_of(field, "distill") is not None
    }
    _tell_dropped(config, teacher, {*given, *inherited, *_EXPECTED_OTHERWISE})
    given["residual_blocks"] = config.residual_blocks or teacher.block_count
    given["data_dir"] = config.data_dir or teacher.data_dir
    return TrainConfig(method="distill", **inherited | given | {"generator": "resnet"})


def _tell_dropped(config: DistillConfig, teacher: TrainConfig, told: Collection[str]) -> None:
    """What the teacher was given that its student is not."""
    dropped = [
        f"--{field.name}"
        for field in dataclasses.fields(TrainConfig)
        if field.name not in told
        and getattr(teacher, field.name) not in (default_of(field, teacher.method), None, "")
    ]
    if dropped:
        log(
            f"{config.run_dir}: not handed down to the student: {', '.join(dropped)}; "
            "tfcyclegan train --method=distill takes those that go with it"
        )
