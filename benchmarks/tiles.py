"""What does `translate --tile` cost, in memory and time, and is its result that of the whole
network?

    python -m benchmarks.tiles --output=tiles.json

Each row is a separate process with its own peak of memory. Rows of one generator and one size are
compared with the first of them, pixel by pixel; seams are the rows and columns of pixels on either
side of a border between tiles. Weights are random (He's, so that the outputs fill the range), the
picture is a real one, NASA's Blue Marble, enlarged to the size.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.hardware import keep
from benchmarks.pictures import blue_marble
from tfcyclegan.networks import Generator, make_generator
from tfcyclegan.system.progress import log, track
from tfcyclegan.translation.tiling import Tiler
from tfcyclegan.translation.translators import Translator, as_function

PACKAGES = ("tensorflow", "keras", "numpy")
WHOLE, WHOLE_BY_PYTORCH = 0, -1  # in place of a tile's side
# residual blocks and filters of the first convolution
PAPER, SMALL, TINY = (9, 64), (3, 16), (1, 4)
PLANS = {
    "short": [(PAPER, 768, 768, tile) for tile in (WHOLE, 128, 256)],
    "wide": [(PAPER, 2048, 1024, tile) for tile in (WHOLE, 256, 512)],
    "exact": [(SMALL, 2048, 2048, tile) for tile in (WHOLE_BY_PYTORCH, WHOLE, 256)],
    # TensorFlow's first convolution alone would take 40 GB here on a CPU without oneDNN
    "huge": [(TINY, 8192, 8192, tile) for tile in (WHOLE_BY_PYTORCH, 256)],
    "huge_tiled": [(SMALL, 8192, 8192, tile) for tile in (256, 512)],
    "growth": [(SMALL, side, side, tile) for side in (1024, 2048, 4096) for tile in (WHOLE, 256)],
}


def by_pytorch(
    generator: Generator, blocks: int, filters: int
) -> Callable[[np.ndarray], np.ndarray]:
    """The official network with the same weights, as a function on NumPy batches."""
    import torch

    from benchmarks.inference import torch_twin

    twin = torch_twin(generator, blocks, filters)

    def function(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return (
                twin(torch.from_numpy(batch.transpose(0, 3, 1, 2)).contiguous())
                .numpy()
                .transpose(0, 2, 3, 1)
            )

    return function


def measure(
    network: tuple[int, int], width: int, height: int, tile: int, place: Path
) -> dict[str, Any]:
    """Measures one row; its picture is written to a file in `place`."""
    blocks, filters = network
    generator = make_generator(
        f"resnet_{blocks}blocks", base_filters=filters, init="kaiming", init_gain=1.0, seed=0
    )
    tiler = Tiler(generator, tile) if tile > 0 else None
    function = (
        by_pytorch(generator, blocks, filters)
        if tile == WHOLE_BY_PYTORCH
        else as_function(generator)
    )
    translate = Translator({}, 3, generator.size_multiple, function, tiler)
    small = blue_marble(64, 64)
    translate(small, place)  # TensorFlow's own start
    picture = blue_marble(width, height)
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    made = translate(picture, place)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    np.save(place / f"{blocks}-{filters}-{width}-{height}-{tile}.npy", made)
    return {
        "blocks": blocks,
        "filters": filters,
        "width": width,
        "height": height,
        "tile": tile,
        "seconds": seconds,
        "processor_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_bytes": after.ru_maxrss * 1024,
        "bytes_before": before.ru_maxrss * 1024,
        "disk_bytes": tiler.disk_bytes(height, width) if tiler else 0,
    }


def compare(row: dict[str, Any], first: dict[str, Any], place: Path) -> None:
    """Adds to `row` how its picture differs from that of `first`, in 8-bit levels."""
    ours, theirs = (
        np.load(
            place / "{blocks}-{filters}-{width}-{height}-{tile}.npy".format(**which), mmap_mode="r"
        )
        for which in (row, first)
    )
    difference = np.maximum(ours, theirs) - np.minimum(ours, theirs)
    row["largest_difference"], row["differing_share"] = (
        int(difference.max()),
        float((difference > 0).mean()),
    )
    borders = [
        range(row["tile"], row[side], row["tile"]) if row["tile"] > 0 else ()
        for side in ("height", "width")
    ]
    strips = [difference[at - 1 : at + 1] for at in borders[0]] + [
        difference[:, at - 1 : at + 1] for at in borders[1]
    ]
    row["largest_difference_on_seams"] = max((int(strip.max()) for strip in strips), default=0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--plan", default="wide", help=f"rows, separated by commas: {', '.join(PLANS)}"
    )
    parser.add_argument("--output", default="", help="JSON file of the results")
    parser.add_argument("--row", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.row:
        *row, place = json.loads(given.row)
        print(json.dumps(measure(*row, Path(place))))
        return
    plan = [row for name in given.plan.split(",") for row in PLANS[name]]
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for row in track(plan, total=len(plan), unit="row", label="measuring"):
            command = [
                sys.executable,
                "-m",
                "benchmarks.tiles",
                f"--row={json.dumps([*row, name])}",
            ]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                log(f"{row}: failed with {done.returncode} (memory?)")
                continue
            results.append(json.loads(done.stdout.splitlines()[-1]))
            alike = [
                other
                for other in results
                if all(
                    other[key] == results[-1][key]
                    for key in ("blocks", "filters", "width", "height")
                )
            ]
            results[-1]["time_ratio"] = results[-1]["seconds"] / alike[0]["seconds"]
            if len(alike) > 1:
                compare(results[-1], alike[0], place)

    columns = (
        "generator",
        "picture",
        "tile",
        "s",
        "ratio",
        "cores",
        "peak GB",
        "disk GB",
        "largest difference",
        "on seams",
        "differing",
    )
    table = Table(
        *columns,
        title="differences in levels of 8 bits, to the first row of the same generator and picture",
    )
    for row in results:
        table.add_row(
            f"{row['blocks']} blocks, {row['filters']} filters",
            f"{row['width']}x{row['height']}",
            {WHOLE: "whole", WHOLE_BY_PYTORCH: "whole, PyTorch"}.get(row["tile"], str(row["tile"])),
            f"{row['seconds']:.1f}",
            f"{row['time_ratio']:.2f}",
            f"{row['processor_seconds'] / row['seconds']:.2f}",
            f"{row['peak_bytes'] / 1e9:.2f}",
            f"{row['disk_bytes'] / 1e9:.2f}",
            str(row.get("largest_difference", "")),
            str(row.get("largest_difference_on_seams", "")),
            f"{row['differing_share']:.1e}" if "differing_share" in row else "",
        )
    Console(width=150).print(table)
    keep(results, given, PACKAGES)


if __name__ == "__main__":
    main()
