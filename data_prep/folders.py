"""Folders of your own pictures -> TFRecords.

Reads, with folders inside folders, in the order of their names:

    ROOT/
        trainA/  trainB/   required: the two domains; they need no common places, names or counts
        testA/   testB/    optional: pictures to translate and score; with equal base names they count as pairs
        valA/    valB/     optional: likewise, for choosing a checkpoint
        trainA_labels/ ... optional: label files of the pictures in trainA, ..., of equal names, by the table --classes=FILE.csv

A domain may be label maps in the colours of their classes: `--label_maps_a`, `--label_maps_b`; without these flags it is guessed, and told.
Label maps are resized by nearest pixels alone, in whatever is made of the data set.

JPEG, PNG, WebP, TIFF, BMP, GIF, PNM, JPEG 2000, AVIF and TGA by their endings in either case; what is done to each is told in
`tfcyclegan.data.intake`. Hidden files, Thumbs.db and the like are passed over; files of other endings are counted and said.

Makes:

    OUT/
        NAME-SPLIT.tfrecord-00000-of-00004  features.json  dataset_info.json  manifest.json
        quarantine.jsonl    only if bad pictures were left out

The same command goes on after an end of any kind; when names, sizes or times of the pictures or the flags have changed, it refuses.
"""

import functools
import shlex
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from data_prep import beam, own_labels, prepare
from tfcyclegan import files, flags
from tfcyclegan.cli import run_command
from tfcyclegan.config import option
from tfcyclegan.data import folders, manifest
from tfcyclegan.errors import UserError
from tfcyclegan.progress import say

SUMMARY = "prepare your own folders trainA, trainB, testA, testB, valA, valB for training"
EXAMPLES = """
    python -m data_prep.folders --input_dir=~/pictures/horse2zebra --output_dir=data/horse2zebra
    python -m data_prep.folders --input_dir=ROOT --output_dir=data/mine --name=mine --max_bad=10
    python -m data_prep.folders --input_dir=ROOT --output_dir=data/maps --label_maps_b --classes=classes.csv
"""

REQUIRED = ("trainA", "trainB")
OPTIONAL = ("testA", "testB", "valA", "valB")


@dataclass(frozen=True, kw_only=True)
class Config(own_labels.LabelOptions):
    """Options of `python -m data_prep.folders`."""

    input_dir: str = option("", "directory that holds trainA, trainB and the other folders", required=True)
    output_dir: str = option("", "directory to write; a rerun goes on there", required=True)
    name: str = option("pictures", "the data set's name: lower-case letters, digits and _")
    max_bad: int = option(
        0, "so many bad pictures are left out and listed; one more fails the run, none is ever left out unseen", minimum=0
    )
    max_pixels: int = option(100_000_000, "a picture of more pixels is a bad one, refused before it is decoded", minimum=1)
    shards: int = option(0, "files a split; 0 makes about 100 MB each", minimum=0, maximum=99_999)
    beam_flags: str = beam.flags_option()


def find_sources(input_dir: Path, split: str) -> tuple[list[prepare.Source], str, Counter[str]]:
    """The pictures of `split` by name, a digest of their names, sizes and times, and a count of the endings passed over."""
    found: list[tuple[str, int, int]] = []
    others: Counter[str] = Counter()
    for entry in folders.walk(input_dir / split):
        ending = Path(entry.name).suffix.lower()
        if not folders.is_picture(entry.name):
            others[ending or "no ending"] += 1
            continue
        try:
            status = entry.stat()
            size, changed = status.st_size, status.st_mtime_ns
        except OSError:  # a link to nothing: reading it will say so
            size, changed = 0, 0
        found.append((Path(entry.path).relative_to(input_dir).as_posix(), size, changed))
    found.sort()
    sources = [prepare.Source(name, size, functools.partial(folders.read, input_dir.absolute() / name)) for name, size, _ in found]
    return sources, files.sha256_of_json(found), others


def run(config: Config) -> None:
    input_dir = Path(config.input_dir).expanduser()
    if not input_dir.is_dir():
        raise UserError(f"--input_dir={config.input_dir}: no such directory")
    splits, inputs = {}, {}
    others: Counter[str] = Counter()
    for split in (*REQUIRED, *OPTIONAL):
        directory = input_dir / split
        if not directory.is_dir():
            if split in REQUIRED:
                raise UserError(f"{directory}: no such directory; put the pictures of domain {split[-1]} there")
            continue
        splits[split], inputs[split], passed_over = find_sources(input_dir, split)
        others += passed_over
        if not splits[split]:
            mend = "put pictures there" + ("" if split in REQUIRED else " or remove it")
            seen = f" ({sum(passed_over.values())} files of other kinds)" if passed_over else ""
            raise UserError(f"{directory}: holds no picture{seen}; {mend} ({', '.join(sorted(folders.ENDINGS))})")
    if others:
        kinds = ", ".join(f"{count} {manifest.printable(ending)}" for ending, count in sorted(others.items()))
        say(f"{input_dir}: passed over, not pictures by their ending: {kinds}")
    planned = own_labels.plan(config, input_dir, splits, max_bad=config.max_bad, max_pixels=config.max_pixels)
    request = prepare.Request(
        name=config.name,
        command=shlex.join(["python", "-m", "data_prep.folders", *flags.to_flag_file(config).splitlines()]),
        splits=planned.splits,
        settings=planned.settings,
        inputs=inputs | {own_labels.FOLDER.format(split=split): digest for split, digest in planned.inputs.items()},
        labelling=planned.labelling,
        max_bad=config.max_bad,
        max_pixels=config.max_pixels,
        shards=config.shards,
        beam_flags=config.beam_flags,
    )
    prepare.run(request, Path(config.output_dir).expanduser())
    name = Path(config.output_dir).name
    say(f"next: tfcyclegan train --data_dir={config.output_dir} --run_dir=runs/{name}; tfcyclegan doctor tells about how long")


if __name__ == "__main__":
    sys.exit(run_command("data_prep.folders", SUMMARY, EXAMPLES, Config, run))
