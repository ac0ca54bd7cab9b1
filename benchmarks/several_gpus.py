"""How well does training use several GPUs of one machine, and do they compute what one does?

    python -m benchmarks.several_gpus --output=several_gpus.json
    python -m benchmarks.several_gpus --logical=2 --size=32 --filters=8 --blocks=1 --steps=3

The networks are the paper's, pictures are noise or those of --data_dir, and their way to the
devices is that of `tfcyclegan train`: resized pixels in a file, crops, a share for each replica.
Weak scaling: each replica has --batch pictures of each domain a step, so N replicas have N times as
many. Each number of replicas is a process of its own.

    efficiency     pictures/s to N times those of one replica
    input waited   seconds of all timed steps in which the next pictures were not there yet
    exchange       a sum over the replicas of all gradients, alone
    hidden         1 - (a step of N replicas - a step of one) / exchange: the share of the exchange
                   that takes place while a replica computes. Steps are compared without their
                   waiting for input. Replicas that wait for each other count as not hidden.
    peak           what TensorFlow allocated on the fullest device, without NCCL's own buffers

Each process also does one step in float32 of small networks on the same whole batch, divided among
its replicas. Losses, and the gradients of all kernels, must be those of one replica, within
TOLERANCE; and after training all devices must hold the same weights, to the bit.

--output gets the figures, and the file beside it that ends in .md the table. Both are written after
each number of replicas.
"""

import dataclasses
import math
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.hardware import machine
from benchmarks.processes import run_apart
from benchmarks.replica_steps import NOISE, Job
from tfcyclegan.cli import run_command
from tfcyclegan.config import Options, Size, TrainConfig, option
from tfcyclegan.config.base import option_of
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.system import files, tensorflow_setup
from tfcyclegan.system.progress import log, quantity, track

SUMMARY = "train with 1, 2, 4 ... replicas on this machine, and compare them"
EXAMPLES = """
    python -m benchmarks.several_gpus
    python -m benchmarks.several_gpus --replicas=1,8 --batch=4 --steps=100 --data_dir=data/mine
    python -m benchmarks.several_gpus --logical=2 --size=32 --filters=8 --blocks=1 --steps=3
"""
PACKAGES = ("tensorflow", "keras", "numpy")
TOLERANCE = 1e-3
"""Relative. Sums in another order change float32's gradients by 1e-6 to 1e-4; a share of one of 8
replicas that is lost or counted twice, by a tenth.
"""
_LEAST_SIDE, _MULTIPLE = 24, 4  # of pictures that the networks take


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `benchmarks.several_gpus`."""

    logical: int | None = option(
        None,
        "split the CPU into that many logical devices instead of using GPUs, to try this program",
        minimum=2,
    )
    replicas: str = option(
        "",
        "numbers of replicas, separated by commas, the first of them 1; 1, 2, 4 ... and all "
        "devices if it is not given",
    )
    size: Size = option(Size(256, 256), "height and width of the crops")
    batch: int = option(1, "pictures of each domain per step and replica", minimum=1)
    blocks: int = option(9, "residual blocks", minimum=1)
    filters: int = option(64, "filters of the first convolutions", minimum=1)
    steps: int = option(50, "timed steps of each number of replicas", minimum=1)
    precision: str = option_of(TrainConfig, "precision")
    data_dir: str = option(
        "", "prepared pictures, as of tfcyclegan train; noise if it is not given"
    )
    output: str = option(
        "several_gpus.json", "JSON file of all figures; the table goes beside it", required=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        sides = self.size.height, self.size.width
        if min(sides) < _LEAST_SIDE or any(side % _MULTIPLE for side in sides):
            raise UserError(
                f"--size={self.size}: the networks need sides of at least {_LEAST_SIDE} that are "
                f"multiples of {_MULTIPLE}"
            )
        output = Path(self.output)
        if output.suffix != ".json" or output.is_dir() or not output.parent.is_dir():
            raise UserError(
                f"--output={self.output}: name a file that ends in .json, in a folder that exists"
            )


def numbers_of_replicas(given: str, devices: int) -> list[int]:
    """The numbers of replicas to compare: those `given`, or 1, 2, 4 ... and all `devices`.

    Raises:
        UserError: they are not increasing numbers from 1 to `devices`.
    """
    if not given:
        return sorted({*(1 << power for power in range(devices.bit_length())), devices})
    words = given.split(",")
    numbers = [int(word) if word.isascii() and word.isdigit() else 0 for word in words]
    if numbers[0] != 1 or numbers != sorted(set(numbers)) or len(numbers) < 2:
        raise UserError(
            f"--replicas={given}: write increasing numbers of which the first is 1, as in 1,2,4"
        )
    if numbers[-1] > devices:
        raise UserError(f"--replicas={given}: there are only {devices} devices")
    return numbers


def compare(found: Mapping[str, Any], one: Mapping[str, Any], replicas: int) -> dict[str, Any]:
    """A row of the table.

    Args:
        found: what `replica_steps.measure` told of `replicas` replicas, and its job's "batch".
        one: the same of one replica.
        replicas: their number.
    """
    seconds, of_one = (statistics.median(each["seconds"]) for each in (found, one))
    busy, busy_one = (_without_waiting(each) for each in (found, one))
    exchange = found["exchange_seconds"] and statistics.median(found["exchange_seconds"])
    on_gpus = bool(found["devices"])
    return {
        "replicas": replicas,
        "step_seconds": seconds,
        "steps_per_second": 1 / seconds,
        "pictures_per_second": replicas * found["batch"] / seconds,
        "efficiency": of_one / seconds,
        "waited_seconds": sum(found["waited_seconds"]),
        "exchange_seconds": exchange,
        "added_seconds": busy - busy_one,
        # replicas on the cores of one CPU hinder each other, which is no exchange
        "hidden": (
            float(np.clip(1 - (busy - busy_one) / exchange, 0, 1)) if exchange and on_gpus else None
        ),
        "device_peak_bytes": max(found["device_peak_bytes"], default=None),
        "peak_bytes": found["peak_bytes"],
    }


def _without_waiting(found: Mapping[str, Any]) -> float:
    both = zip(found["seconds"], found["waited_seconds"], strict=True)
    return statistics.median(second - waited for second, waited in both)


def difference(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The largest relative differences between two compared steps: of a loss, and of a kernel's
    gradient as a whole (the norm of the difference to the norm).

    Args:
        one: "losses" [N], and the gradients of kernels under other names.
        other: the same of another number of replicas.
    """
    # losses that these options leave out are 0 in both
    least = np.finfo(np.float32).tiny
    losses = np.abs(other["losses"] - one["losses"]) / np.maximum(np.abs(one["losses"]), least)
    gradients = [
        np.linalg.norm(other[name] - one[name]) / np.linalg.norm(one[name])
        for name in one
        if name != "losses"
    ]
    return {"losses": float(losses.max()), "gradients": float(max(gradients))}


def wrong(replicas: int, found: Mapping[str, Any]) -> str | None:
    """What is not as with one replica, in words; None if nothing."""
    told = f"{replicas} replicas"
    if not found["same_weights"]:
        return f"{told}: the devices' weights differ after training"
    if found["skipped"]:
        return f"{told}: the compared step was skipped, since something was not finite"
    for name, value in found.get("difference", {}).items():
        if not value <= TOLERANCE:
            return f"{told}: {name} differ from one replica's by {value:.1e}, above {TOLERANCE:g}"
    return None


def markdown(rows: Sequence[Mapping[str, Any]], config: Config, results: Mapping[str, Any]) -> str:
    """The table and what it is of."""
    about, first = results["machine"], results["replicas"][0]
    devices = sorted({name for each in results["replicas"] for name in each["devices"]})
    columns = (
        "replicas",
        "ms a step",
        "steps/s",
        "pictures/s",
        "efficiency",
        "input waited for, s",
        "exchange, ms",
        "hidden",
        "peak a device, GB",
        "of the process, GB",
        "losses, gradients differ",
    )
    lines = [
        f"# {config.size.height}x{config.size.width}, {quantity(config.blocks, 'block')}, "
        f"{quantity(config.filters, 'filter')}, {quantity(config.batch, 'picture')} of each domain "
        f"a replica, {first['precision']}",
        "",
        f"{', '.join(devices) or 'logical devices of the CPU'}; {about['cpu']}; "
        f"TensorFlow {about['versions']['tensorflow']}; {about['date']}. Pictures: "
        f"{config.data_dir or 'noise'}. Medians of {quantity(config.steps, 'step')}. "
        f"{first['exchanged_bytes'] / 1e6:.0f} MB of gradients.",
        "",
        f"| {' | '.join(columns)} |",
        f"| {' | '.join('---' for _ in columns)} |",
    ]
    for row, each in zip(rows, results["replicas"], strict=True):
        differ = each.get("difference")
        cells = (
            str(row["replicas"]),
            f"{1e3 * row['step_seconds']:.1f}",
            f"{row['steps_per_second']:.2f}",
            f"{row['pictures_per_second']:.2f}",
            f"{row['efficiency']:.2f}",
            f"{row['waited_seconds']:.2f}",
            _or_dash(row["exchange_seconds"], lambda value: f"{1e3 * value:.1f}"),
            _or_dash(row["hidden"], lambda value: f"{value:.2f}"),
            _or_dash(row["device_peak_bytes"], lambda value: f"{value / 1e9:.2f}"),
            f"{row['peak_bytes'] / 1e9:.2f}",
            _or_dash(differ, lambda value: f"{value['losses']:.0e}, {value['gradients']:.0e}"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    if config.logical:
        told = "Logical devices share the cores of one CPU: these speeds say nothing about GPUs."
        lines += ["", told]
    return "\n".join(lines) + "\n"


def _or_dash(value: Any, told: Any) -> str:
    return "-" if value is None else told(value)


def _gpus() -> int:
    tensorflow_setup.import_tensorflow()
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def run(config: Config) -> None:
    """Measures all numbers of replicas; writes the JSON file and the table.

    Raises:
        UserError: there are not several devices, or the data are not there.
        RunError: several replicas do not compute what one does.
    """
    devices = config.logical or _gpus()
    if devices < 2:
        raise UserError(
            f"--logical: this machine has {devices} GPUs, but two or more are compared; give "
            "--logical=2 to try this program on logical devices of the CPU"
        )
    numbers = numbers_of_replicas(config.replicas, devices)
    output, faults = Path(config.output), []
    results: dict[str, Any] = {
        "arguments": {**dataclasses.asdict(config), "size": str(config.size)},
        "machine": machine(PACKAGES),
        "replicas": [],
        "rows": [],
    }
    with tempfile.TemporaryDirectory() as place:
        first: dict[str, np.ndarray] = {}
        for number in track(numbers, total=len(numbers), unit="run", label="several GPUs"):
            found, step = _measured(config, numbers, number, Path(place))
            first = first or step
            if number > 1:
                found["difference"] = difference(first, step)
            if fault := wrong(number, found):
                faults.append(fault)
            results["replicas"].append(found)
            results["rows"].append(compare(found, results["replicas"][0], number))
            table = markdown(results["rows"], config, results)
            files.write_json(output, results)
            files.write_text(output.with_suffix(".md"), table)
    log(table)
    if faults:
        raise RunError("; ".join(faults))
    log(f"all replicas compute what one does; figures: {output}")


def _measured(
    config: Config, numbers: Sequence[int], number: int, place: Path
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a process with `number` replicas tells, and its compared step."""
    kept = place / f"{number}.npz"
    job = Job(
        replicas=number,
        logical=config.logical is not None,
        height=config.size.height,
        width=config.size.width,
        batch=config.batch,
        blocks=config.blocks,
        filters=config.filters,
        steps=config.steps,
        precision=config.precision,
        data_dir=config.data_dir or NOISE,
        cache_dir=str(place / "cache"),
        compared=math.lcm(*numbers),
        kept=str(kept),
    )
    found = run_apart("benchmarks.replica_steps", dataclasses.asdict(job))
    if "refused" in found:
        raise UserError(found["refused"])
    with np.load(kept) as step:
        return {**found, "batch": config.batch}, dict(step)


if __name__ == "__main__":
    sys.exit(run_command("benchmarks.several_gpus", SUMMARY, EXAMPLES, Config, run))
