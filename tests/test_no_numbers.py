"""A model that gives NaN or infinity makes no black pictures, wherever it is used: a line names the
picture and what to do.

GaParmar/img2img-turbo#78: all results were black without an error, since the network gave NaN.
"""

import asyncio
import base64
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.test_unpaired import picture, prepare
from tfcyclegan.config import Limits
from tfcyclegan.data import images
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import RunError
from tfcyclegan.evaluation import gathering
from tfcyclegan.exporting import value_graph
from tfcyclegan.networks import make_generator
from tfcyclegan.translation.data_sets import translate_data
from tfcyclegan.translation.tiling import Tiler
from tfcyclegan.translation.translators import Translator, as_function, translate_path

BRIGHT = 200
SAID = (
    r"the model's output has values that are not finite \(NaN or infinite\): .* an earlier "
    r"--checkpoint"
)


def broken(value: float, *, above: int = 0) -> Translator:
    """The identity, that gives `value` for pictures whose first level is larger than `above`."""

    def function(batch: np.ndarray) -> np.ndarray:
        wrong = batch[:, :1, :1, :1] > images.to_float(np.array(above, np.uint8))
        return np.where(wrong, np.float32(value), batch)

    return Translator({"direction": "ab", "weights": "broken"}, 3, 4, function)


def level(value: int) -> np.ndarray:
    return np.full((16, 16, 3), value, np.uint8)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_folders(value, tmp_path):
    (tmp_path / "in").mkdir()
    for name, gray in (("a", 9), ("b", BRIGHT)):
        Image.fromarray(level(gray)).save(tmp_path / "in" / f"{name}.png")
    with pytest.raises(RunError, match=f"^b: {SAID}"):
        translate_path([broken(value, above=9)], tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out/b.png").exists()


def test_tiles(tmp_path):
    generator = make_generator("resnet_1blocks", base_filters=4, seed=0)
    generator.variables[0].assign(np.full(generator.variables[0].shape, np.nan))
    tiled = Translator({}, 3, 4, as_function(generator), Tiler(generator, 16))
    Image.fromarray(picture(1, 20, 20)).save(tmp_path / "one.png")
    with pytest.raises(RunError, match=f"^one: {SAID}"):
        translate_path([tiled], tmp_path / "one.png", tmp_path / "out")


def test_data_sets(tmp_path):
    data = prepare(tmp_path / "data", {"trainA": [level(9), level(BRIGHT)], "trainB": [level(0)]})
    source = open_source(data)
    *_, last = (name for name, _ in source.pictures("trainA"))
    with pytest.raises(RunError, match=f"{last}: {SAID}"):
        translate_data([broken(np.nan, above=9)], source, ["trainA"], tmp_path / "out", scale=None)
    assert not list((tmp_path / "out").glob("*.tfrecord*"))


def test_requests():
    """An answer of 500 to whoever sent the picture, not to others whose pictures went with it."""
    pytest.importorskip("kserve")
    from tfcyclegan.serving import model, server
    from tfcyclegan.serving.batching import Batcher
    from tfcyclegan.serving.refusal import Refused

    exported = model.Exported("mine", "1", broken(np.nan, above=9))

    async def scenario() -> list:
        batcher = Batcher(exported, batch_size=4, max_pixels=10**6, max_wait_seconds=60)
        served = model.ServedModel(exported, batcher, Limits(max_pixels=10**6))

        def ask(*levels: int):
            encoded = [base64.b64encode(images.encode_png(level(gray))) for gray in levels]
            return served.predict({"instances": [{"b64": one.decode()} for one in encoded]})

        async with batcher.running():
            return await asyncio.gather(ask(9), ask(9, BRIGHT), return_exceptions=True)

    fine, failed = asyncio.run(scenario())
    png = base64.b64decode(fine["predictions"][0]["b64"])
    assert np.array_equal(images.to_array(images.decode(png, 3)), level(9))
    assert isinstance(failed, Refused) and failed.status == 500
    assert failed.message.startswith(
        "instances[1]: the model's output has values that are not finite"
    )
    with (
        pytest.raises(server.grpc_errors.Internal, match=r"instances\[1\]"),
        server._as_grpc_error(),
    ):
        raise failed


def test_cycles_of_evaluate(monkeypatch):
    run = dataclasses.make_dataclass("Run", ["networks", "directory"])(
        ("gen_ab", "gen_ba"), Path("runs/mine")
    )
    monkeypatch.setattr(gathering, "from_run", lambda *_: broken(np.nan))
    forward, backward = gathering._cycle(run, "latest", "ab", broken(0.0))
    batch = images.to_float(level(BRIGHT))[np.newaxis]
    assert not forward(batch).any()
    with pytest.raises(RunError, match=f"^runs/mine: gen_ba, in the cycle: {SAID}"):
        backward(batch)


def test_signatures_of_an_export():
    assert value_graph.to_uint8(tf.constant([-1.0, 0.0, 1.0])).numpy().tolist() == [0, 128, 255]
    with pytest.raises(tf.errors.InvalidArgumentError, match="values that are not finite"):
        value_graph.to_uint8(tf.constant([0.0, np.nan]))
