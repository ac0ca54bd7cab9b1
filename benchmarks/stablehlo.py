"""How long does our training step take on a GPU, compiled by XLA, compared with PyTorch's? For
machines that have JAX and PyTorch, but no TensorFlow.

On a machine with TensorFlow, which needs no GPU:

    python -m benchmarks.stablehlo export --size=256 --batch=16 --output=step.stablehlo

and on the GPU machine, in a folder that holds `benchmarks/` (JAX with CUDA, PyTorch, NumPy and
ml_dtypes are enough):

    python -m benchmarks.stablehlo run step.stablehlo --output=step.json

The exported step has no image pool, and runs from random state: valid for time, not for values.
PyTorch runs the same step (also without pool) eagerly, under bfloat16 autocast, and compiled, each
in a separate process, since JAX and PyTorch would otherwise share the memory. The share of the peak
is the rate of the convolutions' operations (floating_operations.py), divided by the best rate of
bfloat16 matrix products that PyTorch reached in this run; memory is as reported by JAX and PyTorch.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.floating_operations import step_operations

OURS, PEAK = "ours, XLA", "peak"
TORCH = {
    "PyTorch float32": (False, False),
    "PyTorch bf16 autocast": (True, False),
    "PyTorch bf16, torch.compile": (True, True),
}
_SETTINGS = "// tfcyclegan step: "
_WARM_UP = 3
_MATRIX_SIDE = 8192


@dataclass(frozen=True)
class Settings:
    """What was exported."""

    height: int
    width: int
    batch: int
    blocks: int
    filters: int
    precision: str

    @property
    def operations(self) -> int:
        return step_operations(self.height, self.width, self.batch, self.blocks, self.filters)


def export(settings: Settings, path: Path) -> None:
    """Writes the training step as StableHLO text, with its settings in the first line."""
    from tfcyclegan.system import tensorflow_setup

    tensorflow_setup.import_tensorflow()
    import tensorflow as tf

    from benchmarks.training_programs import train_config
    from tfcyclegan.methods.factory import build_model
    from tfcyclegan.training.trainer import make_optimizer

    config = train_config(settings, pool_size=0)  # a pool's scatter would take the time of the step
    model = build_model(config, settings.precision)
    model.compile(
        *(make_optimizer(config, config.length(1000), 1000, dynamic_scale=False) for _ in range(2))
    )
    step = tf.function(lambda a, b: model.train_step((a, b)), jit_compile=True, autograph=False)
    images = tf.zeros([settings.batch, settings.height, settings.width, 3])
    text = step.experimental_get_compiler_ir(images, images)(stage="stablehlo")
    text = text.decode() if isinstance(text, bytes) else text
    path.write_text(f"{_SETTINGS}{json.dumps(asdict(settings))}\n{text}")


def read_settings(text: str) -> Settings:
    return Settings(**json.loads(text.splitlines()[0].removeprefix(_SETTINGS)))


def run_exported(path: Path, steps: int) -> dict[str, Any]:
    """Compiles the text for JAX's first device and feeds its outputs back to it; state that it
    aliases is donated.
    """
    os.environ["JAX_ENABLE_X64"] = "1"  # TensorFlow counts in int64
    import jax
    import ml_dtypes
    import numpy as np
    from jax._src import xla_bridge
    from jax._src.lib import xla_client

    kinds = {
        "f32": np.float32,
        "f64": np.float64,
        "f16": np.float16,
        "bf16": ml_dtypes.bfloat16,
        "i1": np.bool_,
    }
    kinds |= {
        f"{sign}{bits}": np.dtype(f"{name}{bits}").type
        for sign, name in (("i", "int"), ("ui", "uint"))
        for bits in (8, 16, 32, 64)
    }
    text = path.read_text()
    backend = xla_bridge.get_backend()
    device = backend.local_devices()[0]
    started = time.perf_counter()
    executable = backend.compile_and_load(
        text.encode(), xla_client.DeviceList((device,)), xla_client.CompileOptions()
    )
    compiled_seconds = time.perf_counter() - started
    entry = next(line for line in text.splitlines() if "func.func" in line and "@main" in line)
    module = next(line for line in text.splitlines() if line.startswith("module "))
    aliases = re.findall(
        r"parameter_number = (\d+) : i64\}, output_index = array<i64: (\d+)>", module
    )
    random, values = np.random.default_rng(0), []
    for described in re.findall(r"%arg\d+: tensor<([^>]*)>", entry.split(" -> ")[0]):
        *sides, kind = described.split("x")
        shape = tuple(map(int, sides))
        floating = kind in ("f32", "f64", "f16", "bf16")
        array = (
            np.asarray(random.normal(0, 0.02, shape), kinds[kind])
            if floating
            else np.zeros(shape, kinds[kind])
        )
        values.append(jax.device_put(array, device))

    def step() -> None:
        outputs = [
            parts[0]
            for parts in executable.execute_sharded(values).disassemble_into_single_device_arrays()
        ]
        jax.block_until_ready(outputs)
        for parameter, output in aliases:
            values[int(parameter)] = outputs[int(output)]

    seconds = timed(step, steps)
    peak = (device.memory_stats() or {}).get("peak_bytes_in_use", 0)
    return {
        "device": device.device_kind,
        "compiled_seconds": compiled_seconds,
        "seconds": seconds,
        "peak_bytes": peak,
    }


def run_torch(settings: Settings, steps: int, *, autocast: bool, compiled: bool) -> dict[str, Any]:
    """PyTorch's step on its first GPU, or on the CPU if there is none."""
    import numpy as np
    import torch

    from benchmarks.torch_reference import TorchCycleGAN

    on_gpu = torch.cuda.is_available()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    device = "cuda" if on_gpu else "cpu"
    options = {"pool_size": 0, "autocast": autocast, "channels_last": autocast, "device": device}
    model = TorchCycleGAN(settings.blocks, settings.filters, **options)
    if compiled:
        for network in model.networks.values():
            network.compile()
    random = np.random.default_rng(0)
    shape = settings.batch, settings.height, settings.width, 3
    batch = [model.batch(random.uniform(-1, 1, shape).astype(np.float32)) for _ in range(2)]

    def step() -> None:
        model.step(*batch)
        if on_gpu:
            torch.cuda.synchronize()

    started = time.perf_counter()
    step()
    compiled_seconds = time.perf_counter() - started
    seconds = timed(step, steps)
    peak = torch.cuda.max_memory_allocated() if on_gpu else 0
    name = torch.cuda.get_device_name() if on_gpu else "cpu"
    return {
        "device": name,
        "compiled_seconds": compiled_seconds,
        "seconds": seconds,
        "peak_bytes": peak,
    }


def run_peak(steps: int) -> dict[str, Any]:
    """Operations per second of a large bfloat16 matrix product."""
    import torch

    on_gpu = torch.cuda.is_available()
    side = _MATRIX_SIDE if on_gpu else _MATRIX_SIDE // 4
    matrix = torch.randn(side, side, dtype=torch.bfloat16, device="cuda" if on_gpu else "cpu")

    def product() -> None:
        torch.mm(matrix, matrix)
        if on_gpu:
            torch.cuda.synchronize()

    return {"operations_per_second": 2 * side**3 / min(timed(product, steps))}


def timed(step: Callable[[], None], steps: int) -> list[float]:
    seconds = []
    for _ in range(_WARM_UP + steps):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return seconds[_WARM_UP:]


def run_all(path: Path, steps: int, rounds: int, output: str) -> None:
    settings = read_settings(path.read_text())
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in (PEAK, OURS, *TORCH)}
    for _ in range(rounds):
        for name, made in results.items():
            command = [
                sys.executable,
                "-m",
                "benchmarks.stablehlo",
                "run",
                str(path),
                f"--steps={steps}",
                f"--row={name}",
            ]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                print(f"{name}: failed with {done.returncode}", file=sys.stderr)
                continue
            made.append(json.loads(done.stdout.splitlines()[-1]))
    peak = max(row["operations_per_second"] for row in results.pop(PEAK)) / 1e12
    print(
        f"{settings}; step without pool, random state; {settings.operations / 1e12:.2f} TFLOP; "
        f"matrix products {peak:.1f} TFLOP/s"
    )
    for name, made in results.items():
        if made:
            seconds = statistics.median(second for row in made for second in row["seconds"])
            rate = settings.operations / seconds / 1e12
            memory = max(row["peak_bytes"] for row in made) / 1e9
            first = statistics.median(row["compiled_seconds"] for row in made)
            told = (
                f"{seconds * 1e3:9.2f} ms {rate:8.2f} TFLOP/s, {rate / peak:.0%} of the peak, "
                f"{memory:.2f} GB, first {first:.1f} s"
            )
            print(f"{name:30} {told}, {made[0]['device']}")
    if output:
        Path(output).write_text(
            json.dumps(
                {"settings": asdict(settings), "peak_tflops": peak, "results": results}, indent=1
            )
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    modes = parser.add_subparsers(dest="mode", required=True)
    exporting = modes.add_parser("export", help="write the step as StableHLO; needs TensorFlow")
    exporting.add_argument("--size", default="256", help="side, or HEIGHTxWIDTH")
    exporting.add_argument("--batch", type=int, default=1)
    exporting.add_argument("--blocks", type=int, default=9)
    exporting.add_argument("--filters", type=int, default=64)
    exporting.add_argument(
        "--precision",
        default="mixed_bfloat16",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    exporting.add_argument("--output", type=Path, required=True)
    running = modes.add_parser("run", help="time it against PyTorch; needs JAX and PyTorch")
    running.add_argument("step", type=Path, help="the file that export wrote")
    running.add_argument("--steps", type=int, default=20, help="steps timed in a run")
    running.add_argument("--rounds", type=int, default=1, help="runs of each program, alternating")
    running.add_argument("--output", default="", help="JSON file of the results")
    running.add_argument("--row", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.mode == "export":
        sides = [int(side) for side in given.size.split("x")]
        export(
            Settings(
                sides[0], sides[-1], given.batch, given.blocks, given.filters, given.precision
            ),
            given.output,
        )
    elif given.row == OURS:
        print(json.dumps(run_exported(given.step, given.steps)))
    elif given.row == PEAK:
        print(json.dumps(run_peak(given.steps)))
    elif given.row:
        autocast, compiled = TORCH[given.row]
        print(
            json.dumps(
                run_torch(
                    read_settings(given.step.read_text()),
                    given.steps,
                    autocast=autocast,
                    compiled=compiled,
                )
            )
        )
    else:
        run_all(given.step, given.steps, given.rounds, given.output)


if __name__ == "__main__":
    main()
