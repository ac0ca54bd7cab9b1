"""How long does a checkpoint hold up the steps, written beside the training and in line?

    python -m benchmarks.checkpoints --output=checkpoints.json

The state is that of a CycleGAN of the paper's networks after some steps, with optimizers and pools.
A step is Adam's update of all weights and a product of matrices, so that the disk and not the
convolutions is measured. The ways take turns in one process; a round starts with no checkpoints, of
which the others' loss is a difference. "beside" is what training does; "in line" waits for each one
to be written, as before.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.hardware import keep
from tfcyclegan.system import tensorflow_setup

PACKAGES = ("tensorflow", "keras", "numpy")
NONE, BESIDE, IN_LINE = "no checkpoints", "beside", "in line"
_STEPS_BETWEEN = 50


def prepared(filters: int, side: int) -> tuple[Any, Any]:
    """A model with its pools, and a function that does a step."""
    import tensorflow as tf

    from tfcyclegan.config import TrainConfig
    from tfcyclegan.methods.factory import build_model
    from tfcyclegan.training.trainer import make_optimizer

    config = TrainConfig(
        data_dir="-", run_dir="-", max_steps=9, base_filters=filters, discriminator_filters=filters
    )
    model = build_model(config, "float32")
    length = config.length(9)
    model.compile(*[make_optimizer(config, length, 9, dynamic_scale=False) for _ in "ab"])
    model.make_pools((256, 256, 3), (256, 256, 3))
    matrix = tf.random.uniform([side, side])

    @tf.function(autograph=False)
    def step() -> tf.Tensor:
        for optimizer, variables in (
            (model.generator_optimizer, model.generator_variables),
            (model.discriminator_optimizer, model.discriminator_variables),
        ):
            gradients = [tf.fill(tf.shape(each.value), 1e-3) for each in variables]
            optimizer.apply_if_finite(tf.zeros([]), gradients, variables)
        model.step.assign_add(1)
        return tf.reduce_sum(tf.matmul(matrix, matrix))

    step()
    return model, step


def seconds(way: str, model: Any, step: Any, steps: int, every: int) -> tuple[float, float]:
    """The time of that many steps, with a checkpoint after the first of each `every`, and the
    state's bytes.
    """
    from tfcyclegan.training.checkpoints import Checkpoints
    from tfcyclegan.training.history import Window

    with tempfile.TemporaryDirectory() as place:
        checkpoints = Checkpoints(Path(place), model, Window(3), keep=1)
        started = time.perf_counter()
        for number in range(1, steps + 1):
            step().numpy()
            checkpoints.check()
            if way != NONE and number % every == 1:
                checkpoints.save()
                if way == IN_LINE:
                    checkpoints.wait()
        took = time.perf_counter() - started
        checkpoints.wait()
        return took, sum(path.stat().st_size for path in Path(place).iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--filters", type=int, default=64, help="of all networks")
    parser.add_argument("--side", type=int, default=2000, help="of the matrices")
    parser.add_argument("--steps", type=int, default=40, help="of each way in a round")
    parser.add_argument("--every", type=int, default=10, help="steps between checkpoints")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", default="", help="JSON file of the results")
    given = parser.parse_args()
    tensorflow_setup.import_tensorflow()
    model, step = prepared(given.filters, given.side)
    times: dict[str, list[float]] = {NONE: [], BESIDE: [], IN_LINE: []}
    size = 0.0
    for _ in range(given.rounds):
        for way, taken in times.items():
            took, bytes_kept = seconds(way, model, step, given.steps, given.every)
            taken.append(took)
            size = max(size, bytes_kept)
    of_step = statistics.median(times[NONE]) / given.steps
    held = {
        way: statistics.median((np.array(times[way]) - times[NONE]) * given.every / given.steps)
        for way in (BESIDE, IN_LINE)
    }
    table = Table(
        *("way", "seconds a checkpoint", f"of {_STEPS_BETWEEN} steps"),
        title=f"{size / 1e6:.0f} MB, steps of {of_step:.2f} s",
    )
    for way, each in held.items():
        table.add_row(way, f"{each:.2f}", f"{100 * each / (_STEPS_BETWEEN * of_step):.1f} %")
    Console(width=100).print(table)
    keep({"times": times, "held_seconds": held, "step_seconds": of_step}, given, PACKAGES)


if __name__ == "__main__":
    main()
