"""The directory of a model's versions: finds the newest, makes the next, and checks that all have
the same purpose.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfcyclegan.errors import UserError
from tfcyclegan.exports import model_metadata
from tfcyclegan.system import files
from tfcyclegan.system.progress import log


def newest_version(output: Path, identity: dict[str, Any]) -> Path | None:
    """The newest version's directory if its metadata includes `identity`."""
    for newest in files.numbered(output)[-1:]:
        if identity.items() <= model_metadata.read(newest).items():
            return newest
    return None


def require_same_purpose(output: Path, metadata: Mapping[str, Any]) -> None:
    """Checks that the next version has the purpose of the newest one, as far as it is known:
    servers answer the same clients with it.

    Args:
        output: folder that holds the versions.
        metadata: metadata of the version to make.

    Raises:
        UserError: it would translate in another direction, or take other pictures.
    """
    here = model_metadata.purpose(metadata)
    for version in reversed(files.numbered(output)):
        there = model_metadata.purpose(model_metadata.read(version))
        if there:
            _compare(output, version.name, there, here)
            return
        log(f"{version}: {model_metadata.UNKNOWN}, so it cannot be compared with the next version")


def _compare(output: Path, version: str, there: dict[str, str], here: dict[str, str]) -> None:
    names = ("kind",) if there.get("kind", here["kind"]) != here["kind"] else tuple(there)
    differing = [
        f"{name} {there[name]} there, {here[name]} here"
        for name in names
        if there[name] != here.get(name, there[name])
    ]
    if differing:
        raise UserError(
            f"--output={output}: its version {version} is another model ({'; '.join(differing)}); "
            "servers use the newest version, so the same clients would get different results; "
            "choose another --output"
        )


@contextlib.contextmanager
def new_version(output: Path, metadata: Mapping[str, Any]) -> Iterator[tuple[Path, Path]]:
    """Yields the directory of the next version, and the temporary one in which to make it; see
    `files.atomic_directory`.

    Raises:
        UserError: see `require_same_purpose`.
    """
    with files.exclusive_lock(output):
        require_same_purpose(output, metadata)
        directory = output / str(
            max((int(version.name) for version in files.numbered(output)), default=0) + 1
        )
        with files.atomic_directory(directory) as temporary:
            yield directory, temporary
