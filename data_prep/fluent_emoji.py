"""Flat and 3D emoji, the same emoji drawn in two styles, for unpaired training and for scoring on
pairs.

Source: two npm packages of Microsoft's Fluent emoji, both under the MIT licence according to their
package.json; npm downloads them once, pinned by their hashes, into the cache ($TFCYCLEGAN_CACHE):

    @lobehub/fluent-emoji-flat 1.1.0   domain A, "flat"   7.6 MB   SVG
    @lobehub/fluent-emoji-3d 1.1.0     domain B, "3d"     15.8 MB  WebP, 256x256 pixels

They are drawings, as the data set's name shows above every result. Flags and skin tones, which are
many and alike, are left out. resvg (`pip install 'tfcyclegan[emoji]'`) renders SVG at 256x256
pixels; then both styles are composited onto white and shrunk to --size, antialiased.

An emoji's *first code point* decides its set, so that a woman and the same woman running are never
in two sets. The code points are assigned at random (--seed), twenty at a time:

    trainA  trainB   eight of twenty each, different ones: no emoji is in both domains
    testA   testB    three of twenty, the same emoji in both
    valA    valB     one of twenty, the same emoji in both

testA/1f600.png and testB/1f600.png are the same emoji; the names are its code points in
hexadecimal. `not_used.csv` in the data set names each emoji that is left out, and why.

With --pairs, trainB holds the emoji of trainA instead, for `train --method=pix2pix`: an upper bound
for unpaired training.
"""

import dataclasses
import functools
import io
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from data_prep import prepare
from tfcyclegan import flags
from tfcyclegan.cli import run_command
from tfcyclegan.config import Options, option
from tfcyclegan.data.source import ALIGNED
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.downloads import cached, from_npm, is_cached, npm_members
from tfcyclegan.system.progress import log

SUMMARY = "prepare flat and 3D emoji, the same emoji in two styles, for unpaired training"
EXAMPLES = """
    python -m data_prep.fluent_emoji --output_dir=data/emoji
    python -m data_prep.fluent_emoji --output_dir=data/emoji_96 --size=96
    python -m data_prep.fluent_emoji --output_dir=data/emoji_pairs --pairs
"""

FLAT = from_npm(
    "@lobehub/fluent-emoji-flat@1.1.0",
    "8f9113c027c7c20eced0070354715a4093a459b8bef6332b91d45f38c9bdb147",
    told="flat emoji",
)
SOLID = from_npm(
    "@lobehub/fluent-emoji-3d@1.1.0",
    "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    told="3D emoji",
)
RENDERED = 256
"""Side in pixels of the 3D pictures, and of the flat ones before both are shrunk."""
FLAG_LETTERS = range(0x1F1E6, 0x1F200)
FLAG_TAGS = range(0xE0020, 0xE0080)
SKIN_TONES = range(0x1F3FB, 0x1F400)
DEAL = ("trainA",) * 8 + ("trainB",) * 8 + ("test",) * 3 + ("val",)
STORED_BYTES = 8000
"""Approximate bytes of a picture, for planning the shards."""


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `python -m data_prep.fluent_emoji`."""

    output_dir: str = option("", "directory to write; a rerun continues there", required=True)
    size: int = option(64, "side of a stored picture in pixels", minimum=8, maximum=RENDERED)
    pairs: bool = option(
        False, "make training pairs: trainB shows the emoji of trainA, in files of the same names"
    )
    seed: int = option(0, "random seed of the assignment of emoji to sets", minimum=0)
    shards: int = option(0, "files per split; 0 makes files of about 100 MB", minimum=0)


def reason_to_leave_out(name: str, styles: Container[str]) -> str:
    """Why an emoji is not used, or nothing.

    Args:
        name: its code points, such as "1f468-200d-1f373".
        styles: the domains that have it, of "A" and "B".
    """
    points = [int(point, 16) for point in name.split("-")]
    if "B" not in styles:
        return "flat alone"
    if "A" not in styles:
        return "3D alone"
    if any(point in SKIN_TONES for point in points):
        return "skin tone"
    flag = any(point in letters for point in points for letters in (FLAG_LETTERS, FLAG_TAGS))
    return "flag of a country" if flag else ""


def deal(names: Iterable[str], seed: int) -> dict[str, list[str]]:
    """The emoji of the sets "trainA", "trainB", "test" and "val", assigned by first code point."""
    of_point: dict[str, list[str]] = {}
    for name in sorted(names):
        of_point.setdefault(name.split("-")[0], []).append(name)
    random = np.random.default_rng(seed)
    points = random.permutation(sorted(of_point)).tolist()
    sets: dict[str, list[str]] = {name: [] for name in dict.fromkeys(DEAL)}
    for first in range(0, len(points), len(DEAL)):
        dealt = random.permutation(DEAL).tolist()
        for point, name in zip(points[first : first + len(DEAL)], dealt, strict=False):
            sets[name] += of_point[point]
    return {name: sorted(signs) for name, signs in sets.items()}


def render(svg: bytes) -> Image.Image:
    """A flat emoji, RGBA with sides of RENDERED pixels.

    Raises:
        UserError: resvg is not installed.
    """
    try:
        import resvg_py
    except ModuleNotFoundError as error:
        raise UserError(
            "data_prep.fluent_emoji: needs resvg-py; pip install 'tfcyclegan[emoji]'"
        ) from error
    drawn = resvg_py.svg_to_bytes(
        svg_string=svg.decode(), width=RENDERED, height=RENDERED, skip_system_fonts=True
    )
    return Image.open(io.BytesIO(drawn))


def on_white(picture: Image.Image, size: int) -> bytes:
    """An emoji on a white square, shrunk, as PNG; a picture that is not square is centred."""
    side = max(picture.size)
    square = Image.new("RGBA", (side, side), "white")
    place = (side - picture.width) // 2, (side - picture.height) // 2
    square.alpha_composite(picture.convert("RGBA"), place)
    stream = io.BytesIO()
    square.convert("RGB").resize((size, size), Image.Resampling.LANCZOS).save(stream, "PNG")
    return stream.getvalue()


def _flat(svg: bytes, size: int) -> bytes:
    return on_white(render(svg), size)


def _solid(webp: bytes, size: int) -> bytes:
    with Image.open(io.BytesIO(webp), formats=["WEBP"]) as picture:
        return on_white(picture, size)


def run(config: Config) -> None:
    files.require_no_file("output_dir", Path(config.output_dir))
    if not (is_cached(FLAT) and is_cached(SOLID)):
        log("downloading two packages of emoji (23 MB) with npm, once; later runs need no network")
    drawings = {
        domain: {
            PurePosixPath(path).stem: content
            for path, content in npm_members(cached(package)).items()
            if path.startswith("assets/")
        }
        for domain, package in (("A", FLAT), ("B", SOLID))
    }
    reasons = {
        name: reason_to_leave_out(name, [domain for domain in "AB" if name in drawings[domain]])
        for name in sorted(drawings["A"].keys() | drawings["B"].keys())
    }
    sets = deal((name for name, reason in reasons.items() if not reason), config.seed)
    if config.pairs:
        sets["trainB"] = sets["trainA"]
    unused = {name: reason for name, reason in reasons.items() if reason}
    encode: dict[str, Callable[[bytes, int], bytes]] = {"A": _flat, "B": _solid}
    splits: dict[str, list[prepare.Source]] = {}
    for split in ("trainA", "trainB", "testA", "testB", "valA", "valB"):
        domain = split[-1]
        splits[split] = [
            prepare.Source(
                f"{split}/{name}.png",
                STORED_BYTES,
                functools.partial(encode[domain], drawings[domain][name], config.size),
            )
            for name in sets.get(split) or sets[split[:-1]]
        ]
    settings: dict[str, Any] = {
        key: value
        for key, value in dataclasses.asdict(config).items()
        if key not in ("output_dir", "shards")
    }
    request = prepare.Request(
        name="emoji_drawings",
        command=shlex.join(
            ["python", "-m", "data_prep.fluent_emoji", *flags.to_flag_file(config).splitlines()]
        ),
        splits=splits,
        settings=settings,
        usual={"pairs": False},
        inputs={package.package: package.sha256 for package in (FLAT, SOLID)},
        max_bad=0,
        max_pixels=RENDERED**2,
        shards=config.shards,
        left_out=Counter(unused.values()),
        remarks={ALIGNED: ["test", *["train"] * config.pairs, "val"]},
        attachments={
            "not_used.csv": "".join(
                f"{name},{reason}\n" for name, reason in {"emoji": "reason", **unused}.items()
            )
        },
    )
    prepare.run(request, Path(config.output_dir))
    log(
        f"next: tfcyclegan train --flagfile=configs/emoji{'_pairs' * config.pairs}.cfg "
        f"--data_dir={config.output_dir}"
    )


if __name__ == "__main__":
    sys.exit(run_command("data_prep.fluent_emoji", SUMMARY, EXAMPLES, Config, run))
