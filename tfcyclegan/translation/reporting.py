"""Translated pictures in the report of their run: `tfcyclegan translate --report`."""

import functools
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tfcyclegan.config import Size
from tfcyclegan.data import images, intake
from tfcyclegan.data.picture_folders import Reading, pictures_of_path
from tfcyclegan.errors import UserError
from tfcyclegan.system.progress import log
from tfcyclegan.training import whole_pictures
from tfcyclegan.training.run_page import write_report
from tfcyclegan.training.runs import Run

SHOWN = 6
"""At most so many pictures of a call."""
ANSWERS = 4
"""At most so many answers to a picture, where there are several."""


def truths_of(
    inputs: Path, truth: Path, reading: Reading, output: Path
) -> Mapping[str, Callable[[], Image.Image]]:
    """How to read the right answers, by the names of the pictures of `inputs`.

    Args:
        inputs: picture or folder that is translated.
        truth: picture or folder with the right answers, by equal names; two single pictures belong
            together whatever their names.
        reading: how the inputs are read.
        output: folder of the translations.

    Raises:
        UserError: no picture has its truth, or one that the report will show cannot be read.
    """
    found = pictures_of_path(inputs, reading, output=output).pictures
    truths = pictures_of_path(truth, flag="truth").pictures
    if truth.is_file() and inputs.is_file():
        truths = dict(zip(found, truths.values(), strict=False))
    if not found.keys() & truths.keys():
        raise UserError(
            f"--truth={truth}: has no picture called {next(iter(found))}, or as another of --input"
        )
    readers = {
        name: functools.partial(_read, read, f"--truth={truth}: {name}")
        for name, read in truths.items()
    }
    for name in itertools.islice(found, SHOWN):
        if name in readers:
            readers[name]()  # damage is told before the pictures are translated
    return readers


def show_in_report(
    run: Run,
    inputs: Path,
    output: Path,
    truths: Mapping[str, Callable[[], Image.Image]],
    *,
    direction: str,
    checkpoint: str,
    reading: Reading,
    samples: int = 0,
) -> None:
    """Shows the first pictures of `inputs` in the run's report: input | translated | truth.

    Args:
        run: the run that translated them.
        inputs: picture or folder that was translated.
        output: folder with the translations, NAME.png of each picture.
        truths: the right answers, of `truths_of`; empty: shows none.
        direction: "ab" or "ba".
        checkpoint: the one that translated.
        reading: how the inputs are read.
        samples: answers to each picture, NAME_1.png and so on; 0 for NAME.png.

    Raises:
        UserError: a picture or its truth cannot be read.
    """
    found = pictures_of_path(inputs, reading, output=output).pictures
    shown_answers = range(1, min(samples, ANSWERS) + 1)
    marks = {f"answer {each}": f"_{each}" for each in shown_answers} or {"translated": ""}
    for name, read in itertools.islice(found.items(), SHOWN):
        answers = {column: _opened(output / f"{name}{mark}.png") for column, mark in marks.items()}
        cells = {"input": _read(read, f"--input={inputs}: {name}"), **answers}
        if name in truths:
            cells["truth"] = truths[name]()
        width, height = next(iter(answers.values())).size
        resized = {
            column: np.asarray(images.resize(cell.convert("RGB"), Size(height, width)))
            for column, cell in cells.items()
        }
        whole_pictures.write(run.directory, name, direction, resized, checkpoint=checkpoint)
    report = write_report(run.directory, with_figures=False)
    shown = min(len(found), SHOWN)
    missing = len(found.keys() - truths.keys()) if truths else 0
    log(
        f"{report}: shows {shown} of {len(found)} pictures whole"
        + (f", {missing} of all have no truth" if missing else "")
    )


def _read(read: Callable[[], intake.Decoded], place: str) -> Image.Image:
    """A picture; UserError if it cannot be read, which starts with `place`."""
    try:
        return read().image
    except (OSError, intake.BadPicture) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{place}: {reason}; repair or remove it") from error


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
