#!/usr/bin/env bash
# A product summed over two axes, einsum "axy,yxb->ab", as StableHLO's dot_general and as a TFLite file by litert-converter; the same with
# the axes in one order, "axy,xyb->ab". TensorFlow's bilinear resize comes out of XLA with such a product.
# Guess: both right to the last digits; a resize too.
# Seen (litert-converter 0.5.0, LiteRT 2.3.0): summed over axes that lie in one order it is right; crossed it is wrong by about the size of
# the result, without a word: the converter joins the two axes of each side by a reshape, whichever is paired with whichever.
# Why a good guess is wrong: contracted axes are pairs, by the operation's definition, and with one pair, or batch axes in any order, the
# converter transposes as it must.
# Who meets it: whoever leaves tf.lite by way of StableHLO (JAX, XLA): tf.image.resize by bilinear, to double a picture, was 1.7 off on
# values in [-1, 1] by this, where XLA itself has 1e-7; einsum and tensordot of two axes likewise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 ai-edge-litert==2.3.0 litert-converter==0.5.0
venv/bin/python - <<'END'
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from litert_converter import converter_api_ext as converter
from litert_converter.mlir import ir, passmanager


def by_litert(a: np.ndarray, b: np.ndarray, axes: str, shape: str) -> np.ndarray:
    kinds = ["tensor<" + "x".join(map(str, one.shape)) + "xf32>" for one in (a, b)]
    text = f"""func.func public @main(%a: {kinds[0]}, %b: {kinds[1]}) -> tensor<{shape}xf32> {{
      %0 = stablehlo.dot_general %a, %b, {axes} : ({kinds[0]}, {kinds[1]}) -> tensor<{shape}xf32>
      return %0 : tensor<{shape}xf32> }}"""
    context = ir.Context()
    converter.prepare_mlir_context(context)
    with context, ir.Location.unknown():
        module = ir.Module.parse(text)
        converter.set_signature(module.operation, "product", ["a", "b"], ["c"])
        converter.run_convert_to_tfl_passes(module, passmanager.PassManager(), converter.ConvertToTFLConfig())
        content = converter.export_flatbuffer_to_bytes(module.operation)
    return Interpreter(model_content=content).get_signature_runner("product")(a=a, b=b)["c"]


def uniform(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape).astype(np.float32)


cases = {
    "axy,xyb->ab": (uniform(2, 3, 4), uniform(3, 4, 5), "contracting_dims = [1, 2] x [0, 1]", "2x5"),
    "axy,yxb->ab": (uniform(2, 3, 4), uniform(4, 3, 5), "contracting_dims = [1, 2] x [1, 0]", "2x5"),
    "axy,yxb->ab, pairs named in the other order": (uniform(2, 3, 4), uniform(4, 3, 5), "contracting_dims = [2, 1] x [0, 1]", "2x5"),
    "qcp,pqcb->pqb": (uniform(2, 3, 4), uniform(4, 2, 3, 5), "batching_dims = [2, 0] x [0, 1], contracting_dims = [1] x [2]", "4x2x5"),
}
for name, (a, b, axes, shape) in cases.items():
    expected = np.einsum(name.partition(", pairs")[0], a, b)
    off = abs(by_litert(a, b, axes, shape) - expected).max()
    print(f"{name}: {off:.1e} off, the largest value is {abs(expected).max():.2f}")
    assert off > 0.5 if "yxb" in name else off < 1e-5
END
