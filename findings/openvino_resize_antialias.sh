#!/usr/bin/env bash
# ONNX's Resize has an attribute antialias since opset 18; here 32x32 -> 8x8 with it.
# Guess: OpenVINO computes it as ONNX Runtime does, or refuses the model.
# Seen (OpenVINO 2026.4.1, ONNX Runtime 1.31.1): OpenVINO leaves the attribute out without a word, by linear and by cubic: its result is
# that of antialias=0 to the bit, on noise 86 (linear) and 116 levels (cubic) from ONNX Runtime's, which is Pillow's but at the border.
# Why: its Interpolate has an antialias of its own for some modes, and the reader of ONNX does not pass it on.
# Who meets it: models with their resize inside: what a network is shown is four single pixels of sixteen, and every score is a little
# worse on one engine.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 onnx==1.23.2 onnxruntime==1.31.1 openvino==2026.4.1
venv/bin/python - <<'END'
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper
from PIL import Image

picture = np.random.default_rng(0).integers(0, 256, (1, 1, 32, 32)).astype(np.float32)


def model(**attributes: object) -> onnx.ModelProto:
    resize = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **attributes)
    sizes = helper.make_tensor("sizes", TensorProto.INT64, [4], [1, 1, 8, 8])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, side, side]) for name, side in (("x", 32), ("y", 8))]
    made = helper.make_model(helper.make_graph([resize], "g", ends[:1], ends[1:], [sizes]), opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made


def by_onnxruntime(made: onnx.ModelProto) -> np.ndarray:
    return onnxruntime.InferenceSession(made.SerializeToString()).run(None, {"x": picture})[0][0, 0]


def by_openvino(made: onnx.ModelProto) -> np.ndarray:
    onnx.save(made, "model.onnx")
    compiled = openvino.Core().compile_model("model.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(picture)[0][0, 0]


for mode, of_pillow in (("linear", Image.Resampling.BILINEAR), ("cubic", Image.Resampling.BICUBIC)):
    plain, smooth = model(mode=mode, cubic_coeff_a=-0.5), model(mode=mode, cubic_coeff_a=-0.5, antialias=1)
    inner = (slice(2, -2),) * 2
    pillow = np.asarray(Image.fromarray(picture[0, 0]).resize((8, 8), of_pillow))
    off = abs(by_openvino(smooth) - by_onnxruntime(smooth)).max()
    print(f"{mode}: ONNX Runtime from Pillow {abs(by_onnxruntime(smooth) - pillow)[inner].max():.4f} (inside), OpenVINO from ONNX Runtime {off:.1f}")
    assert abs(by_onnxruntime(smooth) - pillow)[inner].max() < 0.01
    assert abs(by_openvino(plain) - by_onnxruntime(plain)).max() < 0.01
    assert (by_openvino(smooth) == by_openvino(plain)).all() and off > 60
END
