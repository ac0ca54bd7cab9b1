"""The options of an official training, from the train_opt.txt that the official programs leave
beside their weights.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tfcyclegan.config import Size, TrainConfig, default_of, option_type
from tfcyclegan.config.base import check
from tfcyclegan.config.official_names import RECIPE
from tfcyclegan.errors import UserError
from tfcyclegan.system.progress import log

FILE = "train_opt.txt"
_LINE = re.compile(r"\s*(\w+): (.*?)\s*(\t?\[default: .*\])?")
_MOST_BYTES = 2**20
_RENAMED = RECIPE | {"fineSize": "crop_size", "loadSize": "load_size"}
"""Of newer and older versions of the programs."""
_SAME = (
    "batch_size",
    "crop_size",
    "flip_equivariance",
    "gan_mode",
    "init_gain",
    "lambda_identity",
    "load_size",
    "nce_layers",
    "num_patches",
    "pool_size",
    "preprocess",
)
_NAMES = _RENAMED | dict(zip(_SAME, _SAME, strict=True))
_VALUES = {("schedule", "cosine"): "cosine_official"}
"""Values with other names here."""
_NOT_HERE = ("max_dataset_size", "netF", "netF_nc", "random_scale_max", "serial_batches")
"""Options that shaped the training and have no counterpart."""
_PARSERS: Mapping[type, Callable[[str], Any]] = {
    int: int,
    float: float,
    str: str,
    bool: {"True": True, "False": False}.__getitem__,
    Size: Size.parse,
}


def read(folder: Path) -> dict[str, tuple[str, bool]]:
    """{option: (text of its value, whether it differs from its default)}; empty without the file.

    Raises:
        UserError: the file is not such a list.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    with open(path, "rb") as stream:
        text = stream.read(_MOST_BYTES).decode(errors="replace")
    found = {
        match[1]: (match[2], match[3] is not None)
        for line in text.splitlines()
        if (match := _LINE.fullmatch(line))
    }
    if "model" not in found:
        raise UserError(
            f"{path}: is not a list of the official program's options; move it elsewhere to import "
            "the weights without it"
        )
    return found


def method_of_cut(given: Mapping[str, tuple[str, bool]]) -> str | None:
    """ "cut" or "fastcut"; None if the options do not say which."""
    mode = given.get("CUT_mode", ("", False))[0].lower()
    return mode if mode in ("cut", "fastcut") else None


def dropout(given: Mapping[str, tuple[str, bool]]) -> bool | None:
    """Whether generators had dropout; None if the options do not say."""
    return given["no_dropout"][0] != "True" if "no_dropout" in given else None


def tell(path: Path, given: Mapping[str, tuple[str, bool]], count: int) -> None:
    """Reports how many options were taken, and what exchanges the domains."""
    log(f"{path}: options of the training that are taken: {count}")
    if given.get("direction", ("", False))[0] == "BtoA":
        log(
            f"{path}: direction BtoA: the run's domain a is the data set's B; to train on or "
            "evaluate, give data whose domains are exchanged (docs/migrating/official.md)"
        )


def options_of(
    given: Mapping[str, tuple[str, bool]], method: str
) -> tuple[dict[str, Any], list[str]]:
    """The options of `train` that say the same, apart from those of networks; and the official ones
    that have no counterpart and differ from their defaults, as "gan_mode wgangp".
    """
    fields = {field.name: field for field in dataclasses.fields(TrainConfig)}
    options: dict[str, Any] = {}
    without: list[str] = []
    for official, (text, differs) in given.items():
        name = _NAMES.get(official)
        if name is None:
            if official in _NOT_HERE and differs:
                without.append(f"{official} {text}")
            continue
        if default_of(fields[name], method) is None and fields[name].metadata["methods"]:
            continue  # of another method
        value_text = _VALUES.get((name, text), text)
        try:
            value = _PARSERS[option_type(fields[name])](value_text)
            check(fields[name], value)
        except (UserError, ValueError, KeyError):
            without.append(f"{official} {text}")
            continue
        options[name] = value
    if "no_flip" in given:
        options["flip"] = given["no_flip"][0] != "True"
    return options, without
