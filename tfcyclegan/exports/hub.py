"""Models given as hf:FOLDER or hf:OWNER/NAME: folders made by `export --hub_dir`, or repositories
of the Hugging Face Hub that are in its cache on this machine. Nothing is downloaded.
"""

import importlib.util
import re
from pathlib import Path

from tfcyclegan.errors import UserError
from tfcyclegan.system.progress import log

PREFIX = "hf:"
_REPOSITORY = r"(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[^/]+))?(/(?P<file>.+))?"


def located(given: str, flag: str) -> Path:
    """The path of a model.

    Args:
        given: a path; or hf:FOLDER, hf:OWNER/NAME, hf:OWNER/NAME@REVISION, each also with a file
            in it, such as hf:OWNER/NAME/float32.tflite.
        flag: the flag that gives it, for messages.

    Raises:
        UserError: the cache does not have it, or the extra is not installed.
    """
    if not given.startswith(PREFIX):
        return Path(given)
    rest, told = given.removeprefix(PREFIX), f"--{flag}={given}"
    if Path(rest).exists():
        return Path(rest)
    named = re.fullmatch(_REPOSITORY, rest)
    if named is None:
        raise UserError(f"{told}: no such folder, and no name of the form OWNER/NAME")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise UserError(f"{told}: no such folder; for names: pip install 'tfcyclegan[hub]'")
    path = _in_cache(named["name"], named["revision"], told)
    log(f"{told}: {path}")
    return path / named["file"] if named["file"] else path


def _in_cache(name: str, revision: str | None, told: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except HFValidationError as error:
        raise UserError(f"{told}: {' '.join(str(error).split())}") from error
    except LocalEntryNotFoundError as error:
        command = f"hf download {name}{f' --revision {revision}' if revision else ''}"
        raise UserError(
            f"{told}: no such folder, and not in this machine's cache; get it by: {command}"
        ) from error


def name_and_version(place: Path) -> tuple[str, str]:
    """The name and the version under which a model is served: of an export's version its folder's
    name and its number; otherwise version 1 of the folder or of the repository.

    Args:
        place: the model's resolved directory.
    """
    if re.fullmatch("[0-9]{1,18}", place.name):
        return place.parent.name, place.name
    cached = re.fullmatch(r"models--.+--(.+)", place.parent.parent.name)
    return (cached[1] if cached and place.parent.name == "snapshots" else place.name), "1"
