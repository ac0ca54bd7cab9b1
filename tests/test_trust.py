"""SavedModels of strangers: those that only compute are taken, all others are refused before
anything of them runs.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2, types_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.trackable import autotrackable, resource

from tests.conftest import GOLDEN, ROOT
from tfcyclegan import cli
from tfcyclegan.data.labels import CITYSCAPES
from tfcyclegan.exporting import saved_model
from tfcyclegan.exporting.segmenter import ServedSegmenter
from tfcyclegan.exports import safety_check
from tfcyclegan.exports.exported_models import from_model
from tfcyclegan.interop import tfa
from tfcyclegan.networks import make_generator
from tfcyclegan.networks.graph import LAYERS, GraphGenerator
from tfcyclegan.segmentation.network import make_network

PICTURES = tf.TensorSpec([None, None, None, 3], tf.float32, name="images")


def save_segmenter(directory: Path) -> None:
    served = ServedSegmenter(make_network(width=8, classes=19), CITYSCAPES)
    signatures = {
        saved_model.BYTES_SIGNATURE: served.encoded,
        saved_model.TENSOR_SIGNATURE: served.tensor,
    }
    saved_model.save_module(served, signatures, directory, gray=np.full((64, 64, 3), 128, np.uint8))


def graph_of_all_layers() -> GraphGenerator:
    """A generator with every layer that a graph may have, and every activation of Keras that has no
    settings.
    """
    layers = keras.layers
    given = x = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, padding="same")(x)
    x = LAYERS["InstanceNormalization"](channels=4)(x)
    for name in (
        "celu",
        "elu",
        "exponential",
        "gelu",
        "hard_shrink",
        "hard_sigmoid",
        "hard_silu",
        "hard_tanh",
        "leaky_relu",
        "linear",
    ):
        x = layers.Activation(name)(x)
    for name in (
        "log_sigmoid",
        "log_softmax",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "soft_shrink",
        "softplus",
        "softmax",
    ):
        x = layers.Activation(name)(x)
    for name in ("softsign", "sparse_sigmoid", "squareplus", "tanh", "tanh_shrink"):
        x = layers.Activation(name)(x)
    x = layers.Cropping2D(1)(layers.ZeroPadding2D(2)(x))
    x = layers.MaxPooling2D(2)(
        layers.UpSampling2D(2)(layers.AveragePooling2D(2)(layers.UpSampling2D(2)(x)))
    )
    x = layers.ReLU(max_value=6, negative_slope=0.1, threshold=0.2)(layers.BatchNormalization()(x))
    x = layers.Dropout(0.1)(layers.LeakyReLU()(x))
    beside = layers.Conv2DTranspose(4, 3, padding="same")(x)
    x = layers.Concatenate()([layers.Add()([x, beside]), beside])
    model = keras.Model(given, layers.Conv2D(3, 3, padding="same")(x))
    assert {type(layer).__name__ for layer in model.layers} == LAYERS.keys()
    return GraphGenerator(graph=model.get_config())


def generator(architecture: str, **settings: object) -> Callable[[Path], None]:
    return lambda directory: saved_model.save(
        make_generator(architecture, base_filters=4, **settings), directory
    )


EXPORTS = {
    "committed": lambda directory: shutil.copytree(
        ROOT / "saved_models/satellite2map/1", directory
    ),
    "resnet": generator("resnet_1blocks"),
    "batch norm, gray to colours": generator("resnet_1blocks", norm="batch", in_channels=1),
    "resize, colours to gray": generator("resnet_1blocks", upsampling="resize", out_channels=1),
    "unet_128": generator("unet_128"),
    "unet_256": generator("unet_256", norm="batch", dropout=True),
    "of tensorflow-addons": lambda directory: saved_model.save(
        tfa.read_generator(GOLDEN / "tfa_generator.h5")[0], directory
    ),
    "all layers of graphs": lambda directory: saved_model.save(graph_of_all_layers(), directory),
    "segmenter": save_segmenter,
}


@pytest.mark.parametrize("name", EXPORTS)
def test_our_exports_are_taken(tmp_path, name):
    EXPORTS[name](tmp_path / "1")
    safety_check.require_computing_alone(tmp_path / "1")
    if name != "segmenter":
        translator = from_model(tmp_path)
        assert np.isfinite(
            translator.in_floats(np.zeros((1, 32, 32, translator.channels), np.float32))
        ).all()


class Harm:
    """What a model does beside its work: writes a file that shows that it ran."""

    def __init__(self, witness: Path):
        self.witness = witness

    def write(self) -> tf.Operation:
        return tf.io.write_file(str(self.witness), "harm")

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([self.write()]):
            return tf.identity(images)


class Translator(tf.Module):
    """A model of the right form; `work` is what else it does."""

    def __init__(self, work: Callable[[tf.Tensor], tf.Tensor]):
        super().__init__()
        self.weight = tf.Variable(1.0)
        self.work = work

    @tf.function(input_signature=[PICTURES], autograph=False)
    def tensor(self, images):
        return {"images": tf.ensure_shape(self.work(images) * self.weight, [None, None, None, 3])}


def in_its_function(harm: Harm) -> tf.Module:
    return Translator(harm)


def reading(harm: Harm) -> tf.Module:
    return Translator(
        lambda images: images + tf.cast(tf.strings.length(tf.io.read_file(__file__)), tf.float32)
    )


def python(harm: Harm) -> tf.Module:
    return Translator(lambda images: tf.py_function(lambda given: given, [images], tf.float32))


def in_a_nested_function(harm: Harm) -> tf.Module:
    inner = tf.function(harm.__call__)
    return Translator(tf.function(lambda images: inner(images)))


def in_a_loop(harm: Harm) -> tf.Module:
    def body(count, images):
        with tf.control_dependencies([harm.write()]):
            return count + 1, images

    return Translator(
        lambda images: tf.while_loop(lambda count, _: count < 1, body, (0, images))[1]
    )


def in_a_branch(harm: Harm) -> tf.Module:
    return Translator(
        lambda images: tf.cond(tf.size(images) > 0, lambda: harm(images), lambda: images)
    )


def in_a_data_set(harm: Harm) -> tf.Module:
    def work(images):
        mapped = tf.data.Dataset.from_tensors(images).map(harm.__call__)
        return mapped.reduce(tf.zeros_like(images), lambda _, given: given)

    return Translator(work)


def in_another_function(harm: Harm) -> tf.Module:
    """Not in a signature; the loader gives it to a caller all the same."""
    module = Translator(lambda images: images)
    module.other = tf.function(harm.__call__, input_signature=[PICTURES])
    return module


class _Resource(resource.TrackableResource):
    def __init__(self, creating: Callable[[], object], initializing: Callable[[], object]):
        super().__init__()
        self._creating, self._initializing = creating, initializing

    def _create_resource(self):
        self._creating()
        return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[], shared_name="of_a_stranger")

    def _initialize(self):
        self._initializing()


def of_a_resource(creating: Callable[[], object], initializing: Callable[[], object]) -> tf.Module:
    module = Translator(lambda images: images)
    with tf.init_scope():
        module.table = _Resource(lambda: None, lambda: None)
    module.table._creating, module.table._initializing = creating, initializing
    return module


def as_a_resource_is_made(harm: Harm) -> tf.Module:
    return of_a_resource(harm.write, lambda: None)


def as_a_resource_is_initialized(harm: Harm) -> tf.Module:
    return of_a_resource(lambda: None, harm.write)


class _State(autotrackable.AutoTrackable):
    def __init__(self, harm: Harm):
        super().__init__()
        self.harm = harm.write

    def _serialize_to_tensors(self):
        return {"value": tf.constant(1.0)}

    def _restore_from_tensors(self, restored):
        return self.harm()


def as_it_is_restored(harm: Harm) -> tf.Module:
    module = Translator(lambda images: images)
    module.state = _State(harm)
    return module


HARMFUL = {
    in_its_function: "WriteFile",
    reading: "ReadFile",
    python: "EagerPyFunc",
    in_a_nested_function: "WriteFile",
    in_a_loop: "WriteFile",
    in_a_branch: "WriteFile",
    in_a_data_set: "WriteFile",
    in_another_function: "WriteFile",
    as_a_resource_is_made: "WriteFile",
    as_a_resource_is_initialized: "WriteFile",
    as_it_is_restored: "WriteFile",
}


def save(module: tf.Module, directory: Path) -> None:
    tf.saved_model.save(module, str(directory), signatures={"tensor": module.tensor})


@pytest.mark.parametrize("make", HARMFUL, ids=lambda make: make.__name__)
def test_what_does_more_than_compute_is_refused_and_not_run(tmp_path, capfd, make):
    witness = tmp_path / "witness"
    save(make(Harm(witness)), tmp_path / "model" / "1")
    witness.unlink(missing_ok=True)  # saving may have run it
    (tmp_path / "in.png").write_bytes(tf.io.encode_png(np.full((32, 32, 3), 9, np.uint8)).numpy())
    capfd.readouterr()
    translate = [
        "translate",
        f"--model={tmp_path / 'model'}",
        f"--input={tmp_path / 'in.png'}",
        f"--output={tmp_path / 'out'}",
    ]
    for command in (
        translate,
        ["serve", f"--model_dir={tmp_path / 'model'}", "--http_port=0", "--grpc_port=0"],
    ):
        assert cli.main(command) == 2
        lines = capfd.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and f"{tmp_path / 'model' / '1'}: refused" in lines[0], lines
        assert f"the operation {HARMFUL[make]};" in lines[0] and "--trust_model" in lines[0]
    assert not witness.exists() and not (tmp_path / "out").exists()
    # the user's own word: now it runs, which shows too that all but those whose part nobody asks
    # for were harmful
    assert cli.main([*translate, "--trust_model"]) == 0
    assert (tmp_path / "out" / "in.png").exists()
    if HARMFUL[make] == "WriteFile" and make not in (in_another_function, as_a_resource_is_made):
        assert witness.exists()


def edited(directory: Path, edit: Callable[[object], None]) -> None:
    """Changes the MetaGraphDef of a SavedModel by hand, as no exporter would write it."""
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((directory / "saved_model.pb").read_bytes())
    edit(model.meta_graphs[0])
    (directory / "saved_model.pb").write_bytes(model.SerializeToString())


def saver(graph) -> str:
    return next(
        each.signature.name
        for each in graph.graph_def.library.function
        if "_traced_save" in each.signature.name
    )


def node_of_a_called_function(graph):
    named = graph.object_graph_def.concrete_functions
    return next(node for each in graph.graph_def.library.function if each.signature.name in named
                for node in each.node_def)  # fmt: skip


def call_the_saver(graph):
    node = node_of_a_called_function(graph)
    node.attr["f"].func.name = saver(graph)


def call_the_saver_in_a_list(graph):
    node_of_a_called_function(graph).attr["branches"].list.func.add().name = saver(graph)


def pass_the_saver_on(graph):
    """The function called has an attribute for which its caller puts in a function."""
    node_of_a_called_function(graph).attr["f"].func.attr["F"].func.name = saver(graph)


def an_operation_of_the_name_of_a_function(graph):
    node = node_of_a_called_function(graph)
    node.op = "WriteFile"
    graph.graph_def.library.function.add().signature.name = "WriteFile"


def two_functions_of_one_name(graph):
    """The loader may take the other one."""
    graph.graph_def.library.function.add().CopyFrom(graph.graph_def.library.function[0])


def a_constant_passed_on(graph):
    node_of_a_called_function(graph).attr["f"].func.attr[
        "value"
    ].tensor.dtype = types_pb2.DT_RESOURCE


def the_saver_as_an_operation(graph):
    node_of_a_called_function(graph).op = saver(graph)


def the_saver_as_a_signature(graph):
    """The loader gives functions to callers that `concrete_functions` does not list."""
    next(
        node for node in graph.object_graph_def.nodes if node.WhichOneof("kind") == "function"
    ).function.concrete_functions.append(saver(graph))


def the_saver_as_a_stand_in(graph):
    for function in graph.graph_def.library.function:
        function.attr["api_implements"].s = b"the same"


def a_constant_of_its_own_kind(graph):
    for function in graph.graph_def.library.function:
        for node in function.node_def:
            if node.op == "Const":
                node.attr["value"].CopyFrom(
                    attr_value_pb2.AttrValue(tensor={"dtype": types_pb2.DT_VARIANT})
                )


def without_objects(graph):
    graph.ClearField("object_graph_def")


EDITS = {
    call_the_saver: "function __inference__traced_save_.* holds the operation",
    call_the_saver_in_a_list: "function __inference__traced_save_.* holds the operation",
    the_saver_as_an_operation: "__inference__traced_save_",
    pass_the_saver_on: "function __inference__traced_save_.* holds the operation",
    an_operation_of_the_name_of_a_function: "the operation WriteFile",
    two_functions_of_one_name: "two functions have the same name",
    a_constant_passed_on: "with a constant variant or resource",
    the_saver_as_a_signature: "function __inference__traced_save_.* holds the operation",
    the_saver_as_a_stand_in: "api_implements",
    a_constant_of_its_own_kind: "Const with a constant variant",
    without_objects: "not a TensorFlow 2 model",
}


@pytest.fixture(scope="module")
def harmless(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("harmless") / "1"
    save(Translator(lambda images: images + tf.constant([1.0, 2.0, 3.0])), directory)
    safety_check.require_computing_alone(directory)
    return directory


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_what_no_exporter_writes_is_refused(harmless, tmp_path, edit):
    shutil.copytree(harmless, tmp_path / "1")
    edited(tmp_path / "1", edit)
    with pytest.raises(safety_check.Untrusted, match=EDITS[edit]):
        safety_check.require_computing_alone(tmp_path / "1")


def test_parts_that_cannot_be_read(harmless, tmp_path):
    shutil.copytree(harmless, tmp_path / "1")
    (tmp_path / "1" / "saved_model.cpb").touch()
    with pytest.raises(safety_check.Untrusted, match=r"saved_model\.cpb"):
        safety_check.require_computing_alone(tmp_path / "1")
    (tmp_path / "1" / "saved_model.cpb").unlink()
    (tmp_path / "1" / "saved_model.pb").write_text("words")
    with pytest.raises(ValueError, match="cannot be read"):
        safety_check.require_computing_alone(tmp_path / "1")


@pytest.mark.parametrize("how", ["of TensorFlow", "custom"])
def test_tflite_files_can_only_compute(tmp_path, capfd, how):
    """TensorFlow's interpreter would carry such an operation out; ours has none but its own."""
    module = Translator(Harm(tmp_path / "witness"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.tensor.get_concrete_function()], module
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if how == "custom":
        converter.allow_custom_ops = True
    else:
        converter.target_spec.supported_ops.append(tf.lite.OpsSet.SELECT_TF_OPS)
    (tmp_path / "model.tflite").write_bytes(converter.convert())
    assert b"WriteFile" in (tmp_path / "model.tflite").read_bytes()
    (tmp_path / "in.png").write_bytes(tf.io.encode_png(np.full((32, 32, 3), 9, np.uint8)).numpy())
    capfd.readouterr()
    for command in (
        ("translate", f"--input={tmp_path / 'in.png'}", f"--output={tmp_path / 'out'}"),
        ("demo", f"--export={tmp_path / 'page'}"),
    ):
        assert cli.main([*command, f"--model={tmp_path / 'model.tflite'}"]) == 2
        lines = capfd.readouterr().err.strip().splitlines()
        assert (
            len(lines) == 1
            and f"--model={tmp_path / 'model.tflite'}" in lines[0]
            and "WriteFile" in lines[0]
        )
    assert not (tmp_path / "witness").exists()
