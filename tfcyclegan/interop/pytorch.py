"""Reads .pth files of the official program. Needs PyTorch, an extra; nothing in a file is run."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfcyclegan.errors import UserError

# The official program's file of each network; D_A judges domain b there.
FILES = {"gen_ab": "latest_net_G_A.pth", "gen_ba": "latest_net_G_B.pth", "disc_b": "latest_net_D_A.pth", "disc_a": "latest_net_D_B.pth"}


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """{key: array} of a .pth file.

    Statistics that instance norm stored before PyTorch 0.4, which the official program drops too, are left out, and so is the
    prefix that `DataParallel` adds.

    Raises:
        UserError: no such file, PyTorch is missing, the file is damaged, foreign, or holds code.
    """
    if not path.is_file():
        raise UserError(f"--weights={path}: no such file")
    try:
        import torch
    except ModuleNotFoundError as error:
        raise UserError("reading .pth files needs PyTorch: pip install 'tfcyclegan[pytorch]'") from error
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                    raise UserError(f"--weights={path}: compressed, which PyTorch does not do; save it anew with torch.save")
        with warnings.catch_warnings(action="ignore"):  # PyTorch comments on what it refuses anyway
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        raise UserError(f"--weights={path}: refused, since it holds more than weights or is no .pth file; nothing of it was run") from error
    except Exception as error:  # whatever the reader of a damaged pickle raises
        raise UserError(f"--weights={path}: damaged or no .pth file ({str(error).splitlines()[0] if str(error) else 'cut off'})") from error
    if (
        not isinstance(loaded, Mapping)
        or not loaded
        or not all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in loaded.items())
    ):
        raise UserError(f"--weights={path}: holds no state dict; give the official program's *_net_G_A.pth or the like")
    state = {}
    for key, value in loaded.items():
        try:
            whole = value.detach()
            state[key.removeprefix("module.")] = (whole.float() if whole.dtype == torch.bfloat16 else whole).numpy()
        except (TypeError, RuntimeError) as error:  # sparse, quantized, without values, of a type that NumPy has not
            raise UserError(f"--weights={path}: {key} cannot be read as an array ({str(error).splitlines()[0]})") from error
    if sum(value.nbytes for value in state.values()) > 2 * path.stat().st_size:  # twice, for bfloat16
        raise UserError(f"--weights={path}: its tensors claim more values than the file holds; save it anew with torch.save")
    stale = {key for key in state if key.endswith(("running_mean", "running_var")) and f"{key.rpartition('.')[0]}.weight" not in state}
    return {key: value for key, value in state.items() if key not in stale}
