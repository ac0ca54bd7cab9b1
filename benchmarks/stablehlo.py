"""How long does our training step take on a GPU, compiled by XLA, compared with PyTorch's; and our
training itself there. For machines that have JAX and PyTorch, but no TensorFlow.

On a machine with TensorFlow, which needs no GPU:

    python -m benchmarks.stablehlo export --size=256 --batch=16 --output=step.npz

and on the GPU machine, in a folder that holds `benchmarks/` (JAX with CUDA, PyTorch, NumPy and
ml_dtypes are enough):

    python -m benchmarks.stablehlo run step.npz --output=step.json

This step has no image pool, unless --pool gives it one, and runs from random state: valid for time,
not for values. To train, begin a run with `tfcyclegan train`, one step is enough, and pack it with
its pictures, image pools and optimizers:

    python -m benchmarks.stablehlo pack --run_dir=runs/mine --max_steps=4000 \
        --precision=mixed_bfloat16 --output=packed.npz

On the GPU machine this trains it, and then times PyTorch on the same step:

    python -m benchmarks.stablehlo train packed.npz --output_dir=trained --minutes=3

and where the run is, its checkpoint of that step is made, for `translate`, `evaluate` and `export`:

    python -m benchmarks.stablehlo unpack --run_dir=runs/mine --trained=trained

Order, crops and mirroring of the pictures and the draws of the pools follow from (seed, step), as
in TensorFlow (tests/test_stablehlo.py). PyTorch runs the step eagerly, under bfloat16 autocast, and
compiled, each in a separate process, since JAX and PyTorch would otherwise share the memory. The
share of the peak is the rate of the convolutions' operations (floating_operations.py), divided by
the best rate of bfloat16 matrix products that PyTorch reached in this run; memory is as reported by
JAX and PyTorch.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import exported_training
from benchmarks.exported_step import (
    Settings,
    loaded,
    lower,
    peak_bytes,
    read,
    shape_and_type,
    write,
)

OURS, TRAINED, PEAK = "ours, XLA", "ours, XLA, training", "peak"
TORCH = {
    "PyTorch float32": (False, False),
    "PyTorch bf16 autocast": (True, False),
    "PyTorch bf16, torch.compile": (True, True),
}
_WARM_UP = 3
_MATRIX_SIDE = 8192


def export(settings: Settings, path: Path) -> None:
    """Writes the training step without data or state, to be timed."""
    from tfcyclegan.system import tensorflow_setup

    tensorflow_setup.import_tensorflow()
    import tensorflow as tf

    from benchmarks.exported_runs import values_of
    from benchmarks.training_programs import train_config
    from tfcyclegan.methods.factory import build_model
    from tfcyclegan.training.trainer import make_optimizer

    config = train_config(settings, pool_size=settings.pool)
    model = build_model(config, settings.precision)
    model.compile(
        *(make_optimizer(config, config.length(1000), 1000, dynamic_scale=False) for _ in range(2))
    )
    shape = settings.height, settings.width, 3
    model.make_pools(shape, shape)
    images = tf.zeros([settings.batch, *shape])
    program, _ = lower(lambda a, b: values_of(model, model.train_step((a, b))), images, images)
    write(path, settings, program)


def run_exported(path: Path, steps: int) -> dict[str, Any]:
    """The exported step on JAX's first device, from random state."""
    import jax
    import numpy as np

    package = read(path)
    step = loaded(package.program)
    random, inputs = np.random.default_rng(0), []
    for described in package.program.inputs:
        shape, kind = shape_and_type(described)
        floats = random.normal(0, 0.02, shape) if "f" in described else np.zeros(shape)
        inputs.append(jax.device_put(floats.astype(kind)))
    pictures, state = inputs[:2], inputs[2:]
    started = time.perf_counter()
    compiled = jax.jit(step, donate_argnums=1).lower(pictures, state).compile()
    compiled_seconds = time.perf_counter() - started

    def run() -> None:
        nonlocal state
        values, state = compiled(pictures, state)
        jax.block_until_ready(values)

    device = jax.devices()[0]
    return {
        "device": device.device_kind,
        "compiled_seconds": compiled_seconds,
        "seconds": timed(run, steps),
        "peak_bytes": peak_bytes(device, compiled),
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
    options = {
        "pool_size": settings.pool,
        "autocast": autocast,
        "channels_last": autocast,
        "device": device,
    }
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


def run_all(rows: dict[str, list[str]], steps: int, rounds: int, path: Path, output: str) -> None:
    """Runs programs in turns, each in its own process, and tells their figures.

    Args:
        rows: by name, further flags of its program.
        steps: steps timed of each.
        rounds: runs of each.
        path: what `export` or `pack` wrote.
        output: JSON file of the results; "" for none.
    """
    package = read(path)
    settings = package.settings
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, made in results.items():
            flags = [f"--row={name}", f"--steps={steps}", *rows[name]]
            command = [sys.executable, "-m", "benchmarks.stablehlo", "run", str(path), *flags]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                print(f"{name}: failed with {done.returncode}", file=sys.stderr)
                continue
            made.append(json.loads(done.stdout.splitlines()[-1]))
    peaks = [row["operations_per_second"] for row in results.pop(PEAK, [])]
    peak = max(peaks) / 1e12 if peaks else None
    products = f"{peak:.1f} TFLOP/s" if peak else "not measured"
    print(f"{settings}; {settings.operations / 1e12:.2f} TFLOP; matrix products {products}")
    if unlike := package.about.get("unlike_pytorch"):
        print(f"PyTorch's step and the TFLOP are without our {', '.join(unlike)}")
    for name, made in results.items():
        if made:
            print(f"{name:30} {_told(settings, made, peak)}")
    if output:
        Path(output).write_text(
            json.dumps(
                {"settings": asdict(settings), "peak_tflops": peak, "results": results}, indent=1
            )
        )
    if missing := [name for name, made in results.items() if not made]:
        raise SystemExit(f"failed: {', '.join(missing)}")


def _told(settings: Settings, made: list[dict[str, Any]], peak: float | None) -> str:
    seconds = statistics.median(second for row in made for second in row["seconds"])
    rate = settings.operations / seconds / 1e12
    share = f", {rate / peak:.0%} of the peak" if peak else ""
    memory = max(row["peak_bytes"] for row in made) / 1e9
    first = statistics.median(row["compiled_seconds"] for row in made)
    return (
        f"{seconds * 1e3:9.2f} ms {1 / seconds:8.2f} steps/s {rate:8.2f} TFLOP/s{share}, "
        f"{memory:.2f} GB, first {first:.1f} s, {made[0]['device']}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    modes = parser.add_subparsers(dest="mode", required=True)
    exporting = modes.add_parser("export", help="write the step alone; needs TensorFlow")
    exporting.add_argument("--size", default="256", help="side, or HEIGHTxWIDTH")
    exporting.add_argument("--batch", type=int, default=1)
    exporting.add_argument("--blocks", type=int, default=9)
    exporting.add_argument("--filters", type=int, default=64)
    exporting.add_argument("--pool", type=int, default=0, help="pictures that a pool keeps")
    precisions = ("float32", "mixed_bfloat16", "mixed_float16")
    exporting.add_argument("--precision", default="mixed_bfloat16", choices=precisions)
    exporting.add_argument("--output", type=Path, required=True)
    running = modes.add_parser("run", help="time it against PyTorch; needs JAX and PyTorch")
    running.add_argument("step", type=Path, help="the file that export or pack wrote")
    running.add_argument("--rounds", type=int, default=1, help="runs of each program, alternating")
    running.add_argument("--row", default="", help=argparse.SUPPRESS)
    packing = modes.add_parser("pack", help="write a run with its pictures; needs TensorFlow")
    packing.add_argument("--run_dir", type=Path, required=True)
    packing.add_argument("--max_steps", type=int, help="replaces the run's")
    packing.add_argument(
        "--precision", default="", choices=precisions[:2], help="replaces the run's"
    )
    packing.add_argument(
        "--fresh",
        action="store_true",
        help="start over from weights that NumPy draws, which do not travel: for large networks",
    )
    packing.add_argument("--output", type=Path, required=True)
    training = modes.add_parser("train", help="train it, then time PyTorch; needs JAX and PyTorch")
    training.add_argument("step", type=Path, help="the file that pack wrote")
    training.add_argument("--output_dir", type=Path, required=True, help="for unpack")
    for mode in (running, training):
        mode.add_argument("--steps", type=int, default=20, help="steps timed in a run")
        mode.add_argument("--output", default="", help="JSON file of the results")
        mode.add_argument("--nocompare", action="store_true", help="leave PyTorch out")
    for mode in (running, training):  # a row of its own process is started by `run`
        hidden = {} if mode is training else {"help": argparse.SUPPRESS}
        brings = "; ".join(f"{k}: {v}" for k, v in exported_training.BRINGS.items())
        mode.add_argument(
            "--bring",
            default="all",
            choices=exported_training.BRINGS,
            **{"help": f"what comes back: {brings}", **hidden},
        )
        told = "train no longer than this; what was reached counts"
        mode.add_argument("--minutes", type=float, default=0, **{"help": told, **hidden})
        told = "steps between looks at the losses"
        mode.add_argument("--look_every", type=int, default=50, **{"help": told, **hidden})
    running.add_argument("--output_dir", type=Path, help=argparse.SUPPRESS)
    unpacking = modes.add_parser("unpack", help="take it back into the run; needs TensorFlow")
    unpacking.add_argument("--run_dir", type=Path, required=True)
    unpacking.add_argument("--trained", type=Path, required=True, help="what train wrote")
    return parser


def _row(given: argparse.Namespace) -> dict[str, Any]:
    """The figures of one program, in this process."""
    if given.row == OURS:
        return run_exported(given.step, given.steps)
    if given.row == TRAINED:
        return exported_training.train(
            given.step,
            given.output_dir,
            bring=given.bring,
            minutes=given.minutes,
            every=given.look_every,
        )
    if given.row == PEAK:
        return run_peak(given.steps)
    autocast, compiled = TORCH[given.row]
    settings = read(given.step).settings
    return run_torch(settings, given.steps, autocast=autocast, compiled=compiled)


def main() -> None:
    given = _parser().parse_args()
    if given.mode == "export":
        sides = [int(side) for side in given.size.split("x")]
        sizes = sides[0], sides[-1], given.batch, given.blocks, given.filters
        export(Settings(*sizes, given.precision, given.pool), given.output)
    elif given.mode == "run" and given.row:
        print(json.dumps(_row(given)))
    elif given.mode in ("run", "train"):
        own = {OURS: []} if given.mode == "run" else {TRAINED: _training_flags(given)}
        others = {} if given.nocompare else {PEAK: [], **{name: [] for name in TORCH}}
        run_all(
            {**own, **others}, given.steps, getattr(given, "rounds", 1), given.step, given.output
        )
    else:
        from tfcyclegan.errors import RunError, UserError
        from tfcyclegan.system import tensorflow_setup

        tensorflow_setup.import_tensorflow()
        from benchmarks import exported_runs

        try:
            if given.mode == "pack":
                options = {"max_steps": given.max_steps, "precision": given.precision}
                exported_runs.pack(given.run_dir, given.output, **options, fresh=given.fresh)
            else:
                exported_runs.unpack(given.run_dir, given.trained)
        except (UserError, RunError) as error:
            raise SystemExit(str(error)) from error


def _training_flags(given: argparse.Namespace) -> list[str]:
    exported_training.require_room(read(given.step), given.bring)
    names = ("output_dir", "bring", "minutes", "look_every")
    return [f"--{name}={getattr(given, name)}" for name in names]


if __name__ == "__main__":
    main()
