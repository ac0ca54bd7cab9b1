"""What do label maps as classes gain in the same time, and what do a few labelled pictures gain?

    python -m benchmarks.labels_quality --directory=DIR --measure
    python -m benchmarks.labels_quality --directory=DIR --cores=0,1
    python -m benchmarks.labels_quality --directory=DIR --tables

As benchmarks.methods_quality, with the same DIR; `make data/toy_street` prepares its data. Scored
is photo -> labels on the 100 test frames of the synthetic street, "class IoU".

Two questions, each with its own minutes; --minutes is a factor of these:
    8 minutes, 3 seeds      label maps in colours beside classes; seed 0 by all --label_samples and
                            other weights of the cycles, too
    5 minutes, 5 to 50 %    semi-supervised (Mondal et al. 2019, as configs/semi_supervised.cfg)
                            beside supervised on the same labels alone and on all; 3 seeds at 10 %
                            and one elsewhere
"""

from typing import Any

from benchmarks.methods_quality import STEP_SECONDS, Cell, main

SHARES = (5, 10, 20, 50)
_SAMPLES = ("straight_through", "gumbel", "softmax")
_ONEHOT = {"labels_b": "onehot"}
_LAMBDA_B = 1
"""Of a cycle's cross-entropy, which is several times the L1 of colours."""
_SEMI_SUPERVISED = {
    **_ONEHOT,
    "lambda_paired": 1,
    "lambda_gan": 0.1,
    "lambda_a": 0.5,
    "lambda_b": 0.1,
    "unpaired_labels": "labelled",
}
_SUPERVISED = {**_ONEHOT, "lambda_paired": 1, "lambda_gan": 0, "lambda_a": 0, "lambda_b": 0}


def _cell(name: str, seed: int, flags: dict[str, Any], kind: str, minutes: float) -> Cell:
    return Cell("toy_city2labels", name, seed, flags=flags, kind=kind, times=minutes)


def _labelled(percent: int, seed: int) -> list[Cell]:
    """Both ways of learning from a share of the labels."""
    share = {"labelled": percent / 100}
    return [
        _cell(f"{kind} {percent}%", seed, flags | share, kind, 5)
        for kind, flags in (("semi-supervised", _SEMI_SUPERVISED), ("supervised", _SUPERVISED))
    ]


def plan() -> list[Cell]:
    """All runs, the most informative ones first."""
    cells = []
    for seed in range(3):
        cells.append(_cell("colours", seed, {}, "cyclegan", 8))
        for samples in _SAMPLES if seed == 0 else _SAMPLES[:1]:
            flags = {**_ONEHOT, "lambda_b": _LAMBDA_B, "label_samples": samples}
            cells.append(_cell(f"onehot {samples}", seed, flags, "onehot", 8))
        cells += _labelled(10, seed)
        authors = _SEMI_SUPERVISED | {"lambda_gan": 1, "labelled": 0.1}
        name = "semi-supervised 10%, lambda_gan 1"
        cells.append(_cell(name, seed, authors, "semi-supervised", 5))
    for percent in [share for share in SHARES if share != 10]:
        cells += _labelled(percent, 0)
    for lambdas in ({"lambda_a": 10, "lambda_b": 10}, {"lambda_a": 0.5, "lambda_b": 0.1}):
        name = "onehot {lambda_a} {lambda_b}".format_map(lambdas)
        cells.append(_cell(name, 0, _ONEHOT | lambdas, "onehot", 8))
    # as many steps as the semi-supervised run makes in its minutes, each of which costs more
    few = STEP_SECONDS["64x128"]["supervised"] / STEP_SECONDS["64x128"]["semi-supervised"]
    same_steps = {**_SUPERVISED, "labelled": 0.1}
    cells.append(_cell("supervised 10%, as many steps", 0, same_steps, "supervised", 5 * few))
    # as many steps as the supervised run makes in its minutes
    long = {**_SEMI_SUPERVISED, "labelled": 0.1}
    name = "semi-supervised 10%, as many steps"
    cells.append(_cell(name, 1, long, "semi-supervised", 5 / few))
    everything = _labelled(100, 0)[1]
    # B's label maps have no partners: using all of them needs no further labelled frame
    unpaired = _SEMI_SUPERVISED | {"labelled": 0.1, "unpaired_labels": "all"}
    more = _cell("semi-supervised 10%, all label maps", 0, unpaired, "semi-supervised", 5)
    return [*cells, everything, more]


if __name__ == "__main__":
    main(plan(), __doc__, minutes=1.0)
