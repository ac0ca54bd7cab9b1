"""Weights of the official program and of tensorflow-addons: the same pictures come out, by every
way that a run has.
"""

import json
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import GOLDEN, eagerly
from tests.test_training import config
from tfcyclegan.config import Size
from tfcyclegan.errors import UserError
from tfcyclegan.exporting.exporter import export
from tfcyclegan.interop import importing, official, pytorch, tfa
from tfcyclegan.networks import Discriminator, make_generator
from tfcyclegan.training.checkpoints import load_generator
from tfcyclegan.training.runs import read_run
from tfcyclegan.training.trainer import train


def test_an_official_generator_through_a_run(imported):
    io = np.load(GOLDEN / "latest_net_G_A_io.npz")
    generator = load_generator(read_run(imported), "latest", "ab")
    output = generator(np.transpose(io["input_nchw"], (0, 2, 3, 1))).numpy()
    np.testing.assert_allclose(output, np.transpose(io["output_nchw"], (0, 2, 3, 1)), atol=2e-5)
    assert read_run(imported).networks == ("gen_ab",)


def test_an_official_generator_exports(imported, tmp_path):
    directory = export(read_run(imported), "latest", "ab", tmp_path / "model", Size(64, 64))
    parity = json.loads((directory / "metadata.json").read_text())["parity"]
    assert parity["TFLite float32"] < 1e-4 and parity["SavedModel (C++ loader)"] < 1e-4


def test_all_four_networks_of_a_run_and_training_from_them(tiles, tmp_path):
    """Networks of ours, written as the official program writes them, imported from a folder, and
    trained on.
    """
    torch = pytest.importorskip("torch")
    (tmp_path / "theirs").mkdir()
    settings = {"base_filters": 4, "seed": 3}
    networks = {
        "G_A": make_generator("resnet_1blocks", **settings),
        "G_B": make_generator("resnet_1blocks", **settings),
        "D_A": Discriminator(layers=2, **settings),
        "D_B": Discriminator(layers=2, **settings | {"seed": 4}),
    }
    for name, network in networks.items():
        state = {
            key: torch.from_numpy(value.copy())
            for key, value in official.save_state_dict(network).items()
        }
        torch.save(state, tmp_path / "theirs" / f"latest_net_{name}.pth")
    run_dir = importing.import_pytorch(tmp_path / "theirs", "", tmp_path / "run")
    run = read_run(run_dir)
    assert set(run.networks) == {"gen_ab", "gen_ba", "disc_a", "disc_b"}
    assert (run.config.architecture, run.config.discriminator_layers, run.config.base_filters) == (
        "resnet_1blocks",
        2,
        4,
    )
    # D_A judges domain b there
    reader = tf.train.load_checkpoint(str(run_dir / "checkpoints"))
    stored = reader.get_tensor("disc_b/0/.ATTRIBUTES/VARIABLE_VALUE")
    np.testing.assert_array_equal(stored, networks["D_A"].get_weights()[0])
    start = {"init_from": str(run_dir), "max_steps": 1, "learning_rate": 1e-9}
    with eagerly():
        train(config(tiles, tmp_path / "tuned", **start))
    tuned = load_generator(read_run(tmp_path / "tuned"), "latest", "ba")
    for ours, theirs in zip(tuned.get_weights(), networks["G_B"].get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-7)


def test_a_mixed_folder_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    for name, width in (("G_A", 4), ("G_B", 6)):
        state = official.save_state_dict(make_generator("resnet_1blocks", base_filters=width))
        torch.save(
            {key: torch.from_numpy(value.copy()) for key, value in state.items()},
            tmp_path / f"latest_net_{name}.pth",
        )
    with pytest.raises(UserError, match="has base_filters 6, but the networks before it have 4"):
        importing.import_pytorch(tmp_path, "", tmp_path / "run")


@pytest.mark.parametrize("architecture", ["resnet_2blocks", "unet_128"])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_settings_are_read_off_the_keys(architecture, norm):
    generator = make_generator(
        architecture, base_filters=4, in_channels=1, out_channels=3, norm=norm
    )
    settings = official.read_settings(official.save_state_dict(generator))
    expected = {
        "kind": "generator",
        "architecture": architecture,
        "base_filters": 4,
        "in_channels": 1,
        "out_channels": 3,
        "norm": norm,
    }
    unused = dict.fromkeys(("dropout", "antialias", "antialias_up"), False)
    assert settings | unused == expected | unused


@pytest.mark.parametrize("architecture", ["patch", "pixel"])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_settings_of_discriminators_are_read_off_the_keys(architecture, norm):
    network = Discriminator(
        architecture=architecture, layers=2, base_filters=4, in_channels=1, norm=norm
    )
    settings = official.read_settings(official.save_state_dict(network))
    assert (settings["architecture"], settings["norm"], settings["base_filters"]) == (
        architecture,
        norm,
        4,
    )
    if architecture == "patch":
        assert settings["layers"] == 2


def test_dropout_moves_the_keys_and_is_read():
    generator = make_generator("resnet_2blocks", base_filters=4, dropout=True)
    assert official.read_settings(official.save_state_dict(generator))["dropout"]


def test_a_tensorflow_addons_generator(tiles, tmp_path):
    io = np.load(GOLDEN / "tfa_generator_io.npz")
    run_dir = importing.import_tfa(GOLDEN / "tfa_generator.h5", "", tmp_path / "run")
    run = read_run(run_dir)
    np.testing.assert_allclose(
        load_generator(run, "latest", "ab")(io["input"]).numpy(), io["output"], atol=1e-5
    )
    directory = export(run, "latest", "ab", tmp_path / "model", Size(32, 32))
    assert json.loads((directory / "metadata.json").read_text())["parity"]["TFLite float32"] < 1e-4
    settings = {
        "generator": str(run_dir / "generator.json"),
        "residual_blocks": None,
        "init_from": str(run_dir),
    }
    with eagerly():
        train(config(tiles, tmp_path / "tuned", max_steps=1, learning_rate=1e-9, **settings))
    tuned = load_generator(read_run(tmp_path / "tuned"), "latest", "ab")
    np.testing.assert_allclose(tuned(io["input"]).numpy(), io["output"], atol=1e-4)


def translates_as_before(run_dir: Path) -> bool:
    io = np.load(GOLDEN / "tfa_generator_io.npz")
    output = load_generator(read_run(run_dir), "latest", "ab")(io["input"]).numpy()
    return np.allclose(output, io["output"], atol=1e-4)


def test_an_imported_graph_moves_with_its_run(tmp_path):
    importing.import_tfa(GOLDEN / "tfa_generator.h5", "", tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert translates_as_before(tmp_path / "b")


def test_an_imported_graph_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    importing.import_tfa(GOLDEN / "tfa_generator.h5", "", Path("a"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert translates_as_before(tmp_path / "a")


def test_a_layer_that_could_hold_code_is_refused(tmp_path):
    path = tmp_path / "lambda.h5"
    shutil.copy(GOLDEN / "tfa_generator.h5", path)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('"Activation"', '"Lambda"')
    with pytest.raises(UserError, match=r"lambda\.h5: has \d+ layers Lambda; supported are"):
        importing.import_tfa(path, "", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def edited_config(path: Path, edit) -> Path:
    """The golden Keras 2 file with its model's config changed."""
    shutil.copy(GOLDEN / "tfa_generator.h5", path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(edit(config) or config)
    return path


def layer(config: dict, kind: str) -> dict:
    return next(
        layer["config"] for layer in config["config"]["layers"] if layer["class_name"] == kind
    )


STRANGE_CONFIGS = {
    "a list": lambda config: ["list"],
    "no layers": lambda config: config["config"].pop("layers") and None,
    "layers are numbers": lambda config: config["config"].update(layers=[1]),
    "a class_name that is a list": lambda config: config["config"]["layers"][1].update(
        class_name=["Conv2D"]
    ),
    "no input layer": lambda config: config["config"]["layers"].pop(0) and None,
    "an input of rank 1": lambda config: layer(config, "InputLayer").update(
        batch_input_shape=[None]
    ),
    "no input shape": lambda config: layer(config, "InputLayer").pop("batch_input_shape") and None,
    "no name": lambda config: layer(config, "Conv2D").pop("name") and None,
    "filters that are words": lambda config: layer(config, "Conv2D").update(filters="many"),
    "negative filters": lambda config: layer(config, "Conv2D").update(filters=-4),
    "an unknown setting": lambda config: layer(config, "Conv2D").update(colour="red"),
    "an unknown activation": lambda config: layer(config, "Activation").update(activation="magic"),
    "an activation of a class": lambda config: layer(config, "Activation").update(
        activation={"class_name": "Lambda", "config": {}}
    ),
    "an initializer of a class": lambda config: layer(config, "Conv2D").update(
        kernel_initializer={"class_name": "Lambda", "config": {}}
    ),
    "an input of a class": lambda config: config["config"]["layers"][1].update(
        inbound_nodes=[{"class_name": "__lambda__", "config": {}}]
    ),
    "inputs in a circle": lambda config: config["config"]["layers"][1].update(
        inbound_nodes=[[["conv2d", 0, 0, {}]]]
    ),
    "inputs that are not there": lambda config: config["config"]["layers"][1].update(
        inbound_nodes=[[["nothing", 0, 0, {}]]]
    ),
    "an output that is not there": lambda config: config["config"].update(
        output_layers=[["nothing", 0, 0]]
    ),
    "a norm without an axis": lambda config: (
        layer(config, "Addons>InstanceNormalization").pop("axis") and None
    ),
}


@pytest.mark.parametrize("how", STRANGE_CONFIGS)
def test_strange_keras_configs_end_in_one_line(tmp_path, how):
    path = edited_config(tmp_path / "strange.h5", STRANGE_CONFIGS[how])
    with pytest.raises(UserError, match=f"--weights={path}: ") as caught:
        importing.import_tfa(path, "", tmp_path / "run")
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_regularizers_and_modules_of_a_file_are_not_asked_for(tmp_path):
    """What a config says of where its classes are is not followed; regularizers belong to the
    training that is over.
    """

    def edit(config):
        config["config"]["layers"][1]["module"] = "no_such_module"
        layer(config, "Conv2D")["kernel_regularizer"] = {
            "module": "no_such_module",
            "class_name": "Harm",
            "config": {},
        }
        layer(config, "Conv2D")["kernel_initializer"]["module"] = "no_such_module"

    io = np.load(GOLDEN / "tfa_generator_io.npz")
    generator, _ = tfa.read_generator(edited_config(tmp_path / "modules.h5", edit))
    np.testing.assert_allclose(generator(io["input"]).numpy(), io["output"], atol=1e-5)


STRANGE_GRAPHS = (
    *(
        "",
        "[]",
        "{}",
        "3",
        "[1]",
        '{"layers": []}',
        '{"layers": [{}]}',
        '{"layers": [1]}',
        '{"layers": {"a": 1}}',
        "[" * 100_000,
        "\x80",
    ),
    *(
        '{"layers": [{"class_name": ["Conv2D"], "config": {}}]}',
        '{"layers": [{"class_name": "Conv2D"}]}',
    ),
    '{"layers": [{"class_name": "InputLayer", "config": {"batch_shape": [1], "name": "a"}, '
    '"name": "a", "inbound_nodes": []}]}',
)


@pytest.mark.parametrize("text", STRANGE_GRAPHS, ids=range(len(STRANGE_GRAPHS)))
def test_strange_graphs_end_in_one_line(tmp_path, text):
    path = tmp_path / "generator.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=f"--generator={path}: "):
        make_generator(str(path))


def test_strange_state_dicts_end_in_one_line(tmp_path):
    torch = pytest.importorskip("torch")
    whole = torch.load(GOLDEN / "latest_net_G_A.pth", weights_only=True)
    key = "model.4.weight"
    strange = {
        "integer keys": {1: whole[key]},
        "no tensors": {"model.1.weight": 3},
        "a list": [whole[key]],
        "sparse": whole | {key: whole[key].to_sparse()},
        "complex": whole | {key: whole[key].to(torch.complex64)},
        "integers": whole | {key: whole[key].to(torch.int32)},
        "without values": whole | {key: whole[key].to("meta")},
        "quantized": whole | {key: torch.quantize_per_tensor(whole[key], 0.1, 0, torch.quint8)},
        "a kernel without axes": whole | {"model.1.weight": torch.tensor(1.0)},
        "a kernel of another shape": whole | {"model.10.conv_block.1.weight": torch.zeros(3)},
        "a wide stem": whole | {"model.1.weight": torch.zeros(100_000, 3, 1, 1)},
        "more than is stored": whole | {"model.1.weight": torch.zeros(1).expand(100_000, 3, 7, 7)},
        "a wide discriminator": {"model.0.weight": torch.zeros(50_000, 1, 1, 1)}
        | {f"model.{index}.weight": torch.zeros(1, 1, 1, 1) for index in (2, 5, 8)},
        "a wide U-Net": {
            f"model.model.{index}.weight": torch.zeros(50_000, 1, 1, 1) for index in (0, 3)
        }
        | {f"model.model.1.{index}": torch.zeros(1, 1, 1, 1) for index in range(14)},
    }
    for how, state in strange.items():
        path = tmp_path / f"{how}_net_G_A.pth"
        torch.save(state, path)
        with pytest.raises(UserError, match=f"--weights={path}: ") as caught:
            importing.import_pytorch(path, "", tmp_path / "run")
        assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_half_precision_is_read_and_compression_refused(tmp_path):
    torch = pytest.importorskip("torch")
    whole = torch.load(GOLDEN / "latest_net_G_A.pth", weights_only=True)
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        path = tmp_path / "half_net_G_A.pth"
        torch.save({key: torch.nn.Parameter(value.to(dtype)) for key, value in whole.items()}, path)
        state = pytorch.read_state_dict(path).state
        for key, value in whole.items():
            np.testing.assert_allclose(state[key], value, atol=0.01)
    squeezed = tmp_path / "squeezed_net_G_A.pth"
    with (
        zipfile.ZipFile(path) as stored,
        zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for entry in stored.infolist():
            archive.writestr(entry.filename, stored.read(entry))
    with pytest.raises(UserError, match="compressed, unlike PyTorch's own files"):
        pytorch.read_state_dict(squeezed)
