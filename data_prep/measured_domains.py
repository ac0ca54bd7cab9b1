"""What the files of one domain have in common, and the resulting `Values`: one type, one number of
channels, one nodata value, one range per channel.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from data_prep.measured_files import MeasuredFile, Place
from data_prep.value_options import Tiles
from data_prep.value_ranges import Sketch, offsets_of, percentile_ranges
from tfcyclegan.data.values import TYPES, RangeRequest, Values, holds
from tfcyclegan.errors import UserError
from tfcyclegan.system import hardware
from tfcyclegan.system.parallel import in_order
from tfcyclegan.system.progress import log, track

DEFAULT_ENDS = ((0.5, 99.5),)
_NARROW = 0.1  # share of a domain's range

Ends = list[tuple[float, float]]
"""The lower and the upper end of each channel's range."""


@dataclass(frozen=True)
class DomainFacts:
    """What is known about a domain before its ranges are computed.

    Attributes:
        letter: "A" or "B".
        channels: number of channels of each file.
        dtype: a type that holds the values of all files.
        nodata: the value that marks missing measurements; None if only NaN does.
        units, names: those of the files if all agree, otherwise empty.
    """

    letter: str
    channels: int
    dtype: str
    nodata: float | None
    units: str
    names: tuple[str, ...]


def facts_of(
    letter: str,
    files: Sequence[MeasuredFile],
    *,
    nodata: float | None,
    mixed: bool,
) -> DomainFacts:
    """What the files of a domain have in common.

    Args:
        letter: "A" or "B".
        files: at least one.
        nodata: the value of --nodata_a or --nodata_b, or None.
        mixed: whether identities may differ (--allow_mixed).

    Raises:
        UserError: numbers of channels, identities or nodata values differ.
    """
    first = files[0]
    for file in files:
        if file.shape.channels != first.shape.channels:
            raise UserError(
                f"{file.told}: has {file.shape.channels} channels, {first.told} has "
                f"{first.shape.channels}; all files of a domain need the same number; convert or "
                "remove one of them"
            )
    _check_identities(letter, files, mixed)
    dtypes = sorted({file.dtype for file in files}, key=TYPES.index)
    dtype = _common_type(dtypes)
    if len(dtypes) > 1:
        log(
            f"domain {letter}: files of {', '.join(dtypes)}; stored as {dtype}, which holds all "
            "their values"
        )
    units, names = {file.units for file in files}, {file.names for file in files}
    for what, found in (("units", units), ("names of channels", names)):
        if len(found) > 1:
            shown = " and ".join(sorted(str(each or "none") for each in found)[:2])
            log(f"domain {letter}: {what} differ ({shown}), so none are kept")
    gap = _common_nodata(letter, files, dtype, nodata)
    if gap is None and any(file.mask for file in files) and dtype.removeprefix("u")[:3] == "int":
        raise UserError(
            f"--mask: {dtype} has no NaN to mark masked pixels in domain {letter}; give "
            f"--nodata_{letter.lower()}=VALUE, with a value that no measurement has"
        )
    return DomainFacts(
        letter,
        first.shape.channels,
        dtype,
        gap,
        units.pop() if len(units) == 1 else "",
        names.pop() if len(names) == 1 else (),
    )


def _check_identities(letter: str, files: Sequence[MeasuredFile], mixed: bool) -> None:
    first = files[0]
    for file in files:
        for what in sorted({*first.identity, *file.identity}):
            here, there = file.identity.get(what), first.identity.get(what)
            if here == there:
                continue
            line = f"{file.told}: {what} is {here}, but {there} in {first.told}"
            if not mixed:
                raise UserError(f"{line}; make them agree, or give --allow_mixed")
            log(f"domain {letter}: {line}; other files may differ too")
            return


def _common_type(dtypes: Sequence[str]) -> str:
    """The smallest of TYPES that holds all values exactly."""
    if len(dtypes) == 1:
        return dtypes[0]
    return next(
        (
            name
            for name in TYPES
            if all(np.can_cast(np.dtype(each), np.dtype(name), "safe") for each in dtypes)
        ),
        "float32",
    )


def _common_nodata(
    letter: str, files: Sequence[MeasuredFile], dtype: str, given: float | None
) -> float | None:
    is_integer = np.issubdtype(np.dtype(dtype), np.integer)
    found = {
        file.nodata: file
        for file in reversed(files)
        if file.nodata is not None and np.isfinite(file.nodata)
    }
    flag = f"--nodata_{letter.lower()}"
    if given is not None:
        if not holds(dtype, given):
            raise UserError(
                f"{flag}={given:g}: is not a value of {dtype}, the type of domain {letter}"
            )
        return given
    held = {value: file for value, file in found.items() if holds(dtype, value)}
    for value in found.keys() - held.keys():
        log(
            f"domain {letter}: {found[value].told}: nodata {value:g} is not a value of {dtype}, so "
            "it is ignored"
        )
    if len(held) > 1:
        one, other = sorted(held)[:2]
        differ = f"nodata is {one:g} in {held[one].told} and {other:g} in {held[other].told}"
        if is_integer:
            raise UserError(
                f"{differ}; give all the same with {flag}=VALUE, a value that no measurement has"
            )
        log(f"domain {letter}: {differ}: kept as NaN")
        return None
    silent = [file for file in files if file.nodata is None]
    for value in held:
        if silent:
            log(
                f"domain {letter}: {len(silent)} of {len(files)} files tell no nodata, such as "
                f"{silent[0].told}; {value:g} is taken for a gap there too, as {held[value].told} "
                f"has it; {flag} decides"
            )
    return next(iter(held), None)


def values_of(
    facts: DomainFacts,
    training: Sequence[MeasuredFile],
    request: RangeRequest,
    *,
    neighbours: int,
    tiles: Tiles | None,
) -> tuple[Values, str]:
    """The meaning of a domain's numbers, and where the ranges come from.

    Args:
        facts: the domain's facts.
        training: its training files; percentiles are taken of their valid values.
        request: the ranges of --range_a or --range_b.
        neighbours: number of planes on either side that become channels.
        tiles: the windows in which files are read.

    Raises:
        UserError: the number of ranges does not match the channels; there are no values to take
            percentiles of.
    """
    flag, count = f"--range_{facts.letter.lower()}", facts.channels
    of_files: dict[str, Ends] = {}  # only percentiles read the files
    if request.ends and not request.percentiles:
        ends, source = list(request.of_channels(count, flag)), "given"
    elif not request.ends and facts.dtype == "uint8":
        ends, source = [(0.0, 255.0)] * count, "the type's own"
    else:
        asked = request if request.ends else RangeRequest(DEFAULT_ENDS, percentiles=True)
        shares = asked.of_channels(count, flag)
        ends, of_files = _percentiles(facts, training, tiles, shares)
        offsets = offsets_of(ends)
        if np.dtype(facts.dtype).itemsize > 2 and any(offsets):
            ends, of_files = _percentiles(facts, training, tiles, shares, offsets)
        shown = ", ".join(f"p{low:g}:p{high:g}" for low, high in dict.fromkeys(shares))
        source = f"{shown} of train{facts.letter}"
    stack = 2 * neighbours + 1
    names = facts.names
    if names and neighbours:
        names = tuple(
            f"{name} {offset:+d}" if offset else name
            for offset in range(-neighbours, neighbours + 1)
            for name in facts.names
        )
    values = Values(
        facts.dtype,
        tuple(low for low, _ in ends) * stack,
        tuple(high for _, high in ends) * stack,
        facts.nodata,
        facts.units,
        names,
        neighbours,
    )
    log(f"domain {facts.letter}: {values.ranges()} ({source}); {flag} decides")
    _tell_of_narrow_files(facts.letter, ends, of_files)
    return values, source


def _tell_of_narrow_files(letter: str, ends: Ends, of_files: Mapping[str, Ends]) -> None:
    """Reports files to which the domain's range is far too wide, as if others had another scale."""
    narrow = {
        name: own
        for name, own in of_files.items()
        if all(
            b - a < _NARROW * (high - low) for (a, b), (low, high) in zip(own, ends, strict=True)
        )
    }
    if narrow:
        name, ((low, high), *_) = next(iter(narrow.items()))
        log(
            f"domain {letter}: values of {len(narrow)} of {len(of_files)} training files span less "
            f"than a tenth of this range, such as {name}: {low:g}:{high:g}; if files differ in "
            "scale, bring them to one scale first"
        )


def _percentiles(
    facts: DomainFacts,
    training: Sequence[MeasuredFile],
    tiles: Tiles | None,
    shares: Sequence[tuple[float, float]],
    offsets: Sequence[float] = (),
) -> tuple[Ends, dict[str, Ends]]:
    """The values at the percentiles `shares` of each channel among all valid values of the training
    files, and those of each file by itself.
    """
    of_files = {}
    sketches = [Sketch(offset) for offset in offsets or [0.0] * facts.channels]
    failed = ""
    counted = Values(facts.dtype, (0.0,) * facts.channels, (1.0,) * facts.channels, facts.nodata)
    gap = counted.gap_or_none
    with ThreadPoolExecutor(hardware.cores()) as executor:
        for file in track(
            training, total=len(training), unit="file", label=f"values of train{facts.letter}"
        ):
            own_sketches = [Sketch(sketch.offset) for sketch in sketches]
            try:
                with file.opened(facts.dtype, gap) as read:

                    def take(place: Place) -> np.ndarray:
                        return read(*place)

                    for array in in_order(executor, take, file.places(tiles), ahead=4):
                        valid = ~counted.invalid(array)
                        for channel, sketch in enumerate(own_sketches):
                            sketch.add(array[..., channel][valid[..., channel]])
            except (OSError, ValueError) as error:
                # a bad file, which is reported when it is to be stored
                failed = failed or f"{file.told}: {error}"
            for sketch, part in zip(sketches, own_sketches, strict=True):
                sketch.include(part)
            if all(part.count for part in own_sketches):
                of_files[file.told] = percentile_ranges(own_sketches, shares)
    empty = [number for number, sketch in enumerate(sketches, 1) if not sketch.count]
    if empty:
        raise UserError(
            f"train{facts.letter}: channel {empty[0]} has no valid value ({len(training)} files): "
            f"all are NaN, nodata, masked or unreadable; {failed or 'check ' + training[0].told}"
        )
    return percentile_ranges(sketches, shares), of_files
