"""Replays numbers that the official programs of CUT, FastCUT and pix2pix computed; see
`fidelity`.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.golden import BARS, Row, below, meta_of, nhwc, relative_difference
from tfcyclegan.interop.official import (
    biases_before_instance_norm,
    make_network,
    save_state_dict,
)
from tfcyclegan.losses import contrastive_losses, generator_loss
from tfcyclegan.methods.base import Method
from tfcyclegan.methods.cut import CUT
from tfcyclegan.methods.pix2pix import Pix2Pix
from tfcyclegan.networks import Discriminator
from tfcyclegan.networks.antialiasing import BlurDown, BlurUp
from tfcyclegan.networks.patch_sampler import unit_vectors
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.optimization.schedules import EpochRates

NETWORKS = {"G": "gen_ab", "F": "patch_sampler", "D": "disc_b"}


def is_one_way(meta: Mapping[str, Any]) -> bool:
    """Whether a trajectory is of CUT, FastCUT or pix2pix."""
    return "CUT_mode" in meta or "lambda_L1" in meta


def network_rows(path: Path) -> Iterator[Row]:
    """CUT's networks and blurs: outputs, features, patch vectors, gradients of blurs."""
    arrays = dict(np.load(path))
    for case in dict.fromkeys(key.split("/")[0] for key in arrays):
        values = below(arrays, f"{case}/")
        parts = _blur_parts(values) if "filt" in values else _network_parts(values)
        for part, ours, theirs in parts:
            difference = relative_difference(ours, theirs)
            yield Row(f"{path.name}: {case} {part}", difference, BARS["network"])


def _network_parts(values: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    network = make_network(below(values, "weights/"), dtype="float64")
    image = tf.constant(nhwc(values["input_nchw"]), tf.float64)
    yield "output", network(image), nhwc(values["output_nchw"])
    layers = meta_of(values).get("nce_layers")
    if layers is None:
        return
    features = network.features(image, layers)
    for layer, ours in zip(layers, features, strict=True):
        yield f"features {layer}", ours, nhwc(values[f"features/{layer}_nchw"])
    sampler = make_network(below(values, "f_weights/"), dtype="float64")
    ids = [tf.constant(values[f"patch_ids/{index}"]) for index in range(len(layers))]
    for index, ours in enumerate(sampler(features, ids)):
        yield f"patches {layers[index]}", ours, values[f"patches/{index}"]


def _blur_parts(values: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    image = tf.constant(nhwc(values["input_nchw"]), tf.float64)
    upstream = tf.constant(nhwc(values["upstream_nchw"]), tf.float64)
    kind = BlurDown if upstream.shape[1] < image.shape[1] else BlurUp
    layer = kind(image.shape[-1], dtype="float64")
    with tf.GradientTape() as tape:
        tape.watch(image)
        output = layer(image)
    yield "output", output, nhwc(values["output_nchw"])
    yield (
        "gradient",
        tape.gradient(output, image, upstream),
        nhwc(values["input_gradient_nchw"]),
    )


def patch_nce_rows(path: Path) -> Iterator[Row]:
    """PatchNCE and the unit vectors, each with its gradient."""
    arrays = dict(np.load(path))
    for case in dict.fromkeys(key.split("/")[0] for key in arrays):
        values = below(arrays, f"{case}/")
        for part, ours, theirs in (_nce_parts if "q" in values else _unit_parts)(values):
            if np.any(theirs):
                difference = relative_difference(ours, theirs)
            else:
                difference = float(np.abs(ours).max())
            yield Row(f"{path.name}: {case} {part}", difference, BARS["one-way losses"])


def _nce_parts(values: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    meta = meta_of(values)
    groups = 1 if meta["nce_includes_all_negatives_from_minibatch"] else meta["batch_size"]
    queries, keys = (tf.constant(values[name], tf.float64) for name in "qk")
    with tf.GradientTape() as tape:
        tape.watch(queries)
        losses = contrastive_losses(queries, keys, groups=groups, temperature=meta["nce_T"])
        mean = tf.reduce_mean(losses)
    yield "losses", losses, values["loss"]
    yield "mean", mean, values["mean"]
    yield "gradient", tape.gradient(mean, queries), values["grad_q"]


def _unit_parts(values: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    vectors = tf.constant(values["input"], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        output = unit_vectors(vectors)
    gradient = tape.gradient(output, vectors, tf.constant(values["upstream"], tf.float64))
    yield "output", output, values["output"]
    # Each row by itself, since they differ by powers of ten; that of 0 is NaN in the program.
    for row in np.flatnonzero(np.isfinite(values["input_gradient"]).all(axis=1)):
        yield f"gradient {row}", gradient[row], values["input_gradient"][row]


class _RecordedCUT(CUT):
    """CUT with the recorded draws of a trajectory."""

    def __init__(self, arrays: dict[str, Any], **options: Any):
        super().__init__(**options)
        steps = range(len(arrays["losses"]))
        self._coins = tf.constant(arrays.get("flipped", np.zeros(len(steps), bool)))
        self._ids = {
            (domain, index): tf.stack(
                [tf.constant(arrays[f"step{step}/patch_ids/{term}/{index}"]) for step in steps]
            )
            for domain, term in (("a", "NCE"), ("b", "NCE_Y"))
            for index in range(len(self.nce_layers))
            if f"step0/patch_ids/{term}/{index}" in arrays
        }

    def is_mirrored(self) -> tf.Tensor:
        return tf.gather(self._coins, self.step.value)

    def patch_positions(self, domain: str, index: int, pixels: Any) -> tf.Tensor:
        return tf.gather(self._ids[domain, index], self.step.value)


class _RecordedDropout:
    """Replaces a dropout layer and drops what another program dropped in each step.

    Args:
        masks: what is kept, [steps, B, H, W, C].
        step: index of the step.
    """

    def __init__(self, masks: np.ndarray, step: Any):
        self._masks, self._step = tf.constant(masks, tf.float64), step

    def __call__(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        return 2 * x * tf.gather(self._masks, tf.convert_to_tensor(self._step)) if training else x


def replay(arrays: dict[str, Any]) -> Iterator[tuple[str, float, str]]:
    """Replays a trajectory and yields (part, largest relative difference, bound)."""
    meta = meta_of(arrays)
    networks: dict[str, Any] = {
        ours: make_network(below(arrays, f"start/{theirs}/"), dtype="float64")
        for theirs, ours in NETWORKS.items()
        if any(key.startswith(f"start/{theirs}/") for key in arrays)
    }
    model = (_cut if "CUT_mode" in meta else _pix2pix)(networks, arrays, meta)
    # Keras keeps a plain number as float32
    rate = EpochRates([meta["lr"]], epoch_images=1, batch_size=1)
    betas = meta["beta1"], meta.get("beta2", 0.999)
    model.compile(Adam(rate, *betas), Adam(rate, *betas))
    yield from _first_pictures(model, arrays)
    names = [str(name) for name in arrays["loss_names"]]
    worst = 0.0
    for step, reference in enumerate(arrays["losses"]):
        pictures = [_picture(arrays, f"step{step}/real_{domain}_nchw") for domain in "AB"]
        halves = _discriminator_halves(model, *pictures)
        ours = halves | _official_losses(model.train_step(pictures), meta)
        for name, theirs in zip(names, reference, strict=True):
            worst = max(worst, abs(ours[name] - theirs) / max(abs(theirs), 1e-300))
        if step == 0:
            yield (
                "step-0 gradients",
                max(gradient_differences(model, arrays, NETWORKS)),
                "gradients",
            )
    yield f"losses of {len(arrays['losses'])} steps", worst, "one-way losses"
    yield "end weights", max(weight_differences(model, arrays, NETWORKS)), "gradients"
    yield from _test_modes(model, arrays)


def _cut(networks: dict[str, Any], arrays: dict[str, Any], meta: dict[str, Any]) -> CUT:
    layers = meta["nce_layers"]
    return _RecordedCUT(
        arrays,
        **networks,
        gan_mode=meta["gan_mode"],
        lambda_gan=meta["lambda_GAN"],
        lambda_nce=meta["lambda_NCE"],
        nce_identity=meta["nce_idt"],
        flip_equivariance=meta["flip_equivariance"],
        nce_layers=[int(n) for n in (layers.split(",") if isinstance(layers, str) else layers)],
        num_patches=meta["num_patches"],
        nce_temperature=meta["nce_T"],
        nce_all_negatives=meta["nce_includes_all_negatives_from_minibatch"],
    )


def _pix2pix(networks: dict[str, Any], arrays: dict[str, Any], meta: dict[str, Any]) -> Pix2Pix:
    model = Pix2Pix(**networks, gan_mode=meta["gan_mode"], lambda_l1=meta["lambda_L1"])
    steps = range(len(arrays["losses"]))
    _set_dropout(model, arrays, [f"step{step}" for step in steps], model.step)
    return model


def _set_dropout(model: Method, arrays: dict[str, Any], places: list[str], step: Any) -> None:
    """Gives the generator the dropout masks stored at `places`; no dropout if there are none."""
    modules = below(arrays, f"{places[0]}/dropout/")
    layers = {
        module: _RecordedDropout(
            np.stack([nhwc(arrays[f"{place}/dropout/{module}"]) for place in places]), step
        )
        for module in modules
    }
    if isinstance(model.gen_ab.dropouts, list):
        order = sorted(layers, key=lambda module: int(module.split(".")[1]))
        model.gen_ab.dropouts = [layers[module] for module in order]
    else:  # a U-Net's modules lie in each other, one level deeper each
        model.gen_ab.dropouts = {
            str(module.count(".model.") - 1): layer for module, layer in layers.items()
        }


def _picture(arrays: dict[str, Any], key: str) -> tf.Tensor:
    return tf.constant(nhwc(arrays[key]), tf.float64)


def _seen(model: Method, real_a: tf.Tensor) -> tf.Tensor:
    """The generator's input for real_a in the current step."""
    mirrors = isinstance(model, CUT) and model.flip_equivariance and bool(model.is_mirrored())
    return tf.reverse(real_a, axis=[2]) if mirrors else real_a


def _first_pictures(model: Method, arrays: dict[str, Any]) -> Iterator[tuple[str, float, str]]:
    real_a, real_b = (_picture(arrays, f"step0/real_{domain}_nchw") for domain in "AB")
    with _Unmoved(model):
        fake = model.gen_ab(_seen(model, real_a), training=True)
        if "step0/fake_B_nchw" in arrays:
            theirs = nhwc(arrays["step0/fake_B_nchw"])
            yield "step-0 fake_b", relative_difference(fake, theirs), "images"
        if "step0/fake_B_window_nchw" in arrays:
            theirs = nhwc(arrays["step0/fake_B_window_nchw"])
            yield "step-0 fake_b", relative_difference(_window(fake, theirs), theirs), "images"
        if "step0/idt_B_nchw" in arrays:
            same = model.gen_ab(_seen(model, real_b), training=True)
            theirs = nhwc(arrays["step0/idt_B_nchw"])
            yield "step-0 identity_b", relative_difference(same, theirs), "images"


class _Unmoved:
    """Restores a model's networks on exit, including their statistics."""

    def __init__(self, model: Method):
        self._networks = list(model.networks.values())

    def __enter__(self) -> None:
        self._weights = [network.get_weights() for network in self._networks]

    def __exit__(self, *_: Any) -> None:
        for network, weights in zip(self._networks, self._weights, strict=True):
            network.set_weights(weights)


def _discriminator_halves(model: Method, real_a: tf.Tensor, real_b: tf.Tensor) -> dict[str, float]:
    """D_real and D_fake of the next step; our step reports only their mean."""
    judge: Discriminator = model.disc_b
    with _Unmoved(model):
        fake_b = model.gen_ab(_seen(model, real_a), training=True)
        shown = [real_b, fake_b]
        if isinstance(model, Pix2Pix):
            shown = [tf.concat([real_a, picture], axis=-1) for picture in shown]
        real, fake = (judge(pictures, training=True) for pictures in shown)
    against = {"lsgan": tf.square, "vanilla": tf.math.softplus}[model.gan_mode](fake)
    return {
        "D_real": float(generator_loss(model.gan_mode, real)),
        "D_fake": float(tf.reduce_mean(against)),
    }


def _official_losses(values: dict[str, tf.Tensor], meta: dict[str, Any]) -> dict[str, float]:
    """The losses with the official program's names and factors, which does not halve NCE and NCE_Y
    at this point.
    """
    ours = {name: float(value) for name, value in values.items()}
    terms = 2 if meta.get("nce_idt") else 1
    learnt = ("gan_ab", "nce_a", "nce_b", "l1_ab")
    return {
        "G_GAN": ours["gan_ab"],
        "G_L1": ours.get("l1_ab", 0.0),
        "NCE": terms * ours.get("nce_a", 0.0),
        "NCE_Y": terms * ours.get("nce_b", 0.0),
        "G": sum(ours.get(name, 0.0) for name in learnt),
        "D": ours["disc_b"],
    }


def _window(pictures: tf.Tensor, like: np.ndarray) -> tf.Tensor:
    """The centre of the pictures, of the size of `like`."""
    (height, width), (rows, columns) = pictures.shape[1:3], like.shape[1:3]
    top, left = (height - rows) // 2, (width - columns) // 2
    return pictures[:, top : top + rows, left : left + columns]


def _test_modes(model: Method, arrays: dict[str, Any]) -> Iterator[tuple[str, float, str]]:
    """Translations of the first picture by the final generator, in each mode of the official
    test.
    """
    image = _picture(arrays, "step0/real_A_nchw")
    for mode in dict.fromkeys(re.findall(r"\b(test_\w+)/output_window", " ".join(arrays))):
        theirs = nhwc(arrays[f"{mode}/output_window_nchw"])
        _set_dropout(model, arrays, [mode], tf.Variable(0))
        with _Unmoved(model):
            ours = model.gen_ab(image, training=mode != "test_eval")
        yield mode, relative_difference(_window(ours, theirs), theirs), "gradients"


def gradient_differences(
    model: Method, arrays: dict[str, Any], names: Mapping[str, str]
) -> Iterator[float]:
    """Differences of the gradients of the first step, taken from Adam's first moment, which is (1 -
    beta_1) times the gradient.
    """
    for theirs, ours in names.items():
        references = below(arrays, f"step0/grad/{theirs}/")
        if not references:
            continue
        network = getattr(model, ours)
        judges = ours.startswith("disc")
        optimizer = model.discriminator_optimizer if judges else model.generator_optimizer
        moments = {
            id(variable): np.asarray(moment) / (1 - optimizer.beta_1)
            for variable, moment in zip(
                model.discriminator_variables if judges else model.generator_variables,
                optimizer._momentums,
                strict=True,
            )
        }
        weights = network.get_weights()
        for variable in network.trainable_variables:
            variable.assign(moments[id(variable)])
        state = save_state_dict(network)
        network.set_weights(weights)
        skipped = _without_gradient(model, ours)
        for key, reference in references.items():
            if key not in skipped:
                yield relative_difference(state[key], reference)


def weight_differences(
    model: Method, arrays: dict[str, Any], names: Mapping[str, str]
) -> Iterator[float]:
    """Differences of the final weights, including running statistics."""
    for theirs, ours in names.items():
        references = below(arrays, f"end/{theirs}/")
        if not references:
            continue
        state = save_state_dict(getattr(model, ours))
        skipped = _without_gradient(model, ours)
        for key, reference in references.items():
            # the count of batches that PyTorch's batch norm keeps is not ours to have
            if key not in skipped and key in state:
                yield relative_difference(state[key], reference)


def _without_gradient(model: Method, name: str) -> set[str]:
    read = model.nce_layers if isinstance(model, CUT) and name == "gen_ab" else ()
    return biases_before_instance_norm(getattr(model, name), read)
