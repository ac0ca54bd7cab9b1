#!/usr/bin/env bash
# tf.io.decode_png(channels=1) of a colour PNG whose header says the usual: an sRGB chunk, or a gAMA chunk of 1/2.2.
# Guess: Rec. 601 gray of the stored values, as of a JPEG and as by tf.image.rgb_to_grayscale, with or without those chunks.
# Seen (TensorFlow 2.21.0): without a chunk so, pure red is 76. With either chunk red is 147, green 200 and blue 95; with channels=3
# the chunks change nothing. Keras' image_dataset_from_directory(color_mode="grayscale") does the same, file by file.
# Why: libpng makes the gray, and once it knows the gamma it takes the weighted mean in linear light, then goes back.
# Who meets it: gray networks on PNGs from mixed tools. A file has such chunks or not by the program that wrote it, and the
# same red becomes another gray. One gray for all: decode 3 channels, then rgb_to_grayscale.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 pillow==13.0.0 tensorflow-cpu==2.21.0 keras==3.15.1
export TF_CPP_MIN_LOG_LEVEL=3
venv/bin/python - <<'END_PYTHON' 2>errors || { cat errors; exit 1; }
import io
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from PIL.PngImagePlugin import PngInfo

colours = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [120, 120, 120]]], np.uint8))
CHUNKS = {"none": {}, "gAMA": {b"gAMA": (45455).to_bytes(4, "big")}, "sRGB": {b"sRGB": b"\0"}}


def png(chunk: str) -> bytes:
    stream, extra = io.BytesIO(), PngInfo()
    for name, body in CHUNKS[chunk].items():
        extra.add(name, body)
    colours.save(stream, "PNG", pnginfo=extra)
    return stream.getvalue()


gray, by_pillow = {}, {}
for chunk in CHUNKS:
    assert (tf.io.decode_png(png(chunk), channels=3).numpy() == np.asarray(colours)).all()
    gray[chunk] = tf.io.decode_png(png(chunk), channels=1).numpy().ravel().tolist()
    by_pillow[chunk] = np.asarray(Image.open(io.BytesIO(png(chunk))).convert("L")).ravel().tolist()
    print(f"{chunk}: red, green, blue, middle gray -> TensorFlow {gray[chunk]}, Pillow {by_pillow[chunk]}")
stored = tf.image.rgb_to_grayscale(np.asarray(colours)).numpy().ravel()
print("tf.image.rgb_to_grayscale:", stored.tolist())
assert abs(np.array(gray["none"]) - stored).max() <= 1
assert all(abs(np.array(value) - stored).max() <= 1 for value in by_pillow.values())
for chunk in ("gAMA", "sRGB"):
    assert np.abs(np.array(gray[chunk]) - [147, 200, 95, 120]).max() <= 1
Path("pictures/one").mkdir(parents=True)
for number, chunk in enumerate(CHUNKS):
    Path(f"pictures/one/{number}.png").write_bytes(png(chunk))
options = dict(color_mode="grayscale", image_size=(1, 4), shuffle=False, labels=None, verbose=False)
batch = next(iter(keras.utils.image_dataset_from_directory("pictures", **options)))
print("red by Keras' image_dataset_from_directory:", batch[:, 0, 0, 0].numpy().tolist())
assert abs(batch[:, 0, 0, 0].numpy() - [76, 147, 147]).max() <= 1
END_PYTHON
