"""The known ways in which translations fail, each with a value, its range on real pictures, a
verdict, the worst pictures and a mend.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tfcyclegan.evaluation.detectors import contents, sets, surroundings
from tfcyclegan.evaluation.detectors.finding import Finding
from tfcyclegan.evaluation.label_scores import LabelScores
from tfcyclegan.evaluation.material import Material
from tfcyclegan.evaluation.strata import Luminance
from tfcyclegan.evaluation.tables import Table

__all__ = ["Finding", "findings"]


def findings(
    material: Material,
    light: Luminance,
    honesty: Table | str = "",
    history: Sequence[Mapping[str, Any]] = (),
    judged: LabelScores | str = "",
) -> tuple[list[Finding], list[str]]:
    """What all detectors say, and why some are left out.

    Args:
        material: what is scored.
        light: how light the inputs are.
        honesty: the table of `cycles`, or why there is none.
        history: of the run; empty if there is none.
        judged: the scores by the judge, or why there are none.
    """
    said = [
        *sets.findings(material),
        contents.flat_areas(material),
        contents.inversion(material),
        contents.changed_objects(material, judged),
        contents.lost_content(honesty, material.config),
        surroundings.unseen_blur(material),
        surroundings.discriminator(material, history),
        surroundings.outside(material, light),
    ]
    return [one for one in said if isinstance(one, Finding)], [
        one for one in said if isinstance(one, str) and one
    ]
