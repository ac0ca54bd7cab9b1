#!/usr/bin/env bash
# Keras' layers of colour augmentation with value_range (0, 255), (0, 1) and (-1, 1), of one picture scaled to each, with fixed factors.
# Guess: the results are one picture, scaled to each range, and stay inside it.
# Seen (Keras 3.15.1): so with RandomBrightness, RandomContrast, RandomHue and RandomColorDegeneration. RandomSaturation, and RandomColorJitter
# through it, leave (0, 255) at the dark end: 1.5 times the saturation gives colours down to -122, where (0, 1) clips them to 0. In (-1, 1) they give
# another picture, off by half of the range. RandomInvert in (-1, 1) gives 0 to 2: half of the range too bright.
# Why: RandomSaturation does not scale to (0, 1) as RandomHue does: it clips the saturation, always a share, to value_range, and takes HSV of
# numbers below 0. RandomInvert is the upper limit less the value, right only where the lower one is 0. On TensorFlow, run by hand, as on JAX.
# Who meets it: generators of range (-1, 1) whose augmentation comes after the scaling, and (0, 255), RandomSaturation's own choice: the network
# sees colours that no picture has. Augment in (0, 1) and scale afterwards.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 keras==3.15.1 jax==0.10.2 jaxlib==0.10.2
export KERAS_BACKEND=jax
venv/bin/python - <<'END_PYTHON'
import keras
import numpy as np

layers = keras.layers
print("Keras", keras.__version__, "on", keras.backend.backend())
picture = np.random.default_rng(0).random((1, 32, 32, 3), dtype=np.float32)
MADE = {
    "RandomBrightness": lambda **options: layers.RandomBrightness((0.1, 0.1), **options),
    "RandomContrast": lambda **options: layers.RandomContrast((0.0, 0.2), **options),
    "RandomHue": lambda **options: layers.RandomHue((0.2, 0.2), **options),
    "RandomColorDegeneration": lambda **options: layers.RandomColorDegeneration((0.3, 0.3), **options),
    "RandomSaturation": lambda **options: layers.RandomSaturation((0.6, 0.6), **options),
    "RandomColorJitter": lambda **options: layers.RandomColorJitter(saturation_factor=(0.6, 0.6), **options),
    "RandomInvert": lambda **options: layers.RandomInvert((1.0, 1.0), **options),
}
for name, make in MADE.items():
    results = {}
    for low, high in ((0, 255), (0, 1), (-1, 1)):
        layer = make(value_range=(low, high), seed=0)
        out = keras.ops.convert_to_numpy(layer(picture * (high - low) + low, training=True))
        results[low, high] = (out - low) / (high - low)
    spread = {limits: np.abs(result - results[0, 1]).max() for limits, result in results.items()}
    print(name)
    for limits, result in results.items():
        print(f"    {limits!s:9} from {result.min():+.2f} to {result.max():+.2f} of the range, {spread[limits]:.2f} from the result at (0, 1)")
    if name in ("RandomSaturation", "RandomColorJitter"):
        assert results[0, 255].min() < -0.2 and results[0, 1].min() > -1e-6
        assert spread[0, 255] > 0.2 and spread[-1, 1] > 0.2
    elif name == "RandomInvert":
        assert spread[0, 255] < 1e-5 and abs(spread[-1, 1] - 0.5) < 1e-5 and results[-1, 1].max() > 1.4
    else:
        assert max(spread.values()) < 1e-3
END_PYTHON
