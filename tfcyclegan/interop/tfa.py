"""Reads generators that Keras 2 saved as whole models in HDF5, with tensorflow-addons'
InstanceNormalization.

Keras 3 refuses them: it does not know that layer, and its Conv2DTranspose takes no `groups`.
Nothing in a file is executed.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.interop.official import listed
from tfcyclegan.networks.graph import LAYERS, GraphGenerator

_ADDONS = "Addons>InstanceNormalization"
_DROPPED = ("groups", "batch_input_shape", "ragged", "sparse", "data_format", "trainable", "dtype")


def read_generator(path: Path) -> tuple[GraphGenerator, dict[str, int]]:
    """The generator in a Keras 2 .h5 file, with its weights; and the weights of the file that it
    lacks, with their number.

    Raises:
        UserError: the file is missing, is not a whole Keras model, has unknown layers, or its graph
            has several inputs.
    """
    if not path.is_file():
        raise UserError(f"--weights={path}: no such file")
    if zipfile.is_zipfile(path):
        raise UserError(
            f"--weights={path}: a .keras file of Keras 3, or another archive; "
            "keras.models.load_model reads the former"
        )
    try:
        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs or "model_weights" not in file:
                raise UserError(
                    "holds no whole Keras model; save it with model.save('generator.h5')"
                )
            if str(file.attrs.get("keras_version", "2")).startswith("3"):
                raise UserError("is a Keras 3 file; load it with keras.models.load_model")
            generator = GraphGenerator(graph=_graph(json.loads(file.attrs["model_config"])))
            left_out = _set_weights(generator, file["model_weights"])
            if "optimizer_weights" in file:
                left_out["the optimizer's weights"] = 1
    except UserError as error:
        raise UserError(f"--weights={path}: {error}") from error
    except Exception as error:  # HDF5, or a config of another structure, may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"--weights={path}: damaged or not an HDF5 file ({reason})") from error
    return generator, left_out


def _graph(config: dict[str, Any]) -> dict[str, Any]:
    """The model's config, converted from Keras 2 to Keras 3, for pictures of any size."""
    if config.get("class_name") != "Functional":
        raise UserError(
            f"is a {str(config.get('class_name'))[:40]} model; only functional ones can be read"
        )
    graph = config["config"]
    if len(graph["input_layers"]) != 1 or len(graph["output_layers"]) != 1:
        raise UserError("a generator has one input and one output")
    known = (LAYERS.keys() - {"InstanceNormalization"}) | {_ADDONS}
    unknown = sorted({layer["class_name"] for layer in graph["layers"]} - known)
    if unknown:
        count = sum(layer["class_name"] in unknown for layer in graph["layers"])
        raise UserError(
            f"has {count} layers {', '.join(unknown)[:200]}; supported are "
            f"{', '.join(sorted(known))}"
        )
    channels = next(
        layer["config"]["batch_input_shape"][-1]
        for layer in graph["layers"]
        if layer["class_name"] == "InputLayer"
    )
    layers = [{**layer, **_layer(layer, channels)} for layer in graph["layers"]]
    return {**graph, "layers": layers}


def _layer(layer: dict[str, Any], channels: int) -> dict[str, Any]:
    settings = layer["config"]
    kept = {name: value for name, value in settings.items() if name not in _DROPPED}
    if layer["class_name"] == "InputLayer":
        return {"config": {"name": settings["name"], "batch_shape": [None, None, None, channels]}}
    if layer["class_name"] == _ADDONS:
        if settings["axis"] != -1 or settings["center"] != settings["scale"]:
            raise UserError(
                f"layer {str(settings['name'])[:40]}: instance norm over axis "
                f"{str(settings['axis'])[:40]} or with half of its affine part"
            )
        norm = {
            "name": settings["name"],
            "channels": settings["groups"],
            "epsilon": settings["epsilon"],
            "affine": settings["scale"],
        }
        return {"class_name": "InstanceNormalization", "config": norm}
    return {"config": kept}


def _set_weights(generator: GraphGenerator, stored: h5py.Group) -> dict[str, int]:
    """Sets every weight; returns stored weights of layers that the graph lacks, or has without
    weights.
    """
    weighted = [layer for layer in generator.graph.layers if layer.weights]
    if missing := [
        layer.name
        for layer in weighted
        if layer.name not in stored or not len(stored[layer.name].attrs["weight_names"])
    ]:
        raise UserError(
            f"has no weights of {len(missing)} of {len(weighted)} layers: {listed(missing)}"
        )
    names = {layer.name for layer in weighted}
    others = {
        name: len(stored[name].attrs.get("weight_names", ()))
        for name in stored
        if name not in names
    }
    unused = {name: count for name, count in others.items() if count}
    for layer in weighted:
        group = stored[layer.name]
        values = [group[name] for name in group.attrs["weight_names"]]
        if [value.shape for value in values] != [tuple(weight.shape) for weight in layer.weights]:
            raise UserError(f"the stored weights of {layer.name} do not fit it")
        for value in values:
            if (
                value.dtype.kind != "f"
                or value.external
                or value.is_virtual
                or value.file.filename != stored.file.filename
            ):
                raise UserError(
                    f"the weights of {layer.name} are not floats stored in this file itself"
                )
        layer.set_weights([np.asarray(value) for value in values])
    return (
        {f"weights of layers that the graph lacks ({listed(unused)[:200]})": sum(unused.values())}
        if unused
        else {}
    )
