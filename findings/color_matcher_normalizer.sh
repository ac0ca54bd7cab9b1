#!/usr/bin/env bash
# color-matcher carries the colours of one picture over to another; its own examples end in Normalizer(result).uint8_norm().
# Guess: that is the conversion to 8 bit (clip, round, cast), so the picture that is saved has the reference's colours.
# Seen (color-matcher 0.6.0): the matching itself is right, channel means equal the reference's to 0.1 of a level (method mkl). uint8_norm
# then stretches the result's least value to 0 and its greatest to 255: the means move by up to 21 levels, and a picture with values from
# 20 to 119 comes out with values from 0 to 255 even where nothing was matched.
# Why: the name says norm of uint8; it is a min-max normalisation over all three channels.
# Who meets it: colour transfer as the untrained control beside a translator: by this it is brighter or darker than its target, and loses.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 color-matcher==0.6.0
venv/bin/python - <<'END'
import numpy as np
from color_matcher import ColorMatcher
from color_matcher.normalizer import Normalizer

random = np.random.default_rng(0)
source = random.integers(20, 120, (64, 64, 3)).astype(np.uint8)
reference = np.clip(random.normal((180, 90, 60), 25, (64, 64, 3)), 0, 255).astype(np.uint8)


def means(picture: np.ndarray) -> np.ndarray:
    return picture.reshape(-1, 3).mean(axis=0)


plain = Normalizer(source).uint8_norm()
print(f"source {source.min()}..{source.max()}, uint8_norm of it {plain.min()}..{plain.max()}")
assert (source.min(), source.max(), plain.min(), plain.max()) == (20, 119, 0, 255)
matched = ColorMatcher().transfer(src=source, ref=reference, method="mkl")
saved = Normalizer(matched).uint8_norm()
print("means: reference", means(reference).round(1), "matched", means(matched).round(1), "after uint8_norm", means(saved).round(1))
assert abs(means(matched) - means(reference)).max() < 0.1
assert abs(means(saved) - means(reference)).max() > 15
END
