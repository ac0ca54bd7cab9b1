"""Weights of other programs -> a run directory that `translate`, `export` and `train --init_from`
take.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.errors import UserError
from tfcyclegan.interop import official, pytorch, recognition, tfa
from tfcyclegan.networks import Discriminator, Generator
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from tfcyclegan.training.checkpoint_files import DIRECTORY, CheckpointFiles
from tfcyclegan.training.checkpoints import variables
from tfcyclegan.training.runs import Run, write_run

GRAPH = "generator.json"
RECORD = "imported.json"
"""In an imported run: from where its weights are, what was done to them, and what of the files was
not used.
"""
_OFFICIAL_NAMES = {"G_A": "gen_ab", "G_B": "gen_ba", "D_A": "disc_b", "D_B": "disc_a"}

Networks = Mapping[str, Generator | Discriminator]


@dataclass(frozen=True)
class _Source:
    """What was imported: the file or folder, what was done to its tensors, and what of it was not
    used.
    """

    weights: Path
    conversions: Mapping[str, int]
    left_out: Mapping[str, int]


def import_pytorch(weights: Path, network: str, output: Path) -> Path:
    """Imports one official .pth file, or the folder of a run's four.

    What of the files was not used, and what was done to the rest, is told and stands in
    `imported.json` in the run directory.

    Args:
        weights: the file or folder.
        network: what a single file is; "" to go by its name.
        output: the run directory to make.

    Raises:
        UserError: nothing there, not the official program's, or networks that do not go together.
    """
    left_out: dict[str, int] = {}
    guessed = False
    if weights.is_dir():
        if network:
            raise UserError(
                f"--network={network}: goes with a single file; the files of a folder are known "
                "by their names"
            )
        paths = _paths(weights, left_out)
    else:
        match = re.search(r"_(G_A|G_B|D_A|D_B)\.pth$", weights.name)
        paths = {network or (_OFFICIAL_NAMES[match[1]] if match else "gen_ab"): weights}
        guessed = not network and match is None
    networks: dict[str, Generator | Discriminator] = {}
    options: dict[str, Any] = {}
    conversions: dict[str, int] = {}
    for name, path in paths.items():
        read = pytorch.read_state_dict(path)
        try:
            if reason := recognition.foreign(read.state):
                raise UserError(f"is {reason}")
            settings = official.read_settings(read.state)
            _check_kind(name, settings)
            networks[name] = official.make_network(read.state, dtype="float32")
        except UserError as error:
            raise UserError(f"--weights={path}: {error}") from error
        log(
            f"{name}: "
            + ", ".join(f"{key} {value}" for key, value in settings.items() if key != "kind")
        )
        if guessed:
            log(
                f"{path}: taken as {name}, a guess, since its name does not end as "
                "latest_net_G_A.pth does; --network decides"
            )
        if settings["norm"] == "batch" and settings["kind"] == "generator":
            told = (
                "translates by its running statistics, as the official program does with "
                "--eval, not by each picture's own"
            )
            log(f"{name}: batch norm {told}, and without dropout")
        conversions |= {f"{name}: {what}": count for what, count in read.conversions.items()}
        left_out |= {f"{name}: {what}": count for what, count in read.left_out.items()}
        _merge(options, _options(name, settings), path)
    return _write(networks, options, output, _Source(weights, conversions, left_out))


def _paths(folder: Path, left_out: dict[str, int]) -> dict[str, Path]:
    """The folder's files by network; what else is a .pth file there goes into `left_out`."""
    paths = {
        name: folder / file for name, file in pytorch.FILES.items() if (folder / file).is_file()
    }
    others = sorted(path.name for path in folder.glob("*.pth") if path not in paths.values())
    if not paths:
        there = (
            f"; it has {official.listed(others)}: give one of them with --network=gen_ab or another"
            if others
            else ""
        )
        raise UserError(
            f"--weights={folder}: holds none of {', '.join(pytorch.FILES.values())}{there}"
        )
    if lacking := [file for name, file in pytorch.FILES.items() if name not in paths]:
        log(f"{folder}: has no {', '.join(lacking)}; the run has {', '.join(paths)} alone")
    if beside := [
        path.name
        for path in folder.iterdir()
        if path.suffix != ".pth" and not path.name.startswith(".")
    ]:
        left_out[f"other files and folders ({official.listed(sorted(beside))})"] = len(beside)
    if others:
        left_out[f"other .pth files ({official.listed(others)})"] = len(others)
    return paths


def _check_kind(name: str, settings: Mapping[str, Any]) -> None:
    """UserError where the network is none that a run has as `name`."""
    if settings["kind"] != {"gen": "generator", "disc": "discriminator"}[name.split("_")[0]]:
        mend = (
            "--network=gen_ab or gen_ba"
            if settings["kind"] == "generator"
            else "--network=disc_a or disc_b"
        )
        raise UserError(f"holds a {settings['kind']}, not {name}; say which with {mend}")
    sides = {"takes": settings["in_channels"], "gives": settings.get("out_channels", 3)}
    for word, channels in sides.items():
        if channels not in (1, 3):
            pairs = (
                " as those of pix2pix do, which judge a picture beside its translation"
                if settings["kind"] == "discriminator"
                else ""
            )
            raise UserError(
                f"its {settings['kind']} {word} {channels} channels{pairs}; pictures have 1 or 3 "
                "here"
            )


def import_tfa(weights: Path, network: str, output: Path) -> Path:
    """Imports a generator that Keras 2 saved whole with tensorflow-addons' instance norm; see
    `import_pytorch`.
    """
    name = network or "gen_ab"
    if name.startswith("disc"):
        raise UserError(f"--network={name}: only generators are read from Keras 2 files")
    generator, left_out = tfa.read_generator(weights)
    if not network:
        log(f"{weights}: taken as {name}, a guess; --network decides")
    log(
        f"{name}: a graph of {len(generator.settings['graph']['layers'])} layers, "
        f"{generator.count_params()} weights"
    )
    channels = generator.settings["in_channels"], generator.settings["out_channels"]
    sides = dict(
        zip(
            ("channels_a", "channels_b") if name == "gen_ab" else ("channels_b", "channels_a"),
            channels,
            strict=True,
        )
    )
    graph = json.dumps(generator.settings["graph"], indent=1)
    options = {"generator": str(output / GRAPH), **sides}
    return _write(
        {name: generator}, options, output, _Source(weights, {}, left_out), {GRAPH: graph}
    )


def _options(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `train` that describe a network of the official program."""
    domain = name[-1]
    if settings["kind"] == "discriminator":
        return {
            "discriminator": settings["architecture"],
            "discriminator_layers": settings["layers"]
            if settings["architecture"] == "patch"
            else 3,
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
            raise UserError(
                f"--weights={path}: has {name} {value}, the networks before it {options[name]}; "
                "they are not of one run"
            )


def _write(
    networks: Networks,
    options: dict[str, Any],
    output: Path,
    source: _Source,
    attachments: Mapping[str, str] | None = None,
) -> Path:
    if output.exists() and any(output.iterdir()):
        raise UserError(f"--output={output}: is not empty; choose another directory")
    # load size = crop size, as the official program translates
    side = 128 if options.get("generator") == "unet_128" else 256
    options |= {"crop_size": Size(side, side), "load_size": Size(side, side)}
    identity = 0.5 if options.get("channels_a", 3) == options.get("channels_b", 3) else 0.0
    with files.atomic_directory(output) as temporary:
        for name, text in (attachments or {}).items():
            files.write_text(temporary / name, text)
        record = {
            "weights": str(source.weights),
            "conversions": dict(source.conversions),
            "left_out": dict(source.left_out),
        }
        files.write_json(temporary / RECORD, record)
        config = TrainConfig(
            data_dir="imported", run_dir=str(output), lambda_identity=identity, **options
        )
        sizes = (
            f"pictures are translated at {side}x{side}, a guess, since weights tell no size; "
            "translate --scale=original keeps theirs"
        )
        write_run(Run(temporary, config, "float32", "imported", tuple(networks), told=(sizes,)))
        checkpoint = tf.train.Checkpoint(
            **{name: variables(network) for name, network in networks.items()}
        )
        CheckpointFiles(checkpoint, temporary / DIRECTORY, keep=1).save(0)
    log(f"{source.weights}: {sizes}")
    for word, counts in (("done", source.conversions), ("not used", source.left_out)):
        for what, count in counts.items():
            log(f"{source.weights}: {word}: {what}: {count}")
    log(
        f"imported to {output}; next: tfcyclegan translate --run_dir={output} --input=PICTURES "
        "--output=translated"
    )
    return output
