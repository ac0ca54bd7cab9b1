#!/usr/bin/env bash
# Keras' input layers under mixed precision: Rescaling of 16-bit pictures, Normalization of CT values.
# Guess: both compute in float32 and give their results in float16, right to a part in a thousand: preprocessing is no place for float16.
# Seen (Keras 3.15.1, JAX and, run by hand, TensorFlow 2.21.0): Rescaling(1 / 65535) turns values from 65520 up, saturated white, into
# infinity. Normalization turns a CT (mean 100, deviation 500) into 0 at every pixel, without a word; 8-bit pictures are right.
# Why: values are cast to the layer's compute type first, and float16 ends at 65504. Of Normalization the variance is cast before its
# root is taken: 500 squared is infinite, and anything over it is 0. From a deviation of 256 on nothing is left.
# Who meets it: one line for mixed precision at the head of a script that was tried on photographs. dtype="float32" on the two mends it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 keras==3.15.1 jax==0.10.2 jaxlib==0.10.2
KERAS_BACKEND=jax venv/bin/python - <<'END_PYTHON'
import keras
import numpy as np

deep = np.array([[0, 6553, 32768, 65503, 65520, 65535]], np.uint16)
for policy in ("float32", "mixed_float16"):
    result = np.asarray(keras.layers.Rescaling(1 / 65535, dtype=policy)(deep))
    print(policy, result.dtype, "of", deep[0].tolist(), "->", result[0].tolist())
    if policy == "float32":
        assert abs(result - deep / 65535).max() < 1e-6
    else:
        assert abs(result[0, :4] - deep[0, :4] / 65535).max() < 1e-3 and np.isinf(result[0, 4:]).all()
photograph = np.arange(256, dtype=np.uint8)[None]
small = np.asarray(keras.layers.Rescaling(1 / 127.5, -1, dtype="mixed_float16")(photograph))
assert abs(small - (photograph / 127.5 - 1)).max() < 1e-3

for deviation in (200, 300, 500):
    slices = np.random.default_rng(0).normal(100, deviation, (4, 32, 32, 1)).astype(np.float32)
    spread = {}
    for policy in ("float32", "mixed_float16"):
        layer = keras.layers.Normalization(axis=-1, dtype=policy)
        layer.adapt(slices)
        spread[policy] = np.asarray(layer(slices)).astype(float)
    print(f"deviation {deviation}: normalized to {spread['float32'].std():.3f}, in mixed_float16 to {spread['mixed_float16'].std():.3f}")
    assert abs(spread["float32"].std() - 1) < 1e-3
    assert abs(spread["mixed_float16"].std() - 1) < 1e-2 if deviation == 200 else (spread["mixed_float16"] == 0).all()
END_PYTHON
