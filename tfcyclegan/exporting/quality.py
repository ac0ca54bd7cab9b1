"""Measures the exported files of a trained translator: quality against Keras, speed relative to
TensorFlow, operations outside the delegate.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from rich.table import Table

from tfcyclegan.data import images
from tfcyclegan.errors import RunError
from tfcyclegan.exporting.proof_pictures import COMPARED, Pictures
from tfcyclegan.measures.paired import psnr, ssim
from tfcyclegan.system import hardware
from tfcyclegan.system.progress import log_table, track

USABLE = "usable"
REJECTED = "rejected"
UNPROVEN = "unproven"
_EQUAL_DB = 100.0  # stands for the infinite PSNR of equal pictures, which JSON cannot express


@dataclass(frozen=True)
class Candidate:
    """An export before it is written.

    Attributes:
        files: contents by name; the first is the one to open.
        program: float32 [1, H, W, C] in [-1, 1] to the other domain.
        runtime: the runtime of the program.
        outside_delegate: see `Variant`.
        quantized: whether it computes in 8 bits.
    """

    files: Mapping[str, bytes]
    program: Callable[[np.ndarray], np.ndarray]
    runtime: str = "LiteRT"
    outside_delegate: Mapping[str, int] = field(default_factory=dict)
    quantized: bool = False


@dataclass(frozen=True)
class Variant:
    """An exported file, measured. Pictures are compared with those of the Keras generator in
    float32.

    Attributes:
        file: its path in the version's directory.
        status: "usable"; "rejected": below the gate; "unproven": above it, on too few test
            pictures.
        bytes: its size.
        milliseconds: median time per picture.
        keras_milliseconds: that of the Keras generator's graph, run alternately with the same
            threads.
        largest: largest difference of a value in [-1, 1].
        mean: mean absolute difference.
        psnr_mean: PSNR of the 8-bit pictures, or of measurements in their value ranges, in dB, mean
            over pictures; 100 stands for equal ones.
        psnr_worst: PSNR of the worst picture.
        ssim_mean: mean SSIM over pictures.
        ssim_worst: SSIM of the worst picture.
        outside_delegate: for TFLite, operations that XNNPACK does not support, and the number of
            each.
        runtime: the runtime that ran it.
    """

    file: str
    status: str
    bytes: int
    milliseconds: float
    keras_milliseconds: float
    largest: float
    mean: float
    psnr_mean: float
    psnr_worst: float
    ssim_mean: float
    ssim_worst: float
    outside_delegate: dict[str, int]
    runtime: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    candidates: Mapping[str, Candidate],
    keras_function: Callable[[np.ndarray], np.ndarray],
    pictures: Pictures,
    min_psnr: float,
    *,
    rounded: bool = True,
) -> dict[str, Variant]:
    """Runs every file on every picture, alternating with Keras, so that other load on the machine
    affects all of them.

    Args:
        candidates: the files to run, by name.
        keras_function: float32 [1, H, W, C] in [-1, 1] to the other domain.
        pictures: the pictures to run on.
        min_psnr: value in dB that mean and worst PSNR must reach.
        rounded: whether pictures are compared as 8-bit levels; measurements are compared in their
            value ranges, unrounded.

    Raises:
        RunError: an output is not finite.
    """
    programs = {name: candidate.program for name, candidate in candidates.items()}
    runners: dict[str, Callable[[np.ndarray], np.ndarray]] = {"Keras": keras_function, **programs}
    for runner in runners.values():  # the first run traces graphs and allocates memory
        runner(pictures.batch[:1])
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    differences: dict[str, list[tuple[float, float, float, float]]] = {
        name: [] for name in programs
    }
    for picture, called in track(
        zip(pictures.batch, pictures.names, strict=True),
        total=len(pictures.batch),
        unit="image",
        label="comparing with Keras",
    ):
        outputs = {}
        for name, runner in runners.items():
            started = time.perf_counter()
            outputs[name] = runner(picture[np.newaxis])[0]
            seconds[name].append(time.perf_counter() - started)
        try:
            expected = images.require_numbers(outputs.pop("Keras"))
        except RunError as error:
            raise RunError(f"{called}: {error}; nothing was written") from error
        for name, output in outputs.items():
            if not np.isfinite(output).all():
                raise RunError(
                    f"{called}: {name}: {images.NO_NUMBERS}, but Keras' does not; nothing was "
                    "written"
                )
            differences[name].append(_compare(output, expected, rounded))
    milliseconds = {name: float(np.median(values) * 1000) for name, values in seconds.items()}
    found = {}
    for name, candidate in candidates.items():
        largest, mean, psnrs, ssims = np.array(differences[name]).T
        status = status_of(candidate, pictures, float(psnrs.mean()), float(psnrs.min()), min_psnr)
        file = next(iter(candidate.files))
        found[name] = Variant(
            file=f"{REJECTED}/{file}" if status == REJECTED else file,
            status=status,
            bytes=sum(map(len, candidate.files.values())),
            milliseconds=milliseconds[name],
            keras_milliseconds=milliseconds["Keras"],
            largest=float(largest.max()),
            mean=float(mean.mean()),
            psnr_mean=float(psnrs.mean()),
            psnr_worst=float(psnrs.min()),
            ssim_mean=float(ssims.mean()),
            ssim_worst=float(ssims.min()),
            outside_delegate=dict(candidate.outside_delegate),
            runtime=candidate.runtime,
        )
    return found


def _compare(
    output: np.ndarray, expected: np.ndarray, rounded: bool
) -> tuple[float, float, float, float]:
    difference = np.abs(output - expected)
    ours, theirs = (
        images.to_uint8(given)
        if rounded
        else (np.clip(given, -1, 1).astype(np.float64) + 1) * 127.5
        for given in (output, expected)
    )
    return (
        float(difference.max()),
        float(difference.mean()),
        min(psnr(ours, theirs), _EQUAL_DB),
        ssim(ours, theirs),
    )


def status_of(
    candidate: Candidate, pictures: Pictures, psnr_mean: float, psnr_worst: float, min_psnr: float
) -> str:
    """Whether a variant may be listed as usable.

    Bounds on the largest difference already limit float variants, so few pictures suffice.
    """
    if pictures.real and min(psnr_mean, psnr_worst) < min_psnr:
        return REJECTED
    proven = pictures.unseen and len(pictures.batch) >= COMPARED
    return USABLE if proven or not candidate.quantized else UNPROVEN


def show(variants: Mapping[str, Variant], pictures: Pictures) -> None:
    """Prints what was measured."""
    title = (
        f"exported files against Keras in float32, {pictures.told}; ms on {hardware.cores()} "
        "threads, alternating with Keras"
    )
    table = Table(
        "variant",
        "runtime",
        "status",
        "KB",
        "ms",
        "Keras ms",
        "largest",
        "mean",
        "PSNR",
        "worst",
        "SSIM",
        "worst",
        "not in XNNPACK",
        title=title,
    )
    for name, one in variants.items():
        table.add_row(
            name,
            one.runtime,
            one.status,
            f"{one.bytes / 1000:.0f}",
            f"{one.milliseconds:.1f}",
            f"{one.keras_milliseconds:.1f}",
            f"{one.largest:.1e}",
            f"{one.mean:.1e}",
            f"{one.psnr_mean:.1f}",
            f"{one.psnr_worst:.1f}",
            f"{one.ssim_mean:.4f}",
            f"{one.ssim_worst:.4f}",
            told_outside(one.outside_delegate),
        )
    log_table(table)


def told_outside(outside: Mapping[str, int]) -> str:
    """The operations outside the delegate in words."""
    return (
        ", ".join(
            f"{count} {name}" for name, count in sorted(outside.items(), key=lambda item: -item[1])
        )
        or "none"
    )
