"""How much faster do two workers with one core each train than one worker with one core? Measured
with the ordinary command.

    python -m data_prep.satellite_map --output_dir=data/satellite2map --tile_size=192 \
        --output_size=144
    python -m benchmarks.workers --data_dir=data/satellite2map --output=workers.json

Weak scaling: each worker has one picture of each domain per step, so that two workers see twice as
many. In a round each of these runs:

    one worker     on one core, the other core idle
    apart          two such trainings at once, independent of each other, on one core each: the best
                   that the machine can do
    two workers    on one core each, over loopback

Efficiency is the images/s of two workers divided by twice those of one; the share of "apart" is
what remains after the exchange of gradients. Images/s are the median over the lines of a run's
history except the first, which includes tracing the step.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.hardware import machine
from tfcyclegan.system import files
from tfcyclegan.system.progress import track

ONE, APART, TWO = "one worker", "apart", "two workers"
_SECONDS = 600


def _start(
    arguments: argparse.Namespace, run_dir: Path, core: int, addresses: list[str], index: int
) -> subprocess.Popen[str]:
    flags = {
        "data_dir": arguments.data_dir,
        "run_dir": run_dir,
        "batch_size": max(1, len(addresses)),
        "max_steps": arguments.steps,
        "log_every_steps": arguments.steps // 6,
        "load_size": arguments.size * 9 // 8,
        "crop_size": arguments.size,
        "residual_blocks": arguments.blocks,
        "base_filters": arguments.width,
        "discriminator_filters": arguments.width,
        "precision": arguments.precision,
        "checkpoint_every_steps": 10**6,
        "sample_every_steps": 10**6,
        "eval_every_epochs": 0,
    }
    command = [
        sys.executable,
        "-m",
        "tfcyclegan.cli",
        "train",
        *(f"--{name}={value}" for name, value in flags.items()),
    ]
    cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    environment = {**os.environ, "TF_CONFIG": json.dumps(cluster) if addresses else ""}
    pinned = ["taskset", "--cpu-list", str(core), *command]
    return subprocess.Popen(
        pinned, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _free_addresses(count: int) -> list[str]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in taken]
    for each in taken:
        each.close()
    return addresses


def _images_per_second(run_dir: Path) -> float:
    lines = [json.loads(line) for line in (run_dir / "history.jsonl").read_text().splitlines()]
    return statistics.median(line["images_per_second"] for line in lines[1:])


def run_once(arguments: argparse.Namespace, kind: str, place: Path) -> float:
    """Images/s of all processes that `kind` runs together."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    addresses = _free_addresses(2) if kind == TWO else []
    run_dirs = {
        ONE: [place / "a"],
        APART: [place / "a", place / "b"],
        TWO: [place / "a", place / "a"],
    }[kind]
    started = [
        _start(arguments, run_dir, core, addresses, index)
        for index, (run_dir, core) in enumerate(zip(run_dirs, cores, strict=False))
    ]
    try:
        for process in started:
            _, errors = process.communicate(timeout=_SECONDS)
            if process.returncode:
                raise SystemExit(f"{kind}: a training failed: {errors[-2000:]}")
    finally:
        for process in started:
            process.kill()
    return sum(_images_per_second(run_dir) for run_dir in dict.fromkeys(run_dirs))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", required=True, help="prepared pictures")
    parser.add_argument("--size", type=int, default=128, help="side of the crops in pixels")
    parser.add_argument("--width", type=int, default=32, help="filters of the first convolutions")
    parser.add_argument("--blocks", type=int, default=3, help="residual blocks")
    parser.add_argument(
        "--steps",
        type=int,
        default=30,
        help="steps of a run; each line of its history covers a sixth of them",
    )
    parser.add_argument("--precision", default="float32", help="precision of the networks")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind")
    parser.add_argument("--output", default="", help="JSON file of all figures")
    arguments = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("benchmarks.workers: needs two cores")

    about, speeds = machine(("tensorflow", "keras")), {kind: [] for kind in (ONE, APART, TWO)}
    jobs = [kind for _ in range(arguments.rounds) for kind in speeds]
    for kind in track(jobs, total=len(jobs), unit="run", label="workers"):
        with tempfile.TemporaryDirectory() as place:
            speeds[kind].append(run_once(arguments, kind, Path(place)))
    ratios = {
        kind: [b / a for a, b in zip(speeds[ONE], speeds[kind], strict=True)] for kind in speeds
    }
    efficiency = statistics.median(ratio / 2 for ratio in ratios[TWO])
    of_apart = statistics.median(
        two / apart for two, apart in zip(speeds[TWO], speeds[APART], strict=True)
    )

    table = Table(
        title=(
            f"{arguments.size} px, width {arguments.width}, {arguments.blocks} blocks, "
            f"{arguments.precision}; {about['cpu']}"
        )
    )
    for heading in ("", "images/s", "times one worker", "range over rounds"):
        table.add_column(heading, justify="right" if heading else "left")
    for kind, values in speeds.items():
        spread = f"{min(ratios[kind]):.2f} to {max(ratios[kind]):.2f}"
        table.add_row(
            kind,
            f"{statistics.median(values):.2f}",
            f"{statistics.median(ratios[kind]):.2f}",
            spread,
        )
    Console().print(table)
    print(
        f"efficiency of two workers {efficiency:.2f}; of what the machine gives two trainings "
        f"apart {of_apart:.2f}"
    )
    if arguments.output:
        figures = {
            "machine": about,
            "settings": vars(arguments),
            "images_per_second": speeds,
            "efficiency": efficiency,
            "of_apart": of_apart,
        }
        files.write_json(Path(arguments.output), figures)


if __name__ == "__main__":
    main()
