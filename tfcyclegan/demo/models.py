"""The TFLite models of a demo: found, checked, and described for the page."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfcyclegan.config import Size
from tfcyclegan.errors import UserError
from tfcyclegan.exports import model_metadata
from tfcyclegan.exports.model_metadata import METADATA, WITH_LATENTS
from tfcyclegan.system import files
from tfcyclegan.system.tensorflow_setup import silenced

PREFERRED = ("float16", "float32", "dynamic_int8", "int8")
"""Variants of an export, the best for a browser first: half the bytes to load, and no visible
difference.
"""


@dataclass(frozen=True)
class DemoModel:
    """A model that the page can run.

    Attributes:
        path: its .tflite file.
        title: its name on the page, such as "satellite → map".
        input_size: size of its input.
        output_size: size of its output.
        latent_size: numbers in the latent that it takes beside a picture; 0 if it takes none.
        metadata: metadata of its export; empty if there is none.
    """

    path: Path
    title: str
    input_size: Size
    output_size: Size
    latent_size: int
    metadata: dict[str, Any]

    @property
    def slug(self) -> str:
        """The title for file names."""
        return (
            re.sub(r"\W+", "_", self.title.replace("→", "to"), flags=re.ASCII).strip("_")
            or "translated"
        )

    @property
    def told(self) -> str:
        """A line for the terminal on the file and what it does."""
        status = model_metadata.status_of(self.metadata, self.path)
        doubt = "" if status == "usable" else f", {status} by the export"
        reading = model_metadata.told_reading(model_metadata.reading_of(self.metadata))
        otherwise = (
            f"; the page does not read pictures with {reading}, as in training" if reading else ""
        )
        return (
            f"{self.path}: {model_metadata.translates(self.metadata)}, pictures of "
            f"{self.input_size}{doubt}{otherwise}"
        )


def find_model(path: Path) -> DemoModel:
    """Opens the model of `--model`: a .tflite file, an export's folder, or one of its versions.

    Raises:
        UserError: there is no model, or the page cannot run it.
    """
    if path.is_dir():
        directory = [path, *files.numbered(path)][-1]
        file = directory / WITH_LATENTS
        if not file.is_file():
            file = directory / f"{_best_variant(directory, path)}.tflite"
    elif path.suffix != ".tflite":
        raise UserError(
            f"--model={path}: "
            f"{'not a .tflite file' if path.exists() else 'no such file or folder'}; make one with "
            "tfcyclegan export"
        )
    elif not path.is_file():
        raise UserError(f"--model={path}: no such file; make one with tfcyclegan export")
    else:
        file = path
    metadata = model_metadata.read(file)
    values = model_metadata.values_of(metadata)
    if not values.pictures:
        raise UserError(
            f"--model={path}: {'; '.join(values.told())}; the page only handles a browser's 8-bit "
            "pictures; use tfcyclegan translate"
        )
    return DemoModel(file, _title(file, metadata), *_sizes(file, path), metadata)


def _best_variant(directory: Path, given: Path) -> str:
    there = [name for name in PREFERRED if (directory / f"{name}.tflite").is_file()]
    with files.understanding(directory / METADATA):
        known = model_metadata.read(directory).get("variants", {})
        usable = [name for name in there if known.get(name, {}).get("status", "usable") == "usable"]
    if not usable:
        why = (
            f"none of its .tflite files ({', '.join(there)}) passed the export's checks"
            if there
            else "no .tflite file found"
        )
        raise UserError(f"--model={given}: {why}; make one with tfcyclegan export")
    return usable[0]


def _title(file: Path, metadata: dict[str, Any]) -> str:
    with files.understanding(file.parent / METADATA):
        domains = metadata.get("domains", {})
        if set(domains.values()) not in (set(), {"a", "b"}):  # the export stored their names
            return f"{domains['from']} → {domains['to']}"
    in_export = bool(metadata) and file.parent.name.isdigit()
    return file.parent.parent.name if in_export else file.stem


def _sizes(file: Path, given: Path) -> tuple[Size, Size, int]:
    """The sizes of input, output and latent, if it is a model from pictures to pictures."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        with silenced():
            interpreter = Interpreter(model_content=file.read_bytes())
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"--model={given}: {file.name} is not a TFLite model, or damaged "
            f"({str(error).splitlines()[0]})"
        ) from error
    taken = interpreter.get_input_details()
    latents = {each["index"]: int(each["shape"][1]) for each in taken if len(each["shape"]) == 2}
    beside_a_picture = len(taken) == 2 and len(latents) == 1
    sizes = []
    for word, tensors in (
        ("takes", [each for each in taken if not (beside_a_picture and each["index"] in latents)]),
        ("gives", interpreter.get_output_details()),
    ):
        shape = list(map(int, tensors[0]["shape"]))
        if (
            len(tensors) != 1
            or tensors[0]["dtype"].__name__ != "float32"
            or len(shape) != 4
            or shape[0] != 1
            or shape[3] not in (1, 3)
        ):
            described = (
                f"{len(tensors)} tensors"
                if len(tensors) != 1
                else f"{tensors[0]['dtype'].__name__} {shape}"
            )
            raise UserError(
                f"--model={given}: {file.name} {word} {described}; the page runs translators of "
                "pictures, float32 [1, H, W, 1 or 3]"
            )
        sizes.append(Size(shape[1], shape[2]))
    return sizes[0], sizes[1], sum(latents.values()) if beside_a_picture else 0
