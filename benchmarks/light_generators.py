"""How many operations and weights do small generators have, and how fast does LiteRT run them?

    python -m benchmarks.light_generators --output=light.json

The paper's generator, a teacher and the students of `benchmarks.distill_quality`, with random
weights, on which speed does not depend (what quality they keep, that benchmark tells). All run in
turns, in random order; ratios to the paper's generator are taken within a round.
"""

import argparse
import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks.distill_quality import SIZES
from benchmarks.hardware import keep
from benchmarks.inference import measure
from tfcyclegan.config import Size
from tfcyclegan.exporting import tflite
from tfcyclegan.networks import Generator, make_generator
from tfcyclegan.system.progress import track

PACKAGES = ("tensorflow", "keras", "ai-edge-litert")
VARIANTS = ("float32", "dynamic_int8", "int8")
BLOCKS = 9


@dataclass(frozen=True)
class Kind:
    """A generator with `BLOCKS` residual blocks."""

    name: str
    filters: int
    separable: bool = True
    upsampling: str = "resize"

    def make(self) -> Generator:
        return make_generator(
            f"resnet_{BLOCKS}blocks",
            base_filters=self.filters,
            separable=self.separable,
            upsampling=self.upsampling,
            seed=0,
        )


PAPER = Kind("64 filters, the paper's", 64, False, "transposed")
KINDS = (
    PAPER,
    Kind("32 filters", 32, False),
    *(Kind(f"{filters} filters, separable", filters) for filters in SIZES),
)


def multiply_adds(operation: tf.Operation) -> int:
    """Multiplications with an addition of a convolution in a graph; 0 of everything else."""
    outputs, inputs = operation.outputs, operation.inputs
    match operation.type:
        case "Conv2D":
            return math.prod(outputs[0].shape) * math.prod(inputs[1].shape[:3])
        case "DepthwiseConv2dNative":
            return math.prod(outputs[0].shape) * math.prod(inputs[1].shape[:2])
        case "Conv2DBackpropInput":
            return math.prod(inputs[2].shape) * math.prod(inputs[1].shape[:3])
        case "Conv2DBackpropFilter":
            return math.prod(inputs[2].shape) * math.prod(outputs[0].shape[:3])
    return 0


def operations_of(generator: Generator, side: int) -> int:
    """Multiply-adds for a picture of side x side."""
    call = tf.function(generator, autograph=False)
    traced = call.get_concrete_function(tf.TensorSpec([1, side, side, 3]))
    return sum(map(multiply_adds, traced.graph.get_operations()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=256, help="side of the picture")
    parser.add_argument("--threads", type=int, default=2, help="threads of LiteRT")
    parser.add_argument("--rounds", type=int, default=20, help="times that each file runs")
    parser.add_argument("--output", default="", help="JSON file of the results")
    given = parser.parse_args()
    size = Size(given.size, given.size)
    draw = np.random.default_rng(0)
    pictures = draw.uniform(-1, 1, (2, given.size, given.size, 3)).astype(np.float32)
    rows, programs = {}, {}
    for kind in track(KINDS, total=len(KINDS), unit="generator", label="converting"):
        generator = kind.make()
        rows[kind.name] = {
            "gmac": operations_of(generator, given.size) / 1e9,
            "weights": generator.count_params(),
        }
        for variant in VARIANTS:
            content = tflite.convert(generator, variant, size, list(pictures))
            programs[kind.name, variant] = tflite.Program(content, threads=given.threads)
    named = {f"{name}/{variant}": run for (name, variant), run in programs.items()}
    seconds = measure(named, pictures[:1], given.rounds)
    table = Table("generator", "GMAC", "weights", *(f"{v}, ms (ratio)" for v in VARIANTS))
    for name, row in rows.items():
        cells = []
        for variant in VARIANTS:
            own, paper = (seconds[f"{each}/{variant}"] for each in (name, PAPER.name))
            row[variant] = {
                "ms": float(np.median(own) * 1000),
                "ratio": float(np.median(own / paper)),
            }
            cells.append(f"{row[variant]['ms']:.1f} ({row[variant]['ratio']:.3f})")
        table.add_row(name, f"{row['gmac']:.2f}", f"{row['weights']:,}", *cells)
    Console(width=130).print(table)
    keep(rows, given, PACKAGES)


if __name__ == "__main__":
    main()
