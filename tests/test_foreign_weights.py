"""Weights of other programs and other ways of saving them: each is said to be what it is, in one
line, and what is not used is counted.
"""

import json
import shutil

import h5py
import numpy as np
import pytest

from tests.conftest import GOLDEN
from tfcyclegan.errors import UserError
from tfcyclegan.interop import importing, official
from tfcyclegan.networks import Discriminator, PatchSampler, make_generator
from tfcyclegan.training.checkpoints import load_networks
from tfcyclegan.training.runs import read_run

torch = pytest.importorskip("torch")


def tensors(shapes: dict[str, tuple[int, ...]]) -> dict:
    return {key: torch.full(shape, 0.01) for key, shape in shapes.items()}


def layer(key: str, outgoing: int, incoming: int, side: int) -> dict[str, tuple[int, ...]]:
    return {f"{key}.weight": (outgoing, incoming, side, side), f"{key}.bias": (outgoing,)}


def cut_networks(*, antialias: bool = True) -> dict:
    """CUT's networks by file, with 4 filters and resnet_6blocks, as the official program saves
    them, blurs included.
    """
    blurs = {"antialias": antialias, "antialias_up": antialias}
    generator = make_generator("resnet_6blocks", base_filters=4, seed=0, **blurs)
    sampler = PatchSampler(generator.feature_channels((0, 4, 8, 12, 16)), seed=1)
    return {
        "latest_net_G.pth": plain(generator),
        "latest_net_D.pth": plain(
            Discriminator(layers=2, base_filters=4, antialias=antialias, seed=2)
        ),
        "latest_net_F.pth": plain(sampler),
    }


def plain(network=None) -> dict:
    """A network of ours under the official keys; one residual block of 4 filters by default."""
    network = network or make_generator("resnet_1blocks", base_filters=4)
    return {
        key: torch.from_numpy(value.copy())
        for key, value in official.save_state_dict(network).items()
    }


class Whole(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)


def refused(path, content, network: str = "gen_ab") -> str:
    """The one line that a file of `content` is refused by."""
    torch.save(content, path)
    with pytest.raises(UserError, match=f"^--weights={path}: ") as caught:
        importing.import_pytorch(path, network, path.parent / "run")
    message = str(caught.value)
    assert "\n" not in message and len(message) < 450 and not (path.parent / "run").exists()
    return message


def run_of(folder, files: dict):
    """The run that a folder of these files becomes."""
    folder.mkdir()
    for name, state in files.items():
        torch.save(state, folder / name)
    return read_run(importing.import_pytorch(folder, "", folder.parent / "run"))


def test_a_run_of_cut(tmp_path, capsys):
    files = cut_networks()
    run = run_of(tmp_path / "cut", files)
    told = capsys.readouterr().out
    assert run.networks == ("gen_ab", "disc_b", "patch_sampler")
    config = run.config
    assert (config.method, config.architecture) == ("cut", "resnet_6blocks")
    assert (config.antialias, config.antialias_up, config.discriminator_layers) == (True, True, 2)
    assert "read as CUT, a guess" in told
    for name, network in load_networks(run, "latest", run.networks).items():
        file = dict(zip(run.networks, files, strict=True))[name]
        state = official.save_state_dict(network)
        assert state.keys() == files[file].keys()
        for key, value in files[file].items():
            np.testing.assert_array_equal(state[key], value.numpy())


def test_a_sampler_of_other_layers_is_left_out_and_counted(tmp_path):
    files = cut_networks() | {"latest_net_F.pth": plain(PatchSampler([3, 8], width=16))}
    run = run_of(tmp_path / "cut", files)
    assert run.networks == ("gen_ab", "disc_b")
    record = json.loads((run.directory / importing.RECORD).read_text())
    what = "patch_sampler: its layers or width are not the default"
    assert record["left_out"] == {what: 8}


@pytest.mark.parametrize("antialias", [True, False])
def test_a_generator_of_cut_alone(tmp_path, antialias):
    path = tmp_path / "latest_net_G.pth"
    torch.save(cut_networks(antialias=antialias)[path.name], path)
    run = read_run(importing.import_pytorch(path, "", tmp_path / "run"))
    assert (run.networks, run.config.antialias) == (("gen_ab",), antialias)


def test_a_run_of_pix2pix(tmp_path):
    files = {
        "latest_net_G.pth": plain(make_generator("unet_128", base_filters=2, norm="batch")),
        "latest_net_D.pth": plain(Discriminator(base_filters=2, in_channels=6, norm="batch")),
    }
    run = run_of(tmp_path / "pix2pix", files)
    assert (run.config.method, run.config.channels_b) == ("pix2pix", 3)
    assert load_networks(run, "latest", ("disc_b",))["disc_b"].settings["in_channels"] == 6


def test_what_of_cut_is_refused_alone(tmp_path):
    sampler = cut_networks()["latest_net_F.pth"]
    message = refused(tmp_path / "latest_net_F.pth", sampler)
    assert "is the feature network F of CUT or FastCUT (mlp_0.0.weight, mlp_0.0.bias" in message
    other_blur = cut_networks()["latest_net_G.pth"]
    other_blur["model.7.filt"] = other_blur["model.7.filt"] * 2
    message = refused(tmp_path / "latest_net_G.pth", other_blur)
    assert "the weights do not fit the network: of another blur: model.7.filt" in message


def test_networks_that_are_none_of_ours(tmp_path):
    spectral = {
        f"model.{index}.weight_{kind}": (4, 3, 4, 4)
        for index in (0, 2, 5, 8)
        for kind in ("orig", "u")
    }
    assert "is a network with spectral or weight norm (model.0.weight_orig" in refused(
        tmp_path / "a_net_D_A.pth", tensors(spectral), "disc_b"
    )
    parametrized = tensors({"model.0.parametrizations.weight.original": (4, 3, 4, 4)})
    assert "is a network with spectral or weight norm" in refused(
        tmp_path / "b_net_D_A.pth", parametrized, "disc_b"
    )
    style = tensors({"mapping.net.0.weight": (8, 8), "synthesis.input.w": (8, 8)})
    assert "is a StyleGAN network (mapping.net.0.weight, synthesis.input.w)" in refused(
        tmp_path / "c_net_G_A.pth", style
    )
    scaled = plain() | tensors({"model.2.weight": (4,), "model.2.bias": (4,)})
    assert "is a network whose instance norms have learned scales (model.2.weight)" in refused(
        tmp_path / "d_net_G_A.pth", scaled
    )
    other = tensors({f"features.{index}.weight": (3, 3, 3, 3) for index in range(9)})
    message = refused(tmp_path / "e_net_G_A.pth", other)
    assert "(keys: features.0.weight, features.1.weight, features.2.weight and 6 more)" in message


def test_a_network_given_for_another_or_of_other_channels(tmp_path):
    judge = plain(Discriminator(layers=2, base_filters=4))
    assert (
        "holds a discriminator, not gen_ab; select it with --network=disc_a or disc_b"
        in refused(tmp_path / "x.pth", judge)
    )
    assert "holds a generator, not disc_a; select it with --network=gen_ab or gen_ba" in refused(
        tmp_path / "x.pth", plain(), "disc_a"
    )
    pairs = plain(Discriminator(layers=2, base_filters=4, in_channels=6))
    assert "its discriminator takes 6 channels like those of pix2pix" in refused(
        tmp_path / "x.pth", pairs, "disc_b"
    )
    bands = plain(make_generator("resnet_1blocks", base_filters=4, in_channels=4))
    assert "its generator takes 4 channels; only 1 or 3 are supported" in refused(
        tmp_path / "x.pth", bands
    )


def test_missing_and_foreign_tensors_are_counted_in_one_line(tmp_path):
    whole = plain(make_generator("resnet_6blocks", base_filters=4))
    without_biases = {
        key: value
        for key, value in whole.items()
        if not (key.endswith("bias") and ".conv_block." in key)
    }
    message = refused(
        tmp_path / "x.pth", without_biases | tensors({"extra.weight": (1,), "model.1.other": (1,)})
    )
    assert (
        "missing: model.10.conv_block.1.bias, model.10.conv_block.5.bias, "
        "model.11.conv_block.1.bias and 9 more" in message
    )
    assert "in the file but not in the network: extra.weight, model.1.other" in message


def test_whole_models_and_programs_name_what_they_hold(tmp_path):
    message = refused(tmp_path / "x.pth", Whole())
    assert (
        "refused, since it holds a whole pickled model or other objects "
        "(tests.test_foreign_weights.Whole); none of it was run" in message
    )
    assert "torch.save(network.state_dict(), 'latest_net_G_A.pth')" in message
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(tmp_path / "y.pth"))
    with pytest.raises(UserError, match="a TorchScript program; in PyTorch: "):
        importing.import_pytorch(tmp_path / "y.pth", "gen_ab", tmp_path / "run")


def imported(path, content, capsys, network: str = "gen_ab") -> tuple[dict, str]:
    """What `imported.json` says, and what was printed."""
    torch.save(content, path)
    directory = importing.import_pytorch(path, network, path.parent / f"run of {path.stem}")
    reader = read_run(directory)
    assert reader.networks == (network,)
    return json.loads((directory / importing.RECORD).read_text()), capsys.readouterr().out


def test_state_dicts_inside_of_others_are_taken_and_the_rest_is_counted(tmp_path, capsys):
    state = plain()
    checkpoint = {"state_dict": state, "epoch": 3, "optimizer": {"state": {}, "param_groups": []}}
    record, told = imported(tmp_path / "a.pth", checkpoint, capsys)
    assert record["conversions"] == {"gen_ab: taken from the checkpoint's 'state_dict'": len(state)}
    assert record["left_out"] == {
        "gen_ab: the checkpoint's 'epoch'": 1,
        "gen_ab: the checkpoint's 'optimizer'": 1,
    }
    assert f"{tmp_path / 'a.pth'}: not used: gen_ab: the checkpoint's 'optimizer': 1" in told
    lightning = {
        "state_dict": {f"gen.{key}": value for key, value in state.items()}
        | tensors({"vgg.0.weight": (2,)}),
        "hparams_name": "x",
    }
    record, _ = imported(tmp_path / "b.pth", lightning, capsys)
    assert record["conversions"]["gen_ab: prefix gen. removed"] == len(state)
    assert record["left_out"]["gen_ab: tensors beside gen. (vgg.0.weight)"] == 1
    for prefix in ("module.", "_orig_mod.", "module._orig_mod."):
        record, _ = imported(
            tmp_path / f"{prefix}pth",
            {f"{prefix}{key}": value for key, value in state.items()},
            capsys,
        )
        assert sum(record["conversions"].values()) % len(state) == 0 and record["left_out"] == {}


def test_several_networks_in_a_file_are_told_how_to_part(tmp_path):
    state = plain()
    message = refused(
        tmp_path / "x.pth", {"netG_A2B": state, "netG_B2A": state, "optimizer_G": {"state": {}}}
    )
    assert (
        "holds several networks (netG_A2B, netG_B2A); save each in its own file, in PyTorch: "
        "torch.save(torch.load(FILE)['netG_A2B']" in message
    )
    both = {f"{name}.{key}": value for name in ("gen_ab", "gen_ba") for key, value in state.items()}
    assert "holds several networks (their keys start with gen_ab., gen_ba.)" in refused(
        tmp_path / "x.pth", {"state_dict": both}
    )


def test_u_nets_hold_themselves_and_are_one_network(tmp_path, capsys):
    record, told = imported(
        tmp_path / "x.pth", plain(make_generator("unet_128", base_filters=4, norm="batch")), capsys
    )
    assert (
        record["conversions"] == {} and "batch norm translates with its running statistics" in told
    )


def test_what_is_not_computed_with_is_counted(tmp_path, capsys):
    state = plain()
    stale = tensors({f"model.2.{name}": (4,) for name in ("running_mean", "running_var")}) | {
        "model.2.num_batches_tracked": torch.tensor(7)
    }
    record, told = imported(
        tmp_path / "old.pth", {key: value.half() for key, value in state.items()} | stale, capsys
    )
    assert record["left_out"] == {
        "gen_ab: counters num_batches_tracked": 1,
        "gen_ab: statistics of instance norms, which the official program drops too": 2,
    }
    assert record["conversions"] == {"gen_ab: float16 to float32": len(state)}
    assert f"done: gen_ab: float16 to float32: {len(state)}" in told


def test_folders_say_what_they_lack_and_what_else_they_hold(tmp_path, capsys):
    (tmp_path / "cut").mkdir()
    for name in ("X", "Y"):
        torch.save(plain(), tmp_path / "cut" / f"latest_net_{name}.pth")
    with pytest.raises(
        UserError,
        match=(r"it has latest_net_X\.pth, latest_net_Y\.pth: give one of them with --network"),
    ):
        importing.import_pytorch(tmp_path / "cut", "", tmp_path / "run")
    (tmp_path / "mine").mkdir()
    for name in ("latest_net_G_A", "5_net_G_A", "10_net_G_A"):
        torch.save(plain(), tmp_path / "mine" / f"{name}.pth")
    directory = importing.import_pytorch(tmp_path / "mine", "", tmp_path / "run")
    told = capsys.readouterr().out
    assert (
        "has no latest_net_G_B.pth, latest_net_D_A.pth, latest_net_D_B.pth; the run only has gen_ab"
        in told
    )
    record = json.loads((directory / importing.RECORD).read_text())
    assert record["left_out"] == {"other .pth files (10_net_G_A.pth, 5_net_G_A.pth)": 2}


def test_a_name_that_does_not_tell_is_told_as_a_guess(tmp_path, capsys):
    torch.save(plain(), tmp_path / "generator.pth")
    importing.import_pytorch(tmp_path / "generator.pth", "", tmp_path / "run")
    assert "generator.pth: read as gen_ab, a guess" in capsys.readouterr().out


def changed_h5(path, change) -> None:
    shutil.copy(GOLDEN / "tfa_generator.h5", path)
    with h5py.File(path, "r+") as file:
        change(file)


def test_files_of_keras_2_say_what_they_lack_and_what_is_not_used(tmp_path, capsys):
    def add(file):
        group = file["model_weights"].create_group("head")
        group.create_dataset("head/kernel:0", data=np.zeros((2, 2), np.float32))
        group.attrs["weight_names"] = [b"head/kernel:0"]
        file.create_group("optimizer_weights")

    changed_h5(tmp_path / "more.h5", add)
    directory = importing.import_tfa(tmp_path / "more.h5", "", tmp_path / "run")
    record = json.loads((directory / importing.RECORD).read_text())
    assert record["left_out"] == {
        "weights of layers that the graph lacks (head)": 1,
        "the optimizer's weights": 1,
    }
    assert "not used: weights of layers that the graph lacks (head): 1" in capsys.readouterr().out

    def remove(file):
        name = next(
            name
            for name in file["model_weights"]
            if len(file["model_weights"][name].attrs["weight_names"])
        )
        del file["model_weights"][name]

    changed_h5(tmp_path / "less.h5", remove)
    with pytest.raises(UserError, match=r"less\.h5: has no weights of 1 of \d+ layers: "):
        importing.import_tfa(tmp_path / "less.h5", "", tmp_path / "other")

    changed_h5(tmp_path / "keras3.h5", lambda file: file.attrs.update(keras_version="3.15.1"))
    with pytest.raises(UserError, match="is a Keras 3 file; load it with"):
        importing.import_tfa(tmp_path / "keras3.h5", "", tmp_path / "other")
