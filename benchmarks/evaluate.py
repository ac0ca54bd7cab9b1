"""What do the scores of `tfcyclegan evaluate` cost, in time and memory, as the number of pictures
grows?

    python -m benchmarks.evaluate --output=evaluate.json

The command scores a folder of translations (tiles of NASA's Blue Marble in duller colours, which
excludes the generator's own time, measured by `benchmarks.translate`) against the same number of
real tiles. Each row is a separate process; the seconds of the families are those in metrics.json,
of which "pictures" is the pass over the pictures. --labels=HEIGHTxWIDTH scores noisy label maps
instead, against labels of that size (synthetic streets). --old=CHECKOUT runs another build in turns
with this one, on the same data, and compares their numbers. --features=alexnet adds KID, FID and
LPIPS, and downloads AlexNet's weights once.
"""

import argparse
import itertools
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance
from rich.console import Console
from rich.table import Table

from benchmarks.hardware import keep
from benchmarks.pictures import cut_tiles
from benchmarks.processes import Command
from tfcyclegan.config import Size
from tfcyclegan.system import files
from tfcyclegan.system.progress import track

PACKAGES = ("tensorflow", "numpy", "scipy", "scikit-image", "pillow")
TRANSLATED = "translated"
_TRAINING = 100  # pictures a domain, the same in each row
_SCENES = 20


def tiles(count: int, side: Size, place: Path) -> str:
    """Writes `count` duller tiles as translations of others; returns their --data_dir."""
    for seed, (split, pictures) in enumerate(
        (("trainA", _TRAINING), ("trainB", _TRAINING), ("testA", count), ("testB", count))
    ):
        folder = place / "pictures" / split
        cut_tiles(folder, pictures, side.height, side.width, ending=".png", seed=seed)
    prepare("folders", place / "pictures", place / "data")
    (place / TRANSLATED).mkdir()
    for path in (place / "pictures" / "testA").iterdir():
        with Image.open(path) as image:
            ImageEnhance.Color(image).enhance(0.5).save(place / TRANSLATED / path.name)
    return f"{place}/data"


def label_maps(count: int, side: Size, labels: Size, place: Path) -> str:
    """Writes `count` noisy label maps as translations of photos whose labels have the size
    `labels`; returns their --data_dir.

    They are a few scenes of the synthetic street in turns, labels enlarged by nearest.
    """
    drawn, street = place / "drawn" / "cityscapes", place / "street"
    scenes = [f"--{split}_scenes={_SCENES}" for split in ("train", "test")]
    script("toy_street", f"--output_dir={drawn.parent}", f"--size={side}", *scenes)
    noise = np.random.default_rng(0)
    for split, pictures in (("train", _TRAINING), ("val", count)):
        town = f"{split}/toytown"
        photos, truths = street / "leftImg8bit" / town, street / "gtFine" / town
        translated = place / TRANSLATED / town
        for folder in (photos, truths, translated):
            folder.mkdir(parents=True)
        of_scenes = [
            sorted((drawn / folder / town).glob(f"*_{ending}"))
            for folder, ending in (
                ("leftImg8bit", "leftImg8bit.png"),
                ("gtFine", "gtFine_labelIds.png"),
                ("gtFine", "gtFine_color.png"),
            )
        ]
        for number, (photo, ids, colours) in zip(
            range(pictures), itertools.cycle(zip(*of_scenes, strict=True)), strict=False
        ):
            name = f"toytown_000000_{number:06d}"
            os.link(photo, photos / f"{name}_leftImg8bit.png")
            with Image.open(ids) as image:
                image.resize((labels.width, labels.height), Image.Resampling.NEAREST).save(
                    truths / f"{name}_gtFine_labelIds.png", compress_level=1
                )
            if split == "train":
                continue
            with Image.open(colours) as image:
                pixels = np.asarray(image.convert("RGB"))
            noisy = (pixels + noise.normal(0, 20, pixels.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(translated / f"{name}.png", compress_level=1)
    for content in ("photos", "label_maps"):
        prepare("cityscapes", street, place / content, f"--content={content}")
    return f"{place}/photos,{place}/label_maps"


def script(name: str, *flags: str) -> None:
    Command([sys.executable, "-m", f"data_prep.{name}", *flags]).finish()


def prepare(name: str, source: Path, output: Path, *flags: str) -> None:
    script(name, f"--input_dir={source}", f"--output_dir={output}", *flags)


def score(
    count: int, data_dir: str, features: str, place: Path, name: str, build: Path
) -> dict[str, Any]:
    """Times the command of the build in the checkout `build`."""
    output = place / name
    flags = [
        f"--translations={place}/{TRANSLATED}",
        f"--data_dir={data_dir}",
        f"--output={output}",
        f"--features={features}",
    ]
    # -P, or the build in the working directory would come first
    path = f"PYTHONPATH={build.resolve()}"
    program = ["env", path, sys.executable, "-P", "-m", "tfcyclegan.cli"]
    done = Command([*program, "evaluate", *flags]).finish()
    scores = files.read_json(output / "metrics.json")["directions"][0]
    return {
        "pictures": count,
        "build": name,
        "seconds": done.seconds,
        "processor_seconds": done.processor_seconds,
        "peak_bytes": done.peak_bytes,
        "families": scores["seconds"],
        "left_out": scores["left_out"],
        "scores": [scores["tables"], scores["detectors"]],
    }


def largest_difference(one: Any, other: Any) -> float:
    """The largest difference between all numbers of two builds' scores, relative for numbers above
    1; infinite if the scores differ in structure.
    """
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return max((largest_difference(one[key], other[key]) for key in one), default=0.0)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return max(
            (largest_difference(*pair) for pair in zip(one, other, strict=True)), default=0.0
        )
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) / max(1.0, abs(one))
    return 0.0 if one == other else float("inf")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", default="100,400,1600", help="numbers of translated pictures")
    parser.add_argument("--size", default="64x64", help="of the pictures, HEIGHTxWIDTH")
    parser.add_argument(
        "--labels", default="", help="size of the labels, HEIGHTxWIDTH: score label maps"
    )
    parser.add_argument("--old", default="", help="another checkout, run in turns with this one")
    parser.add_argument("--features", default="none", help="as in `tfcyclegan evaluate`")
    parser.add_argument("--short", action="store_true", help="only 25 and 100 pictures")
    parser.add_argument("--output", default="", help="JSON file of the results")
    given = parser.parse_args()
    counts = [25, 100] if given.short else [int(count) for count in given.counts.split(",")]
    size = Size.parse(given.size)
    builds = {"new": Path(__file__).parents[1]} | ({"old": Path(given.old)} if given.old else {})
    rows: list[dict[str, Any]] = []
    for count in track(counts, total=len(counts), unit="row", label="scoring"):
        with tempfile.TemporaryDirectory() as name:
            place = Path(name)
            if given.labels:
                data_dir = label_maps(count, size, Size.parse(given.labels), place)
            else:
                data_dir = tiles(count, size, place)
            for build, checkout in builds.items():
                rows.append(score(count, data_dir, given.features, place, build, checkout))
    families = dict.fromkeys(
        family for row in rows for family, value in row["families"].items() if value >= 0.1
    )
    table = Table(
        "pictures",
        "build",
        "s",
        "CPU s",
        "peak GB",
        *families,
        title=f"{size}, labels {given.labels or 'none'}, features {given.features}; "
        "seconds by family",
    )
    for row in rows:
        seconds = [f"{row['families'].get(family, 0):.1f}" for family in families]
        table.add_row(
            str(row["pictures"]),
            row["build"],
            f"{row['seconds']:.1f}",
            f"{row['processor_seconds']:.1f}",
            f"{row['peak_bytes'] / 1e9:.2f}",
            *seconds,
        )
    Console(width=150).print(table)
    for new, old in zip(rows[::2], rows[1::2], strict=True) if given.old else ():
        difference = largest_difference(new["scores"], old["scores"])
        print(f"{new['pictures']} pictures: the builds' numbers differ by at most {difference:.1e}")
    for row in rows:
        del row["scores"]
    keep(rows, given, PACKAGES)


if __name__ == "__main__":
    main()
