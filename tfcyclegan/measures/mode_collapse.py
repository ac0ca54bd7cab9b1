"""Mode collapse: translations that all look alike, and inputs that share one."""

import dataclasses

import numpy as np
from PIL import Image
from scipy.sparse.csgraph import connected_components

from tfcyclegan.errors import UserError
from tfcyclegan.measures import advice
from tfcyclegan.measures.evaluation_set import FLOOR, OWN, EvaluationSet
from tfcyclegan.measures.findings import REALS, Finding, Limits, Rows, SetDetector, times_below
from tfcyclegan.measures.lab import lab
from tfcyclegan.measures.statistics import INPUTS, REAL, of_picture

_SIDE = 16
_AT_MOST = 256
_AT_MOST_IN_A_DRAW = 40
# Mean distances in Lab of layouts, whose unit is about a just visible difference.
_ALIKE, _DIFFERENT = 1.0, 4.0
_NAMED = 5
"""Groups, and inputs of a group, that are named."""


def layout(picture: np.ndarray) -> np.ndarray:
    """The pixels of uint8 [H, W, C] shrunk to 16x16, uint8 [256, C]."""
    channels = [
        np.asarray(Image.fromarray(channel).resize((_SIDE, _SIDE), Image.Resampling.BOX))
        for channel in np.moveaxis(picture, -1, 0)
    ]
    return np.stack(channels, axis=-1).reshape(_SIDE**2, -1)


def diversity(layouts: Rows) -> float:
    """How different pictures are from each other: 1 if they have nothing in common, 0 if they are
    equal.

    It is the mean Lab distance between the pixels of all pairs of pictures shrunk to 16x16 (at most
    256 pictures, evenly spread), relative to the distance between pixels at random positions of
    random pictures, so that faint or strong colours do not change it.

    Args:
        layouts: the `layout` of each picture, [N, 256, C].

    Raises:
        UserError: fewer than two pictures.
    """
    count = len(layouts)
    if count < 2:
        raise UserError("diversity needs at least 2 pictures; give more test pictures")
    small = lab(_spread(layouts, _AT_MOST))
    of_pairs = [
        np.linalg.norm(small[:index] - small[index], axis=-1).mean(axis=-1)
        for index in range(1, len(small))
    ]
    pixels = small.reshape(-1, 3)
    order = np.random.default_rng((0, 42)).permutation(len(pixels))
    at_random = np.linalg.norm(pixels - pixels[order], axis=-1).mean()
    return float(np.concatenate(of_pairs).mean()) / max(float(at_random), 1e-12)


def diversity_ratio(fakes: Rows, reals: Rows) -> float:
    """`diversity` of fakes relative to that of real pictures of their domain; near 0 in a mode
    collapse.
    """
    return diversity(fakes) / max(diversity(reals), 1e-12)


def _spread(rows: Rows, most: int) -> Rows:
    """At most so many of them, evenly spread: neighbours, as frames of a video, may be alike."""
    return rows[_places(len(rows), most)]


def _places(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, most).astype(int))


_detector = SetDetector(
    "mode collapse",
    "distance between translations, given the strength of their colours, relative to the same for "
    "real pictures",
    (advice.BOTH_CYCLES, advice.POOL, advice.LOWER_RATE),
    Limits(1.3, 2.5),  # lower end of the range of real pictures over the value
    layout,
    lambda rows, reals: diversity_ratio(
        _spread(rows, _AT_MOST_IN_A_DRAW), _spread(reals, _AT_MOST_IN_A_DRAW)
    ),
    lambda rows, _: -np.abs(rows - rows.mean(axis=0)).mean(axis=(1, 2)),
    times_below,
    draws=30,
)


def same_outputs(fakes: Rows, inputs: Rows) -> list[list[int]]:
    """Groups of pictures that come out alike though they went in different, as their places; the
    largest first. Two are alike if their layouts are less than `_ALIKE` apart, and different if
    more than `_DIFFERENT`; whoever is like one of a group belongs to it.

    Args:
        fakes: `layout` of each translation, [N, 256, C].
        inputs: `layout` of each input, [N, 256, C].
    """
    made, given = lab(fakes), lab(inputs)
    same = np.zeros((len(made), len(made)), bool)
    for index in range(1, len(made)):
        apart, were_apart = (
            np.linalg.norm(each[:index] - each[index], axis=-1).mean(axis=-1)
            for each in (made, given)
        )
        same[index, :index] = (apart < _ALIKE) & (were_apart > _DIFFERENT)
    _, labels = connected_components(same, directed=False)
    groups = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
    return sorted((group for group in groups if len(group) > 1), key=len, reverse=True)


def mode_collapse(scored: EvaluationSet) -> Finding | str:
    """Whether translations are all alike, and which inputs give the same one."""
    of_layout = of_picture(layout)
    fakes, inputs, *_ = scored.rows(
        (of_layout, OWN),
        (of_layout, INPUTS),
        (of_layout, REAL, scored.references(REALS)),
        (of_layout, FLOOR),
    )
    found = _detector(scored)
    if isinstance(found, str):
        return found
    chosen = _places(len(fakes), _AT_MOST)
    groups = same_outputs(np.array(fakes)[chosen], np.array(inputs)[chosen])
    names = [list(scored.own)[index] for index in chosen]
    return dataclasses.replace(found, note=_told(groups, names))


def _told(groups: list[list[int]], names: list[str]) -> str:
    if not groups:
        return ""
    shown = [
        ", ".join(names[index] for index in group[:_NAMED])
        + (f" and {len(group) - _NAMED} more" if len(group) > _NAMED else "")
        for group in groups[:_NAMED]
    ]
    more = f"; and {len(groups) - _NAMED} more groups" if len(groups) > _NAMED else ""
    count = sum(map(len, groups))
    return f"{count} different inputs share their output with others: {'; '.join(shown)}{more}"
