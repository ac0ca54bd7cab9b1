#!/usr/bin/env bash
# Hugging Face's datasets stores arrays under its Image feature.
# Guess: an array of 16 bit is kept (there is a 16-bit form of TIFF and PNG) or refused with an error, for gray and colour alike.
# Seen (datasets 5.2.0): gray uint16 is kept, all 16 bits. Colour uint16 is stored modulo 256: 300 becomes 44, 65535 becomes 255, 256
# becomes 0, and of int16 -5 becomes 251; one warning speaks of "downcasting", which is no scaling.
# Why: the bytes go through Pillow, which has no 16-bit colour; the array is cast by astype(uint8), which keeps the low byte.
# Who meets it: fluorescence and satellite pictures with three bands of 10 to 16 bit: what is stored looks like noise at bright places
# and right at dark ones.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 datasets==5.2.0
venv/bin/python - <<'END'
import warnings

import numpy as np
from datasets import Dataset, Features, Image


def stored(array: np.ndarray) -> tuple[list[int], list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picture = Dataset.from_dict({"image": [array]}, features=Features({"image": Image()}))[0]["image"]
    return np.asarray(picture).ravel().tolist(), [str(entry.message) for entry in caught if "owncast" in str(entry.message)]


gray, told = stored(np.array([[0, 300, 65535]], np.uint16))
print("gray uint16 0 300 65535 ->", gray, told)
assert gray == [0, 300, 65535] and not told
colour, told = stored(np.array([[[0, 300, 65535], [256, 255, 1024]]], np.uint16))
print("colour uint16 0 300 65535, 256 255 1024 ->", colour, told)
assert colour == [0, 44, 255, 0, 255, 0] and len(told) == 1 and "uint16 to uint8" in told[0]
signed, _ = stored(np.array([[[-5, 300, 256]]], np.int16))
print("colour int16 -5 300 256 ->", signed)
assert signed == [251, 44, 0]
END
