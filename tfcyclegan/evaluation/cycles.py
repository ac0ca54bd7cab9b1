"""Cycle honesty: what of the cycle is left once the fake was saved, disturbed or cleaned; beside
the same for real pictures.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tfcyclegan.data.pixels import spread
from tfcyclegan.evaluation.material import Function, Material
from tfcyclegan.evaluation.tables import Column, Table
from tfcyclegan.measures.degrade import FOR_PICTURES, Degradation, cycle_honesty, for_label_maps
from tfcyclegan.measures.statistics import interval_of_mean, interval_of_ratio

TITLE = "Cycle honesty"
PICTURES = 32
"""Evenly spread over the test pictures: each goes through the networks some nine times."""

CLEAN, UNRELATED = "fake as the network gave it", "fake of another picture"
ERROR, MOVED_FAKE, MOVED_REAL, RATIO = (
    "cycle error",
    "way back moved",
    "the same, real pictures",
    "ratio",
)


def table(material: Material) -> Table | str:
    """The family's table; a reason where a generator is missing."""
    if isinstance(material.cycle, str):
        return material.cycle
    forward, backward = material.cycle
    real = _some(list(material.inputs.values()))
    other = _some(list(material.held_out.values()) or material.target_train)[: len(real)]
    degradations = for_label_maps(material.table) if material.tells_classes else FOR_PICTURES
    found = Table(
        TITLE,
        f"{ERROR}: of the input and what comes back from its fake once that was saved, disturbed "
        "or cleaned; mean absolute difference on "
        f"the scale [-1, 1], {len(real)} pictures. {MOVED_FAKE}: how far that moves what comes "
        "back; beside it for real pictures of the "
        "target domain disturbed alike. A ratio well above 1 says that the input is hidden in "
        "faint noise of the fake, and an error that "
        "jumps towards that of another picture's fake says the same.",
        [Column(ERROR), Column(MOVED_FAKE), Column(MOVED_REAL), Column(RATIO, digits=2)],
    )
    # Picture by picture, for intervals over pictures.
    each = [
        cycle_honesty([picture], forward, backward, seed=index, degradations=degradations)
        for index, picture in enumerate(real)
    ]
    of_real = [
        _moved_real(picture, backward, index, degradations) for index, picture in enumerate(other)
    ]
    found.rows[CLEAN] = {ERROR: interval_of_mean(np.array([one.clean for one in each]), seed=0)}
    for place, name in enumerate(degradations):
        moved = np.array([one.rows[place].moved_fake for one in each])
        moved_real = np.array([values[place] for values in of_real])
        found.rows[name] = {
            ERROR: interval_of_mean(
                np.array([one.rows[place].cycle_error for one in each]), seed=0
            ),
            MOVED_FAKE: interval_of_mean(moved, seed=0),
            MOVED_REAL: interval_of_mean(moved_real, seed=0),
        }
        if moved_real.size and moved_real.mean() > 0:
            found.rows[name][RATIO] = interval_of_ratio(moved, moved_real, seed=0)
    unrelated = cycle_honesty(real, forward, backward, seed=0, degradations={}).unrelated_errors
    if unrelated:
        found.rows[UNRELATED] = {ERROR: interval_of_mean(np.array(unrelated), seed=0)}
    return found


def _some(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [pictures[index] for index in spread(len(pictures), PICTURES)]


def _moved_real(
    picture: np.ndarray, backward: Function, index: int, degradations: Mapping[str, Degradation]
) -> list[float]:
    """How far each degradation of a real picture moves its translation."""
    # A cycle that starts nowhere: the way there is the identity, so that "fake" is the real picture
    # itself.
    honesty = cycle_honesty([picture], np.asarray, backward, seed=index, degradations=degradations)
    return [row.moved_fake for row in honesty.rows]
