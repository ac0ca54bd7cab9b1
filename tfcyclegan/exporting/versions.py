"""The directory of a model's versions: which is the newest, how the next is made, and that all of
them are of one purpose.
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
    """The newest version's directory if its metadata hold `identity`."""
    for newest in files.numbered(output)[-1:]:
        if identity.items() <= model_metadata.read(newest).items():
            return newest
    return None


def require_same_purpose(output: Path, metadata: Mapping[str, Any]) -> None:
    """Sees to it that the next version does what the newest one does, as far as that is known:
    servers answer the same clients by it.

    Args:
        output: folder of the versions.
        metadata: those of the version to make.

    Raises:
        UserError: it would translate another way, or take pictures of another kind.
    """
    here = model_metadata.purpose(metadata)
    for version in reversed(files.numbered(output)):
        there = model_metadata.purpose(model_metadata.read(version))
        if there:
            _compare(output, version.name, there, here)
            return
        log(f"{version}: {model_metadata.UNKNOWN}, so it is not compared with the next version")


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
            "servers answer by the newest "
            "version, so that the same clients would get something else: name another --output"
        )


@contextlib.contextmanager
def new_version(output: Path, metadata: Mapping[str, Any]) -> Iterator[tuple[Path, Path]]:
    """Yields the directory of the next version, and the one in which to make it; see
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
