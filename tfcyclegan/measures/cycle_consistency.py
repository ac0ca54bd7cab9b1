"""Does the cycle close because the picture was translated, or because its source is hidden in it?

A generator can hide the source in faint noise that the other one reads (Chu et al. 2017, "CycleGAN,
a Master of Steganography"), so a low cycle loss proves nothing. Here the fake is disturbed in ways
that a viewer hardly sees. If the way back then fails, it had read the noise; if its result moves no
more than it does for real pictures that were disturbed in the same way, it had read the picture.
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
from tfcyclegan.measures.evaluation_set import EvaluationSet, Function, MeasuredCycle
from tfcyclegan.measures.findings import Finding, Limits
from tfcyclegan.measures.pictures import InOrder
from tfcyclegan.measures.tables import (
    Column,
    Table,
    interval_of_mean,
    interval_of_ratio,
)

TITLE = "Cycle honesty"
# Evenly spread over the test pictures: each goes through the networks some nine times.
PICTURES = 32
ROUNDING, CLEAN, UNRELATED = (
    "8-bit rounding",
    "fake as the network gave it",
    "fake of another picture",
)
SAVED = "as saved"
"""What `ROUNDING` is to pictures is to measurements the type that they are saved in."""
ERROR, MOVED_FAKE, MOVED_REAL, RATIO = (
    "cycle error",
    "way back moved",
    "the same, real pictures",
    "ratio",
)
# Cycle error over that of another picture's fake: at 1 the translation tells nothing of its input.
LIMITS = Limits(0.6, 0.85)

# uint8 [H, W, C] and a seed to uint8 [H, W, C].
Degradation = Callable[[np.ndarray, int], np.ndarray]


def noise(levels: float) -> Degradation:
    """Gaussian noise of a deviation of `levels` out of 255."""

    def degrade(picture: np.ndarray, seed: int) -> np.ndarray:
        drawn = np.random.default_rng((seed, 41)).normal(0, levels, picture.shape)
        return np.clip(np.rint(picture + drawn), 0, 255).astype(np.uint8)

    return degrade


def jpeg(picture: np.ndarray, seed: int) -> np.ndarray:
    """Through JPEG at quality 75, as Pillow writes it (with colours at half resolution)."""
    stream = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(
        stream, "JPEG", quality=75
    )
    return images.to_array(Image.open(stream))


def blur(picture: np.ndarray, seed: int) -> np.ndarray:
    """Gaussian blur of sigma 1 pixel."""
    smooth = ndimage.gaussian_filter(picture.astype(np.float32), (1.0, 1.0, 0))
    return np.rint(smooth).astype(np.uint8)


def palette_snap(classes: ClassTable) -> Degradation:
    """Each pixel to the nearest colour of the classes. For fakes that are label maps, and of them
    all that should count.
    """

    def degrade(picture: np.ndarray, seed: int) -> np.ndarray:
        snapped = classes.palette[classes.nearest_class(picture)]
        return snapped[..., : picture.shape[-1]]  # of gray label maps all channels are equal

    return degrade


FOR_PICTURES: dict[str, Degradation] = {
    # nothing but the 8 bits that the picture has already: what saving it does
    ROUNDING: lambda picture, seed: picture,
    "noise 1/255": noise(1),
    "noise 2/255": noise(2),
    "noise 4/255": noise(4),
    "noise 8/255": noise(8),
    "JPEG 75": jpeg,
    "blur": blur,
}


def for_measurements(cycle: MeasuredCycle) -> dict[str, Degradation]:
    """Of measurements as they are saved: noise in shares of the value range, and blur."""

    def disturbed(change: Callable[[np.ndarray, int], np.ndarray]) -> Degradation:
        def degrade(saved: np.ndarray, seed: int) -> np.ndarray:
            return cycle.save(change(cycle.target(saved), seed), cycle.target_gaps(saved))

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
    """`FOR_PICTURES`, and the one for label maps of these classes."""
    return {**FOR_PICTURES, "palette snap": palette_snap(classes)}


@dataclass(frozen=True)
class CycleErrors:
    """Mean absolute differences on the scale [-1, 1], in [0, 2], one a picture.

    Attributes:
        clean: of each real picture and what came back from its fake in float, as in training, [N].
        unrelated: of each real picture but the first and what came back from the fake of the one
            before it, which is what the error would be if the fake told nothing, [N - 1].
        degraded: of each real picture and what came back from its degraded fake, [N, degradations].
        moved_fake: how far that is from what came back from the fake itself, [N, degradations].
        moved_real: how far degrading moves what comes back from real pictures of the fakes' domain,
            [M, degradations].
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
    measured: MeasuredCycle | None = None,
) -> CycleErrors:
    """Cycle errors of one direction, picture by picture; gaps count nowhere.

    Args:
        real: pictures of the domain from which the cycle starts, uint8 [H, W, C].
        forward: their translation, such as `gen_ab`.
        backward: the way back, such as `gen_ba`.
        other_real: real pictures of the domain into which `forward` translates.
        seed: of the noise; picture i has noise of its own.
        degradations: by name, `FOR_PICTURES`, `for_label_maps` or `for_measurements`.
        measured: how measurements become what networks see; `real` and `other_real` are then as
            they are saved.
    """
    see_source = measured.source if measured else images.to_float
    see_target = measured.target if measured else images.to_float

    def back(picture: np.ndarray, gaps: np.ndarray | None) -> np.ndarray:
        return _blank(np.asarray(backward(see_target(picture)[np.newaxis]))[0], gaps)

    def degraded(picture: np.ndarray, index: int, gaps: np.ndarray | None) -> list[np.ndarray]:
        """What comes back from the picture by degradation."""
        return [back(degrade(picture, seed + index), gaps) for degrade in degradations.values()]

    def error(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.abs(one.astype(np.float64) - other).mean())

    clean, unrelated, of_fakes, of_reals, previous = [], [], [], [], None
    for index, picture in enumerate(real):
        source, gaps = see_source(picture), measured.source_gaps(picture) if measured else None
        fake = _blank(np.asarray(forward(source[np.newaxis]))[0], gaps)
        cycled = _blank(np.asarray(backward(fake[np.newaxis]))[0], gaps)
        saved = measured.save(fake, gaps) if measured else images.to_uint8(fake)
        clean.append(error(source, cycled))
        if previous is not None and previous.shape == source.shape:
            unrelated.append(error(source, previous))
        previous = cycled
        returned = degraded(saved, index, gaps)
        of_fakes.append([[error(first, one) for one in returned] for first in (source, cycled)])
    for index, picture in enumerate(other_real):
        gaps = measured.target_gaps(picture) if measured else None
        undisturbed = back(picture, gaps)
        of_reals.append([error(undisturbed, one) for one in degraded(picture, index, gaps)])
    from_source, from_cycled = np.moveaxis(np.reshape(of_fakes, (-1, 2, len(degradations))), 1, 0)
    return CycleErrors(
        np.array(clean),
        np.array(unrelated),
        from_source,
        from_cycled,
        np.reshape(of_reals, (-1, len(degradations))),
    )


def _blank(seen: np.ndarray, gaps: np.ndarray | None) -> np.ndarray:
    """What networks gave as they see it, -1 in gaps."""
    return seen if gaps is None else np.where(gaps, np.float32(-1), seen)


def table(scored: EvaluationSet) -> Table | str:
    """What of the cycle is left once the fake was saved, disturbed or cleaned, beside the same for
    real pictures; a reason where a generator is missing.
    """
    measured = scored.measured_cycle
    if measured is not None:
        real, other = _some(measured.inputs), _some(measured.others)
        cycle, degradations = (measured.there, measured.back), for_measurements(measured)
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
        measured=measured,
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
        if moved_real.size and moved_real.mean() > 0:
            rows[name][RATIO] = interval_of_ratio(moved, moved_real)
    if found.unrelated.size:
        rows[UNRELATED] = {ERROR: interval_of_mean(found.unrelated)}
    return Table(
        TITLE,
        f"{ERROR}: of the input and what comes back from its fake once that was saved, disturbed "
        "or cleaned; mean absolute difference on "
        f"the scale [-1, 1], {len(real)} pictures. {MOVED_FAKE}: how far that moves what comes "
        "back; beside it for real pictures of the "
        "target domain disturbed alike. A ratio well above 1 says that the input is hidden in "
        "faint noise of the fake, and an error that "
        "jumps towards that of another picture's fake says the same.",
        [Column(ERROR), Column(MOVED_FAKE), Column(MOVED_REAL), Column(RATIO, digits=2)],
        rows,
        "errors",
        [ERROR],
    )


def _some(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [pictures[index] for index in spread(len(pictures), PICTURES)]


def content_lost(scored: EvaluationSet) -> Finding | str:
    """Whether the translation still tells what it is a translation of."""
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
        "cycle error of the saved fakes over that of another picture's fake; 1: the fake tells "
        "nothing of its input",
        advise(scored.config, advice.BOTH_CYCLES, advice.CYCLE_NOISE, advice.LONGER)
        + "; see the table of cycle honesty",
    )
