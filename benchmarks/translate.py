"""How much of the generator's own speed remains when `tfcyclegan translate` reads, translates and
writes a folder of pictures?

    python -m benchmarks.translate --output=translate.json

In a round the same pictures, JPEG tiles of NASA's Blue Marble, go through the generator alone (from
arrays in memory, one after another, and two at once like the command), through a plain loop (read,
decode, translate, encode, write) and through the command's own function, in random order. A ratio
is the median over rounds of the pictures per second divided by those of the generator alone in the
same round. Weights are random.

    python -m benchmarks.translate --sizes

instead measures the cost of many sizes: in separate, alternating processes, a folder of 120 sizes
and one with the same number of pixels in pictures of one size; the goals are 1.3 times its time and
1.15 times its peak of memory.
"""

import argparse
import contextlib
import functools
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.hardware import keep
from benchmarks.pictures import cut_tiles
from tfcyclegan.config import Size
from tfcyclegan.data import images, intake
from tfcyclegan.data.picture_folders import MAX_PIXELS
from tfcyclegan.networks import make_generator
from tfcyclegan.system import files
from tfcyclegan.system.parallel import in_order
from tfcyclegan.system.progress import track
from tfcyclegan.translation.translators import Translator, as_function, translate_path

PACKAGES = ("tensorflow", "keras", "numpy", "pillow")
ALONE, AT_ONCE, LOOP, COMMAND = (
    "generator alone",
    "generator, two at once",
    "plain loop",
    "translate",
)
CASES = {  # pictures, side, residual blocks, filters
    "256x256, 9 blocks, 64 filters": (8, 256, 9, 64),
    "128x128, 3 blocks, 16 filters": (160, 128, 3, 16),
}
GOAL = 0.9
SIZES = [(128 + index, 307 - index) for index in range(120)]  # height, width
MANY, ONE = "120 sizes", "one size"


def plain_loop(translator: Translator, folder: Path, output: Path) -> None:
    for path in sorted(folder.iterdir()):
        image = intake.decode(path.read_bytes(), max_pixels=MAX_PIXELS).image
        files.write_bytes(
            output / f"{path.stem}.png", images.encode_png(translator(images.to_array(image)))
        )


def measure(case: tuple[int, int, int, int], rounds: int, place: Path) -> dict[str, Any]:
    """Pictures per second of each way and round, and their ratios to the generator alone."""
    count, side, blocks, filters = case
    folder, output = place / f"in{side}", place / "out"
    cut_tiles(folder, count, side, side)
    generator = make_generator(
        f"resnet_{blocks}blocks", base_filters=filters, init="kaiming", init_gain=1.0, seed=0
    )
    translator = Translator(
        {}, 3, generator.size_multiple, as_function(generator, size=Size(side, side))
    )
    arrays = [
        images.to_float(images.to_array(Image.open(path)))[np.newaxis]
        for path in sorted(folder.iterdir())
    ]
    translator.function(arrays[0])

    def alone() -> None:
        for array in arrays:
            translator.function(array)

    def at_once() -> None:
        with ThreadPoolExecutor(2) as pool:
            for _ in in_order(pool, translator.function, arrays, ahead=2):
                pass

    ways: dict[str, Callable[[], None]] = {
        ALONE: alone,
        AT_ONCE: at_once,
        LOOP: functools.partial(plain_loop, translator, folder, output),
        COMMAND: functools.partial(translate_path, [translator], folder, output),
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    order = np.random.default_rng(0)
    for _ in track(range(rounds), total=rounds, unit="round", label=f"{side}x{side}"):
        for name in order.permutation(list(ways)):
            shutil.rmtree(output, ignore_errors=True)
            started = time.perf_counter()
            ways[name]()
            speeds[name].append(count / (time.perf_counter() - started))
    ratios = {
        name: float(np.median(np.array(values) / np.array(speeds[ALONE])))
        for name, values in speeds.items()
    }
    return {"pictures_per_second": speeds, "ratios": ratios}


def write_noise(folder: Path, sizes: Sequence[tuple[int, int]]) -> None:
    folder.mkdir()
    random = np.random.default_rng(0)
    for index, (height, width) in enumerate(sizes):
        files.write_bytes(
            folder / f"{index:03}.png",
            images.encode_png(random.integers(0, 256, (height, width, 3)).astype(np.uint8)),
        )


def translate_folder(folder: Path) -> None:
    """For a separate process: translates into a sibling folder and prints the seconds and the peak
    of memory in MB.
    """
    generator = make_generator(
        "resnet_3blocks", base_filters=16, init="kaiming", init_gain=1.0, seed=0
    )
    started = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        translate_path(
            [Translator({}, 3, generator.size_multiple, as_function(generator))],
            folder,
            folder.with_name("out"),
        )
    print(
        json.dumps(
            [
                time.perf_counter() - started,
                resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            ]
        )
    )


def measure_sizes(rounds: int) -> dict[str, list[list[float]]]:
    """[seconds, MB] of each round, for both folders."""
    side = round(np.sqrt(np.mean([height * width for height, width in SIZES])) / 4) * 4
    found: dict[str, list[list[float]]] = {ONE: [], MANY: []}
    with tempfile.TemporaryDirectory() as name:
        for case, sizes in ((ONE, [(side, side)] * len(SIZES)), (MANY, SIZES)):
            write_noise(Path(name) / case, sizes)
        for _ in track(range(rounds), total=rounds, unit="round", label="sizes"):
            for case, values in found.items():
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.translate",
                    f"--folder={Path(name) / case}",
                ]
                values.append(
                    json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                )
                shutil.rmtree(Path(name) / "out")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="runs of each way")
    parser.add_argument("--output", default="", help="JSON file of the results")
    parser.add_argument("--sizes", action="store_true", help="measure the cost of many sizes")
    parser.add_argument(
        "--folder", type=Path, help="translate a folder and print the cost; for --sizes"
    )
    given = parser.parse_args()
    if given.folder:
        translate_folder(given.folder)
        return
    if given.sizes:
        results = measure_sizes(given.rounds)
        one, many = (np.median(results[case], axis=0) for case in (ONE, MANY))
        print(
            f"{MANY}: {many[0]:.1f} s and {many[1]:.0f} MB, {ONE}: {one[0]:.1f} s and "
            f"{one[1]:.0f} MB; ratios {many / one}"
        )
        keep(results, given, PACKAGES)
        return
    with tempfile.TemporaryDirectory() as name:
        results = {
            case: measure(numbers, given.rounds, Path(name)) for case, numbers in CASES.items()
        }
    table = Table(
        "pictures and generator",
        "way",
        "pictures/s, median",
        "ratio to the generator alone",
        "goal",
    )
    for case, result in results.items():
        for way, ratio in result["ratios"].items():
            goal = f"{'reached' if ratio >= GOAL else 'MISSED'}: {GOAL}" if way == COMMAND else ""
            table.add_row(
                case,
                way,
                f"{np.median(result['pictures_per_second'][way]):.2f}",
                f"{ratio:.3f}",
                goal,
            )
    Console(width=130).print(table)
    keep(results, given, PACKAGES)


if __name__ == "__main__":
    main()
