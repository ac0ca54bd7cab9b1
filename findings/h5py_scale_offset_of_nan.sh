#!/usr/bin/env bash
# HDF5's scale-offset filter for floats (`create_dataset(..., scaleoffset=2)`: two decimals, the rest of the bits saved), of data with gaps.
# Guess: NaN comes back as NaN, or as some number; at worst writing refuses it. That digits are lost is known and documented.
# Seen (h5py 3.16.0, HDF5 2.0.0): writing and closing say nothing, and then no value of a chunk that holds one NaN can be read:
# "filter returned failure during read". Chunks without one are fine, so the loss shows where the first gap lies. -9999 does no harm.
# Why: the least and the greatest value of the chunk, from which the filter takes the number of bits, are not comparable with NaN.
# Who meets it: detectors, climate and satellite data whose gaps are NaN, in files that nobody reads back on the day that they are written.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 h5py==3.16.0
venv/bin/python -W ignore - <<'END_OF_PYTHON'
import h5py
import numpy as np

print("h5py", h5py.version.version, "HDF5", h5py.version.hdf5_version)
for name, gap in {"none": None, "NaN": np.nan, "-9999": -9999.0}.items():
    values = (np.random.default_rng(0).random((64, 64)) * 100).astype(np.float32)
    if gap is not None:
        values[0, 0] = gap
    with h5py.File("x.h5", "w") as file:
        file.create_dataset("x", data=values, scaleoffset=2, chunks=(16, 64))
    lost = []
    with h5py.File("x.h5") as file:
        for row in range(0, 64, 16):
            try:
                found = file["x"][row : row + 16]
            except OSError as error:
                lost.append(row)
                print(f"gap {name:9} rows {row} to {row + 15}: {error}")
            else:
                assert np.abs(found - values[row : row + 16]).max() < 0.006
    print(f"gap {name:9} chunks that cannot be read: {len(lost)} of 4")
    assert lost == ([0] if name == "NaN" else [])
END_OF_PYTHON
