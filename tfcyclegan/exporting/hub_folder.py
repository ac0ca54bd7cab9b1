"""A folder that `hf upload` or `huggingface_hub.upload_folder` publishes as it is: an export's
files, its model card with the Hub's metadata, and the weights as safetensors.

README.md           the model card; its head is the metadata block
network.json        the network, as Keras serializes it
model.safetensors   its weights, named by their order: "000.kernel", "001.bias"
the rest            the version's files, without rejected/ and MODEL_CARD.md
"""

import importlib.util
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tfcyclegan.errors import RunError, UserError
from tfcyclegan.exporting import model_card
from tfcyclegan.exports.model_metadata import METADATA
from tfcyclegan.measures.evaluation_set import FORMER_OWN, OWN
from tfcyclegan.networks import Generator
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from tfcyclegan.training.checkpoints import load_generator, weights_hash
from tfcyclegan.training.runs import Run

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

CARD = "README.md"
WEIGHTS = "model.safetensors"
NETWORK = "network.json"
_LIBRARY = "tfcyclegan"
_TASK = "image-to-image"


def require_room(folder: Path) -> None:
    """Checks, before an export, that the folder can be written after it, unless it holds another
    export (`require_no_export`).

    Raises:
        UserError: a package is not installed, or the folder holds other files.
    """
    for package in ("huggingface_hub", "safetensors"):
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f"--hub_dir={folder}: {package} is not installed: pip install 'tfcyclegan[hub]'"
            )
    files.require_no_file("hub_dir", folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / METADATA).is_file():
        raise UserError(f"--hub_dir={folder}: is not empty; choose another folder")


def require_no_export(folder: Path) -> None:
    """Checks, before a new version is made, that the folder holds no export: it would be another
    one, and servers would already use the new version when `write` refuses.

    Raises:
        UserError: it holds one.
    """
    if (folder / METADATA).is_file():
        raise _holds_another(folder)


def _holds_another(folder: Path) -> UserError:
    return UserError(
        f"--hub_dir={folder}: holds another export; remove it or choose another folder"
    )


def write(run: Run, checkpoint: str, direction: str, version: Path, folder: Path) -> None:
    """Writes the folder; one that already holds this export stays, as its card may be edited.

    Args:
        run: what was exported.
        checkpoint: which one.
        direction: "ab" or "ba".
        version: directory of the export's version.
        folder: the folder to write.

    Raises:
        UserError: the folder holds something else.
        RunError: the run was trained on since the export.
    """
    metadata = files.read_json_object(version / METADATA)
    if (folder / METADATA).is_file():
        if files.read_json_object(folder / METADATA) != metadata:
            raise _holds_another(folder)
        log(f"{folder}: already holds this export; its {CARD} is left as it is")
        return
    require_room(folder)
    generator = load_generator(run, checkpoint, direction)
    if weights_hash(generator) != metadata["weights"]:
        raise RunError(
            f"--hub_dir={folder}: {run.directory} has been trained on since {version} was "
            "exported; give the same command again"
        )
    scores = model_card.scores_of(run, direction)
    card = _card(run, version.parent.name, metadata, scores)
    text = (version / model_card.NAME).read_text(encoding="utf-8")
    with files.atomic_directory(folder) as temporary:
        shutil.copytree(
            version,
            temporary,
            ignore=shutil.ignore_patterns("rejected", model_card.NAME),
            dirs_exist_ok=True,
        )
        files.write_text(temporary / CARD, f"---\n{card.to_yaml()}\n---\n\n{text}")
        files.write_json(temporary / NETWORK, keras.saving.serialize_keras_object(generator))
        _write_weights(generator, temporary / WEIGHTS)
    log(
        f"{folder}: for the Hugging Face Hub; its {CARD} names no licence: add `license:` to its "
        f"head, then hf upload OWNER/NAME {folder}"
    )


def _write_weights(generator: Generator, path: Path) -> None:
    from safetensors.numpy import save_file

    # Keras' own names count the layers of the whole process
    weights = {
        f"{index:03d}.{variable.name}": np.ascontiguousarray(variable.numpy())
        for index, variable in enumerate(generator.variables)
    }
    save_file(weights, path, metadata={"format": "tf"})


def _card(
    run: Run, name: str, metadata: Mapping[str, Any], scores: Mapping[str, Any] | None
) -> "ModelCardData":
    """The metadata block: what kind of model it is and, if the exported checkpoint was scored, the
    deciding scores.
    """
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type=_TASK,
            dataset_type=_slug(scores["data"]),
            dataset_name=scores["data"],
            dataset_split=scores["split"],
            metric_type=_slug(column["name"]),
            metric_name=f"{column['name']} ({column['better']} is better)",
            metric_value=value,
        )
        for table in (scores["tables"] if scores else ())
        for column in table["columns"]
        if scores
        and column["decides"]
        and scores["checkpoint"] == metadata["checkpoint"]
        and (value := _own_score(table, column["name"])) is not None
    ]
    return ModelCardData(
        library_name=_LIBRARY,
        pipeline_tag=_TASK,
        tags=["tensorflow", "keras", "gan", run.config.method],
        model_name=name if results else None,
        eval_results=results or None,
    )


def _own_score(table: Mapping[str, Any], column: str) -> float | None:
    """The translation's score in a table of metrics.json."""
    rows = table["rows"]
    return rows.get(OWN, rows.get(FORMER_OWN, {})).get(column, {}).get("value")


def _slug(text: str) -> str:
    return re.sub(r"\W+", "_", text.lower(), flags=re.ASCII).strip("_")
