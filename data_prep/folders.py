"""Folders of your own pictures -> TFRecords.

Reads, including nested folders, in the order of names:

    ROOT/
        trainA/  trainB/   required: the two domains; scenes, names and counts need not match
        testA/   testB/    optional: pictures to translate and score; equal base names are pairs
        valA/    valB/     optional: the same, for choosing a checkpoint
        trainA_labels/ ... optional: label files of the pictures in trainA, ..., with equal names,
                           for the table --classes=FILE.csv

A domain may consist of label maps in the colours of their classes: `--label_maps_a`,
`--label_maps_b`; without these flags it is guessed, and the guess is reported. Label maps are only
ever resized by nearest pixels.

JPEG, PNG, WebP, TIFF, BMP, GIF, PNM, JPEG 2000, AVIF and TGA files are recognised by their
extensions, in upper or lower case; `tfcyclegan.data.intake` describes how each is converted. A file
with several pages or frames makes several pictures: stack.tif becomes stack_0001.tif,
stack_0002.tif, ... Files with other extensions, hidden files and entries beside the folders are
counted, reported and recorded in the manifest.

With `--depth=keep`, TIFF and PNG files are read as measurements instead, 16-bit or floating-point
with any number of channels: see `data_prep.deep_pictures`.

With `--aligned`, each picture of A has a partner in B: the picture of the same name in trainA and
trainB, or the other half of a file in ROOT/train, ROOT/test, ROOT/val that holds both side by side:
see `data_prep.aligned`.

Makes:

    OUT/
        NAME-SPLIT.tfrecord-00000-of-00004  features.json  dataset_info.json  manifest.json
        quarantine.jsonl    only if bad pictures were left out

After any interruption the same command continues; it refuses to if the flags or the names, sizes or
times of the pictures have changed.
"""

import dataclasses
import functools
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_prep import aligned, own_labels, prepare
from data_prep.picture_sources import PictureSource
from data_prep.value_options import ValueOptions
from tfcyclegan import flags
from tfcyclegan.cli import run_command
from tfcyclegan.config import option
from tfcyclegan.config.engines import EngineOptions
from tfcyclegan.config.reading import (
    LARGEST_VALUE,
    alpha_band_option,
    alpha_option,
    extra_bands_option,
    pages_option,
    stack_option,
)
from tfcyclegan.data import intake, manifest, picture_files
from tfcyclegan.data.source import ALIGNED
from tfcyclegan.engines import open_engine
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.progress import log

SUMMARY = "prepare your own folders trainA, trainB, testA, testB, valA, valB for training"
EXAMPLES = """
    python -m data_prep.folders --input_dir=~/pictures/horse2zebra --output_dir=data/horse2zebra
    python -m data_prep.folders --input_dir=ROOT --output_dir=data/mine --name=mine --max_bad=10
    python -m data_prep.folders --input_dir=ROOT --output_dir=data/maps --label_maps_b \\
        --classes=classes.csv
    python -m data_prep.folders --input_dir=~/pictures/facades --output_dir=data/facades --aligned
    python -m data_prep.folders --input_dir=ROOT --output_dir=data/cells --depth=keep
"""

REQUIRED = ("trainA", "trainB")
OPTIONAL = ("testA", "testB", "valA", "valB")
SPLITS = (*REQUIRED, *OPTIONAL)
_READING = {
    "aligned": False,
    "a_at_right": False,
    "pages": "all",
    "alpha": "white",
    "extra_bands": "refuse",
    "max_value": "",
}
_USUAL = {**_READING, "label_maps_a": False, "label_maps_b": False}
"""Settings that are recorded only if they differ from these values, which are those of 0.1.0."""


_OF_VALUES = (*(field.name for field in dataclasses.fields(ValueOptions)), "alpha_band", "stack")
_OF_BOTH = ("input_dir", "output_dir", "name", "aligned", "max_bad", "shards", "depth")
"""Options that only measurements have, and options that pictures have too."""


@dataclass(frozen=True, kw_only=True)
class Config(ValueOptions, own_labels.LabelOptions, EngineOptions):
    """Options of `python -m data_prep.folders`."""

    input_dir: str = option(
        "", "directory that holds trainA, trainB and the other folders", required=True
    )
    output_dir: str = option("", "directory to write; a rerun continues there", required=True)
    aligned: bool = option(
        False,
        "pictures of A and B are pairs: with equal names in trainA and trainB, or side by side in "
        "the files of train, test and val, with A in the left half",
    )
    a_at_right: bool = option(
        False, "with --aligned, for files that hold both: A is the right half, B the left half"
    )
    name: str = option("pictures", "the data set's name: lower-case letters, digits and _")
    max_bad: int = option(
        0,
        "number of bad pictures that may be left out, all of which are listed; more fail the run",
        minimum=0,
    )
    max_pixels: int = option(
        100_000_000,
        "a picture with more pixels is bad and is not decoded",
        minimum=1,
    )
    pages: str = pages_option()
    alpha: str = alpha_option()
    extra_bands: str = extra_bands_option()
    max_value: str = option(
        "",
        "value that is white in pictures of more than 8 bits, such as 4095, or one for each "
        "domain: 4095,65535; default: the largest of their type",
    )
    depth: str = option(
        "8",
        "8 makes 8-bit pictures; keep reads TIFF and PNG files as measurements, 16-bit or "
        "floating-point with any number of channels, and enables the options for values",
        choices=("8", "keep"),
    )
    alpha_band: str = alpha_band_option()
    stack: str = stack_option()
    shards: int = option(
        0, "files per split; 0 makes files of about 100 MB", minimum=0, maximum=99_999
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_depth()
        if self.a_at_right and not self.aligned:
            raise UserError("--a_at_right: needs --aligned, whose files hold A and B side by side")
        values = self.max_value.split(",") if self.max_value else []
        if len(values) > 2 or not all(
            value.isascii() and value.isdigit() and 0 < int(value) <= LARGEST_VALUE
            for value in values
        ):
            raise UserError(
                f"--max_value={self.max_value}: give a number from 1 to {LARGEST_VALUE}, or two "
                "separated by a comma"
            )

    def _check_depth(self) -> None:
        """Raises UserError for an option that does not apply with this `depth`."""
        given = [
            field.name
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        ]
        for name in given:
            if self.depth == "8" and name in _OF_VALUES:
                raise UserError(f"--{name}: needs --depth=keep, which reads files as measurements")
            if self.depth == "keep" and name not in (*_OF_VALUES, *_OF_BOTH):
                raise UserError(f"--{name}: is for 8-bit pictures, not for --depth=keep")


def _rules(config: Config, split: str) -> intake.Rules:
    """The rules of the domain of `split`."""
    values = [int(value) for value in config.max_value.split(",") if value]
    return intake.Rules(
        config.alpha,
        config.extra_bands,
        values[0 if split[-1] == "A" else -1] if values else None,
        by_flags=True,
    )


def find_sources(
    input_dir: Path, split: str, config: Config
) -> tuple[list[PictureSource], str, picture_files.Found]:
    """The pictures of `split` by name, a digest of their names, sizes and times, and what else was
    found there.
    """
    there = picture_files.find(input_dir / split)
    found: list[tuple[str, int, int]] = []
    for entry in there.pictures:
        name = Path(entry.path).relative_to(input_dir).as_posix()
        found.append((name, *picture_files.size_and_time(entry)))
    found.sort()
    rules, every_page = _rules(config, split), config.pages == "all"
    sources = [
        PictureSource(
            name,
            size,
            functools.partial(picture_files.read, input_dir.absolute() / name),
            rules,
            every_page,
        )
        for name, size, _ in found
    ]
    return sources, files.sha256_of_json(found), there


def find_beside(input_dir: Path, used: Set[str]) -> picture_files.Found:
    """Entries of the input directory other than the folders `used`."""
    left_out: Counter[str] = Counter()
    examples = []
    for entry in sorted(input_dir.iterdir()):
        if entry.name.lower() in picture_files.SYSTEM_FILES or (
            entry.is_dir() and entry.name in used
        ):
            continue
        if entry.name.startswith("."):
            left_out[picture_files.HIDDEN] += 1
            continue
        count = sum(1 for _ in picture_files.walk(entry, left_out)) if entry.is_dir() else 1
        if count:
            left_out[
                f"files in {manifest.printable(entry.name)}/"
                if entry.is_dir()
                else picture_files.kind_of(entry.name)
            ] += count
            examples.append(entry.name + "/" * entry.is_dir())
    return picture_files.Found([], left_out, examples)


def run(config: Config) -> None:
    if config.depth == "keep":
        from data_prep import deep_pictures  # it imports names of folders from this module

        deep_pictures.run(config)
        return
    input_dir = Path(config.input_dir)
    if not input_dir.is_dir():
        raise UserError(f"--input_dir={config.input_dir}: no such directory")
    side_by_side = config.aligned and _is_side_by_side(input_dir)
    found, inputs, passed_over = {}, {}, []
    for folder in aligned.PURPOSES if side_by_side else SPLITS:
        directory, required = input_dir / folder, folder in (*REQUIRED, "train")
        if not directory.is_dir():
            if required:
                raise UserError(
                    f"{directory}: no such directory; {_mend(config, input_dir, folder)}"
                )
            continue
        found[folder], inputs[folder], there = find_sources(input_dir, folder, config)
        passed_over.append(there)
        _tell_one_name(directory, found[folder])
        if not found[folder]:
            mend = "put pictures there" + ("" if required else " or remove it")
            seen = f" ({there.told()})" if there.left_out else ""
            raise UserError(
                f"{directory}: holds no picture{seen}; {mend} "
                f"({', '.join(sorted(picture_files.ENDINGS))})"
            )
    without_partner: Counter[str] = Counter()
    splits: dict[str, Sequence[prepare.Source]] = dict(found)
    if config.aligned:
        splits = _pairs(config, input_dir, found, side_by_side, without_partner)
    used = {*found, *(own_labels.FOLDER.format(split=split) for split in splits)}
    passed_over.insert(0, find_beside(input_dir, used))
    planned = own_labels.plan(
        config, input_dir, splits, max_bad=config.max_bad, max_pixels=config.max_pixels
    )
    left_out = sum((there.left_out for there in passed_over), Counter())
    if left_out:
        examples = [example for there in passed_over for example in there.examples]
        log(f"{input_dir}: {picture_files.told(left_out, examples)}")
    request = prepare.Request(
        name=config.name,
        command=shlex.join(
            ["python", "-m", "data_prep.folders", *flags.to_flag_file(config).splitlines()]
        ),
        splits=aligned.paired(planned.splits) if config.aligned else planned.splits,
        settings={name: getattr(config, name) for name in _READING} | planned.settings,
        usual=_USUAL,
        guessed=planned.guessed,
        inputs=inputs
        | {
            own_labels.FOLDER.format(split=split): digest
            for split, digest in planned.inputs.items()
        },
        labelling=planned.labelling,
        max_bad=config.max_bad,
        max_pixels=config.max_pixels,
        shards=config.shards,
        left_out=left_out + planned.left_out + without_partner,
        remarks={ALIGNED: sorted({split[:-1] for split in splits})} if config.aligned else {},
        hints=intake.hints(config.max_value),
        engine=open_engine(config),
    )
    prepare.run(request, Path(config.output_dir))
    name = Path(config.output_dir).name
    log(
        f"next: tfcyclegan train --data_dir={config.output_dir} --run_dir=runs/{name}"
        + (
            " --method=pix2pix"
            if config.aligned
            else ", without a GPU with --flagfile=configs/satellite2map.cfg for small crops"
        )
        + "; tfcyclegan doctor estimates how long it takes"
    )


def _is_side_by_side(input_dir: Path) -> bool:
    """Whether aligned pictures are side by side in files; UserError if folders of both kinds exist,
    even for different purposes, since those of one kind would not be read.
    """
    joined, apart = (
        [name for name in names if (input_dir / name).is_dir()]
        for names in (aligned.PURPOSES, SPLITS)
    )
    if joined and apart:
        raise UserError(
            f"{input_dir}: --aligned: holds {joined[0]}, for files with A and B side by side, and "
            f"also {apart[0]}; move one of them away"
        )
    return "train" in joined


def _mend(config: Config, input_dir: Path, folder: str) -> str:
    """What to do if a required folder is missing."""
    if not config.aligned and (input_dir / "train").is_dir():
        return "--aligned reads train if its files hold A and B side by side"
    side_by_side = (
        ", or put files that hold A and B side by side into train" if config.aligned else ""
    )
    mend = f"put the pictures of domain {folder[-1]} there{side_by_side}"
    others = sorted(path.name for path in input_dir.iterdir() if path.is_dir())
    if not config.aligned and len(others) == 2 and not {*others} & {*SPLITS}:
        mend += f", or rename {others[0]} and {others[1]}: one to trainA, one to trainB"
    return mend


def _pairs(
    config: Config,
    input_dir: Path,
    found: Mapping[str, Sequence[PictureSource]],
    side_by_side: bool,
    left_out: Counter[str],
) -> dict[str, Sequence[prepare.Source]]:
    """The sources of both domains, partners at the same index; pictures without a partner are
    counted in `left_out`.
    """
    if config.a_at_right and not side_by_side:
        raise UserError(
            f"{input_dir}: --a_at_right is for files in train that hold A and B side by side; swap "
            "the names of trainA and trainB instead"
        )
    splits: dict[str, Sequence[prepare.Source]] = {}
    for purpose in aligned.PURPOSES:
        both = [f"{purpose}{domain}" for domain in "AB"]
        if side_by_side and purpose in found:
            rules = {split: _rules(config, split) for split in both}
            splits |= aligned.halves(
                found[purpose],
                purpose,
                rules,
                max_pixels=config.max_pixels,
                a_at_right=config.a_at_right,
            )
        there = [split for split in both if split in found]
        if len(there) == 1:
            (alone,) = set(both) - set(there)
            raise UserError(
                f"{input_dir / there[0]}: --aligned: its partner folder {alone} is missing; add "
                f"it, or move {there[0]} away"
            )
        if there:
            splits |= aligned.by_names(input_dir, purpose, found, left_out)
    return splits


def _tell_one_name(directory: Path, sources: Sequence[prepare.Source]) -> None:
    """Warns of pictures that differ only in extension, which translations and scores ignore."""
    by_name: dict[str, list[str]] = {}
    for source in sources:
        by_name.setdefault(str(PurePosixPath(source.filename).with_suffix("")), []).append(
            source.filename
        )
    alike = [names for names in by_name.values() if len(names) > 1]
    if alike:
        first, second = (manifest.printable(PurePosixPath(name).name) for name in alike[0][:2])
        log(
            f"{directory}: {first} and {second} have the same name ({len(alike)} such names); "
            "translate and evaluate refuse them until you rename them"
        )


if __name__ == "__main__":
    sys.exit(run_command("data_prep.folders", SUMMARY, EXAMPLES, Config, run))
