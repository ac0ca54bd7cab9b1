"""A generator for ONNX Runtime, OpenVINO, and any other runtime in `exports.runtimes`."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.exporting.quality import Candidate, Variant, largest_difference
from tfcyclegan.exports.runtimes import QUANTIZED, RUNTIMES, Source, open_files
from tfcyclegan.networks import Generator

BOUNDS = dict(bound for runtime in RUNTIMES.values() for bound in runtime.bounds.values())
"""The largest allowed difference from Keras, by name."""


def candidates(
    generator: Generator, formats: Sequence[str], pictures: Sequence[np.ndarray] = ()
) -> dict[str, Candidate]:
    """The files to write and to measure, by name.

    Args:
        generator: in float32.
        formats: names in RUNTIMES.
        pictures: float32 [H, W, C] in [-1, 1] that calibrate the ranges of 8 bits; without any
            there are no files in 8 bits.

    Raises:
        UserError: packages are not installed, a layer has no counterpart, or the generator is not
            written on `Operations`.
    """
    if formats and not generator.is_written_on_operations():
        raise UserError(
            f"--formats={','.join(formats)}: a network from import_weights --from=tfa, or from a "
            "function of your own, is exported as SavedModel and TFLite alone"
        )
    source = Source(generator, pictures)
    made: dict[str, Candidate] = {}
    for name in formats:
        try:
            variants = RUNTIMES[name].make(source)
        except ImportError as error:
            raise UserError(
                f"--formats={','.join(formats)}: {error.name} is not installed: pip install "
                f"'tfcyclegan[{name}]'"
            ) from error
        for variant, files in variants.items():
            program = open_files(files, RUNTIMES[name].suffix)
            made[variant] = Candidate(files, program, program.told, quantized=variant in QUANTIZED)
    return made


def differences(
    candidates: Mapping[str, Candidate],
    measured: Mapping[str, Variant],
    keras_function: Callable[[np.ndarray], np.ndarray],
    pictures: np.ndarray,
    *,
    classes: bool = False,
) -> dict[str, float]:
    """The largest differences that BOUNDS limits, computed in float32 on any processor.

    Args:
        candidates: of all formats.
        measured: their measurements.
        keras_function: float32 [B, H, W, C] in [-1, 1] to the other domain.
        pictures: inputs to use if the measurements were rounded.
        classes: see `quality.largest_difference`.
    """
    found: dict[str, float] = {}
    for runtime in RUNTIMES.values():
        for variant, (told, _) in runtime.bounds.items():
            if variant in candidates and not runtime.rounds:
                found[told] = measured[variant].largest
            elif variant in candidates:
                exact = open_files(dict(candidates[variant].files), runtime.suffix, exact=True)
                found[told] = largest_difference(
                    exact(pictures), keras_function(pictures), classes=classes
                )
    return found
