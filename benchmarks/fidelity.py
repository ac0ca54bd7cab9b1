"""Is this the official CycleGAN, CUT, pix2pix? Replays numbers that the official programs computed
and prints the differences.

    python -m benchmarks.fidelity --golden tests/golden

`tests/golden/README.md` describes the layout of the directory; cases are found by file and key
names. "Difference" is max|ours - theirs| / max|theirs| per tensor. Networks and steps run in
float64; the float32 rows show the path that training takes. The steps are `Method.train_step`
itself: only weights, batches, dtype and draws are injected. Trajectories name their method in
`meta`. Exits with 1 if a bound is exceeded, 2 if the directory holds no case.
"""

import argparse
import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks import fidelity_one_way
from benchmarks.golden import BARS, Row, below, meta_of, nhwc, relative_difference
from tfcyclegan.interop.official import make_network
from tfcyclegan.methods.cyclegan import CycleGAN
from tfcyclegan.networks import InstanceNormalization
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.optimization.schedules import EpochRates, rate_factor

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


def network_rows(path: Path) -> Iterator[Row]:
    arrays = dict(np.load(path))
    for case in dict.fromkeys(key.split("/")[0] for key in arrays):
        state = below(arrays, f"{case}/weights/")
        image, output = nhwc(arrays[f"{case}/input_nchw"]), nhwc(arrays[f"{case}/output_nchw"])
        for dtype, bar in (("float64", "network"), ("float32", "network float32")):
            network = make_network(state, dtype=dtype)
            ours = network(tf.constant(image, dtype), training=False)
            yield Row(f"{path.name}: {case} {dtype}", relative_difference(ours, output), BARS[bar])


def recorded_draws(
    decisions: dict[str, list[list[tuple[str, float]]]], size: int, batch: int
) -> Any:
    """The official pool's random draws, as the `pool_draws` of a CycleGAN.

    Draws exist only where the pool needed them: 'u' decides whether to swap, then 'i' selects the
    slot; there are none while the pool fills.
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
    """Replays a trajectory and yields (part, largest relative difference, bound)."""
    meta = meta_of(arrays)
    networks = {
        ours: make_network(below(arrays, f"start/{theirs}/"), dtype="float64")
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
                max(fidelity_one_way.gradient_differences(model, arrays, NETWORKS)),
                "gradients",
            )
    yield f"losses of {len(arrays['losses'])} steps", worst, "losses"
    yield (
        "end weights",
        max(fidelity_one_way.weight_differences(model, arrays, NETWORKS)),
        "weights",
    )


def trajectory_rows(path: Path) -> Iterator[Row]:
    arrays = dict(np.load(path))
    one_way = fidelity_one_way.is_one_way(meta_of(arrays))
    for part, difference, bar in (fidelity_one_way.replay if one_way else replay)(arrays):
        yield Row(f"{path.name}: {part}", difference, BARS[bar])


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
        yield Row(f"{path.name}: {name}", relative_difference(ours, rates), BARS["rates"])


def normalization_rows(path: Path) -> Iterator[Row]:
    """tensorflow-addons' InstanceNormalization: outputs and input gradients, on both of our code
    paths.
    """
    arrays = dict(np.load(path))
    for case in dict.fromkeys(key.split("/")[0] for key in arrays if "/" in key):
        values = below(arrays, f"{case}/")
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
                f"{path.name}: {case} {'moments' if tflite_ops else 'fused'}", worst, BARS["norm"]
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


def reader_of(path: Path) -> Callable[[Path], Iterator[Row]] | None:
    """The reader of a file, by the names of its arrays; None if the file is not a case of its
    own.
    """
    if path.suffix == ".pth":
        return pth_rows if path.with_name(f"{path.stem}_io.npz").is_file() else None
    keys = np.load(path).files
    if "losses" in keys and any(key.startswith("start/") for key in keys):
        return trajectory_rows
    if any(key.endswith("/q") for key in keys):
        return fidelity_one_way.patch_nce_rows
    if any(key.endswith(("/meta", "/filt")) for key in keys):
        return fidelity_one_way.network_rows
    if any("/weights/" in key for key in keys):
        return network_rows
    if "learning_rates" in path.stem:
        return rate_rows
    return normalization_rows if path.stem == "tfa_instance_normalization" else None


def find_rows(golden: Path) -> Iterator[Row]:
    """All comparisons that the files in `golden` allow."""
    for path in sorted([*golden.glob("*.npz"), *golden.glob("*.pth")]):
        if reader := reader_of(path):
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
