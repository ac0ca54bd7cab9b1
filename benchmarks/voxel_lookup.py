"""How well can T2w be predicted from T1w without a network? Supervised lookup tables, the control
of `make demo_mri`.

    python -m benchmarks.voxel_lookup

A lookup table is filled from known pairs, T1w and T2w of the left hemisphere's training planes of
`data_prep.citi168`: for each bin of local features of T1w, the mean of T2w. It is then read for the
test planes of either hemisphere. The features are, in this order: the value, its mean over a
Gaussian of 0.6 mm, the size of its gradient, and its mean over one of 2.4 mm. A linear fit of the
value is the simplest alternative. The translator of the demo sees no pairs at all, but should beat
these nevertheless, since it sees shapes.
"""

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from data_prep import citi168

BINS = {1: 256, 2: 40, 3: 24, 4: 14}
"""A feature each, by the number of features."""
PRIOR = 3
"""Voxels of the overall mean that stand in each bin, so that rare ones are not noise."""


def features(t1w: np.ndarray, count: int) -> list[np.ndarray]:
    """The first `count` local features of a volume, each with its shape."""
    made = [
        lambda: t1w,
        lambda: ndimage.gaussian_filter(t1w, 2),
        lambda: ndimage.gaussian_gradient_magnitude(t1w, 1.5),
        lambda: ndimage.gaussian_filter(t1w, 8),
    ]
    return [make() for make in made[:count]]


class Lookup:
    """A table of means, filled from features [...] and targets of the same shape."""

    def __init__(self, known: list[np.ndarray], target: np.ndarray):
        bins = BINS[len(known)]
        shares = np.linspace(0, 1, bins + 1)[1:-1]
        self._bins, self._edges = bins, [np.quantile(values, shares) for values in known]
        codes = self._codes(known).ravel()
        size = bins ** len(known)
        sums = np.bincount(codes, target.ravel(), minlength=size)
        counts = np.bincount(codes, minlength=size)
        self._means = (sums + PRIOR * target.mean()) / (counts + PRIOR)

    def _codes(self, known: list[np.ndarray]) -> np.ndarray:
        codes = np.zeros(known[0].shape, np.int64)
        for values, edges in zip(known, self._edges, strict=True):
            codes = codes * self._bins + np.searchsorted(edges, values)
        return codes

    def __call__(self, known: list[np.ndarray]) -> np.ndarray:
        return self._means[self._codes(known)]


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    volumes = {
        (contrast, side): np.asarray(citi168.volume(contrast, side).dataobj, np.float64)
        for contrast in citi168.CONTRASTS.values()
        for side in citi168.SIDES
    }
    training = np.concatenate([np.arange(*planes) for planes in citi168.TRAINING.values()])
    test = np.arange(*citi168.HELD_OUT["test"])
    table = Table("T2w from T1w, left and right", "correlation", "MAE", "correlation", "MAE")

    def add(name: str, predicted: dict[str, np.ndarray]) -> None:
        cells = []
        for side, values in predicted.items():
            truth = volumes["T2w", side][:, test]
            correlation = np.corrcoef(values.ravel(), truth.ravel())[0, 1]
            cells += [f"{correlation:.3f}", f"{np.abs(values - truth).mean():.2f}"]
        table.add_row(name, *cells)

    known = volumes["T1w", "left"][:, training], volumes["T2w", "left"][:, training]
    line = np.polynomial.Polynomial.fit(known[0].ravel(), known[1].ravel(), 1)
    add("linear fit", {side: line(volumes["T1w", side][:, test]) for side in citi168.SIDES})
    for count in BINS:
        of_side = {side: features(volumes["T1w", side], count) for side in citi168.SIDES}
        lookup = Lookup([values[:, training] for values in of_side["left"]], known[1])
        predicted = {
            side: lookup([values[:, test] for values in of_side[side]]) for side in citi168.SIDES
        }
        add(f"lookup of {count} feature{'s' * (count > 1)}", predicted)
    Console().print(table)


if __name__ == "__main__":
    main()
