"""How long do the gradients of single convolutions take: TensorFlow's, and ours for machines
without oneDNN?

    python -m benchmarks.convolutions --output=convolutions.json
    TF_ENABLE_ONEDNN_OPTS=0 python -m benchmarks.convolutions

The second command measures on any machine what happens on one without AVX-512 VNNI, though with
wider registers. The layers are those of stride 1 in the paper's networks at 256x256 and in the
demo's at 64x64. Per layer both ways run in turns in one process, float32, and the ratio is the
median over rounds of the ratio within a round.
"""

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from benchmarks.hardware import keep
from tfcyclegan.system import tensorflow_setup
from tfcyclegan.system.progress import log, track

PACKAGES = ("tensorflow", "numpy")
LAYERS = {  # kernel, channels in and out, the output's side
    "paper: first, 7x7": (7, 3, 64, 256),
    "paper: residual, 3x3": (3, 256, 256, 64),
    "paper: upsampling by resizing, 3x3": (3, 128, 64, 256),
    "paper: last, 7x7": (7, 64, 3, 256),
    "paper: discriminator, fourth, 4x4": (4, 256, 512, 31),
    "paper: discriminator, last, 4x4": (4, 512, 1, 30),
    "demo: first, 7x7": (7, 3, 16, 64),
    "demo: residual, 3x3": (3, 64, 64, 16),
    "demo: last, 7x7": (7, 16, 3, 64),
}


def prepared(
    length: int, source: int, target: int, side: int, batch: int
) -> tuple[float, dict[str, Callable[[], float]]]:
    """Operations of a gradient pass, and for each way a function that times one such pass."""
    import tensorflow as tf

    from tfcyclegan.networks.convolution import conv2d, tensorflow_gradients

    within = side + length - 1
    x = tf.random.normal([batch, within, within, source])
    kernel = tf.random.normal([length, length, source, target])
    upstream = tf.random.normal([batch, side, side, target])

    def timed(
        context: Callable[[], contextlib.AbstractContextManager[None]],
    ) -> Callable[[], float]:
        @tf.function(autograph=False)
        def gradients(
            x: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            with context(), tf.GradientTape() as tape:
                tape.watch([x, kernel])
                y = conv2d(x, kernel)
            # the layer itself is not computed: no gradient needs its output
            of_input, of_kernel = tape.gradient(y, [x, kernel], upstream)
            return of_input, of_kernel

        def once() -> float:
            started = time.perf_counter()
            for each in gradients(x, kernel, upstream):
                each.numpy()
            return time.perf_counter() - started

        once()
        return once

    operations = 4 * batch * side * side * length * length * source * target
    return operations, {
        "TensorFlow": timed(tensorflow_gradients),
        "ours": timed(contextlib.nullcontext),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=1, help="pictures")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", default="", help="JSON file of the results")
    given = parser.parse_args()
    tensorflow_setup.import_tensorflow()
    from tfcyclegan.networks.convolution import by_eigen

    log("by Eigen" if by_eigen() else "by oneDNN or a GPU: both ways are TensorFlow's")
    results = {}
    table = Table("layer", "TensorFlow, ms", "ours, ms", "ratio", "ours, GFLOP/s")
    for name, layer in track(LAYERS.items(), total=len(LAYERS), unit="layer", label="measuring"):
        operations, ways = prepared(*layer, given.batch)
        rounds = [{way: once() for way, once in ways.items()} for _ in range(given.rounds)]
        theirs, ours = (1e3 * statistics.median(each[way] for each in rounds) for way in ways)
        ratio = statistics.median(each["ours"] / each["TensorFlow"] for each in rounds)
        table.add_row(
            name, f"{theirs:.1f}", f"{ours:.1f}", f"{ratio:.2f}", f"{operations / ours / 1e6:.0f}"
        )
        results[name] = {"seconds": rounds, "ratio": ratio, "operations": operations}
    Console(width=100).print(table)
    keep(results, given, PACKAGES)


if __name__ == "__main__":
    main()
