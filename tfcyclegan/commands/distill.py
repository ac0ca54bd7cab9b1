"""`tfcyclegan distill`: training with --method=distill whose other options are the teacher's."""

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
    tfcyclegan distill --run_dir=runs/mine --output=runs/light --students=ab --base_filters=12 \\
        --residual_blocks=6
    (the same command again resumes)
"""
# Options of the student that have other names in training.
_RENAMED = {"run_dir": "teacher", "output": "run_dir", "checkpoint": "teacher_checkpoint"}
# Options of the teacher's run that the student does not inherit: they determine its length and its
# start, name known pairs, or go with the teacher's method and batches alone.
_NOT_TAKEN = (
    *("init_from", "segmenter", "step_epochs", "schedule", "beta_1", "beta_2"),
    *("pairs", "lambda_paired", "paired_share"),
    *("xla", "accumulate_steps"),
)
# Options that a student is expected to have of its own.
_EXPECTED_OTHERWISE = ("method", "generator", "init_from")


def run(config: DistillConfig) -> Path:
    from tfcyclegan.training.runs import read_run

    files.require_no_file("output", Path(config.output))
    return train.run(student_config(config, read_run(Path(config.run_dir)).config))


def student_config(config: DistillConfig, teacher: TrainConfig) -> TrainConfig:
    """The training options of the student.

    Raises:
        UserError: the teacher's generators are not ResNets.
    """
    if not teacher.is_resnet:
        raise UserError(
            f"--run_dir={config.run_dir}: its generator is {teacher.generator}; a student needs a "
            "ResNet as teacher"
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
    """Reports the teacher's options that its student does not inherit."""
    dropped = [
        f"--{field.name}"
        for field in dataclasses.fields(TrainConfig)
        if field.name not in told
        and getattr(teacher, field.name) not in (default_of(field, teacher.method), None, "")
    ]
    if dropped:
        log(
            f"{config.run_dir}: the student does not inherit {', '.join(dropped)}; tfcyclegan "
            "train --method=distill accepts those that apply to it"
        )
