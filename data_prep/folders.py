"""Folders of your own pictures -> TFRecords.

Reads, with folders inside folders, in the order of their names:

    ROOT/
        trainA/  trainB/   required: the two domains; they need no common places, names or counts
        testA/   testB/    optional: pictures to translate and score; with equal base names they count as pairs
        valA/    valB/     optional: likewise, for choosing a checkpoint
        trainA_labels/ ... optional: label files of the pictures in trainA, ..., of equal names, by the table --classes=FILE.csv

A domain may be label maps in the colours of their classes: `--label_maps_a`, `--label_maps_b`;
without these flags it is guessed, and told. Label maps are resized by nearest pixels alone, in
whatever is made of the data set.

JPEG, PNG, WebP, TIFF, BMP, GIF, PNM, JPEG 2000, AVIF and TGA by their endings in either case; what
is done to each is told in `tfcyclegan.data.intake`. A file of several pages or frames makes several
pictures: stack.tif becomes stack_0001.tif, stack_0002.tif, ... Files of other endings, hidden ones
and what lies beside the folders are counted, said, and stand in the manifest.

Makes:

    OUT/
        NAME-SPLIT.tfrecord-00000-of-00004  features.json  dataset_info.json  manifest.json
        quarantine.jsonl    only if bad pictures were left out

The same command goes on after an end of any kind; when names, sizes or times of the pictures or the
flags have changed, it refuses.
"""

import functools
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_prep import beam, own_labels, prepare
from tfcyclegan import flags
from tfcyclegan.cli import run_command
from tfcyclegan.config import option
from tfcyclegan.config.reading import LARGEST_VALUE, alpha_option, extra_bands_option, pages_option
from tfcyclegan.data import intake, manifest, pages, picture_files
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.progress import log

SUMMARY = "prepare your own folders trainA, trainB, testA, testB, valA, valB for training"
EXAMPLES = """
    python -m data_prep.folders --input_dir=~/pictures/horse2zebra --output_dir=data/horse2zebra
    python -m data_prep.folders --input_dir=ROOT --output_dir=data/mine --name=mine --max_bad=10
    python -m data_prep.folders --input_dir=ROOT --output_dir=data/maps --label_maps_b \
        --classes=classes.csv
"""

REQUIRED = ("trainA", "trainB")
OPTIONAL = ("testA", "testB", "valA", "valB")
SPLITS = (*REQUIRED, *OPTIONAL)
_READING = {"pages": "all", "alpha": "white", "extra_bands": "refuse", "max_value": ""}
_USUAL = {**_READING, "label_maps_a": False, "label_maps_b": False}
"""Settings that decide the result, but not where they have these values: 0.1.0 had no others."""


@dataclass(frozen=True, kw_only=True)
class Config(own_labels.LabelOptions):
    """Options of `python -m data_prep.folders`."""

    input_dir: str = option(
        "", "directory that holds trainA, trainB and the other folders", required=True
    )
    output_dir: str = option("", "directory to write; a rerun goes on there", required=True)
    name: str = option("pictures", "the data set's name: lower-case letters, digits and _")
    max_bad: int = option(
        0,
        "so many bad pictures are left out and listed; one more fails the run, none is ever left "
        "out unseen",
        minimum=0,
    )
    max_pixels: int = option(
        100_000_000,
        "a picture of more pixels is a bad one, refused before it is decoded",
        minimum=1,
    )
    pages: str = pages_option()
    alpha: str = alpha_option()
    extra_bands: str = extra_bands_option()
    max_value: str = option(
        "",
        "value of pictures of more than 8 bit that is white, such as 4095, or one for each "
        "domain: 4095,65535; default: the largest of "
        "their type",
    )
    shards: int = option(0, "files a split; 0 makes about 100 MB each", minimum=0, maximum=99_999)
    beam_flags: str = beam.flags_option()

    def __post_init__(self) -> None:
        super().__post_init__()
        values = self.max_value.split(",") if self.max_value else []
        if len(values) > 2 or not all(
            value.isascii() and value.isdigit() and 0 < int(value) <= LARGEST_VALUE
            for value in values
        ):
            raise UserError(
                f"--max_value={self.max_value}: give a number from 1 to {LARGEST_VALUE}, or two "
                "with a comma between"
            )


@dataclass(frozen=True)
class _Source(prepare.Source):
    """A file of a domain, by the rules of that domain."""

    rules: intake.Rules
    every_page: bool

    def take_all(self, max_pixels: int) -> list[prepare.Taken]:
        content = self.read()
        held = pages.of_bytes(content) if self.every_page else pages.ONE
        path = PurePosixPath(self.filename)
        notes = frozenset([intake.COPIES] if held.copies else [])
        taken = []
        for number, place in enumerate(held.places):
            try:
                decoded = intake.decode(
                    content, max_pixels=max_pixels, rules=self.rules, page=place
                )
            except intake.BadPicture as error:
                raise (
                    error
                    if place is None
                    else intake.BadPicture(f"picture {number + 1} of {len(held.places)}: {error}")
                ) from error
            name = path.with_name(held.name(path.stem, number) + path.suffix).as_posix()
            taken.append(
                prepare.Taken(decoded.picture(name), decoded.notes | notes, decoded.largest)
            )
            notes = frozenset()
        return taken


def _rules(config: Config, split: str) -> intake.Rules:
    """Those of the domain that `split` is of."""
    values = [int(value) for value in config.max_value.split(",") if value]
    return intake.Rules(
        config.alpha,
        config.extra_bands,
        values[0 if split[-1] == "A" else -1] if values else None,
        by_flags=True,
    )


def find_sources(
    input_dir: Path, split: str, config: Config
) -> tuple[list[prepare.Source], str, picture_files.Found]:
    """The pictures of `split` by name, a digest of their names, sizes and times, and what else lies
    there.
    """
    there = picture_files.find(input_dir / split)
    found: list[tuple[str, int, int]] = []
    for entry in there.pictures:
        try:
            status = entry.stat()
            size, changed = status.st_size, status.st_mtime_ns
        except OSError:  # a link to nothing: reading it will say so
            size, changed = 0, 0
        found.append((Path(entry.path).relative_to(input_dir).as_posix(), size, changed))
    found.sort()
    rules, every_page = _rules(config, split), config.pages == "all"
    sources: list[prepare.Source] = [
        _Source(
            name,
            size,
            functools.partial(picture_files.read, input_dir.absolute() / name),
            rules,
            every_page,
        )
        for name, size, _ in found
    ]
    return sources, files.sha256_of_json(found), there


def find_beside(input_dir: Path) -> picture_files.Found:
    """What lies in the input directory beside the folders of the splits."""
    left_out: Counter[str] = Counter()
    examples = []
    used = {
        name
        for split in SPLITS
        if (input_dir / split).is_dir()
        for name in (split, own_labels.FOLDER.format(split=split))
    }
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
    input_dir = Path(config.input_dir).expanduser()
    if not input_dir.is_dir():
        raise UserError(f"--input_dir={config.input_dir}: no such directory")
    splits, inputs = {}, {}
    passed_over = [find_beside(input_dir)]
    for split in SPLITS:
        directory = input_dir / split
        if not directory.is_dir():
            if split in REQUIRED:
                raise UserError(
                    f"{directory}: no such directory; put the pictures of domain {split[-1]} there"
                )
            continue
        splits[split], inputs[split], there = find_sources(input_dir, split, config)
        passed_over.append(there)
        _tell_one_name(directory, splits[split])
        if not splits[split]:
            mend = "put pictures there" + ("" if split in REQUIRED else " or remove it")
            seen = f" ({there.told()})" if there.left_out else ""
            raise UserError(
                f"{directory}: holds no picture{seen}; {mend} "
                f"({', '.join(sorted(picture_files.ENDINGS))})"
            )
    planned = own_labels.plan(
        config, input_dir, splits, max_bad=config.max_bad, max_pixels=config.max_pixels
    )
    left_out = sum((there.left_out for there in passed_over), Counter())
    if left_out:
        log(
            f"{input_dir}: "
            f"{picture_files.told(left_out, [example for there in passed_over for example in there.examples])}"
        )
    request = prepare.Request(
        name=config.name,
        command=shlex.join(
            ["python", "-m", "data_prep.folders", *flags.to_flag_file(config).splitlines()]
        ),
        splits=planned.splits,
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
        left_out=left_out + planned.left_out,
        hints=intake.hints(config.max_value),
        beam_flags=config.beam_flags,
    )
    prepare.run(request, Path(config.output_dir).expanduser())
    name = Path(config.output_dir).name
    log(
        f"next: tfcyclegan train --data_dir={config.output_dir} --run_dir=runs/{name}; tfcyclegan "
        "doctor tells about how long"
    )


def _tell_one_name(directory: Path, sources: Sequence[prepare.Source]) -> None:
    """Says so where pictures differ by their endings alone: translations and scores know them
    without.
    """
    by_name: dict[str, list[str]] = {}
    for source in sources:
        by_name.setdefault(str(PurePosixPath(source.filename).with_suffix("")), []).append(
            source.filename
        )
    alike = [names for names in by_name.values() if len(names) > 1]
    if alike:
        first, second = (manifest.printable(PurePosixPath(name).name) for name in alike[0][:2])
        log(
            f"{directory}: {first} and {second} have one name ({len(alike)} such names); "
            "translate and evaluate refuse them until renamed"
        )


if __name__ == "__main__":
    sys.exit(run_command("data_prep.folders", SUMMARY, EXAMPLES, Config, run))
