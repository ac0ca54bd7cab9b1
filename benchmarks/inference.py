"""How fast does each runtime translate one picture with the paper's generator? All run alternately
in one process.

    pip install 'tfcyclegan[bench]'
    OMP_WAIT_POLICY=passive python -m benchmarks.inference --output=inference.json

(Passive: otherwise, on a busy machine, PyTorch's threads waste several times the computation by
waiting for each other.)

The weights are random and the same everywhere: speed does not depend on them, quality does
(`tfcyclegan export` measures that on trained ones). Before anything is timed, each program's output
is compared with the Keras generator's. In each round every program runs once, in random order, so
that other load on the machine affects all equally; the ratio to PyTorch is the median over rounds
of the ratio within a round.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import tensorflow as tf
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.hardware import machine
from benchmarks.torch_reference import Resnet
from tfcyclegan.config import Size
from tfcyclegan.exporting import saved_model, tflite
from tfcyclegan.exporting.tflite_converters import VARIANTS
from tfcyclegan.interop.official import save_state_dict
from tfcyclegan.networks import Generator, make_generator
from tfcyclegan.system import files
from tfcyclegan.system.progress import log, track
from tfcyclegan.system.tensorflow_setup import silenced
from tfcyclegan.translation.translators import as_function

Runner = Callable[[np.ndarray], np.ndarray]
REFERENCE = "PyTorch eager float32"
GOALS = {"TFLite float32": 1.0, "TFLite dynamic_int8": 0.3}
PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "torch", "onnxruntime", "openvino")
_PAUSE_SECONDS = 0.1  # in which the threads of the program before stop spinning
_EXACT = 1e-3  # float32 programs; quantized ones are told, not held


def torch_twin(generator: Generator, blocks: int, width: int) -> Resnet:
    """The PyTorch network with the weights of `generator`."""
    twin = Resnet(blocks, width).eval()
    twin.load_state_dict(
        {
            key: torch.from_numpy(np.ascontiguousarray(value))
            for key, value in save_state_dict(generator).items()
        }
    )
    return twin


def make_runners(
    generator: Generator, twin: Resnet, size: int, threads: int, place: Path
) -> dict[str, Runner]:
    """Every way to run the generator, as functions that map float32 [1, H, W, 3] in [-1, 1] to the
    same.
    """
    runners: dict[str, Runner] = {
        REFERENCE: lambda x: _by_torch(twin, x),
        "TensorFlow graph": as_function(generator, size=Size(size, size)),
    }
    saved_model.save(generator, place / "model" / "1")
    loaded = tf.saved_model.load(str(place / "model" / "1"))
    runners["SavedModel"] = lambda x: loaded.signatures[saved_model.TENSOR_SIGNATURE](
        images=tf.constant(x)
    )["images"].numpy()
    onnx = place / "generator.onnx"
    with silenced():
        torch.onnx.export(
            twin, (torch.zeros(1, 3, size, size),), str(onnx), input_names=["images"], dynamo=False
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    runners["ONNX Runtime"] = lambda x: _channels_last(
        session.run(None, {"images": _channels_first(x)})[0]
    )
    for precision in ("f32", "bf16"):
        hints = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        runners[f"OpenVINO {precision}"] = _by_openvino(
            openvino.Core().compile_model(str(onnx), "CPU", hints)
        )
    calibration = np.random.default_rng(1).uniform(-1, 1, (2, size, size, 3)).astype(np.float32)
    for variant in track(VARIANTS, total=len(VARIANTS), unit="file", label="converting to TFLite"):
        content = tflite.convert(generator, variant, Size(size, size), list(calibration))
        runners[f"TFLite {variant}"] = tflite.Program(content, threads=threads)
    return runners


def _channels_first(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def _channels_last(x: np.ndarray) -> np.ndarray:
    return x.transpose(0, 2, 3, 1)


def _by_torch(twin: Resnet, x: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return _channels_last(twin(torch.from_numpy(_channels_first(x))).numpy())


def _by_openvino(compiled: openvino.CompiledModel) -> Runner:
    return lambda x: _channels_last(compiled(_channels_first(x))[0])


def measure(runners: Mapping[str, Runner], image: np.ndarray, rounds: int) -> dict[str, np.ndarray]:
    """Seconds of each runner, [rounds], after two warm-up rounds."""
    names, order = list(runners), np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for index in track(range(rounds + 2), total=rounds + 2, unit="round", label="timing"):
        for name in order.permutation(names):
            time.sleep(_PAUSE_SECONDS)
            started = time.perf_counter()
            runners[name](image)
            if index >= 2:
                seconds[name].append(time.perf_counter() - started)
    return {name: np.array(values) for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=256, help="side of the picture")
    parser.add_argument("--blocks", type=int, default=9, help="residual blocks")
    parser.add_argument("--filters", type=int, default=64, help="filters of the first convolution")
    parser.add_argument("--threads", type=int, default=2, help="threads of every program")
    parser.add_argument("--rounds", type=int, default=20, help="times that each program runs")
    parser.add_argument("--output", default="", help="JSON file of the results")
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    torch.set_num_threads(given.threads)
    before = machine(PACKAGES)

    # a gain at which features neither vanish nor burst in 9 blocks of random weights
    generator = make_generator(
        f"resnet_{given.blocks}blocks", base_filters=given.filters, init_gain=0.02, seed=0
    )
    twin = torch_twin(generator, given.blocks, given.filters)
    image = (
        np.random.default_rng(0).uniform(-1, 1, (1, given.size, given.size, 3)).astype(np.float32)
    )
    with tempfile.TemporaryDirectory() as place:
        runners = make_runners(generator, twin, given.size, given.threads, Path(place))
        expected = runners["TensorFlow graph"](image)
        differences = {
            name: float(np.abs(runner(image) - expected).max()) for name, runner in runners.items()
        }
        apart = [
            name
            for name in (REFERENCE, "SavedModel", "ONNX Runtime", "OpenVINO f32", "TFLite float32")
            if differences[name] > _EXACT
        ]
        assert not apart, (
            "not the same mathematics: "
            f"{', '.join(f'{name} differs by {differences[name]:.2g}' for name in apart)}"
        )
        seconds = measure(runners, image, given.rounds)

    results = {
        name: {
            "median_ms": float(np.median(times) * 1000),
            "fastest_ms": float(times.min() * 1000),
            "ratio": float(np.median(times / seconds[REFERENCE])),
            "difference": differences[name],
        }
        for name, times in seconds.items()
    }
    title = (
        f"resnet_{given.blocks}blocks, {given.filters} filters, {given.size}x{given.size}, "
        f"batch 1, {given.threads} threads"
    )
    table = Table(
        "program",
        "median ms",
        "fastest ms",
        f"ratio to {REFERENCE}",
        "goal",
        "largest difference",
        title=title,
    )
    for name, row in results.items():
        goal = (
            f"{'reached' if row['ratio'] <= GOALS[name] else 'MISSED'}: {GOALS[name]}"
            if name in GOALS
            else ""
        )
        numbers = (
            f"{row['median_ms']:.0f}",
            f"{row['fastest_ms']:.0f}",
            f"{row['ratio']:.2f}",
            goal,
            f"{row['difference']:.1e}",
        )
        table.add_row(name, *numbers)
    Console(width=130).print(table)
    after = machine(PACKAGES)
    log(
        f"{after['cpu']} ({', '.join(after['instructions'])}), load "
        f"{before['load_average'][0]:.1f} to {after['load_average'][0]:.1f}"
    )
    if given.output:
        files.write_json(
            Path(given.output),
            {
                "arguments": vars(given),
                "machine": after,
                "load_before": before["load_average"],
                "results": results,
            },
        )


if __name__ == "__main__":
    main()
