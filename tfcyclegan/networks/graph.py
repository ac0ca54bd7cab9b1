"""A generator whose architecture is read from a file: a graph of plain Keras layers, made by
`import_weights --from=tfa`.
"""

import copy
import json
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.networks.generators import Generator
from tfcyclegan.networks.layers import Dropout
from tfcyclegan.networks.norms import InstanceNormalization


class UpSampling2D(keras.layers.UpSampling2D):
    """Keras' layer for pictures of unknown size: its own bilinear form needs known sides."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if self.interpolation == "nearest" or None not in inputs.shape[1:3]:
            return super().call(inputs)
        sides = tf.shape(inputs)[1:3] * self.size
        return tf.cast(tf.image.resize(inputs, sides, self.interpolation), inputs.dtype)


# The layers that a graph may contain. None executes code from the file, as a Lambda layer would.
LAYERS: dict[str, type[keras.layers.Layer]] = {
    name: getattr(keras.layers, name)
    for name in (
        *(
            "InputLayer",
            "Conv2D",
            "Conv2DTranspose",
            "ZeroPadding2D",
            "Cropping2D",
            "AveragePooling2D",
            "MaxPooling2D",
        ),
        *("BatchNormalization", "Activation", "ReLU", "LeakyReLU", "Add", "Concatenate"),
    )
} | {layer.__name__: layer for layer in (Dropout, InstanceNormalization, UpSampling2D)}

_LAYER_KEYS = {"class_name", "name", "inbound_nodes"}
_IN_NODES = ("__keras_tensor__", "__tuple__")  # how Keras writes the inputs of a layer
_INITIALIZERS = (
    *(
        "Constant",
        "GlorotNormal",
        "GlorotUniform",
        "HeNormal",
        "HeUniform",
        "LecunNormal",
        "LecunUniform",
        "Ones",
        "Orthogonal",
    ),
    *("RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros"),
)


@keras.saving.register_keras_serializable("tfcyclegan")
class GraphGenerator(Generator):
    """Runs a Keras functional graph as a generator.

    Args:
        graph: the config of a functional model with one input and one output, layers as named in
            `LAYERS`.
        tflite_ops: use only operations that TFLite delegates take; needs a fixed image size.

    Raises:
        UserError: a layer that is not in `LAYERS`, or not a graph of this form.
    """

    size_multiple = 4

    def __init__(
        self,
        *,
        graph: dict[str, Any],
        tflite_ops: bool = False,
        name: str | None = None,
        dtype: Any = None,
    ):
        adapted = _checked(graph)
        policy = (
            keras.dtype_policies.get(dtype) if dtype is not None else keras.config.dtype_policy()
        )
        for layer in adapted["layers"]:
            layer["config"]["dtype"] = (
                policy.name if layer["class_name"] != "InputLayer" else "float32"
            )
            if layer["class_name"] == "InstanceNormalization":
                layer["config"].pop("portable", None)  # its name in 0.1.0
                layer["config"]["tflite_ops"] = tflite_ops
        try:
            model = keras.Model.from_config(adapted, custom_objects=LAYERS)
            shapes = [tuple(tensor.shape) for tensor in (*model.inputs, *model.outputs)]
            if len(shapes) != 2 or not all(len(shape) == 4 and shape[-1] for shape in shapes):
                raise ValueError(f"it maps {shapes}, not pictures [B, H, W, C] to pictures")
        except Exception as error:  # a layer with wrong settings may raise anything
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise UserError(f"cannot make a generator from the graph ({reason})") from error
        settings = {
            "graph": graph,
            "tflite_ops": tflite_ops,
            "in_channels": shapes[0][-1],
            "out_channels": shapes[1][-1],
        }
        super().__init__(settings, name, dtype)
        self.graph = model
        self.built = True

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["in_channels"], config["out_channels"]
        return config

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.graph(x, training=training)


def _checked(graph: Any) -> dict[str, Any]:
    """A copy of `graph` from which Keras can make only layers of `LAYERS`, whatever the file says.

    Regularizers and constraints only concern the finished training and are left out.

    Raises:
        UserError: it is not a graph, or names other layers.
    """
    if (
        not isinstance(graph, dict)
        or not isinstance(graph.get("layers"), list)
        or not graph["layers"]
    ):
        raise UserError("is not a generator's graph; make one with import_weights --from=tfa")
    layers = []
    for layer in graph["layers"]:
        if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str):
            raise UserError("is not a generator's graph: a layer has no class_name")
        if layer["class_name"] not in LAYERS:
            raise UserError(
                f"has layers {layer['class_name'][:200]}; supported are {', '.join(LAYERS)}"
            )
        if not isinstance(layer.get("config"), dict):
            raise UserError("is not a generator's graph: a layer has no config")
        config = {
            name: value
            for name, value in layer["config"].items()
            if not name.endswith(("_regularizer", "_constraint"))
        }
        initializers = {
            name: _initializer(name, config.pop(name))
            for name in tuple(config)
            if name.endswith("_initializer")
        }
        config.pop("dtype", None)  # the dtype is set for all layers
        config.pop("quantization_config", None)
        _require_plain(config, ())
        _require_plain(layer.get("inbound_nodes", []), _IN_NODES)
        # without "module", which would make Keras look for the class elsewhere
        layers.append(
            {
                "inbound_nodes": [],
                **{key: layer[key] for key in _LAYER_KEYS & layer.keys()},
                "config": config | initializers,
            }
        )
    ends = {key: graph[key] for key in ("name", "input_layers", "output_layers") if key in graph}
    _require_plain(ends, ())
    return copy.deepcopy({**ends, "layers": layers})


def _initializer(name: str, value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    if (
        not isinstance(value, dict)
        or value.get("class_name") not in _INITIALIZERS
        or not isinstance(value.get("config"), dict)
    ):
        raise UserError(f"has a {name} that is not supported; valid are {', '.join(_INITIALIZERS)}")
    _require_plain(value["config"], ())
    return {
        "module": "keras.initializers",
        "class_name": value["class_name"],
        "config": value["config"],
        "registered_name": None,
    }


def _require_plain(value: Any, allowed: tuple[str, ...]) -> None:
    """Raises UserError if Keras would turn something in `value` into an object of a class that is
    not `allowed`.
    """
    waiting = [value]
    while waiting:
        value = waiting.pop()
        waiting += (
            value.values()
            if isinstance(value, dict)
            else value
            if isinstance(value, list | tuple)
            else ()
        )
        if isinstance(value, dict) and value.get("class_name") not in (None, *allowed):
            raise UserError(f"asks for {str(value['class_name'])[:100]!r}, which is not supported")


def read_graph(path: Path) -> Any:
    """Reads the JSON file of a generator's graph, as written by `import_weights`; GraphGenerator
    validates it.

    Raises:
        UserError: the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"--generator={path}: cannot be read as a generator's graph ({error})"
        ) from error
