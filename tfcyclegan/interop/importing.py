"""Weights of other programs -> a run directory for `translate`, `export` and `train
--init_from`.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.errors import UserError
from tfcyclegan.interop import official, official_options, pytorch, recognition, tfa
from tfcyclegan.networks import Generator
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from tfcyclegan.training.checkpoint_files import DIRECTORY, CheckpointFiles
from tfcyclegan.training.checkpoints import variables
from tfcyclegan.training.runs import FLAG_FILE, GRAPH, IMPORTED, Run, write_run

RECORD = "imported.json"
"""File of an imported run: the source of its weights, conversions, and what of the files was not
used.
"""
_OFFICIAL_NAMES = {
    "G_A": "gen_ab",
    "G_B": "gen_ba",
    "D_A": "disc_b",
    "D_B": "disc_a",
    "G": "gen_ab",
    "D": "disc_b",  # of CUT, FastCUT and pix2pix
}

Networks = Mapping[str, official.Network]


@dataclass(frozen=True)
class _Source:
    """The imported file or folder, conversions of its tensors, and what of it was not used."""

    weights: Path
    conversions: Mapping[str, int]
    left_out: Mapping[str, int]


def import_pytorch(weights: Path, network: str, output: Path, epoch: str = "") -> Path:
    """Imports one official .pth file, or the folder of a run: of CycleGAN's four networks, or of
    the two or three of pix2pix, CUT and FastCUT.

    The run takes the options of the training from the `train_opt.txt` beside the weights, if it is
    there. Conversions, and what of the files was not used, are reported and recorded in
    `imported.json` in the run directory; its `flags.cfg` trains on.

    Args:
        weights: the file or folder.
        network: the network in a single file; "" to derive it from the file's name.
        output: the run directory to make.
        epoch: which files of a folder, by how their names start; "" for the latest.

    Raises:
        UserError: there are no files, they are not the official program's, or the networks do not
            match.
    """
    left_out: dict[str, int] = {}
    guessed = False
    if weights.is_dir():
        if network:
            raise UserError(
                f"--network={network}: only for a single file; the files of a folder are "
                "identified by their names"
            )
        paths = _paths(weights, left_out, epoch or "latest")
    else:
        if epoch:
            raise UserError(f"--epoch={epoch}: only for a folder; {weights} is a single file")
        match = re.search(r"_(G_A|G_B|D_A|D_B|G|D)\.pth$", weights.name)
        paths = {network or (_OFFICIAL_NAMES[match[1]] if match else "gen_ab"): weights}
        guessed = not network and match is None
    networks: dict[str, official.Network] = {}
    options: dict[str, Any] = {}
    conversions: dict[str, int] = {}
    for name, path in paths.items():
        read = pytorch.read_state_dict(path)
        try:
            reason = recognition.foreign(read.state)
            if reason and name != "patch_sampler":
                raise UserError(f"is {reason}")
            settings = official.read_settings(read.state)
            if name == "disc_b" and _judges_pairs(settings, networks):
                options |= {"method": "pix2pix"}
                settings["in_channels"] = options["channels_b"]
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
                f"{path}: read as {name}, a guess, since its name does not end like "
                "latest_net_G_A.pth; --network selects another"
            )
        if settings["kind"] == "generator" and settings["norm"] == "batch":
            told = (
                "translates with its running statistics, like the official program with --eval, "
                "not with each picture's own"
            )
            log(f"{name}: batch norm {told}, and without dropout")
        conversions |= {f"{name}: {what}": count for what, count in read.conversions.items()}
        left_out |= {f"{name}: {what}": count for what, count in read.left_out.items()}
        _merge(options, _options(name, settings), path)
    folder = weights if weights.is_dir() else weights.parent
    given = official_options.read(folder)
    if networks.keys() <= pytorch.ONE_WAY_FILES.keys() and "method" not in options:
        method = official_options.method_of_cut(given)
        if method is None and "patch_sampler" in networks:
            log(
                f"{weights}: read as CUT, a guess, since FastCUT's networks are the same; this "
                "only matters for further training"
            )
            method = "cut"
        options |= {"method": method} if method else {}
    recipe, without = official_options.options_of(given, options.get("method", "cyclegan"))
    if given:
        official_options.tell(folder / official_options.FILE, given, len(recipe))
    if without:
        what = f"options of {official_options.FILE} without counterpart ({', '.join(without)})"
        left_out[what] = len(without)
    if "patch_sampler" in networks:
        _keep_usable_sampler(networks, left_out, recipe.get("nce_layers"))
    _add_dropout(networks, options, official_options.dropout(given))
    return _write(networks, options, output, _Source(weights, conversions, left_out), recipe)


def _add_dropout(
    networks: dict[str, official.Network], options: dict[str, Any], told: bool | None
) -> None:
    """Gives U-Nets the dropout that their weights do not show: as `told`, by default that of the
    official pix2pix and CycleGAN.
    """
    dropout = options.get("method") == "pix2pix" if told is None else told
    for name, network in networks.items():
        if not (dropout and isinstance(network, Generator) and "unet" in options["generator"]):
            continue
        twin = type(network)(**network.settings | {"dropout": True}, dtype="float32")
        twin.set_weights(network.get_weights())
        networks[name], options["dropout"] = twin, True
        if told is None:
            log(
                f"{name}: has dropout, a guess, since a U-Net's weights do not show it; this only "
                "matters for translate --training_mode and further training"
            )


def _paths(folder: Path, left_out: dict[str, int], epoch: str) -> dict[str, Path]:
    """The folder's files of an epoch by network; other .pth files are added to `left_out`."""
    two_way, one_way = (
        {name: file.replace("latest", epoch, 1) for name, file in table.items()}
        for table in (pytorch.FILES, pytorch.ONE_WAY_FILES)
    )
    is_one_way = (folder / one_way["gen_ab"]).is_file() and not any(
        (folder / file).is_file() for file in two_way.values()
    )
    expected = one_way if is_one_way else two_way
    paths = {name: folder / file for name, file in expected.items() if (folder / file).is_file()}
    others = sorted(path.name for path in folder.glob("*.pth") if path not in paths.values())
    if not paths:
        found = {match[1] for name in others if (match := re.match(r"(\w+?)_net_(G|D)", name))}
        epochs = sorted(found - {epoch}, key=lambda text: (len(text), text))
        mend = (
            f"--epoch={epochs[-1]} takes those"
            if epochs
            else "give one of them with --network=gen_ab or another"
        )
        there = f"; it has {official.listed(others)}: {mend}" if others else ""
        raise UserError(
            f"--weights={folder}: holds none of {', '.join(two_way.values())}, nor "
            f"{one_way['gen_ab']}{there}"
        )
    may_lack = ("patch_sampler",)  # pix2pix has none
    if lacking := [
        file for name, file in expected.items() if name not in paths and name not in may_lack
    ]:
        log(f"{folder}: has no {', '.join(lacking)}; the run only has {', '.join(paths)}")
    if beside := [
        path.name
        for path in folder.iterdir()
        if path.suffix != ".pth"
        and not path.name.startswith(".")
        and path.name != official_options.FILE
    ]:
        left_out[f"other files and folders ({official.listed(sorted(beside))})"] = len(beside)
    if others:
        left_out[f"other .pth files ({official.listed(others)})"] = len(others)
    return paths


def _judges_pairs(settings: Mapping[str, Any], networks: Networks) -> bool:
    """Whether a discriminator sees the generator's input together with its output."""
    generator = networks.get("gen_ab")
    return (
        isinstance(generator, Generator)
        and settings["kind"] == "discriminator"
        and settings["in_channels"]
        == generator.settings["in_channels"] + generator.settings["out_channels"]
    )


def _keep_usable_sampler(
    networks: dict[str, official.Network], left_out: dict[str, int], layers: str | None
) -> None:
    """Leaves out a sampler with another width than ours, or with other layers than `layers`, by
    default the default ones; its file does not record them.
    """
    sampler, generator = networks["patch_sampler"], networks["gen_ab"]
    assert isinstance(generator, Generator)
    given: dict[str, Any] = {"nce_layers": layers} if layers else {}
    indices = TrainConfig(data_dir="-", run_dir="-", method="cut", **given).nce_indices
    wanted = {"channels": generator.feature_channels(indices), "width": 256}
    if any(sampler.settings[name] != value for name, value in wanted.items()):
        del networks["patch_sampler"]
        what = (
            f"patch_sampler: its width is not 256, or its layers not {layers}"
            if layers
            else "patch_sampler: its layers or width are not the default"
        )
        left_out[what] = len(sampler.weights)


def _check_kind(name: str, settings: Mapping[str, Any]) -> None:
    """Raises UserError if the network cannot be a run's `name`."""
    kinds = {"gen": "generator", "disc": "discriminator", "patch": "patch_sampler"}
    if settings["kind"] != kinds[name.split("_")[0]]:
        mend = (
            "--network=gen_ab or gen_ba"
            if settings["kind"] == "generator"
            else "--network=disc_a or disc_b"
        )
        raise UserError(f"holds a {settings['kind']}, not {name}; select it with {mend}")
    if name == "patch_sampler":
        return
    sides = {"takes": settings["in_channels"], "gives": settings.get("out_channels", 3)}
    for word, channels in sides.items():
        if channels not in (1, 3):
            pairs = (
                " like those of pix2pix, which judge a picture together with its translation"
                if settings["kind"] == "discriminator"
                else ""
            )
            raise UserError(
                f"its {settings['kind']} {word} {channels} channels{pairs}; only 1 or 3 are "
                "supported"
            )


def import_tfa(weights: Path, network: str, output: Path) -> Path:
    """Imports a generator that Keras 2 saved whole with tensorflow-addons' instance norm; see
    `import_pytorch`.
    """
    name = network or "gen_ab"
    if name.startswith("disc"):
        raise UserError(f"--network={name}: only generators can be read from Keras 2 files")
    generator, left_out = tfa.read_generator(weights)
    if not network:
        log(f"{weights}: read as {name}, a guess; --network selects another")
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
        {name: generator},
        options,
        output,
        _Source(weights, {}, left_out),
        attachments={GRAPH: graph},
    )


def _options(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `train` that describe a network of the official program."""
    domain = name[-1]
    if settings["kind"] == "patch_sampler":
        return {}
    blurs = {key: settings[key] for key in ("antialias", "antialias_up") if key in settings}
    if settings["kind"] == "discriminator":
        return {
            **(blurs if settings["architecture"] == "patch" else {}),
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
        **blurs,
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
                f"--weights={path}: has {name} {value}, but the networks before it have "
                f"{options[name]}; they are not from one run"
            )


def _write(
    networks: Networks,
    options: dict[str, Any],
    output: Path,
    source: _Source,
    recipe: Mapping[str, Any] | None = None,
    attachments: Mapping[str, str] | None = None,
) -> Path:
    if output.exists() and any(output.iterdir()):
        raise UserError(f"--output={output}: is not empty; choose another directory")
    side = 128 if options.get("generator") == "unet_128" else 256
    options = {"crop_size": Size(side, side)} | dict(recipe or {}) | options
    if "method" not in options and options.get("channels_a", 3) != options.get("channels_b", 3):
        options["lambda_identity"] = 0.0
    crop = options["crop_size"]
    # in the official program's proportion, if it is not known
    options.setdefault("load_size", Size(crop.height * 286 // 256, crop.width * 286 // 256))
    try:
        training = TrainConfig(data_dir=IMPORTED, run_dir=str(output), **options)
    except UserError as error:
        if not recipe:
            raise
        raise UserError(
            f"{source.weights}: the options in {official_options.FILE} cannot be taken: {error}; "
            "move that file elsewhere to import the weights without it"
        ) from error
    config = dataclasses.replace(
        training, data_recipe="the weights were imported without pictures, so give --data_dir"
    )
    if training.preprocess == "resize_and_crop":
        # as in the official program's translation
        config = dataclasses.replace(config, load_size=crop)
    sizes = _sizes(config, known="crop_size" in (recipe or {}))
    with files.atomic_directory(output) as temporary:
        for name, text in (attachments or {}).items():
            files.write_text(temporary / name, text)
        record = {
            "weights": str(source.weights),
            "conversions": dict(source.conversions),
            "left_out": dict(source.left_out),
        }
        files.write_json(temporary / RECORD, record)
        write_run(Run(temporary, config, "float32", IMPORTED, tuple(networks), told=(sizes,)))
        files.write_text(temporary / FLAG_FILE, _flag_file(training, options))
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
        f"--output=translated; or train on with tfcyclegan train --flagfile={output / FLAG_FILE} "
        "--data_dir=DATA --run_dir=RUN"
    )
    return output


def _sizes(config: TrainConfig, *, known: bool) -> str:
    """The line on the sizes at which pictures are translated."""
    mode, size = config.preprocess, config.load_size
    if mode in ("crop", "none"):
        return f"pictures are translated at their own sizes, as {official_options.FILE} has {mode}"
    shown = (
        f"{size.height}x{size.width}" if mode == "resize_and_crop" else f"a width of {size.width}"
    )
    why = f"by {official_options.FILE}" if known else "a guess, since weights contain no size"
    return f"pictures are translated at {shown}, {why}; translate --scale=original keeps theirs"


def _flag_file(training: TrainConfig, options: Mapping[str, Any]) -> str:
    """The flags that train on from an imported run: `options`, and where its weights are."""
    values = {"init_from": training.run_dir} | dict(options)
    lines = (
        f"--{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in values.items()
    )
    return "# Trains on from these weights: give --data_dir and --run_dir too.\n" + "".join(
        f"{line}\n" for line in lines
    )
