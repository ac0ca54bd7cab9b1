"""What is installed, what the machine has, and what that means for training."""

import os
import platform
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from packaging.requirements import Requirement
from rich.table import Table

from tfcyclegan import __version__
from tfcyclegan.networks import InstanceNormalization
from tfcyclegan.networks.layers import Conv2D
from tfcyclegan.system import hardware
from tfcyclegan.system.progress import log, log_table, quantity
from tfcyclegan.training.strategy import choose_precision, cost_of, keep_freed_memory, make_strategy

_GIB = 2**30
_BF16_CPU = ("avx512_bf16", "amx_bf16")
_REPEATS, _SECONDS = 3, 0.3  # the least repetitions and time of a measurement
# A step takes longer than its number of multiplications predicts: 0.9 to 2.2 times, measured on two
# cores in float32 and bfloat16.
_STEP_OVER_PIECE = 1.6
_EXTRAS = {
    "demo": "data_prep.satellite_map",
    "pytorch": "import_weights --from=pytorch",
    "serve": "tfcyclegan serve",
    "beam": "--engine=beam",
    "spark": "--engine=spark",
    "bench": "python -m benchmarks.inference",
}


@dataclass(frozen=True)
class Training:
    """A training configuration whose requirements are known.

    Attributes:
        told: its description.
        flags: the flags that select it.
        side: side of the crop in pixels.
        blocks: residual blocks of each generator.
        filters: of the generators' first convolution.
        discriminator_filters: of the discriminators' first convolution.
        memory_gib: peak resident memory measured with batches of 1 on a CPU; docs/training.md.
    """

    told: str
    flags: str
    side: int
    blocks: int
    filters: int
    discriminator_filters: int
    memory_gib: float

    @property
    def block_multiplications(self) -> float:
        """Multiplications in one residual block's forward pass: two 3x3 convolutions between 4 *
        filters channels at a quarter of the side.
        """
        return 2 * 9 * (4 * self.filters) ** 2 * (self.side / 4) ** 2

    @property
    def generator_multiplications(self) -> float:
        """Multiplications in the convolutions of a generator's forward pass."""
        ends = 2 * 7 * 7 * 3 * self.filters * self.side**2
        # two downsampling and two upsampling layers, all of the same cost
        scalings = 4 * 9 * self.filters * 2 * self.filters * (self.side / 2) ** 2
        return ends + scalings + self.blocks * self.block_multiplications

    @property
    def discriminator_multiplications(self) -> float:
        """Multiplications in the convolutions of a 70x70 PatchGAN's forward pass."""
        width, side, total, channels = self.discriminator_filters, self.side, 0.0, 3
        for filters, stride in ((width, 2), (width * 2, 2), (width * 4, 2), (width * 8, 1), (1, 1)):
            side = side // 2 if stride == 2 else side - 1
            total += 16 * channels * filters * side**2
            channels = filters
        return total

    @property
    def step_multiplications(self) -> float:
        """Multiplications in a step: 6 generator passes, forward and backward, cost as much as 18
        forward passes; 6 discriminator passes, 4 of which go back to the weights, cost 16.
        """
        return 18 * self.generator_multiplications + 16 * self.discriminator_multiplications


TRAININGS = (
    Training(
        "64x64, 4 blocks of 16 filters",
        "--load_size=72 --crop_size=64 --residual_blocks=4 --base_filters=16 "
        "--discriminator_filters=32",
        64,
        4,
        16,
        32,
        0.9,
    ),
    Training(
        "128x128, 6 blocks of 64",
        "--load_size=143 --crop_size=128 --residual_blocks=6",
        128,
        6,
        64,
        64,
        1.6,
    ),
    Training(
        "256x256, 6 blocks of 16", "--flagfile=configs/presets/mobile.cfg", 256, 6, 16, 64, 1.2
    ),
    Training(
        "256x256, 9 blocks of 64 (the paper's)",
        "--flagfile=configs/presets/official.cfg",
        256,
        9,
        64,
        64,
        2.5,
    ),
)

Row = tuple[str, str, str]


def examine(*, measure: bool) -> None:
    """Prints what is installed and which trainings this machine can run; `measure` estimates their
    times.
    """
    keep_freed_memory()  # as training does
    make_strategy(None)  # so that GPU memory is allocated as needed
    found = Table("", "here", "what it means", title="This machine")
    for row in [*_programs(), *_devices(), *_rooms(), *_extras()]:
        found.add_row(*row)
    log_table(found)
    log_table(_trainings(measure))
    if measure:
        log(
            "on an idle machine these times are right within a factor of two, for one picture of "
            "each domain per step on one device"
        )
    log(
        "next: python -m data_prep.folders --help for your own pictures, or python -m "
        "data_prep.satellite_map --help for a real data set to try"
    )


def _programs() -> list[Row]:
    python = platform.python_version()
    frameworks = f"{tf.__version__}, Keras {keras.__version__}, NumPy {np.__version__}"
    return [
        ("tfcyclegan", __version__, ""),
        ("Python", python, ""),
        (
            "TensorFlow",
            frameworks,
            ""
            if tf.__version__.startswith("2.21.")
            else "tfcyclegan was tested with TensorFlow 2.21",
        ),
    ]


def _devices() -> list[Row]:
    gpus = tf.config.list_physical_devices("GPU")
    rows = []
    for number, gpu in enumerate(gpus):
        details = tf.config.experimental.get_device_details(gpu)
        capability = ".".join(map(str, details.get("compute_capability", ("unknown",))))
        rows.append(
            (
                f"GPU {number}",
                f"{details.get('device_name', gpu.name)}, compute capability {capability}",
                "training uses it",
            )
        )
    if not gpus:
        driver = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia").exists()
        mend = (
            "its driver is installed, but TensorFlow finds no GPU: pip install 'tfcyclegan[gpu]'"
            if driver
            else "training uses the CPU"
        )
        rows.append(("GPU", "none", mend))
    count, load = hardware.cores(), os.getloadavg()[0]
    busy = (
        f"load {load:.1f}: other processes slow training and the times below"
        if load > count / 2
        else ""
    )
    rows.append(("CPU", f"{hardware.processor()}, {quantity(count, 'core')}", busy))
    precision = choose_precision("auto")
    there = [name for name in _BF16_CPU if name in hardware.cpu_flags()]
    half = (
        "from compute capability 8.0 on"
        if gpus
        else ", ".join(there) or f"no {' or '.join(_BF16_CPU)}"
    )
    mixed, cost = precision == "mixed_bfloat16", cost_of("mixed_bfloat16")
    told = (
        "faster and smaller than float32"
        if mixed
        else f"mixed_bfloat16 {f'is slower: {cost}' if cost else 'works, but gains nothing'}"
    )
    rows.append(("bfloat16", half, f"--precision=auto uses {precision}: {told}"))
    xla = tf.test.is_built_with_xla()
    advice = (
        "--xla enables it; not measured on GPUs" if gpus else "not useful: --xla is slower on CPUs"
    )
    rows.append(("XLA", "yes" if xla else "no", advice if xla else ""))
    return rows


def _rooms() -> list[Row]:
    rows = []
    memory = hardware.memory()
    if memory is not None:
        fit = [training for training in TRAININGS if training.memory_gib * _GIB < memory.free]
        told = (
            f"up to {fit[-1].told} in batches of 1"
            if fit
            else "too little for the trainings below; --remat needs less"
        )
        rows.append(
            ("memory", f"{memory.free / _GIB:.1f} GiB free of {memory.total / _GIB:.1f}", told)
        )
    disk = hardware.disk(Path())
    needs = "a run of the paper's size keeps about 2 GiB of checkpoints"
    rows.append(("disk here", f"{disk.free / _GIB:.1f} GiB free of {disk.total / _GIB:.1f}", needs))
    return rows


def _extras() -> list[Row]:
    try:
        requirements = [Requirement(text) for text in metadata.requires("tfcyclegan") or ()]
    except metadata.PackageNotFoundError:
        return [
            (
                "extras",
                "unknown",
                "tfcyclegan runs from its source and is not installed; pip install --editable .",
            )
        ]
    complete, rows = [], []
    for extra, told in _EXTRAS.items():
        wanted = [
            r.name
            for r in requirements
            if r.marker
            and r.marker.evaluate({"extra": extra})
            and not r.marker.evaluate({"extra": ""})
        ]
        missing = [name for name in wanted if not _is_installed(name)]
        if missing:
            rows.append(
                (
                    f"extra {extra}",
                    "no",
                    f"for {told}: pip install 'tfcyclegan[{extra}]' installs {', '.join(missing)}",
                )
            )
        else:
            complete.append(extra)
    return [("extras", ", ".join(complete) or "none", ""), *rows]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _trainings(measure: bool) -> Table:
    on_cpu = not tf.config.list_physical_devices("GPU")
    precision, memory = choose_precision("auto"), hardware.memory()
    table = Table("training", title=f"Trainings in batches of 1, {precision}")
    table.add_column("flags", overflow="fold")
    table.add_column("memory")
    if measure:
        table.add_column("a step", justify="right")
        table.add_column("10,000 steps", justify="right")
    for training in TRAININGS:
        fits = (
            ""
            if memory is None or training.memory_gib * _GIB < memory.free
            else ", more than is free"
        )
        needs = f"{training.memory_gib} GiB{fits}" if on_cpu else "unknown on GPUs"
        times = _told_times(step_seconds(training, precision)) if measure else ()
        table.add_row(training.told, training.flags, needs, *times)
    return table


def _told_times(step: float) -> Sequence[str]:
    hours = step * 10_000 / 3600
    length = (
        f"{hours * 60:.0f} min"
        if hours < 2
        else f"{hours:.0f} h"
        if hours < 72
        else f"{hours / 24:.0f} days"
    )
    return f"about {step:.2g} s" if step < 10 else f"about {step:.0f} s", length


def step_seconds(training: Training, precision: str) -> float:
    """A rough estimate of a training step's time on the first device: a residual block's forward
    and backward pass, times the ratio of a step's multiplications to the block's.
    """
    channels, side, policy = 4 * training.filters, training.side // 4, keras.DTypePolicy(precision)
    initializer = keras.initializers.RandomNormal(0.0, 0.02, seed=0)
    convolutions = [
        Conv2D(channels, channels, 3, initializer, padding=1, padding_mode="reflect", dtype=policy)
        for _ in range(2)
    ]
    norm = InstanceNormalization(channels, dtype=policy)
    weights = [weight.value for layer in convolutions for weight in layer.trainable_weights]
    images = tf.cast(
        tf.random.stateless_uniform([1, side, side, channels], [0, 0], -1.0, 1.0),
        policy.compute_dtype,
    )

    @tf.function(autograph=False)
    def piece() -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            made = images + norm(convolutions[1](tf.nn.relu(norm(convolutions[0](images)))))
            loss = tf.reduce_mean(tf.abs(tf.cast(made, tf.float32)))
        return tf.add_n(
            [
                tf.reduce_sum(tf.cast(gradient, tf.float32))
                for gradient in tape.gradient(loss, [images, *weights])
            ]
        )

    piece().numpy()  # traces the function and allocates its memory
    seconds: list[float] = []
    while len(seconds) < _REPEATS or sum(seconds) < _SECONDS:
        started = time.perf_counter()
        piece().numpy()
        seconds.append(time.perf_counter() - started)
    share = training.step_multiplications / (3 * training.block_multiplications)
    return min(seconds) * share * _STEP_OVER_PIECE
