"""What do the scores of `tfcyclegan evaluate` cost, in time and memory, as the number of pictures
grows?

    python -m benchmarks.evaluate --output=evaluate.json

The command scores a folder of translations (tiles of NASA's Blue Marble in duller colours, which
excludes the generator's own time, measured by `benchmarks.translate`) against the same number of
real tiles. Each row is a separate process; the seconds of the families are those in metrics.json.
--features=alexnet adds KID, FID and LPIPS, and downloads AlexNet's weights once.
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
from tfcyclegan.system import files
from tfcyclegan.system.progress import track

PACKAGES = ("tensorflow", "numpy", "scipy", "scikit-image", "pillow")
_TRAINING = 100  # pictures a domain, the same in each row


def measure(count: int, side: int, features: str, place: Path) -> dict[str, Any]:
    """The command over `count` translations."""
    for seed, (split, pictures) in enumerate(
        (("trainA", _TRAINING), ("trainB", _TRAINING), ("testA", count), ("testB", count))
    ):
        cut_tiles(place / "pictures" / split, pictures, side, side, ending=".png", seed=seed)
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
    flags = [
        f"--translations={place}/translated",
        f"--data_dir={place}/data",
        f"--output={place}/scores",
        f"--features={features}",
    ]
    done = Command([sys.executable, "-m", "tfcyclegan.cli", "evaluate", *flags]).finish()
    scores = files.read_json(place / "scores" / "metrics.json")["directions"][0]
    families = scores["seconds"]
    return {
        "pictures": count,
        "seconds": done.seconds,
        "peak_bytes": done.peak_bytes,
        "families": families,
        "left_out": scores["left_out"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", default="100,400,1600", help="numbers of translated pictures")
    parser.add_argument("--side", type=int, default=64, help="side of the pictures in pixels")
    parser.add_argument("--features", default="none", help="as in `tfcyclegan evaluate`")
    parser.add_argument("--short", action="store_true", help="only 25 and 100 pictures")
    parser.add_argument("--output", default="", help="JSON file of the results")
    given = parser.parse_args()
    counts = [25, 100] if given.short else [int(count) for count in given.counts.split(",")]
    rows = []
    for count in track(counts, total=len(counts), unit="row", label="scoring"):
        with tempfile.TemporaryDirectory() as name:
            rows.append(measure(count, given.side, given.features, Path(name)))
    families = [
        family
        for family in rows[-1]["families"]
        if max(row["families"].get(family, 0) for row in rows) >= 0.1
    ]
    table = Table(
        "pictures",
        "s",
        "peak GB",
        *families,
        title=f"{given.side}x{given.side}, features {given.features}; seconds by family",
    )
    for row in rows:
        seconds = [f"{row['families'].get(family, 0):.1f}" for family in families]
        table.add_row(
            str(row["pictures"]),
            f"{row['seconds']:.1f}",
            f"{row['peak_bytes'] / 1e9:.2f}",
            *seconds,
        )
    Console(width=150).print(table)
    keep(rows, given, PACKAGES)


if __name__ == "__main__":
    main()
