#!/usr/bin/env bash
# A convolution of 3x3 with stride 2 and auto_pad=SAME_UPPER, which is TensorFlow's and Keras' padding="same" in ONNX, run by OpenCV's dnn.
# Guess: as ONNX Runtime to rounding errors, or refused when the file is read.
# Seen (OpenCV 5.0.0, ONNX Runtime 1.31.1): at even sizes the result is off by its own size, without a word, in the old engine and the
# new one; it is that of SAME_LOWER, to rounding errors. Of 4x4 with stride 1 it is SAME_LOWER that comes out as SAME_UPPER. AveragePool
# too. At odd sizes, or with the padding written out, it is right.
# Why: whatever the mode, the stride and the size, (kernel - 1) / 2 zeros go before the first pixel. By ONNX's definition the zeros before
# and after are to be counted from the size: 3x3 by 2 over 8 pixels has none before and one after.
# Who meets it: encoders of free size from TensorFlow, whose every downsampling is this one: each moves the picture by a pixel, and what
# comes out looks like a translation by a badly trained network. Where the size is fixed, tf2onnx writes the padding out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1 opencv-python-headless==5.0.0.93
venv/bin/python - <<'END_OF_PYTHON'
import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

print("OpenCV", cv2.__version__, "ONNX Runtime", onnxruntime.__version__)
draw = np.random.default_rng(0)
ENGINES = {"classic": cv2.dnn.ENGINE_CLASSIC, "new": cv2.dnn.ENGINE_NEW}


def model(size: int, kernel: int, stride: int, pool: bool = False, **padding: object) -> bytes:
    weights = np.random.default_rng(1).normal(size=(4, 4, kernel, kernel)).astype("float32")
    node = helper.make_node(
        "AveragePool" if pool else "Conv",
        ["x"] if pool else ["x", "w"],
        ["y"],
        strides=[stride, stride],
        **({"kernel_shape": [kernel, kernel]} if pool else {}),
        **padding,
    )
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, None, None])],
        [] if pool else [numpy_helper.from_array(weights, "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def by_onnxruntime(made: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def by_opencv(made: bytes, x: np.ndarray, engine: int) -> np.ndarray:
    network = cv2.dnn.readNetFromONNX(np.frombuffer(made, np.uint8), engine)
    network.setInput(x)
    return network.forward()


for size, kernel, stride, pool, wrong in (
    (16, 3, 2, False, "SAME_UPPER"),
    (16, 5, 2, False, "SAME_UPPER"),
    (16, 7, 2, False, "SAME_UPPER"),
    (16, 3, 2, True, "SAME_UPPER"),
    (16, 4, 1, False, "SAME_LOWER"),
    (15, 3, 2, False, None),
    (16, 4, 2, False, None),
    (16, 3, 1, False, None),
):
    x = draw.normal(size=(1, 4, size, size)).astype("float32")
    models = {mode: model(size, kernel, stride, pool, auto_pad=mode) for mode in ("SAME_UPPER", "SAME_LOWER")}
    right = {mode: by_onnxruntime(made, x) for mode, made in models.items()}
    for name, engine in ENGINES.items():
        for mode, made in models.items():
            found = by_opencv(made, x, engine)
            off = np.abs(found - right[mode]).max() / right[mode].std()
            kind = "AveragePool" if pool else "Conv"
            print(f"{kind} {kernel}x{kernel} by {stride} of {size} pixels, {mode}, {name} engine: off by {off:.1e} deviations")
            if mode == wrong:
                assert off > 1, off
                other = right["SAME_LOWER" if mode == "SAME_UPPER" else "SAME_UPPER"]
                np.testing.assert_allclose(found, other, atol=1e-4)
            else:
                assert off < 1e-4, off

x = draw.normal(size=(1, 4, 16, 16)).astype("float32")
written = model(16, 3, 2, pads=[0, 0, 1, 1])
np.testing.assert_allclose(by_onnxruntime(written, x), by_onnxruntime(model(16, 3, 2, auto_pad="SAME_UPPER"), x))
for engine in ENGINES.values():
    np.testing.assert_allclose(by_opencv(written, x, engine), by_onnxruntime(written, x), atol=1e-4)
print("with pads [0, 0, 1, 1] written out, which is the same by definition: right")
END_OF_PYTHON
