#!/usr/bin/env bash
# tf.cast of a float to uint8 beyond 0 to 255: an output layer without a clip, as (tanh + noise + 1) * 127.5, or resize(bicubic).
# Guess: one function has one result, the low byte as in C and NumPy: 300 -> 44, -1 -> 255; compiled or converted alike.
# Seen (TensorFlow 2.21.0, LiteRT 2.3.0): so run op by op and as a graph; with jit_compile=True and in LiteRT it is clamped: 300 -> 255,
# -1 -> 0. tf.image.convert_image_dtype, which casts, turns 1.01 into 2 or, compiled, into 255.
# Why: TensorFlow's own kernel converts as C does, XLA and LiteRT saturate. The documentation of tf.cast calls undefined only NaN and
# infinity.
# Who meets it: a model tried out in LiteRT or under jit_compile has no wrapped pixels; served as SavedModel it has black dots in the
# brightest places and white ones in the darkest. tf.saturate_cast or a clip gives one result.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 tensorflow-cpu==2.21.0 ai-edge-litert==2.3.0
export TF_CPP_MIN_LOG_LEVEL=3
venv/bin/python - <<'END_PYTHON' 2>errors || { cat errors; exit 1; }
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

values = np.array([-2, -1, 0, 127.9, 255.9, 256, 300, 70000], np.float32)
signature = [tf.TensorSpec(values.shape)]


def to_bytes(batch: tf.Tensor) -> tf.Tensor:
    return tf.cast(batch, tf.uint8)


graph = tf.function(to_bytes, input_signature=signature)
compiled = tf.function(to_bytes, input_signature=signature, jit_compile=True)
converted = tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()]).convert()
runner = Interpreter(model_content=converted)
runner.allocate_tensors()
runner.set_tensor(runner.get_input_details()[0]["index"], values)
runner.invoke()
found = {
    "eager": to_bytes(values).numpy().tolist(),
    "graph": graph(values).numpy().tolist(),
    "jit_compile": compiled(values).numpy().tolist(),
    "LiteRT": runner.get_tensor(runner.get_output_details()[0]["index"]).tolist(),
}
print(values.tolist())
for name, result in found.items():
    print(f"{name:12}", result)
assert found["eager"] == found["graph"] == [254, 255, 0, 127, 255, 0, 44, 112]
assert found["jit_compile"] == found["LiteRT"] == [0, 0, 0, 127, 255, 255, 255, 255]
over = tf.constant([1.0, 1.01, -0.01])
scale = tf.function(lambda picture: tf.image.convert_image_dtype(picture, tf.uint8))
fast = tf.function(lambda picture: tf.image.convert_image_dtype(picture, tf.uint8), jit_compile=True)
print("convert_image_dtype of 1, 1.01, -0.01:", scale(over).numpy().tolist(), "compiled", fast(over).numpy().tolist())
assert scale(over).numpy().tolist() == [255, 2, 254] and fast(over).numpy().tolist() == [255, 255, 0]
END_PYTHON
