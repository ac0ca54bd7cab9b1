#!/usr/bin/env bash
# Keras' RandomRotation of pictures together with their label maps, {"images": ..., "segmentation_masks": ...}, on the PyTorch backend.
# Guess: both are turned by one angle about the middle of the picture, as on JAX and TensorFlow; labels by nearest.
# Seen (Keras 3.15.1, PyTorch 2.13.0): by one angle, but the labels about another point: at 36 degrees and 64 pixels they lie 37 rows
# and 37 columns beside what they name, and 84 % of the frame is fill. On JAX (and TensorFlow, run by hand), and in RandomZoom, RandomShear
# and RandomTranslation, both agree to the half pixel of nearest.
# Why: keras.ops.image.affine_transform changes its argument there: it exchanges rows and columns of the caller's matrix where it stands.
# RandomRotation makes one matrix and gives it to the pictures, and then, exchanged, to the labels. Called by hand with one tensor twice it
# gives two results, too.
# Who meets it: whoever augments pictures and labels in one call (segmenters that measure a translation, label-conditioned translators):
# nothing fails, and the labels are noise to the loss. A few degrees look like a small shift, easily overlooked in a plot.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 keras==3.15.1 torch==2.13.0 jax==0.10.2 jaxlib==0.10.2
cat > turn.py <<'END_PYTHON'
import keras
import numpy as np

SIDE = 64
rows, columns = np.mgrid[:SIDE, :SIDE].astype("float32")
# Both hold the coordinates of their pixels, so that each pixel says where it came from.
places = np.stack([columns, rows], -1)[np.newaxis]
layers = keras.layers
common = {"fill_mode": "constant", "fill_value": -1000.0, "data_format": "channels_last"}
made = {
    "RandomRotation": layers.RandomRotation((0.1, 0.1), **common),
    "RandomZoom": layers.RandomZoom((-0.2, -0.2), **common),
    "RandomTranslation": layers.RandomTranslation((0.11, 0.11), (0.07, 0.07), **common),
    "RandomShear": layers.RandomShear((0.2, 0.2), (0.1, 0.1), **common),
}
backend = keras.backend.backend()
for name, layer in made.items():
    turned = layer({"images": places, "segmentation_masks": places}, training=True)
    picture, labels = (keras.ops.convert_to_numpy(turned[key])[0] for key in ("images", "segmentation_masks"))
    # Without the pixels to whose value the fill has contributed.
    inside = (picture >= 0).all(-1) & (labels >= 0).all(-1)
    apart = np.median((labels - picture)[inside], axis=0)
    filled = 1 - (labels >= 0).all(-1).mean()
    print(f"{backend}: {name}: labels from {apart[0]:+.1f} columns and {apart[1]:+.1f} rows beside the picture's; {filled:.0%} of them filled")
    if backend == "torch" and name == "RandomRotation":
        assert np.abs(apart).max() > 20 and filled > 0.5
    else:
        assert np.abs(apart).max() <= 0.5

angle = np.pi / 5
middle = (SIDE - 1) / 2
matrix = keras.ops.convert_to_tensor(
    [
        np.cos(angle),
        -np.sin(angle),
        middle * (1 - np.cos(angle) + np.sin(angle)),
        np.sin(angle),
        np.cos(angle),
        middle * (1 - np.cos(angle) - np.sin(angle)),
        0.0,
        0.0,
    ],
    "float32",
)
before = np.array(keras.ops.convert_to_numpy(matrix))
found = []
for _ in range(2):
    found.append(keras.ops.convert_to_numpy(keras.ops.image.affine_transform(places, matrix, data_format="channels_last")))
    if len(found) == 1:
        after = np.array(keras.ops.convert_to_numpy(matrix))
print(f"{backend}: the matrix before a call {before[:6].round(2).tolist()}, after it {after[:6].round(2).tolist()}")
apart = np.abs(found[0] - found[1]).max()
assert (before != after).any() == (apart > 20) == (backend == "torch")
END_PYTHON
for backend in jax torch; do KERAS_BACKEND=$backend venv/bin/python turn.py; done
