"""Weights of the official PyTorch program <-> our networks. Needs only NumPy; `pytorch.py` reads
.pth files.

A state dict is read as {official key: array}. The architecture is derived from its keys and shapes.
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.networks import (
    Discriminator,
    Generator,
    InstanceNormalization,
    PatchSampler,
    make_generator,
)
from tfcyclegan.networks.antialiasing import BlurDown, BlurUp
from tfcyclegan.networks.layers import Conv2D, UpConv2D

StateDict = Mapping[str, np.ndarray]
Network = Generator | Discriminator | PatchSampler

BOOKKEEPING = "num_batches_tracked"
"""Suffix of the keys of numbers that no network uses."""
_NAMED = 3
# PyTorch's names of a layer's values, and our attributes for the same.
_CONVOLUTION = {"weight": "kernel", "bias": "bias"}
_BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def _axes(layer: keras.layers.Layer, name: str) -> tuple[int, ...] | None:
    """The permutation from PyTorch's kernel layout to ours; transposed ones are permuted too, not
    flipped.
    """
    if name == "kernel" and isinstance(layer, Conv2D | UpConv2D):
        return (2, 3, 1, 0)
    if name == "kernel" and isinstance(layer, keras.layers.Dense):
        return (1, 0)
    return None


def _filters(network: Network) -> dict[str, np.ndarray]:
    """{official key: value} of the blurs' fixed kernels, which the official program saves too."""
    return {
        f"{prefix}.filt": np.tile(layer.kernel.astype(np.float32), (layer.filters, 1, 1, 1))
        for prefix, layer in network.official_layers()
        if isinstance(layer, BlurDown | BlurUp)
    }


def _entries(network: Network) -> dict[str, tuple[keras.layers.Layer, str]]:
    """{official key: (layer, attribute)} for every value of `network`."""
    entries = {}
    for prefix, layer in network.official_layers():
        if layer is None or not layer.weights:
            continue
        names = _BATCH_NORM if isinstance(layer, keras.layers.BatchNormalization) else _CONVOLUTION
        for theirs, ours in names.items():
            if getattr(layer, ours) is not None:
                entries[f"{prefix}.{theirs}"] = (layer, ours)
    return entries


def biases_before_instance_norm(network: Network, features: Iterable[int] = ()) -> set[str]:
    """Keys of the biases whose true gradient is zero, since the norm after them removes any shift.
    Layers (by index) whose outputs are `features` of a loss are excepted.
    """
    pairs = network.official_layers()
    read_before = {f"model.{index}" for index in features}
    return {
        f"{key}.bias"
        for (key, _), (_, behind) in itertools.pairwise(pairs)
        if isinstance(behind, InstanceNormalization) and key not in read_before
    }


def load_state_dict(network: Network, state: StateDict) -> None:
    """Sets every weight of `network` from `state`; nothing changes if anything does not fit.

    Raises:
        UserError: missing, unexpected or differently shaped entries, of which the message names the
            first few and the number.
    """
    entries, filters = _entries(network), _filters(network)
    given = {key: value for key, value in state.items() if not key.endswith(BOOKKEEPING)}
    no_floats, misshapen = [], []
    other_filters = [
        key
        for key in filters.keys() & given.keys()
        if not np.array_equal(np.asarray(given.pop(key)), filters[key])
    ]
    values = {}
    for key in entries.keys() & given.keys():
        layer, name = entries[key]
        axes = _axes(layer, name)
        value = np.asarray(given[key])
        value = value if axes is None or value.ndim != len(axes) else np.transpose(value, axes)
        if value.dtype.kind != "f":
            no_floats.append(key)
        elif value.shape != tuple(getattr(layer, name).shape):
            misshapen.append(f"{key} {'x'.join(map(str, given[key].shape)) or 'a number'}")
        values[key] = value
    problems = {
        "missing": [key for key in entries if key not in given],
        "in the file but not in the network": [key for key in given if key not in entries],
        "of another shape": misshapen,
        "of another blur": other_filters,
        "not floats": no_floats,
    }
    if any(problems.values()):
        told = "; ".join(
            f"{what}: {listed(sorted(keys))}" for what, keys in problems.items() if keys
        )
        raise UserError(f"the weights do not fit the network: {told}")
    for key, value in values.items():
        layer, name = entries[key]
        getattr(layer, name).assign(value)


def listed(keys: Iterable[str]) -> str:
    """The first few of `keys`, and how many more there are."""
    names = list(keys)
    return ", ".join(names[:_NAMED]) + (
        f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    )


def save_state_dict(network: Network) -> dict[str, np.ndarray]:
    """The weights of `network` under the official keys, in the official layout."""
    state = _filters(network)
    for key, (layer, name) in _entries(network).items():
        value = keras.ops.convert_to_numpy(getattr(layer, name))
        axes = _axes(layer, name)
        state[key] = value if axes is None else np.transpose(value, np.argsort(axes))
    return state


def read_settings(state: StateDict) -> dict[str, Any]:
    """The network's settings according to the keys and shapes of `state`.

    Returns:
        `kind` ("generator", "discriminator" or "patch_sampler"), `architecture` as in our flags,
        and the constructor's arguments that can be derived. Instance norm and no norm with biases
        look alike; instance norm is assumed.

    Raises:
        UserError: not the keys of an official CycleGAN, pix2pix or CUT network.
    """
    keys = set(state)
    if "mlp_0.0.weight" in keys:
        return _sampler_settings(state)
    if any(key.startswith("model.model.") for key in keys):
        return _unet_settings(state)
    if any(".conv_block." in key for key in keys) or "model.26.weight" in keys:
        return _resnet_settings(state)
    prefix = "net" if any(key.startswith("net.") for key in keys) else "model"
    kernels = sorted(
        (int(m[1]), key)
        for key in keys
        if (m := re.fullmatch(rf"{prefix}\.(\d+)\.weight", key)) and state[key].ndim == 4
    )
    if len(kernels) > 2 and kernels[0][0] == 0 and state[kernels[-1][1]].shape[0] == 1:
        second = kernels[1][0]
        norm = (
            "batch"
            if f"{prefix}.{second + 1}.running_mean" in keys
            else "instance"
            if f"{prefix}.{second}.bias" in keys
            else "none"
        )
        first = state[kernels[0][1]].shape
        for level, (_, key) in enumerate(kernels[1:-1], start=1):
            _require_kernels(
                state,
                1,
                first[0] * min(2**level, 8),
                first[0] * min(2 ** (level - 1), 8),
                *state[key].shape[2:],
            )
        return {
            "kind": "discriminator",
            "architecture": "pixel" if prefix == "net" else "patch",
            "layers": len(kernels) - 2,
            "base_filters": first[0],
            "in_channels": first[1],
            "norm": norm,
            "antialias": any(key.endswith(".filt") for key in keys),
        }
    shown = listed(sorted(keys)) or "nothing"
    raise UserError(
        f"not the weights of an official CycleGAN network (keys: {shown}); expected a state dict "
        "such as latest_net_G_A.pth"
    )


def _resnet_settings(state: StateDict) -> dict[str, Any]:
    blocks = {int(m[1]) for key in state if (m := re.match(r"model\.(\d+)\.conv_block\.", key))}
    blurs = [int(m[1]) for key in state if (m := re.fullmatch(r"model\.(\d+)\.filt", key))]
    first_block = min(blocks, default=10)
    antialias = any(index < first_block for index in blurs)
    antialias_up = any(index > first_block for index in blurs)
    head = f"model.{first_block + len(blocks) + (9 if antialias_up else 7)}.weight"
    if "model.1.weight" not in state or head not in state:
        raise UserError(
            f"not the weights of an official ResNet generator: model.1.weight or {head} is missing"
        )
    stem = _kernel_shape(state, "model.1.weight")
    _require_kernels(state, len(blocks), 4 * stem[0], 4 * stem[0], 3, 3)
    norm = (
        "batch"
        if "model.2.running_mean" in state
        else "instance"
        if "model.1.bias" in state
        else "none"
    )
    return {
        "kind": "generator",
        "architecture": f"resnet_{len(blocks)}blocks",
        "base_filters": stem[0],
        "in_channels": stem[1],
        "out_channels": _kernel_shape(state, head)[0],
        "norm": norm,
        "antialias": antialias,
        "antialias_up": antialias_up,
        "dropout": any(
            re.match(r"model\.\d+\.conv_block\.6\.weight", key) and state[key].ndim == 4
            for key in state
        ),
    }


def _unet_settings(state: StateDict) -> dict[str, Any]:
    # one convolution down and one up per level
    depth = sum(value.ndim == 4 for value in state.values()) // 2
    if (
        depth not in (7, 8)
        or "model.model.0.weight" not in state
        or "model.model.3.weight" not in state
    ):
        raise UserError(f"not the weights of unet_128 or unet_256: found {depth} levels")
    outer = _kernel_shape(state, "model.model.0.weight")
    _require_kernels(state, depth - 4, 8 * outer[0], 8 * outer[0], 4, 4)
    norm = (
        "batch"
        if any(key.endswith("running_mean") for key in state)
        else "instance"
        if "model.model.0.bias" in state
        else "none"
    )
    return {
        "kind": "generator",
        "architecture": {7: "unet_128", 8: "unet_256"}[depth],
        "base_filters": outer[0],
        "in_channels": outer[1],
        "out_channels": _kernel_shape(state, "model.model.3.weight")[1],
        "norm": norm,
    }


def _sampler_settings(state: StateDict) -> dict[str, Any]:
    count = sum(bool(re.fullmatch(r"mlp_\d+\.0\.weight", key)) for key in state)
    kernels = [state[key] for index in range(count) if (key := f"mlp_{index}.0.weight") in state]
    if len(kernels) < count or any(kernel.ndim != 2 for kernel in kernels):
        raise UserError(
            "not the weights of CUT's feature network: its layers mlp_N are not numbered 0, 1, 2, "
            "... with one weight matrix each"
        )
    return {
        "kind": "patch_sampler",
        "architecture": "mlp_sample",
        "channels": [kernel.shape[1] for kernel in kernels],
        "width": kernels[0].shape[0],
    }


def _kernel_shape(state: StateDict, key: str) -> tuple[int, ...]:
    if state[key].ndim != 4:
        raise UserError(f"{key} has the wrong shape {state[key].shape}")
    return state[key].shape


def _require_kernels(state: StateDict, count: int, *shape: int) -> None:
    """Raises UserError if `state` has fewer kernels of a shape, before a network of its width is
    made, which could use all memory.
    """
    found = sum(value.shape == shape for value in state.values())
    if found < count:
        raise UserError(
            f"the weights do not fit an official network: {found} of {count} kernels have the "
            f"shape {shape}"
        )


def make_network(state: StateDict, *, dtype: Any = None) -> Network:
    """The network of `state`, with its weights.

    Raises:
        UserError: the state dict is unknown or damaged.
    """
    settings = read_settings(state)
    kind = settings.pop("kind")
    network: Network
    if kind == "generator":
        network = make_generator(**settings, dtype=dtype)
    elif kind == "discriminator":
        network = Discriminator(**settings, dtype=dtype)
    else:
        del settings["architecture"]
        network = PatchSampler(**settings, dtype=dtype)
    load_state_dict(network, state)
    return network
