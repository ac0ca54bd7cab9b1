"""Files of measurements -> TFRecords of arrays: the code that the scripts of all formats share.

A script provides two functions for its format and adds its own options to `MeasurementOptions`:

    @dataclass(frozen=True, kw_only=True) class Config(measurements.MeasurementOptions):
        axis: str = option("", "...")

    def run(config: Config) -> None:
        measurements.run(
            config, find=lambda directory: measured_files.by_endings(directory, (".nii",
            ".nii.gz")), open_=lambda path: nifti.open_file(path, axis=config.axis),
            command="data_prep.nifti",
        )

`find` lists what is below a split's folder, files or whatever else `open_` accepts, and counts what
is not used (`measured_files.Found`); `open_` returns a `formats.base.Measurement`, or raises
`BadPicture` with the reason. All fields of a Config except those in _PLACES affect the result and
are compared on a rerun.

The folders are those of `data_prep.folders`: trainA, trainB, and optionally valA, valB, testA,
testB; with `--mask` also trainA_mask, ... with files of equal names whose zeros mark missing
measurements.

Besides what `prepare` writes, the manifest has `values` (the meaning of each domain's numbers, see
`data.values`), `ranges` (where their ranges come from), `counted_values`, `groups` (for each split)
and `group_by`.
"""

import dataclasses
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_prep import prepare
from data_prep.folders import OPTIONAL, REQUIRED, find_beside
from data_prep.groups import check_disjoint, group_of
from data_prep.measured_domains import DomainFacts, facts_of, values_of
from data_prep.measured_files import (
    Found,
    MeasuredFile,
    Open,
    grids_apart,
    place_name,
    sources_of,
    stem_of,
)
from data_prep.request import Origin, TakenArray
from data_prep.value_options import Tiles, ValueOptions
from tfcyclegan import flags
from tfcyclegan.config import Size, option
from tfcyclegan.data import picture_files
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.manifest import printable
from tfcyclegan.data.records import stored_type
from tfcyclegan.data.source import ALIGNED
from tfcyclegan.data.values import MOST_CHANNELS
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.progress import log, track

MASK_FOLDER = "{split}_mask"
RANGES, GROUPS, GROUP_BY = "ranges", "groups", "group_by"
"""Keys of the manifest; see above."""
_PLACES = ("input_dir", "output_dir", "name", "max_bad", "shards")
_MAX_PIXELS = 2**40  # the formats have limits of their own

Find = Callable[[Path], Found]


@dataclass(frozen=True, kw_only=True)
class MeasurementOptions(ValueOptions):
    """Options that the scripts of all formats of measurements have."""

    input_dir: str = option(
        "", "directory that holds trainA, trainB and the other folders", required=True
    )
    output_dir: str = option("", "directory to write; a rerun continues there", required=True)
    name: str = option("measurements", "the data set's name: lower-case letters, digits and _")
    aligned: bool = option(
        False, "files with equal names in trainA and trainB show the same, plane by plane"
    )
    max_bad: int = option(
        0,
        "number of bad files that may be left out, all of which are listed; more fail the run",
        minimum=0,
    )
    shards: int = option(
        0, "files per split; 0 makes files of about 100 MB", minimum=0, maximum=99_999
    )


def run(config: MeasurementOptions, *, find: Find, open_: Open, command: str) -> None:
    """Prepares a data set.

    Args:
        config: all options, including those of the format.
        find: lists the measurements below a folder.
        open_: opens one of them.
        command: name of the script, such as "data_prep.nifti".

    Raises:
        UserError: a folder is missing, or files do not match.
    """
    input_dir = Path(config.input_dir)
    if not input_dir.is_dir():
        raise UserError(f"--input_dir={config.input_dir}: no such directory")
    found = _find_all(config, input_dir, find)
    left_out = _tell_left_out(config, input_dir, found)
    opened, bad = _open_all(config, input_dir, found, open_)
    if config.aligned:
        _leave_out_partners(opened, bad)
    check_disjoint(
        config.group_by,
        {split: {file.name: file.group for file in of_split} for split, of_split in opened.items()},
    )
    named = _by_names(opened, config.tiles)
    # what the headers alone show to be wrong is told before values are read
    facts = {letter: _facts_of(config, letter, opened, bad) for letter in "AB"}
    values, ranges = {}, {}
    for letter in "AB":
        values[letter], ranges[letter] = values_of(
            facts[letter],
            opened[f"train{letter}"],
            config.range_request(letter.lower()),
            neighbours=config.neighbours_of(letter.lower()),
            tiles=config.tiles,
        )
    stored = stored_type(each.dtype for each in values.values())
    splits: dict[str, list[Origin]] = {
        split: [
            *(
                source
                for file in of_split
                for source in sources_of(file, values[split[-1]], stored, config.tiles)
            ),
            *bad[split],
        ]
        for split, of_split in opened.items()
    }
    aligned = _check_aligned(named, mixed=config.allow_mixed) if config.aligned else []
    settings = {
        field.name: str(value) if isinstance(value, Size) else value
        for field in dataclasses.fields(config)
        if field.name not in _PLACES
        for value in [getattr(config, field.name)]
    }
    request = prepare.Request(
        name=config.name,
        command=shlex.join(["python", "-m", command, *flags.to_flag_file(config).splitlines()]),
        splits=splits,
        settings=settings | {"format": command.rpartition(".")[2]},
        inputs={split: _digest(input_dir, there.files) for split, there in found.items()}
        | _mask_digests(config, input_dir, {split: each.paths for split, each in found.items()}),
        # versions up to 0.2.0 recorded the masks of those files alone that could be opened
        earlier_inputs=_mask_digests(
            config,
            input_dir,
            {split: [file.path for file in of_split] for split, of_split in opened.items()},
        ),
        max_bad=config.max_bad,
        max_pixels=_MAX_PIXELS,
        shards=config.shards,
        left_out=left_out,
        values=values,
        remarks={
            RANGES: ranges,
            GROUP_BY: config.group_by,
            GROUPS: {
                split: sorted({file.group for file in of_split})
                for split, of_split in opened.items()
            },
            **({ALIGNED: aligned} if aligned else {}),
        },
    )
    prepare.run(request, Path(config.output_dir))
    log(
        f"next: tfcyclegan train --data_dir={config.output_dir} "
        f"--run_dir=runs/{Path(config.output_dir).name}"
    )


def _find_all(config: MeasurementOptions, input_dir: Path, find: Find) -> dict[str, Found]:
    found = {}
    for split in (*REQUIRED, *OPTIONAL):
        directory, required = input_dir / split, split in REQUIRED
        if not directory.is_dir():
            if required:
                raise UserError(
                    f"{directory}: no such directory; put the files of domain {split[-1]} there"
                )
            continue
        found[split] = find(directory)
        if not found[split].paths:
            seen = picture_files.told(found[split].left_out, found[split].examples)
            mend = "put files there" + ("" if required else " or remove it")
            raise UserError(
                f"{directory}: holds no file of this format{f' ({seen})' if seen else ''}; {mend}"
            )
    return found


def _tell_left_out(
    config: MeasurementOptions, input_dir: Path, found: Mapping[str, Found]
) -> Counter[str]:
    """Counts and reports what is not used of the input."""
    masks = {MASK_FOLDER.format(split=split) for split in found} if config.mask else set()
    beside = find_beside(input_dir, {*found, *masks})
    left_out = sum((there.left_out for there in found.values()), Counter(beside.left_out))
    for split, there in found.items() if config.mask else ():
        wanted = {path.relative_to(input_dir / split) for path in there.paths}
        left_out += _unused_masks(input_dir / MASK_FOLDER.format(split=split), wanted)
    examples = beside.examples + [each for there in found.values() for each in there.examples]
    if left_out:
        log(f"{input_dir}: {picture_files.told(left_out, examples)}")
    return left_out


def _unused_masks(folder: Path, wanted: Collection[Path]) -> Counter[str]:
    """What lies in a folder of masks beside those of the files `wanted`."""
    left_out: Counter[str] = Counter()
    if folder.is_dir():
        inside = (Path(entry.path) for entry in picture_files.walk(folder, left_out))
        unused = sum(path.relative_to(folder) not in wanted for path in inside)
        left_out[f"files in {printable(folder.name)} that are masks of none"] += unused
    return +left_out


def _open_all(
    config: MeasurementOptions, input_dir: Path, found: Mapping[str, Found], open_: Open
) -> tuple[dict[str, list[MeasuredFile]], dict[str, list["_Unopened"]]]:
    """The files of each split, opened once to read their headers; and those that cannot be opened,
    which are reported when they are to be stored.
    """
    opened: dict[str, list[MeasuredFile]] = {}
    bad: dict[str, list[_Unopened]] = {}
    for split, there in found.items():
        opened[split], bad[split] = [], []
        paths = track(there.paths, total=len(there.paths), unit="file", label=f"opening {split}")
        for path in paths:
            name = path.relative_to(input_dir / split).as_posix()
            group = there.groups.get(path) or group_of(config.group_by, split, name, stem_of(path))
            mask = _mask_of(input_dir, split, name) if config.mask else None
            try:
                with open_(path) as measured:
                    file = MeasuredFile(
                        split,
                        name,
                        path,
                        group,
                        open_,
                        mask,
                        measured.shape,
                        measured.dtype.name,
                        measured.nodata,
                        measured.units,
                        tuple(measured.names),
                        tuple(measured.notes),
                        dict(measured.identity()),
                        measured.grid(),
                    )
            except (OSError, BadPicture) as error:
                bad[split].append(_Unopened(f"{split}/{name}", 0, error))
            else:
                opened[split].append(file)
    return opened, bad


@dataclass(frozen=True)
class _Unopened(Origin):
    """A file that could not be opened or whose partner could not, and why."""

    error: OSError | BadPicture

    def take_all(self, max_pixels: int) -> list[TakenArray]:
        raise self.error


def _leave_out_partners(
    opened: dict[str, list[MeasuredFile]], bad: Mapping[str, list[_Unopened]]
) -> None:
    """Moves the partners of the files in `bad` there, too: a pair is bad as a whole, as in
    `data_prep.aligned`.
    """
    unopened: dict[tuple[str, str], _Unopened] = {}
    for split, those in bad.items():
        other = split[:-1] + ("B" if split[-1] == "A" else "A")
        for file in those:
            unopened[other, _bare(file.filename.removeprefix(f"{split}/"))] = file
    for split, of_split in opened.items():
        opened[split] = []
        for measured in of_split:
            if partner := unopened.get((split, _bare(measured.name))):
                bad[split].append(_Unopened(measured.told, 0, _of_partner(partner)))
            else:
                opened[split].append(measured)


def _of_partner(partner: _Unopened) -> OSError | BadPicture:
    name, error = printable(partner.filename), partner.error
    if isinstance(error, OSError):  # a rerun tries both again
        return OSError(f"partner {name}: {error.strerror or error}")
    return BadPicture(f"its partner {name}: {error}")


def _mask_of(input_dir: Path, split: str, name: str) -> Path:
    path = input_dir / MASK_FOLDER.format(split=split) / name
    if not path.exists():
        raise UserError(f"{path}: no such file; --mask needs a mask for {split}/{name}")
    return path


def _facts_of(
    config: MeasurementOptions,
    letter: str,
    opened: Mapping[str, Sequence[MeasuredFile]],
    bad: Mapping[str, Sequence[_Unopened]],
) -> DomainFacts:
    """What the files of a domain have in common; UserError if that is too little."""
    of_domain = [file for split, each in opened.items() if split[-1] == letter for file in each]
    if not opened[f"train{letter}"]:
        first = bad[f"train{letter}"][0]
        raise UserError(f"{first.filename}: {first.error}; train{letter} has no good file")
    nodata = config.nodata_a if letter == "A" else config.nodata_b
    facts = facts_of(letter, of_domain, nodata=nodata, mixed=config.allow_mixed)
    neighbours = config.neighbours_of(letter.lower())
    if facts.channels * (2 * neighbours + 1) > MOST_CHANNELS:
        raise UserError(
            f"--neighbours={neighbours}: {facts.channels} channels of domain {letter} become "
            f"{facts.channels * (2 * neighbours + 1)}, more than the {MOST_CHANNELS} allowed"
        )
    return facts


def _by_names(
    opened: Mapping[str, Sequence[MeasuredFile]], tiles: Tiles | None
) -> dict[str, dict[str, MeasuredFile]]:
    """The files of each split by the names of their arrays, without endings; UserError where two
    have one.
    """
    found: dict[str, dict[str, MeasuredFile]] = {}
    for split, of_split in opened.items():
        names = found[split] = {}
        for file in of_split:
            for place in file.places(tiles):
                name = _bare(place_name(file.name, file, place))
                other = names.setdefault(name, file)
                if other is not file:
                    raise UserError(
                        f"{other.told} and {file.told}: both have an array {printable(name)}; "
                        "rename one"
                    )
    return found


def _check_aligned(named: Mapping[str, Mapping[str, MeasuredFile]], *, mixed: bool) -> list[str]:
    """The purposes whose files are pairs; UserError where a plane has no partner, or another place
    in space (told where `mixed`).
    """
    purposes = sorted({split[:-1] for split in named})
    for purpose in purposes:
        shown = {letter: named.get(f"{purpose}{letter}", {}) for letter in "AB"}
        for one, other in ("AB", "BA"):
            alone = sorted(shown[one].keys() - shown[other].keys())
            if alone:
                raise UserError(
                    f"{purpose}{one}/{printable(alone[0])}: --aligned: has no partner of the same "
                    f"name in {purpose}{other} ({len(alone)} such arrays)"
                )
        pairs = {
            (file.name, partner.name): (file, partner)
            for name, file in shown["A"].items()
            for partner in [shown["B"][name]]
        }
        for file, partner in pairs.values():
            sizes = [(each.shape.height, each.shape.width) for each in (file, partner)]
            if sizes[0] != sizes[1]:
                raise UserError(
                    f"{file.told}: --aligned: is {sizes[0][0]}x{sizes[0][1]}, {partner.told} "
                    f"{sizes[1][0]}x{sizes[1][1]}"
                )
            if away := grids_apart((file.grid, file.shape), (partner.grid, partner.shape)):
                line = f"{file.told}: --aligned: {partner.told} lies {away:.3g} pixels away"
                if not mixed:
                    raise UserError(f"{line}; resample it onto the other, or give --allow_mixed")
                log(line)
    return purposes


def _bare(name: str) -> str:
    path = PurePosixPath(name)
    return path.with_name(stem_of(Path(path.name))).as_posix()


def _digest(input_dir: Path, paths: Sequence[Path]) -> str:
    """A digest of the names, sizes and times of files, including those in directories."""
    found = []
    for path in paths:
        for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
            name = each.relative_to(input_dir).as_posix()
            found.append((name, *picture_files.size_and_time(each)))
    return files.sha256_of_json(found)


def _mask_digests(
    config: MeasurementOptions, input_dir: Path, paths: Mapping[str, Sequence[Path]]
) -> dict[str, str]:
    """The digests of the masks of the files `paths` of each split, by their folders."""
    if not config.mask:
        return {}
    return {
        MASK_FOLDER.format(split=split): _digest(
            input_dir,
            [
                _mask_of(input_dir, split, path.relative_to(input_dir / split).as_posix())
                for path in of_split
            ],
        )
        for split, of_split in paths.items()
    }
