"""Weights of the official program and of tensorflow-addons: the same pictures come out, by every way that a run has."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import GOLDEN
from tests.test_training import config
from tfcyclegan.config import Size
from tfcyclegan.errors import UserError
from tfcyclegan.export.exporter import export
from tfcyclegan.interop import importing, official
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
    """Networks of ours, written as the official program writes them, imported from a folder, and trained on."""
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
        state = {key: torch.from_numpy(value.copy()) for key, value in official.save_state_dict(network).items()}
        torch.save(state, tmp_path / "theirs" / f"latest_net_{name}.pth")
    run_dir = importing.import_pytorch(tmp_path / "theirs", "", tmp_path / "run")
    run = read_run(run_dir)
    assert set(run.networks) == {"gen_ab", "gen_ba", "disc_a", "disc_b"}
    assert (run.config.architecture, run.config.discriminator_layers, run.config.base_filters) == ("resnet_1blocks", 2, 4)
    # D_A judges domain b there
    reader = tf.train.load_checkpoint(str(run_dir / "checkpoints"))
    stored = reader.get_tensor("disc_b/0/.ATTRIBUTES/VARIABLE_VALUE")
    np.testing.assert_array_equal(stored, networks["D_A"].get_weights()[0])
    train(config(tiles, tmp_path / "tuned", init_from=str(run_dir), max_steps=1, learning_rate=1e-9))
    tuned = load_generator(read_run(tmp_path / "tuned"), "latest", "ba")
    for ours, theirs in zip(tuned.get_weights(), networks["G_B"].get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-7)


def test_a_mixed_folder_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    for name, width in (("G_A", 4), ("G_B", 6)):
        state = official.save_state_dict(make_generator("resnet_1blocks", base_filters=width))
        torch.save({key: torch.from_numpy(value.copy()) for key, value in state.items()}, tmp_path / f"latest_net_{name}.pth")
    with pytest.raises(UserError, match="has base_filters 6, the networks before it 4"):
        importing.import_pytorch(tmp_path, "", tmp_path / "run")


@pytest.mark.parametrize("architecture", ["resnet_2blocks", "unet_128"])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_settings_are_read_off_the_keys(architecture, norm):
    generator = make_generator(architecture, base_filters=4, in_channels=1, out_channels=3, norm=norm)
    settings = official.read_settings(official.save_state_dict(generator))
    expected = {"kind": "generator", "architecture": architecture, "base_filters": 4, "in_channels": 1, "out_channels": 3, "norm": norm}
    assert settings | {"dropout": False} == expected | {"dropout": False}


@pytest.mark.parametrize("architecture", ["patch", "pixel"])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_settings_of_discriminators_are_read_off_the_keys(architecture, norm):
    network = Discriminator(architecture=architecture, layers=2, base_filters=4, in_channels=1, norm=norm)
    settings = official.read_settings(official.save_state_dict(network))
    assert (settings["architecture"], settings["norm"], settings["base_filters"]) == (architecture, norm, 4)
    if architecture == "patch":
        assert settings["layers"] == 2


def test_dropout_moves_the_keys_and_is_read():
    generator = make_generator("resnet_2blocks", base_filters=4, dropout=True)
    assert official.read_settings(official.save_state_dict(generator))["dropout"]


def test_a_tensorflow_addons_generator(tiles, tmp_path):
    io = np.load(GOLDEN / "tfa_generator_io.npz")
    run_dir = importing.import_tfa(GOLDEN / "tfa_generator.h5", "", tmp_path / "run")
    run = read_run(run_dir)
    np.testing.assert_allclose(load_generator(run, "latest", "ab")(io["input"]).numpy(), io["output"], atol=1e-5)
    directory = export(run, "latest", "ab", tmp_path / "model", Size(32, 32))
    assert json.loads((directory / "metadata.json").read_text())["parity"]["TFLite float32"] < 1e-4
    settings = {"generator": str(run_dir / "generator.json"), "residual_blocks": None, "init_from": str(run_dir)}
    train(config(tiles, tmp_path / "tuned", max_steps=1, learning_rate=1e-9, **settings))
    tuned = load_generator(read_run(tmp_path / "tuned"), "latest", "ab")
    np.testing.assert_allclose(tuned(io["input"]).numpy(), io["output"], atol=1e-4)


def test_a_layer_that_could_hold_code_is_refused(tmp_path):
    import shutil

    import h5py

    path = tmp_path / "lambda.h5"
    shutil.copy(GOLDEN / "tfa_generator.h5", path)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('"Activation"', '"Lambda"')
    with pytest.raises(UserError, match="has layers Lambda; known are"):
        importing.import_tfa(path, "", tmp_path / "run")
    assert not (tmp_path / "run").exists()
