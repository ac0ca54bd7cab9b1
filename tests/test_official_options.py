"""Coming from the official PyTorch programs: their options are named when they are typed, and
those of a training are taken from its train_opt.txt.
"""

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.test_foreign_weights import cut_networks, plain
from tfcyclegan import cli, flags
from tfcyclegan.config import Size, TrainConfig, flag_name
from tfcyclegan.config.official_names import OFFICIAL_NAMES
from tfcyclegan.data.domains import open_domains
from tfcyclegan.errors import UserError
from tfcyclegan.interop import importing, official_options
from tfcyclegan.networks import Discriminator, make_generator
from tfcyclegan.training.checkpoints import load_generator, tell_untrained
from tfcyclegan.training.runs import read_run

torch = pytest.importorskip("torch")

OPTIONS = """----------------- Options ---------------
               batch_size: 2                             \t[default: 1]
                    beta1: 0.5
                crop_size: 64                            \t[default: 256]
                 CUT_mode: FastCUT                       \t[default: CUT]
                direction: BtoA                          \t[default: AtoB]
                load_size: 72                            \t[default: 286]
               lambda_NCE: 10.0
                  nce_idt: False                         \t[default: True]
               nce_layers: 0,4,8                         \t[default: 0,4,8,12,16]
                    model: cut
            no_dropout: True
                  no_flip: True                          \t[default: False]
                lr_policy: plateau                       \t[default: linear]
                 n_epochs: 3
           n_epochs_decay: 4
           serial_batches: True                          \t[default: False]
----------------- End -------------------
"""


def save(folder: Path, files: dict, options: str = "") -> Path:
    """A checkpoints folder of the official program."""
    folder.mkdir()
    for name, state in files.items():
        torch.save(state, folder / name)
    if options:
        (folder / official_options.FILE).write_text(options)
    return folder


@pytest.fixture(scope="module")
def fastcut(tmp_path_factory):
    """A FastCUT run of epoch 5 that was imported, and what was told."""
    place = tmp_path_factory.mktemp("fastcut")
    files = {
        name.replace("latest", "5"): state
        for name, state in cut_networks().items()
        if "_F" not in name
    }
    folder = save(place / "theirs", files, OPTIONS)
    with pytest.raises(UserError, match=r"5_net_G\.pth: --epoch=5 takes those"):
        importing.import_pytorch(folder, "", place / "run")
    return importing.import_pytorch(folder, "", place / "run", "5")


def test_a_run_has_the_options_of_its_training(fastcut):
    config = read_run(fastcut).config
    assert (config.method, config.nce_layers, config.flip, config.batch_size) == (
        "fastcut",
        "0,4,8",
        False,
        2,
    )
    assert (config.epochs, config.decay_epochs, config.schedule) == (3, 4, "linear")
    assert config.load_size == config.crop_size == Size(64, 64)  # as test.py translates


def test_its_flag_file_trains_on(fastcut):
    parsed = flags.parse(
        TrainConfig, [f"--flagfile={fastcut}/flags.cfg", "--data_dir=d", "--run_dir=r"]
    )
    assert parsed.init_from == str(fastcut) and parsed.load_size == Size(72, 72)
    config = read_run(fastcut).config
    others = {"load_size", "init_from", "data_dir", "data_recipe", "run_dir"}
    for field in dataclasses.fields(TrainConfig):
        if field.name not in others:
            assert getattr(parsed, field.name) == getattr(config, field.name), field.name


def test_it_asks_for_pictures(fastcut):
    config = read_run(fastcut).config
    with pytest.raises(UserError, match=r"imported without pictures, so give --data_dir$"):
        open_domains(config.data_dir, recipe=config.data_recipe)


def test_what_has_no_counterpart_is_counted(fastcut):
    what = "options of train_opt.txt without counterpart (lr_policy plateau, serial_batches True)"
    assert f'"{what}": 2' in (fastcut / importing.RECORD).read_text()


def test_its_weights_are_not_called_random(fastcut, capsys):
    tell_untrained(read_run(fastcut), "latest")
    assert capsys.readouterr().out == ""


def test_exchanged_domains_and_another_list_are_told(tmp_path, capsys):
    given = official_options.read(save(tmp_path / "theirs", {}, OPTIONS))
    official_options.tell(tmp_path, given, 3)
    assert "direction BtoA: the run's domain a is the data set's B" in capsys.readouterr().out
    with pytest.raises(UserError, match="is not a list of the official program's options"):
        official_options.read(save(tmp_path / "other", {}, "learning rate 3\n"))


def test_a_unet_of_pix2pix_has_the_dropout_that_its_weights_do_not_show(tmp_path, capsys):
    files = {
        "latest_net_G.pth": plain(make_generator("unet_128", base_filters=2, norm="batch")),
        "latest_net_D.pth": plain(Discriminator(base_filters=2, in_channels=6, norm="batch")),
    }
    run_dir = importing.import_pytorch(save(tmp_path / "theirs", files), "", tmp_path / "run")
    assert load_generator(read_run(run_dir), "latest", "ab").settings["dropout"]
    assert "has dropout, a guess" in capsys.readouterr().out
    assert official_options.dropout({"no_dropout": ("True", False)}) is False


def flags_of_all_commands() -> set[str]:
    modules = [importlib.import_module(f"tfcyclegan.commands.{name}") for name in cli.COMMANDS]
    names = {flag_name(field) for module in modules for field in dataclasses.fields(module.Config)}
    return names | {f"no{name}" for name in names}


def test_options_of_the_official_programs_are_named():
    with pytest.raises(UserError) as caught:
        flags.parse(TrainConfig, ["--lambda_NCE=2"])
    assert str(caught.value) == (
        "--lambda_NCE: no such flag; the official program's --lambda_NCE is --lambda_nce"
    )
    named = set(re.findall(r"--(\w+)", " ".join(OFFICIAL_NAMES.values())))
    official = {"checkpoints_dir", "name", "normG", "normD"}
    assert named - official <= flags_of_all_commands()


def test_the_document_names_them_too():
    page = (ROOT / "docs/migrating/official.md").read_text()
    first_cells = " ".join(re.findall(r"^\| (.*?) \|", page, re.MULTILINE))
    assert [name for name in OFFICIAL_NAMES if not re.search(rf"\b{name}\b", first_cells)] == []
