#!/usr/bin/env bash
# tf.random.stateless_uniform and stateless_normal inside tf.function(jit_compile=True), on the same CPU, with alg="philox".
# Guess: seed, shape and algorithm decide the numbers, so compiled or not they are the same, as fold_in, split and integers are.
# Seen (TensorFlow 2.21.0): seeds folded or split and integers of all kinds are the same numbers, bit for bit, floats are not: uniform
# ones 0.88, 0.03, 0.95 become 0.02, 0.60, 0.07; so are those of tf.random.Generator.
# Why: both draw the same 32 random bits, but TensorFlow's own kernel makes the mantissa of the lowest 23, XLA of the highest 23.
# Who meets it: a training that is compiled by XLA, or taken to JAX as StableHLO, and should repeat another one draw by draw: the seeds
# and integers that one compares first agree, and dropout, noise and coins differ. Known: tensorflow/tensorflow issue 117644. Integers
# in a range, or draws made outside and given as arguments, are the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 tensorflow-cpu==2.21.0
export TF_CPP_MIN_LOG_LEVEL=3
venv/bin/python - <<'END_PYTHON' 2>errors || { cat errors; exit 1; }
import numpy as np
import tensorflow as tf

SEED, COUNT = tf.constant([3, 7], tf.int64), 8
random = tf.random
draws = {
    "fold_in": lambda: random.experimental.stateless_fold_in(SEED, 5, alg="philox"),
    "split": lambda: random.experimental.stateless_split(SEED, 2, alg="philox"),
    "integers below 10": lambda: random.stateless_uniform([COUNT], SEED, 0, 10, tf.int32, alg="philox"),
    "bits": lambda: random.stateless_uniform([COUNT], SEED, None, None, tf.uint32, alg="philox"),
    "uniform": lambda: random.stateless_uniform([COUNT], SEED, alg="philox"),
    "normal": lambda: random.stateless_normal([COUNT], SEED, alg="philox"),
}
print("tensorflow", tf.__version__)
own, compiled = (
    {name: tf.function(draw, autograph=False, jit_compile=jit)().numpy() for name, draw in draws.items()}
    for jit in (False, True)
)
for name in draws:
    print(f"{name:18}", "same" if np.array_equal(own[name], compiled[name]) else "other", own[name][:3], compiled[name][:3])
for name in ("fold_in", "split", "integers below 10", "bits"):
    np.testing.assert_array_equal(own[name], compiled[name])
np.testing.assert_array_equal(own["uniform"], (own["bits"] & 0x7FFFFF) / np.float32(2**23))
np.testing.assert_array_equal(compiled["uniform"], (own["bits"] >> 9) / np.float32(2**23))
assert np.abs(own["uniform"] - compiled["uniform"]).max() > 0.5
assert np.abs(own["normal"] - compiled["normal"]).max() > 0.5
END_PYTHON
