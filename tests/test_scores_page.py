"""Which examples the page shows."""

import dataclasses

import numpy as np

from tests.street_set import street_set
from tfcyclegan.evaluation import scores_page
from tfcyclegan.measures.evaluation_set import OWN


def test_examples_are_sorted_by_the_truth():
    truthful = street_set(lambda _, picture, true: (true * 0.9).astype(np.uint8), count=12)
    worst = list(truthful.inputs)[5]
    own = truthful.sets[OWN] | {worst: np.zeros_like(truthful.truths[worst])}
    scored = dataclasses.replace(truthful, sets=truthful.sets | {OWN: own})
    chosen = scores_page.choose(scored)
    assert chosen.names["worst"][0] == worst and {
        len(names) for names in chosen.names.values()
    } == {3}
    panels = scores_page.panels(scored)
    values = [chosen.values[chosen.names[kind][0]] for kind in scores_page.KINDS]
    assert values == sorted(values) and list(panels) == [
        "input",
        "translation",
        "truth",
        "cycled",
    ]
    assert scores_page.strip(panels, worst).startswith(b"\x89PNG")
