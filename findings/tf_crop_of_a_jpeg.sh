#!/usr/bin/env bash
# tf.io.decode_and_crop_jpeg, by its documentation "equivalent to a combination of decode and crop".
# Guess: the window's pixels are those of the decoded picture, bit for bit.
# Seen (TensorFlow 2.21.0): so in 4:4:4. In 4:2:0, what Pillow and most cameras write, up to 20 levels off, along the left and right edges
# of the window alone; at even an offset of 16. Both methods of the inverse cosine transform are alike in it.
# Why: colours of half resolution are brought up by weights of the neighbours, and only the blocks of the window are decoded: at its
# edges the neighbour is missing, and the nearest colour stands in.
# Who meets it: random crops by this operation, tiles cut from large JPEGs: seams where two tiles meet.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 pillow==13.0.0 tensorflow-cpu==2.21.0
export TF_CPP_MIN_LOG_LEVEL=3
venv/bin/python - <<'END_PYTHON' 2>errors || { cat errors; exit 1; }
import io

import numpy as np
import tensorflow as tf
from PIL import Image

noise = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)
picture = Image.fromarray(noise).resize((160, 128), Image.Resampling.BICUBIC)
WINDOWS = [(0, 0, 64, 64), (16, 16, 64, 64), (17, 9, 30, 33), (32, 48, 64, 80)]
for name, subsampling in (("4:4:4", 0), ("4:2:0", 2)):
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90, subsampling=subsampling)
    for method in ("INTEGER_FAST", "INTEGER_ACCURATE"):
        whole = tf.io.decode_jpeg(stream.getvalue(), dct_method=method).numpy().astype(int)
        for y, x, height, width in WINDOWS:
            part = tf.io.decode_and_crop_jpeg(stream.getvalue(), (y, x, height, width), dct_method=method)
            off = abs(part.numpy() - whole[y : y + height, x : x + width])
            columns = np.flatnonzero(off.max((0, 2))).tolist()
            print(f"{name} {method} {y, x, height, width}: up to {off.max()} levels, columns {columns} of {width}")
            if subsampling == 0:
                assert off.max() == 0
            else:
                assert off.max() >= 5 and set(columns) <= {0, width - 1}
END_PYTHON
