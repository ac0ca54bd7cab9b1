"""Diversity: how far apart the several answers to one picture are, of a run whose generators take a
latent.

Answers that differ are no merit by themselves: the row of disturbed inputs says how far apart a
generator's answers come to lie without a latent, and that of real pictures how far apart answers
may be at all. Fidelity stands in the other tables, of the answer of the zero latent.
"""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from tfcyclegan.data import images
from tfcyclegan.data.pixels import spread
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet, Function
from tfcyclegan.measures.lab import lab
from tfcyclegan.measures.statistics import INPUTS, REAL, InBatches, of_picture
from tfcyclegan.measures.tables import Column, Table, interval_of_mean

TITLE = "Diversity of answers"
LAB, LPIPS = "Lab distance", "LPIPS"
DISTURBED, OTHERS = "input noise", "real pictures"
# Evenly spread over the test pictures: each goes through the generator some eight times.
PICTURES = 16
ANSWERS = 4
"""Answers to each picture."""
NOISE = 0.1
"""Deviation of the control's noise on inputs in [-1, 1], 13 levels of 255."""


def distances(scored: EvaluationSet, pictures: Sequence[np.ndarray]) -> tuple[float, float]:
    """Means over all pairs of some pictures of equal size, uint8 [H, W, C]: the distance in Lab of
    pixels at the same place, and LPIPS, NaN where it cannot be had.
    """
    lpips = scored.tools.lpips
    pairs = list(itertools.combinations(pictures, 2))
    colours = [np.linalg.norm(lab(one) - lab(other), axis=-1).mean() for one, other in pairs]
    perceived = [
        np.nan if isinstance(lpips, str) else lpips.distance(one, other) for one, other in pairs
    ]
    return float(np.mean(colours)), float(np.mean(perceived))


def table(scored: EvaluationSet) -> Table | str:
    """Mean distances between answers to one input, beside its controls; nothing for generators with
    one answer.
    """
    if not scored.answers or scored.of_measurements:
        return ""
    inputs = list(scored.inputs)
    names = tuple(inputs[index] for index in spread(len(inputs), PICTURES))
    places = tuple(spread(len(scored.target_train), PICTURES))
    by_latents, by_noise, reals = scored.rows(
        (InBatches(_by_latents), INPUTS, names),
        (InBatches(_by_noise), INPUTS, names),
        (of_picture(np.asarray), REAL, places),
    )
    of_reals = [
        distances(scored, pair)
        for pair in itertools.pairwise(reals)
        if pair[0].shape == pair[1].shape
    ]
    rows = {
        name: {
            column: interval_of_mean(np.array(values))
            for column, values in zip((LAB, LPIPS), zip(*pairs, strict=True), strict=True)
            if not np.isnan(values).all()
        }
        for name, pairs in ((OWN, by_latents), (DISTURBED, by_noise), (OTHERS, of_reals))
        if pairs
    }
    return Table(
        TITLE,
        f"how far apart {ANSWERS} answers to one input are, by drawn latents, mean over all pairs; "
        f"{len(names)} inputs. {DISTURBED}: the answers of the zero latent to that input with "
        f"noise of a deviation of {NOISE:g} on [-1, 1]. {OTHERS}: of any two of the target domain. "
        "More is better only where the other tables are no worse for it.",
        [
            column
            for column in (Column(LAB, "higher", digits=1), Column(LPIPS, "higher"))
            if any(column.name in row for row in rows.values())
        ],
        rows,
        plotted=[LAB],
    )


def _by_latents(scored: EvaluationSet, pictures: list[np.ndarray]) -> Iterable[tuple[float, float]]:
    return [
        distances(scored, [_made(answer, images.to_float(picture)) for answer in scored.answers])
        for picture in pictures
    ]


def _by_noise(scored: EvaluationSet, pictures: list[np.ndarray]) -> Iterable[tuple[float, float]]:
    assert not isinstance(scored.cycle, str)
    forward, found = scored.cycle[0], []
    for picture in pictures:
        draw = np.random.default_rng((0, 62))
        noisy = [
            images.to_float(picture) + draw.normal(0, NOISE, picture.shape).astype(np.float32)
            for _ in range(ANSWERS)
        ]
        found.append(distances(scored, [_made(forward, each) for each in noisy]))
    return found


def _made(generator: Function, seen: np.ndarray) -> np.ndarray:
    return images.to_uint8(np.asarray(generator(seen[np.newaxis]))[0])
