"""Translating by the workers of an engine instead of in this process."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfcyclegan.data.domains import Split
from tfcyclegan.data.images import Scale
from tfcyclegan.data.notes import Journal
from tfcyclegan.data.picture_folders import recording
from tfcyclegan.data.shards import WORK
from tfcyclegan.engines import Engine, results
from tfcyclegan.errors import RunError
from tfcyclegan.exports import exported_models
from tfcyclegan.system.progress import Progress
from tfcyclegan.training.runs import Run
from tfcyclegan.translation.translators import (
    RECORD,
    TOLD,
    Translator,
    copies_on_devices,
    record_of,
    translate_split,
)

PART = 100
"""Pictures that a worker translates at once, where it writes no shards."""


@dataclass(frozen=True)
class Elsewhere:
    """The workers.

    Attributes:
        engine: whose workers they are.
        open: opens copies of the translator, one for each device of a worker; pickled, and called
            once by each worker process.
    """

    engine: Engine
    open: Callable[[], Sequence[Translator]]


def of_run(engine: Engine, run: Run, checkpoint: str, direction: str, **settings: Any) -> Elsewhere:
    """The workers open a generator of a run, with the arguments of `copies_on_devices`."""
    there = dataclasses.replace(run, directory=run.directory.absolute())
    open_ = functools.partial(copies_on_devices, there, checkpoint, direction, **settings)
    return Elsewhere(engine, open_)


def of_model(engine: Engine, path: Path, **settings: Any) -> Elsewhere:
    """The workers open an exported model, with the arguments of `exported_models.from_model`."""
    return Elsewhere(engine, functools.partial(_exported, path.absolute(), settings))


def _exported(path: Path, settings: Mapping[str, Any]) -> list[Translator]:
    return [exported_models.from_model(path, **settings)]


def translate_split_elsewhere(
    translators: Sequence[Translator],
    split: Split,
    output: Path,
    scale: Scale,
    elsewhere: Elsewhere,
) -> None:
    """`translate_split` by the workers of an engine, into a folder that all of them see.

    Args:
        translators: copies of the translator here.
        split: the split, whose pictures have different names.
        output: the folder; the workers' own files are beside it.
        scale: resizes pictures first.
        elsewhere: the workers.
    """
    source, count = split.source, split.count
    identity = record_of(translators[0], scale) | source.identity_of(split.name)
    make = functools.partial(
        _part_translator,
        elsewhere.open,
        translators[0].identity,
        split,
        output.absolute(),
        scale,
    )
    with (
        recording(output, RECORD, identity, TOLD, total=count, left_out=source.left_out) as ledger,
        Progress(count, unit="image", label=TOLD[0]) as progress,
    ):
        parts = [range(first, min(first + PART, count)) for first in range(0, count, PART)]
        for made, bad in results(
            elsewhere.engine,
            make,
            parts,
            output.parent / WORK,
            finished=lambda part: progress.advance(len(part)),
        ):
            ledger.made += made
            ledger.bad += bad
        ledger.journal = Journal(output)  # to which the workers have added


def _part_translator(
    open_: Callable[[], Sequence[Translator]],
    identity: Mapping[str, Any],
    split: Split,
    output: Path,
    scale: Scale,
) -> Callable[[range], tuple[int, list[str]]]:
    """Translates a part of the split, on a worker; returns the number of translations made and the
    reasons why pictures could not be read.
    """
    translators = opened(open_, identity)

    def translate(part: range) -> tuple[int, list[str]]:
        ledger = translate_split(
            translators,
            split.source.part(split.name, part),
            split.name,
            output,
            scale=scale,
            reserved=True,
        )
        return ledger.made, ledger.bad

    return translate


def opened(
    open_: Callable[[], Sequence[Translator]], identity: Mapping[str, Any]
) -> Sequence[Translator]:
    """The copies of a translator, on a worker.

    Args:
        open_: see `Elsewhere`.
        identity: that of the translator where the command was started.

    Raises:
        RunError: the worker has another one.
    """
    translators = open_()
    if (own := translators[0].identity) != identity:
        raise RunError(
            f"a worker opens another model ({own}) than was started with ({dict(identity)}); all "
            "workers must see the same files"
        )
    return translators
