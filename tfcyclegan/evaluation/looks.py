"""How far pictures look from real ones of the target domain: colours and textures, needing no pairs
and no network.
"""

from collections.abc import Sequence

import numpy as np

from tfcyclegan.evaluation.material import FLOOR, Material
from tfcyclegan.evaluation.tables import Column, Table
from tfcyclegan.measures.appearance import Appearance
from tfcyclegan.measures.statistics import Interval, interval_of_halves

_LEAST_FOR_INTERVAL = 8


def table(material: Material, look: Appearance) -> Table:
    """The family's table; `look` is of the target's training pictures."""
    found = Table(
        "Look",
        "Sliced Wasserstein distance to real training pictures of the target domain, in Lab "
        "units. The floor: held-out real ones. "
        "[low, high]: how far the distance moves between random halves of the pictures "
        "(delete-half jackknife), 95%.",
        (Column("colour", decides=True), Column("texture", decides=True)),
    )
    sets = material.sets | ({FLOOR: material.held_out} if material.held_out else {})
    for name, pictures in sets.items():
        found.rows[name] = row(look, list(pictures.values()))
    return found


def row(look: Appearance, pictures: Sequence[np.ndarray]) -> dict[str, Interval]:
    """Both distances of a set of pictures, with intervals where it is large enough and of one
    size.
    """
    colour, texture = look.colour_distance(pictures), look.texture_distance(pictures)
    count = len(pictures)
    if count < _LEAST_FOR_INTERVAL or len({picture.shape for picture in pictures}) > 1:
        return {
            "colour": Interval(colour, np.nan, np.nan, count),
            "texture": Interval(texture, np.nan, np.nan, count),
        }
    colours, textures = look.spreads(pictures)
    return {
        "colour": interval_of_halves(colour, colours, count),
        "texture": interval_of_halves(texture, textures, count),
    }
