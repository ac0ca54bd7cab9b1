"""Writes the demo as a folder of static files: the page of site/, the models, their samples and
LiteRT.js.

index.html app.js engine.js pictures.js pace.js worker.js style.css    as in site/
app.webmanifest icon.svg kept.js offline.js    likewise: the page as an app, also without a network
demo.json       the models, for app.js
models/  samples/  litert/
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

from tfcyclegan import __version__
from tfcyclegan.demo import litert_js
from tfcyclegan.demo.models import DemoModel
from tfcyclegan.demo.sample_pictures import Samples
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.progress import log

DESCRIPTION = "demo.json"
ANSWERS = 8
"""Latents that the page has, of a model that takes them."""
SITE = Path(__file__).parent / "site"

Shown = list[tuple[DemoModel, Samples]]


def write_page(shown: Shown, directory: Path, *, offline: bool = False) -> None:
    """Writes the page into the existing `directory`.

    Args:
        shown: the models and their samples.
        directory: where to.
        offline: whether browsers keep the page, for use without a network.
    """
    shutil.copytree(SITE, directory, dirs_exist_ok=True)
    litert_js.unpack(directory / "litert")
    described = [
        _add_model(number, model, samples, directory)
        for number, (model, samples) in enumerate(shown, 1)
    ]
    files.write_json(
        directory / DESCRIPTION,
        {
            "tfcyclegan": __version__,
            "litert_js": litert_js.VERSION,
            "offline": offline,
            "models": described,
        },
    )


def _add_model(number: int, model: DemoModel, samples: Samples, directory: Path) -> dict[str, Any]:
    content = model.path.read_bytes()
    # browsers keep files by their names, without asking whether they have changed
    file = f"models/{number}-{model.slug}-{_digest(content)}.tflite"
    files.write_bytes(directory / file, content)
    names = [
        f"samples/{number}/{position}-{_digest(encoded)}.{ending}"
        for position, (encoded, ending) in enumerate(samples.pictures, 1)
    ]
    for name, (encoded, _) in zip(names, samples.pictures, strict=True):
        files.write_bytes(directory / name, encoded)
    return {
        "title": model.title,
        "slug": model.slug,
        "file": file,
        "bytes": len(content),
        "width": model.input_size.width,
        "height": model.input_size.height,
        "latents": _latents(model),
        "output": {"width": model.output_size.width, "height": model.output_size.height},
        "samples": names,
        "samples_from": samples.origin,
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def _latents(model: DemoModel) -> list[list[float]]:
    """Those of `translate --samples=8`, in the same order."""
    if not model.latent_size:
        return []
    from tfcyclegan.translation.answers import drawn  # which loads TensorFlow

    return drawn(ANSWERS, 0, model.latent_size).tolist()


def export_page(shown: Shown, output: Path) -> None:
    """Writes the page to `output` by rename; an older export is replaced.

    Raises:
        UserError: `output` holds something else, such as what a host or git needs beside the page.
    """
    own = {path.name for path in SITE.iterdir()} | {DESCRIPTION, "models", "samples", "litert"}
    inside = output.iterdir() if output.is_dir() else [output] if output.exists() else []
    there = sorted(path.name for path in inside)
    others = [name for name in there if name not in own]
    if others or (there and DESCRIPTION not in there):
        raise UserError(
            f"--export={output}: holds other files, such as {(others or there)[0]}, which a new "
            "export would remove; choose another folder"
        )
    with files.atomic_directory(output) as temporary:
        write_page(shown, temporary, offline=True)
    log(
        f"exported to {output}: put the folder on any web host, or try it with python -m "
        f"http.server --directory {output}"
    )
