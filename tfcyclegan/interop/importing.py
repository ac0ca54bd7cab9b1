"""Weights of other programs -> a run directory that `translate`, `export` and `train --init_from` take."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfcyclegan import files
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.errors import UserError
from tfcyclegan.interop import official, pytorch, tfa
from tfcyclegan.networks import Discriminator, Generator
from tfcyclegan.progress import say
from tfcyclegan.training.checkpoint_files import DIRECTORY, CheckpointFiles
from tfcyclegan.training.checkpoints import variables
from tfcyclegan.training.runs import Run, write_run

GRAPH = "generator.json"
_OFFICIAL_NAMES = {"G_A": "gen_ab", "G_B": "gen_ba", "D_A": "disc_b", "D_B": "disc_a"}

Networks = Mapping[str, Generator | Discriminator]


def import_pytorch(weights: Path, network: str, output: Path) -> Path:
    """Imports one official .pth file, or the folder of a run's four.

    Args:
        weights: the file or folder.
        network: what a single file is; "" to go by its name.
        output: the run directory to make.

    Raises:
        UserError: nothing there, not the official program's, or networks that do not go together.
    """
    if weights.is_dir():
        paths = {name: weights / file for name, file in pytorch.FILES.items() if (weights / file).is_file()}
        if not paths:
            raise UserError(f"--weights={weights}: holds none of {', '.join(pytorch.FILES.values())}")
    else:
        match = re.search(r"_(G_A|G_B|D_A|D_B)\.pth$", weights.name)
        paths = {network or (_OFFICIAL_NAMES[match[1]] if match else "gen_ab"): weights}
    networks: dict[str, Generator | Discriminator] = {}
    options: dict[str, Any] = {}
    for name, path in paths.items():
        state = pytorch.read_state_dict(path)
        try:
            settings = official.read_settings(state)
            networks[name] = official.make_network(state, dtype="float32")
        except UserError as error:
            raise UserError(f"--weights={path}: {error}") from error
        if settings["kind"] != {"gen": "generator", "disc": "discriminator"}[name.split("_")[0]]:
            raise UserError(f"--weights={path}: holds a {settings['kind']}, not {name}; say which with --network")
        say(f"{name}: " + ", ".join(f"{key} {value}" for key, value in settings.items() if key != "kind"))
        _merge(options, _options(name, settings), path)
    return _write(networks, options, output)


def import_tfa(weights: Path, network: str, output: Path) -> Path:
    """Imports a generator that Keras 2 saved whole with tensorflow-addons' instance norm; see `import_pytorch`."""
    name = network or "gen_ab"
    if name.startswith("disc"):
        raise UserError(f"--network={name}: only generators are read from Keras 2 files")
    generator = tfa.read_generator(weights)
    say(f"{name}: a graph of {len(generator.settings['graph']['layers'])} layers, {generator.count_params()} weights")
    channels = generator.settings["in_channels"], generator.settings["out_channels"]
    sides = dict(zip(("channels_a", "channels_b") if name == "gen_ab" else ("channels_b", "channels_a"), channels, strict=True))
    graph = json.dumps(generator.settings["graph"], indent=1)
    return _write({name: generator}, {"generator": str(output / GRAPH), **sides}, output, {GRAPH: graph})


def _options(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `train` that describe a network of the official program."""
    domain = name[-1]
    if settings["kind"] == "discriminator":
        return {
            "discriminator": settings["architecture"],
            "discriminator_layers": settings["layers"] if settings["architecture"] == "patch" else 3,
            "discriminator_filters": settings["base_filters"],
            f"channels_{domain}": settings["in_channels"],
            "norm": settings["norm"],
        }
    source, target = ("a", "b") if name == "gen_ab" else ("b", "a")
    return {
        "generator": settings["architecture"],
        "base_filters": settings["base_filters"],
        f"channels_{source}": settings["in_channels"],
        f"channels_{target}": settings["out_channels"],
        "norm": settings["norm"],
        "dropout": settings.get("dropout", False),
    }


def _merge(options: dict[str, Any], more: Mapping[str, Any], path: Path) -> None:
    for name, value in more.items():
        if options.setdefault(name, value) != value:
            raise UserError(f"--weights={path}: has {name} {value}, the networks before it {options[name]}; they are not of one run")


def _write(networks: Networks, options: dict[str, Any], output: Path, attachments: Mapping[str, str] | None = None) -> Path:
    if output.exists() and any(output.iterdir()):
        raise UserError(f"--output={output}: is not empty; choose another directory")
    # load size = crop size, as the official program translates
    side = 128 if options.get("generator") == "unet_128" else 256
    options |= {"crop_size": Size(side, side), "load_size": Size(side, side)}
    identity = 0.5 if options.get("channels_a", 3) == options.get("channels_b", 3) else 0.0
    with files.atomic_directory(output) as temporary:
        for name, text in (attachments or {}).items():
            files.write_text(temporary / name, text)
        config = TrainConfig(data_dir="imported", run_dir=str(output), lambda_identity=identity, **options)
        write_run(Run(temporary, config, "float32", "imported", tuple(networks)))
        checkpoint = tf.train.Checkpoint(**{name: variables(network) for name, network in networks.items()})
        CheckpointFiles(checkpoint, temporary / DIRECTORY, keep=1).save(0)
    say(f"imported to {output}; next: tfcyclegan translate --run_dir={output} --input=PICTURES --output=translated")
    return output
