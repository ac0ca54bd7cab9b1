"""Generators by name."""

import importlib
import re
from pathlib import Path
from typing import Any

from tfcyclegan.config import ARCHITECTURES
from tfcyclegan.errors import UserError
from tfcyclegan.networks.generators import Generator
from tfcyclegan.networks.graph import GraphGenerator, read_graph
from tfcyclegan.networks.own import OwnGenerator
from tfcyclegan.networks.resnet import ResnetGenerator
from tfcyclegan.system import functions

GENERATORS = (
    f"resnet_Nblocks (N a number), {', '.join(ARCHITECTURES)}, the path of a .json graph, or "
    "module:function"
)


def _class(made_by: str) -> type[Generator]:
    module, _, name = made_by.partition(":")
    return getattr(importlib.import_module(f"tfcyclegan.networks.{module}"), name)


# Imported eagerly, since Keras loads saved networks only of classes that are registered.
_CLASSES = {name: _class(architecture.made_by) for name, architecture in ARCHITECTURES.items()}


def make_generator(architecture: str, **settings: Any) -> Generator:
    """Makes the generator that `architecture` names.

    Args:
        architecture: `resnet_Nblocks`, `unet_128` or `unet_256` as in the official program's
            `--netG`, or another name of `config.ARCHITECTURES`; the path of a graph that
            `import_weights --from=tfa` wrote; or `module:function`, see `own`, which is imported.
        **settings: arguments of the class.

    Raises:
        UserError: unknown architecture, a file without a graph, or a function that does not make a
            generator.
    """
    if functions.is_reference(architecture):
        functions.find("--generator", architecture)
        return OwnGenerator(function=architecture, **settings)
    if match := re.fullmatch(r"resnet_(\d+)blocks", architecture):
        return ResnetGenerator(blocks=int(match[1]), **settings)
    if architecture in ARCHITECTURES:
        return _CLASSES[architecture](**ARCHITECTURES[architecture].settings, **settings)
    if architecture.endswith(".json"):
        try:
            return GraphGenerator(graph=read_graph(Path(architecture)), **settings)
        except UserError as error:
            message = str(error)
            raise UserError(
                message if message.startswith("--") else f"--generator={architecture}: {message}"
            ) from error
    raise UserError(f"generator {architecture!r}: unknown choice; valid are {GENERATORS}")
