"""Exports of measurements: six channels of uint16 to one of float32, through every way to run
them.
"""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("kserve")

from kserve import InferInput, InferRequest

from tests.exports import by_loader
from tfcyclegan.config import Limits, Size
from tfcyclegan.data.values import Values
from tfcyclegan.demo.models import find_model
from tfcyclegan.errors import UserError
from tfcyclegan.exporting import saved_model, tflite, value_graph
from tfcyclegan.exports import model_metadata, runtimes
from tfcyclegan.exports.exported_models import from_model, open_model
from tfcyclegan.networks import make_generator
from tfcyclegan.serving import array_messages
from tfcyclegan.serving import model as serving
from tfcyclegan.serving.array_messages import Kind
from tfcyclegan.serving.batching import Batcher
from tfcyclegan.serving.refusal import Refused
from tfcyclegan.translation.measurements import translate_measurements
from tfcyclegan.translation.translators import Translator, as_function
from tfcyclegan.translation.value_pair import ValuePair

BANDS = Values("uint16", (0,) * 6, (100, 200, 300, 400, 500, 10_000), nodata=65535)
HEAT = Values("float32", (-40,), (60,), units="degrees C", names=("surface",))
PAIR = ValuePair(BANDS, HEAT)


def scene(*shape: int, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).integers(0, 600, (*shape, 6)).astype(np.uint16)
    found[..., 2, 3, :2] = 65535
    return found


@pytest.fixture(scope="module")
def network():
    return make_generator(
        "resnet_1blocks", in_channels=6, out_channels=1, base_filters=4, init_gain=1.0, seed=0
    )


@pytest.fixture(scope="module")
def translator(network) -> Translator:
    return Translator({}, 6, network.size_multiple, as_function(network), values=PAIR)


@pytest.fixture(scope="module")
def version(network, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "heat" / "1"
    saved_model.save(network, directory, values=PAIR)
    content = tflite.convert(network, "float32", Size(16, 20))
    (directory / "float32.tflite").write_bytes(content)
    for file, onnx in (
        runtimes.RUNTIMES["onnx"].make(runtimes.Source(network))["onnx_float32"].items()
    ):
        (directory / file).parent.mkdir()
        (directory / file).write_bytes(onnx)
    said = {
        "direction": "ab",
        "domains": {"from": "bands", "to": "heat"},
        "values": PAIR.to_json(),
    }
    (directory / "metadata.json").write_text(json.dumps(said))
    return directory


@pytest.mark.parametrize(
    "target",
    [
        HEAT,
        Values("int16", (-1000.0,), (2000.0,), units="HU"),
        Values("uint8", (0,), (255,), nodata=0),
        Values("uint8", (-1000.0, 10.0), (900.0, 250.0)),
        Values("float16", (0.1,), (0.2,), nodata=-1),
        Values("float16", (0.0,), (1e5,)),
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "source", [BANDS, Values("float32", (-1.5, 0), (3, 1)), None], ids=["uint16", "float32", "none"]
)
def test_the_graph_maps_values_as_the_translator_does(source, target):
    """To the bit: whole numbers are the same, and so are gaps."""
    pair, generator = ValuePair(source, target), np.random.default_rng(1)
    channels = source.channels if source else 3
    given = generator.uniform(0, 300, (2, 4, 5, channels)).astype(source.dtype if source else "u1")
    if source:
        given[0, 1, 2, 0] = np.nan if source.nodata is None else source.nodata
    outputs = target.channels if target else 3
    seen = generator.uniform(-1, 1, (2, 4, 5, outputs)).astype(np.float32)
    np.testing.assert_array_equal(value_graph.to_network(pair, given), pair.to_network(given))
    found = value_graph.from_network(pair, tf.constant(seen), value_graph.gaps(pair, given))
    expected = pair.from_network(seen, pair.gaps(given))
    assert found.numpy().dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_the_saved_model_takes_and_gives_values(version, translator):
    """By the C++ loader, which TensorFlow Serving is made of."""
    batch = scene(2, 18, 21)
    expected = np.stack([translator(picture) for picture in batch])
    assert np.isnan(expected).sum() == 2 and np.nanstd(expected) > 0.5
    with by_loader(version) as run:
        found = run(batch)
        np.testing.assert_allclose(found, expected, atol=1e-3)
        np.testing.assert_allclose(
            run(PAIR.to_network(batch), "tensor"),
            translator.in_floats(PAIR.to_network(batch)),
            atol=1e-4,
        )
    loaded = tf.saved_model.load(str(version))
    assert set(loaded.signatures) == {"serving_default", "tensor"}
    (spec,) = loaded.signatures["serving_default"].structured_input_signature[1].values()
    assert spec.name == "values" and spec.dtype == tf.uint16


@pytest.mark.parametrize("name", ["", "float32.tflite", "onnx/float32.onnx"])
def test_translate_by_an_export(version, translator, tmp_path, name, capsys):
    """Ranges come from metadata.json; a .tflite file of another size is fitted."""
    (tmp_path / "in").mkdir()
    given = scene(16, 20)
    np.save(tmp_path / "in" / "scene.npy", given)
    model = from_model(version / name)
    told = capsys.readouterr().out
    assert "takes uint16, 6 channels, ranges 0:100, 0:200" in told
    assert "gives float32, 1 channel, range -40:60 degrees C" in told
    translate_measurements([model], tmp_path / "in", tmp_path / "out")
    found = np.load(tmp_path / "out" / "scene.npy")
    np.testing.assert_allclose(found, translator(given)[..., 0], atol=1e-2)


def test_an_export_without_its_metadata_is_no_translator_of_pictures(version, tmp_path):
    (tmp_path / "float32.tflite").write_bytes((version / "float32.tflite").read_bytes())
    with pytest.raises(UserError, match=r"it takes float32 \[1, 16, 20, 6\], not float32 \[B, H"):
        open_model(tmp_path / "float32.tflite")
    with pytest.raises(UserError, match="the page only handles a browser's 8-bit pictures"):
        find_model(version)


def test_what_clients_rely_on(version):
    metadata = model_metadata.read(version)
    assert model_metadata.purpose(metadata)["numbers"] == "uint16 to float32 degrees C"
    assert model_metadata.purpose({"direction": "ab"})["numbers"] == "pictures to pictures"
    assert model_metadata.properties(metadata, 6)["gives"].endswith("range -40:60 degrees C")


@pytest.fixture(scope="module")
def ask(version):
    """Answers a request as the server does."""
    exported = serving.load(version.parent)
    limits = Limits(max_pixels=4000)

    async def answered(payload):
        batcher = Batcher(exported, batch_size=4, max_pixels=4000, max_wait_seconds=30)
        async with batcher.running():
            return await serving.ServedModel(exported, batcher, limits).predict(payload)

    assert exported.takes == Kind("uint16", 6) and exported.gives == Kind("float32", 1)
    return lambda payload: asyncio.run(answered(payload))


def v2(array: np.ndarray, datatype: str = "UINT16", **more) -> InferRequest:
    tensor = InferInput("values", list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=more.pop("raw", False))
    return InferRequest("heat", [tensor], **more)


def fractions() -> InferRequest:
    request = v2(scene(1, 4, 4))
    request.inputs[0].data[5] = 1.5
    return request


def test_arrays_over_the_first_protocol(ask, translator):
    arrays = [scene(16, 20), scene(18, 17, seed=1)]
    expected = [translator(array) for array in arrays]
    for rows in ([a.tolist() for a in arrays], [{"values": a.tolist()} for a in arrays]):
        found = ask({"instances": rows})["predictions"]
        assert found[0][2][3] == [None], "JSON has no NaN"
        for one, reference in zip(found, expected, strict=True):
            np.testing.assert_allclose(np.array(one, np.float32), reference, atol=1e-3)
    found = ask({"inputs": {"values": [arrays[0].tolist()]}})["outputs"]
    np.testing.assert_allclose(np.array(found[0], np.float32), expected[0], atol=1e-3)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("raw", [False, True])
def test_tensors_over_the_second_protocol(ask, translator, raw):
    batch = scene(2, 16, 20)
    answer = ask(v2(batch, raw=raw))
    (output,) = answer.outputs
    assert (output.name, output.datatype, output.shape) == ("values", "FP32", [2, 16, 20, 1])
    expected = np.stack([translator(picture) for picture in batch])
    found = np.array(output.data, np.float32).reshape(output.shape)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_half_precision_is_answered_in_bytes_alone():
    """The protocol has no FP16 in JSON."""
    kind, request = Kind("float16", 1), v2(scene(1, 4, 4))
    with pytest.raises(Refused, match="the answer is FP16, which is only sent as bytes; request"):
        array_messages.answer_v2(request, "m", "1", [np.zeros((4, 4, 1), np.float16)], kind)


@pytest.mark.parametrize(("dtype", "number"), [("float16", 7e4), ("float32", 1e39)])
def test_a_number_that_the_type_cannot_hold_is_no_gap(dtype, number):
    with pytest.raises(Refused, match=rf"instances\[0\]: has values above what {dtype} holds"):
        array_messages.arrays_of_v1({"instances": [[[[number]]]]}, Kind(dtype, 1))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"instances": [[[1, 2]]]}, r"instances\[0\]: has the shape \[1, 2\], not \[H, W, 6\]"),
        ({"instances": [[[[1.5] * 6]]]}, r"that are not uint16: integers from 0 to 65535"),
        ({"instances": [[[[70000] * 6]]]}, r"that are not uint16: integers from 0 to 65535"),
        ({"instances": [[[[0] * 6, [0]]]]}, r"instances\[0\]: is not an array of numbers; send"),
        ({"instances": []}, "the request holds no array"),
        ({"instances": [[[["a"] * 6]]]}, "values that are not uint16"),
        ({"instances": "x"}, r"instances: is not a list; send"),
        (v2(scene(1, 4, 4).astype(np.float32), "FP32"), r"values: is FP32 \[1, 4, 4, 6\], not"),
        (v2(scene(1, 4, 4)[..., :3]), r"values: is UINT16 \[1, 4, 4, 3\], not UINT16 \[B, H, W, 6"),
        (fractions(), "values: has values that are not uint16: integers from 0 to 65535"),
        (v2(np.zeros((1, 0, 4, 6), np.uint16)), "values: is empty"),
        (
            v2(scene(1, 80, 80)),
            r"values\[0\]: 80x80 makes 6400 pixels in total; a request may hold 4000",
        ),
    ],
    ids=range(12),
)
def test_what_is_refused_is_told_with_what_is_expected(ask, body, told):
    with pytest.raises(Refused, match=told) as refused:
        ask(body)
    assert refused.value.status in (400, 413) and "\n" not in refused.value.message
