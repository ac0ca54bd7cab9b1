"""The programs that `train_step` and `growth` time, each run in a separate process.

`measure` imports only what its program needs, so that the peak of memory and the start time are
those of the program.
"""

import contextlib
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import Command, memory, run_apart, seconds_since_start

Step = Callable[[], Any]
COMMAND, OURS, OURS_FLOAT32 = "tfcyclegan train, as it comes", "ours, as it comes", "ours float32"
CYCLEGAN = "our CycleGAN, as it comes"  # whatever the method of the others
OURS_REMAT, OURS_XLA = "ours, as it comes, --remat", "ours, as it comes, --xla"
OURS_PLAIN = "ours, TensorFlow's gradients"
TORCH, TORCH_BF16 = "PyTorch float32", "PyTorch bf16 autocast"
TORCH_LAST, TORCH_BF16_LAST = (
    "PyTorch float32, channels last",
    "PyTorch bf16 autocast, channels last",
)
KERAS = "Keras tutorials' step, float32"
TF_PEAK, TORCH_PEAK = "peak, TensorFlow", "peak, PyTorch"
PEAKS = (TF_PEAK, TORCH_PEAK)
_SIDES = (2048, 4096)  # of the matrices
_SLOW = 5.0  # seconds of a product


@dataclass(frozen=True)
class Job:
    """One run of one program.

    Attributes:
        program: the program to run, see above.
        height: height of the pictures.
        width: width of the pictures.
        batch: pictures of each domain per step, over all replicas.
        blocks: residual blocks.
        filters: filters of the first convolutions.
        steps: number of timed steps, after two that are not timed.
        devices: logical CPUs or GPUs, for our program only.
        pool: number of fakes kept, if the method keeps any.
        method: training method.
    """

    program: str
    height: int = 256
    width: int = 256
    batch: int = 1
    blocks: int = 9
    filters: int = 64
    steps: int = 3
    devices: int = 1
    pool: int = 50
    method: str = "cyclegan"


def run(job: Job, launcher: str = "") -> dict[str, Any]:
    """`measure(job)` in a fresh process, with `launcher` before its command."""
    return run_apart("benchmarks.training_programs", asdict(job), launcher=launcher)


def measure(job: Job) -> dict[str, Any]:
    """Wall-clock seconds and CPU seconds of each step, peak of memory and start time of `job` in
    this process; for a "peak" program, operations per second of matrix products.
    """
    if job.program in PEAKS:
        return {
            "operations_per_second": (_tensorflow_peak if job.program == TF_PEAK else _torch_peak)()
        }
    if job.program == COMMAND:
        return _measure_command(job)
    makers = {
        OURS: lambda: _ours(job, "auto"),
        OURS_FLOAT32: lambda: _ours(job, "float32"),
        CYCLEGAN: lambda: _ours(dataclasses.replace(job, method="cyclegan"), "auto"),
        OURS_REMAT: lambda: _ours(job, "auto", remat=True),
        OURS_XLA: lambda: _ours(job, "auto", xla=True),
        OURS_PLAIN: lambda: _ours(job, "auto", plain=True),
        TORCH: lambda: _torch(job, False, False),
        TORCH_BF16: lambda: _torch(job, True, False),
        TORCH_LAST: lambda: _torch(job, False, True),
        TORCH_BF16_LAST: lambda: _torch(job, True, True),
        KERAS: lambda: _keras(job),
    }
    step, imported_bytes, note = makers[job.program]()
    step()
    first_done = seconds_since_start()
    seconds, cpu_seconds = [], []
    for _ in range(job.steps + 1):
        started, cpu_started = time.perf_counter(), time.process_time()
        step()
        seconds.append(time.perf_counter() - started)
        cpu_seconds.append(time.process_time() - cpu_started)
    seconds = seconds[1:]
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds[1:],
        "start_seconds": first_done - statistics.median(seconds),
        "peak_bytes": memory("VmHWM"),
        "imported_bytes": imported_bytes,
        "note": note,
    }


def pictures(job: Job) -> list[np.ndarray]:
    """A batch of each domain, float32 [B, H, W, 3] in [-1, 1]."""
    random = np.random.default_rng(0)
    return [
        random.uniform(-1, 1, (job.batch, job.height, job.width, 3)).astype(np.float32)
        for _ in range(2)
    ]


def train_config(sized: Any, **changes: Any) -> Any:
    """A `TrainConfig` for anything that has height, width, batch, blocks and filters like `Job`; it
    refers to no data.
    """
    from tfcyclegan.config import Size, TrainConfig

    size = Size(sized.height, sized.width)
    return TrainConfig(
        data_dir="none",
        run_dir="none",
        crop_size=size,
        load_size=size,
        residual_blocks=sized.blocks,
        base_filters=sized.filters,
        discriminator_filters=sized.filters,
        batch_size=sized.batch,
        max_steps=1000,
        **changes,
    )


def _ours(
    job: Job, precision: str, *, remat: bool = False, xla: bool = False, plain: bool = False
) -> tuple[Step, int, str]:
    from tfcyclegan.system import tensorflow_setup

    tensorflow_setup.import_tensorflow()
    import tensorflow as tf

    from tfcyclegan.methods.factory import build_model
    from tfcyclegan.networks.convolution import tensorflow_gradients
    from tfcyclegan.training.strategy import choose_precision, keep_freed_memory, make_strategy
    from tfcyclegan.training.trainer import make_optimizer, step_function

    imported_bytes = memory("VmRSS")
    pools = {"pool_size": job.pool} if job.method == "cyclegan" else {}
    config = train_config(job, method=job.method, **pools, remat=remat, xla=xla)
    keep_freed_memory()
    strategy, chosen = make_strategy(job.devices), choose_precision(precision)
    with strategy.scope():
        model = build_model(config, chosen)
        model.compile(
            *(
                make_optimizer(config, config.length(1000), 1000, dynamic_scale=False)
                for _ in range(2)
            ),
            jit_compile=xla,
        )
    model.make_pools((job.height, job.width, 3), (job.height, job.width, 3))
    if job.method == "fastcut":
        # The coin in turn: a mirrored batch costs a pass of the encoder more.
        model.is_mirrored = lambda: model.step.value % 2 == 1

    own = [np.split(images, job.devices) for images in pictures(job)]
    batch = strategy.experimental_distribute_values_from_function(
        lambda context: tuple(
            tf.constant(shares[context.replica_id_in_sync_group]) for shares in own
        )
    )
    step, stops = step_function(model, strategy), tf.constant(False)

    def run() -> Any:
        with tensorflow_gradients() if plain else contextlib.nullcontext():
            return step(batch, stops).numpy()

    return run, imported_bytes, chosen


def _torch(job: Job, autocast: bool, channels_last: bool) -> tuple[Step, int, str]:
    from benchmarks.torch_one_way import OPTIONS, TorchCUT
    from benchmarks.torch_reference import TorchCycleGAN

    imported_bytes = memory("VmRSS")
    if job.method == "cyclegan":
        pools = {"pool_size": job.pool, "channels_last": channels_last}
        model = TorchCycleGAN(job.blocks, job.filters, **pools, autocast=autocast)
    else:
        model = TorchCUT(job.blocks, job.filters, **OPTIONS[job.method], autocast=autocast)
    batch = [model.batch(images) for images in pictures(job)]
    return lambda: model.step(*batch), imported_bytes, "bf16" if autocast else "float32"


def _keras(job: Job) -> tuple[Step, int, str]:
    from tfcyclegan.system import tensorflow_setup

    tensorflow_setup.import_tensorflow()
    import tensorflow as tf

    from benchmarks.keras_reference import KerasCycleGAN

    imported_bytes = memory("VmRSS")
    model = KerasCycleGAN(job.height, job.width, job.blocks, job.filters)
    model.compile()
    step = tf.function(model.train_step, autograph=False)
    batch = tuple(tf.constant(images) for images in pictures(job))
    return lambda: [value.numpy() for value in step(batch).values()], imported_bytes, "float32"


def _measure_command(job: Job) -> dict[str, Any]:
    """`tfcyclegan train` as a user runs it, on a few pictures: the steps according to its own
    history, with all overhead.
    """
    from PIL import Image

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for domain, images in zip("AB", pictures(job), strict=True):
            (place / f"pictures/train{domain}").mkdir(parents=True)
            for index in range(8):
                Image.fromarray(np.uint8(127.5 * images[0] + 127.5)).save(
                    place / f"pictures/train{domain}/{index}.png"
                )
        Command(
            [
                sys.executable,
                "-m",
                "data_prep.folders",
                f"--input_dir={place}/pictures",
                f"--output_dir={place}/data",
            ]
        ).finish()
        flags = {
            "method": job.method,
            **({"pool_size": job.pool} if job.method == "cyclegan" else {}),
            "data_dir": place / "data",
            "run_dir": place / "run",
            "load_size": f"{job.height * 9 // 8}x{job.width * 9 // 8}",
            "crop_size": f"{job.height}x{job.width}",
            "batch_size": job.batch,
            "residual_blocks": job.blocks,
            "base_filters": job.filters,
            "discriminator_filters": job.filters,
            "devices": job.devices,
            "max_steps": job.steps + 2,
            "log_every_steps": 1,
            "eval_every_epochs": 0,
        }
        history = place / "run" / "history.jsonl"
        command = Command(
            [
                sys.executable,
                "-m",
                "tfcyclegan.cli",
                "train",
                *(f"--{flag}={value}" for flag, value in flags.items()),
            ]
        )
        while command.runs() and not (history.exists() and history.stat().st_size):
            time.sleep(0.02)
        first_done = command.seconds
        done = command.finish()
        seconds = [
            job.batch / json.loads(line)["images_per_second"]
            for line in history.read_text().splitlines()
        ][2:]
    note = next(
        (
            line.split()[1].rstrip(",")
            for line in done.output.splitlines()
            if line.startswith("precision ")
        ),
        "",
    )
    return {
        "seconds": seconds,
        "cpu_seconds": None,
        "start_seconds": first_done - statistics.median(seconds),
        "peak_bytes": done.peak_bytes,
        "imported_bytes": None,
        "note": note,
    }


def _tensorflow_peak() -> dict[str, float]:
    from tfcyclegan.system import tensorflow_setup

    tensorflow_setup.import_tensorflow()
    import tensorflow as tf

    product = tf.function(lambda a, b: tf.matmul(a, b), autograph=False)
    made = {
        kind: [tf.cast(tf.random.normal([side, side]), kind) for side in _SIDES]
        for kind in (tf.float32, tf.bfloat16)
    }
    return {
        kind.name: _best_rate(lambda a: product(a, a)[0, 0].numpy(), matrices)
        for kind, matrices in made.items()
    }


def _torch_peak() -> dict[str, float]:
    import torch

    made = {
        kind: [torch.randn(side, side).to(kind) for side in _SIDES]
        for kind in (torch.float32, torch.bfloat16)
    }
    return {
        str(kind).removeprefix("torch."): _best_rate(lambda a: a @ a, matrices)
        for kind, matrices in made.items()
    }


def _best_rate(product: Callable[[Any], Any], matrices: list[Any]) -> float:
    rates = []
    for matrix in matrices:
        for _ in range(5):  # the first is the slowest, since it prepares what the others reuse
            started = time.perf_counter()
            product(matrix)
            seconds = time.perf_counter() - started
            rates.append(2 * matrix.shape[0] ** 3 / seconds)
            if seconds > _SLOW:  # bfloat16 on a processor without it: minutes, to no better rate
                return max(rates)
    return max(rates)


if __name__ == "__main__":
    print(json.dumps(measure(Job(**json.loads(sys.argv[1])))))
