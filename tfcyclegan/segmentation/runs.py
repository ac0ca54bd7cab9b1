"""A segmenter's run directory, and its settings, which are read without TensorFlow.

segmenter.json  every option, the precision used, its training data, the table of its classes
flags.cfg       the same as a flag file, if it was started by a command
checkpoints/    step-N; the last step's is the segmenter
history.jsonl   one line every --log_every_steps
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfcyclegan.config import SegmenterOptions, Size
from tfcyclegan.data.labels import CITYSCAPES, ClassTable
from tfcyclegan.data.source import DataSource
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from tfcyclegan.training.runs import config_from_dict, config_to_dict

SETTINGS = "segmenter.json"


@dataclass(frozen=True)
class SegmenterRun:
    """A run directory of `train_segmenter`.

    Attributes:
        directory: its path.
        options: the options of its last start.
        precision: the precision in force, never "auto".
        parts: identities and shares of its training data.
        size: size of the pictures that the network was trained on.
        classes: the table of its classes.
        interpolation: the filter that resizes pictures to the options' `load_size`.
    """

    directory: Path
    options: SegmenterOptions
    precision: str
    parts: list[list[Any]]
    size: Size
    classes: ClassTable
    interpolation: str = "bicubic"

    def write(self) -> None:
        content = {
            "format": files.FORMAT,
            "options": config_to_dict(self.options),
            "precision": self.precision,
            "parts": self.parts,
            "size": str(self.size),
            "classes": self.classes.to_json(),
            "interpolation": self.interpolation,
        }
        files.write_json(self.directory / SETTINGS, content)


def read_segmenter_run(directory: Path, *, flag: str = "segmenter_dir") -> SegmenterRun:
    """Opens a run directory.

    Args:
        directory: its path.
        flag: the one that gave it, for messages.

    Raises:
        UserError: there is no run, or its settings are damaged.
    """
    if not (directory / SETTINGS).is_file():
        raise UserError(
            f"--{flag}={directory}: holds no segmenter ({SETTINGS} is missing); train one "
            "with tfcyclegan train_segmenter"
        )
    stored = files.read_json(directory / SETTINGS)
    try:
        options = config_from_dict(SegmenterOptions, stored["options"])
        # runs without a table were trained on Cityscapes' classes
        classes = (
            ClassTable.from_json(stored["classes"], directory / SETTINGS)
            if "classes" in stored
            else CITYSCAPES
        )
        return SegmenterRun(
            directory,
            options,
            stored["precision"],
            stored["parts"],
            Size.parse(stored["size"]),
            classes,
            stored.get("interpolation", "bicubic"),
        )
    except (KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(
            f"{directory / SETTINGS}: damaged, does not hold a segmenter's settings ({error}); "
            "restore it or train again"
        ) from error


def interpolation_for(run_dir: Path, load_size: Size | None, source: DataSource) -> str:
    """The filter that resizes a segmenter's pictures: the one with which its run began, otherwise
    the one with which its data was prepared, which is reported.
    """
    if (run_dir / SETTINGS).is_file():
        return read_segmenter_run(run_dir).interpolation
    if load_size is None or source.interpolation == "bicubic":
        return "bicubic"
    log(
        f"{source.directory}: pictures are resized by {source.interpolation}, as in their "
        "preparation"
    )
    return source.interpolation
