#!/usr/bin/env bash
# Statistics of float16 measurements, such as a CT in HU, by NumPy.
# Guess: std and var are as good as mean, which is right to the type's three digits because it adds up in float32.
# Seen (NumPy 2.4.6): mean is right, and std is infinite, of 100 values with a mean of 40 and a deviation of 500 as well as of 100 000
# values of 1 with a deviation of .1. std(dtype="float32") is right both times.
# Why: mean has a branch for float16, var has none: the values, and the squares, are summed up in float16, whose largest number is 65504.
# Who meets it: normalisation of half-precision volumes by mean and deviation, which gives 0 everywhere where the warning is not read.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6
venv/bin/python - <<'END'
import warnings

import numpy as np

generator = np.random.default_rng(0)
print("NumPy", np.__version__)
for count, mean, deviation in ((100, 40, 500), (100_000, 1, 0.1)):
    values = generator.normal(mean, deviation, count).astype(np.float16)
    right = values.astype(np.float64).std()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = float(np.std(values))
    wide = float(np.std(values, dtype=np.float32))
    print(
        f"{count} values, mean {np.mean(values):.6g} (right: {values.astype(float).mean():.6g}), "
        f"deviation {right:.6f}: np.std {found:.6f}, in float32 {wide:.6f}, "
        f"warned of {sorted({str(one.message) for one in told})}"
    )
    assert abs(float(np.mean(values)) / values.astype(float).mean() - 1) < 2e-3
    assert abs(wide / right - 1) < 1e-3
    assert found == float("inf")
END
