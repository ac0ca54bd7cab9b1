"""How long does a training step take, and how much memory: ours, PyTorch's with the same
mathematics, and that of Keras tutorials?

    pip install 'tfcyclegan[bench]'
    python -m benchmarks.train_step --output=train_step.json
    python -m benchmarks.train_step --size=180x360 --batch=2
    python -m benchmarks.train_step --method=fastcut --rows=1,2,3,4,10

Each row is a separate process with its own peak of memory and start; in a round each runs once, and
the ratios are medians over rounds of ratios within a round. "As it comes" uses the precision that
`tfcyclegan train` chooses on this machine. The floor is the time that the step's convolutions
(counted, see floating_operations.py) would take at the best rate of matrix products that TensorFlow
or PyTorch reached in this run, in the row's own precision. The start is the time from the command
to the first step's end less the time of a step. Before that, PyTorch's step and ours are compared.
On a busy machine use --cpu_seconds with --launcher='taskset -c 0', which measures a step's CPU time
on one core, whatever other load there is.
"""

import argparse
import dataclasses
import statistics
import subprocess
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import training_programs as programs
from benchmarks.floating_operations import step_operations
from benchmarks.hardware import keep
from benchmarks.training_programs import Job
from tfcyclegan.config import Size
from tfcyclegan.system import tensorflow_setup
from tfcyclegan.system.progress import log, track

PACKAGES = ("tensorflow", "keras", "torch", "numpy")
OPTIONAL = (
    programs.TORCH_LAST,
    programs.TORCH_BF16_LAST,
    programs.OURS_REMAT,
    programs.OURS_XLA,
    programs.CYCLEGAN,
    programs.OURS_PLAIN,
)
_REFERENCES = {
    "pytorch_float32": programs.TORCH,
    "pytorch_bf16": programs.TORCH_BF16,
    "cyclegan": programs.CYCLEGAN,
}
_OF_CYCLEGAN = (programs.KERAS, programs.TORCH_LAST, programs.TORCH_BF16_LAST, programs.OURS_XLA)
ROWS = (
    programs.COMMAND,
    programs.OURS,
    programs.OURS_FLOAT32,
    programs.TORCH,
    programs.TORCH_BF16,
    programs.KERAS,
)
_CHECKED = 32  # side of the pictures of `check`
# as noted -> of the peak
_KINDS = {"float32": "float32", "mixed_bfloat16": "bfloat16", "bf16": "bfloat16"}


def check(method: str = "cyclegan") -> float:
    """The largest relative difference of losses between PyTorch's step and ours in float64, over 3
    steps from the same weights.
    """
    tensorflow_setup.import_tensorflow()
    import numpy as np
    import tensorflow as tf

    from tfcyclegan.interop.official import save_state_dict
    from tfcyclegan.optimization.adam import Adam
    from tfcyclegan.optimization.schedules import EpochRates

    ours, theirs = (_pair if method == "cyclegan" else _one_way_pair)(method)
    theirs.load({name: save_state_dict(network) for name, network in ours.networks.items()})
    # a plain number becomes a float32
    ours.compile(*(Adam(EpochRates([2e-4], epoch_images=1, batch_size=1)) for _ in range(2)))
    ours.make_pools((_CHECKED, _CHECKED, 3), (_CHECKED, _CHECKED, 3))
    step, random, worst = (
        tf.function(ours.train_step, autograph=False),
        np.random.default_rng(0),
        0.0,
    )
    for _ in range(3):
        batch = [random.uniform(-1, 1, (1, _CHECKED, _CHECKED, 3)) for _ in range(2)]
        reference = theirs.step(*(theirs.batch(images) for images in batch))
        values = step(tuple(tf.constant(images) for images in batch))
        for name, loss in reference.items():
            worst = max(worst, abs(float(values[name]) / float(loss) - 1))
    return worst


def _pair(method: str) -> tuple[Any, Any]:
    """Small CycleGANs, ours in float64 and PyTorch's."""
    from benchmarks.torch_reference import NETWORKS, TorchCycleGAN
    from tfcyclegan.methods.cyclegan import CycleGAN
    from tfcyclegan.networks import Discriminator, make_generator

    made = [
        make_generator("resnet_2blocks", base_filters=8, seed=seed, dtype="float64")
        for seed in range(2)
    ]
    made += [Discriminator(base_filters=8, seed=seed, dtype="float64") for seed in range(2)]
    return CycleGAN(**dict(zip(NETWORKS, made, strict=True))), TorchCycleGAN(2, 8)


def _one_way_pair(method: str) -> tuple[Any, Any]:
    """Small models of CUT or FastCUT, ours in float64 and PyTorch's, with all positions of each
    feature map, so that the order in which they are drawn does not matter, and a fixed coin.
    """
    from benchmarks.torch_one_way import OPTIONS, TorchCUT
    from tfcyclegan.methods.factory import build_model

    layers = (0, 4, 8, 12, 13)
    config = programs.train_config(
        Job("", _CHECKED, _CHECKED, blocks=2, filters=8),
        method=method,
        init_gain=1.0,  # by which losses are of the order of 1
        num_patches=_CHECKED**2 * 2,
        nce_layers=",".join(map(str, layers)),
    )
    ours = build_model(config, "float64")
    theirs = TorchCUT(2, 8, **OPTIONS[method], nce_layers=layers, num_patches=config.num_patches)
    theirs.is_mirrored = lambda: bool(ours.is_mirrored())
    return ours, theirs


def compare(rounds: list[dict[str, dict[str, Any]]], given: argparse.Namespace) -> dict[str, Any]:
    """Medians over `rounds`, each {program: result of `training_programs.measure`}."""
    peaks = {
        kind: max(
            row["operations_per_second"][kind]
            for each in rounds
            for name, row in each.items()
            if name in programs.PEAKS
        )
        for kind in ("float32", "bfloat16")
    }
    sizes = (given.size.height, given.size.width, given.batch, given.blocks, given.filters)
    operations = step_operations(*sizes) if given.method == "cyclegan" else None
    clock = "cpu_seconds" if given.cpu_seconds else "seconds"
    rows = {}
    for name in given.rows:
        runs = [each[name] for each in rounds if name in each]
        if not runs:
            continue
        seconds = statistics.median(second for row in runs for second in row[clock])
        row = {
            "precision": runs[0]["note"],
            "seconds": seconds,
            "seconds_by_round": [row[clock] for row in runs],
            "times_floor": operations and seconds * peaks[_KINDS[runs[0]["note"]]] / operations,
            "start_seconds": statistics.median(row["start_seconds"] for row in runs),
            "peak_bytes": statistics.median(row["peak_bytes"] for row in runs),
            "imported_bytes": runs[0]["imported_bytes"],
        }
        for label, reference in _REFERENCES.items():
            pairs = [
                (each[name], each[reference])
                for each in rounds
                if name in each and reference in each
            ]
            if pairs:
                times = [
                    statistics.median(a[clock]) / statistics.median(b[clock]) for a, b in pairs
                ]
                row[f"time_to_{label}"] = statistics.median(times)
                row[f"peak_to_{label}"] = statistics.median(
                    a["peak_bytes"] / b["peak_bytes"] for a, b in pairs
                )
                if row["imported_bytes"]:
                    row[f"own_peak_to_{label}"] = statistics.median(
                        (a["peak_bytes"] - a["imported_bytes"])
                        / (b["peak_bytes"] - b["imported_bytes"])
                        for a, b in pairs
                    )
        rows[name] = row
    return {"operations": operations, "peak_operations_per_second": peaks, "rows": rows}


def show(results: dict[str, Any], given: argparse.Namespace) -> None:
    columns = (
        "program",
        "precision",
        "CPU s" if given.cpu_seconds else "s",
        "to PyTorch fp32",
        "bf16",
        "our CycleGAN",
        "x floor",
        "peak GB",
        "less imports",
        "to fp32",
        "to bf16",
        "to CycleGAN's less imports",
        "start s",
    )
    title = (
        f"{given.method}, {given.size.height}x{given.size.width}, batch {given.batch}, "
        f"{given.blocks} blocks, {given.filters} filters"
    )
    table = Table(*columns, title=title)
    for name, row in results["rows"].items():
        own = (
            f"{(row['peak_bytes'] - row['imported_bytes']) / 1e9:.2f}"
            if row["imported_bytes"]
            else ""
        )
        table.add_row(
            name,
            row["precision"],
            f"{row['seconds']:.2f}",
            *(
                f"{row[key]:.2f}" if key in row else ""
                for key in (f"time_to_{label}" for label in _REFERENCES)
            ),
            f"{row['times_floor']:.2f}" if row["times_floor"] else "",
            f"{row['peak_bytes'] / 1e9:.2f}",
            own,
            *(
                f"{row[key]:.2f}" if key in row else ""
                for key in (
                    "peak_to_pytorch_float32",
                    "peak_to_pytorch_bf16",
                    "own_peak_to_cyclegan",
                )
            ),
            f"{row['start_seconds']:.1f}",
        )
    Console(width=150).print(table)
    peaks = ", ".join(
        f"{rate / 1e9:.0f} GFLOP/s in {kind}"
        for kind, rate in results["peak_operations_per_second"].items()
    )
    counted = f"{results['operations'] / 1e12:.3f} TFLOP a step; " if results["operations"] else ""
    log(f"{counted}matrix products at best {peaks}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--size", type=Size.parse, default=Size(256, 256), help="size of the pictures, HEIGHTxWIDTH"
    )
    parser.add_argument(
        "--method",
        default="cyclegan",
        choices=("cyclegan", "cut", "fastcut"),
        help="training method",
    )
    parser.add_argument("--batch", type=int, default=1, help="pictures of each domain in a step")
    parser.add_argument("--blocks", type=int, default=9, help="residual blocks")
    parser.add_argument("--filters", type=int, default=64, help="filters of all first convolutions")
    parser.add_argument(
        "--steps",
        type=int,
        default=3,
        help="steps timed in each run; an even number for fastcut, half of whose steps cost more",
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each program")
    parser.add_argument(
        "--rows", default="0,1,2,3,4,5", help=f"rows to run: {numbered((*ROWS, *OPTIONAL))}"
    )
    parser.add_argument(
        "--short", action="store_true", help="128x128, 3 blocks, 32 filters, one round"
    )
    parser.add_argument(
        "--launcher",
        default="",
        help="words before each program's command, such as taskset or numactl",
    )
    parser.add_argument(
        "--cpu_seconds", action="store_true", help="compare CPU time, not wall-clock time"
    )
    parser.add_argument("--output", default="", help="JSON file of the results")
    parser.add_argument(
        "--check",
        action="store_true",
        help="print the largest relative difference to PyTorch's step and exit",
    )
    given = parser.parse_args()
    if given.check:
        print(check(given.method))
        return
    if given.short:
        given.size, given.blocks, given.filters, given.rounds = Size(128, 128), 3, 32, 1
    given.rows = [(*ROWS, *OPTIONAL)[int(number)] for number in given.rows.split(",")]

    if given.cpu_seconds and programs.COMMAND in given.rows:
        parser.error("--cpu_seconds: a command does not tell those of its steps; leave row 0 out")
    if given.method != "cyclegan" and (unfit := {*given.rows} & {*_OF_CYCLEGAN}):
        parser.error(f"--method={given.method}: leave out the row {sorted(unfit)[0]!r}")

    command = [sys.executable, "-m", "benchmarks.train_step", "--check", f"--method={given.method}"]
    checked = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    difference = float(checked.stdout.splitlines()[-1])
    assert difference < 1e-9, f"not the same mathematics: losses differ by {difference:.2g}"
    log(f"PyTorch's losses and ours differ by {difference:.1e} in float64")
    settings = {
        "height": given.size.height,
        "width": given.size.width,
        "batch": given.batch,
        "blocks": given.blocks,
        "method": given.method,
    }
    base = Job("", **settings, filters=given.filters, steps=given.steps)
    names = [*programs.PEAKS, *given.rows]
    rounds: list[dict[str, dict[str, Any]]] = [{} for _ in range(given.rounds)]
    plan = [(each, name) for each in rounds for name in names]
    for each, name in track(plan, total=len(plan), unit="run", label="measuring"):
        each[name] = programs.run(dataclasses.replace(base, program=name), given.launcher)
    results = compare(rounds, given)
    show(results, given)
    given.size = str(given.size)
    keep({**results, "difference_of_losses": difference}, given, PACKAGES)


def numbered(rows: tuple[str, ...]) -> str:
    return "; ".join(f"{number} {name}" for number, name in enumerate(rows))


if __name__ == "__main__":
    main()
