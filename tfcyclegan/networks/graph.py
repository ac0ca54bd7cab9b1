"""A generator whose architecture was read from a file: a graph of plain Keras layers, as `import_weights --from=tfa` makes."""

import copy
import json
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.networks.generators import Generator
from tfcyclegan.networks.layers import InstanceNormalization

# What a graph may be made of. Nothing here runs code that came with the file, as a Lambda layer would.
LAYERS: dict[str, type[keras.layers.Layer]] = {
    name: getattr(keras.layers, name)
    for name in (
        *("InputLayer", "Conv2D", "Conv2DTranspose", "ZeroPadding2D", "Cropping2D", "UpSampling2D", "AveragePooling2D", "MaxPooling2D"),
        *("BatchNormalization", "Activation", "ReLU", "LeakyReLU", "Dropout", "Add", "Concatenate"),
    )
} | {"InstanceNormalization": InstanceNormalization}


@keras.saving.register_keras_serializable("tfcyclegan")
class GraphGenerator(Generator):
    """Runs a Keras functional graph as a generator.

    Args:
        graph: the config of a functional model with one input and one output, layers as named in `LAYERS`.
        portable: use only operations that TFLite delegates take; needs a fixed image size.

    Raises:
        UserError: a layer that is not in `LAYERS`, or no such graph.
    """

    size_multiple = 4

    def __init__(self, *, graph: dict[str, Any], portable: bool = False, name: str | None = None, dtype: Any = None):
        unknown = sorted({layer["class_name"] for layer in graph["layers"]} - LAYERS.keys())
        if unknown:
            raise UserError(f"the generator's graph has layers {', '.join(unknown)}; known are {', '.join(LAYERS)}")
        adapted = copy.deepcopy(graph)
        policy = keras.dtype_policies.get(dtype) if dtype is not None else keras.config.dtype_policy()
        for layer in adapted["layers"]:
            layer["config"]["dtype"] = policy.name if layer["class_name"] != "InputLayer" else "float32"
            if layer["class_name"] == "InstanceNormalization":
                layer["config"]["portable"] = portable
        model = keras.Model.from_config(adapted, custom_objects=LAYERS)
        settings = {"graph": graph, "portable": portable, "in_channels": model.input_shape[-1], "out_channels": model.output_shape[-1]}
        super().__init__(settings, name, dtype)
        self.graph = model
        self.built = True

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["in_channels"], config["out_channels"]
        return config

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.graph(x, training=training)


def read_graph(path: Path) -> dict[str, Any]:
    """Reads a generator's graph from the JSON file that `import_weights` wrote.

    Raises:
        UserError: no such file, or not a graph.
    """
    try:
        graph = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"--generator={path}: cannot be read as a generator's graph ({error})") from error
    if not isinstance(graph, dict) or not isinstance(graph.get("layers"), list):
        raise UserError(f"--generator={path}: is not a generator's graph; import_weights --from=tfa makes one")
    return graph
