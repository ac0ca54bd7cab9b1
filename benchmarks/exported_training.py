"""Trains a packed run under JAX: step, state and pictures come from one .npz, and every picture and
random number is the one that TensorFlow would use.

Needs JAX, NumPy and ml_dtypes; see `stablehlo` for the commands, and `exported_runs` for what packs
a run and takes the result back into it.
"""

import io
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.exported_step import Package, loaded, peak_bytes, read, shape_and_type

WINDOW = 7  # numbers of a window, see `cut`
OPTIMIZERS = ("generator_optimizer", "discriminator_optimizer")
POOLS = ("pools_a", "pools_b")
ALL, NO_POOLS, WEIGHTS, HALF = "all", "no_pools", "weights", "half"
BRINGS = {
    ALL: "the whole state",
    NO_POOLS: "weights and optimizers; the image pools start empty",
    WEIGHTS: "the networks alone, which no training can resume",
    HALF: "the same in float16",
}
# what comes back from the GPU machine: the size of a file, and of all, beside which losses and
# figures need little
_FILE_BYTES, _ROOM = 16 * 2**20 - 4096, 62 * 2**20
_PART = "trained.npz."


def cut(pictures: Any, windows: Any, height: int, width: int) -> Any:
    """Windows of pictures, as NumPy's or JAX's array [B, H, W, C].

    Args:
        pictures: [N, rows, columns, C].
        windows: [B, 7] whole numbers: the picture, the row and column of the window's first pixel,
            the steps in rows and columns to the pixel below, and those to the pixel on the right;
            so windows may be mirrored and turned.
        height: of a window.
        width: of a window.
    """
    picture, row, column, down_rows, down_columns, right_rows, right_columns = (
        windows[:, number, np.newaxis, np.newaxis] for number in range(WINDOW)
    )
    down, right = np.arange(height)[:, np.newaxis], np.arange(width)
    rows = row + down * down_rows + right * right_rows
    columns = column + down * down_columns + right * right_columns
    return pictures[picture, rows, columns]


def drawn(seed: int, shape: tuple[int, ...], mean: float, deviation: float) -> np.ndarray:
    """Normal numbers in float32, from NumPy's frozen generator: the same everywhere."""
    numbers = np.random.RandomState(seed).standard_normal(shape)
    return (mean + deviation * numbers).astype(np.float32)


def is_brought(name: str, bring: str) -> bool:
    """Whether a value of the state is among what comes back."""
    owner = name.split("/")[0]
    without = {ALL: (), NO_POOLS: POOLS}.get(bring, (*POOLS, *OPTIMIZERS))
    return owner not in without


def brought_bytes(package: Package, bring: str) -> int:
    """The size of what comes back."""
    total = 0
    first = len(package.program.inputs) - len(package.about["state"])
    for name, described in zip(package.about["state"], package.program.inputs[first:], strict=True):
        shape, kind = shape_and_type(described)
        if is_brought(name, bring):
            size = 2 if bring == HALF and kind == np.float32 else kind.itemsize
            total += size * int(np.prod(shape))
    return total


def require_room(package: Package, bring: str) -> None:
    """Raises SystemExit if what should come back is larger than what may."""
    room, total = _ROOM / 2**20, brought_bytes(package, bring) / 2**20
    if total > room:
        smaller = [f"--bring={each}" for each in list(BRINGS)[list(BRINGS).index(bring) + 1 :]]
        mend = f"give {' or '.join(smaller)}" if smaller else "train smaller networks"
        raise SystemExit(f"--bring={bring}: {total:.0f} MiB, of {room:.0f} that come back; {mend}")


def start_state(package: Package) -> list[np.ndarray]:
    """The state before the first step, in the order of the program."""
    draws = package.about["drawn"]
    return [
        drawn(*draws[name]) if name in draws else package.arrays[f"state/{name}"]
        for name in package.about["state"]
    ]


def train(path: Path, output_dir: Path, *, bring: str, minutes: float, every: int) -> dict:
    """Trains to the packed run's end and writes what comes back.

    Args:
        path: what `exported_runs.pack` wrote.
        output_dir: where the parts of trained.npz go, see `joined`.
        bring: one of `BRINGS`.
        minutes: end after this time and keep what was reached; 0 for never.
        every: steps between looks at the losses, for which the device is waited for.

    Returns:
        The figures of the run: device, compiled_seconds, seconds (of a step, a mean for each look)
        and peak_bytes.

    Raises:
        SystemExit: what should come back is too large, or a step was skipped because a loss or a
            gradient was not finite; nothing is written then.
    """
    import jax
    import jax.numpy as jnp

    package = read(path)
    about, settings = package.about, package.settings
    require_room(package, bring)
    step = loaded(package.program)
    levels = jnp.asarray(np.arange(256, dtype=np.float32) / 127.5 - 1)

    def advance(state: list[Any], number: Any, data: dict[str, Any]) -> Any:
        windows = [(data[f"pictures_{d}"], data[f"windows_{d}"][number]) for d in "ab"]
        shown = [levels[cut(*each, settings.height, settings.width)] for each in windows]
        return step([*shown, *(data[name][number] for name in about["draws"])], state)

    names = [f"{what}_{domain}" for what in ("pictures", "windows") for domain in "ab"]
    data = {name: jnp.asarray(package.arrays[name]) for name in (*names, *about["draws"])}
    state = [jax.device_put(value) for value in start_state(package)]
    started = time.perf_counter()
    compiled = jax.jit(advance, donate_argnums=0).lower(state, np.int32(0), data).compile()
    compiled_seconds = time.perf_counter() - started

    total, done, started = len(data["windows_a"]), 0, time.perf_counter()
    values: list[np.ndarray] = []
    seconds: list[float] = []
    while done < total and not (minutes and time.perf_counter() - started > 60 * minutes):
        looked, rows = time.perf_counter(), []
        for number in range(done, min(done + every, total)):
            row, state = compiled(state, np.int32(number), data)
            rows.append(row)
        values.append(np.stack(jax.device_get(rows)))
        _require_finite(values[-1], about["reported"], about["first_step"] + done)
        done += len(rows)
        seconds.append((time.perf_counter() - looked) / len(rows))
        told = f"step {about['first_step'] + done}, {1 / seconds[-1]:.2f} steps/s"
        print(f"{done} of {total} steps: {told}", file=sys.stderr, flush=True)
    kept = {
        name: np.asarray(value)
        for name, value in zip(about["state"], state, strict=True)
        if is_brought(name, bring)
    }
    if bring == HALF:
        kept = {name: _halved(name, value) for name, value in kept.items()}
    _write_parts(
        output_dir,
        about=np.array(json.dumps({**about, "bring": bring})),
        values=np.concatenate(values),
        # of each step
        seconds=np.repeat(seconds, [len(each) for each in values]),
        **{f"state/{name}": value for name, value in kept.items()},
    )
    device = jax.devices()[0]
    return {
        "device": device.device_kind,
        "compiled_seconds": compiled_seconds,
        "seconds": seconds,
        "steps": done,
        "peak_bytes": peak_bytes(device, compiled),
    }


def _require_finite(values: np.ndarray, reported: list[str], first_step: int) -> None:
    skipped = np.flatnonzero(values[:, reported.index("skipped")])
    if len(skipped):
        at = int(skipped[0])
        row = zip(reported, values[at], strict=True)
        bad = [f"loss {name} is {value}" for name, value in row if not np.isfinite(value)]
        what = bad[0] if bad else "a gradient is not finite"
        raise SystemExit(f"step {first_step + at + 1}: {what}; nothing was written")


def _halved(name: str, value: np.ndarray) -> np.ndarray:
    if value.dtype != np.float32:
        return value
    half = value.astype(np.float16)
    if not np.isfinite(half).all():
        raise SystemExit(f"--bring={HALF}: {name} has weights beyond float16; give --bring=weights")
    return half


def _write_parts(output_dir: Path, **arrays: np.ndarray) -> None:
    whole = io.BytesIO()
    np.savez(whole, **arrays)
    view = whole.getbuffer()
    output_dir.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(view), _FILE_BYTES)):
        (output_dir / f"{_PART}{number}").write_bytes(view[start : start + _FILE_BYTES])


def joined(directory: Path) -> Mapping[str, np.ndarray]:
    """What `train` wrote in parts.

    Raises:
        SystemExit: there are none, or one is missing.
    """
    parts = sorted(directory.glob(f"{_PART}*"), key=lambda part: int(part.suffix[1:]))
    if not parts:
        raise SystemExit(f"{directory}: holds no {_PART}0; give the folder that train wrote")
    try:
        return dict(np.load(io.BytesIO(b"".join(part.read_bytes() for part in parts))))
    except Exception as error:  # a part in the middle or at the end is missing
        reason = str(error).splitlines()[0]
        raise SystemExit(
            f"{directory}: {_PART}* are damaged or not all there ({reason})"
        ) from error
