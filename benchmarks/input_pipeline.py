"""How many pictures per second are ready for training: with our pipeline, and with PyTorch's
DataLoader and Pillow, from the same files?

    python -m benchmarks.input_pipeline --output=input_pipeline.json

Both return shuffled unpaired batches like the official program: JPEG of 256x256, resized to 286x286
by bicubic, cropped to 256x256 at random, mirrored at random, float32 in [-1, 1]. PyTorch's loader
reads the files whose bytes are the records of ours; the better of 0 and 2 worker processes counts.
Each way is a separate process, once per round. Our first epoch includes resizing and storing the
pixels or, with --cache=none, looking for the records' places. Neither copies the batches to a
device. "Own memory" is the growth since before the first batch, including workers; pixels that are
mapped from a file, which leave memory when others need it, are listed separately.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.hardware import keep
from benchmarks.pictures import cut_tiles
from benchmarks.processes import Command, memory, run_apart
from tfcyclegan.system.progress import track

PACKAGES = ("tensorflow", "torch", "pillow", "numpy")
STORED, STREAMED = "ours", "ours, --cache=none"
ALONE, WORKERS = "DataLoader, no workers", "DataLoader, 2 workers"
GOALS = {STORED: {"first": 1.0, "later": 8.0}, STREAMED: {"first": 1.0, "later": 0.95}}
_STORED, _LOADED, _CROP = 256, 286, 256


def ours(place: Path, batch: int, epochs: int, *, stored: bool) -> Iterator[Any]:
    """Starts our pipeline, then yields the iterator of each epoch."""
    from tfcyclegan.system import tensorflow_setup

    tensorflow_setup.import_tensorflow()
    from tfcyclegan.config import Size
    from tfcyclegan.data.pixels import open_pixels
    from tfcyclegan.data.source import open_source
    from tfcyclegan.data.unpaired import UnpairedBatches
    from tfcyclegan.training.strategy import keep_freed_memory

    keep_freed_memory()
    source = open_source(place / "data")
    yield
    sizes = {
        "mode": "resize_and_crop",
        "load_size": Size(_LOADED, _LOADED),
        "crop_size": Size(_CROP, _CROP),
    }
    with tempfile.TemporaryDirectory(dir=place) as cache:
        pixels = [
            open_pixels(source, f"train{domain}", Path(cache), **sizes, channels=3, stored=stored)
            for domain in "AB"
        ]
        batches = UnpairedBatches(*pixels, Size(_CROP, _CROP), True, batch, 0)
        steps = batches.epoch_images // batch
        stream = iter(batches.dataset(0, steps * epochs))
        for _ in range(epochs):
            yield (next(stream) for _ in range(steps))


def theirs(place: Path, batch: int, epochs: int, workers: int) -> Iterator[Any]:
    """The same for PyTorch's."""
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    def load(path: Path) -> torch.Tensor:
        with Image.open(path) as image:
            picture = image.convert("RGB").resize((_LOADED, _LOADED), Image.Resampling.BICUBIC)
        top, left = random.randint(0, _LOADED - _CROP), random.randint(0, _LOADED - _CROP)
        picture = picture.crop((left, top, left + _CROP, top + _CROP))
        if random.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
        return pixels.to(torch.float32).div_(127.5).sub_(1)

    # as in a loader's workers; two threads for so little wait for each other on a busy machine
    torch.set_num_threads(1)

    class Unpaired(Dataset):
        def __init__(self) -> None:
            self.paths = [
                sorted((place / "pictures" / f"train{domain}").iterdir()) for domain in "AB"
            ]

        def __len__(self) -> int:
            return len(self.paths[0])

        def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
            return load(self.paths[0][index]), load(random.choice(self.paths[1]))

    loader = DataLoader(
        Unpaired(),
        batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    yield
    for _ in range(epochs):
        yield loader


def measure(way: str, place: Path, batch: int, epochs: int) -> dict[str, Any]:
    """Pictures per second of each epoch, and memory, in this process."""
    started_ways: dict[str, Callable[[], Iterator[Any]]] = {
        STORED: lambda: ours(place, batch, epochs, stored=True),
        STREAMED: lambda: ours(place, batch, epochs, stored=False),
        ALONE: lambda: theirs(place, batch, epochs, 0),
        WORKERS: lambda: theirs(place, batch, epochs, 2),
    }
    stream = started_ways[way]()
    next(stream)
    before, own, rates, busy = memory("RssAnon"), 0, [], []
    for _ in range(epochs):
        started, worked, pictures = time.perf_counter(), time.process_time(), 0
        for real_a, real_b in next(stream):
            pictures += real_a.shape[0] + real_b.shape[0]
        rates.append(pictures / (time.perf_counter() - started))
        busy.append((time.process_time() - worked) / pictures)
        own = max(own, memory("RssAnon") - before + _of_children())
    return {
        "pictures_per_second": rates,
        "cpu_seconds_per_picture": busy,  # without those of worker processes
        "own_bytes": own,
        "file_bytes": memory("RssFile"),
    }


def _of_children() -> int:
    children = [
        Path(f"/proc/{number}/status")
        for number in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    ]
    lines = [
        line for child in children if child.exists() for line in child.read_text().splitlines()
    ]
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def compare(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Medians over rounds; ratios to PyTorch's better setting within a round."""

    def rate(row: dict[str, Any], part: str) -> float:
        rates = row["pictures_per_second"]
        return rates[0] if part == "first" else statistics.median(rates[1:])

    result: dict[str, Any] = {"rows": {}, "ratios": {}}
    for way in (STORED, STREAMED, ALONE, WORKERS):
        rows = [each[way] for each in rounds]
        result["rows"][way] = {
            part: statistics.median(rate(row, part) for row in rows) for part in ("first", "later")
        }
        result["rows"][way] |= {
            name: max(row[name] for row in rows) for name in ("own_bytes", "file_bytes")
        }
    for way, goals in GOALS.items():
        result["ratios"][way] = {
            part: statistics.median(
                rate(each[way], part) / max(rate(each[other], part) for other in (ALONE, WORKERS))
                for each in rounds
            )
            for part in goals
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--counts",
        default="200,800",
        help="pictures of each domain; memory should not grow with them",
    )
    parser.add_argument("--batch", type=int, default=1, help="pictures of each domain in a batch")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of each run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each way")
    parser.add_argument("--short", action="store_true", help="one round of 200 pictures")
    parser.add_argument("--output", default="", help="JSON file of the results")
    parser.add_argument("row", nargs="?", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.row:
        way, place, batch, epochs = json.loads(given.row)
        print(json.dumps(measure(way, Path(place), batch, epochs)))
        return
    if given.short:
        given.counts, given.rounds, given.epochs = "200", 1, 3
    results = {}
    table = Table(
        "pictures a domain",
        "way",
        "first epoch",
        "later ones",
        "own memory MB",
        "mapped MB",
        title="pictures/s",
    )
    for count in map(int, given.counts.split(",")):
        with tempfile.TemporaryDirectory() as name:
            for seed, domain in enumerate("AB"):
                cut_tiles(
                    Path(name) / "pictures" / f"train{domain}", count, _STORED, _STORED, seed=seed
                )
            words = [
                "-m",
                "data_prep.folders",
                f"--input_dir={name}/pictures",
                f"--output_dir={name}/data",
            ]
            Command([sys.executable, *words]).finish()
            rounds: list[dict[str, Any]] = [{} for _ in range(given.rounds)]
            plan = [(each, way) for each in rounds for way in (STORED, STREAMED, ALONE, WORKERS)]
            for each, way in track(plan, total=len(plan), unit="run", label=f"{count} pictures"):
                each[way] = run_apart(
                    "benchmarks.input_pipeline", [way, name, given.batch, given.epochs]
                )
        results[count] = compare(rounds) | {"rounds": rounds}
        for way, row in results[count]["rows"].items():
            speeds = f"{row['first']:.0f}", f"{row['later']:.0f}"
            table.add_row(
                str(count),
                way,
                *speeds,
                f"{row['own_bytes'] / 1e6:.0f}",
                f"{row['file_bytes'] / 1e6:.0f}",
            )
        for way, goals in GOALS.items():
            marks = [
                f"{ratio:.2f} x ({'reached' if ratio >= goals[part] else 'MISSED'}: {goals[part]})"
                for part, ratio in results[count]["ratios"][way].items()
            ]
            table.add_row("", f"{way}, to the better DataLoader", *marks)
        table.add_section()
    Console(width=130).print(table)
    keep(results, given, PACKAGES)


if __name__ == "__main__":
    main()
