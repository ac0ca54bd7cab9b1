#!/usr/bin/env bash
# ONNX Runtime's Resize of uint8, 32x32 -> 48x48.
# Guess: the float result, rounded (and clipped, for cubic) at the end, as OpenVINO gives it.
# Seen (ONNX Runtime 1.31.1, OpenVINO 2026.4.1): linear cuts the fraction off: on average half a level dark, and of pictures of one
# single value most come out a level darker. With antialias=1 there is no such bias, but cubic is off as if clipped between two passes: on noise
# up to 18 levels from the float result. OpenVINO: within half a level.
# Why, by these numbers: the one path casts its float sum to a byte as C does; the other keeps bytes between rows and columns.
# Who meets it: models that take pictures as bytes and resize inside. Cast to float before Resize and round after it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1 openvino==2026.4.1
venv/bin/python - <<'END'
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper

noise = np.random.default_rng(0).integers(0, 256, (1, 1, 32, 32), dtype=np.uint8)


def model(kind: int, **attributes: object) -> bytes:
    resize = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **attributes)
    sizes = helper.make_tensor("sizes", TensorProto.INT64, [4], [1, 1, 48, 48])
    ends = [helper.make_tensor_value_info(name, kind, [1, 1, side, side]) for name, side in (("x", 32), ("y", 48))]
    made = helper.make_model(helper.make_graph([resize], "g", ends[:1], ends[1:], [sizes]), opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def by_onnxruntime(picture: np.ndarray, **attributes: object) -> np.ndarray:
    kind = TensorProto.UINT8 if picture.dtype == np.uint8 else TensorProto.FLOAT
    return onnxruntime.InferenceSession(model(kind, **attributes)).run(None, {"x": picture})[0].astype(float)


def by_openvino(picture: np.ndarray, **attributes: object) -> np.ndarray:
    with open("model.onnx", "wb") as file:
        file.write(model(TensorProto.UINT8, **attributes))
    return openvino.Core().compile_model("model.onnx", "CPU")(picture)[0].astype(float)


exact = by_onnxruntime(noise.astype(np.float32), mode="linear")
cut, rounded = by_onnxruntime(noise, mode="linear") - exact, by_openvino(noise, mode="linear") - exact
print(f"linear: ONNX Runtime {cut.mean():.2f} on average, {cut.min():.2f} to {cut.max():.2f}; OpenVINO {rounded.mean():.2f}, {rounded.min():.2f} to {rounded.max():.2f}")
assert cut.mean() < -0.4 and cut.max() < 0.01 and abs(rounded).max() < 0.51
flat = [level for level in range(256) if (by_onnxruntime(np.full_like(noise, level), mode="linear") < level).any()]
print(f"flat pictures that come out darker somewhere: {len(flat)} of 256, from {flat[:5]} on")
assert len(flat) > 100
clipped = np.clip(by_onnxruntime(noise.astype(np.float32), mode="cubic", antialias=1), 0, 255)
off = abs(by_onnxruntime(noise, mode="cubic", antialias=1) - clipped).max()
print(f"cubic with antialias: up to {off:.1f} levels from the clipped float result")
assert off > 8
END
