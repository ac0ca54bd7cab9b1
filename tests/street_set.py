"""A direction of the synthetic street to be scored, with translations of one's choice."""

import functools
from collections.abc import Callable

import numpy as np

from tfcyclegan.data import labels
from tfcyclegan.evaluation.scoring import MEASURES, measure
from tfcyclegan.measures.controls import make_controls
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet
from tfcyclegan.measures.findings import Finding
from toy_street import render
from toy_street.scene import make_scene

TEST, TRAIN = range(24), range(100, 140)
DETECTORS = [one for one in MEASURES if one[0] == "detectors"]


@functools.cache
def rendered(number: int, domain: str) -> np.ndarray:
    """A scene in the look of "a" or "b", or its class "ids"."""
    shown = render.Rendering(make_scene(3, number), 64, 128)
    if domain == "ids":
        return shown.labels()
    return shown.picture(
        render.a_look(1.0) if domain == "a" else render.B_LOOK, (7, "ab".index(domain))
    )


def street_set(
    translate: Callable[[str, np.ndarray, np.ndarray], np.ndarray],
    *,
    to_label_maps: bool = False,
    labelled: bool = True,
    count: int = 24,
) -> EvaluationSet:
    """The game-like look into the photo-like one, or that one into label maps.

    Args:
        translate: of a name, an input and its truth, the translation.
        to_label_maps: whether the target is label maps.
        labelled: whether the test pictures have class ids.
        count: test pictures.
    """

    def view(number: int, domain: str) -> np.ndarray:
        return (
            labels.colorize(rendered(number, "ids"))
            if domain == "b" and to_label_maps
            else rendered(number, domain)
        )

    test = [f"street/{number:03d}" for number in TEST[:count]]
    inputs, truths, ids = (
        {name: view(number, domain) for name, number in zip(test, TEST, strict=False)}
        for domain in ("a", "b", "ids")
    )
    target_train = [view(number, "b") for number in TRAIN]
    controls = make_controls(target_train)
    return EvaluationSet(
        "ab",
        "step-1",
        inputs,
        {OWN: {name: translate(name, picture, truths[name]) for name, picture in inputs.items()}}
        | {
            name: {key: control(picture) for key, picture in inputs.items()}
            for name, control in controls.items()
        },
        truths,
        [view(number, "a") for number in TRAIN],
        target_train,
        truths,
        ids if labelled else {},
        ids if labelled else {},
        False,
        to_label_maps,
        (np.negative, np.negative),
        "toy",
        [],
        labels.CITYSCAPES,
    )


def findings(scored: EvaluationSet) -> tuple[dict[str, Finding], list[str]]:
    """What all detectors say, by name, and why some are left out."""
    found, _ = measure(scored, DETECTORS)
    left_out = [one for one in found if isinstance(one, str) and one]
    return {one.name: one for one in found if isinstance(one, Finding)}, left_out
