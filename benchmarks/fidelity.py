"""Is this the official CycleGAN? Replays numbers that the official program computed and prints the
differences.

    python -m benchmarks.fidelity --golden tests/golden

The directory is laid out as `tests/golden/README.md` says; cases are found by file and key names.
"Difference" is max|ours - theirs| / max|theirs| per tensor. Networks and steps run in float64; the
float32 rows show the path that training takes. The steps are `CycleGAN.train_step` itself: only
weights, batches, dtype and pool draws are injected. Exits with 1 when a bar is missed, 2 when the
directory holds no case.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from tfcyclegan.interop.official import biases_before_instance_norm, make_network, save_state_dict
from tfcyclegan.methods.cyclegan import CycleGAN
from tfcyclegan.networks import InstanceNormalization
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.optimization.schedules import EpochRates, rate_factor

BARS = {
    "network": 1e-9,
    "network float32": 1e-4,
    "losses": 1e-7,
    "gradients": 1e-7,
    "images": 1e-9,
    "weights": 1e-6,
    "rates": 1e-12,
    "norm": 1e-5,
}

# The official names of networks and losses, which judge and count the other way round: D_A there is
# disc_b here.
NETWORKS = {"G_A": "gen_ab", "G_B": "gen_ba", "D_A": "disc_b", "D_B": "disc_a"}
LOSS_NAMES = {
    "D_A": "disc_b",
    "G_A": "gan_ab",
    "cycle_A": "cycle_a",
    "idt_A": "identity_b",
    "D_B": "disc_a",
    "G_B": "gan_ba",
    "cycle_B": "cycle_b",
    "idt_B": "identity_a",
}


@dataclass(frozen=True)
class Row:
    """One comparison: `difference` is the largest of its tensors."""

    case: str
    difference: float
    bar: float

    @property
    def ok(self) -> bool:
        return self.difference <= self.bar


def relative_difference(ours: Any, theirs: Any) -> float:
    """max|ours - theirs| / max|theirs|; infinite where shapes differ or a value is not finite."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape or not np.isfinite(ours).all():
        return float("inf")
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), np.finfo(np.float64).tiny))


def nhwc(array: np.ndarray) -> np.ndarray:
    return np.transpose(array, (0, 2, 3, 1))


def _below(arrays: Any, prefix: str) -> dict[str, np.ndarray]:
    return {key[len(prefix) :]: arrays[key] for key in arrays if key.startswith(prefix)}


def network_rows(path: Path) -> Iterator[Row]:
    arrays = dict(np.load(path))
    for case in dict.fromkeys(key.split("/")[0] for key in arrays):
        state = _below(arrays, f"{case}/weights/")
        image, output = nhwc(arrays[f"{case}/input_nchw"]), nhwc(arrays[f"{case}/output_nchw"])
        for dtype, bar in (("float64", "network"), ("float32", "network float32")):
            network = make_network(state, dtype=dtype)
            ours = network(tf.constant(image, dtype), training=False)
            yield Row(f"{case} {dtype}", relative_difference(ours, output), BARS[bar])


def recorded_draws(
    decisions: dict[str, list[list[tuple[str, float]]]], size: int, batch: int
) -> Any:
    """The official pool's random draws as the `pool_draws` of a CycleGAN.

    They were drawn only where needed: 'u' decides whether to swap, then 'i' names the slot; none
    while the pool fills.
    """
    steps = len(decisions["A"])
    chances, slots = np.zeros([2, steps, batch]), np.zeros([2, steps, batch], np.int64)
    for domain, name in enumerate("AB"):
        for step, draws in enumerate(decisions[name]):
            # draws begin with the image that finds the pool full
            index = min(max(0, size - step * batch), batch) - 1
            for kind, value in draws:
                if kind == "u":
                    index += 1
                    chances[domain, step, index] = value
                else:
                    slots[domain, step, index] = int(value)
    table, slot_table = tf.constant(chances), tf.constant(slots)
    return lambda step, domain, replica, images: (
        tf.gather(table[domain], step),
        tf.gather(slot_table[domain], step),
    )


def replay(arrays: dict[str, Any]) -> Iterator[tuple[str, float, str]]:
    """Runs a trajectory and yields (part, largest relative difference, bar)."""
    meta = ast.literal_eval(str(arrays["meta"]))
    networks = {
        ours: make_network(_below(arrays, f"start/{theirs}/"), dtype="float64")
        for theirs, ours in NETWORKS.items()
    }
    draws = None
    if meta["pool_size"]:
        draws = recorded_draws(
            ast.literal_eval(str(arrays["pool_decisions"])), meta["pool_size"], meta["batch"]
        )
    model = CycleGAN(
        **networks,
        gan_mode=meta["gan_mode"],
        lambda_a=meta["lambda_A"],
        lambda_b=meta["lambda_B"],
        lambda_identity=meta["lambda_identity"],
        pool_size=meta["pool_size"],
        pool_draws=draws,
    )
    # Keras keeps a plain number as float32
    rate = EpochRates([meta["lr"]], epoch_images=1, batch_size=1)
    model.compile(Adam(rate, meta["beta1"]), Adam(rate, meta["beta1"]))
    shapes = [nhwc(arrays[f"step0/real_{domain}_nchw"]).shape[1:] for domain in "AB"]
    model.make_pools(*shapes)
    first = [tf.constant(nhwc(arrays[f"step0/real_{domain}_nchw"]), tf.float64) for domain in "AB"]
    if "step0/fake_B_nchw" in arrays:
        fake_b = model.gen_ab(first[0])
        yield (
            "step-0 fake_b",
            relative_difference(fake_b, nhwc(arrays["step0/fake_B_nchw"])),
            "images",
        )
        if "step0/rec_A_nchw" in arrays:
            yield (
                "step-0 cycled_a",
                relative_difference(model.gen_ba(fake_b), nhwc(arrays["step0/rec_A_nchw"])),
                "images",
            )
    step_function = tf.function(model.train_step, autograph=False)
    names = [str(name) for name in arrays["loss_names"]]
    worst = 0.0
    for step, reference in enumerate(arrays["losses"]):
        batch = tuple(
            tf.constant(nhwc(arrays[f"step{step}/real_{domain}_nchw"]), tf.float64)
            for domain in "AB"
        )
        values = step_function(batch)
        for name, theirs in zip(names, reference, strict=True):
            ours = float(values[LOSS_NAMES[name]])
            worst = max(
                worst,
                abs(ours - theirs) / max(abs(theirs), np.finfo(np.float64).tiny)
                if theirs
                else abs(ours),
            )
        if step == 0 and any(key.startswith("step0/grad/") for key in arrays):
            yield (
                "step-0 gradients",
                max(_gradient_differences(model, arrays, meta["beta1"])),
                "gradients",
            )
    yield f"losses of {len(arrays['losses'])} steps", worst, "losses"
    yield "end weights", max(_weight_differences(model, arrays)), "weights"


def _gradient_differences(
    model: CycleGAN, arrays: dict[str, Any], beta_1: float
) -> Iterator[float]:
    """After one Adam step the first moment is (1 - beta_1) times the gradient."""
    for theirs, ours in NETWORKS.items():
        network = getattr(model, ours)
        is_generator = ours.startswith("gen")
        optimizer = model.generator_optimizer if is_generator else model.discriminator_optimizer
        variables = model.generator_variables if is_generator else model.discriminator_variables
        weights = network.get_weights()
        index = next(
            i for i, variable in enumerate(variables) if variable is network.trainable_variables[0]
        )
        count = len(network.trainable_variables)
        gradients = [
            np.asarray(moment) / (1 - beta_1)
            for moment in optimizer._momentums[index : index + count]
        ]
        network.set_weights(gradients)
        state = save_state_dict(network)
        network.set_weights(weights)
        skipped = biases_before_instance_norm(network)
        for key, reference in _below(arrays, f"step0/grad/{theirs}/").items():
            if key not in skipped:
                yield relative_difference(state[key], reference)


def _weight_differences(model: CycleGAN, arrays: dict[str, Any]) -> Iterator[float]:
    for theirs, ours in NETWORKS.items():
        network = getattr(model, ours)
        skipped = biases_before_instance_norm(network)
        state = save_state_dict(network)
        for key, reference in _below(arrays, f"end/{theirs}/").items():
            # the count of batches that PyTorch's batch norm keeps is not ours to have
            if key not in skipped and key in state:
                yield relative_difference(state[key], reference)


def trajectory_rows(path: Path) -> Iterator[Row]:
    for part, difference, bar in replay(dict(np.load(path))):
        yield Row(f"{path.stem}: {part}", difference, BARS[bar])


def rate_rows(path: Path) -> Iterator[Row]:
    for name, rates in np.load(path).items():
        numbers = [int(number) for number in re.findall(r"_(\d+)", name)] or [4, 4]
        kind = re.sub(r"(_\d+)+$", "", name)
        kind = {"cosine": "cosine_official"}.get(kind, kind)
        epochs, decay_epochs = (numbers * 2)[:2]
        lengths = {
            "epochs": epochs,
            "decay_epochs": decay_epochs,
            "step_epochs": numbers[0] if re.search(r"_\d", name) else 3,
        }
        base = rates[0] / rate_factor(kind, 0, **lengths)
        ours = [base * rate_factor(kind, epoch, **lengths) for epoch in range(len(rates))]
        yield Row(f"{path.stem}: {name}", relative_difference(ours, rates), BARS["rates"])


def normalization_rows(path: Path) -> Iterator[Row]:
    """tensorflow-addons' InstanceNormalization: outputs and input gradients, on both of our
    paths.
    """
    arrays = dict(np.load(path))
    for case in dict.fromkeys(key.split("/")[0] for key in arrays if "/" in key):
        values = _below(arrays, f"{case}/")
        epsilon = 1e-3 if case == "default" else 1e-5
        for tflite_ops in (False, True):
            layer = InstanceNormalization(
                values["input"].shape[-1],
                epsilon=epsilon,
                affine="gamma" in values,
                tflite_ops=tflite_ops,
            )
            for name in ("gamma", "beta"):
                if name in values:
                    getattr(layer, name).assign(values[name])
            image = tf.constant(values["input"])
            with tf.GradientTape() as tape:
                tape.watch(image)
                output = layer(image)
            gradient = tape.gradient(output, image, tf.constant(values["upstream"]))
            worst = max(
                relative_difference(output, values["output"]),
                relative_difference(gradient, values["input_gradient"]),
            )
            yield Row(
                f"{path.stem}: {case} {'moments' if tflite_ops else 'fused'}", worst, BARS["norm"]
            )


def pth_rows(path: Path) -> Iterator[Row]:
    from tfcyclegan.interop.pytorch import read_state_dict

    io = np.load(path.with_name(f"{path.stem}_io.npz"))
    network = make_network(read_state_dict(path).state)
    yield Row(
        path.name,
        relative_difference(network(nhwc(io["input_nchw"])), nhwc(io["output_nchw"])),
        BARS["network float32"],
    )


def find_rows(golden: Path) -> Iterator[Row]:
    """All comparisons that the files of `golden` allow."""
    readers = {
        "networks*.npz": network_rows,
        "trajectory_*.npz": trajectory_rows,
        "learning_rates.npz": rate_rows,
        "tfa_instance_normalization.npz": normalization_rows,
        "latest_net_*.pth": pth_rows,
    }
    for pattern, reader in readers.items():
        for path in sorted(golden.glob(pattern)):
            yield from reader(path)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fidelity", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--golden", type=Path, required=True, help="directory with the official program's numbers"
    )
    golden = parser.parse_args(arguments).golden
    keras.config.disable_traceback_filtering()
    table = Table("case", "largest relative difference", "bar", "ok")
    rows = list(find_rows(golden))
    for row in rows:
        table.add_row(
            row.case, f"{row.difference:.2e}", f"{row.bar:.0e}", "yes" if row.ok else "NO"
        )
    Console(width=120).print(table)
    if not rows:
        print(
            f"{golden}: no case found; expected networks.npz, trajectory_*.npz, latest_net_*.pth "
            "...",
            file=sys.stderr,
        )
        return 2
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
