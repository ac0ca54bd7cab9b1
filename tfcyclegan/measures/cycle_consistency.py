"""Cycle honesty: is the cycle error low because the picture was translated, or because the source
is hidden in the fake?

A generator can hide the source in faint noise that the other generator reads (Chu et al. 2017,
"CycleGAN, a Master of Steganography"), so a low cycle loss proves nothing. Here the fake is
degraded in ways that are hardly visible. If the way back then fails, it was reading the noise. If
its output changes no more than for real pictures degraded in the same way, it was reading the
picture.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from tfcyclegan.data import images
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.data.pixels import spread
from tfcyclegan.measures import advice
from tfcyclegan.measures.advice import advise
from tfcyclegan.measures.evaluation_set import Conversions, EvaluationSet, Function
from tfcyclegan.measures.findings import Finding, Limits
from tfcyclegan.measures.pictures import InOrder
from tfcyclegan.measures.tables import (
    Column,
    Table,
    interval_of_mean,
    interval_of_ratio,
)

TITLE = "Cycle honesty"
PICTURES = 32
"""Number of test pictures to use, evenly spread; each passes through the networks nine times, and
as many real ones of the other domain eight times.
"""
ROUNDING, CLEAN, UNRELATED = (
    "8-bit rounding",
    "fake as the network gave it",
    "fake of another picture",
)
SAVED = "as saved"
"""The counterpart of `ROUNDING` for measurements: conversion to the type that they are saved in."""
ERROR, MOVED_FAKE, MOVED_REAL, RATIO = (
    "cycle error",
    "way back moved",
    "the same, real pictures",
    "ratio",
)
# Cycle error relative to that of another picture's fake; 1 if the fake is independent of its input.
LIMITS = Limits(0.6, 0.85)

OF_PICTURES = Conversions(
    images.to_float,
    images.to_float,
    lambda seen, gaps: images.to_uint8(seen),
    lambda saved: None,
    lambda saved: None,
)

# Maps uint8 [H, W, C] and a seed to uint8 [H, W, C].
Degradation = Callable[[np.ndarray, int], np.ndarray]


def noise(levels: float) -> Degradation:
    """Gaussian noise with a standard deviation of `levels` out of 255."""

    def degrade(picture: np.ndarray, seed: int) -> np.ndarray:
        drawn = np.random.default_rng((seed, 41)).normal(0, levels, picture.shape)
        return np.clip(np.rint(picture + drawn), 0, 255).astype(np.uint8)

    return degrade


def jpeg(picture: np.ndarray, seed: int) -> np.ndarray:
    """JPEG compression at quality 75 by Pillow, which halves the resolution of colours."""
    stream = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(
        stream, "JPEG", quality=75
    )
    return images.to_array(Image.open(stream))


def blur(picture: np.ndarray, seed: int) -> np.ndarray:
    """Gaussian blur with sigma 1 pixel."""
    smooth = ndimage.gaussian_filter(picture.astype(np.float32), (1.0, 1.0, 0))
    return np.rint(smooth).astype(np.uint8)


def palette_snap(classes: ClassTable) -> Degradation:
    """Replaces each pixel by the nearest class colour. For fakes that are label maps; it removes
    everything but the classes.
    """

    def degrade(picture: np.ndarray, seed: int) -> np.ndarray:
        snapped = classes.palette[classes.nearest_class(picture)]
        return snapped[..., : picture.shape[-1]]  # gray palettes have equal channels

    return degrade


FOR_PICTURES: dict[str, Degradation] = {
    # Saving has already rounded the picture to 8 bits.
    ROUNDING: lambda picture, seed: picture,
    "noise 1/255": noise(1),
    "noise 2/255": noise(2),
    "noise 4/255": noise(4),
    "noise 8/255": noise(8),
    "JPEG 75": jpeg,
    "blur": blur,
}


def for_measurements(convert: Conversions) -> dict[str, Degradation]:
    """The degradations of saved measurements: noise relative to the value range, and blur."""

    def disturbed(change: Callable[[np.ndarray, int], np.ndarray]) -> Degradation:
        def degrade(saved: np.ndarray, seed: int) -> np.ndarray:
            return convert.save(change(convert.target(saved), seed), convert.target_gaps(saved))

        return degrade

    def noisy(share: float) -> Degradation:
        return disturbed(
            lambda seen, seed: (
                seen + np.random.default_rng((seed, 41)).normal(0, 2 * share, seen.shape)
            )
        )

    blurred = disturbed(lambda seen, seed: ndimage.gaussian_filter(seen, (1.0, 1.0, 0)))
    noises = {f"noise {levels}/255 of the range": noisy(levels / 255) for levels in (1, 2, 4, 8)}
    return {SAVED: lambda saved, seed: saved, **noises, "blur": blurred}


def for_label_maps(classes: ClassTable) -> dict[str, Degradation]:
    """`FOR_PICTURES`, plus the degradation for label maps of these classes."""
    return {**FOR_PICTURES, "palette snap": palette_snap(classes)}


@dataclass(frozen=True)
class CycleErrors:
    """Mean absolute differences on the scale [-1, 1], in [0, 2], one per picture.

    Attributes:
        clean: between each real picture and its reconstruction from the float fake, as in training,
            [N].
        unrelated: between each real picture but the first and the reconstruction of the previous
            one, which is the error to expect if fakes were independent of their inputs, [N - 1].
        degraded: between each real picture and its reconstruction from the degraded fake, [N,
            degradations].
        moved_fake: between that reconstruction and the one from the float fake, [N, degradations].
        moved_real: how much the degradation changes the backward translation of real pictures of
            the fakes' domain, [M, degradations].
    """

    clean: np.ndarray
    unrelated: np.ndarray
    degraded: np.ndarray
    moved_fake: np.ndarray
    moved_real: np.ndarray


def cycle_errors(
    real: Sequence[np.ndarray],
    forward: Function,
    backward: Function,
    *,
    other_real: Sequence[np.ndarray] = (),
    seed: int = 0,
    degradations: Mapping[str, Degradation] = FOR_PICTURES,
    convert: Conversions = OF_PICTURES,
) -> CycleErrors:
    """Cycle errors of one direction, one picture at a time, over the pixels that are in no gap;
    networks see -1 in gaps.

    Args:
        real: pictures of the domain where the cycle starts, uint8 [H, W, C].
        forward: their generator, such as `gen_ab`.
        backward: the generator back, such as `gen_ba`.
        other_real: real pictures of the target domain of `forward`.
        seed: seed of the noise; each picture gets its own noise.
        degradations: by name: `FOR_PICTURES`, `for_label_maps` or `for_measurements`.
        convert: converts `real` and `other_real`, if these are measurements in their saved form.
    """

    def back(picture: np.ndarray, gaps: np.ndarray | None) -> np.ndarray:
        return _blank(np.asarray(backward(convert.target(picture)[np.newaxis]))[0], gaps)

    def degraded(picture: np.ndarray, index: int, gaps: np.ndarray | None) -> list[np.ndarray]:
        """Translations back of the picture after each degradation."""
        return [back(degrade(picture, seed + index), gaps) for degrade in degradations.values()]

    def error(one: np.ndarray, other: np.ndarray, *all_gaps: np.ndarray | None) -> float:
        differences = np.abs(one.astype(np.float64) - other)
        measured = np.ones(differences.shape, bool)
        for gaps in all_gaps:
            measured &= True if gaps is None else ~gaps
        return float(differences[measured].mean()) if measured.any() else np.nan

    clean, unrelated, of_fakes, of_reals, previous, its_gaps = [], [], [], [], None, None
    for index, picture in enumerate(real):
        source, gaps = convert.source(picture), convert.source_gaps(picture)
        fake = _blank(np.asarray(forward(source[np.newaxis]))[0], gaps)
        cycled = _blank(np.asarray(backward(fake[np.newaxis]))[0], gaps)
        saved = convert.save(fake, gaps)
        clean.append(error(source, cycled, gaps))
        if previous is not None and previous.shape == source.shape:
            unrelated.append(error(source, previous, gaps, its_gaps))
        previous, its_gaps = cycled, gaps
        returned = degraded(saved, index, gaps)
        of_fakes.append(
            [[error(first, one, gaps) for one in returned] for first in (source, cycled)]
        )
    for index, picture in enumerate(other_real):
        gaps = convert.target_gaps(picture)
        undisturbed = back(picture, gaps)
        of_reals.append([error(undisturbed, one, gaps) for one in degraded(picture, index, gaps)])
    from_source, from_cycled = np.moveaxis(np.reshape(of_fakes, (-1, 2, len(degradations))), 1, 0)
    return CycleErrors(
        np.array(clean),
        np.array(unrelated),
        from_source,
        from_cycled,
        np.reshape(of_reals, (-1, len(degradations))),
    )


def _blank(seen: np.ndarray, gaps: np.ndarray | None) -> np.ndarray:
    """Network output, with -1 in gaps."""
    return seen if gaps is None else np.where(gaps, np.float32(-1), seen)


def table(scored: EvaluationSet) -> Table | str:
    """How much of the cycle survives when the fake is saved, degraded or cleaned, compared with
    real pictures; a reason if a generator is missing.
    """
    convert, measured = OF_PICTURES, scored.measured_cycle
    if measured is not None:
        real, other, convert = _some(measured.inputs), _some(measured.others), measured.convert
        cycle, degradations = (measured.there, measured.back), for_measurements(convert)
    elif isinstance(scored.cycle, str):
        return scored.cycle
    else:
        real = _some(InOrder(scored.inputs))
        other, cycle = _some(InOrder(scored.held_out) or scored.target_train), scored.cycle
        degradations = for_label_maps(scored.table) if scored.tells_classes else FOR_PICTURES
    found = cycle_errors(
        real,
        *cycle,
        other_real=other[: len(real)],
        degradations=degradations,
        convert=convert,
    )
    rows = {CLEAN: {ERROR: interval_of_mean(found.clean)}}
    for name, error, moved, moved_real in zip(
        degradations, found.degraded.T, found.moved_fake.T, found.moved_real.T, strict=True
    ):
        rows[name] = {
            ERROR: interval_of_mean(error),
            MOVED_FAKE: interval_of_mean(moved),
            MOVED_REAL: interval_of_mean(moved_real),
        }
        known, known_real = (values[~np.isnan(values)] for values in (moved, moved_real))
        if known.size and known_real.size and known_real.mean() > 0:
            rows[name][RATIO] = interval_of_ratio(known, known_real)
    if not np.isnan(found.unrelated).all():
        rows[UNRELATED] = {ERROR: interval_of_mean(found.unrelated)}
    return Table(
        TITLE,
        f"{ERROR}: mean absolute difference, on the scale [-1, 1], between the input and its "
        f"reconstruction from a fake that was saved, degraded or cleaned; {len(real)} pictures. "
        f"{MOVED_FAKE}: how much this changes the reconstruction; next to it, the same for real "
        "pictures of the target domain. A ratio well above 1, or an error that jumps towards that "
        "of another picture's fake, shows that the input is hidden in faint noise of the fake.",
        [Column(ERROR), Column(MOVED_FAKE), Column(MOVED_REAL), Column(RATIO, digits=2)],
        rows,
        "errors",
        [ERROR],
    )


def _some(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [pictures[index] for index in spread(len(pictures), PICTURES)]


def content_lost(scored: EvaluationSet) -> Finding | str:
    """Whether the translation still depends on its input."""
    errors = scored.once(table)
    if isinstance(errors, str) or UNRELATED not in errors.rows:
        return ""
    saved = ROUNDING if ROUNDING in errors.rows else SAVED
    value = errors.rows[saved][ERROR].value / max(errors.rows[UNRELATED][ERROR].value, 1e-9)
    return Finding(
        "content lost",
        value,
        np.nan,
        np.nan,
        LIMITS.verdict(value),
        "cycle error of the saved fakes relative to that of another picture's fake; 1: the fake is "
        "independent of its input",
        advise(scored.config, advice.BOTH_CYCLES, advice.CYCLE_NOISE, advice.LONGER)
        + "; see the table of cycle honesty",
    )
