"""Reads .pth files of the official program. Needs PyTorch, an extra; nothing in a file is
executed.
"""

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.interop.official import BOOKKEEPING, listed
from tfcyclegan.interop.recognition import network_prefixes

# The official program's file of each network; D_A judges domain b there.
FILES = {
    "gen_ab": "latest_net_G_A.pth",
    "gen_ba": "latest_net_G_B.pth",
    "disc_b": "latest_net_D_A.pth",
    "disc_a": "latest_net_D_B.pth",
}
ONE_WAY_FILES = {
    "gen_ab": "latest_net_G.pth",
    "disc_b": "latest_net_D.pth",
    "patch_sampler": "latest_net_F.pth",
}
"""The same of CUT, FastCUT and pix2pix."""
_SAVE_ALONE = "torch.save({}.state_dict(), 'latest_net_G_A.pth')"
_WRAPPERS = ("module.", "_orig_mod.")  # DataParallel's, torch.compile's


@dataclass
class StateFile:
    """The contents of a .pth file.

    Attributes:
        state: {key: array}.
        conversions: conversions of its tensors, with the number of tensors.
        left_out: entries that are not in `state`, with their number.
    """

    state: dict[str, np.ndarray]
    conversions: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)


def read_state_dict(path: Path) -> StateFile:
    """The state dict of a .pth file, also if it is part of a larger checkpoint or if all its keys
    have a prefix.

    Statistics that instance norm stored before PyTorch 0.4, which the official program drops too,
    are left out, and so is the prefix that `DataParallel` adds.

    Raises:
        UserError: the file or PyTorch is missing, or the file is damaged, foreign, or holds code or
            several networks.
    """
    if not path.is_file():
        raise UserError(f"--weights={path}: no such file")
    try:
        import torch
    except ModuleNotFoundError as error:
        raise UserError(
            "reading .pth files needs PyTorch: pip install 'tfcyclegan[pytorch]'"
        ) from error
    loaded = _load(path)
    found = StateFile({})
    tensors = _only_state_dict(path, loaded, found)
    for key, value in tensors.items():
        try:
            whole = value.detach()
            if whole.dtype in (torch.float16, torch.bfloat16, torch.float64):
                what = f"{str(whole.dtype).removeprefix('torch.')} to float32"
                found.conversions[what] = found.conversions.get(what, 0) + 1
            found.state[key] = (whole.float() if whole.dtype == torch.bfloat16 else whole).numpy()
        # sparse, quantized, without values, or of a type that NumPy lacks
        except (TypeError, RuntimeError) as error:
            raise UserError(
                f"--weights={path}: {key} cannot be read as an array ({str(error).splitlines()[0]})"
            ) from error
    # twice the size, for bfloat16
    if sum(value.nbytes for value in found.state.values()) > 2 * path.stat().st_size:
        raise UserError(
            f"--weights={path}: its tensors declare more values than the file holds; save it again "
            "with torch.save"
        )
    for prefix in (*_WRAPPERS, *network_prefixes(found.state)):
        _take_off(prefix, found)
    _drop_unused(found)
    return found


def _load(path: Path) -> Any:
    import torch

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any(entry.filename.endswith("/constants.pkl") for entry in archive.infolist()):
                    raise UserError(
                        f"--weights={path}: a TorchScript program; in PyTorch: "
                        f"{_SAVE_ALONE.format('torch.jit.load(FILE)')}"
                    )
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                    raise UserError(
                        f"--weights={path}: compressed, unlike PyTorch's own files; save it again "
                        "with torch.save"
                    )
        with warnings.catch_warnings(action="ignore"):  # PyTorch warns about what it refuses anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]{1,80})", str(error))
        what = (
            f"a whole pickled model or other objects ({named[1]})"
            if named
            else "more than weights, or is not a .pth file"
        )
        mend = f"; in PyTorch: {_SAVE_ALONE.format('network')}" if named else ""
        raise UserError(
            f"--weights={path}: refused, since it holds {what}; none of it was run{mend}"
        ) from error
    except Exception as error:  # the reader of a damaged pickle may raise anything
        raise UserError(
            f"--weights={path}: damaged or not a .pth file "
            f"({str(error).splitlines()[0] if str(error) else 'cut off'})"
        ) from error


def _only_state_dict(path: Path, loaded: Any, found: StateFile) -> Mapping[str, Any]:
    """The one state dict in `loaded`: itself, or an entry of it; UserError if there is none or more
    than one.
    """
    if _is_state_dict(loaded):
        return _of_one_network(path, loaded)
    nested = (
        {key: value for key, value in loaded.items() if _is_state_dict(value)}
        if isinstance(loaded, Mapping)
        else {}
    )
    networks = {
        key: value for key, value in nested.items() if not str(key).lower().startswith("optim")
    }
    if not networks:
        raise UserError(
            f"--weights={path}: holds no state dict; give a file like the official program's "
            "*_net_G_A.pth"
        )
    if len(networks) > 1:
        first = next(iter(networks))
        one = f"torch.save(torch.load(FILE)[{str(first)[:40]!r}], 'latest_net_G_A.pth')"
        raise UserError(
            f"--weights={path}: holds several networks ({listed(map(str, networks))}); save each "
            f"in its own file, in PyTorch: {one}"
        )
    key, state = next(iter(networks.items()))
    found.conversions[f"taken from the checkpoint's {str(key)[:40]!r}"] = len(state)
    found.left_out |= {
        f"the checkpoint's {str(other)[:40]!r}": 1 for other in loaded if other != key
    }
    return _of_one_network(path, state)


def _is_state_dict(value: Any) -> bool:
    import torch

    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in value.items())
    )


def _of_one_network(path: Path, state: Mapping[str, Any]) -> Mapping[str, Any]:
    prefixes = [prefix for prefix in network_prefixes(state) if prefix]
    if len(prefixes) > 1:
        one = (
            f"{{k.removeprefix({prefixes[0][:40]!r}): v for k, v in state.items() if "
            f"k.startswith({prefixes[0][:40]!r})}}"
        )
        raise UserError(
            f"--weights={path}: holds several networks (their keys start with {listed(prefixes)}); "
            f"save each in its own file, in PyTorch: torch.save({one}, 'latest_net_G_A.pth')"
        )
    return state


def _take_off(prefix: str, found: StateFile) -> None:
    """Removes `prefix` from the keys, and leaves out keys without it, which belong to other
    networks such as a loss's.
    """
    own = {key: value for key, value in found.state.items() if key.startswith(prefix)}
    if prefix and own:
        if others := [key for key in found.state if key not in own]:
            found.left_out[f"tensors beside {prefix[:40]} ({listed(others)[:200]})"] = len(others)
        found.conversions[f"prefix {prefix[:40]} removed"] = len(own)
        found.state = {key.removeprefix(prefix): value for key, value in own.items()}


def _drop_unused(found: StateFile) -> None:
    """Leaves out values that no network uses."""
    state = found.state
    counters = [key for key in state if key.endswith(BOOKKEEPING)]
    ends = ("running_mean", "running_var")
    stale = [
        key
        for key in state
        if key.endswith(ends) and f"{key.rpartition('.')[0]}.weight" not in state
    ]
    for what, keys in (
        (f"counters {BOOKKEEPING}", counters),
        ("statistics of instance norms, which the official program drops too", stale),
    ):
        if keys:
            found.left_out[what] = len(keys)
    found.state = {key: value for key, value in state.items() if key not in {*counters, *stale}}
