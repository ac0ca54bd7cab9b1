"""Exports for ONNX Runtime and OpenVINO, run by these."""

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.conftest import ROOT
from tfcyclegan import cli
from tfcyclegan.config.commands import EXPORT_FORMATS
from tfcyclegan.errors import UserError
from tfcyclegan.exports import onnx_graph
from tfcyclegan.exports.runtimes import ONNX, OPENVINO, RUNTIMES, open_program
from tfcyclegan.networks import make_generator

KEPT = ROOT / "tests/compatibility/0.1.0"
NETWORKS = {
    "paper": ("resnet_2blocks", {}),
    "resize and reflect": ("resnet_1blocks", {"upsampling": "resize", "padding_mode": "reflect"}),
    "batch norm, gray": ("resnet_1blocks", {"norm": "batch", "in_channels": 1}),
    "no norm": ("resnet_1blocks", {"norm": "none"}),
    "CUT's": ("resnet_1blocks", {"antialias": True, "antialias_up": True}),
    "separable": ("resnet_2blocks", {"separable": True}),
    "noise": ("resnet_1blocks", {"antialias_up": True, "noise_inputs": True}),
    "with its input": ("resnet_1blocks", {"input_skip": True}),
    "U-Net": ("unet_128", {"dropout": True}),
}


def noise(channels: int, height: int, width: int, batch: int = 2) -> np.ndarray:
    shape = (batch, height, width, channels)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize(("architecture", "settings"), NETWORKS.values(), ids=NETWORKS)
def test_both_runtimes_give_what_keras_gives_at_every_size(architecture, settings):
    generator = make_generator(architecture, base_filters=4, init_gain=0.2, seed=1, **settings)
    for (
        variable
    ) in generator.variables:  # biases, and batch norm's statistics, are 0 and 1 at first
        if variable.ndim == 1:
            variable.assign(np.random.default_rng(1).uniform(0.5, 1.5, variable.shape))
    content = onnx_graph.convert(generator).SerializeToString()
    programs = [open_program(content, ONNX), open_program(content, OPENVINO, exact=True)]
    sizes = [(128, 256)] if architecture.startswith("unet") else [(16, 24), (32, 20)]
    for height, width in sizes:
        batch = noise(settings.get("in_channels", 3), height, width)
        expected = generator(batch).numpy()
        assert expected.std() > 0.01
        for program in programs:
            np.testing.assert_allclose(program(batch), expected, atol=5e-4)


def test_options_know_the_formats():
    assert ("saved_model", "tflite", *RUNTIMES) == EXPORT_FORMATS


def test_instance_norm_is_one_operator():
    model = onnx_graph.convert(make_generator("resnet_1blocks", base_filters=4))
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("InstanceNormalization") == 7 and "ReduceMean" not in kinds


@pytest.mark.parametrize("suffix", [ONNX, OPENVINO])
def test_values_in_another_byte_order_are_values(suffix):
    content = onnx_graph.convert(make_generator("resnet_1blocks", base_filters=4, seed=1))
    program, batch = open_program(content.SerializeToString(), suffix), noise(3, 16, 16)
    np.testing.assert_array_equal(program(batch.astype(">f4")), program(batch))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An export of the kept run in all formats that need no conversion to TFLite."""
    place = tmp_path_factory.mktemp("runtimes")
    shutil.copytree(KEPT, place / "kept")
    flags = [f"--run_dir={place}/kept/run", f"--data_dir={place}/kept/data"]
    formats = "--formats=onnx,openvino,saved_model"
    assert cli.main(["export", *flags, f"--output={place}/model", formats]) == 0
    return place / "model/1"


def test_the_files_are_written_measured_and_told(exported):
    metadata = json.loads((exported / "metadata.json").read_text())
    assert metadata["formats"] == ["saved_model", "onnx", "openvino"]
    assert metadata["variants"] == {} and not list(exported.glob("*.tflite"))
    assert {"ONNX float32", "OpenVINO float32"} < metadata["parity"].keys()
    card = (exported / "MODEL_CARD.md").read_text()
    for name, runtime in (
        ("onnx_float32", "ONNX Runtime"),
        ("onnx_float16", "ONNX Runtime"),
        ("onnx_int8", "ONNX Runtime"),
        ("openvino", "OpenVINO"),
        ("openvino_int8", "OpenVINO"),
    ):
        one = metadata["runtimes"][name]
        assert one["runtime"].startswith(runtime) and one["file"] in card
        if name.endswith("int8"):  # two test pictures prove nothing in 8 bits
            assert "int8" in one["runtime"] and one["status"] in ("unproven", "rejected")
            stored = (exported / one["file"]).with_suffix(".onnx" if "onnx" in name else ".bin")
            assert stored.stat().st_size < 0.8 * (exported / "onnx/float32.onnx").stat().st_size
        if one["status"] == "usable":
            assert one["psnr_worst"] >= 30
    stored = onnx.load(exported / metadata["runtimes"]["onnx_float16"]["file"])
    kinds = {weight.data_type for weight in stored.graph.initializer if len(weight.dims) == 4}
    assert kinds == {onnx.TensorProto.FLOAT16}


@pytest.mark.parametrize("file", ["onnx/float32.onnx", "openvino/float32.xml"])
def test_translate_runs_them(exported, tmp_path, capsys, file):
    """Of a size that is no multiple of 4, as the SavedModel beside it does."""
    (tmp_path / "in").mkdir()
    Image.fromarray(((noise(3, 30, 45, 1)[0] + 1) * 127).astype(np.uint8)).save(
        tmp_path / "in/x.png"
    )
    for name, model in (("own", exported / file), ("saved", exported)):
        flags = [f"--model={model}", f"--input={tmp_path}/in", f"--output={tmp_path}/{name}"]
        assert cli.main(["translate", *flags]) == 0
    assert "pictures keep their sizes" in capsys.readouterr().out
    own, saved = (np.asarray(Image.open(tmp_path / n / "x.png"), int) for n in ("own", "saved"))
    assert own.shape == (30, 45, 3)
    # OpenVINO computes in bfloat16 where the processor has it: three digits of 255 levels.
    assert np.abs(own - saved).mean() < (4 if file.endswith(".xml") else 0.1)


@pytest.mark.parametrize("suffix", [ONNX, OPENVINO])
def test_several_threads_may_ask_at_once(suffix):
    """As `translate` does, which works on two pictures at once."""
    content = onnx_graph.convert(make_generator("resnet_1blocks", base_filters=4, seed=1))
    program = open_program(content.SerializeToString(), suffix)
    batches = [noise(3, 64, 64, 1) * share for share in np.linspace(0.1, 1, 32)]
    expected = [program(batch).copy() for batch in batches]
    with ThreadPoolExecutor(4) as threads:
        for given, one in zip(threads.map(program, batches), expected, strict=True):
            np.testing.assert_array_equal(given, one)


@pytest.mark.parametrize("exported_format", ["onnx", "openvino"])
def test_serve_runs_them(exported, exported_format, monkeypatch, capsys):
    from tfcyclegan.serving.model import load

    pictures = ((noise(3, 30, 45) + 1) * 127).astype(np.uint8)
    own, saved = load(exported.parent, exported_format), load(exported.parent)
    assert (own.name, own.version, own.properties) == ("model", "1", saved.properties)
    assert ", float" in own.translator.described or ", bfloat16" in own.translator.described
    assert np.abs(own(pictures) - saved(pictures)).mean() < 0.03
    flags = ["serve", f"--model_dir={KEPT}/export", f"--format={exported_format}"]
    assert cli.main([*flags, "--http_port=0"]) == 2
    assert f"export it again with --formats=saved_model,{exported_format}" in (
        capsys.readouterr().err
    )
    monkeypatch.setitem(sys.modules, {"onnx": "onnxruntime"}.get(exported_format, "openvino"), None)
    with pytest.raises(UserError, match=rf"pip install 'tfcyclegan\[{exported_format}\]'"):
        load(exported.parent, exported_format)


@pytest.mark.parametrize("suffix", [ONNX, OPENVINO])
def test_what_is_no_such_model_ends_in_one_line(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    for content in (b"", b"not a model"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="not a model of tfcyclegan export"):
            open_program(path, suffix)


@pytest.mark.parametrize(
    ("suffix", "module", "extra"),
    [(ONNX, "onnxruntime", "onnx"), (OPENVINO, "openvino", "openvino")],
)
def test_a_runtime_that_is_not_installed_is_named(monkeypatch, suffix, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf"pip install 'tfcyclegan\[{extra}\]'"):
        open_program(b"", suffix)


@pytest.mark.parametrize(
    ("formats", "told"),
    [
        (
            "saved_model,keras",
            "'keras' is not a format; valid are saved_model, tflite, onnx, openvino",
        ),
        ("onnx", "give --formats=saved_model,onnx"),
        ("", "'' is not a format"),
    ],
)
def test_wrong_formats_end_in_one_line(formats, told, capsys):
    assert cli.main(["export", "--run_dir=x", "--output=y", f"--formats={formats}"]) == 2
    assert told in capsys.readouterr().err


def test_a_converter_for_files_that_are_not_asked_for_is_refused(capsys):
    flags = ["--run_dir=x", "--output=y", "--formats=saved_model,onnx"]
    assert cli.main(["export", *flags, "--tflite_converter=litert"]) == 2
    assert "--tflite_converter=litert: makes TFLite files" in capsys.readouterr().err
