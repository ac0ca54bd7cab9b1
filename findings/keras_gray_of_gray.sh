#!/usr/bin/env bash
# Keras' own gray, keras.ops.image.rgb_to_grayscale and RandomGrayscale, of bytes.
# Guess: of a picture that is gray already (R = G = B) nothing changes, as with Pillow, OpenCV and tf.image.rgb_to_grayscale.
# Seen (Keras 3.15.1 on JAX, NumPy and, run by hand, TensorFlow): every value but 0 comes back one lower, white as 254; on average a picture
# is a level darker. Floats are right to 1e-4 of their value.
# Why: the weights .2989, .5870, .1140 add up to .9999, and the sum is cut, not rounded, to a byte. tf.image has the same weights and
# rounds up enough.
# Who meets it: comparisons of gray pictures, masks whose 255 is tested for, and augmentation that darkens the half it touches.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 pillow==13.0.0 keras==3.15.1 jax==0.10.2 jaxlib==0.10.2
cat > gray.py <<'END_PYTHON'
import keras
import numpy as np
from PIL import Image

levels = np.arange(256, dtype=np.uint8)
gray = np.repeat(levels[None, None, :, None], 3, axis=-1)
assert (np.asarray(Image.fromarray(gray[0]).convert("L")) == levels).all()
operation = keras.ops.convert_to_numpy(keras.ops.image.rgb_to_grayscale(gray, data_format="channels_last"))
layer = keras.ops.convert_to_numpy(keras.layers.RandomGrayscale(1.0, data_format="channels_last")(gray, training=True))
floats = keras.ops.convert_to_numpy(keras.ops.image.rgb_to_grayscale(gray.astype("float32"), data_format="channels_last"))
change = operation.ravel().astype(int) - levels
print(keras.backend.backend(), "white", operation[0, 0, 255, 0], "change of each level", sorted(set(change.tolist())), "floats", abs(floats.ravel() - levels).max())
assert change[0] == 0 and (change[1:] == -1).all() and abs(floats.ravel() - levels).max() < 0.03
assert (layer == np.repeat(operation, 3, axis=-1)).all()
noise = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
darker = keras.ops.convert_to_numpy(keras.ops.image.rgb_to_grayscale(noise, data_format="channels_last"))[..., 0]
right = noise @ np.array([0.299, 0.587, 0.114])
print("of colours: mean off by", round(float((darker - right).mean()), 3))
assert -0.6 < (darker - right).mean() < -0.4
END_PYTHON
for backend in jax numpy; do KERAS_BACKEND=$backend venv/bin/python gray.py; done
