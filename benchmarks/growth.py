"""How do time and memory of a training step grow with pixels, batch, width and replicas?

    python -m benchmarks.growth --output=growth.json --plots=docs/images

Our program with its defaults, and PyTorch under bfloat16 autocast, each row in a separate process.
Each line of a plot varies one quantity with all others fixed; the dotted line is proportional to
the counted operations and passes through our largest value.
"""

import argparse
import dataclasses
import functools
import statistics
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import training_programs as programs
from benchmarks.floating_operations import step_operations
from benchmarks.hardware import keep
from benchmarks.training_programs import Job
from tfcyclegan.system.progress import track

PACKAGES = ("tensorflow", "keras", "torch", "numpy")
_BASE = Job(programs.OURS, height=128, width=128, batch=1, blocks=6, filters=64, steps=2)
# What grows, and its values; replicas are logical CPUs, of the same two cores here, and share a
# batch of 2.
SERIES: dict[str, list[dict[str, int]]] = {
    "pixels": [{"height": side, "width": side} for side in (64, 128, 192, 256)],
    "batch": [{"batch": batch} for batch in (1, 2, 4)],
    "width": [{"filters": filters} for filters in (16, 32, 64)],
    "replicas": [{"batch": 2, "devices": devices} for devices in (1, 2)],
}
SHORT = {
    "pixels": [{"height": side, "width": side, "filters": 8, "blocks": 1} for side in (64, 128)]
}
_BESIDE_PYTORCH = ("pixels", "batch")
_NAMES = {
    "pixels": "pixels of a picture",
    "batch": "batch",
    "width": "filters of the first convolution",
    "replicas": "replicas",
}


def value(series: str, job: Job) -> int:
    """The position of `job` on the axis of `series`."""
    return {
        "pixels": job.height * job.width,
        "batch": job.batch,
        "width": job.filters,
        "replicas": job.devices,
    }[series]


def draw(series: str, rows: list[dict[str, Any]], path: Path) -> None:
    """Plots the series: seconds on logarithmic axes, and the peak of memory."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "tfcyclegan"
    from matplotlib import pyplot, ticker

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axis, key, name, scale in zip(
        axes,
        ("seconds", "peak_bytes"),
        ("seconds a step", "peak memory, GB"),
        (1, 1e9),
        strict=True,
    ):
        for program in dict.fromkeys(row["program"] for row in rows):
            own = [row for row in rows if row["program"] == program]
            axis.plot(
                [row["value"] for row in own],
                [row[key] / scale for row in own],
                "o-",
                label=program,
            )
        if key == "seconds":
            own = [row for row in rows if row["program"] == programs.OURS]
            factor = own[-1]["seconds"] / own[-1]["operations"]
            axis.plot(
                [row["value"] for row in own],
                [row["operations"] * factor for row in own],
                ":",
                color="grey",
                label="operations",
            )
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.yaxis.set_major_formatter("{x:g}")
        else:
            axis.set_ylim(bottom=0)
        axis.set_xscale("log")
        ticks = sorted({row["value"] for row in rows})
        axis.set_xticks(
            ticks, [f"{tick:,}" if series != "pixels" else f"{round(tick**0.5)}²" for tick in ticks]
        )
        axis.minorticks_off()
        axis.set_xlabel(_NAMES[series])
        axis.set_title(name)
        axis.grid(True, which="both", alpha=0.3)
    axes[0].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--series", default=",".join(SERIES), help="series to run, separated by commas"
    )
    parser.add_argument(
        "--launcher",
        default="",
        help="words before each program's command, such as taskset or numactl",
    )
    parser.add_argument("--short", action="store_true", help="only two small sizes")
    parser.add_argument("--plots", default="", help="folder for an SVG of each series")
    parser.add_argument("--output", default="", help="JSON file of the results")
    given = parser.parse_args()
    plan = [
        (series, dataclasses.replace(_BASE, program=program, **changes))
        for series, values in (
            SHORT if given.short else {name: SERIES[name] for name in given.series.split(",")}
        ).items()
        for changes in values
        for program in (
            (programs.OURS, programs.TORCH_BF16) if series in _BESIDE_PYTORCH else (programs.OURS,)
        )
    ]
    results: dict[str, list[dict[str, Any]]] = {}
    # series meet in the same job
    measured = functools.cache(lambda job: programs.run(job, given.launcher))
    for series, job in track(plan, total=len(plan), unit="row", label="measuring"):
        found = measured(job)
        row = {
            "program": job.program,
            "value": value(series, job),
            "seconds": statistics.median(found["seconds"]),
        }
        row["operations"] = step_operations(
            job.height, job.width, job.batch, job.blocks, job.filters
        )
        results.setdefault(series, []).append(
            row | {"peak_bytes": found["peak_bytes"], "job": dataclasses.asdict(job)}
        )
    table = Table(
        "what grows",
        "",
        "program",
        "s a step",
        "TFLOP",
        "GFLOP/s",
        "peak GB",
        title="6 blocks, 64 filters, 128x128, batch 1, but for",
    )
    for series, rows in results.items():
        for row in rows:
            rate = row["operations"] / row["seconds"] / 1e9
            numbers = (
                f"{row['seconds']:.2f}",
                f"{row['operations'] / 1e12:.3f}",
                f"{rate:.0f}",
                f"{row['peak_bytes'] / 1e9:.2f}",
            )
            table.add_row(_NAMES[series], str(row["value"]), row["program"], *numbers)
        if given.plots:
            draw(series, rows, Path(given.plots) / f"growth_{series}.svg")
    Console(width=130).print(table)
    keep(results, given, PACKAGES)


if __name__ == "__main__":
    main()
