"""The commands as Python functions, for notebooks and programs: `tfcyclegan.train(...)`.

Each function is named after its command and takes the command's flags as keyword arguments of the
same names; values are checked by the same rules, with the same messages. `flagfile=PATH` reads a
flag file, and other arguments override it. What a command prints is printed here too. Nothing is
loaded before it is needed, so that importing is quick.

    size     a number, a string such as "180x360", or a pair (height, width)
    lists    of strings or paths, where a flag takes several values separated by commas
    paths    str or pathlib.Path
    None     as if the flag was not given

Every function raises `errors.UserError` if the request cannot be carried out as given,
`errors.RunError` if the run fails, and `errors.Stopped` if it was interrupted after its state was
saved; each error says in one line what to do.
"""

import dataclasses
import importlib
import inspect
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tfcyclegan import flags
from tfcyclegan.config import Options, Size, flag_name, option_type
from tfcyclegan.errors import UserError
from tfcyclegan.system import files, places, tensorflow_setup

__all__ = [
    "Evaluated",
    "Exported",
    "Prepared",
    "Trained",
    "Translated",
    "adapt",
    "compare",
    "distill",
    "doctor",
    "evaluate",
    "export",
    "export_segmenter",
    "import_weights",
    "load_generator",
    "prepare",
    "segment",
    "train",
    "train_segmenter",
    "translate",
]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A data set on disk, for `data_dir=`; `counts` holds its number of pictures by split (empty
    for the raw toy street).
    """

    data_dir: Path
    counts: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run, for `run_dir=`, and its page."""

    run_dir: Path
    report: Path


@dataclasses.dataclass(frozen=True)
class Translated:
    """A folder of PNGs and their paths in order; or the directory of a translated data set, with no
    paths.
    """

    output: Path
    pictures: list[Path]


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """The folder of scores and pictures, their page, and the contents of metrics.json."""

    output: Path
    page: Path
    metrics: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Exported:
    """A version's directory (a SavedModel with the TFLite files beside it) and the contents of its
    metadata.json.
    """

    directory: Path
    metadata: dict[str, Any]


def _module(command: str) -> Any:
    return importlib.import_module(f"tfcyclegan.commands.{command}")


def _run(command: str, given: dict[str, Any]) -> tuple[Any, Any]:
    """Runs a command; returns its options and what it returned, with the paths of stores'
    copies.
    """
    module = _module(command)
    with places.at_hand(_options(module.Config, given)) as config:
        return config, module.run(config)


def _options(config_class: type[Options], given: dict[str, Any]) -> Any:
    """The options given as keyword arguments, combined with those of a flag file."""
    fields: dict[str, dataclasses.Field[Any]] = {}
    for field in dataclasses.fields(config_class):
        fields |= dict.fromkeys((field.name, flag_name(field), field.metadata["alias"]), field)
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name == "flagfile" or value is None:
            continue
        if name not in fields:
            raise flags.unknown(config_class, name)
        field = fields[name]
        if field.name in values:
            raise UserError(f"--{flag_name(field)}: given twice, also as {name}")
        values[field.name] = _value(field, value)
    if (path := given.get("flagfile")) is not None:
        values = flags.read(config_class, [f"--flagfile={os.fspath(path)}"]) | values
    return config_class(**values)


def _value(field: dataclasses.Field[Any], given: Any) -> Any:
    """A keyword argument as the value of its option: unchanged if it already has the option's type;
    anything else (a path, a pair, a NumPy number) is parsed from its text.
    """
    kind = option_type(field)
    if type(given) is kind:
        return given
    if callable(given):
        raise UserError(
            f"--{flag_name(field)}: does not take a {type(given).__name__}; name your own function "
            "as 'module:function'"
        )
    if isinstance(given, Iterable) and not isinstance(given, str):
        separator = "x" if kind is Size else ","
        return flags.from_text(field, separator.join(map(_text, given)))
    return flags.from_text(field, _text(given))


def _text(given: Any) -> str:
    return os.fspath(given) if isinstance(given, os.PathLike) else str(given)


def prepare(script: str = "folders", **options: Any) -> Prepared:
    """Prepares pictures for training, as `python -m data_prep.SCRIPT` does.

    Args:
        script: "folders" (your own, with trainA and trainB in `input_dir`), "satellite_map",
            "gta5", "cityscapes" or, in a checkout of the repository, "toy_street".
        options: the script's flags, above all `input_dir` and `output_dir`.
    """
    scripts = importlib.import_module("data_prep").SCRIPTS
    if script not in scripts:
        raise UserError(f"script {script!r}: unknown choice; valid are {', '.join(scripts)}")
    module = importlib.import_module(f"data_prep.{script}")
    with places.at_hand(_options(module.Config, options)) as config:
        module.run(config)
    directory = Path(config.output_dir)
    manifest = directory / "manifest.json"
    splits = files.read_json(manifest).get("splits", {}) if manifest.is_file() else {}
    return Prepared(directory, {name: split["records"] for name, split in splits.items()})


def load_generator(
    path: str | os.PathLike[str],
    *,
    direction: str = "",
    checkpoint: str = "latest",
    trust_model: bool = False,
) -> Callable[..., Any]:
    """The generator of a run or of an export, which maps pictures [B, H, W, C] in [-1, 1] to
    pictures of the other domain.

    Args:
        path: a run directory; or an exported model: the folder of its versions, one of its
            versions, or a .tflite file; or hf:FOLDER or hf:OWNER/NAME, see `exports.hub`.
        direction: for a run, "ab" or "ba"; by default "ab", or the only direction that it has.
        checkpoint: for a run, "latest", "best" or a step.
        trust_model: loads a SavedModel even if it may do more than compute.

    Returns:
        For a run, a `tfcyclegan.Generator`, which is a `keras.Model`, in float32; the sides of
        pictures must be multiples of its `size_multiple`. For an export, a function from NumPy
        arrays or tensors to NumPy arrays; a SavedModel takes any size, a .tflite file only the size
        that it was exported with.

    Raises:
        UserError: `path` is neither a run nor an export, or it has no such direction or checkpoint.
        RunError: the checkpoint is damaged.
    """
    tensorflow_setup.import_tensorflow()
    from tfcyclegan.exports import exported_models, hub
    from tfcyclegan.training import checkpoints, runs

    path = hub.located(places.in_home(os.fspath(path)), "path")
    if (path / runs.CONFIG).is_file():
        run = runs.read_run(path)
        return checkpoints.load_generator(run, checkpoint, direction or runs.only_direction(run))
    if not path.exists():
        raise UserError(f"{path}: no such run and no such exported model")
    return exported_models.as_generator(path, direction, trusted=trust_model)


def _command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives `function` a signature made of its command's flags, for `help()` and for notebooks."""
    config_class = _module(function.__name__).Config
    parameters = [
        inspect.Parameter("flagfile", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Path)
    ]
    lines = [function.__doc__, "", "Keyword arguments:"]
    for field in dataclasses.fields(config_class):
        name, kind = field.name, option_type(field)
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=kind
            )
        )
        lines.append(f"    {name}: {field.metadata['help']}")
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__doc__ = "\n".join(map(str, lines))
    return function


@_command
def train(**options: Any) -> Trained:
    """Trains translators between two sets of pictures; the same call resumes."""
    config, report = _run("train", options)
    return Trained(Path(config.run_dir), report)


@_command
def translate(**options: Any) -> Translated:
    """Translates a picture, a folder or a data set."""
    config, _ = _run("translate", options)
    if config.output_data:
        return Translated(Path(config.output_data), [])
    return Translated(Path(config.output), sorted(Path(config.output).rglob("*.png")))


@_command
def evaluate(**options: Any) -> Evaluated:
    """Scores translated test pictures against controls."""
    _, output = _run("evaluate", options)
    return Evaluated(output, output / "index.html", files.read_json(output / "metrics.json"))


@_command
def compare(**options: Any) -> Path:
    """Puts evaluated runs side by side on one page; returns its path."""
    config, _ = _run("compare", options)
    return Path(config.output)


@_command
def export(**options: Any) -> Exported:
    """Writes a run's generator as SavedModel and TFLite."""
    _, directory = _run("export", options)
    return Exported(directory, files.read_json(directory / "metadata.json"))


@_command
def distill(**options: Any) -> Trained:
    """Trains small generators that imitate a run's generators; the same call resumes."""
    config, report = _run("distill", options)
    return Trained(Path(config.output), report)


@_command
def adapt(**options: Any) -> Path:
    """Trains segmenters for a target domain without labels; returns the directory with report.html
    and results.json.
    """
    config, _ = _run("adapt", options)
    return Path(config.output_dir)


@_command
def train_segmenter(**options: Any) -> Path:
    """Trains a segmenter on labelled pictures; returns its directory, for `segmenter_dir=`. The
    same call resumes.
    """
    config, _ = _run("train_segmenter", options)
    return Path(config.run_dir)


@_command
def segment(**options: Any) -> Path:
    """Labels pictures with a segmenter; returns the folder with labelIds and overlays."""
    config, _ = _run("segment", options)
    return Path(config.output)


@_command
def export_segmenter(**options: Any) -> Exported:
    """Writes a segmenter as SavedModel and TFLite."""
    _, directory = _run("export_segmenter", options)
    return Exported(directory, files.read_json(directory / "metadata.json"))


@_command
def import_weights(**options: Any) -> Path:
    """Makes a run from another program's weights (`from_="pytorch"` or "tfa"); returns its
    directory, for `run_dir=`.
    """
    config, _ = _run("import_weights", options)
    return Path(config.output)


@_command
def doctor(**options: Any) -> None:
    """Prints what is installed, what this machine has, and what that means for training."""
    _run("doctor", options)
