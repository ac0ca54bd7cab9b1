"""Writes a run's generator as SavedModel and TFLite and proves, before anything gets its name, that they agree with Keras.

saved_models/NAME/1/            the SavedModel, a number higher at each export
    float32.tflite float16.tflite
    metadata.json               which weights, which data, the parity measured
"""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tfcyclegan import __version__, files
from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.domains import open_domains
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.export import saved_model, tflite
from tfcyclegan.progress import say
from tfcyclegan.training.checkpoints import find_checkpoint, load_generator
from tfcyclegan.training.runs import Run
from tfcyclegan.translation import as_function, weights_hash

METADATA = "metadata.json"
BOUNDS = {"SavedModel (C++ loader)": 1e-4, "TFLite float32": 1e-4, "TFLite float16": 1e-2}
_PICTURES = 4


def export(run: Run, checkpoint: str, direction: str, output: Path, tflite_size: Size | None) -> Path:
    """Exports one direction; returns the directory of the version made, or of the one that holds the same already.

    Raises:
        UserError: no such checkpoint or direction, or a size that does not fit.
        RunError: an exported model differs from Keras by more than its bound; nothing is left behind.
    """
    if output.suffix == ".tflite":
        raise UserError(f"--output={output}: is a folder, such as saved_models/mine; the .tflite files lie inside")
    generator = load_generator(run, checkpoint, direction)
    size = tflite_size or run.config.crop_size
    tflite.check_size(generator, size)
    identity = {"weights": weights_hash(generator), "direction": direction, "tflite_size": str(size), "tfcyclegan": __version__}
    newest = newest_version(output, identity)
    if newest is not None:
        say(f"{newest}: holds this model already")
        return newest
    directory = next_version(output)
    pictures = _pictures(run, direction, size)
    expected = as_function(generator)(pictures)
    with files.atomic_directory(directory) as temporary:
        saved_model.save(generator, temporary)
        outputs = {"SavedModel (C++ loader)": saved_model.run_in_session(temporary, pictures)}
        for variant in tflite.VARIANTS:
            content = tflite.convert(generator, variant, size)
            tflite.check_operators(content, variant)
            files.write_bytes(temporary / f"{variant}.tflite", content)
            outputs[f"TFLite {variant}"] = tflite.run(content, pictures)
        parity = {name: float(np.abs(result - expected).max()) for name, result in outputs.items()}
        show_parity(parity, temporary, "largest difference from Keras, range [-1, 1]")
        check_parity(parity)
        files.write_json(temporary / METADATA, identity | _provenance(run, checkpoint, generator.count_params()) | {"parity": parity})
    say(f"exported to {directory}")
    return directory


def _versions(output: Path) -> list[int]:
    return sorted(int(path.name) for path in output.iterdir() if path.name.isdigit()) if output.is_dir() else []


def newest_version(output: Path, identity: dict[str, Any]) -> Path | None:
    """The newest version's directory if its metadata hold `identity`."""
    newest = output / str(max(_versions(output), default=0))
    known = (newest / METADATA).exists() and identity.items() <= files.read_json(newest / METADATA).items()
    return newest if known else None


def next_version(output: Path) -> Path:
    """Where the next version goes."""
    return output / str(max(_versions(output), default=0) + 1)


def check_parity(parity: dict[str, float]) -> None:
    """Raises RunError where a model differs from Keras by more than its bound."""
    failed = [name for name, difference in parity.items() if not difference <= BOUNDS[name]]
    if failed:
        raise RunError(f"{failed[0]} differs from Keras by {parity[failed[0]]:.2g}, more than {BOUNDS[failed[0]]}; nothing was written")


def _pictures(run: Run, direction: str, size: Size) -> np.ndarray:
    """A few real pictures [N, H, W, C] to compare on; noise where the run's data cannot be found any more."""
    domain = direction[0]
    channels = run.config.channels_a if domain == "a" else run.config.channels_b
    try:
        domains = open_domains(run.config.data_dir)
        split = domains.find("test", domain) or domains.require("train", domain)
        pictures = [encoded for (_, encoded), _ in zip(split.pictures(), range(_PICTURES), strict=False)]
    except UserError:
        say("the run's data are not there: parity is measured on noise")
        return np.random.default_rng(0).uniform(-1, 1, (_PICTURES, size.height, size.width, channels)).astype(np.float32)
    return np.stack([images.to_float(images.to_array(images.resize(images.decode(encoded, channels), size))) for encoded in pictures])


def _provenance(run: Run, checkpoint: str, parameters: int) -> dict[str, Any]:
    return {
        "run_dir": str(run.directory),
        "checkpoint": Path(find_checkpoint(run.directory, checkpoint)).name,
        "architecture": run.config.architecture,
        "base_filters": run.config.base_filters,
        "parameters": parameters,
        "data_fingerprint": run.data_fingerprint,
    }


def show_parity(parity: dict[str, float], directory: Path, meaning: str) -> None:
    """Prints the differences beside their bounds and the models' sizes."""
    sizes = {
        "SavedModel (C++ loader)": (directory / "variables").glob("*"),
        "TFLite float32": [directory / "float32.tflite"],
        "TFLite float16": [directory / "float16.tflite"],
    }
    table = Table("model", meaning, "bound", "KB")
    for name, difference in parity.items():
        kilobytes = sum(path.stat().st_size for path in sizes[name]) / 1000
        table.add_row(name, f"{difference:.1e}", f"{BOUNDS[name]:.0e}", f"{kilobytes:.0f}")
    Console(width=100).print(table)
