"""A split of measurements of a prepared data set -> array files, or PNGs if the target domain is
pictures.
"""

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.picture_folders import Ledger, recording
from tfcyclegan.data.source import DataSource
from tfcyclegan.data.values import Values
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.formats.base import Shape
from tfcyclegan.system import files
from tfcyclegan.system.parallel import Stages
from tfcyclegan.system.progress import Progress
from tfcyclegan.translation import array_files
from tfcyclegan.translation.measured_files import (
    PREVIEW_SIDE,
    PREVIEWS,
    RESIZED,
    PngPlanes,
    Previews,
    count,
    stem_of,
    tell_values,
)
from tfcyclegan.translation.translators import (
    AT_ONCE,
    RECORD,
    TOLD,
    Translator,
    give_up,
    record_of,
)
from tfcyclegan.translation.value_pair import describe, network_size

_MEND = "give data prepared like those of its training"


@dataclass(frozen=True)
class _Plane:
    name: str
    array: np.ndarray
    tally: Counter[str]


def translate_measured_split(
    translators: Sequence[Translator],
    source: DataSource,
    split: str,
    output: Path,
    *,
    scale: images.Scale | None = None,
    arrays: str = array_files.NPY,
    previews: Previews | None = None,
) -> None:
    """Translates the arrays of a split into `output`, one file each; existing results of the same
    model are kept.

    Args:
        translators: copies of one translator, one for each device, whose source has values.
        source: the data set.
        split: the split to translate; it has the values of the translators' source.
        output: folder of the results.
        scale: how arrays are resized for the network; results always keep the arrays' sizes.
        arrays: extension of the files, one of `array_files.ENDINGS`.
        previews: whether and how PNGs are written beside them.

    Raises:
        UserError: `output` holds another model's results, or there is no such split.
        RunError: the data set is damaged, or the model's output is not finite.
    """
    source.require(split)
    model = translators[0]
    known, written = model.values.source, model.values.written
    assert known is not None
    ending = arrays if written else ".png"

    def target(name: str) -> Path:
        path = PurePosixPath(name.removeprefix(f"{split}/"))
        return output / path.with_name(f"{stem_of(path.name)}{ending}")

    def missing() -> Iterator[tuple[str, np.ndarray]]:
        return (item for item in source.arrays(split) if not target(item[0]).exists())

    def before(item: tuple[str, np.ndarray]) -> _Plane:
        return _Plane(*item, count(known, item[1]))

    def translate(translator: Translator, plane: _Plane) -> _Plane:
        try:
            return _Plane(plane.name, translator(plane.array, output, scale=scale), plane.tally)
        except RunError as error:
            raise RunError(f"{source.directory}: {plane.name}: {error}") from error

    def save(ledger: Ledger, plane: _Plane) -> None:
        path, own = target(plane.name), Size(*plane.array.shape[:2])
        resized = network_size(own, scale) != own
        ledger.journal.add(plane.name, {RESIZED} if resized else (), tally=plane.tally)
        if previews and written:
            beside = output / PREVIEWS / path.relative_to(output).with_suffix(".png")
            shape, display = Shape(1, *plane.array.shape), previews.display
            picture = PngPlanes(beside, shape, written, display, PREVIEW_SIDE)
            picture.write(plane.array)
            picture.finish()
        content = (
            array_files.encode(plane.array, ending) if written else images.encode_png(plane.array)
        )
        files.write_bytes(path, content)

    copies = [
        functools.partial(translate, translator)
        for _ in range(AT_ONCE)
        for translator in translators
    ]
    identity = record_of(model, scale) | source.identity_of(split)
    total = source.counts[split]
    with (
        recording(output, RECORD, identity, TOLD, total=total, unit="array") as ledger,
        Progress(total, unit="array", label=TOLD[0]) as progress,
    ):
        after = functools.partial(save, ledger)
        for _ in Stages(before, copies, after, lambda: give_up(translators)).of(missing()):
            ledger.made += 1
            progress.advance()
    tell_values(output, ledger, translators[0].values.written)


def require_kind(source: DataSource, split: str, known: Values | None) -> None:
    """Checks that a split holds the data that a translator needs.

    Raises:
        UserError: it does not, or there is no such split.
    """
    source.require(split)
    here = source.values_of(split)
    if (here is None) != (known is None):
        kinds = [describe(one) if one else "8-bit pictures" for one in (here, known)]
        raise UserError(
            f"--data_dir={source.directory}: split {split} holds {kinds[0]}, but the model needs "
            f"{kinds[1]}; {_MEND}"
        )
    if here is None or known is None:
        return
    for what in ("channels", "neighbours", "units"):
        own, trained = getattr(here, what), getattr(known, what)
        if own != trained:
            raise UserError(
                f"--data_dir={source.directory}: split {split} has {what} {own or 'none'}, but the "
                f"model needs {trained or 'none'}; {_MEND}"
            )
