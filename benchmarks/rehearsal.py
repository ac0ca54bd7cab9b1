"""What do the commands for GTA5 -> Cityscapes take, on frames of the real shapes?

    python -m benchmarks.rehearsal --directory=DIR --output=rehearsal.json

Goes through `configs/gta2city.cfg` as its user does: prepare both data sets, train, be killed after
a checkpoint, continue by the same command, translate a split, evaluate and export. Frames are
synthetic: scenes of `data_prep.toy_street` at 1914x1052 and 2048x1024, repeated with another shift,
side and noise, so that files have about the sizes of real ones; labels are shifted alike. Each part
is a separate process. Finished parts are kept in DIR: after any interruption the same command
continues. The last columns estimate a part for all frames of the real data sets, in proportion to
the frames; for training, see the configuration.
"""

import argparse
import functools
import itertools
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.hardware import keep
from benchmarks.processes import Command
from data_prep import toy_street
from data_prep.gta5 import PUBLISHED
from tfcyclegan.config import Size
from tfcyclegan.system import files
from tfcyclegan.system.progress import log, track

PACKAGES = ("tensorflow", "numpy", "pillow")
CONFIG = Path(__file__).parents[1] / "configs" / "gta2city.cfg"
GTA5, CITYSCAPES = Size(1052, 1914), Size(1024, 2048)
CITYSCAPES_FRAMES = {"train": 2975, "val": 500}
KILLED = "train until it is killed"
_SCENES = 24
_NOISE = 3.0  # of a camera, in levels; without noise the files would be far too small
_SECONDS_TO_KILL = 5
_TINY = ["--load_size=32x64", "--crop_size=32x64", "--generator=resnet_6blocks", "--base_filters=8"]


@dataclass(frozen=True)
class Part:
    """A command of the rehearsal.

    Attributes:
        name: its name in the table.
        words: the command.
        made: the directory that it makes.
        frames: number of frames that it reads; 0 if its time does not depend on them.
        all_frames: number of frames that it would read of the real data sets.
    """

    name: str
    words: list[str]
    made: Path
    frames: int = 0
    all_frames: int = 0


def _shifted(number: int, source: Path, target: Path, *, noisy: bool) -> None:
    """Writes the picture `source`, moved sideways and perhaps mirrored, with a camera's noise."""
    draw = np.random.default_rng(number)
    shift, mirrored = draw.integers(2048), draw.integers(2)
    with Image.open(source) as image:
        palette, pixels = image.getpalette(), np.asarray(image)
    pixels = np.roll(pixels, shift, axis=1)[:, :: -1 if mirrored else 1]
    if noisy:
        noise = _noise(pixels.shape)
        pixels = (pixels + np.roll(noise, shift, axis=(0, 1))).clip(0, 255).astype(np.uint8)
    made = Image.fromarray(np.ascontiguousarray(pixels))
    if palette and made.mode == "L":
        made.putpalette(palette)
    with files.atomic_file(target) as file:
        made.save(file, "png", compress_level=1)


@functools.cache
def _noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).normal(0, _NOISE, shape).round().astype(np.int16)


def _repeat(jobs: list[tuple[int, Path, Path, bool]], label: str) -> None:
    with ProcessPoolExecutor() as pool:
        waiting = [
            pool.submit(_shifted, number, source, target, noisy=noisy)
            for number, source, target, noisy in jobs
            if not target.exists()
        ]
        for each in track(waiting, total=len(waiting), unit="picture", label=label):
            each.result()


def draw(directory: Path, scale: int, train: int, test: int) -> None:
    """Writes the frames of both data sets, at 1/scale of their size, into `directory`."""
    jobs: list[tuple[int, Path, Path, bool]] = []
    for name, size in (("gta5", GTA5), ("cityscapes", CITYSCAPES)):
        drawn = directory / f"drawn_{name}"
        toy_street.run(
            toy_street.Config(
                output_dir=str(drawn),
                train_scenes=_SCENES,
                test_scenes=_SCENES,
                size=Size(size.height // scale, size.width // scale),
            )
        )
        add = _gta5_jobs if name == "gta5" else _cityscapes_jobs
        jobs += add(drawn / name, directory / name, train, test)
    for folder in {target.parent for _, _, target, _ in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(
        directory / "gta5" / "split.mat",
        {
            "trainIds": np.arange(1, train + 1)[:, np.newaxis],
            "valIds": np.zeros((0, 1)),
            "testIds": np.arange(train + 1, train + test + 1)[:, np.newaxis],
        },
    )
    _repeat(jobs, "drawing frames")


def _gta5_jobs(drawn: Path, made: Path, train: int, test: int) -> list[Any]:
    scenes = itertools.cycle(sorted(path.name for path in (drawn / "images").iterdir()))
    return [
        (number, drawn / folder / scene, made / folder / f"{number:05d}.png", folder == "images")
        for number, scene in zip(range(1, train + test + 1), scenes, strict=False)
        for folder in ("images", "labels")
    ]


def _cityscapes_jobs(drawn: Path, made: Path, train: int, test: int) -> list[Any]:
    jobs = []
    for split, count in (("train", train), ("val", test)):
        town = drawn / "leftImg8bit" / split / "toytown"
        keys = sorted(path.name.removesuffix("_leftImg8bit.png") for path in town.iterdir())
        for number, key in zip(range(count), itertools.cycle(keys), strict=False):
            for folder, ending in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds")):
                place = f"{folder}/{split}/toytown"
                name = f"toytown_000000_{number:06d}_{ending}.png"
                source = drawn / place / f"{key}_{ending}.png"
                jobs.append((number, source, made / place / name, folder == "leftImg8bit"))
    return jobs


def parts(directory: Path, given: argparse.Namespace) -> list[Part]:
    """All commands in their order, but for the training, which is killed in between."""
    run, data = directory / "run", directory / "data"
    size = "--size=32x64" if given.short else "--size=256x512"
    both = given.frames + given.test_frames

    def prepare(name: str, all_frames: int, *flags: str) -> Part:
        words = [sys.executable, "-m", f"data_prep.{name}", size, *flags]
        words += [f"--input_dir={directory / name}", f"--output_dir={data / name}"]
        return Part(f"prepare {name}", words, data / name, both, all_frames)

    def command(name: str, *flags: str) -> list[str]:
        return [sys.executable, "-m", "tfcyclegan.cli", name, *flags]

    every = _every(given.steps)
    train = command(
        "train",
        f"--flagfile={CONFIG}",
        f"--data_dir={data}/gta5,{data}/cityscapes",
        f"--run_dir={run}",
        f"--max_steps={given.steps}",
        f"--log_every_steps={max(1, given.steps // 20)}",
        *[f"--{what}_every_steps={every}" for what in ("checkpoint", "sample", "eval")],
        *(_TINY if given.short else ()),
    )
    split = (f"--run_dir={run}", f"--data_dir={data}/gta5,{data}/cityscapes")
    return [
        prepare("gta5", PUBLISHED["frames"]),
        prepare("cityscapes", sum(CITYSCAPES_FRAMES.values()), "--content=photos_and_labels"),
        Part(KILLED, train, run),
        Part("train, continued", train, run),
        Part(
            "translate the test split",
            command("translate", *split, "--split=test", f"--output={directory}/translated"),
            directory / "translated",
            given.test_frames,
            PUBLISHED["test"],
        ),
        Part(
            "evaluate",
            command("evaluate", *split, "--features=none", f"--output={directory}/scores"),
            directory / "scores",
            given.test_frames,
            PUBLISHED["test"],
        ),
        Part(
            "export",
            command("export", f"--run_dir={run}", f"--output={directory}/model"),
            directory / "model",
        ),
    ]


def _every(steps: int) -> int:
    """Steps between checkpoints, strips and measurements."""
    return max(1, steps // 4)


def _bytes_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _until_killed(part: Part, first: int) -> dict[str, Any]:
    """Runs a training, and kills it soon after its checkpoint of the step `first`."""
    started = time.perf_counter()
    command = Command(part.words)
    while not (part.made / "checkpoints" / f"step-{first}.index").exists():
        if not command.runs():
            command.finish()
            raise SystemExit(f"{part.name}: it ended before its first checkpoint")
        time.sleep(0.2)
    time.sleep(_SECONDS_TO_KILL)
    return {"seconds": time.perf_counter() - started, "peak_bytes": command.kill()}


def _finished(part: Part) -> dict[str, Any]:
    done = Command(part.words).finish()
    return {
        "seconds": done.seconds,
        "processor_seconds": done.processor_seconds,
        "peak_bytes": done.peak_bytes,
        "output": done.output[-2000:],
    }


def _seconds_a_step(run: Path) -> float:
    """The median by the run's history; batches have one picture."""
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return 1 / float(np.median([line["images_per_second"] for line in lines]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", required=True, help="for frames, data and the run; 20 GB")
    parser.add_argument("--frames", type=int, default=2000, help="training frames a domain")
    parser.add_argument("--test_frames", type=int, default=200, help="test frames a domain")
    parser.add_argument("--steps", type=int, default=200, help="training steps")
    parser.add_argument("--short", action="store_true", help="tiny frames and networks")
    parser.add_argument("--output", default="", help="JSON file of the results")
    given = parser.parse_args()
    if given.short:
        given.frames, given.test_frames, given.steps = 12, 6, 8
    directory = Path(given.directory).absolute()
    kept = directory / "parts.json"
    settings = [given.frames, given.test_frames, given.steps, given.short]
    before = files.read_json(kept) if kept.exists() else {"settings": settings, "parts": {}}
    if before["settings"] != settings:
        raise SystemExit(f"--directory={directory}: holds a rehearsal by other flags; give another")
    results: dict[str, dict[str, Any]] = before["parts"]
    if not results:
        draw(directory, 8 if given.short else 1, given.frames, given.test_frames)
    for part in parts(directory, given):
        if part.name in results:
            continue
        log(f"{part.name}: {' '.join(part.words)}")
        runs: Callable[[Part], dict[str, Any]] = _finished
        if part.name == KILLED:
            runs = functools.partial(_until_killed, first=_every(given.steps))
        results[part.name] = runs(part) | {"made_bytes": _bytes_of(part.made)}
        if part.made.name == "run":
            results[part.name]["seconds_a_step"] = _seconds_a_step(part.made)
        files.write_json(kept, {"settings": settings, "parts": results})
    _show(parts(directory, given), results)
    keep(results, given, PACKAGES)


def _show(all_parts: list[Part], results: dict[str, dict[str, Any]]) -> None:
    table = Table("part", "frames", "min", "peak GB", "made, GB", "all frames", "hours", "GB")
    for part in all_parts:
        found = results[part.name]
        estimate = ["", "", ""]
        if part.frames:
            times = part.all_frames / part.frames
            hours, made = found["seconds"] * times / 3600, found["made_bytes"] * times / 1e9
            estimate = [str(part.all_frames), f"{hours:.2f}", f"{made:.1f}"]
        table.add_row(
            part.name,
            str(part.frames or ""),
            f"{found['seconds'] / 60:.1f}",
            f"{found['peak_bytes'] / 1e9:.2f}",
            f"{found['made_bytes'] / 1e9:.3f}",
            *estimate,
        )
        if "seconds_a_step" in found:
            log(f"{part.name}: {found['seconds_a_step']:.2f} s a step")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
