"""What do the scores of `tfcyclegan evaluate` cost, in time and memory, as the number of pictures
grows?

    python -m benchmarks.evaluate --output=evaluate.json

The command scores a folder of translations (tiles of NASA's Blue Marble in duller colours, which
excludes the generator's own time, measured by `benchmarks.translate`) against the same number of
real tiles. Each row is a separate process; the seconds of the families are those in metrics.json,
of which "pictures" is the pass over the pictures. --old=CHECKOUT runs another build in turns with
this one, on the same data, and compares their numbers. --features=alexnet adds KID, FID and LPIPS,
and downloads AlexNet's weights once.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

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
_TRAINING = 100  # pictures a domain, the same in each row


def measure(
    count: int, side: Size, features: str, place: Path, builds: dict[str, Path]
) -> list[dict[str, Any]]:
    """Times the command on `count` translations, with each build in turn."""
    for seed, (split, pictures) in enumerate(
        (("trainA", _TRAINING), ("trainB", _TRAINING), ("testA", count), ("testB", count))
    ):
        folder = place / "pictures" / split
        cut_tiles(folder, pictures, side.height, side.width, ending=".png", seed=seed)
    Command(
        [
            sys.executable,
            "-m",
            "data_prep.folders",
            f"--input_dir={place}/pictures",
            f"--output_dir={place}/data",
        ]
    ).finish()
    (place / "translated").mkdir()
    for path in (place / "pictures" / "testA").iterdir():
        with Image.open(path) as image:
            ImageEnhance.Color(image).enhance(0.5).save(place / "translated" / path.name)
    return [
        {"build": name, **_score(count, features, place, name, builds[name])} for name in builds
    ]


def _score(count: int, features: str, place: Path, name: str, build: Path) -> dict[str, Any]:
    output = place / name
    flags = [
        f"--translations={place}/translated",
        f"--data_dir={place}/data",
        f"--output={output}",
        f"--features={features}",
    ]
    program = ["env", f"PYTHONPATH={build.resolve()}", sys.executable, "-m", "tfcyclegan.cli"]
    done = Command([*program, "evaluate", *flags]).finish()
    scores = files.read_json(output / "metrics.json")["directions"][0]
    return {
        "pictures": count,
        "seconds": done.seconds,
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
    parser.add_argument("--old", default="", help="another checkout, run in turns with this one")
    parser.add_argument("--features", default="none", help="as in `tfcyclegan evaluate`")
    parser.add_argument("--short", action="store_true", help="only 25 and 100 pictures")
    parser.add_argument("--output", default="", help="JSON file of the results")
    given = parser.parse_args()
    counts = [25, 100] if given.short else [int(count) for count in given.counts.split(",")]
    size = Size(*map(int, given.size.split("x")))
    builds = {"new": Path(__file__).parents[1]} | ({"old": Path(given.old)} if given.old else {})
    rows: list[dict[str, Any]] = []
    for count in track(counts, total=len(counts), unit="row", label="scoring"):
        with tempfile.TemporaryDirectory() as name:
            rows += measure(count, size, given.features, Path(name), builds)
    families = dict.fromkeys(
        family for row in rows for family, value in row["families"].items() if value >= 0.1
    )
    table = Table(
        "pictures",
        "build",
        "s",
        "peak GB",
        *families,
        title=f"{size}, features {given.features}; seconds by family",
    )
    for row in rows:
        seconds = [f"{row['families'].get(family, 0):.1f}" for family in families]
        table.add_row(
            str(row["pictures"]),
            row["build"],
            f"{row['seconds']:.1f}",
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
