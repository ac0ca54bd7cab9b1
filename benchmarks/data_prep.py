"""How fast are large PNG frames prepared, compared with a plain loop over Pillow that makes the
same pixels?

    python -m benchmarks.data_prep --output=data_prep.json

Frames of 1914x1052, the size of GTA5's, cut from NASA's Blue Marble (real pictures, no game's), are
resized to --size by bicubic and stored as PNG of Pillow's own level: by the command
`data_prep.gta5`, and by a loop in one process that opens, resizes and saves one frame after
another. Both run on few and on many frames. The rate is that of the additional frames, which
excludes imports and the metadata at the end; the peak of memory should be the same for both. The
stored pixels are compared.
"""

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.hardware import keep
from benchmarks.pictures import cut_tiles
from benchmarks.processes import Command, memory, run_apart
from tfcyclegan.config import Size
from tfcyclegan.system.progress import log, track

PACKAGES = ("pillow", "tensorflow", "numpy")
OURS, LOOP = "data_prep.gta5", "Pillow loop"
HEIGHT, WIDTH = 1052, 1914
_DIFFERENT = 40  # frames drawn; more are links to them


def loop(folder: Path, output: Path, size: Size) -> dict[str, Any]:
    """The plain loop, in this process."""
    output.mkdir()
    started = time.perf_counter()
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            image.convert("RGB").resize((size.width, size.height), Image.Resampling.BICUBIC).save(
                output / path.name
            )
    return {"seconds": time.perf_counter() - started, "peak_bytes": memory("VmHWM")}


def prepare(root: Path, output: Path, size: Size) -> dict[str, Any]:
    """The command, in a separate process."""
    flags = [
        f"--input_dir={root}",
        f"--output_dir={output}",
        f"--size={size.height}x{size.width}",
        "--labels=false",
    ]
    done = Command([sys.executable, "-m", "data_prep.gta5", *flags]).finish()
    return {"seconds": done.seconds, "peak_bytes": done.peak_bytes}


def differing(data: Path, folder: Path) -> int:
    """Number of stored pictures whose pixels differ from those of the loop."""
    from tfcyclegan.system import tensorflow_setup

    tensorflow_setup.import_tensorflow()
    from tfcyclegan.data.source import open_source

    found = 0
    for name, encoded in open_source(data).pictures("train"):
        with Image.open(io.BytesIO(encoded)) as ours, Image.open(folder / name) as theirs:
            found += not np.array_equal(np.asarray(ours), np.asarray(theirs))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--size", default="526x957", help="size of the stored pictures, HEIGHTxWIDTH"
    )
    parser.add_argument("--counts", default="40,160", help="numbers of frames: few, many")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each way")
    parser.add_argument("--short", action="store_true", help="one round of 8 and 24 frames")
    parser.add_argument("--output", default="", help="JSON file of the results")
    parser.add_argument("row", nargs="?", help=argparse.SUPPRESS)
    given = parser.parse_args()
    size = Size.parse(given.size)
    if given.row:
        folder, output = map(Path, json.loads(given.row))
        print(json.dumps(loop(folder, output, size)))
        return
    if given.short:
        given.counts, given.rounds = "8,24", 1
    few, many = map(int, given.counts.split(","))
    runs: dict[tuple[str, int], list[dict[str, Any]]] = {
        (way, count): [] for way in (OURS, LOOP) for count in (few, many)
    }
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        cut_tiles(place / "drawn", min(many, _DIFFERENT), HEIGHT, WIDTH, ending=".png")
        drawn = sorted((place / "drawn").iterdir())
        for count in (few, many):
            folder = place / str(count) / "images"
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number:05d}.png").symlink_to(drawn[number % len(drawn)])
        plan = [(way, count, index) for index in range(given.rounds) for way, count in runs]
        for way, count, index in track(plan, total=len(plan), unit="run", label="preparing"):
            root, output = place / str(count), place / f"{way}-{count}-{index}"
            if way == OURS:
                made = prepare(root, output, size)
            else:
                made = run_apart(
                    "benchmarks.data_prep",
                    [str(root / "images"), str(output)],
                    flags=[f"--size={given.size}"],
                )
            runs[way, count].append(made)
        found = differing(place / f"{OURS}-{few}-0", place / f"{LOOP}-{few}-0")
        assert not found, f"{found} of {few} pictures have other pixels than the loop's"
        megabytes = statistics.mean(path.stat().st_size for path in drawn) / 1e6
    results: dict[str, Any] = {
        "runs": {f"{way}, {count}": values for (way, count), values in runs.items()},
        "frame_megabytes": megabytes,
    }
    per_frame = {
        way: [
            (b["seconds"] - a["seconds"]) / (many - few)
            for a, b in zip(runs[way, few], runs[way, many], strict=True)
        ]
        for way in (OURS, LOOP)
    }
    results["ratio"] = statistics.median(
        theirs / ours for ours, theirs in zip(per_frame[OURS], per_frame[LOOP], strict=True)
    )
    results["whole_ratio"] = statistics.median(
        theirs["seconds"] / ours["seconds"]
        for ours, theirs in zip(runs[OURS, many], runs[LOOP, many], strict=True)
    )
    table = Table(
        "way", "ms a frame", f"s, {few} frames", f"s, {many}", f"peak GB, {few}", f"peak GB, {many}"
    )
    table.title = f"{WIDTH}x{HEIGHT} PNG of {megabytes:.1f} MB to {size.width}x{size.height}"
    for way in (OURS, LOOP):
        times = [
            f"{statistics.median(run['seconds'] for run in runs[way, count]):.1f}"
            for count in (few, many)
        ]
        peaks = [
            f"{statistics.median(run['peak_bytes'] for run in runs[way, count]) / 1e9:.2f}"
            for count in (few, many)
        ]
        table.add_row(way, f"{statistics.median(per_frame[way]) * 1e3:.1f}", *times, *peaks)
    Console(width=110).print(table)
    log(
        f"a frame more: {results['ratio']:.2f} times as fast as the loop; {many} frames with all "
        f"starts: {results['whole_ratio']:.2f} times"
    )
    keep(results, given, PACKAGES)


if __name__ == "__main__":
    main()
