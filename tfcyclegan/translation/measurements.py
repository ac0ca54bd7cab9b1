"""Translates files of measurements into files of the same format, geometry and name: volumes plane
by plane, large scenes by windows.

A file gets its final name when all of its planes are translated; existing results of the same model
are kept. If the target domain is pictures, each plane gives a PNG.

Each plane is normalized by its own statistics, as in training, where each was a separate example;
the network has never seen statistics of a whole volume.
"""

import functools
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.data import images, intake
from tfcyclegan.data.manifest import printable
from tfcyclegan.data.picture_folders import Ledger, recording
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.formats.base import Window
from tfcyclegan.system.parallel import Stages
from tfcyclegan.system.progress import Progress, log
from tfcyclegan.translation.measured_files import (
    RESIZED,
    MeasuredFile,
    Previews,
    count,
    tell_values,
)
from tfcyclegan.translation.measured_inputs import find_inputs
from tfcyclegan.translation.tiling import Source, Tiler
from tfcyclegan.translation.translators import AT_ONCE, RECORD, Translator, give_up, record_of
from tfcyclegan.translation.value_pair import network_size


def translate_measurements(
    translators: Sequence[Translator],
    path: Path,
    output: Path,
    *,
    scale: images.Scale | None = None,
    options: Mapping[str, Any] | None = None,
    previews: Previews | None = None,
) -> None:
    """Translates a file, a series, or everything below a folder, into files of the same names in
    `output`.

    Args:
        translators: copies of one translator, one for each device, whose source has values.
        path: what to translate.
        output: folder of the results.
        scale: how planes are resized for the network; results always keep the input's size. None
            resizes nothing.
        options: options of the files' format, see `open_measurement`.
        previews: whether and how PNGs are written beside the results.

    Raises:
        UserError: `output` holds another model's results, or files cannot be read, do not fit the
            model or have a format that cannot hold their translations (after all others were
            translated).
        RunError: the model's output is not finite.
    """
    model, options = translators[0], dict(options or {})
    found, left_out = find_inputs(path, output)
    if left_out:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))
        log(f"{path}: not used: {kinds}")
    all_files = [
        MeasuredFile(name, given.path, output, model.values, {**options, **given.options}, previews)
        for name, given in found.items()
    ]
    bad = [line for file in all_files if (line := _look(file))]
    fitting = [file for file in all_files if not file.bad]
    _require_own_names(path, fitting)
    with recording(
        output,
        RECORD,
        record_of(model, scale) | ({"opened": options} if options else {}),
        (
            "translating",
            "translated",
            "translations of another model, at another scale or with other settings",
        ),
        total=len(all_files),
        left_out=left_out,
        unit="file",
    ) as ledger:
        ledger.bad.extend(bad)
        waiting = [_Work(file, model, scale) for file in fitting if not file.done]
        whole = [work for work in waiting if work.tiler is None]
        planes = sum(work.file.shape.planes for work in whole)
        try:
            with Progress(planes, unit="plane", label="translating") as progress:
                _translate_planes(translators, whole, ledger, progress)
            for work in waiting:
                if work.tiler is not None:
                    _translate_in_tiles(work, work.tiler, output, ledger)
        finally:
            for file in all_files:
                file.close()
    tell_values(output, ledger, translators[0].values.written)


def _require_own_names(path: Path, all_files: Sequence[MeasuredFile]) -> None:
    taken: dict[Path, str] = {}
    for file in all_files:
        for target in file.targets:
            other = taken.setdefault(target, file.name)
            if other != file.name:
                raise UserError(
                    f"--input={path}: {printable(other)} and {printable(file.name)} would both "
                    f"become {target.name}; rename one"
                )


def _look(file: MeasuredFile) -> str:
    """Why a file cannot be translated, judging by its header; otherwise empty."""
    try:
        file.open()
    except (intake.BadPicture, OSError) as error:
        return _given_up(file, error)
    finally:
        file.close()
    return ""


def _given_up(file: MeasuredFile, error: Exception) -> str:
    """Marks a file that cannot be translated; returns the line that reports it."""
    file.bad = (
        f"cannot be read ({error.strerror or error})" if isinstance(error, OSError) else str(error)
    )
    return f"{printable(file.name)}: {file.bad}"


class _Work:
    """A file being translated: at which size, and whether in tiles.

    Attributes:
        under_way: number of its planes that are being read, translated or await writing.
    """

    def __init__(self, file: MeasuredFile, model: Translator, scale: images.Scale | None):
        self.file, self.under_way = file, 0
        self.interpolation = scale.interpolation if scale else "bicubic"
        self.size = network_size(file.size, scale) if scale else model.fit or file.size
        tiler = model.tiler
        self.tiler = (
            tiler if tiler is not None and tiler.wants(file.size.height, file.size.width) else None
        )
        if self.size == file.size:
            return
        if self.tiler is not None:
            raise UserError(
                f"{printable(file.name)}: planes of {file.size} are translated in tiles, but "
                f"training resized its planes to {self.size}; --scale=original keeps their size"
            )
        file.notes.add(RESIZED)


@dataclass(frozen=True)
class _Plane:
    """A plane being translated: `array` holds values, then the network's input and output, then
    values again; `error` says why there are none.
    """

    work: _Work
    number: int
    array: np.ndarray
    gaps: np.ndarray | None = None
    tally: Mapping[str, int] | None = None
    error: Exception | None = None


def _translate_planes(
    translators: Sequence[Translator], works: Sequence[_Work], ledger: Ledger, progress: Progress
) -> None:
    """Translates planes of all files, several at once."""

    def items() -> Iterator[tuple[_Work, int]]:
        for work in works:
            try:
                work.file.open()
            except (intake.BadPicture, OSError) as error:  # the file existed a moment ago
                ledger.bad.append(_given_up(work.file, error))
                work.file.close()
            for plane in range(work.file.shape.planes):
                if not work.file.bad:
                    work.under_way += 1
                    yield work, plane

    def before(item: tuple[_Work, int]) -> _Plane:
        work, number = item
        pair = work.file.values
        if work.file.bad:
            return _Plane(work, number, np.empty(0), error=intake.BadPicture(work.file.bad))
        try:
            array = work.file.read(number)
        except intake.BadPicture as error:
            return _Plane(work, number, np.empty(0), error=error)
        seen = pair.to_network(pair.resized(array, work.size, work.interpolation))
        return _Plane(work, number, seen, pair.gaps(array), count(work.file.source, array))

    def translate(translator: Translator, plane: _Plane) -> _Plane:
        if plane.error is not None:
            return plane
        try:
            seen = translator.through_network(plane.array, plane.work.file.size)
        except RunError as error:
            raise RunError(f"{_called(plane)}: {error}") from error
        return _Plane(plane.work, plane.number, seen, plane.gaps, plane.tally)

    def after(plane: _Plane) -> _Plane:
        if plane.error is not None:
            return plane
        values = plane.work.file.values.from_network(plane.array, plane.gaps)
        return _Plane(plane.work, plane.number, values, tally=plane.tally)

    copies = [
        functools.partial(translate, translator)
        for _ in range(AT_ONCE)
        for translator in translators
    ]
    for plane in Stages(before, copies, after, lambda: give_up(translators)).of(items()):
        file = plane.work.file
        plane.work.under_way -= 1
        progress.advance()
        if plane.error is not None and not file.bad:
            ledger.bad.append(_given_up(file, plane.error))
        if not file.bad:
            try:
                file.take(plane.tally or {})
                file.write(plane.array, plane.number)
            except intake.BadPicture as error:
                ledger.bad.append(_given_up(file, error))
        if file.bad:
            if not plane.work.under_way:  # no thread reads from it
                file.close()
        elif plane.number == file.shape.planes - 1:
            _finish(file, ledger)


def _called(plane: _Plane) -> str:
    several = plane.work.file.shape.planes > 1
    return printable(plane.work.file.name) + (f", plane {plane.number + 1}" if several else "")


def _finish(file: MeasuredFile, ledger: Ledger) -> None:
    ledger.journal.add(file.name, file.notes, tally=file.tally)
    try:
        file.finish()
    except intake.BadPicture as error:
        ledger.journal.add(file.name, ())  # it counts what is there
        ledger.bad.append(_given_up(file, error))
        file.close()
        return
    ledger.made += 1


def _translate_in_tiles(work: _Work, tiler: Tiler, scratch: Path, ledger: Ledger) -> None:
    """Translates a file whose planes need not fit in memory, neither input nor output."""
    file, pair = work.file, work.file.values
    try:
        file.open()
    except (intake.BadPicture, OSError) as error:
        ledger.bad.append(_given_up(file, error))
        return
    try:
        for plane in range(file.shape.planes):

            def make(
                at: Window, seen: np.ndarray, plane: int = plane
            ) -> tuple[np.ndarray, Counter[str]]:
                array = file.read(plane, at)
                return pair.from_network(seen, pair.gaps(array)), count(file.source, array)

            def read(at: Window, plane: int = plane) -> np.ndarray:
                return pair.to_network(file.read(plane, at))

            source = Source(file.size.height, file.size.width, file.source.channels, read)
            called = f"{printable(file.name)}, "
            parts = tiler.parts(source, make, scratch, called)
            # strips and compressed blocks are best written a band of rows at a time
            for top, row in itertools.groupby(parts, key=lambda part: part[0].top):
                band = []
                for _, (values, tally) in row:
                    file.take(tally)
                    band.append(values)
                file.write(np.concatenate(band, axis=1), plane, top)
    except intake.BadPicture as error:
        ledger.bad.append(_given_up(file, error))
        file.close()
        return
    except RunError as error:
        raise RunError(f"{printable(file.name)}: {error}") from error
    _finish(file, ledger)
